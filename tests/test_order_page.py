"""An order's own page: both ids, words, goods, money, parcels and log; and what a person does from there."""

import json
import re
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from connector.models import Connection, Order, OrderLine, Parcel, SkuLink
from connector.states import OrderState, ParcelState
from tests.planting import PLACED, connect, plant
from tests.shopify_script import make_shop
from tests.test_pages import text
from tests.visits import Visitor
from tiktok.models import Shop as TikTokShop

UPS, USPS, MISTYPED = "1Z410E7W0392751591", "9400111899223100001984", "1Z410E7W0392751592"
LISTED = [{"id": "11", "name": "UPS"}, {"id": "22", "name": "USPS"}]


@pytest.fixture
def shop(db):
    return make_shop(timezone="America/New_York", currency="USD")


@pytest.fixture
def connection(shop):
    made = connect(shop, "7495000000000000001", "Fig & Fleece")
    Connection.objects.update(providers=LISTED)
    return made


@pytest.fixture
def visitor(shop):
    return Visitor(shop.domain)


def page_of(visitor, order):
    return visitor.open(f"/orders/{order.pk}")


def ship(order, number=MISTYPED, **facts):
    known = {
        "provider_id": "11",
        "provider_name": "UPS",
        "company": "United Parcel",
        "fulfillment_gid": "gid://f/1",
    }
    return Parcel.objects.create(shop=order.shop, order=order, number=number, **(known | facts))


def toast(response):
    return json.loads(response["HX-Trigger"])["toast"]["words"]


# ---- who may see it ------------------------------------------------------------------------------


def test_nobody_sees_another_shop_s_order_or_touches_its_parcels(connection, visitor):
    theirs = connect(make_shop(domain="other-store.myshopify.com"), "7495000000000000002", "Harbor Goods")
    order = plant(theirs, "577000000000000777", OrderState.FINALIZED)
    parcel = ship(order)
    assert page_of(visitor, order).status_code == 404
    assert visitor.fetch(f"/orders/{order.pk}/live").status_code == 404
    for path in (f"/orders/{order.pk}/skip", f"/parcels/{parcel.pk}/retry", f"/parcels/{parcel.pk}/correct"):
        assert visitor.post(path, number=UPS).status_code == 404
    assert visitor.open(f"/parcels/{parcel.pk}/correct").status_code == 404
    parcel.refresh_from_db()
    assert (parcel.number, parcel.due_at, Parcel.objects.count()) == (MISTYPED, None, 1)


def test_without_a_token_there_is_no_page(connection):
    order = plant(connection, "577000000000000123")
    assert Client().get(f"/orders/{order.pk}").status_code == 302
    assert Client().get(f"/orders/{order.pk}/live", headers={"HX-Request": "true"}).status_code == 401
    assert Client().post(f"/parcels/{ship(order).pk}/correct").status_code == 401


# ---- what it shows -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "center"),
    [
        ("US", "https://seller-us.tiktok.com"),
        ("GB", "https://seller-uk.tiktok.com"),
        ("DE", "https://seller.tiktokglobalshop.com"),
    ],
)
def test_both_ids_lead_to_their_own_page_on_each_side(connection, visitor, region, center):
    TikTokShop.objects.update(region=region)
    order = plant(connection, "577000000000000123", OrderState.FINALIZED, order_name="#1001")
    page = page_of(visitor, order).content.decode()
    assert f'href="{center}/order/detail?order_no=577000000000000123" target="_blank"' in page
    assert 'store/tts-demo-store/orders/1577000000000000123" target="_top">#1001</a>' in page


def test_it_says_what_happened_what_comes_next_and_when_in_the_shop_s_zone(connection, visitor):
    release = timezone.now() + timedelta(minutes=40)
    order = plant(connection, "577000000000000123", release_at=release)
    page = text(page_of(visitor, order))
    assert "What happened A draft order stands in Shopify" in page
    local = release.astimezone(ZoneInfo("America/New_York"))
    assert f"Then it becomes a Shopify order. {local:%b} {local.day}, {local:%H:%M}" in page


def test_each_product_shows_what_it_is_linked_to(connection, visitor):
    order = plant(connection, "577000000000000123", OrderState.FINALIZED)
    for i, (sku, title) in enumerate([("1", "Tee"), ("1", "Tee"), ("2", "Mug"), ("3", "Gone")]):
        facts = {"cancelled": title == "Gone", "price": Decimal("20.0000")}
        OrderLine.objects.create(order=order, tiktok_line_id=str(i), sku_id=sku, title=title, **facts)
    SkuLink.objects.create(connection=connection, sku_id="1", variant_gid="g", variant_title="Tee Black / M")
    page = text(page_of(visitor, order))
    assert "Tee No SKU in TikTok Linked Tee Black / M 2 × 20.00 USD" in page
    assert "Mug No SKU in TikTok Custom line In Shopify without a variant" in page
    assert "Gone No SKU in TikTok Cancelled 1 × 20.00 USD" in page


