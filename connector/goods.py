"""What was ordered, and which Shopify variant each TikTok product is linked to."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from connector.choices import WAITING_FOR_SKUS
from connector.models import Order, OrderLine, SkuLink
from connector.states import IN_SHOPIFY, OrderState

LINKED, CUSTOM, UNMATCHED, OPEN = "linked", "custom", "unmatched", "open"
Key = tuple[str, str, str, str, bool, bool]


@dataclass(frozen=True, slots=True)
class Item:
    """Equal units of an order. `link` is one of LINKED (to `variant`), CUSTOM (a line without a variant), UNMATCHED
    (the order waits for a link) and OPEN (nobody has needed a link yet).
    """

    title: str
    sku_id: str
    seller_sku: str
    price: Decimal
    quantity: int
    is_gift: bool
    cancelled: bool
    link: str
    variant: str = ""


def items(order: Order) -> list[Item]:
    """The lines of an order, equal units together, in TikTok's order."""
    return items_of([order])[order.pk]


def items_of(orders: Sequence[Order]) -> Mapping[int, list[Item]]:
    """Those of several orders, by the order's key."""
    units = units_of(orders)
    keys = {order.pk: Counter(map(key_of, units[order.pk])) for order in orders}
    skus = {key[1] for counted in keys.values() for key in counted}
    links = SkuLink.objects.linked().filter(connection__in={order.connection_id for order in orders})
    variants: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for connection, sku_id, title in links.filter(sku_id__in=skus).values_list(
        "connection_id", "sku_id", "variant_title"
    ):
        variants[connection][sku_id] = title
    return {
        order.pk: [
            item(order, key, quantity, variants[order.connection_id])
            for key, quantity in keys[order.pk].items()
        ]
        for order in orders
    }


def units_of(orders: Sequence[Order]) -> Mapping[int, list[dict[str, Any]]]:
    """The units that Shopify was given; before that, those of TikTok's last word."""
    fields = ("title", "sku_id", "seller_sku", "price", "is_gift", "cancelled")
    given: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for unit in OrderLine.objects.filter(order__in=orders).order_by("pk").values("order_id", *fields):
        given[unit["order_id"]].append(unit)
    return {order.pk: given[order.pk] or told_by_tiktok(order) for order in orders}


def told_by_tiktok(order: Order) -> list[dict[str, Any]]:
    return [line | {"price": line["sale_price"]} for line in order.money.get("lines", [])]


def key_of(unit: Mapping[str, Any]) -> Key:
    return (
        unit["title"],
        unit["sku_id"],
        unit["seller_sku"],
        f"{Decimal(unit['price']).normalize():f}",
        unit["is_gift"],
        unit["cancelled"],
    )


def item(order: Order, key: Key, quantity: int, variants: Mapping[str, str]) -> Item:
    title, sku_id, seller_sku, price, is_gift, cancelled = key
    return Item(
        title=title,
        sku_id=sku_id,
        seller_sku=seller_sku,
        price=Decimal(price),
        quantity=quantity,
        is_gift=is_gift,
        cancelled=cancelled,
        link=link_of(order, sku_id, variants),
        variant=variants.get(sku_id, ""),
    )


def link_of(order: Order, sku_id: str, variants: Mapping[str, str]) -> str:
    if sku_id in variants:
        return LINKED
    if order.reason in WAITING_FOR_SKUS and sku_id in {
        line["sku_id"] for line in order.detail.get("lines", [])
    }:
        return UNMATCHED
    return CUSTOM if order.state in IN_SHOPIFY | {OrderState.ON_HOLD} else OPEN
