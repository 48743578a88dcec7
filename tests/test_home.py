"""The home page: the setup guide, what asks for a person, health, figures, deadlines."""

import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.formats import date_format

from connector import figures, guide, jobs
from connector.guide import Mark
from connector.health import health_of
from connector.models import Connection, Heartbeat, InboxEvent, Order, OrderLine, OrderLog, Parcel, SkuLink
from connector.states import OrderState, ParcelState
from shopify_app.models import Shop
from tests.planting import connect, plant
from tests.shopify_script import make_shop
from tests.visits import Visitor, text
from tiktok.models import Seller
from tiktok.scopes import NEEDED

WELL = {
    "access": {"ours": True},
    "store": {"missing": [], "plan": "Basic"},
    "webhooks": {"missing": []},
    "warehouses": {"sales": ["East"], "returns": ["Back"], "off": [], "ways": ["SEND_BY_SELLER"]},
}


@pytest.fixture
def shop(db):
    return make_shop(timezone="America/New_York", currency="USD", currencies=["USD"])


@pytest.fixture
def connection(shop):
    """A connection of which everything is known and good, but for the first order."""
    connection = connect(shop, "7495000000000000001", "Fig & Fleece")
    now = timezone.now()
    SkuLink.objects.create(connection=connection, sku_id="1", variant_gid="gid://shopify/ProductVariant/1")
    Connection.objects.update(
        setup=WELL,
        setup_checked_at=now,
        prepared_at=now,
        tiktok_pulled_at=now,
        shopify_pulled_at=now,
        products_read_at=now,
        providers_read_at=now,
        providers=[{"id": "1", "name": "USPS"}],
    )
    Heartbeat.objects.create(name="clock", at=now)
    connection.refresh_from_db()
    return connection


@pytest.fixture
def visitor(shop):
    return Visitor(shop.domain)


def first_order(connection, **facts):
    now = timezone.now()
    given = {"tiktok_status": "AWAITING_SHIPMENT", "placed_at": now - timedelta(hours=2), "finalized_at": now}
    order = plant(connection, "577000000000000123", OrderState.FINALIZED, **(given | facts))
    OrderLine.objects.create(order=order, tiktok_line_id="1", title="Mug", sku_id="1")
    return order


def finding(connection, step):
    connection = Connection.objects.get(pk=connection.pk)
    return next(found for found in guide.findings(connection) if found.step == step)


# ---- what it costs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "most"), [("/", 12), ("/home/standing", 8), ("/proof", 9)])
def test_a_page_takes_the_same_few_statements_however_much_there_is_to_tell(
    connection, shop, visitor, path, most
):
    visitor.open("/")  # the first visit of a process looks up more
    first_order(connection, ship_by_at=timezone.now(), reason="unexpected")
    second = connect(shop, "7495000000000000003", "Harbor Goods")
    Connection.objects.update(setup=WELL, products_read_at=timezone.now())
    for i, one in enumerate((connection, second, connection, second)):
        facts = {"tiktok_status": "ON_HOLD", "due_at": timezone.now(), "ship_by_at": timezone.now()}
        order = plant(one, f"57700000000000000{i}", OrderState.FINALIZED, **facts)
        OrderLine.objects.create(order=order, tiktok_line_id="1", title="Mug", sku_id="none")
        waiting = {"company": "Pony", "reason": "carrier_unknown"}
        Parcel.objects.create(shop=shop, order=order, fulfillment_gid=f"g{i}", number=f"{i}", **waiting)
    with CaptureQueriesContext(database) as asked:
        page = visitor.open(path)
    assert page.status_code == 200
    assert len(asked) <= most


# ---- the guide -----------------------------------------------------------------------------------------------------


def test_a_shop_is_ready_only_when_every_step_is_good(connection, visitor):
    assert guide.verdict(guide.findings(connection)) is Mark.LATER
    assert "Nothing is wrong; not everything is known yet" in text(visitor.open("/"))
    first_order(connection)
    assert {found.step: found.mark for found in guide.findings(connection)} == dict.fromkeys(
        guide.STEPS, Mark.GOOD
    )
    page = text(visitor.open("/"))
    assert "Setup of Fig & Fleece" in page
    assert "Ready 10 of 10 checked and good" in page


def spoilt(**answers):
    return {"setup": WELL | answers}