def test_a_product_that_the_order_waits_for_leads_to_its_linking(connection, visitor):
    line = {
        "sku_id": "9",
        "seller_sku": "MUG-BLU",
        "title": "Mug",
        "sale_price": "18.00",
        "is_gift": False,
        "cancelled": False,
    }
    order = plant(
        connection,
        "577000000000000123",
        OrderState.RECEIVED,
        reason="sku_unmapped",
        detail={"lines": [{"sku_id": "9", "sku": "MUG-BLU", "title": "Mug"}]},
        money={
            "lines": [line | {"platform_discount": "0", "is_gift": False, "cancelled": False}],
            "amounts": {"sub_total": "18.00"},
        },
    )
    response = page_of(visitor, order)
    assert "Not linked" in text(response) and "1 × 18.00 USD" in text(response)
    assert f'href="/products?connection={connection.pk}&amp;find=MUG-BLU"' in response.content.decode()


def test_money_is_shown_side_by_side_with_the_reason_for_every_difference(connection, visitor):
    line = {"id": "1", "sku_id": "1", "seller_sku": "A", "title": "Tee", "is_gift": False, "cancelled": False}
    money = {
        "amounts": {"sub_total": "18.00", "shipping_fee": "3.00", "tax": "1.80", "total_amount": "22.80"},
        "unexplained": "0",
        "lines": [line | {"sale_price": "18.00", "platform_discount": "2.00"}],
    }
    order = plant(connection, "577000000000000123", money=money, expected_total=Decimal("23.00"))
    page = text(page_of(visitor, order))
    assert "Products 18.00 USD 20.00 USD TikTok pays its own discount out to you" in page
    assert "Tax 1.80 USD left out TikTok collects it and pays it to the state" in page
    assert "Total 22.80 USD 23.00 USD" in page


def test_british_prices_are_said_to_contain_vat(connection, visitor):
    TikTokShop.objects.update(region="GB")
    money = {
        "amounts": {"sub_total": "18.00", "tax": "3.00", "total_amount": "18.00"},
        "lines": [],
        "unexplained": "0",
    }
    order = plant(connection, "577000000000000123", money=money, currency="GBP")
    page = text(page_of(visitor, order))
    assert "The prices contain 3.00 GBP of tax." in page and "tax reports do not show it" in page


def test_deadlines_are_shown_with_how_near_they_are(connection, visitor):
    soon = timezone.now() + timedelta(hours=2)
    order = plant(connection, "577000000000000123", OrderState.FINALIZED, ship_by_at=soon, release_at=PLACED)
    page = text(page_of(visitor, order))
    assert re.search(r"TikTok releases it Nov 20, 13:30 \(done\)", page)
    assert re.search(r"Ship by, else it counts as late \w+ \d+, \d\d:\d\d Within 12 hours", page)


def test_a_parcel_shows_both_carriers_how_they_were_matched_and_tiktok_s_words(connection, visitor):
    order = plant(connection, "577000000000000123", OrderState.SHIPPED)
    ship(
        order,
        UPS,
        state=ParcelState.ACCEPTED,
        resolved_by="alias",
        verdict="ok",
        accepted_at=PLACED,
        package_id="11529",
        warning="The number could not be verified.",
        reason="tracking_warning",
        detail={"words": "The number could not be verified."},
        corrections=1,
    )
    page = text(page_of(visitor, order))
    for words in (
        "Carrier United Parcel → UPS (a spelling that we know)",
        "Number It fits the carrier.",
        "Accepted by TikTok Nov 20, 13:30 package 11529",
        "The number could not be verified.",
        "The one that TikTok allows has been used.",
    ):
        assert words in page


def test_the_log_is_shown_newest_first_with_who_did_what(connection, visitor):
    order = plant(connection, "577000000000000123")
    order.log.create(what="moved", old="received", new="on_hold", at=PLACED)
    order.log.create(what="chose", call="look again", by="42", at=PLACED + timedelta(seconds=1))
    page = text(page_of(visitor, order))
    assert "13:30:01 Asked to look again by user 42 of your store Nov 20, 13:30:00 Received → On hold" in page


def test_diagnostics_hold_ids_states_and_errors_in_utc(connection, visitor):
    order = plant(connection, "577000000000000123", OrderState.FINALIZED, last_error="TikTok 36009003 busy")
    ship(order, reason="number_invalid", detail={"number": MISTYPED})
    order.log.create(what="wrote", call="ship", detail={"number": MISTYPED}, at=PLACED)
    page = page_of(visitor, order).content.decode()
    told = re.search(r"<pre[^>]*>(.*?)</pre>", page, re.S)[1]
    for line in (
        "tiktok_id: 577000000000000123",
        "last_error: TikTok 36009003 busy",
        f"number: {MISTYPED}",
        "placed_at: 2026-11-20T18:30:00Z",
        "2026-11-20T18:30:00Z wrote ship",
    ):
        assert line in told


