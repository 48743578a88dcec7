"""The list of orders: which rows a page shows, in which order, and the cursor of the next page."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from connector.models import Order, Parcel
from connector.states import KEPT_OUT
from connector.states import OrderState as State
from shopify_app.models import Shop

PAGE_SIZE = 50
COUNTED_TO = 100  # "99+": a count never reads more rows than this

# The filters, in the order of the tabs. What a rule keeps out has a reason as well, but asks nobody.
SHOWS: dict[str, Promise] = {
    "all": _("All"),
    "hold": _("On hold"),
    "ship": _("To ship"),
    "attention": _("Needs attention"),
    "shipped": _("Shipped"),
    "cancelled": _("Cancelled"),
    "kept-out": _("Not ours"),
}
STATES = {
    "hold": (State.RECEIVED, State.ON_HOLD),
    "ship": (State.FINALIZED,),
    "shipped": (State.SHIPPED, State.DELIVERED, State.COMPLETED),
    "cancelled": (State.CANCELLED,),
    "kept-out": KEPT_OUT,
}


@dataclass(frozen=True, slots=True)
class Page:
    orders: list[Order]
    after: str  # the cursor of the page that follows; empty on the last one


@dataclass(frozen=True, slots=True)
class Wish:
    """What the address asks for: one of SHOWS, or a number to find; `after` is the cursor of a later page."""

    show: str = "all"
    find: str = ""
    after: str = ""

    @classmethod
    def from_query(cls, query: Any) -> "Wish":
        show, find = query.get("show", ""), query.get("find", "").strip()[:64]
        return cls(show if show in SHOWS and not find else "all", find, query.get("after", "")[:64])

    @property
    def query(self) -> str:
        """The same wish as a query string."""
        return urlencode({name: value for name, value in asdict(self).items() if value})

    @property
    def first(self) -> "Wish":
        return replace(self, after="")


def page_of(shop: Shop, wish: Wish) -> Page:
    """The newest orders of a shop that the wish is about, 50 at a time."""
    rows = wished(shop, wish).select_related("connection__tiktok_shop").prefetch_related("parcels")
    found = list(beyond(rows, wish.after).order_by("-placed_at", "-id")[: PAGE_SIZE + 1])
    orders = found[:PAGE_SIZE]
    return Page(orders, cursor_of(orders[-1]) if len(found) > PAGE_SIZE else "")


def wished(shop: Shop, wish: Wish) -> QuerySet[Order]:
    orders = Order.objects.filter(shop=shop)
    if wish.find:
        return orders.filter(named(wish.find))
    if wish.show == "attention":
        return asking(shop)
    states = STATES.get(wish.show)
    return orders.filter(state__in=states) if states else orders


def named(number: str) -> Q:
    """Either side's number: TikTok's id, or Shopify's name of the order or draft, with or without its #."""
    names = {number, f"#{number.removeprefix('#')}"}
    return Q(tiktok_id=number) | Q(order_name__in=names) | Q(draft_name__in=names)


def asking(shop: Shop) -> QuerySet[Order]:
    """Orders that wait for a person, for themselves or for one of their parcels."""
    own = Order.objects.filter(shop=shop).exclude(reason="").exclude(state__in=KEPT_OUT).values("pk")
    parcels = Parcel.objects.filter(shop=shop).exclude(reason="").values("order_id")
    return Order.objects.filter(shop=shop, pk__in=own.union(parcels))  # an OR would read the whole list


def count_of(rows: QuerySet[Order]) -> int:
    return rows.order_by()[:COUNTED_TO].count()


def cursor_of(order: Order) -> str:
    return f"{order.placed_at.isoformat() if order.placed_at else ''}_{order.pk}"


def beyond(rows: QuerySet[Order], cursor: str) -> QuerySet[Order]:
    """The rows after a cursor. An order that TikTok has not dated yet comes first."""
    placed, _sep, key = cursor.partition("_")
    try:
        at, pk = datetime.fromisoformat(placed) if placed else None, int(key)
    except ValueError:
        return rows
    if at is None:
        return rows.filter(Q(placed_at=None, pk__lt=pk) | Q(placed_at__isnull=False))
    return rows.filter(placed_at__lte=at).exclude(placed_at=at, pk__gte=pk)