@pytest.mark.parametrize(
    ("step", "facts", "words"),
    [
        ("tiktok", {"paused_reason": "tiktok_access_lost"}, "TikTok no longer lets us in."),
        ("tiktok", spoilt(access={"ours": False}), "does not own Fig & Fleece"),
        ("tiktok", spoilt(access={"refused": "105005 no permission"}), "105005 no permission"),
        ("warehouses", spoilt(warehouses=WELL["warehouses"] | {"sales": []}), "No warehouse to ship from"),
        ("warehouses", spoilt(warehouses=WELL["warehouses"] | {"returns": []}), "No warehouse takes returns"),
        (
            "shipping",
            spoilt(warehouses=WELL["warehouses"] | {"ways": ["STANDARD"]}),
            "No warehouse offers shipping by",
        ),
        ("webhooks", spoilt(webhooks={"missing": ["ORDER_STATUS_CHANGE"]}), "order status change"),
        ("others", {"other_connector": {"tag": "skuiq", "order": "#1007"}}, "skuiq on #1007"),
        ("products", {"products_read_at": None, "listing_words": "105005 scope"}, "105005 scope"),
    ],
)
def test_the_guide_refuses_to_say_ready_while_something_is_wrong_and_says_how_to_put_it_right(
    connection, visitor, step, facts, words
):
    first_order(connection) if step not in ("shipping", "order") else None
    Connection.objects.update(**facts)
    found = finding(connection, step)
    assert (found.mark, words in found.told, bool(found.case.do)) == (Mark.WRONG, True, True)
    page = text(visitor.open("/"))
    assert "Not ready: 1 thing to put right" in page and str(found.case.do)[:30] in page


def test_scopes_that_shopify_has_not_granted_are_named(connection, shop):
    shop.scopes = "read_products,read_fulfillments,write_orders"
    shop.save(update_fields=["scopes"])
    assert "write_draft_orders" in finding(connection, "shopify").told


@pytest.mark.parametrize(
    ("scopes", "mark", "words"),
    [
        (",".join(NEEDED), Mark.GOOD, "with every permission that is needed"),
        ("", Mark.GOOD, "TikTok did not say with which permissions"),
        ("seller.order.info", Mark.WRONG, "TikTok has not granted: Shop Authorized Information, Fulfillment"),
    ],
)
def test_permissions_that_tiktok_has_not_granted_are_named_and_unknown_ones_are_not_called_short(
    connection, scopes, mark, words
):
    Seller.objects.update(scopes=scopes)
    found = finding(connection, "tiktok")
    assert found.mark is mark and words in found.told


def test_products_that_are_not_linked_are_counted(connection, visitor):
    SkuLink.objects.create(connection=connection, sku_id="2")
    assert finding(connection, "products").told.startswith("1 linked, 1 not.")
    assert f'href="/products?connection={connection.pk}"' in visitor.open("/").content.decode()
    Connection.objects.update(settings={"unmatched": "custom_line"})
    assert finding(connection, "products").mark is Mark.GOOD


def test_each_of_several_connections_has_a_guide_and_a_card_of_its_own(connection, shop, visitor):
    second = connect(shop, "7495000000000000003", "Harbor Goods")
    first_order(connection)
    order = plant(
        second, "577000000000000777", OrderState.FINALIZED, tiktok_status="AWAITING_SHIPMENT", currency="GBP"
    )
    OrderLine.objects.create(order=order, tiktok_line_id="1", title="Bowl", sku_id="1")
    late = {"due_at": timezone.now() - timedelta(hours=1), "company": "Pony", "reason": "carrier_unknown"}
    Parcel.objects.create(shop=shop, order=order, fulfillment_gid="g", number="1", **late)
    found = {
        one.pk: {finding.step: finding for finding in findings}
        for one in (connection, second)
        for findings in [guide.findings_of([connection, second])[one.pk]]
    }
    assert {step for step, finding in found[connection.pk].items() if finding.mark is not Mark.GOOD} == set()
    assert "Pony" in found[second.pk]["carriers"].told and "GBP" in found[second.pk]["currency"].told
    assert "Bowl" in found[second.pk]["order"].told
    cards = {card.connection.pk: card for card in health_of([connection, second])}
    assert (cards[connection.pk].state, cards[second.pk].state) == ("fine", "behind")


def test_a_connection_whose_rows_only_fail_is_behind_although_each_try_moves_their_time(connection):
    order = first_order(connection)
    since = timezone.now() - timedelta(hours=1)
    Order.objects.filter(pk=order.pk).update(
        failing_since=since, due_at=timezone.now() + timedelta(minutes=9)
    )
    [card] = health_of([connection])
    assert (card.state, card.overdue) == ("behind", since)