def test_the_page_stays_still_until_something_changed(connection, visitor):
    order = plant(connection, "577000000000000123")
    seen = re.search(r"live\?seen=(\w+)", page_of(visitor, order).content.decode())[1]
    assert visitor.fetch(f"/orders/{order.pk}/live", seen=seen).status_code == 204
    Order.objects.update(draft_name="#D9")
    assert "Draft #D9" in text(visitor.fetch(f"/orders/{order.pk}/live", seen=seen))


def test_an_order_names_the_others_that_tiktok_groups_into_its_parcel(connection, visitor):
    grouped = {"combine_group": "7000000000000000123"}
    order = plant(connection, "577000000000000123", OrderState.FINALIZED, **grouped)
    other = plant(
        connection, "577000000000000124", placed_at=PLACED + timedelta(hours=3), order_name="", **grouped
    )
    plant(connection, "577000000000000125")
    plant(connection, "577000000000000126", combine_group="7000000000000000999")
    theirs = connect(make_shop(domain="other-store.myshopify.com"), "7495000000000000002", "Harbor Goods")
    plant(theirs, "577000000000000127", **grouped)
    page = page_of(visitor, order)
    assert re.findall(r'<li class="together"><a href="(/orders/\d+)">(\d+)</a>', page.content.decode()) == [
        (f"/orders/{other.pk}", "577000000000000124")
    ]
    assert "Ship them together, and put the one tracking number on each." in text(page)
    alone = plant(connection, "577000000000000128", combine_group="7000000000000000555")
    assert "Ship them together" not in text(page_of(visitor, alone))


# ---- what a person does --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "reason", "buttons"),
    [
        (OrderState.ON_HOLD, "", {"look-again", "skip"}),
        (OrderState.ON_HOLD, "draft_deleted", {"look-again", "skip", "import"}),
        (OrderState.OFFERED, "older_than_connection", {"look-again", "import"}),
        (OrderState.SKIPPED, "tiktok_ships", {"look-again"}),
        (OrderState.FINALIZED, "", {"look-again"}),
        (OrderState.FINALIZED, "merchant_cancelled", {"look-again", "dismiss"}),
    ],
)
def test_an_order_offers_what_means_something_for_it(connection, visitor, state, reason, buttons):
    order = plant(connection, "577000000000000123", state, reason=reason)
    page = page_of(visitor, order).content.decode()
    offered = {"look": "look-again", "ask-import": "import", "ask-skip": "skip", "seen": "dismiss"}
    assert {name for key, name in offered.items() if f'id="{key}"' in page} == buttons


def test_an_order_is_kept_out_when_a_person_says_so(connection, visitor):
    order = plant(connection, "577000000000000123")
    assert (
        toast(visitor.post(f"/orders/{order.pk}/skip")) == "Order 577000000000000123 is kept out of Shopify"
    )
    order.refresh_from_db()
    assert order.skip and order.due_at and order.log.get().by == "42"


# What an open dialog may still ask for when the order has gone on.
TOO_LATE = [
    ("skip", OrderState.FINALIZED, ""),
    ("skip", OrderState.CANCELLED, ""),
    ("import", OrderState.ON_HOLD, ""),
    ("import", OrderState.FINALIZED, "unknown_kind"),
    ("import", OrderState.SKIPPED, "tiktok_ships"),
    ("restore", OrderState.FINALIZED, "draft_edited"),
    ("complete-anyway", OrderState.ON_HOLD, ""),
    ("complete-anyway", OrderState.FINALIZED, "address_missing"),
    ("dismiss", OrderState.FINALIZED, ""),
    ("dismiss", OrderState.ON_HOLD, "sku_unmapped"),
]


@pytest.mark.parametrize(("choice", "state", "reason"), TOO_LATE)
def test_a_choice_that_means_nothing_for_the_order_any_more_does_nothing_and_says_so(
    connection, visitor, choice, state, reason
):
    order = plant(connection, "577000000000000123", state, reason=reason)
    before = Order.objects.values().get()
    said = toast(visitor.post(f"/orders/{order.pk}/{choice}"))
    assert said == "Order 577000000000000123 has changed meanwhile; nothing was done."
    assert Order.objects.values().get() == before
    assert not order.log.exists()


