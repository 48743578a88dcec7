"""An order as a row of the proof shows it: words, nothing to look up any more. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from connector.proof import ASKS, DIFFERENCES
from connector.reasons import reason
from connector.states import OrderState
from connector.templatetags.connector_words import money, number, said
from connector.views.row import Badge, Time, badge_of


@dataclass(frozen=True, slots=True)
class Link:
    """A Shopify object: its path in the admin, its name, and how it stands."""

    path: str
    name: str
    badge: Badge


@dataclass(frozen=True, slots=True)
class Difference:
    title: str
    do: str


@dataclass(frozen=True, slots=True)
class Row:
    pk: str
    path: str
    tiktok_id: str
    placed: Time
    said: str
    link: Link | None
    kept_out: str  # why there is no link
    total: str
    difference: Difference | None


def rows_of(orders: Iterable[Any]) -> list[Row]:
    """Of orders with their `difference` (proof.orders_of)."""
    above = reverse("orders")  # once: to look up the address of each costs more than all else of its row
    return [row_of(order, above) for order in orders]


def row_of(order: Any, above: str) -> Row:
    here, link = localtime(order.placed_at), link_of(order)
    return Row(
        pk=str(order.pk),
        path=f"{above}/{order.pk}",
        tiktok_id=order.tiktok_id,
        placed=Time(here.isoformat(), f"{here:%H:%M}"),
        said=str(said(order.tiktok_status)) or "–",
        link=link,
        kept_out="" if link else why_not(order),
        total=money(order.expected_total, order.currency),
        difference=difference_of(order),
    )


def link_of(order: Any) -> Link | None:
    if order.order_gid:
        return Link(f"orders/{number(order.order_gid)}", order.order_name, badge_of(order))
    if order.outcome == "held" and order.draft_gid:
        name = _("Draft %(name)s") % {"name": order.draft_name}
        held = Badge("caution", str(OrderState.ON_HOLD.label))
        return Link(f"draft_orders/{number(order.draft_gid)}", name, held)
    return None


def why_not(order: Any) -> str:
    if order.outcome == "held":
        return _("On its way: not paid yet, or just arrived")
    if order.outcome == "cancelled":
        return _("Cancelled before it became a Shopify order")
    return str(reason(order.reason).title)


def difference_of(order: Any) -> Difference | None:
    """What our own rows show; of what waits for a person, its own words."""
    if not order.difference:
        return None
    words = reason(order.reason) if order.difference == ASKS else DIFFERENCES[order.difference]
    return Difference(str(words.title), str(words.do))
