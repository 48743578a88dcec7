"""The read calls on a real TikTok shop: does each answer as documented? Nothing is written, nothing personal told."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

from django.utils import timezone

from tiktok.client import Client, get_shops
from tiktok.errors import AccessLost, Rejected, TikTokError
from tiktok.orders import Order, OrderPage

LOOK_BACK = timedelta(days=30)
PAGE = 20
HELD, RELEASED = "ON_HOLD", "AWAITING_SHIPMENT"
STATUSES = {
    *("UNPAID", HELD, RELEASED, "PARTIALLY_SHIPPING", "AWAITING_COLLECTION"),
    *("IN_TRANSIT", "DELIVERED", "COMPLETED", "CANCELLED"),
}


@dataclass(frozen=True, slots=True)
class Fact:
    """What we assumed beside what was seen. `holds` is None where nothing was proved."""

    experiment: str
    assumed: str
    seen: str
    holds: bool | None


def facts_of(client: Client, topics: Sequence[str], address: str) -> Iterator[Fact]:
    """Every read call in turn. `topics` are those that should ring at `address`. Never raises a TikTokError."""
    found: list[Order] = []
    steps: dict[str, Callable[[], Iterator[Fact]]] = {
        "shops": lambda: shops(client),
        "order search": lambda: order_search(client, found),
        "order detail": lambda: order_detail(client, found),
        "shipping providers": lambda: providers(client, found),
        "warehouses": lambda: warehouses(client),
        "product search": lambda: products(client),
        "webhooks": lambda: webhooks(client, topics, address),
        "cancellation search": lambda: cancellations(client, found),
    }
    for name, step in steps.items():
        try:
            yield from step()
        except TikTokError as error:
            refused = isinstance(error, Rejected) and not isinstance(error, AccessLost)
            yield Fact(f"TikTok {name}", "answers", error.public, False if refused else None)


def shops(client: Client) -> Iterator[Fact]:
    seller = client.shop.seller
    listed = get_shops(seller.app, seller.access_token(client.http), client.http)
    ours = next((shop for shop in listed if shop.id == client.shop.shop_id), None)
    same = ours is not None and ours.cipher == client.shop.cipher
    seen = (
        f"{len(listed)}, ours {'among them' if ours else 'missing'}, cipher {'kept' if same else 'changed'}"
    )
    yield Fact("TikTok shops of the token", "ours among them, cipher kept", seen, same)


def order_search(client: Client, found: list[Order]) -> Iterator[Fact]:
    page = client.search_orders(timezone.now() - LOOK_BACK, page_size=PAGE)
    found += page.orders
    name = f"TikTok order search, {LOOK_BACK.days} days"
    if not found:
        yield Fact(name, "oldest update first", "no orders", None)
        return
    yield Fact(name, "oldest update first", described(page), in_order(page))
    unknown = {order.status for order in found} - STATUSES
    counts = Counter(order.status for order in found)
    seen = ", ".join(f"{status or 'none'} {count}" for status, count in counts.most_common())
    yield Fact("TikTok order statuses", "only documented ones", seen, not unknown)


def described(page: OrderPage) -> str:
    order = "in that order" if in_order(page) else "in another order"
    more = "more follow" if page.next_page_token else "the last page"
    return f"{len(page.orders)} of {page.total_count}, {order}, {more}"


def in_order(page: OrderPage) -> bool:
    times = [order.update_time for order in page.orders if order.update_time]
    return len(times) == len(page.orders) and all(one <= other for one, other in pairwise(times))


def order_detail(client: Client, found: list[Order]) -> Iterator[Fact]:
    """Of the newest order, and of one more to see how several ids are asked for."""
    name = "TikTok order detail"
    if not found:
        yield Fact(name, "answers", "no order to ask for", None)
        return
    wanted = [order.id for order in found[-2:]]
    orders = client.get_orders(wanted)
    several = len(wanted) > 1 or None
    yield Fact(
        f"{name}, ids joined by commas",
        f"{len(wanted)} order(s)",
        f"{len(orders)} order(s)",
        several and {order.id for order in orders} == set(wanted),
    )
    order = next((order for order in orders if order.id == wanted[-1]), None)
    if order is None:
        yield Fact(name, "the order", "nothing", False)
        return
    yield amounts(order)
    yield recipient(order)


def amounts(order: Order) -> Fact:
    """Live lines or all lines: what a partly cancelled order states is not documented."""
    live = sum((line.sale_price for line in order.line_items if not line.cancelled), Decimal(0))
    every = sum((line.sale_price for line in order.line_items), Decimal(0))
    stated = order.payment.sub_total
    seen = f"lines {every}, of them live {live}; sub_total {stated}"
    return Fact("TikTok amounts of an order", "sale prices make sub_total", seen, stated in (live, every))


def recipient(order: Order) -> Fact:
    """Only whether it is there and starred, never what it says."""
    seen = "none" if order.address is None else "starred" if order.masked else "readable"
    name = f"TikTok recipient at {order.status}"
    if order.status == HELD:
        return Fact(name, "starred, empty or none", seen, seen != "readable" or None)
    if order.status == RELEASED and order.seller_ships:
        return Fact(name, "readable", seen, seen == "readable")
    return Fact(name, "not looked at", seen, None)


def providers(client: Client, found: list[Order]) -> Iterator[Fact]:
    name, assumed = "TikTok shipping providers", "ids with names"
    option = next((order.delivery_option_id for order in reversed(found) if order.delivery_option_id), "")
    if not option:
        yield Fact(name, assumed, "no order with a delivery option", None)
        return
    region = client.shop.region
    listed = client.get_providers(option, warehouse_region=region, buyer_region=region)
    complete = bool(listed) and all(provider.id and provider.name for provider in listed)
    yield Fact(name, assumed, f"{len(listed)}{'' if complete else ', not all with both'}", complete)


def warehouses(client: Client) -> Iterator[Fact]:
    listed = client.get_warehouses()
    kinds = Counter(f"{warehouse.type} {warehouse.status}" for warehouse in listed)
    seen = ", ".join(f"{kind} {count}" for kind, count in kinds.items()) or "none"
    yield Fact("TikTok warehouses", "one for sales, enabled", seen, "SALES_WAREHOUSE ENABLED" in kinds)


def products(client: Client) -> Iterator[Fact]:
    page = client.search_products(page_size=PAGE)
    skus = [sku for product in page.products for sku in product.skus]
    named = sum(bool(sku.seller_sku) for sku in skus)
    seen = (
        f"{len(page.products)} of {page.total_count} products, {named} of {len(skus)} SKUs with a seller SKU"
    )
    yield Fact("TikTok product search", "SKUs with a seller SKU", seen, named > 0 if skus else None)


def webhooks(client: Client, topics: Sequence[str], address: str) -> Iterator[Fact]:
    listed = {webhook.topic: webhook.address for webhook in client.get_webhooks()}
    here = [topic for topic in topics if listed.get(topic) == address]
    elsewhere = [topic for topic in topics if listed.get(topic, address) != address]
    seen = f"{len(here)} of {len(topics)} here, {len(elsewhere)} elsewhere"
    yield Fact("TikTok webhooks", f"{len(topics)} topics ring here", seen, len(here) == len(topics))


def cancellations(client: Client, found: list[Order]) -> Iterator[Fact]:
    page = client.search_cancellations(update_from=timezone.now() - LOOK_BACK, page_size=PAGE)
    known = {order.id for order in found}
    of_known = sum(cancellation.order_id in known for cancellation in page.cancellations)
    seen = f"{len(page.cancellations)} of {page.total_count}, {of_known} of the orders above"
    yield Fact("TikTok cancellation search", "answers", seen, True)
