"""What our own rows know of connections, for the setup guide: looked up for all of a shop's connections at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Value

from connector.models import Connection, Order, OrderLine, Parcel, SkuLink
from connector.states import IN_SHOPIFY

RECENT_ORDERS = 20
MOST_CARRIERS = 100
OF_ORDER = ("connection", "tiktok_id", "state", "reason", "currency", "order_name")
CARRIER, LINKED, OPEN = "carrier", "linked", "open"
# As the partial indexes of the products' tabs have them: each count reads one index.
LINKS = (
    (LINKED, ~Q(variant_gid="")),
    (OPEN, Q(variant_gid="", matches__lte=1)),
    (OPEN, Q(variant_gid="", matches__gt=1)),
)


@dataclass(slots=True)
class Seen:
    """`recent`: the newest orders that TikTok has told us about. `unlinked`: titles of the first order's lines that
    belong to no variant."""

    recent: list[Order] = field(default_factory=list)
    carriers: set[str] = field(default_factory=set)  # names that parcels wait for
    linked: int = 0
    open: int = 0
    unlinked: set[str] = field(default_factory=set)

    @property
    def first(self) -> Order | None:
        """The newest of them that is in Shopify."""
        return next((order for order in self.recent if order.state in IN_SHOPIFY), None)


def seen_of(connections: Sequence[Connection]) -> dict[int, Seen]:
    """Three queries, however many connections there are."""
    found = {connection.pk: Seen() for connection in connections}
    if not found:
        return found
    for order in together(recent_orders(pk) for pk in found):
        found[order.connection_id].recent.append(order)
    for pk, kind, name, n in together([waiting_carriers(connections), *links(connections)]):
        if kind == CARRIER:
            found[pk].carriers.add(name)
        else:
            setattr(found[pk], kind, getattr(found[pk], kind) + n)
    for pk, title in unlinked_lines([one.first for one in found.values() if one.first]):
        found[pk].unlinked.add(title)
    return found


def together(selects: Iterable[QuerySet[Any, Any]]) -> QuerySet[Any, Any]:
    first, *others = selects
    return first.union(*others, all=True) if others else first


def recent_orders(connection: int) -> QuerySet[Order]:
    """TikTok's ids grow with time, and an index has them per connection."""
    known = Order.objects.filter(connection=connection).exclude(tiktok_status="").only(*OF_ORDER)
    return known.order_by("-tiktok_id")[:RECENT_ORDERS]


def waiting_carriers(connections: Sequence[Connection]) -> QuerySet[Any, Any]:
    waiting = Parcel.objects.filter(
        shop=connections[0].shop_id,
        order__connection__in=connections,
        reason__in=("carrier_unknown", "carrier_not_supported"),
    )
    named = waiting.exclude(reason="").order_by().values("company").annotate(n=Count("*"))
    told = named.values_list("order__connection", Value(CARRIER), "company", "n")
    return told[:MOST_CARRIERS]


def links(connections: Sequence[Connection]) -> list[QuerySet[Any, Any]]:
    mine = SkuLink.objects.filter(connection__in=connections).order_by().values("connection")
    return [
        mine.filter(which).annotate(n=Count("*")).values_list("connection", Value(kind), Value(""), "n")
        for kind, which in LINKS
    ]


def unlinked_lines(orders: Sequence[Order]) -> Iterable[tuple[int, str]]:
    if not orders:
        return ()
    link = SkuLink.objects.linked().filter(
        connection=OuterRef("order__connection"), sku_id=OuterRef("sku_id")
    )
    lines = OrderLine.objects.filter(~Exists(link), order__in=orders, cancelled=False)
    return lines.values_list(F("order__connection"), "title")
