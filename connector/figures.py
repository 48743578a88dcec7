"""The figures of the home page: what came, what became of it and when, what waits, and how fast it went."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from operator import itemgetter
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.db.models import Count, F, Q, QuerySet, TextField, Value, Window
from django.db.models.functions import Coalesce, NullIf
from django.utils import timezone

from connector import sql
from connector.audits import bounds
from connector.models import ASKING, Order, Parcel
from connector.outcomes import OUTCOMES
from connector.reasons import Reason
from connector.reasons import reason as reason_of
from connector.states import KEPT_OUT
from connector.states import OrderState as State
from shopify_app.models import Shop

TARGET_SECONDS = 60  # what the fastest of the others claims for release -> order (PRODUCT, performance)
SOON, VERY_SOON = timedelta(hours=12), timedelta(hours=4)
MOST_DEADLINES = 5
WEEK = 7  # days
OLDER, COUNTED_TO = "", 100  # no reason, but a choice; counted no further than anybody reads


# ---- by day ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Day:
    """The orders placed on one day, by outcome."""

    day: date
    counts: dict[str, int]

    @property
    def known(self) -> int:
        return sum(self.counts.values())


DAYS = """\
SELECT day.nth, counted.outcome, counted.n
FROM unnest(%(began)s::timestamptz[], %(over)s::timestamptz[]) WITH ORDINALITY AS day(began, over, nth)
CROSS JOIN LATERAL (
    SELECT outcome, COUNT(*) AS n FROM connector_order
    WHERE shop_id = %(shop)s AND placed_at >= day.began AND placed_at < day.over GROUP BY outcome
) AS counted
"""


def days(shop: Shop, last: date, n: int, zone: ZoneInfo) -> list[Day]:
    """The n days up to and with `last`, oldest first, in the shop's zone."""
    each = [last - timedelta(days=ago) for ago in reversed(range(n))]
    began, over = zip(*(bounds(day, zone) for day in each), strict=True)
    wanted = {"shop": shop.pk, "began": list(began), "over": list(over)}
    found = {(nth, outcome): n for nth, outcome, n in sql.rows(DAYS, wanted)}
    return [
        Day(day, {name: found.get((nth, name), 0) for name in OUTCOMES}) for nth, day in enumerate(each, 1)
    ]


# ---- a day and a week ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tally:
    """What happened in a stretch of time. `sold` is the value of the orders that went into Shopify."""

    came: int
    finalized: int
    shipped: int
    sold: list[tuple[str, Decimal]]


@dataclass(frozen=True, slots=True)
class Record:
    """What was: the bars by the day an order was placed, all else by when it happened."""

    days: list[Day]
    today: Tally
    week: Tally
    released: "Latency"
    tracked: "Latency"


def record(shop: Shop, last: date, n: int, zone: ZoneInfo) -> Record:
    """The last n days, of which a week is told in more detail."""
    each = days(shop, last, n, zone)
    done = done_since(shop, *(bounds(day, zone)[0] for day in (each[-WEEK].day, last)))
    return Record(
        each,
        tally(each[-1:], [(one.kind, one.currency, one.today, one.today_total) for one in done]),
        tally(each[-WEEK:], [(one.kind, one.currency, one.week, one.week_total) for one in done]),
        latency(done, RELEASED),
        latency(done, TRACKED),
    )


def tally(placed: list[Day], done: list[tuple[str, str, int, Decimal | None]]) -> Tally:
    return Tally(
        came=sum(day.known for day in placed),
        finalized=sum(n for kind, _currency, n, _total in done if kind == SOLD),
        shipped=sum(n for kind, _currency, n, _total in done if kind == SENT),
        sold=[(currency, total) for kind, currency, _n, total in done if kind == SOLD and total is not None],
    )


class Done(NamedTuple):
    """So many of a kind, and their value, since a week began and since today. Of what lasted: the median and the 95th
    percentile in seconds."""

    kind: str
    currency: str
    week: int
    week_total: Decimal | None
    today: int
    today_total: Decimal | None
    seconds: list[float] | None


SOLD, SENT, RELEASED, TRACKED = "sold", "sent", "released", "tracked"
# One statement, for all of it is on one page. Each part reads one index.
DONE = """\
SELECT 'sold', currency, COUNT(*), SUM(expected_total),
       COUNT(*) FILTER (WHERE finalized_at >= %(today)s),
       SUM(expected_total) FILTER (WHERE finalized_at >= %(today)s), NULL::float8[]
FROM connector_order WHERE shop_id = %(shop)s AND finalized_at >= %(week)s GROUP BY currency
UNION ALL
SELECT 'sent', '', COUNT(*), NULL, COUNT(*) FILTER (WHERE accepted_at >= %(today)s), NULL, NULL
FROM connector_parcel WHERE shop_id = %(shop)s AND accepted_at >= %(week)s
UNION ALL
SELECT 'released', '', COUNT(*), NULL, 0, NULL, PERCENTILE_CONT(ARRAY[0.5, 0.95])
       WITHIN GROUP (ORDER BY DATE_PART('epoch', finalized_at - released_at))
FROM connector_order AS done
WHERE shop_id = %(shop)s AND finalized_at >= %(week)s AND released_at IS NOT NULL
AND NOT EXISTS (SELECT FROM connector_orderlog WHERE what = 'asked' AND order_id = done.id)
UNION ALL
SELECT 'tracked', '', COUNT(*), NULL, 0, NULL, PERCENTILE_CONT(ARRAY[0.5, 0.95])
       WITHIN GROUP (ORDER BY DATE_PART('epoch', accepted_at - fulfilled_at))
FROM connector_parcel AS done
WHERE shop_id = %(shop)s AND accepted_at >= %(week)s AND fulfilled_at IS NOT NULL
AND NOT EXISTS (
    SELECT FROM connector_orderlog
    WHERE what = 'asked' AND order_id = done.order_id AND parcel_id = done.id
)
ORDER BY 1, 2
"""


