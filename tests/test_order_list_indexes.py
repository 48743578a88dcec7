"""At 200,000 orders every query of every page, and every statement that looks for rows, is answered from an index."""

import re
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone

from connector import (
    alerts,
    audits,
    choices,
    clock,
    consent,
    health,
    inbox,
    jobs,
    listing,
    preferences,
    status,
)
from connector.models import Connection, InboxEvent, Order, OrderLine, OrderLog, Parcel
from connector.policy import Policy
from connector.states import OrderState
from tests.planting import connect, plant
from tests.shopify_script import make_shop
from tests.test_proof import Plans, multiply
from tests.visits import Visitor

TABLES = ("order", "orderline", "parcel", "orderlog", "inboxevent")
# Of every 1,000 orders: the oldest 20 were offered and never taken, 1 is held, 4 are to be shipped, the rest is done.
STATES = """CASE WHEN i <= 4000 THEN 'offered' WHEN i %% 1000 = 1 THEN 'on_hold' WHEN i %% 250 = 2 THEN 'finalized'
            WHEN i %% 50 = 3 THEN 'cancelled' WHEN i %% 20 = 4 THEN 'shipped' ELSE 'completed' END"""
ORDERS = {
    "tiktok_id": "'5770' || lpad(i::text, 14, '0')",
    "state": STATES,
    "reason": "CASE WHEN i <= 4000 THEN 'older_than_connection' WHEN i %% 5000 = 1 THEN 'total_mismatch' ELSE '' END",
    "placed_at": "now() - (200000 - i) * interval '90 seconds'",
    "tiktok_status": "'COMPLETED'",
    "draft_name": "'#D' || i",
    "order_name": "'#' || i",
}


@pytest.fixture
def shop(db):
    return make_shop(timezone="America/New_York", currency="USD")


@pytest.fixture
def orders(shop):
    """200,000 orders of one shop with a line each and a parcel for every fourth, and some of another shop."""
    others = connect(make_shop(domain="other-store.myshopify.com"), "7495000000000000002", "Harbor Goods")
    for one, n in ((connect(shop, "7495000000000000001", "Fig"), 200_000), (others, 1_000)):
        model = plant(one, "model", OrderState.RECEIVED, placed_at=timezone.now() - timedelta(days=900))
        gids = {name: f"'gid://{one.pk}/{name}/' || i" for name in ("draft_gid", "order_gid")}
        multiply(model, n, ORDERS | gids)
        parcel = Parcel.objects.create(
            shop=one.shop, order=model, fulfillment_gid=f"{one.pk}", number="m", state="accepted"
        )
        theirs = {
            "order_id": f"{model.pk} + i * 4",
            "number": "'1Z' || i",
            "fulfillment_gid": f"'{one.pk}/' || i",
        }
        multiply(
            parcel, n // 4, theirs | {"reason": "CASE WHEN i %% 500 = 0 THEN 'number_invalid' ELSE '' END"}
        )
        line = OrderLine.objects.create(order=model, tiktok_line_id="m", seller_sku="m")
        skus = "CASE WHEN i %% 100000 = 7 THEN 'RARE' ELSE 'TEE-' || i %% 5 END"
        multiply(line, n, {"order_id": f"{model.pk} + i", "seller_sku": skus})


def whole(plans) -> list[str]:
    return [plan for plan in plans.seen if any(f"Seq Scan on connector_{table} " in plan for table in TABLES)]


def test_no_query_of_the_list_and_the_page_reads_a_whole_table(orders, shop):
    visitor, plans = Visitor(shop.domain), Plans()
    middle = Order.objects.filter(shop=shop).order_by("-placed_at")[90_000]
    cursor = listing.Cursor.of(middle).text
    wishes = [{"show": show} for show in listing.SHOWS]
    wishes += [
        {"show": show, way: cursor} for show in ("all", "kept-out", "hold") for way in ("after", "before")
    ]
    wishes += [
        {"find": find}
        for find in ("577000000000090000", "#90000", "#D90000", "1Z22500", "TEE-3", "RARE", "none")
    ]
    second = connect(shop, "7495000000000000009", "Harbor Goods")
    few = Order.objects.filter(shop=shop).order_by("placed_at")[1000:1500]
    Order.objects.filter(pk__in=list(few.values_list("pk", flat=True))).update(connection=second)
    with database.cursor() as asked:
        asked.execute("ANALYZE connector_order")
    shops = Connection.objects.filter(shop=shop).values_list("pk", flat=True)
    wishes += [{"show": show, "connection": str(pk)} for show in listing.SHOWS for pk in shops]
    with database.execute_wrapper(plans):
        for wish in wishes:
            assert visitor.fetch("/orders/rows", **wish).status_code == 200
        assert visitor.open(f"/orders/{middle.pk}").status_code == 200
    assert len(plans.seen) > 3 * len(wishes)
    assert "\n\n".join(whole(plans)) == ""


def test_no_query_of_any_other_page_reads_a_whole_table(orders, shop):
    visitor, plans = Visitor(shop.domain), Plans()
    mine, yesterday = Connection.objects.get(shop=shop), timezone.now() - timedelta(days=1)
    asked = OrderLog.objects.create(order=Order.objects.filter(shop=shop)[7], what="asked")
    multiply(
        asked,
        50_000,
        {"order_id": f"{asked.order_id} + i", "what": "CASE WHEN i %% 50 = 0 THEN 'asked' ELSE 'moved' END"},
    )
    paths = [
        "/",
        "/home/standing",
        "/orders/older",
        "/carriers",
        "/products",
        "/settings",
        "/connections",
        "/help",
    ]
    paths += [f"/connections/{mine.pk}/guide", f"/connections/{mine.pk}/disconnect"]
    with database.execute_wrapper(plans):
        for path in paths:
            assert visitor.fetch(path).status_code == 200, path
        for show in ("all", "differences"):
            day = yesterday.date().isoformat()
            assert visitor.fetch("/proof", day=day, show=show).status_code == 200
        assert visitor.fetch(f"/proof/{yesterday.date()}/comparison").status_code == 200
    assert len(plans.seen) > len(paths)
    assert "\n\n".join(whole(plans)) == ""


