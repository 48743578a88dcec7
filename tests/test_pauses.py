"""The end of a pause wakes all that waited for it, also when whoever lifts it dies on the way."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.db import connection as database
from django.db import connections, transaction
from django.utils import timezone

from connector import consent, inbox, preferences, steps, work
from connector.models import RESTS_IN_PAUSE, Connection, InboxEvent, Order, Parcel
from connector.states import OrderState
from shopify_app.models import Shop
from tests.planting import connect, plant
from tests.shopify_script import make_shop

pytestmark = pytest.mark.django_db(transaction=True)

WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE)", re.IGNORECASE)
MOST_WRITES = 20


class Died(BaseException):
    """The process is gone: no rule of retries catches that."""


@pytest.fixture
def connection(transactional_db: None) -> Connection:
    return connect(make_shop(), "7495000000000000001", "Fig & Fleece")


def resting(connection: Connection, reason: str) -> None:
    """Paused, with an order and a parcel that wait for the end of it."""
    connection.pause(reason)
    order = plant(connection, "577000000000000001", last_error=RESTS_IN_PAUSE)
    Parcel.objects.create(
        shop=connection.shop, order=order, fulfillment_gid="gid://1", number="1Z", last_error=RESTS_IN_PAUSE
    )


def asleep() -> list[str]:
    """Rows that wait for a pause which is over."""
    if Connection.objects.exclude(paused_reason="").exists():
        return []
    rows = (Connection, Order, Parcel)
    return [row.ref for model in rows for row in model.objects.filter(due_at=None)]


@contextmanager
def dying_before(write: int) -> Iterator[list[str]]:
    """Death before one of the writes, counted from 0; those that were begun."""
    begun: list[str] = []

    def at_statement(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        if WRITES.match(sql):
            if len(begun) == write:
                raise Died
            begun.append(sql)
        return execute(sql, *args)

    with suppress(Died), database.execute_wrapper(at_statement):
        yield begun


def scopes_granted(connection: Connection) -> None:
    inbox.scopes_changed(InboxEvent(shop=Shop.objects.get(pk=connection.shop_id), facts={}))


LIFTED_BY: dict[str, tuple[str, Callable[[Connection], Any]]] = {
    "a new consent": ("tiktok_access_lost", Connection.begin_anew),
    "a merchant": ("connection_paused", lambda connection: preferences.resume(connection, "42")),
    "a merchant who has seen why": ("tiktok_access_lost", lambda connection: consent.go_on(connection, "42")),
    "scopes that are granted again": ("shopify_access_lost", scopes_granted),
}


@pytest.mark.parametrize("what", LIFTED_BY)
def test_whoever_lifts_a_pause_and_dies_leaves_no_row_asleep(world, what):
    reason, lift = LIFTED_BY[what]
    for write in range(MOST_WRITES):
        Order.objects.all().delete()
        Connection.objects.update(paused_reason="", due_at=None)
        resting(Connection.objects.get(), reason)
        with dying_before(write) as begun:
            lift(Connection.objects.get())
        assert asleep() == [], begun
        if Connection.objects.exclude(paused_reason="").exists():
            lift(Connection.objects.get())
        assert (Connection.objects.get().paused_reason, asleep()) == ("", [])
        if len(begun) < write:
            break
    assert 3 <= write < MOST_WRITES - 1


def test_a_row_that_rests_while_its_pause_is_being_lifted_is_woken(connection):
    connection.pause("tiktok_access_lost")
    plant(connection, "577000000000000001", OrderState.RECEIVED, due_at=timezone.now())
    [row] = Order.claim(connection.shop_id, 1)
    assert row.connection.paused
    with transaction.atomic():
        connection.resume()
        worker = threading.Thread(target=rest, args=[row])
        worker.start()
        wait_until(lambda: not worker.is_alive() or somebody_waits_for_a_lock())
    worker.join()
    assert asleep() == []


def rest(row: Order) -> None:
    try:
        work.run(row, steps.advance_order)
    finally:
        connections.close_all()


def somebody_waits_for_a_lock() -> bool:
    with database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        [count] = cursor.fetchone()
    return bool(count)


def wait_until(happened: Callable[[], bool]) -> None:
    for _ in range(1000):
        if happened():
            return
        time.sleep(0.01)
    raise AssertionError("it never happened")