def done_since(shop: Shop, week: datetime, today: datetime) -> list[Done]:
    """A row for each currency that orders went into Shopify in, one for the tracking numbers that TikTok accepted; and
    how long it took from TikTok's release to the Shopify order, and from Shopify's fulfillment to TikTok's yes, without
    what somebody had to be asked about."""
    return [Done(*row) for row in sql.rows(DONE, {"shop": shop.pk, "week": week, "today": today})]


@dataclass(frozen=True, slots=True)
class Latency:
    """How long something took, in seconds; of `n` cases. None without a case."""

    n: int
    p50: float | None
    p95: float | None

    @property
    def within_target(self) -> bool:
        return self.p95 is not None and self.p95 <= TARGET_SECONDS


def latency(done: list[Done], kind: str) -> Latency:
    [found] = (one for one in done if one.kind == kind)
    p50, p95 = (max(0.0, one) for one in found.seconds) if found.seconds else (None, None)
    return Latency(found.week, p50, p95)


# ---- what waits ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiting:
    """So many orders or parcels wait for a person for the same reason."""

    reason: Reason
    n: int


@dataclass(frozen=True, slots=True)
class Attention:
    """What waits for a person, most of all first, and how many older orders are offered, as far as anybody counts."""

    waiting: list[Waiting]
    older: int


def attention(shop: Shop) -> Attention:
    """An order and its parcel with one reason each count for themselves."""
    orders = Order.objects.filter(shop=shop).exclude(reason="").exclude(state__in=sorted(KEPT_OUT))
    parcels = Parcel.objects.filter(shop=shop).exclude(reason="")
    asking = [rows.order_by().values_list("reason").annotate(n=Count("*")) for rows in (orders, parcels)]
    offered = Order.objects.filter(shop=shop, state=State.OFFERED).order_by()
    one_by_one = offered.annotate(code=Value(OLDER), n=Value(1)).values_list("code", "n")[:COUNTED_TO]
    counts: Counter[str] = Counter()
    for code, n in asking[0].union(asking[1], one_by_one, all=True):
        counts[code] += n
    older = counts.pop(OLDER, 0)
    found = [Waiting(reason_of(code), n) for code, n in counts.items()]
    return Attention(sorted(found, key=lambda one: (-one.n, one.reason.code)), older)


class Due(NamedTuple):
    """An order that is to be shipped, or whose buyer is to be answered, and by when."""

    pk: int
    connection_id: int
    name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Orders with a deadline of TikTok's: too late already, within 4 and within 12 hours; the first few by name."""

    late: int = 0
    very_soon: int = 0
    soon: int = 0
    orders: Sequence[Due] = ()

    @property
    def any(self) -> bool:
        return bool(self.orders)


class Pressing(NamedTuple):
    to_ship: Deadlines
    to_answer: Deadlines  # a buyer who asks to cancel


def deadlines(shop: Shop) -> Pressing:
    ours = Order.objects.filter(shop=shop)
    named = NullIf("order_name", Value("", TextField()))  # a draft is no order yet
    to_ship = near("to_ship", ours.filter(state=State.FINALIZED), "ship_by_at", F("order_name"))
    to_answer = near("to_answer", ours.filter(ASKING), "cancel_due_at", Coalesce(named, "tiktok_id"))
    found: dict[str, list[Any]] = {"to_ship": [], "to_answer": []}
    for kind, *values in to_ship.union(to_answer, all=True):
        found[kind].append(values)
    return Pressing(**{kind: deadlines_of(rows) for kind, rows in found.items()})


def near(kind: str, orders: QuerySet[Order], at: str, name: Any) -> QuerySet[Order, Any]:
    """The first few with that time, each beside the counts of all."""
    now = timezone.now()
    risky = orders.filter(**{f"{at}__lt": now + SOON}).annotate(
        kind=Value(kind),
        late=Window(Count("pk", filter=Q(**{f"{at}__lt": now}))),
        very_soon=Window(Count("pk", filter=Q(**{f"{at}__gte": now, f"{at}__lt": now + VERY_SOON}))),
        soon=Window(Count("pk", filter=Q(**{f"{at}__gte": now + VERY_SOON}))),
        name=name,
        at=F(at),
    )
    shown = risky.values_list("kind", "late", "very_soon", "soon", "pk", "connection_id", "name", "at")
    return shown.order_by(at)[:MOST_DEADLINES]


def deadlines_of(rows: list[Any]) -> Deadlines:
    """Of rows that carry the same counts."""
    if not rows:
        return Deadlines()
    late, very_soon, soon, *_of_the_first = rows[0]
    return Deadlines(late, very_soon, soon, [Due(*row[3:]) for row in sorted(rows, key=itemgetter(-1))])
