"""The proof: every TikTok order of a day beside its Shopify object or the rule that kept it out, and what differs."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.db.models import Case, CharField, Count, Q, QuerySet, Value, When
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from connector.audits import bounds
from connector.keys import key_of
from connector.models import Audit, Connection, Order
from connector.outcomes import OUTCOMES
from connector.states import IN_SHOPIFY
from connector.states import OrderState as State
from shopify_app.models import Shop

PAGE_SIZE = 50
SHOWN = (
    "tiktok_id",
    "tiktok_status",
    "state",
    "outcome",
    "reason",
    "placed_at",
    "currency",
    "expected_total",
    "draft_gid",
    "draft_name",
    "order_gid",
    "order_name",
)
FIRST_DAY = date(2020, 1, 1)  # TikTok Shop is not older
GONE = ("cancelled", "deleted")
ASKS = "asks"  # an order that waits for a person: told by its reason
IN_PASSING = timedelta(minutes=10)  # a difference that is younger is work under way


@dataclass(frozen=True, slots=True)
class Words:
    title: Promise
    do: Promise


# What our own rows show to be in contradiction; the most serious first, for a row shows one.
DIFFERENCES: dict[str, Words] = {
    "cancelled_at_tiktok": Words(
        _("Cancelled at TikTok, alive in Shopify"), _("Do not ship it. Look again to have it cancelled.")
    ),
    "gone_in_shopify": Words(
        _("Alive at TikTok, gone in Shopify"),
        _("Somebody cancelled or deleted it in Shopify. TikTok still expects it."),
    ),
    "not_in_shopify": Words(
        _("Released by TikTok, not in Shopify yet"), _("Look again to have it brought in now.")
    ),
}
# What a comparison with both shops found.
FOUND: dict[str, Words] = {
    "missing_here": Words(_("Missing here"), _("It has been taken in now.")),
    "before_connection": Words(
        _("Older than the connection and over"), _("Nothing: it was finished before this app was connected.")
    ),
    "missing_there": Words(_("TikTok did not name it"), _("It has been looked up by its number.")),
    "status": Words(_("The status differed"), _("It has been read again.")),
    "amounts": Words(_("The amounts differ"), _("Compare it in both shops before you ship.")),
    "not_named": Words(_("In Shopify, and we did not know it"), _("It has been looked at again.")),
    "unknown_in_shopify": Words(
        _("In Shopify, unknown here"),
        _("An earlier installation may have made it. Compare it in both shops before you ship."),
    ),
    "doubled_in_shopify": Words(
        _("Two Shopify orders for one"),
        _("Ship only the one that is named here; cancel the other in Shopify."),
    ),
    "cancelled_in_shopify": Words(_("Cancelled in Shopify"), _("It has been looked at again.")),
    "alive_in_shopify": Words(
        _("Cancelled at TikTok, alive in Shopify"), _("Do not ship it; cancel it in Shopify.")
    ),
    "gone_from_shopify": Words(_("Not in Shopify any more"), _("It has been looked at again.")),
    "shopify_total": Words(
        _("Shopify's total is another"), _("Somebody may have edited it. Compare it in both shops.")
    ),
}


def difference(now: datetime) -> Case:
    """The code of what is wrong with an order, or "". Only Q objects, so that a list can be filtered by it."""
    settled = Q(changed_at__lt=now - IN_PASSING)
    waiting = Q(state__in=[State.RECEIVED, State.ON_HOLD])
    alive = Q(state__in=[*IN_SHOPIFY, State.ON_HOLD])
    kept_out = Q(state__in=[State.SKIPPED, State.OUTSIDE])
    return Case(
        When(settled & alive & Q(tiktok_status="CANCELLED"), then=Value("cancelled_at_tiktok")),
        When(Q(state__in=IN_SHOPIFY, shopify_state__in=GONE), then=Value("gone_in_shopify")),
        When(
            settled & waiting & Q(reason="", tiktok_status="AWAITING_SHIPMENT"), then=Value("not_in_shopify")
        ),
        When(Q(state=State.OFFERED) | (~Q(reason="") & ~kept_out), then=Value(ASKS)),
        default=Value(""),
        output_field=CharField(),
    )


@dataclass(frozen=True, slots=True)
class Row:
    """How one TikTok shop's orders of a day add up."""

    connection: Connection
    counts: dict[str, int]
    differences: int

    @property
    def known(self) -> int:
        return sum(self.counts.values())


