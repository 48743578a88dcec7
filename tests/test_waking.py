"""Whatever wakes many rows at once leaves those that wait their place, and never takes one from its worker."""

import ast
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone
from test_architecture import ALL

from connector import choices, consent, finalizing, following, inbox, preferences, pulls, sql
from connector.models import DISCONNECTED, RESTS_IN_PAUSE, Connection, InboxEvent, Order, Parcel
from connector.policy import Policy
from connector.states import OrderState, ParcelState
from connector.work import WOKEN, Work
from tests.planting import connect, plant
from tests.shopify_script import make_shop
from tiktok.orders import Order as Source

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)
# a number that takes a place again rested until then, so it had none in the queue
NEW_LIVES = {"connector.parcels"}
WAITING, LEASED, RESTING = "577000000000000001", "577000000000000002", "577000000000000003"


@pytest.fixture
def connection(transactional_db):
    return connect(make_shop(), "7495000000000000001", "Fig & Fleece")


def event(connection: Connection, **facts: Any) -> InboxEvent:
    return InboxEvent(shop=connection.shop, source="tiktok", key="k", topic="t", **facts)


def seen_by_the_pull(connection: Connection) -> None:
    now = int(timezone.now().timestamp())
    told = [{"id": id, "status": "ON_HOLD", "create_time": now, "update_time": now} for id in ORDERS]
    pulls.store_orders(connection, [Source.from_api(raw) for raw in told])


def renewed(connection: Connection) -> None:
    Connection.objects.filter(pk=connection.pk).update(active=False)
    connection.refresh_from_db()
    consent.renew(connection, SimpleNamespace(user="42"))


def said_go_on(connection: Connection) -> None:
    Connection.objects.filter(pk=connection.pk).update(other_connector={"tag": "skuiq", "order": "#1"})
    connection.refresh_from_db()
    consent.go_on(connection, "42")


ORDERS = (WAITING, LEASED, RESTING)
# name: what the orders look like, and what wakes them
OF_ORDERS: dict[str, tuple[dict[str, Any], Callable[[Connection], Any]]] = {
    "a pull": ({}, seen_by_the_pull),
    "a new product": (
        {"reason": "sku_unmapped", "detail": {"lines": [{"sku": "MUG"}]}},
        lambda c: inbox.product_created(event(c, facts={"skus": ["MUG"]}, received_at=timezone.now() - HOUR)),
    ),
    "a product that is gone": ({"reason": "sku_conflict"}, lambda c: inbox.product_deleted(event(c))),
    "a setting": (
        {"reason": "sku_unmapped"},
        lambda c: preferences.save(c, Policy.from_json({"unmatched": "custom_line"}), "42"),
    ),
    "the end of a pause": ({"last_error": RESTS_IN_PAUSE}, Connection.resume),
    "a new consent": ({"last_error": DISCONNECTED}, renewed),
    "the other connector is off": ({"reason": "other_connector"}, said_go_on),
    "a disconnect": ({"state": OrderState.ON_HOLD}, lambda c: consent.disconnect(c, "delete", "42")),
}
OF_PARCELS: dict[str, tuple[dict[str, Any], Callable[[Connection], Any]]] = {
    "a setting": (
        {"reason": "carrier_unknown"},
        lambda c: preferences.save(c, Policy.from_json({"fallback_provider": "1"}), "42"),
    ),
    "the end of a pause": ({"last_error": RESTS_IN_PAUSE}, Connection.resume),
    "orders in one parcel": (
        {"reason": "number_in_use"},
        lambda c: inbox.tiktok_packages(event(c, facts={"order_ids": list(ORDERS)})),
    ),
    "its order": (
        {"reason": "order_on_hold"},
        lambda c: [following.wake_parcels(order) for order in Order.objects.all()],
    ),
    "a person": (
        {},
        lambda c: [choices.look_again(order, "42") for order in Order.objects.all()],
    ),
}


def put_in_line(model: type[Work], rows: dict[str, Work]) -> dict[str, Any]:
    """One waits for an hour, one is with its worker, one rests. Their times."""
    now = timezone.now()
    times = {WAITING: now - HOUR, LEASED: now - HOUR, RESTING: None}
    for id, row in rows.items():
        lease = now + HOUR if id == LEASED else None
        model.objects.filter(pk=row.pk).update(due_at=times[id], leased_until=lease)
    return times


def check(model: type[Work], rows: dict[str, Work], times: dict[str, Any]) -> None:
    woken = {id: model.objects.get(pk=row.pk) for id, row in rows.items()}
    assert woken[WAITING].due_at == times[WAITING]
    assert timezone.now() - woken[RESTING].due_at < HOUR / 60
    assert timezone.now() - woken[LEASED].due_at < HOUR / 60
    assert woken[LEASED].leased_until > timezone.now()


@pytest.mark.parametrize("what", OF_ORDERS)
def test_orders_that_wait_keep_their_place_whatever_wakes_them_all(connection, what):
    facts, wake = OF_ORDERS[what]
    rows = {id: plant(connection, id, **{"state": OrderState.RECEIVED} | facts) for id in ORDERS}
    times = put_in_line(Order, rows)
    wake(connection)
    check(Order, rows, times)


@pytest.mark.parametrize("what", OF_PARCELS)
def test_parcels_that_wait_keep_their_place_whatever_wakes_them_all(connection, what):
    facts, wake = OF_PARCELS[what]
    rows = {}
    for id in ORDERS:
        order = plant(connection, id, OrderState.FINALIZED)
        named = {"fulfillment_gid": f"gid://{id}", "number": id, "state": ParcelState.WAITING}
        rows[id] = Parcel.objects.create(shop=connection.shop, order=order, **named | facts)
    times = put_in_line(Parcel, rows)
    wake(connection)
    check(Parcel, rows, times)


def test_events_that_wait_for_an_order_keep_their_place_when_it_is_there(connection):
    rows = {id: event(connection, facts={"order_id": "gid://1"}) for id in (WAITING, LEASED)}
    for id, row in rows.items():
        row.key = id
        row.save()
    later = event(connection, facts={"order_id": "gid://1"}, due_at=timezone.now() + HOUR)
    later.save()
    put_in_line(InboxEvent, rows)
    now = timezone.now()
    sql.change(finalizing.WAKE_WAITING, [now, now, connection.shop_id, "gid://1"])
    for row in (*rows.values(), later):
        row.refresh_from_db()
    assert rows[WAITING].due_at < now - HOUR / 2
    assert rows[LEASED].due_at == later.due_at == now


def test_a_pull_that_runs_while_its_pause_is_lifted_begins_again(connection):
    Connection.objects.update(due_at=timezone.now() - HOUR, paused_reason="tiktok_access_lost")
    [pull] = Connection.claim(connection.shop_id, 1)
    connection.resume()
    pull.release(None)
    assert Connection.objects.get().due_at is not None


def test_nothing_but_work_makes_rows_due_that_it_does_not_hold():
    """A time that is written past `wake` and `wake_all` costs rows their place."""
    found = []
    for name, path in ALL.items():
        tree = ast.parse(path.read_text())
        ours = name.startswith("connector.") and name not in {"connector.work"} | NEW_LIVES
        for node in ast.walk(tree) if ours else ():
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "update":
                found += [
                    f"{name}:{node.lineno}"
                    for word in node.keywords
                    if word.arg == "due_at" and getattr(word.value, "value", "") is not None
                ]
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found += [
                    f"{name}:{node.lineno}" for words in ("SET due_at", ", due_at =") if words in node.value
                ]
    assert found == []
    assert WOKEN.startswith("due_at = CASE")
