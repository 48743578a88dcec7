"""Rows of work: taken by one statement, given back by a guarded UPDATE. `run` alone decides about retries.

`due_at` says when a row next wants attention (None: not before something wakes it). `leased_until` says that a worker
has it. A wake-up never takes a row from its worker and is never lost: it wins over the worker's own `due_at`.
"""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Self, TypeVar, cast

from django.conf import settings
from django.db import connection, models
from django.db.models import Case, Field, Q, QuerySet, Value, When
from django.db.models.functions import Least
from django.utils import timezone

import shopify_app.errors
import tiktok.errors
from connector import sql

log = logging.getLogger(__name__)

PlatformError = shopify_app.errors.ShopifyError | tiktok.errors.TikTokError

UNAVAILABLE = (tiktok.errors.Unavailable, shopify_app.errors.Unavailable)
BUSY = (tiktok.errors.Busy, shopify_app.errors.Busy)
ACCESS_LOST = (tiktok.errors.AccessLost, shopify_app.errors.AccessLost)
REJECTED = (tiktok.errors.Rejected, shopify_app.errors.Rejected)

MAX_BUGS = 8  # after so many tries a bug of ours is a person's turn, not the machine's
MAX_NOT_YET = 5  # times a platform may say that it is too early

CLAIM = """
UPDATE {table} SET leased_until = %(until)s, attempts = attempts + 1
WHERE id IN (
    SELECT id FROM {table}
    WHERE shop_id = %(shop)s AND due_at <= %(now)s AND (leased_until IS NULL OR leased_until < %(now)s) {only}
    ORDER BY live DESC, due_at LIMIT %(n)s FOR UPDATE SKIP LOCKED
) RETURNING *, ({beside}) AS beside
"""
EITHER, LIVE, BACKFILL = "", "AND live", "AND NOT live"

# A row that is due keeps its place among those that wait, however often it is woken. One that a worker has gets a new
# time: by that its release sees that somebody woke it.
WOKEN = "due_at = CASE WHEN leased_until IS NULL THEN LEAST(due_at, %s) ELSE %s END"

# What a step gives for a column, unless the row has been woken since it was claimed, or the column has changed.
UNLESS = '"{column}" = CASE WHEN "{same}" IS NOT DISTINCT FROM %s THEN %s ELSE "{column}" END'


short: dict[int, float] = {}  # shop: until when its budgets count as short; of this process, on its own clock
SHORT_SECONDS = 5.0  # after a row that had to wait for one


class Overtaken(Exception):
    """Our lease ran out and another worker took the row: stop quietly."""


class Later(Exception):
    """Not yet: the step gives its row back with a `due_at`. A thread never sleeps."""

    def __init__(self, due_at: datetime, **facts: Any) -> None:
        super().__init__()
        self.due_at = due_at
        self.facts = facts


@dataclass(frozen=True, slots=True)
class UnlessWoken:
    """What a step gives for a column by which wake-ups say why: one that came since the row was claimed stands."""

    value: Any


@dataclass(frozen=True, slots=True)
class UnlessChanged:
    """What a step gives for a column that a person may have changed since the step knows it: that stands."""

    value: Any


class NotYet(Exception):
    """A platform answers that it is too early. It is asked again; after some such answers in a row, a person is.
    They are no outage, and the row counts them itself: `facts`.
    """

    def __init__(self, words: str, tries: int, ask: Callable[[], None], **facts: Any) -> None:
        super().__init__(words)
        self.words, self.tries, self.ask, self.facts = words, tries, ask, facts