def test_a_number_is_tried_again_and_a_remark_marked_as_seen(connection, visitor):
    order = plant(connection, "577000000000000123", OrderState.FINALIZED)
    waiting = ship(order, reason="tracking_refused", attempts=4)
    further = ship(order, UPS, state=ParcelState.KEPT, reason="several_numbers")
    assert toast(visitor.post(f"/parcels/{waiting.pk}/retry")) == f"Trying number {MISTYPED} again"
    visitor.post(f"/parcels/{further.pk}/dismiss")
    waiting.refresh_from_db()
    further.refresh_from_db()
    assert (waiting.attempts, waiting.due_at is not None, further.reason) == (0, True, "")
    assert visitor.post(f"/parcels/{further.pk}/send-anyway").status_code == 404
    assert visitor.post(f"/parcels/{further.pk}/sell").status_code == 404


# ---- correcting a number -------------------------------------------------------------------------


@pytest.fixture
def stopped(connection):
    order = plant(connection, "577000000000000123", OrderState.FINALIZED)
    parcel = ship(order, reason="number_invalid")
    OrderLine.objects.create(order=order, tiktok_line_id="1", parcel=parcel)
    return parcel


def correct(visitor, parcel, number, provider="11", **more):
    return visitor.post(f"/parcels/{parcel.pk}/correct", number=number, provider=provider, **more)


def test_the_form_offers_tiktok_s_carriers_and_what_stands(visitor, stopped):
    page = visitor.open(f"/parcels/{stopped.pk}/correct").content.decode()
    assert '<s-option value="11" selected>UPS</s-option>' in page
    assert f'name="number" label="Tracking number" value="{MISTYPED}"' in page
    assert "Shopify's fulfillment says: United Parcel" in page.replace("&#x27;", "'")


def test_a_good_number_takes_the_place_of_the_stopped_one_and_leads_back_to_the_order(visitor, stopped):
    response = correct(visitor, stopped, f" {UPS.lower()} ")
    assert (response.status_code, response["Location"]) == (302, f"/orders/{stopped.order_id}")
    new = Parcel.objects.get(number=UPS)
    assert (new.chosen_provider, new.company, new.replaces, new.units.count()) == (
        "11",
        "United Parcel",
        stopped,
        1,
    )
    assert new.due_at is not None


@pytest.mark.parametrize(
    ("number", "provider", "words"),
    [
        ("", "11", "No tracking number"),
        ("1Z!", "11", "The tracking number is not valid"),
        ("1Z410E7W0392751593", "11", "The tracking number is not valid"),
        (USPS, "11", "The number belongs to another carrier"),
        (UPS, "99", "TikTok does not list this carrier."),
        (MISTYPED, "11", "This is what stands already."),
    ],
)
def test_what_tiktok_would_refuse_is_said_beside_its_field(visitor, stopped, number, provider, words):
    response = correct(visitor, stopped, number, provider)
    assert f'error="{words}"' in response.content.decode()
    assert Parcel.objects.count() == 1


def test_a_doubt_can_be_overruled_but_only_when_it_was_shown(visitor, stopped):
    doubted = "1Z410E7W0392751593"
    assert 'name="anyway"' in correct(visitor, stopped, doubted).content.decode()
    assert correct(visitor, stopped, doubted, anyway="1").status_code == 302
    assert Parcel.objects.get(number=doubted).anyway


def test_a_number_that_was_replaced_on_this_fulfillment_cannot_come_back(visitor, stopped):
    ship(stopped.order, UPS, state=ParcelState.REPLACED)
    assert "was used for the fulfillment before" in correct(visitor, stopped, UPS).content.decode()


def test_a_number_in_the_hands_of_a_worker_is_not_changed(visitor, stopped):
    Parcel.objects.update(leased_until=timezone.now() + timedelta(seconds=20))
    assert "is being sent this moment" in correct(visitor, stopped, UPS).content.decode()
    assert Parcel.objects.count() == 1


@pytest.mark.parametrize(
    ("hours", "spent", "words"),
    [
        (1, 0, "It can be corrected once, within 72 hours of shipping."),
        (73, 0, "TikTok takes a correction only within 72 hours of shipping."),
        (1, 1, "TikTok lets a tracking number be corrected once only"),
    ],
)
def test_once_tiktok_has_the_number_the_form_warns_and_closes_with_tiktok_s_window(
    visitor, stopped, hours, spent, words
):
    accepted = {"accepted_at": timezone.now() - timedelta(hours=hours), "corrections": spent}
    Parcel.objects.update(state=ParcelState.ACCEPTED, reason="", number=UPS, **accepted)
    page = visitor.open(f"/parcels/{stopped.pk}/correct").content.decode()
    assert words in page
    assert ('name="number"' in page) == (hours < 72 and not spent)
    if not spent and hours < 72:
        assert correct(visitor, stopped, "1Z5R89390357567127").status_code == 302
        assert Parcel.objects.get(number="1Z5R89390357567127").replaces == stopped
    else:
        assert correct(visitor, stopped, "1Z5R89390357567127").status_code == 200
        assert Parcel.objects.count() == 1