def sums(shop: Shop, day: date, zone: ZoneInfo) -> list[Row]:
    """A row for each connection that is active or had orders that day."""
    counted = (
        orders_of(shop, day, zone)
        .order_by()
        .values("connection", "outcome")
        .annotate(n=Count("pk"), wrong=Count("pk", filter=~Q(difference="")))
    )
    counts: dict[int, dict[str, int]] = {}
    wrong: dict[int, int] = {}
    for row in counted:
        counts.setdefault(row["connection"], {})[row["outcome"]] = row["n"]
        wrong[row["connection"]] = wrong.get(row["connection"], 0) + row["wrong"]
    mine = Connection.objects.filter(shop=shop).select_related("tiktok_shop").order_by("pk")
    return [
        Row(one, {name: counts.get(one.pk, {}).get(name, 0) for name in OUTCOMES}, wrong.get(one.pk, 0))
        for one in mine
        if one.active or one.pk in counts
    ]


def orders_of(shop: Shop, day: date, zone: ZoneInfo) -> QuerySet[Any]:
    since, until = bounds(day, zone)
    orders = Order.objects.filter(shop=shop, placed_at__gte=since, placed_at__lt=until)
    return orders.annotate(difference=difference(timezone.now()))


# ---- the orders of a day, a page at a time ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wish:
    """What the address asks for: a day, all its orders or only those that differ, and a page."""

    day: date
    only: bool = False
    after: str = ""

    @classmethod
    def from_query(cls, query: Any, today: date) -> "Wish":
        try:
            day = date.fromisoformat(query.get("day", ""))
        except ValueError:
            day = today
        known = FIRST_DAY <= day <= today
        return cls(day if known else today, query.get("show") == "differences", query.get("after", "")[:64])

    @property
    def query(self) -> str:
        return urlencode({"day": self.day.isoformat()} | ({"show": "differences"} if self.only else {}))


@dataclass(frozen=True, slots=True)
class Page:
    """Orders with their `difference`; the cursor of the page that follows is empty on the last one."""

    orders: list[Any]
    after: str


def page_of(shop: Shop, wish: Wish, zone: ZoneInfo) -> Page:
    """The orders of a day, newest first, 50 at a time."""
    orders = orders_of(shop, wish.day, zone).only(*SHOWN)
    if wish.only:
        orders = orders.exclude(difference="")
    found = list(beyond(orders, wish.after).order_by("-placed_at", "-id")[: PAGE_SIZE + 1])
    shown, more = found[:PAGE_SIZE], len(found) > PAGE_SIZE
    return Page(shown, f"{shown[-1].placed_at.isoformat()}_{shown[-1].pk}" if more else "")


def beyond(orders: QuerySet[Any], cursor: str) -> QuerySet[Any]:
    """The orders after a cursor; a broken one shows the first page."""
    placed, _sep, key = cursor.partition("_")
    try:
        at, pk = datetime.fromisoformat(placed), key_of(key)
    except ValueError:
        return orders
    if pk is None or at.tzinfo is None:
        return orders
    return orders.filter(placed_at__lte=at).exclude(placed_at=at, pk__gte=pk)


def undated(shop: Shop) -> int:
    """Orders that came a moment ago: TikTok has not told yet when they were placed."""
    return Order.objects.filter(shop=shop, placed_at=None).count()


# ---- compared with both shops ----------------------------------------------------------------------------------------


def audits_of(shop: Shop, day: date) -> list[Audit]:
    """The last audit of a day for each connection that has one."""
    found: dict[int, Audit] = {}
    of_day = Audit.objects.filter(shop=shop, day=day).select_related("connection__tiktok_shop")
    for audit in of_day.order_by("-asked_at")[:50]:
        found.setdefault(audit.connection_id, audit)
    return sorted(found.values(), key=lambda audit: audit.connection_id)


def audit_dates(shop: Shop, first: date, last: date) -> dict[date, datetime]:
    """When each day of a stretch was last compared to its end."""
    rows = Audit.objects.filter(shop=shop, day__range=(first, last), words="", finished_at__isnull=False)
    return {audit.day: audit.finished_at for audit in rows.order_by("finished_at") if audit.finished_at}