class Work(models.Model):
    shop = models.ForeignKey("shopify_app.Shop", on_delete=models.CASCADE, related_name="+")
    due_at = models.DateTimeField(null=True)
    leased_until = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True)
    last_error = models.TextField(default="", blank=True)
    live = models.BooleanField(default=True)  # False: back-fill, which waits behind today's orders

    beside: str | None = None  # of a claimed row: what was asked for beside it, of the same moment

    class Meta:
        abstract = True

    @classmethod
    def claim(cls, shop_id: int, n: int, only: str = EITHER, beside: str = "NULL::text") -> list[Self]:
        """Take up to n due rows of a shop, live ones first."""
        now = timezone.now()
        statement = CLAIM.format(table=cls._meta.db_table, only=only, beside=beside)
        values = {"shop": shop_id, "now": now, "until": now + settings.WORK_LEASE, "n": n}
        return sql.read(cls, statement, values)

    @classmethod
    def due(cls) -> models.QuerySet[Self]:
        now = timezone.now()
        return cls._base_manager.filter(due_at__lte=now).filter(
            Q(leased_until=None) | Q(leased_until__lt=now)
        )

    @classmethod
    def failing(cls) -> models.QuerySet[Self]:
        """Rows whose tries have failed since a while and that are tried again: each try moves their `due_at`."""
        return cls._base_manager.filter(failing_since__isnull=False, due_at__isnull=False)

    @property
    def ref(self) -> str:
        return f"{self._meta.model_name}:{self.pk}"

    def wake(self, **facts: Any) -> None:
        """Make the row due now. Its worker, if it has one, keeps it; the wake-up outlives the worker's release."""
        sets, stored = self._columns(facts)
        now = timezone.now()
        update = f'UPDATE "{self._meta.db_table}" SET {", ".join([WOKEN, *sets])} WHERE id = %s'  # noqa: S608
        sql.change(update, [now, now, *stored, self.pk])

    def keep(self, **facts: Any) -> None:
        """Store what an effect needs or gave, and renew the lease, in one guarded UPDATE."""
        until = timezone.now() + settings.WORK_LEASE
        self._guarded(leased_until=until, **facts)
        self.leased_until = until
        self._remember(facts)

    def hold_on(self) -> None:
        """Before an effect that must not come late: the row is ours for as long as a call may take, or Overtaken."""
        call = timedelta(seconds=settings.CALL_DEADLINE_SECONDS)
        if self.leased_until is not None and self.leased_until - timezone.now() < call:
            self.keep()

    def release(self, due_at: datetime | None, note: models.Model | None = None, **facts: Any) -> None:
        """Hand the row back, and store a note of it. A wake-up that came meanwhile wins over our due_at."""
        self._guarded(note, leased_until=None, due_at=UnlessWoken(due_at), **facts)
        self.leased_until, self.due_at = None, due_at
        self._remember(facts)

    def succeed(self, due_at: datetime | None, **facts: Any) -> None:
        self.release(due_at, attempts=0, failing_since=None, last_error="", **facts)

    # What a kind of row does when a person is needed; each kind knows the words.

    def park(self, reason: str, **facts: Any) -> None:
        raise NotImplementedError

    def rejected(self, error: PlatformError) -> None:
        raise NotImplementedError

    def access_lost(self, error: PlatformError) -> None:
        raise NotImplementedError

    def _guarded(self, note: models.Model | None = None, **facts: Any) -> None:
        """One statement, if the lease is still ours."""
        sets, stored = self._columns(facts)
        mine = "id = %s AND leased_until IS NOT DISTINCT FROM %s"
        update = f'UPDATE "{self._meta.db_table}" SET {", ".join(sets)} WHERE {mine}'  # noqa: S608
        given = [*stored, self.pk, self.leased_until]
        if not (sql.change_and_insert(update, given, note) if note else sql.change(update, given)):
            raise Overtaken(self.ref)

    def _columns(self, facts: dict[str, Any]) -> tuple[list[str], list[Any]]:
        """Assignments for SET, and their values as PostgreSQL takes them."""
        sets, stored = [], []
        for name, value in facts.items():
            field = cast("Field[Any, Any]", self._meta.get_field(name))
            if isinstance(value, UnlessWoken | UnlessChanged):
                same = "due_at" if isinstance(value, UnlessWoken) else name
                known = cast("Field[Any, Any]", self._meta.get_field(same))
                sets.append(UNLESS.format(column=field.column, same=known.column))
                stored.append(known.get_db_prep_save(getattr(self, same), connection))
            else:
                sets.append(f'"{field.column}" = %s')
            stored.append(field.get_db_prep_save(bare(value), connection))
        return sets, stored

    def _remember(self, facts: dict[str, Any]) -> None:
        for name, value in facts.items():
            setattr(self, name, bare(value))


