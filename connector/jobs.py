"""RQ's way in. A job is a turn of one shop, never a row: losing a job loses nothing."""

import itertools
import logging
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections
from django.utils import timezone

from connector import audits, heard, inbox, neighbours, parcels, pulls, steps, wake
from connector.models import Audit, Connection, InboxEvent, Order, Parcel
from connector.platforms import backfill_room, live_room
from connector.postgres.prepared import Statement
from connector.turns import Turn, Turns
from connector.work import BACKFILL, EITHER, LIVE, Work, is_short, run
from shopify_app.webhooks import COMPLIANCE

log = logging.getLogger(__name__)

STEPS: dict[type[Work], Callable[[Any], None]] = {
    InboxEvent: inbox.answer,
    Parcel: parcels.advance_parcel,
    Order: steps.advance_order,
    Connection: pulls.pull,
    Audit: audits.advance,
}

LOOK_AGAIN_SECONDS = 0.2  # for rows that wait for a budget

# Every so many rounds another kind goes first, so that a flood of doorbells starves no order.
OTHERS_FIRST = 4

# Requests about people's data have a time of their own, whatever else of the shop waits.
FIRST = f"AND topic IN {COMPLIANCE}"

# In this order a shop's work is taken: what a doorbell means, then what is on its way back, then orders, then pulls.
Kind = tuple[type[Work], str]
KINDS: tuple[Kind, ...] = (
    (InboxEvent, FIRST),
    (InboxEvent, EITHER),
    (Parcel, EITHER),
    (Order, LIVE),
    (Connection, EITHER),
    (Audit, EITHER),
    (Order, BACKFILL),
)
# The first of the kind, as its index has them. Asked whether there is any, PostgreSQL plans for values that it does not
# know as if every ninth row were due, and reads the whole table to find none.
DUE = """(SELECT true FROM {table} WHERE shop_id = $1 AND due_at <= $2 {only}
          AND (leased_until IS NULL OR leased_until < $2) ORDER BY live DESC, due_at LIMIT 1)"""
DUE_KINDS = Statement.of(
    "SELECT " + ", ".join(DUE.format(table=model._meta.db_table, only=only) for model, only in KINDS),
    writes=False,
)

pool = ThreadPoolExecutor(max_workers=settings.DRAIN_THREADS, thread_name_prefix="row")


def begin(shop_id: int) -> None:
    """What RQ runs: a turn of the shop, beside the turns of other shops."""
    wake.lower(shop_id)
    if not turns.begin(shop_id):
        wake.shop(shop_id)  # for another worker


def drain(shop_id: int, turn: Turn | None = None) -> None:
    """A turn of a shop. PostgreSQL may go away meanwhile: no exception leaves."""
    try:
        take_turn(shop_id, turn or Turn())
    except (OperationalError, InterfaceError) as error:
        log.warning(
            "the database went away; the sweep will find the work",
            extra={"shop": shop_id, "error": type(error).__name__},
        )
    except Exception:
        log.exception("a turn broke; the sweep will find the work", extra={"shop": shop_id})


turns = Turns(drain, at_once=settings.DRAIN_TURNS)


def take_turn(shop_id: int, turn: Turn) -> None:
    """Advance the shop's due rows until none is left or our turn is over; then the next shop's turn comes."""
    close_old_connections()
    began = monotonic()
    running: dict[Future[None], Work] = {}
    rounds = itertools.count()
    while not turns.stopping.is_set():
        rung = turn.look_out()
        room = turns.share(settings.DRAIN_THREADS) - len(running)
        claimed = claim(shop_id, room, next(rounds), begun=sum(map(is_backfill, running.values())))
        running |= {pool.submit(advance, row): row for row in claimed}
        held_back = is_short(shop_id) and bool(due_kinds(shop_id))
        if not running and not held_back and turn.leave():
            return
        if monotonic() - began >= turns.seconds(settings.DRAIN_TURN_SECONDS):
            break
        most = LOOK_AGAIN_SECONDS if held_back else None
        undone = wait({*running, rung}, most, FIRST_COMPLETED).not_done
        running = {one: row for one, row in running.items() if one in undone}
    wait(running)
    turn.end()
    if due_kinds(shop_id):
        wake.shop(shop_id)


def claim(shop_id: int, n: int, round: int = 0, begun: int = 0) -> list[Work]:
    """Up to n due rows of the shop. `begun` older orders are under way already."""
    rows: list[Work] = []
    for model, only in in_turn(due_kinds(shop_id), round) if n > 0 else ():
        room = n - len(rows)
        if room and only is BACKFILL:
            room = min(room, backfill_room(shop_id) - begun)
        elif room and model in (Order, Parcel) and is_short(shop_id):
            room = min(room, live_room(shop_id))
        if room > 0:  # the others stay due
            rows += model.claim(shop_id, room, only, beside=neighbours.VERSIONS)
    if neighbours.introduce(shop_id, rows):
        heard.remember(rows)
    return rows


def is_backfill(row: Work) -> bool:
    return isinstance(row, Order) and not row.live


def in_turn(kinds: list[Kind], round: int) -> list[Kind]:
    """The kinds in their order, but each of them now and then at the head: all but the first and the last one."""
    first = [kind for kind in kinds if kind[1] is FIRST]
    older = [kind for kind in kinds if kind[1] is BACKFILL]
    kinds = [kind for kind in kinds if kind[1] not in (FIRST, BACKFILL)]
    times, rest = divmod(round + 1, OTHERS_FIRST)
    head = times % len(kinds) if kinds and not rest else 0
    return first + kinds[head:] + kinds[:head] + older


def due_kinds(shop_id: int) -> list[Kind]:
    """The kinds of which the shop has due rows, by one statement: most rounds find none."""
    found = DUE_KINDS.first_row(b"%d" % shop_id, timezone.now().isoformat().encode())
    return [kind for kind, is_due in zip(KINDS, found or (), strict=True) if is_due == b"t"]


def advance(row: Work) -> None:
    close_old_connections()
    run(row, STEPS[type(row)])