def test_a_carrier_that_parcels_wait_for_is_named(connection):
    order = first_order(connection)
    Parcel.objects.create(
        shop=order.shop,
        order=order,
        fulfillment_gid="gid://1",
        number="1",
        company="Pony",
        reason="carrier_unknown",
    )
    assert "Pony" in finding(connection, "carriers").told


def test_the_currency_of_the_orders_must_be_one_that_the_store_takes(connection):
    first_order(connection, currency="GBP")
    found = finding(connection, "currency")
    assert (found.mark, found.told) == (Mark.WRONG, "TikTok sells in GBP, and this store does not take it.")


def test_orders_that_tiktok_ships_are_told_from_the_newest_order(connection):
    plant(
        connection,
        "577000000000000200",
        OrderState.SKIPPED,
        reason="tiktok_ships",
        tiktok_status="AWAITING_SHIPMENT",
    )
    assert finding(connection, "shipping").facts == {"tiktok": 1, "all": 1}
    plant(connection, "577000000000000300", OrderState.ON_HOLD, tiktok_status="ON_HOLD")
    assert finding(connection, "shipping").mark is Mark.GOOD


@pytest.mark.parametrize(
    ("facts", "mark", "words"),
    [
        ({}, Mark.GOOD, "every line has its variant"),
        ({"state": OrderState.SKIPPED, "reason": "address_masked"}, Mark.WRONG, "asterisks"),
        ({"state": OrderState.RECEIVED, "reason": "sku_unmapped"}, Mark.WRONG, "waits for you"),
        ({"state": OrderState.RECEIVED}, Mark.LATER, "on hold"),
    ],
)
def test_the_first_order_is_looked_at_for_asterisks_and_lines_without_a_product(
    connection, facts, mark, words
):
    Order.objects.filter(pk=first_order(connection).pk).update(**facts)
    found = finding(connection, "order")
    assert found.mark is mark and words in found.told


def test_lines_of_the_first_order_without_a_variant_are_named(connection):
    OrderLine.objects.filter(order=first_order(connection)).update(sku_id="2")
    assert "Mug" in finding(connection, "order").told


def test_checking_now_makes_the_connection_due_and_the_guide_asks_until_it_is_done(connection, visitor):
    path = f"/connections/{connection.pk}"
    page = visitor.post(f"{path}/check").content.decode()
    connection.refresh_from_db()
    assert connection.setup_wanted_at and connection.due_at <= timezone.now() >= connection.listing_due_at
    assert f'hx-get="{path}/guide" hx-trigger="load delay:1s"' in page and "Checking both shops" in page
    Connection.objects.update(setup_wanted_at=None)
    assert "hx-trigger" not in visitor.fetch(f"{path}/guide").content.decode().partition("s-section")[0]


def test_the_guide_can_be_put_away_and_still_says_when_something_is_wrong(connection, visitor):
    folded = text(visitor.post(f"/connections/{connection.pk}/guide/close"))
    assert "Show the steps" in folded and "Warehouses" not in folded
    Connection.objects.update(setup=WELL | {"webhooks": {"missing": ["PACKAGE_UPDATE"]}})
    assert "Not ready: 1 thing to put right" in text(visitor.open("/"))
    assert "Warehouses" in text(visitor.post(f"/connections/{connection.pk}/guide/open"))


def test_another_shop_s_guide_does_not_exist(connection):
    stranger = Visitor(make_shop(domain="other-store.myshopify.com").domain)
    for path in ("check", "guide/close"):
        assert stranger.post(f"/connections/{connection.pk}/{path}").status_code == 404
    assert stranger.fetch(f"/connections/{connection.pk}/guide").status_code == 404
    assert "Fig" not in text(stranger.open("/"))
    assert stranger.fetch("/home/standing").status_code == 200
    assert "Fig" not in text(stranger.fetch("/home/standing"))


# ---- what asks, and how it stands ------------------------------------------------------------------------------------