def bare(value: Any) -> Any:
    return value.value if isinstance(value, UnlessWoken | UnlessChanged) else value


Row = TypeVar("Row", bound=Work)


def wake_all(rows: QuerySet[Row], **facts: Any) -> int:
    """What `wake` does, for many rows by one statement. How many they were."""
    now = Value(timezone.now(), models.DateTimeField())
    waked = Case(When(leased_until=None, then=Least("due_at", now)), default=now)
    return rows.update(due_at=waked, **facts)


def run(row: Row, step: Callable[[Row], None]) -> None:
    """Do one step of a row. The one place that decides about retries; no exception leaves it."""
    try:
        attempt(row, step)
    except Overtaken:
        log.info("overtaken", extra={"row": row.ref})
    except Exception:
        log.exception("row could not be handed back; its lease will lapse", extra={"row": row.ref})


def attempt(row: Row, step: Callable[[Row], None]) -> None:
    try:
        step(row)
        if row.leased_until is not None:
            raise RuntimeError(f"{row.ref}: its step ended without handing it back")
    except Overtaken:
        raise
    except Later as later:
        row.release(later.due_at, attempts=0, failing_since=None, **later.facts)
    except BUSY as error:  # the budget's turn to be waited for, not a failure of the row
        short[row.shop_id] = monotonic() + SHORT_SECONDS
        row.release(after(error.retry_after or 1), attempts=max(0, row.attempts - 1))
    except NotYet as answer:
        ask_again(row, answer)
    except UNAVAILABLE as error:
        retry(row, error.public, error.retry_after)
    except ACCESS_LOST as error:
        row.access_lost(error)
    except REJECTED as error:
        row.rejected(error)
    except Exception:
        log.exception("step failed", extra={"row": row.ref})
        if row.attempts >= MAX_BUGS:
            row.park("unexpected")
        else:
            retry(row, "unexpected", None)


def is_short(shop_id: int) -> bool:
    """Whether a budget of the shop was spent of late: then rows begin only as far as it reaches. Those that begin
    without give up at their first call, and by the hundred they leave no CPU to those that could go on."""
    return monotonic() < short.get(shop_id, 0.0)


def retry(row: Work, words: str, retry_after: float | None) -> None:
    """Later: exponentially, up to BACKOFF_MAX; after PARK_AFTER of nothing but failure it is a person's turn."""
    since = row.failing_since or timezone.now()
    if timezone.now() - since >= settings.PARK_AFTER:
        return row.park("unavailable_too_long", last_error=words)
    wait = max(backoff(row.attempts), timedelta(seconds=retry_after or 0))
    row.release(timezone.now() + wait, last_error=words, failing_since=UnlessChanged(since))
    return None


def ask_again(row: Work, answer: NotYet) -> None:
    """Later, for some times. What it failed by before stands, and is not added to: the platform has answered."""
    if answer.tries > MAX_NOT_YET:
        return answer.ask()
    due_at, attempts = timezone.now() + backoff(answer.tries), max(0, row.attempts - 1)
    row.release(due_at, last_error=answer.words, attempts=attempts, **answer.facts)
    return None


def backoff(attempts: int) -> timedelta:
    """Full jitter on the upper half, so that rows that failed together do not come back together."""
    longest: timedelta = min(settings.BACKOFF_BASE * 2 ** min(max(attempts - 1, 0), 20), settings.BACKOFF_MAX)
    return longest * random.uniform(0.5, 1)  # noqa: S311  (spreads load; no secret)


def after(seconds: float) -> datetime:
    return timezone.now() + timedelta(seconds=seconds)
