"""The figures of the home page: what came, what became of it and when, what waits, and how fast it went."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.postgres.fields import ArrayField
from django.db.models import (
    Aggregate,
    Count,
    DateTimeField,
    DecimalField,
    Exists,
    F,
    FloatField,
    Func,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Sum,
    Value,
    Window,
)
from django.utils import timezone

from connector.audits import bounds
from connector.models import Order, OrderLog, Parcel
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
SENT = "sent"  # among the currencies: tracking numbers
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


def days(shop: Shop, last: date, n: int, zone: ZoneInfo) -> list[Day]:
    """The n days up to and with `last`, oldest first, in the shop's zone."""
    each = [last - timedelta(days=ago) for ago in reversed(range(n))]
    began, over = [bounds(day, zone)[0] for day in each], bounds(last, zone)[1]
    placed = Order.objects.filter(shop=shop, placed_at__gte=began[0], placed_at__lt=over)
    counted = placed.values("outcome", day=Nth("placed_at", began)).order_by().annotate(n=Count("*"))
    found = {(row["day"], row["outcome"]): row["n"] for row in counted}
    return [
        Day(day, {name: found.get((nth, name), 0) for name in OUTCOMES}) for nth, day in enumerate(each, 1)
    ]


class Nth(Func):
    """In which of the stretches that begin at these times a time lies: much cheaper than its day in a zone."""

    function = "WIDTH_BUCKET"
    output_field = IntegerField()

    def __init__(self, time: str, began: list[datetime]) -> None:
        super().__init__(F(time), Value(began, output_field=ArrayField(DateTimeField())))


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
    week, today = (bounds(day, zone)[0] for day in (each[-WEEK].day, last))
    done = list(done_since(shop, week, today))
    return Record(
        each,
        tally(each[-1:], [(what, n, total) for what, _n, _total, n, total in done]),
        tally(each[-WEEK:], [(what, n, total) for what, n, total, _n, _total in done]),
        release_latency(shop, week),
        tracking_latency(shop, week),
    )


def tally(placed: list[Day], done: list[tuple[str, int, Decimal | None]]) -> Tally:
    return Tally(
        came=sum(day.known for day in placed),
        finalized=sum(n for what, n, _total in done if what != SENT),
        shipped=sum(n for what, n, _total in done if what == SENT),
        sold=[(currency, total) for currency, _n, total in done if total is not None],
    )


def done_since(shop: Shop, week: datetime, today: datetime) -> QuerySet[Any, Any]:
    """A row for each currency that orders went into Shopify in, and one for the tracking numbers that TikTok accepted:
    how many and their value, since the first time and since the second."""
    orders = Order.objects.filter(shop=shop, finalized_at__gte=week).order_by().values("currency")
    parcels = Parcel.objects.filter(shop=shop, accepted_at__gte=week)
    no_value = Value(None, DecimalField())
    since_today = Q(finalized_at__gte=today)
    sold = orders.annotate(
        week=Count("*"),
        week_total=Sum("expected_total"),
        today=Count("pk", filter=since_today),
        today_total=Sum("expected_total", filter=since_today),
    ).values_list("currency", "week", "week_total", "today", "today_total")
    sent = (
        parcels.annotate(what=Value(SENT))
        .values("what")
        .annotate(
            week=Count("*"),
            week_total=no_value,
            today=Count("pk", filter=Q(accepted_at__gte=today)),
            today_total=no_value,
        )
        .values_list("what", "week", "week_total", "today", "today_total")
    )
    return sold.union(sent, all=True).order_by("currency")


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


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Orders that TikTok wants shipped: too late already, within 4 and within 12 hours; the first few by name."""

    late: int
    very_soon: int
    soon: int
    orders: Sequence[Order]

    @property
    def any(self) -> bool:
        return bool(self.orders)


def deadlines(shop: Shop) -> Deadlines:
    now = timezone.now()
    risky = Order.objects.filter(shop=shop, state=State.FINALIZED, ship_by_at__lt=now + SOON)
    counted = risky.annotate(
        late=Window(Count("pk", filter=Q(ship_by_at__lt=now))),
        very_soon=Window(Count("pk", filter=Q(ship_by_at__gte=now, ship_by_at__lt=now + VERY_SOON))),
        soon=Window(Count("pk", filter=Q(ship_by_at__gte=now + VERY_SOON))),
    )
    first = list(counted.only("order_name", "ship_by_at").order_by("ship_by_at")[:MOST_DEADLINES])
    if not first:
        return Deadlines(0, 0, 0, [])
    return Deadlines(first[0].late, first[0].very_soon, first[0].soon, first)


# ---- how fast it goes ------------------------------------------------------------------------------------------------


class Percentiles(Aggregate):
    """The median and the 95th percentile of an interval, in seconds."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY DATE_PART('epoch', %(expressions)s))"
    output_field = ArrayField(FloatField())


@dataclass(frozen=True, slots=True)
class Latency:
    """How long something took, in seconds; of `n` cases. None without a case."""

    n: int
    p50: float | None
    p95: float | None

    @property
    def within_target(self) -> bool:
        return self.p95 is not None and self.p95 <= TARGET_SECONDS


def release_latency(shop: Shop, since: datetime) -> Latency:
    """From TikTok's release of an order to the Shopify order, of the orders that nobody had to be asked about."""
    asked = OrderLog.objects.filter(order=OuterRef("pk"), what="asked")
    done = Order.objects.filter(~Exists(asked), shop=shop, finalized_at__gte=since, released_at__isnull=False)
    return latency(done.aggregate(n=Count("*"), seconds=Percentiles(F("finalized_at") - F("released_at"))))


def tracking_latency(shop: Shop, since: datetime) -> Latency:
    """From a fulfillment in Shopify to TikTok's yes, of the numbers that nobody had to be asked about."""
    asked = OrderLog.objects.filter(order=OuterRef("order"), parcel=OuterRef("pk"), what="asked")
    done = Parcel.objects.filter(
        ~Exists(asked), shop=shop, accepted_at__gte=since, fulfilled_at__isnull=False
    )
    return latency(done.aggregate(n=Count("*"), seconds=Percentiles(F("accepted_at") - F("fulfilled_at"))))


def latency(found: dict[str, Any]) -> Latency:
    p50, p95 = (max(0.0, one) for one in found["seconds"]) if found["seconds"] else (None, None)
    return Latency(found["n"], p50, p95)
