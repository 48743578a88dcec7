"""The other half of a day's audit: the Shopify orders that were made that day, compared one by one with our rows.

A Shopify order with our id tag has exactly one row that names it, is alive as long as its TikTok order is, and has the
total it was given. What one more look can set right is looked at again; the rest is for a person.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import QuerySet
from django.utils import timezone

from connector import mapping
from connector.models import Audit, Connection, Order
from connector.platforms import shopify_for
from connector.states import IN_SHOPIFY, OrderState
from shopify_app.orders import SHOWN_FOR
from shopify_app.orders import OrderState as Counterpart

Finding = dict[str, str]

LOOKED_UP = 50  # orders that the search did not name, asked for one by one; more are left to their own rows


def readable(since: datetime) -> bool:
    """Whether Shopify still shows us the orders of a day."""
    return timezone.now() - since < SHOWN_FOR


@dataclass(frozen=True, slots=True)
class Difference:
    """What is to be told, and the order that one more look may set right, with what is to be looked at."""

    told: Finding
    order: Order | None = None
    touched: tuple[str, ...] = ()

    def set_right(self) -> None:
        if self.order is not None:
            self.order.wake(**dict.fromkeys(self.touched, True))


def compare(audit: Audit, found: Iterable[Counterpart]) -> list[Difference]:
    return [news for one in found if (news := differing(audit, one))]


def differing(audit: Audit, theirs: Counterpart) -> Difference | None:
    order = Order.objects.filter(shop=audit.shop_id, order_gid=theirs.id).first()
    if order is None:
        return unnamed(audit, theirs)
    if order.connection_id != audit.connection_id:
        return None
    if theirs.cancelled and order.state in IN_SHOPIFY and not order.shopify_state:
        told = finding("cancelled_in_shopify", order.tiktok_id, order.get_state_display(), theirs.name)
        return Difference(told, order, ("order_touched",))
    if order.state == OrderState.CANCELLED and not theirs.cancelled:
        return Difference(
            finding("alive_in_shopify", order.tiktok_id, order.get_state_display(), theirs.name)
        )
    if differs(order.expected_total, theirs):
        return Difference(
            finding("shopify_total", order.tiktok_id, str(order.expected_total), str(theirs.total))
        )
    return None


def differs(expected: Decimal | None, theirs: Counterpart) -> bool:
    return expected is not None and not theirs.cancelled and theirs.total != expected


def unnamed(audit: Audit, theirs: Counterpart) -> Difference | None:
    """A Shopify order with our id tag that no row names."""
    tiktok_id = next(
        (tag.removeprefix(mapping.ID_TAG) for tag in theirs.tags if tag.startswith(mapping.ID_TAG)), ""
    )
    rows = Order.objects.filter(shop=audit.shop_id, tiktok_id=tiktok_id)
    mine = rows.filter(connection=audit.connection).first()
    if not tiktok_id or theirs.cancelled or (mine is None and (rows.exists() or not speaks_first(audit))):
        return None
    if mine is None:
        return Difference(finding("unknown_in_shopify", tiktok_id, after=theirs.name))
    if mine.order_gid:
        return Difference(finding("doubled_in_shopify", tiktok_id, mine.order_name, theirs.name))
    told = finding("not_named", tiktok_id, mine.get_state_display(), theirs.name)
    return Difference(told, mine, ("draft_touched",))


def speaks_first(audit: Audit) -> bool:
    """Of several connections one tells what belongs to none."""
    first = Connection.objects.filter(shop=audit.shop_id, active=True).order_by("pk").first()
    return first is not None and first.pk == audit.connection_id


def compare_unseen(audit: Audit, seen: Iterable[str]) -> list[Difference]:
    """Orders that we finalized that day and the search did not name: deleted, or made by hand on another day."""
    found = []
    shopify = shopify_for(audit.shop, live=False)
    for order in unseen(audit, seen)[:LOOKED_UP]:
        theirs = shopify.get_order(order.order_gid)
        if theirs is None:
            told = finding("gone_from_shopify", order.tiktok_id, before=order.order_name)
            found.append(Difference(told, order, ("order_touched",)))
        elif news := differing(audit, theirs):
            found.append(news)
    return found


def unseen(audit: Audit, seen: Iterable[str]) -> QuerySet[Order]:
    ours = Order.objects.filter(
        shop=audit.shop_id,
        connection=audit.connection,
        finalized_at__gte=audit.since,
        finalized_at__lt=audit.until,
        state__in=IN_SHOPIFY,
        shopify_state="",
    )
    return ours.exclude(order_gid__in=list(seen)).order_by("finalized_at")


def finding(what: str, order: str, before: str = "", after: str = "") -> Finding:
    return {"what": what, "order": order, "before": before, "after": after}