def test_everything_is_fine_only_while_nothing_asks_and_nothing_is_wrong(connection, visitor):
    assert "Everything is fine" in text(visitor.open("/"))
    Connection.objects.update(setup=WELL | {"webhooks": {"missing": ["PACKAGE_UPDATE"]}})
    assert "Everything is fine" not in text(visitor.open("/"))
    Connection.objects.update(setup=WELL)
    plant(connection, "577000000000000001", OrderState.RECEIVED, reason="sku_unmapped")
    plant(connection, "577000000000000002", OrderState.RECEIVED, reason="sku_unmapped")
    plant(connection, "577000000000000003", OrderState.SKIPPED, reason="tiktok_ships")
    page = visitor.open("/").content.decode()
    assert "Everything is fine" not in page and "2 things need your attention" in page
    assert 'href="/orders?show=attention&amp;reason=sku_unmapped"><b>A product is not linked</b>' in page
    assert "tiktok_ships" not in page
    order = plant(connection, "577000000000000004", OrderState.RECEIVED, reason="no_lines")
    listed = text(visitor.open("/orders", show="attention", reason="sku_unmapped"))
    assert "Only: A product is not linked" in listed and "577000000000000001" in listed
    assert order.tiktok_id not in listed
    for broken in ("nonsense", ""):
        assert order.tiktok_id in text(visitor.open("/orders", show="attention", reason=broken))


def test_the_standing_part_stays_still_until_something_changed(connection, visitor):
    page = visitor.open("/").content.decode()
    address = re.search(r'id="standing" class="notices" hx-get="([^"]+)"', page)[1]
    assert visitor.fetch(address).status_code == 204
    plant(connection, "577000000000000001", OrderState.RECEIVED, reason="sku_unmapped")
    assert "1 thing needs your attention" in visitor.fetch(address).content.decode()


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "Healthy"),
        ({"paused_reason": "tiktok_access_lost"}, "Paused"),
        ({"active": False}, "Disconnected"),
        ({"tiktok_pulled_at": timezone.now() - timedelta(days=2)}, "Behind"),
        ({"shopify_pulled_at": timezone.now() - timedelta(days=2)}, "Behind"),
        ({"due_at": timezone.now() - timedelta(hours=1)}, "Behind"),
    ],
)
def test_a_card_says_how_a_connection_does(connection, visitor, facts, words):
    Connection.objects.update(**facts)
    assert words in text(visitor.open("/"))


@pytest.mark.parametrize(("days", "words"), [(31, "Healthy"), (30, "Permission ends soon")])
def test_a_card_says_that_a_permission_ends_soon_from_the_day_on_from_which_the_banner_does(
    connection, visitor, days, words
):
    ends = timezone.now() + timedelta(days=days)
    Seller.objects.update(refresh_expires_at=ends)
    page = text(visitor.open("/"))
    assert words in page and f"TikTok's permission ends {ends:%b} {ends.day}, {ends.year}" in page
    assert ("TikTok's permission ends on" in page) == (days == 30)


def test_a_card_promises_to_renew_only_what_renews_itself(connection, visitor):
    page = text(visitor.open("/"))
    assert "Shopify's permission is renewed by itself, TikTok's when you connect again" in page


def ring(shop, key, minutes, source="shopify"):
    at = timezone.now() - timedelta(minutes=minutes)
    facts = {"source": source, "key": key, "topic": "products/create", "received_at": at, "due_at": at}
    InboxEvent.objects.create(shop=shop, **facts)


def last_heard(shop):
    return round((timezone.now() - Shop.objects.get(pk=shop.pk).last_webhook_at) / timedelta(minutes=1))


def test_a_card_says_when_shopify_last_rang_and_not_when_a_pull_of_ours_did(
    transactional_db, connection, shop, visitor
):
    assert "Last news from Shopify –" in text(visitor.open("/"))
    ring(shop, "a", minutes=30)
    ring(shop, "b", minutes=20)
    ring(shop, "pull:products/create:1:x", minutes=10)
    ring(shop, "c", minutes=5, source="tiktok")
    jobs.claim(shop.pk, 8)
    assert last_heard(shop) == 20
    at = Shop.objects.get(pk=shop.pk).last_webhook_at.astimezone(shop.zone)
    assert f"Last news from Shopify {date_format(at, 'M j, H:i')}" in text(visitor.open("/"))
    ring(shop, "late", minutes=25)  # answered after a newer one
    jobs.claim(shop.pk, 8)
    assert last_heard(shop) == 20


def test_a_flood_from_shopify_is_remembered_once_a_minute_and_not_once_an_event(
    transactional_db, connection, shop
):
    for i in range(20):
        ring(shop, str(i), minutes=5 - i / 60)
    with CaptureQueriesContext(database) as asked:
        while jobs.claim(shop.pk, 4):
            pass
    assert sum('SET "last_webhook_at"' in query["sql"] for query in asked) == 1
    ring(shop, "later", minutes=3)
    jobs.claim(shop.pk, 8)
    assert last_heard(shop) == 3


