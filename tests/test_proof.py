"""The proof page: a day that adds up, what differs, and the comparison with TikTok."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection as database
from django.db.models import F
from django.utils import timezone

from connector import audits, clock, figures, guide, proof, setup
from connector.guide import Mark
from connector.models import Audit, Connection, Order, Parcel
from connector.states import OrderState
from shopify_app.sandbox import DEMO_SHOP
from tests.planting import connect, plant
from tests.shopify_script import make_shop
from tests.visits import Visitor, text

DAY = date(2026, 11, 20)
NEW_YORK = ZoneInfo("America/New_York")
NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)  # 12:00 in New York
EVERY_OUTCOME = {
    "in_shopify": [(OrderState.FINALIZED, {}), (OrderState.SHIPPED, {"reason": "cancel_requested"})],
    "held": [(OrderState.ON_HOLD, {}), (OrderState.RECEIVED, {})],
    "asking": [(OrderState.OFFERED, {"reason": "older"}), (OrderState.RECEIVED, {"reason": "no_lines"})],
    "kept_out": [(OrderState.SKIPPED, {"reason": "tiktok_ships"}), (OrderState.OUTSIDE, {"reason": "shipped_outside"})],
    "cancelled": [(OrderState.CANCELLED, {})],
}  # fmt: skip


@pytest.fixture
def shop(db):
    return make_shop(timezone="America/New_York", currency="USD", currencies=["USD"])


@pytest.fixture
def connection(shop):
    connection = connect(shop, "7495000000000000001", "Fig & Fleece")
    Connection.objects.update(started_at=NOON - timedelta(days=90))
    return connection


@pytest.fixture
def visitor(shop):
    return Visitor(shop.domain)


def on_the_day(connection, number, state, **facts):
    return plant(connection, f"5770000000000{number:05}", state, **({"placed_at": NOON} | facts))


def differences(shop):
    return dict(proof.orders_of(shop, DAY, NEW_YORK).values_list("tiktok_id", "difference"))


# ---- a day that adds up ----------------------------------------------------------------------------------------------


def test_every_order_has_exactly_one_outcome_and_the_columns_add_up(connection, shop, visitor):
    number = 0
    for rows in EVERY_OUTCOME.values():
        for state, facts in rows:
            number += 1
            on_the_day(connection, number, state, **facts)
    alive_and_cancelled_later = {"order_gid": "gid://shopify/Order/9", "order_name": "#9"}
    on_the_day(connection, 99, OrderState.CANCELLED, **alive_and_cancelled_later)
    (row,) = proof.sums(shop, DAY, NEW_YORK)
    assert row.counts == {name: len(rows) for name, rows in EVERY_OUTCOME.items()} | {"in_shopify": 3}
    assert row.known == Order.objects.count()
    page = text(visitor.open("/proof", day="2026-11-20"))
    expected = "= In Shopify 3 + On hold 2 + Waits for you 2 + Kept out by a rule 2 + Cancelled before 1"
    assert f"TikTok orders known 10 {expected}" in page


def test_every_state_has_an_outcome(connection, shop):
    for number, state in enumerate(OrderState):
        needs = {"order_gid": f"gid://o/{number}", "draft_gid": f"gid://d/{number}"}
        on_the_day(connection, number, state, **needs)
    (row,) = proof.sums(shop, DAY, NEW_YORK)
    assert row.known == len(OrderState)


def test_a_day_begins_at_midnight_in_the_shop_s_zone(connection, shop):
    midnight = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
    for number, moved in enumerate((-1, 0, 86_399, 86_400)):
        on_the_day(connection, number, OrderState.ON_HOLD, placed_at=midnight + timedelta(seconds=moved))
    (row,) = proof.sums(shop, DAY, NEW_YORK)
    assert row.known == 2
    assert [day.known for day in figures.days(shop, DAY + timedelta(days=1), 3, NEW_YORK)] == [1, 2, 1]


def test_a_day_of_25_hours_is_counted_whole():
    since, until = audits.bounds(date(2026, 11, 1), NEW_YORK)
    assert until.astimezone(UTC) - since.astimezone(UTC) == timedelta(hours=25)


def test_two_connections_are_added_up_apart_and_together(connection, shop, visitor):
    other = connect(shop, "7495000000000000009", "Harbor Goods")
    on_the_day(connection, 1, OrderState.ON_HOLD)
    on_the_day(other, 2, OrderState.ON_HOLD)
    page = text(visitor.open("/proof", day="2026-11-20"))
    assert (
        "Fig & Fleece Harbor Goods Together TikTok orders known 1 1 2 = In Shopify 0 0 0 + On hold 1 1 2"
        in page
    )


@pytest.mark.parametrize("day", ["", "nonsense", "2999-01-01", "1999-12-31", "2026-02-30"])
def test_a_day_that_does_not_exist_is_today(connection, visitor, day):
    today = timezone.now().astimezone(NEW_YORK)
    assert f"{today:%A, %B} {today.day}, {today:%Y}" in text(visitor.open("/proof", day=day))


def test_an_order_shows_its_shopify_object_or_the_rule_that_kept_it_out(connection, visitor):
    on_the_day(connection, 1, OrderState.FINALIZED, order_name="#1001", tiktok_status="AWAITING_SHIPMENT")
    on_the_day(connection, 2, OrderState.ON_HOLD, draft_name="#D7", tiktok_status="ON_HOLD")
    on_the_day(connection, 3, OrderState.SKIPPED, reason="tiktok_ships")
    on_the_day(connection, 4, OrderState.CANCELLED)
    page = text(visitor.open("/proof", day="2026-11-20"))
    for words in (
        "#1001 To ship",
        "Draft #D7 On hold",
        "TikTok ships this order",
        "Cancelled before it became",
    ):
        assert words in page


def test_the_orders_of_a_long_day_are_paged_and_each_is_met_once(connection, visitor):
    for number in range(60):
        on_the_day(connection, number, OrderState.CANCELLED, placed_at=NOON + timedelta(minutes=number // 7))
    first = visitor.open("/proof", day="2026-11-20").content.decode()
    link = first.partition("&amp;after=")[2].partition('"')[0].replace("%3A", ":").replace("%2B", "+")
    second = visitor.open("/proof", day="2026-11-20", after=link).content.decode()
    ids = [page.count('">5770') for page in (first, second)]
    assert ids == [50, 10]
    assert all(f"5770000000000{number:05}" in first + second for number in range(60))


# ---- what differs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "facts", "code"),
    [
        (OrderState.FINALIZED, {"tiktok_status": "CANCELLED"}, "cancelled_at_tiktok"),
        (OrderState.FINALIZED, {"tiktok_status": "CANCELLED", "changed_at": timezone.now()}, ""),
        (
            OrderState.FINALIZED,
            {"tiktok_status": "AWAITING_SHIPMENT", "shopify_state": "deleted"},
            "gone_in_shopify",
        ),
        (OrderState.FINALIZED, {"tiktok_status": "AWAITING_SHIPMENT", "shopify_state": "refunded"}, ""),
        (OrderState.ON_HOLD, {"tiktok_status": "AWAITING_SHIPMENT"}, "not_in_shopify"),
        (OrderState.ON_HOLD, {"tiktok_status": "ON_HOLD"}, ""),
        (OrderState.RECEIVED, {"reason": "sku_unmapped", "tiktok_status": "AWAITING_SHIPMENT"}, "asks"),
        (OrderState.SKIPPED, {"reason": "tiktok_ships", "tiktok_status": "AWAITING_SHIPMENT"}, ""),
    ],
)
def test_what_contradicts_itself_is_a_difference(connection, shop, state, facts, code):
    order = on_the_day(connection, 1, state, **({"changed_at": NOON} | facts))
    assert differences(shop) == {order.tiktok_id: code}


def test_only_differences_can_be_shown_each_with_a_button(connection, visitor):
    on_the_day(connection, 1, OrderState.ON_HOLD)
    wrong = on_the_day(connection, 2, OrderState.RECEIVED, reason="sku_unmapped")
    page = visitor.open("/proof", day="2026-11-20", show="differences").content.decode()
    assert wrong.tiktok_id in page and "577000000000000001" not in page
    assert f'hx-post="/orders/{wrong.pk}/look-again"' in page


def test_another_shop_s_orders_are_in_nobody_else_s_proof(connection, visitor):
    theirs = connect(make_shop(domain="other-store.myshopify.com"), "7495000000000000002", "Harbor Goods")
    on_the_day(theirs, 77, OrderState.ON_HOLD)
    audits.ask(theirs.shop, DAY, NEW_YORK, "7")
    page = text(visitor.open("/proof", day="2026-11-20"))
    assert "577000000000000077" not in page and "Harbor" not in page
    assert "Harbor" not in text(visitor.fetch("/proof/2026-11-20/comparison"))


# ---- compared with TikTok --------------------------------------------------------------------------------------------


def test_a_comparison_is_asked_for_once_and_the_page_follows_it(connection, visitor):
    page = visitor.post("/proof/2026-11-20/compare").content.decode()
    assert (
        'hx-get="/proof/2026-11-20/comparison" hx-trigger="load delay:1s"' in page and "Asking TikTok" in page
    )
    visitor.post("/proof/2026-11-20/compare")
    audit = Audit.objects.get()
    assert (audit.by, audit.day) == ("42", DAY) and audit.due_at <= timezone.now()
    Audit.objects.update(read=100, total=250)
    assert "100 of 250 orders read" in text(visitor.fetch("/proof/2026-11-20/comparison"))
    Audit.objects.update(finished_at=timezone.now())
    ended = visitor.fetch("/proof/2026-11-20/comparison")
    assert (ended["HX-Retarget"], ended["HX-Reselect"]) == ("#page", "#page")
    assert 'hx-get="/proof' not in ended.content.decode() and "TikTok orders known" in text(ended)


@pytest.mark.parametrize("day", ["2999-01-01", "nonsense", "2019-01-01"])
def test_a_day_that_cannot_have_orders_cannot_be_compared(connection, visitor, day):
    assert visitor.post(f"/proof/{day}/compare").status_code == 404
    assert visitor.fetch(f"/proof/{day}/comparison").status_code == 404


def test_without_a_connection_at_work_there_is_nobody_to_ask(connection, visitor):
    Connection.objects.update(paused_reason="tiktok_access_lost")
    assert "No connection is at work to ask through." in text(visitor.fetch("/proof/2026-11-20/comparison"))


def today_of(world):
    return timezone.now().astimezone(ZoneInfo(world.shop.timezone or "UTC")).date()


def compared(world):
    zone = ZoneInfo(world.shop.timezone or "UTC")
    audits.ask(world.shop, today_of(world), zone, "42")
    world.settle()
    return Audit.objects.latest("asked_at")


def test_a_day_without_difference_is_said_to_be_so(world):
    for _ in range(3):
        world.placed()
    audit = compared(world)
    assert (audit.read, audit.findings, audit.words, audit.seen) == (3, [], "", [])
    page = text(Visitor(DEMO_SHOP).fetch(f"/proof/{today_of(world)}/comparison"))
    assert "TikTok named 3 orders" in page and "No difference." in page


def test_an_order_that_we_missed_is_found_and_taken_in(world):
    world.tiktok.webhooks.drop(1000)
    missed = world.tiktok.place_order()
    audit = compared(world)
    assert audit.findings == [{"what": "missing_here", "order": missed, "before": "", "after": "ON_HOLD"}]
    assert world.order(missed).state == OrderState.ON_HOLD
    page = text(Visitor(DEMO_SHOP).fetch(f"/proof/{today_of(world)}/comparison"))
    assert f"{missed} Missing here – ON_HOLD It has been taken in now." in page
    assert compared(world).findings == []


def test_a_status_that_differs_is_reported_and_read_again(world):
    order = world.placed()
    world.tiktok.webhooks.drop(1000)
    world.tiktok.cancel(order.tiktok_id)
    audit = compared(world)
    assert audit.findings == [
        {"what": "status", "order": order.tiktok_id, "before": "ON_HOLD", "after": "CANCELLED"}
    ]
    order.refresh_from_db()
    assert order.state == OrderState.CANCELLED


def test_amounts_that_differ_from_what_shopify_was_given_are_reported(world):
    order = world.placed()
    Order.objects.filter(pk=order.pk).update(
        expected_total=F("expected_total") + 1, money={**order.money, "lines": []}
    )
    (found,) = compared(world).findings
    assert (found["what"], found["order"]) == ("amounts", order.tiktok_id)
    assert found["before"] != found["after"]


def test_an_order_that_tiktok_does_not_name_is_looked_up(world):
    order = world.placed()
    Order.objects.filter(pk=order.pk).update(tiktok_id="577999999999999999", due_at=None)
    found = {one["what"]: one["order"] for one in compared(world).findings}
    assert found == {"missing_here": order.tiktok_id, "missing_there": "577999999999999999"}
    order.refresh_from_db()
    assert order.reason == "order_not_found"


def test_a_long_day_is_read_page_by_page(world):
    world.tiktok.webhooks.drop(1000)
    for _ in range(101):
        world.tiktok.place_order()
    audits.ask(world.shop, today_of(world), ZoneInfo(world.shop.timezone or "UTC"), "42")
    audit = Audit.claim(world.shop.pk, 1)[0]
    audits.advance(audit)
    assert (audit.read, audit.total, audit.finished_at) == (100, 101, None) and audit.due_at
    audits.advance(Audit.claim(world.shop.pk, 1)[0])  # TikTok's second page
    audits.advance(Audit.claim(world.shop.pk, 1)[0])  # Shopify's
    audit.refresh_from_db()
    assert (audit.read, len(audit.findings)) == (101, 101) and audit.finished_at


def test_a_comparison_that_tiktok_refuses_ends_with_its_words(world):
    world.placed()
    world.tiktok.take_scope("Order Information")
    audit = compared(world)
    assert audit.finished_at and "105005" in audit.words
    assert "not finished" in text(Visitor(DEMO_SHOP).fetch(f"/proof/{today_of(world)}/comparison"))


def test_old_comparisons_are_forgotten_with_the_orders_they_are_about(connection):
    audits.ask(connection.shop, DAY, NEW_YORK, "42")
    Audit.objects.update(finished_at=NOON - timedelta(days=600))
    audits.ask(connection.shop, DAY, NEW_YORK, "42")
    clock.purge(NOON)
    assert Audit.objects.get().finished_at is None


# ---- the setup, read from both shops ---------------------------------------------------------------------------------


def steps_of(world):
    connection = Connection.objects.get(pk=world.connection.pk)
    return {found.step: found for found in guide.findings(connection)}


def test_the_first_pull_reads_the_setup_of_both_shops(world):
    steps = steps_of(world)
    for step in ("tiktok", "shopify", "shipping", "warehouses", "carriers", "webhooks", "others"):
        assert steps[step].mark is Mark.GOOD, steps[step].told
    assert steps["order"].mark is Mark.LATER
    order = world.finalized()
    steps = steps_of(world)
    assert (steps["order"].mark, steps["order"].facts["name"]) == (Mark.GOOD, order.order_name)
    assert steps["currency"].mark is Mark.GOOD


def test_what_was_taken_away_shows_at_the_next_check(world):
    world.tiktok.take_scope("Logistics Basic")
    setup.ask(world.connection)
    world.settle()
    connection = Connection.objects.get(pk=world.connection.pk)
    assert connection.setup_wanted_at is None
    steps = steps_of(world)
    assert steps["warehouses"].mark is Mark.WRONG and "105005" in steps["warehouses"].told
    assert not connection.paused


# ---- at size ---------------------------------------------------------------------------------------------------------

AGE = "interval '80 seconds' * (i %% 195000)"  # over half a year
ORDERS = {
    "tiktok_id": "i::text",
    "tiktok_status": "CASE WHEN i %% 7 = 0 THEN 'DELIVERED' ELSE 'COMPLETED' END",
    "state": "CASE WHEN i %% 500 = 0 THEN 'received' WHEN i %% 50 = 1 THEN 'finalized' ELSE 'completed' END",
    "reason": "CASE WHEN i %% 500 = 0 THEN 'sku_unmapped' ELSE '' END",
    "placed_at": f"now() - {AGE}",
    "released_at": f"now() - {AGE} + interval '1 hour'",
    "finalized_at": f"now() - {AGE} + interval '61 minutes'",
    "ship_by_at": f"now() - {AGE} + interval '5 days'",
}
PARCELS = {
    "fulfillment_gid": "'gid://' || i",
    "accepted_at": f"now() - {AGE}",
    "fulfilled_at": f"now() - {AGE}",
}


def multiply(row, n, given):
    """Copies of a row that differ in the columns given as SQL, where i counts them."""
    columns = [
        field.column for field in row._meta.concrete_fields if not field.primary_key and not field.generated
    ]
    values = ", ".join(given.get(column, f"model.{column}") for column in columns)
    table = row._meta.db_table
    with database.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)})"
            f" SELECT {values} FROM {table} model, generate_series(1, %s) i WHERE model.id = %s",
            [n, row.pk],
        )
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ANALYZE {table}")


@pytest.fixture
def many(connection):
    """200,000 orders and 50,000 parcels of one shop, and some of another."""
    others = connect(make_shop(domain="other-store.myshopify.com"), "7495000000000000002", "Harbor Goods")
    for one, n in ((connection, 200_000), (others, 10_000)):
        order = plant(
            one, "model", OrderState.FINALIZED, order_gid=f"gid://{one.pk}", placed_at=timezone.now()
        )
        multiply(order, n, ORDERS | {"order_gid": f"'gid://{one.pk}/' || i"})
        parcel = Parcel.objects.create(
            shop=one.shop, order=order, fulfillment_gid=f"gid://{one.pk}", number="1", state="accepted"
        )
        multiply(parcel, n // 4, PARCELS | {"fulfillment_gid": f"'gid://{one.pk}/' || i"})


class Plans:
    """Asks PostgreSQL how it reads each statement on orders, parcels and events, on a disk that does not turn.

    Dead rows of the tests before are not vacuumed, and must not tip a plan.
    """

    def __init__(self):
        self.seen = []

    def __call__(self, execute, sql, params, many, context):
        named = any(table in sql for table in ("connector_order", "connector_parcel", "connector_inboxevent"))
        if named and sql.lstrip("( \n").startswith(("SELECT", "UPDATE", "DELETE")):
            with database.connection.cursor() as cursor:
                cursor.execute("SET LOCAL random_page_cost = 1.1")
                cursor.execute("EXPLAIN " + sql, params)
                self.seen.append(sql + "\n" + "\n".join(row[0] for row in cursor.fetchall()))
        return execute(sql, params, many, context)


def test_no_figure_of_home_or_proof_reads_a_whole_table(many, visitor):
    plans = Plans()
    with database.execute_wrapper(plans):
        answers = [
            visitor.open("/"),
            visitor.fetch("/home/standing"),
            visitor.open("/proof"),
            visitor.open("/proof", show="differences"),
        ]
    assert {answer.status_code for answer in answers} == {200}
    assert len(plans.seen) > 10
    tables = ("connector_order ", "connector_parcel ")
    assert [plan for plan in plans.seen if any(f"Seq Scan on {table}" in plan for table in tables)] == []
