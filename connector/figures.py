"""The figures of the home page: what came, what became of it and when, what waits, and how fast it went."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.postgres.fields import ArrayField
from django.db.models import (
    Aggregate,
    Case,
    CharField,
    Count,
    Exists,
    F,
    FloatField,
    OuterRef,
    Q,
    Sum,
    Value,
    When,
)
from django.db.models.functions import TruncDate
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from connector.audits import bounds
from connector.models import Order, OrderLog, Parcel
from connector.reasons import Reason
from connector.reasons import reason as reason_of
from connector.states import IN_SHOPIFY, KEPT_OUT
from connector.states import OrderState as State
from shopify_app.models import Shop

TARGET_SECONDS = 60  # what the fastest of the others claims for release -> order (PRODUCT, performance)
SOON, VERY_SOON = timedelta(hours=12), timedelta(hours=4)
MOST_DEADLINES = 5

# What became of an order, each order in exactly one: these add up to the orders that are known.
OUTCOMES: dict[str, Promise] = {
    "in_shopify": _("In Shopify"),
    "held": _("On hold"),
    "asking": _("Waits for you"),
    "kept_out": _("Kept out by a rule"),
    "cancelled": _("Cancelled before"),
}
OUTCOME = Case(
    When(state__in=[State.SKIPPED, State.OUTSIDE], then=Value("kept_out")),
    When(Q(state=State.CANCELLED, order_gid=""), then=Value("cancelled")),
    When(state__in=[*IN_SHOPIFY, State.CANCELLED], then=Value("in_shopify")),
    When(Q(reason="") & ~Q(state=State.OFFERED), then=Value("held")),
    default=Value("asking"),
    output_field=CharField(),
)


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
    first = last - timedelta(days=n - 1)
    since, until = bounds(first, zone)[0], bounds(last, zone)[1]
    counted = (
        Order.objects.filter(shop=shop, placed_at__gte=since, placed_at__lt=until)
        .annotate(day=TruncDate("placed_at", tzinfo=zone), outcome=OUTCOME)
        .values("day", "outcome")
        .order_by()
        .annotate(n=Count("pk"))
    )
    found: dict[date, dict[str, int]] = {}
    for row in counted:
        found.setdefault(row["day"], {})[row["outcome"]] = row["n"]
    each = [first + timedelta(days=i) for i in range(n)]
    return [Day(day, {name: found.get(day, {}).get(name, 0) for name in OUTCOMES}) for day in each]


@dataclass(frozen=True, slots=True)
class Tally:
    """What happened in a stretch of time. `sold` is the value of the orders that went into Shopify."""

    came: int
    finalized: int
    shipped: int
    sold: list[tuple[str, Decimal]]


def tally(shop: Shop, since: datetime) -> Tally:
    """Counted by when it happened, not by when the order was placed."""
    finalized = Order.objects.filter(shop=shop, finalized_at__gte=since)
    sold = finalized.values_list("currency").order_by("currency").annotate(total=Sum("expected_total"))
    return Tally(
        came=Order.objects.filter(shop=shop, placed_at__gte=since).count(),
        finalized=finalized.count(),
        shipped=Parcel.objects.filter(shop=shop, accepted_at__gte=since).count(),
        sold=[(currency, total) for currency, total in sold if total is not None],
    )


# ---- what waits ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiting:
    """So many orders or parcels wait for a person for the same reason."""

    reason: Reason
    n: int


def waiting(shop: Shop) -> list[Waiting]:
    """What waits for a person, most of all first; an order and its parcel with one reason each count for themselves."""
    orders = Order.objects.filter(shop=shop).exclude(reason="").exclude(state__in=KEPT_OUT)
    parcels = Parcel.objects.filter(shop=shop).exclude(reason="")
    counts: dict[str, int] = {}
    for rows in (orders, parcels):
        for code, n in rows.order_by().values_list("reason").annotate(n=Count("pk")):
            counts[code] = counts.get(code, 0) + n
    found = [Waiting(reason_of(code), n) for code, n in counts.items()]
    return sorted(found, key=lambda one: (-one.n, one.reason.code))


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Orders that TikTok wants shipped: too late already, within 4 and within 12 hours; the first few by name."""

    late: int
    very_soon: int
    soon: int
    orders: list[Order]

    @property
    def any(self) -> bool:
        return bool(self.orders)


def deadlines(shop: Shop) -> Deadlines:
    now = timezone.now()
    risky = Order.objects.filter(shop=shop, state=State.FINALIZED, ship_by_at__lt=now + SOON)
    counts = risky.aggregate(
        late=Count("pk", filter=Q(ship_by_at__lt=now)),
        very_soon=Count("pk", filter=Q(ship_by_at__gte=now, ship_by_at__lt=now + VERY_SOON)),
        soon=Count("pk", filter=Q(ship_by_at__gte=now + VERY_SOON)),
    )
    return Deadlines(**counts, orders=list(risky.order_by("ship_by_at")[:MOST_DEADLINES]))


# ---- how fast it goes ------------------------------------------------------------------------------------------------


class Percentiles(Aggregate):
    """The median and the 95th percentile of an interval, in seconds."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY EXTRACT(EPOCH FROM %(expressions)s))"
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
    done = Order.objects.filter(shop=shop, finalized_at__gte=since, released_at__isnull=False)
    return latency(done.exclude(Exists(asked)), F("finalized_at") - F("released_at"))


def tracking_latency(shop: Shop, since: datetime) -> Latency:
    """From a fulfillment in Shopify to TikTok's yes, of the numbers that nobody had to be asked about."""
    asked = OrderLog.objects.filter(parcel=OuterRef("pk"), what="asked")
    done = Parcel.objects.filter(shop=shop, accepted_at__gte=since, fulfilled_at__isnull=False)
    return latency(done.exclude(Exists(asked)), F("accepted_at") - F("fulfilled_at"))


def latency(rows: Any, took: Any) -> Latency:
    found = rows.aggregate(n=Count("pk"), seconds=Percentiles(took))
    p50, p95 = (max(0.0, one) for one in found["seconds"]) if found["seconds"] else (None, None)
    return Latency(found["n"], p50, p95)
