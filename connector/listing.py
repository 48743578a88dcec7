"""The list of orders: which rows a page shows, in which order, and the cursors of the pages beside it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from connector import carriers
from connector.keys import key_of
from connector.models import Order, OrderLine, Parcel
from connector.reasons import REASONS
from connector.states import KEPT_OUT
from connector.states import OrderState as State
from shopify_app.models import Shop

PAGE_SIZE = 50
COUNTED_TO = 100  # "99+": a count never reads more rows than this
# What a row of the list shows. An order has four times as many columns, and 50 of them cost more than their query.
OF_ORDER = (
    "connection",
    "tiktok_id",
    "state",
    "reason",
    "detail",
    "placed_at",
    "release_at",
    "ship_by_at",
    "ship_due_at",
    "cancel_due_at",
    "currency",
    "expected_total",
    "draft_gid",
    "draft_name",
    "order_gid",
    "order_name",
)
OF_PARCEL = ("order", "state", "reason", "detail", "number", "company", "provider_name")

# The filters, in the order of the tabs. What a rule keeps out has a reason as well, but asks nobody.
SHOWS: dict[str, Promise] = {
    "all": _("All"),
    "hold": _("On hold"),
    "ship": _("To ship"),
    "attention": _("Needs attention"),
    "shipped": _("Shipped"),
    "delivered": _("Delivered"),
    "completed": _("Completed"),
    "cancelled": _("Cancelled"),
    "kept-out": _("Not ours"),
}
STATES: dict[str, Sequence[str]] = {
    "hold": (State.RECEIVED, State.ON_HOLD),
    "ship": (State.FINALIZED,),
    "shipped": (State.SHIPPED,),
    "delivered": (State.DELIVERED,),
    "completed": (State.COMPLETED,),
    "cancelled": (State.CANCELLED,),
    "kept-out": sorted(KEPT_OUT),
}


@dataclass(frozen=True, slots=True)
class Page:
    """Orders, and by their keys the parcels of those that have any.

    `before` and `after` are the cursors of the pages beside it; empty where there is none.
    """

    orders: list[Order]
    parcels: Mapping[int, list[Parcel]] = field(default_factory=dict)
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the address asks for: one of SHOWS, of what needs attention perhaps one reason only, or something to find.

    Perhaps of one TikTok shop only. And the cursor of a page further down, or up.
    """

    show: str = "all"
    reason: str = ""
    connection: int | None = None
    find: str = ""
    after: str = ""
    before: str = ""

    @classmethod
    def from_query(cls, query: Any) -> "Wish":
        show, find = query.get("show", ""), query.get("find", "").strip()[:64]
        after, before = query.get("after", "")[:64], query.get("before", "")[:64]
        show = show if show in SHOWS and not find else "all"
        reason = query.get("reason", "") if show == "attention" else ""
        known = reason if reason in REASONS else ""
        connection = None if find else key_of(query.get("connection", ""))
        return cls(show, known, connection, find, after, "" if after else before)

    @property
    def query(self) -> str:
        """The same wish as a query string."""
        return urlencode({name: value for name, value in asdict(self).items() if value})

    @property
    def first(self) -> "Wish":
        return replace(self, after="", before="")


def page_of(shop: Shop, wish: Wish) -> Page:
    """The orders of a shop that the wish is about, newest first, 50 at a time."""
    lists = [rows.only(*OF_ORDER) for rows in sources(shop, wish)]
    page = paged(lists, wish.after, wish.before)
    return replace(page, parcels=parcels_of(page.orders))


def paged(lists: Sequence[QuerySet[Order]], after: str, before: str) -> Page:
    """A page of lists that share no order, from one of the cursors on."""
    upwards = Cursor.read(before)
    start = upwards or Cursor.read(after)
    found = taken(lists, start, bool(upwards))
    orders, more = found[:PAGE_SIZE], len(found) > PAGE_SIZE
    if upwards:
        orders.reverse()
    if not orders:
        return Page([])
    return Page(
        orders,
        before=Cursor.of(orders[0]).text if (more if upwards else start) else "",
        after=Cursor.of(orders[-1]).text if (upwards or more) else "",
    )


def taken(lists: Sequence[QuerySet[Order]], start: "Cursor | None", upwards: bool) -> list[Order]:
    """One row more than a page from the start on: that there is a next page needs no count."""
    limit = PAGE_SIZE + 1
    first, *others = [part[:limit] for rows in lists for part in parts(rows, start, upwards)]
    rows = first.union(*others, all=True) if others else first
    return sorted(rows, key=place, reverse=not upwards)[:limit]


def parcels_of(orders: Sequence[Order]) -> Mapping[int, list[Parcel]]:
    """By order. Grouped here: to ask each of 50 orders for what was prefetched costs more than the query."""
    found: defaultdict[int, list[Parcel]] = defaultdict(list)
    keys = [order.pk for order in orders]
    for parcel in Parcel.objects.filter(order__in=keys).only(*OF_PARCEL).order_by("pk"):
        found[parcel.order_id].append(parcel)
    return found


def sources(shop: Shop, wish: Wish) -> list[QuerySet[Order]]:
    """Lists that share no order: an index reads each in its order, but not all of them together."""
    if wish.show in STATES:
        lists = [Order.objects.filter(shop=shop, state=state) for state in STATES[wish.show]]
    elif wish.show == "attention":
        lists = [asking_themselves(shop, wish.reason), asking_for_a_parcel(shop, wish.reason)]
    else:
        return [wished(shop, wish)]
    return [of_connection(rows, wish) for rows in lists]


