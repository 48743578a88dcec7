"""RQ's way in. A job is a turn of one shop, never a row: losing a job loses nothing."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, connection
from django.utils import timezone

from connector import audits, inbox, neighbours, parcels, pulls, steps, wake
from connector.models import Audit, Connection, InboxEvent, Order, Parcel
from connector.work import Work, run

log = logging.getLogger(__name__)

# In this order a shop's work is taken: what a doorbell means, then what is on its way back, then orders, then pulls.
STEPS: dict[type[Work], Callable[[Any], None]] = {
    InboxEvent: inbox.answer,
    Parcel: parcels.advance_parcel,
    Order: steps.advance_order,
    Connection: pulls.pull,
    Audit: audits.advance,
}

DUE = """EXISTS (SELECT FROM {table} WHERE shop_id = %(shop)s AND due_at <= %(now)s
                         AND (leased_until IS NULL OR leased_until < %(now)s))"""
DUE_KINDS = "SELECT " + ", ".join(DUE.format(table=model._meta.db_table) for model in STEPS)

TURNS_AT_ONCE = 4  # of different shops, in one worker: most of a turn is waiting for a platform
pool = ThreadPoolExecutor(max_workers=2 * settings.DRAIN_THREADS, thread_name_prefix="row")
turn_pool = ThreadPoolExecutor(max_workers=TURNS_AT_ONCE, thread_name_prefix="turn")
seats = threading.BoundedSemaphore(TURNS_AT_ONCE)
turns: dict[int, Future[None]] = {}  # shop -> done when it was woken again since its turn last looked
turns_lock = threading.Lock()


def begin(shop_id: int) -> None:
    """What RQ runs: a turn of the shop, beside the turns of other shops. One that is under way looks again at once."""
    wake.lower(shop_id)
    with turns_lock:
        rung = turns.get(shop_id)
        if rung is not None:
            if not rung.done():
                rung.set_result(None)
            return
        turns[shop_id] = Future()
    seats.acquire()  # while all are taken, the queue waits: so shops take turns
    turn_pool.submit(drain, shop_id).add_done_callback(lambda _: seats.release())


def drain(shop_id: int) -> None:
    """A turn of a shop. PostgreSQL may go away meanwhile: no exception leaves, for RQ would keep it with its trace."""
    try:
        take_turn(shop_id)
    except (OperationalError, InterfaceError) as error:
        log.warning(
            "the database went away; the sweep will find the work",
            extra={"shop": shop_id, "error": type(error).__name__},
        )
    except Exception:
        log.exception("a turn broke; the sweep will find the work", extra={"shop": shop_id})
    finally:
        with turns_lock:
            turns.pop(shop_id, None)


def take_turn(shop_id: int) -> None:
    """Advance the shop's due rows until none is left or our turn is over; then the next shop's turn comes."""
    close_old_connections()
    wake.lower(shop_id)
    until = monotonic() + settings.DRAIN_TURN_SECONDS
    running: set[Future[None]] = set()
    while monotonic() < until:
        rung = look_out(shop_id)
        claimed = [pool.submit(advance, row) for row in claim(shop_id, share() - len(running))]
        running.update(claimed)
        if not running and leave(shop_id, rung):
            return
        running = wait({*running, rung}, return_when=FIRST_COMPLETED).not_done - {rung}
    wait(running)
    with turns_lock:
        turns.pop(shop_id, None)
    if due_kinds(shop_id):
        wake.shop(shop_id)


def look_out(shop_id: int) -> Future[None]:
    """Done when the shop is woken after this moment: new work need not wait for a row that waits for a platform."""
    with turns_lock:
        rung = turns[shop_id] = Future()
        return rung


def leave(shop_id: int, rung: Future[None]) -> bool:
    """End the turn, unless the shop was woken since it last looked."""
    with turns_lock:
        if rung.done():
            return False
        turns.pop(shop_id, None)
        return True


def share() -> int:
    """How many rows of one shop run at once, beside the other shops' turns."""
    most: int = settings.DRAIN_THREADS
    return min(most, 2 * most // max(1, len(turns)))


def claim(shop_id: int, n: int) -> list[Work]:
    rows: list[Work] = []
    for model in due_kinds(shop_id) if n > 0 else ():
        if len(rows) < n:
            rows += model.claim(shop_id, n - len(rows))
    neighbours.introduce(shop_id, rows)
    return rows


def due_kinds(shop_id: int) -> list[type[Work]]:
    """The kinds of which the shop has due rows, by one statement: most rounds find none."""
    with connection.cursor() as cursor:
        cursor.execute(DUE_KINDS, {"shop": shop_id, "now": timezone.now()})
        return [model for model, is_due in zip(STEPS, cursor.fetchone(), strict=True) if is_due]


def advance(row: Work) -> None:
    close_old_connections()
    run(row, STEPS[type(row)])