def test_a_clock_that_stands_still_is_said(connection, visitor):
    Heartbeat.objects.update(at=timezone.now() - timedelta(minutes=3))
    assert "Standing still The clock of this app has stopped" in text(visitor.open("/"))


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (-1, "1 order is past TikTok's ship-by time"),
        (3, "shipped within 4 hours"),
        (11, "shipped within 12 hours"),
    ],
)
def test_an_order_that_runs_out_of_time_is_said_first(connection, visitor, hours, words):
    order = first_order(connection, ship_by_at=timezone.now() + timedelta(hours=hours))
    page = visitor.open("/")
    assert words in text(page) and f'href="/orders/{order.pk}"' in page.content.decode()


def test_an_order_with_time_left_is_not_at_risk(connection, shop):
    first_order(connection, ship_by_at=timezone.now() + timedelta(hours=13))
    assert not figures.deadlines(shop).to_ship.any


# ---- figures ---------------------------------------------------------------------------------------------------------


def test_the_numbers_count_what_happened_and_its_value(connection, visitor):
    first_order(connection, expected_total="10.00")
    Order.objects.update(placed_at=timezone.now() - timedelta(days=3))
    Parcel.objects.create(
        shop=connection.shop, order=Order.objects.get(), fulfillment_gid="gid://1", number="1", state="accepted",
        accepted_at=timezone.now(),
    )  # fmt: skip
    page = text(visitor.open("/"))
    assert "Orders placed at TikTok 0 1" in page
    assert "Made into Shopify orders 1 1 Their value 10.00 USD 10.00 USD" in page
    assert "Tracking numbers accepted by TikTok 1 1" in page


def test_values_are_summed_by_currency_and_a_week_holds_its_days(connection, shop):
    now, zone = timezone.now(), ZoneInfo("UTC")
    sold = [("USD", 10, 0), ("GBP", 7, 0), ("USD", 5, 6), ("USD", 100, 7), ("", None, 0)]
    for i, (currency, total, days) in enumerate(sold):
        at = now - timedelta(days=days)
        money = {"currency": currency, "expected_total": total, "finalized_at": at, "placed_at": at}
        plant(connection, f"57700000000000000{i}", OrderState.FINALIZED, **money)
    record = figures.record(shop, now.date(), 14, zone)
    assert (record.today.came, record.today.finalized, record.today.shipped) == (3, 3, 0)
    assert (record.week.came, record.week.finalized) == (4, 4)
    assert record.today.sold == [("GBP", 7), ("USD", 10)]
    assert record.week.sold == [("GBP", 7), ("USD", 15)]


def test_the_chart_has_a_table_with_the_same_figures(connection, visitor):
    first_order(connection)
    plant(connection, "577000000000000001", OrderState.ON_HOLD, placed_at=timezone.now())
    page = visitor.open("/").content.decode()
    assert page.count("<rect ") == 2
    assert re.search(r'<svg role="img"[^>]*aria-label="Orders of the last 14 days', page)
    assert "The same as a table" in page


def test_latency_is_measured_by_both_platforms_times_and_leaves_out_what_a_person_was_asked(connection, shop):
    now = timezone.now()
    for i, seconds in enumerate((2, 4, 100)):
        order = plant(
            connection,
            f"57700000000000000{i}",
            OrderState.FINALIZED,
            finalized_at=now,
            released_at=now - timedelta(seconds=seconds),
        )
        parcel = Parcel.objects.create(
            shop=shop,
            order=order,
            fulfillment_gid=f"gid://{i}",
            number=str(i),
            state=ParcelState.ACCEPTED,
            accepted_at=now,
            fulfilled_at=now - timedelta(seconds=seconds / 2),
        )
    OrderLog.objects.create(order=order, parcel=parcel, what="asked")
    record = figures.record(shop, now.date(), 14, ZoneInfo("UTC"))
    released, tracked = record.released, record.tracked
    assert (released.n, released.p50, tracked.n, tracked.p50) == (2, 3.0, 2, 1.5)
    assert released.within_target and tracked.p95 == pytest.approx(1.95)


def test_without_a_case_there_is_no_latency(shop):
    record = figures.record(shop, timezone.now().date(), 14, ZoneInfo("UTC"))
    assert record.released == record.tracked == figures.Latency(0, None, None)