def of_connection(rows: QuerySet[Order], wish: Wish) -> QuerySet[Order]:
    return rows if wish.connection is None else rows.filter(connection=wish.connection)


def place(order: Order) -> tuple[bool, datetime, int]:
    return (order.placed_at is None, order.placed_at or datetime.max.replace(tzinfo=UTC), order.pk)


def parts(rows: QuerySet[Order], start: "Cursor | None", upwards: bool) -> Iterator[QuerySet[Order]]:
    """The rows from the start on in stretches that an index reads in their order.

    Newest first; an order that TikTok has not dated yet comes before all others.
    """
    order = ("placed_at", "id") if upwards else ("-placed_at", "-id")
    if start is None:
        yield rows.order_by(*order)
    elif start.at is None:
        undated = rows.filter(placed_at=None).order_by(*order)
        yield undated.filter(pk__gt=start.pk) if upwards else undated.filter(pk__lt=start.pk)
        if not upwards:
            yield rows.filter(placed_at__isnull=False).order_by(*order)
    elif upwards:
        yield (
            rows.filter(placed_at__gte=start.at)
            .exclude(placed_at=start.at, pk__lte=start.pk)
            .order_by(*order)
        )
        yield rows.filter(placed_at=None).order_by(*order)
    else:
        yield (
            rows.filter(placed_at__lte=start.at)
            .exclude(placed_at=start.at, pk__gte=start.pk)
            .order_by(*order)
        )


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place of an order in the list."""

    at: datetime | None
    pk: int

    @classmethod
    def of(cls, order: Order) -> "Cursor":
        return cls(order.placed_at, order.pk)

    @classmethod
    def read(cls, text: str) -> "Cursor | None":
        placed, _sep, key = text.partition("_")
        try:
            at, pk = datetime.fromisoformat(placed) if placed else None, key_of(key)
        except ValueError:
            return None
        return None if pk is None or (at is not None and at.tzinfo is None) else cls(at, pk)

    @property
    def text(self) -> str:
        return f"{self.at.isoformat() if self.at else ''}_{self.pk}"


def wished(shop: Shop, wish: Wish) -> QuerySet[Order]:
    """All orders that the wish is about, in no order."""
    orders = Order.objects.filter(shop=shop)
    if wish.find:
        return named(shop, wish.find)
    if wish.show == "attention":
        return of_connection(asking(shop, wish.reason), wish)
    states = STATES.get(wish.show)
    return of_connection(orders.filter(state__in=states) if states else orders, wish)


def named(shop: Shop, text: str) -> QuerySet[Order]:
    """Either side's number of an order, or a tracking number; what is none of them is looked for among the SKUs."""
    orders = Order.objects.filter(shop=shop)
    ours, names = orders.values("pk"), {text, f"#{text.removeprefix('#')}"}
    parcels = Parcel.objects.filter(shop=shop, number=carriers.clean(text)).values("order_id")
    numbered = ours.filter(tiktok_id=text).union(
        ours.filter(order_name__in=names), ours.filter(draft_name__in=names), parcels
    )
    if numbered.exists():
        return orders.filter(pk__in=numbered)
    units = OrderLine.objects.filter(order=OuterRef("pk"), seller_sku__in={text, text.upper(), text.lower()})
    return orders.filter(Exists(units))


def asking(shop: Shop, reason: str = "") -> QuerySet[Order]:
    """Orders that wait for a person, for themselves or for one of their parcels; for any reason, or for this one."""
    itself = asking_themselves(shop, reason).values("pk")
    either = itself.union(asking_parcels(shop, reason))  # an OR would read the whole list
    return Order.objects.filter(shop=shop, pk__in=either)


def asking_themselves(shop: Shop, reason: str) -> QuerySet[Order]:
    wanted = Q(reason=reason) if reason else Q()
    return Order.objects.filter(wanted, shop=shop).exclude(reason="").exclude(state__in=sorted(KEPT_OUT))


def asking_for_a_parcel(shop: Shop, reason: str) -> QuerySet[Order]:
    """Those that do not ask for themselves as well."""
    quiet = ~Q(reason=reason) if reason else Q(reason="")
    return Order.objects.filter(
        quiet | Q(state__in=sorted(KEPT_OUT)), shop=shop, pk__in=asking_parcels(shop, reason)
    )


def asking_parcels(shop: Shop, reason: str) -> QuerySet[Parcel, Any]:
    wanted = Q(reason=reason) if reason else Q()
    return Parcel.objects.filter(wanted, shop=shop).exclude(reason="").values("order_id")


def waiting(shop: Shop) -> Counter[str]:
    """How many orders ask for a person, and how many are offered, as far as anybody wants to know; in one query."""
    offered = Order.objects.filter(shop=shop, state=State.OFFERED)
    kinds = {
        "asking": (asking_themselves(shop, ""), asking_for_a_parcel(shop, "")),
        "older": (offered,),
    }
    first, *others = [
        rows.order_by().annotate(kind=Value(kind)).values_list("kind", flat=True)[:COUNTED_TO]
        for kind, sources in kinds.items()
        for rows in sources
    ]
    return Counter(first.union(*others, all=True))


def count_of(rows: QuerySet[Order]) -> int:
    return rows.order_by()[:COUNTED_TO].count()