# ---- what runs without a page ----------------------------------------------------------------------------------------


@pytest.fixture
def events(orders, shop):
    """100,000 events of which some are due, at the same time as the orders; the others are done."""
    now = timezone.now()
    model = InboxEvent.objects.create(shop=shop, source="tiktok", key="m", topic="ORDER_STATUS_CHANGE")
    due = "CASE WHEN i %% 1000 = 0 THEN now() - interval '1 second' END"
    done = "CASE WHEN i %% 1000 > 0 THEN now() END"
    received = "now() - i * interval '20 seconds'"
    multiply(model, 100_000, {"key": "i::text", "due_at": due, "done_at": done, "received_at": received})
    Order.objects.filter(state="on_hold").update(due_at=now + timedelta(hours=1), tiktok_status="ON_HOLD")
    soon = now + timedelta(hours=3)
    Order.objects.filter(state__in=["finalized", "on_hold"]).update(ship_by_at=soon)
    with database.cursor() as cursor:
        cursor.execute("ANALYZE connector_order")


def resumed(connection: Connection) -> None:
    connection.pause("tiktok_access_lost")
    connection.resume()


def connected_again(connection: Connection) -> None:
    consent.disconnect(connection, "delete", "42")
    consent.renew(connection, SimpleNamespace(user="42"))


def changed_settings(connection: Connection) -> None:
    preferences.save(
        connection, Policy.from_json({"unmatched": "custom_line", "fallback_provider": "1"}), "42"
    )


def other_connector_off(connection: Connection) -> None:
    connection.other_connector = {"tag": "skuiq", "order": "#1"}
    consent.go_on(connection, "42")


def product_event(connection: Connection) -> None:
    of = {"shop": connection.shop, "source": "shopify", "received_at": timezone.now() - timedelta(minutes=1)}
    inbox.product_created(InboxEvent(key="p", topic="products/create", facts={"more": True}, **of))
    inbox.product_deleted(InboxEvent(key="q", topic="products/delete", **of))


def of_a_shop(plans) -> list[str]:
    """Read by an index that says no more than whose rows they are: all of a shop, for the few that are meant."""
    index = re.compile("connector_(order|parcel|inboxevent)_(shop|connection)_id")
    return [plan for plan in plans.seen if index.search(plan)]


UNSEEN: dict[str, Callable[[Connection], Any]] = {
    "the purge": lambda _: clock.purge(timezone.now()),
    "a product": product_event,
    "a linked sku": lambda one: choices.link_sku(one, "1", "gid://v", "Mug", "42"),
    "a linked carrier": lambda one: choices.link_carrier(one, "pony", "1", "Pony", "42"),
    "settings": changed_settings,
    "going on": other_connector_off,
    "the end of a pause": resumed,
    "off and on": connected_again,
    "alerts": lambda _: alerts.watch(timezone.now()),
    "figures": lambda _: status.status(),
    "the sweep": lambda _: clock.sweep(),
    "a turn": lambda one: jobs.claim(one.shop_id, 8),
    "health": health.health,
    "the night": lambda _: audits.ask_daily(timezone.now()),
}


def test_nothing_that_runs_without_a_page_reads_a_whole_table_or_a_whole_shop(events, shop):
    connection, looked_at = Connection.objects.get(shop=shop), {}
    for what, deed in UNSEEN.items():
        plans = Plans()
        with database.execute_wrapper(plans):
            deed(connection)
        looked_at[what] = whole(plans) + of_a_shop(plans)
        assert plans.seen or what == "the night", what
    assert {what: plans for what, plans in looked_at.items() if plans} == {}


def test_the_purge_finds_what_is_old_among_much_that_is_not(events, shop):
    old = timezone.now() - timedelta(days=600)
    few = Order.objects.filter(shop=shop, state="completed").order_by("pk")[150_000:150_100]
    Order.objects.filter(pk__in=list(few.values_list("pk", flat=True))).update(changed_at=old)
    with database.cursor() as cursor:
        cursor.execute("ANALYZE connector_order")
    before, plans = Order.objects.count(), Plans()
    with database.execute_wrapper(plans):
        clock.purge(timezone.now())
    assert before - Order.objects.count() == 100
    found = [plan for plan in plans.seen if plan.startswith("SELECT") and '"changed_at" <' in plan]
    assert found and all("order_over" in plan for plan in found)


def test_what_is_due_is_found_from_indexes_also_by_a_plan_for_any_values(orders, shop):
    """As the statement is planned once for a connection: chosen for values that PostgreSQL does not know."""
    event = InboxEvent.objects.create(shop=shop, source="tiktok", key="m", topic="t")
    multiply(event, 100_000, {"key": "'k' || i"})
    with database.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute(f"PREPARE due (bigint, timestamptz) AS {jobs.DUE_KINDS.sql.decode()}")
        cursor.execute("EXPLAIN EXECUTE due (%s, now())", [shop.pk])
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("DEALLOCATE due")
    assert "inboxevent_due" in plan and "order_due" in plan
    assert [table for table in TABLES if f"Seq Scan on connector_{table} " in plan] == []
