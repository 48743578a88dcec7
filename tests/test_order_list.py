"""The list of orders: what each filter and search finds, paging both ways, deadlines, choices for many, the file."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from connector import listing
from connector.models import Order, OrderLine, Parcel
from connector.states import OrderState
from connector.views.row import minute
from shopify_app.models import Shop
from tests.planting import PLACED, connect, plant
from tests.shopify_script import make_shop
from tests.visits import Visitor

OTHER = "other-store.myshopify.com"


@pytest.fixture
def shop(db):
    return make_shop(timezone="America/New_York", currency="USD")


@pytest.fixture
def connection(shop):
    return connect(shop, "7495000000000000001", "Fig & Fleece")


@pytest.fixture
def visitor(shop):
    return Visitor(shop.domain)


@pytest.fixture
def theirs(db):
    return connect(make_shop(domain=OTHER), "7495000000000000002", "Harbor Goods")


def ids(response) -> list[str]:
    return re.findall(r'<span class="number">(\d{18})</span></a>', response.content.decode())


def beside(response) -> dict[str, str]:
    """The links to the pages beside this one: rel and query."""
    found = re.findall(r'<a rel="(prev|next)" href="/orders\?([^"]+)"', response.content.decode())
    return {rel: query.replace("&amp;", "&") for rel, query in found}


def follow(visitor, query: str):
    return visitor.fetch(f"/orders?{query}")


def toast(response) -> str:
    return json.loads(response["HX-Trigger"])["toast"]["words"]


# ---- what it shows -------------------------------------------------------------------------------


@pytest.mark.parametrize("show", ["shipped", "delivered", "completed"])
def test_what_left_the_store_has_a_tab_for_each_stretch_of_its_way(connection, visitor, show):
    facts = {"order_name": "#1"}
    for i, state in enumerate(("shipped", "delivered", "completed")):
        gid = f"gid://shopify/Order/{i}"
        plant(connection, f"57700000000000000{i}", state, order_gid=gid, **facts)
    found = ids(visitor.open("/orders", show=show))
    assert [Order.objects.get(tiktok_id=tiktok_id).state for tiktok_id in found] == [show]


def test_tabs_of_several_states_are_one_list_newest_first(connection, visitor):
    for i in range(6):
        state = (OrderState.OFFERED, OrderState.SKIPPED, OrderState.OUTSIDE)[i % 3]
        plant(connection, f"57700000000000000{i}", state, placed_at=PLACED - timedelta(minutes=i))
    assert ids(visitor.open("/orders", show="kept-out")) == [f"57700000000000000{i}" for i in range(6)]


@pytest.mark.parametrize("find", ["TEE-BLK-M", "tee-blk-m", "1Z410E7W0392751591", "1z 410e7w 0392751591"])
def test_an_order_is_found_by_sku_and_by_tracking_number(connection, visitor, find):
    order = plant(connection, "577000000000000123", OrderState.FINALIZED)
    plant(connection, "577000000000000999", OrderState.FINALIZED)
    OrderLine.objects.create(order=order, tiktok_line_id="1", seller_sku="TEE-BLK-M")
    Parcel.objects.create(shop=order.shop, order=order, fulfillment_gid="g", number="1Z410E7W0392751591")
    assert ids(visitor.open("/orders", find=find)) == ["577000000000000123"]


def test_what_is_searched_for_is_never_found_in_another_shop(connection, visitor, theirs):
    order = plant(theirs, "577000000000000777", OrderState.FINALIZED, order_name="#1001")
    OrderLine.objects.create(order=order, tiktok_line_id="1", seller_sku="TEE-BLK-M")
    Parcel.objects.create(shop=order.shop, order=order, fulfillment_gid="g", number="1Z410E7W0392751591")
    for find in ("577000000000000777", "#1001", "TEE-BLK-M", "1Z410E7W0392751591"):
        assert ids(visitor.open("/orders", find=find)) == []


def test_an_order_that_asks_for_itself_and_for_a_parcel_is_listed_once(connection, visitor):
    both = plant(connection, "577000000000000001", OrderState.FINALIZED, reason="unexpected")
    parcel = plant(connection, "577000000000000002", OrderState.FINALIZED)
    plant(connection, "577000000000000003", OrderState.SKIPPED, reason="tiktok_ships")
    for order in (both, parcel):
        gid = f"gid://{order.pk}"
        Parcel.objects.create(
            shop=order.shop, order=order, fulfillment_gid=gid, number="1Z", reason="number_invalid"
        )
    assert ids(visitor.open("/orders", show="attention")) == ["577000000000000002", "577000000000000001"]
    assert visitor.open("/orders").content.decode().count("Needs attention</s-badge>") == 2


@pytest.mark.parametrize(
    ("hours", "words"), [(-1, "Overdue"), (11, "Within 12 hours"), (23, "Within 24 hours"), (25, "")]
)
def test_the_deadline_of_an_order_to_ship_is_coloured_by_how_near_it_is(connection, visitor, hours, words):
    at = timezone.now() + timedelta(hours=hours)
    plant(connection, "577000000000000123", OrderState.FINALIZED, ship_by_at=at)
    page = visitor.open("/orders").content.decode()
    badges = re.findall(r"<s-badge[^>]*>(Overdue|Within[^<]*)<", page)
    assert badges == ([words] if words else [])


def test_an_order_that_is_shipped_or_cancelled_has_no_deadline_to_miss(connection, visitor):
    late = {"ship_by_at": timezone.now() - timedelta(days=1)}
    plant(connection, "577000000000000123", OrderState.SHIPPED, **late)
    plant(connection, "577000000000000124", OrderState.CANCELLED, **late)
    assert "Overdue" not in visitor.open("/orders").content.decode()


# ---- what it costs -------------------------------------------------------------------------------


def many(connection, n=60):
    for i in range(n):
        state = (OrderState.ON_HOLD, OrderState.SHIPPED, OrderState.SKIPPED)[i % 3]
        reason = "unexpected" if i % 5 == 0 else ""
        placed = PLACED - timedelta(minutes=i)
        order = plant(connection, f"5770000000000000{i:02}", state, reason=reason, placed_at=placed)
        Parcel.objects.create(shop=order.shop, order=order, fulfillment_gid=f"g{i}", number=f"1Z{i}")


@pytest.mark.parametrize(
    "query", [{"show": show} for show in listing.SHOWS] + [{"find": "1Z7"}, {"find": "#1001"}]
)
def test_a_page_of_the_list_takes_the_same_few_statements_however_many_orders_it_has(
    connection, visitor, query
):
    visitor.open("/orders")  # the first visit of a process looks up more
    many(connection)
    with CaptureQueriesContext(database) as asked:
        assert visitor.open("/orders", **query).status_code == 200
    assert len(asked) <= (5 if "show" in query else 7)


def test_a_row_leads_to_its_order_and_has_it_looked_at_again(connection, visitor):
    order = plant(connection, "577000000000000001", OrderState.ON_HOLD)
    page = visitor.open("/orders").content.decode()
    assert f'href="{reverse("order", args=[order.pk])}"' in page
    assert f'hx-post="{reverse("choose", args=[order.pk, "look-again"])}"' in page


@pytest.mark.parametrize("month", range(1, 13))
def test_a_row_writes_a_time_as_every_other_page_does(month):
    at = datetime(2026, month, 9, 7, 5, tzinfo=UTC)
    assert minute(at) == date_format(at, "M j, H:i")


def seen(response) -> str:
    return re.search(r"seen=([0-9a-f.]+)", response.content.decode())[1]


def test_an_open_list_is_told_nothing_until_a_row_or_a_notice_has_changed(connection, visitor):
    many(connection, 3)
    mark = seen(visitor.open("/orders"))
    quiet = visitor.fetch("/orders/rows", seen=mark)
    assert (quiet.status_code, quiet.content) == (204, b"")
    Order.objects.filter(tiktok_id="577000000000000001").update(order_name="#1777")
    news = visitor.fetch("/orders/rows", seen=mark)
    assert "#1777" in news.content.decode() and 'id="notices"' not in news.content.decode()
    assert visitor.fetch("/orders/rows", seen=seen(news)).status_code == 204


def test_the_number_of_those_that_need_attention_follows_on_another_tab(connection, visitor):
    many(connection, 3)
    mark = seen(visitor.open("/orders", show="shipped"))
    Order.objects.filter(state=OrderState.ON_HOLD).update(reason="")
    news = visitor.fetch("/orders/rows", show="shipped", seen=mark).content.decode()
    assert re.search(r'<span id="asking" class="count" hx-swap-oob="true"></span>', news)


# ---- paging --------------------------------------------------------------------------------------


@pytest.mark.parametrize("show", ["all", "kept-out"])
def test_paging_back_meets_the_same_pages_as_paging_forth(connection, visitor, show):
    for i in range(120):
        placed = None if i >= 103 else PLACED - timedelta(minutes=i // 3)
        state = OrderState.SKIPPED if i % 2 else OrderState.OUTSIDE
        plant(connection, f"577000000000000{i:03}", state, placed_at=placed)
    page = visitor.open("/orders", show=show)
    down, up = [ids(page)], []
    while "next" in beside(page):
        page = follow(visitor, beside(page)["next"])
        down.append(ids(page))
    while "prev" in beside(page):
        page = follow(visitor, beside(page)["prev"])
        up.append(ids(page))
    assert [len(found) for found in down] == [50, 50, 20]
    assert up == [down[1], down[0]]


def test_a_new_order_meanwhile_shifts_no_page(connection, visitor):
    for i in range(60):
        plant(
            connection,
            f"5770000000000000{i:02}",
            OrderState.CANCELLED,
            placed_at=PLACED - timedelta(minutes=i),
        )
    first = visitor.open("/orders")
    plant(connection, "577000000000000999", OrderState.CANCELLED, placed_at=PLACED + timedelta(minutes=1))
    second = follow(visitor, beside(first)["next"])
    assert not set(ids(first)) & set(ids(second))
    assert ids(follow(visitor, beside(second)["prev"])) == ids(first)


@pytest.mark.parametrize("cursor", ["nonsense", "_", "2026-13-01_5", f"_{'9' * 50}"])
def test_a_broken_cursor_upwards_shows_a_page_all_the_same(connection, visitor, cursor):
    plant(connection, "577000000000000123")
    assert visitor.open("/orders", before=cursor).status_code == 200


# ---- several TikTok shops ----------------------------------------------------------------------------


@pytest.fixture
def second(shop):
    return connect(shop, "7495000000000000009", "Harbor Goods")


def shown_shops(response) -> list[str]:
    return re.findall(r'<span class="quiet shop">([^<]+)</span>', response.content.decode())


def test_an_order_names_its_tiktok_shop_where_there_are_several(connection, visitor):
    plant(connection, "577000000000000001")
    assert shown_shops(visitor.open("/orders")) == []
    second = connect(connection.shop, "7495000000000000009", "Harbor Goods")
    plant(second, "577000000000000002")
    assert shown_shops(visitor.open("/orders")) == ["Harbor Goods", "Fig &amp; Fleece"]


def test_every_list_is_narrowed_to_one_tiktok_shop_and_so_is_the_file(connection, second, visitor):
    asking = {"reason": "sku_unmapped"}
    plant(connection, "577000000000000001", **asking)
    plant(second, "577000000000000002", **asking)
    parcel = plant(second, "577000000000000003", OrderState.FINALIZED)
    Parcel.objects.create(
        shop=parcel.shop, order=parcel, fulfillment_gid="gid://1", number="1Z", reason="carrier_unknown"
    )
    here = str(second.pk)
    assert ids(visitor.open("/orders", connection=here)) == ["577000000000000003", "577000000000000002"]
    assert ids(visitor.open("/orders", show="hold", connection=here)) == ["577000000000000002"]
    assert ids(visitor.open("/orders", show="attention", connection=here)) == [
        "577000000000000003",
        "577000000000000002",
    ]
    assert ids(
        visitor.open("/orders", show="attention", reason="sku_unmapped", connection=str(connection.pk))
    ) == ["577000000000000001"]
    file = rows_of(visitor.fetch("/orders/export", show="hold", connection=here))
    assert [row["tiktok_order_id"] for row in file] == ["577000000000000002"]


def test_the_filter_for_a_tiktok_shop_is_kept_by_tabs_pages_and_the_look_every_two_seconds(
    connection, second, visitor
):
    for i in range(60):
        plant(second, f"5770000000000001{i:02}")
    page = visitor.open("/orders", show="hold", connection=str(second.pk))
    html = page.content.decode()
    named = f"connection={second.pk}"
    assert f'<a href="/orders?show=hold&amp;{named}" aria-current="page">Harbor Goods</a>' in html
    assert f'<a href="/orders?show=hold&amp;connection={connection.pk}">Fig &amp; Fleece</a>' in html
    assert '<a href="/orders?show=hold">All shops</a>' in html
    assert f'<a href="/orders?show=ship&amp;{named}">' in html
    assert re.search(rf'id="rows" hx-get="[^"]*{named}[^"]*"', html)
    assert named in beside(page)["next"] and named in re.search(r"/orders/export\?([^\"]*)", html)[1]
    assert len(ids(follow(visitor, beside(page)["next"]))) == 10


def test_another_store_s_tiktok_shop_filters_to_nothing(connection, visitor, theirs):
    plant(theirs, "577000000000000777")
    assert ids(visitor.open("/orders", connection=str(theirs.pk))) == []
    assert visitor.open("/orders", connection="x" * 50).status_code == 200
    assert "Harbor" not in visitor.open("/orders", connection=str(theirs.pk)).content.decode()


def test_home_names_the_tiktok_shop_of_an_order_that_must_be_shipped(connection, second, visitor):
    soon = timezone.now() + timedelta(hours=2)
    plant(connection, "577000000000000001", OrderState.FINALIZED, ship_by_at=soon)
    plant(second, "577000000000000002", OrderState.FINALIZED, ship_by_at=soon)
    page = visitor.open("/").content.decode()
    assert re.findall(r"</a> <span class=\"quiet\">(Fig &amp; Fleece|Harbor Goods) · ship by", page)
    assert f'href="/orders?show=attention&amp;connection={second.pk}"' in page


# ---- choices for many ----------------------------------------------------------------------------


def test_many_orders_are_looked_at_again(connection, visitor):
    orders = [plant(connection, f"57700000000000000{i}") for i in range(3)]
    response = visitor.post("/orders/chosen/look-again", order=[order.pk for order in orders[:2]])
    assert toast(response) == "Looking at 2 orders now."
    assert [Order.objects.get(pk=order.pk).due_at is not None for order in orders] == [True, True, False]


def test_only_what_is_no_order_in_shopify_yet_is_kept_out(connection, visitor):
    held, shipped = (
        plant(connection, "577000000000000001"),
        plant(connection, "577000000000000002", "shipped"),
    )
    response = visitor.post("/orders/chosen/skip", order=[held.pk, shipped.pk])
    assert toast(response) == "1 order is kept out. 1 stays as it is."
    assert list(Order.objects.order_by("pk").values_list("skip", flat=True)) == [True, False]


def test_only_what_a_rule_or_choice_keeps_out_is_imported(connection, visitor):
    older = plant(connection, "577000000000000001", OrderState.OFFERED, reason="older_than_connection")
    label = plant(connection, "577000000000000002", OrderState.SKIPPED, reason="tiktok_ships")
    response = visitor.post("/orders/chosen/import", order=[older.pk, label.pk])
    assert toast(response) == "1 order will be imported. 1 stays as it is."
    assert list(Order.objects.order_by("pk").values_list("chosen", flat=True)) == [True, False]


def test_a_choice_for_many_never_touches_another_shop_s_orders(connection, visitor, theirs):
    order = plant(theirs, "577000000000000777")
    response = visitor.post("/orders/chosen/skip", order=[order.pk, "x", "1e9"])
    assert toast(response) == "0 orders are kept out."
    order.refresh_from_db()
    assert not order.skip
    assert visitor.post("/orders/chosen/delete", order=[order.pk]).status_code == 404
    assert Client().post("/orders/chosen/skip", {"order": order.pk}).status_code == 401


# ---- the file ------------------------------------------------------------------------------------


def rows_of(response) -> list[dict[str, str]]:
    text = b"".join(response.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_the_file_holds_the_whole_filter_in_the_shop_s_zone_and_nobody_else_s(connection, visitor, theirs):
    plant(theirs, "577000000000000777", OrderState.FINALIZED)
    plant(connection, "577000000000000999", OrderState.CANCELLED)
    for i in range(60):
        order = plant(connection, f"5770000000000000{i:02}", OrderState.FINALIZED, order_name=f"#{i}")
    OrderLine.objects.create(order=order, tiktok_line_id="1", seller_sku="MUG")
    OrderLine.objects.create(order=order, tiktok_line_id="2", seller_sku="MUG")
    OrderLine.objects.create(order=order, tiktok_line_id="3", seller_sku="TEE", cancelled=True)
    number = {"number": "1Z", "provider_name": "UPS", "state": "accepted"}
    Parcel.objects.create(shop=order.shop, order=order, fulfillment_gid="g", **number)
    response = visitor.fetch("/orders/export", show="ship")
    rows = rows_of(response)
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert len(rows) == 60
    assert rows[0]["tiktok_order_id"] == order.tiktok_id
    assert (rows[0]["placed_at"], rows[0]["total"]) == ("2026-11-20 13:30:00-05:00", "1234.5000")
    assert (rows[0]["goods"], rows[0]["tracking_numbers"], rows[0]["carriers"]) == ("2 x MUG", "1Z", "UPS")


def test_the_file_of_a_search_holds_what_was_found(connection, visitor):
    plant(connection, "577000000000000001", OrderState.FINALIZED, order_name="#1001")
    plant(connection, "577000000000000002", OrderState.FINALIZED, order_name="#1002")
    rows = rows_of(visitor.fetch("/orders/export", find="1002"))
    assert [row["tiktok_order_id"] for row in rows] == ["577000000000000002"]


def test_no_cell_of_the_file_is_a_formula(connection, visitor):
    order = plant(connection, "577000000000000001")
    OrderLine.objects.create(order=order, tiktok_line_id="1", seller_sku="x")
    Order.objects.update(order_name="=HYPERLINK(1)", draft_name="@SUM(1)")
    row = rows_of(visitor.fetch("/orders/export"))[0]
    assert (row["shopify_order"], row["shopify_draft"]) == ("'=HYPERLINK(1)", "'@SUM(1)")


def test_the_file_needs_a_token_of_its_own(connection):
    assert Client().get("/orders/export", headers={"Authorization": "Bearer x"}).status_code == 401
    assert Client().get("/orders/export").status_code == 302


def test_the_link_to_the_file_keeps_the_filter(connection, visitor):
    page = visitor.open("/orders", show="ship").content.decode()
    assert 'href="/orders/export?show=ship" data-download="tiktok-shop-orders.csv"' in page


def test_a_time_zone_of_nowhere_breaks_no_file(connection, visitor):
    Shop.objects.update(timezone="Mars/Olympus")
    plant(connection, "577000000000000001")
    assert rows_of(visitor.fetch("/orders/export"))[0]["placed_at"] == "2026-11-20 18:30:00+00:00"
