"""What must be true of every order, told by the platforms' own books: after each step, and when all trouble is over.

Nothing here asks the product how it decides. `Deeds` is what the test did to an order; the rest is read from the
sandboxes and compared with our rows.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.utils import timezone
from world import SOON, World

from connector import jobs
from connector.models import Connection, InboxEvent, Order, Parcel
from connector.states import OrderState as State
from connector.states import ParcelState
from tiktok.sandbox.orders import AWAITING_SHIPMENT, CANCELLED, ON_HOLD
from tiktok.sandbox.orders import Order as Source

GIVEN_UP = ("unexpected", "unavailable_too_long", "tiktok_rejected", "shopify_rejected")
# What may stand against an order, and what must have happened to it first.
EXPLAINED = {
    "sku_unmapped": {"unmapped"},
    "draft_deleted": {"draft deleted"},
    "draft_edited": {"draft edited"},
    "total_mismatch": {"draft edited"},
    "draft_completed_by_hand": {"draft completed"},
    "merchant_cancelled": {"order cancelled"},
    "merchant_refunded": {"order cancelled"},
    "merchant_deleted": {"order deleted"},
    "cancel_requested": {"cancel requested"},
    "cancelled_after_fulfilled": {"cancelled", "cancel requested"},
    "cancellation_failed": {"cancelled", "cancel requested"},
    "shipped_elsewhere": {"shipped outside"},
    "shipped_outside": {"shipped outside"},
    "lines_changed_after_finalize": {"lines cancelled"},
    "address_changed_after_shipped": {"address changed"},
    "no_lines": {"lines cancelled"},
    "skipped_by_person": {"kept out"},
}
TAKEN = "GONE"  # the SKU of a variant that no longer carries its own
# What keeps no number from TikTok.
HARMLESS = {"address changed", "kept out", "unmapped"}


@dataclass
class Deeds:
    """What was done to one order, and the numbers that a merchant gave its fulfillments."""

    done: set[str] = field(default_factory=set)
    numbers: dict[str, str] = field(default_factory=dict)  # number -> fulfillment, as Shopify has them now
    followed: dict[str, str] = field(default_factory=dict)  # number -> the one that took its place in Shopify
    withdrawn: set[str] = field(default_factory=set)  # numbers of fulfillments that were cancelled
    disturbed: bool = False  # a fulfillment was changed or cancelled, or units left the order
    wish: str = ""  # "out", "in": what a person last chose while it was not in Shopify
    seen: dict[str, Any] = field(default_factory=dict)  # what a person marked as seen: reason -> its figures
    raced: bool = False  # something happened under a worker's hands: what it then did may have been too late


Book = dict[str, Deeds]


# ---- at every moment ----


def wrong_now(world: World, book: Book) -> list[str]:
    """What is against a promise, whatever is still under way."""
    found = [f"a mail went to a buyer: {mail}" for mail in world.shopify.mails]
    found += [f"against TikTok's contract: {one}" for one in asked(world.tiktok.violations)]
    found += [f"against Shopify's contract: {one}" for one in world.shopify.violations]
    for id in book:
        found += [f"{id}: {words}" for words in doubled(world, id)]
    return found + [*sent_twice(world), *put_back(world, book), *unwanted_completions(world)]


def asked(violations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What we asked of TikTok; that an answer to a webhook was late depends on the machine."""
    return [one for one in violations if one["what"] != "webhook"]


def doubled(world: World, id: str) -> Iterator[str]:
    drafts, orders = open_drafts(world, id), orders_of(world, id)
    if len(orders) > 1:
        yield f"{len(orders)} Shopify orders"
    if len(drafts) > 1:
        yield f"{len(drafts)} open drafts"
    if drafts and orders:
        yield "a draft beside the Shopify order"


def sent_twice(world: World) -> Iterator[str]:
    """A unit that TikTok was told of by two calls of ours, or a number that it had from us and was told again."""
    ships = world.tiktok_effects("ship")
    units = Counter((entry["order_id"], unit) for entry in ships for unit in entry["line_ids"])
    for (order_id, unit), n in units.items():
        if n > 1:
            yield f"{order_id}: unit {unit} was sent {n} times"
    known = {(entry["order_id"], entry["number"]) for entry in ships}
    for entry in world.tiktok_effects("ship_refused"):
        if (entry["order_id"], entry["number"]) in known:
            yield f"{entry['order_id']}: {entry['number']} was sent again: {entry['message']}"


def put_back(world: World, book: Book) -> Iterator[str]:
    """A number that TikTok had, taken back for one that Shopify had before it. No merchant here goes back to one."""
    for entry in world.tiktok_effects("correction"):
        followed = book[entry["order_id"]].followed
        newer = followed.get(entry["number"])
        while newer:
            if newer == entry["former_number"]:
                yield f"{entry['order_id']}: {newer} was taken back for {entry['number']}, which is older"
            newer = followed.get(newer)


def unwanted_completions(world: World) -> list[str]:
    """TikTok never puts an order back on hold: what we completed must be over it, also later."""
    return [
        f"{id_of(entry['tags'])}: completed while TikTok held it"
        for entry in ours(world)
        if source_of(world, id_of(entry["tags"])).status in (ON_HOLD, "UNPAID")
    ]


def ours(world: World) -> list[dict[str, Any]]:
    return [entry for entry in world.shopify_effects("order_created") if entry["by"] == "app"]


def wrong_birth(world: World, entry: dict[str, Any]) -> Iterator[str]:
    """What is wrong with an order that we have just completed, while TikTok's order is as it was then."""
    source = source_of(world, id_of(entry["tags"]))
    if source.status == CANCELLED:
        yield "completed although TikTok had cancelled it"
    if source.cancel_requested:
        yield "completed although its buyer asked for a cancellation"
    if Decimal(entry["total"]) != total_of(source):
        yield f"completed with {entry['total']} instead of {total_of(source)}"
    if not entry["paid"]:
        yield "completed without its payment"
    if (order := world.store.orders.get(entry["order"])) and sold_as(order) != sold_at_tiktok(world, source):
        yield f"completed with {sold_as(order)} instead of {sold_at_tiktok(world, source)}"


def sold_as(order: Any) -> Counter[str | None]:
    """Units of each variant."""
    return sum((Counter({line.variant_id: line.quantity}) for line in order.lines), Counter())


def sold_at_tiktok(world: World, source: Source) -> Counter[str | None]:
    return Counter(variant_of(world, line.sku.seller_sku) for line in source.live_lines)


def variant_of(world: World, sku: str) -> str:
    """The variant that stands for a SKU, also while a merchant has taken the SKU from it."""
    carried = {variant.sku: variant.id for variant in world.store.variants.values()}
    return carried.get(sku) or carried[TAKEN]


def total_of(source: Source) -> Decimal:
    """What the seller earns by the units that live: goods after his own discount, and his shipping."""
    goods = sum((line.original_price - line.seller_discount for line in source.live_lines), Decimal(0))
    return goods + source.charges.shipping - source.charges.shipping_seller_discount


# ---- when all trouble is over ----


def wrong_in_the_end(world: World, book: Book) -> list[str]:
    found = restless_rows() + given_up()
    for id, deeds in book.items():
        row = Order.objects.filter(tiktok_id=id).first()
        if row is None:
            found.append(f"{id}: lost")
            continue
        place = f"{id} ({source_of(world, id).status}; {row.state} {row.reason}; {sorted(deeds.done)})"
        found += [f"{place}: {words}" for words in misplaced(world, row, deeds)]
        found += [f"{place}: {words}" for words in misdirected(world, row, deeds)]
    return found


def restless_rows() -> list[str]:
    soon = timezone.now() + SOON
    rows = [row for model in jobs.STEPS for row in model.objects.filter(due_at__lte=soon)]
    leased = [row for model in jobs.STEPS for row in model.objects.exclude(leased_until=None)]
    return [f"{row.ref} never rests: {row.last_error}" for row in rows] + [
        f"{row.ref} is still leased" for row in leased
    ]


def given_up() -> list[str]:
    found = [
        f"{row.ref} was given up: {row.reason} {row.detail} {row.last_error}"
        for model in (Order, Parcel)
        for row in model.objects.filter(reason__in=GIVEN_UP)
    ]
    found += [f"{event.ref}: {event.outcome}" for event in InboxEvent.objects.filter(outcome__in=GIVEN_UP)]
    return found + [f"paused: {row.paused_reason}" for row in Connection.objects.exclude(paused_reason="")]


def misplaced(world: World, row: Order, deeds: Deeds) -> Iterator[str]:
    """Each TikTok order is in exactly the place where its own state and the merchant's deeds put it."""
    source = source_of(world, row.tiktok_id)
    drafts, orders = open_drafts(world, row.tiktok_id), orders_of(world, row.tiktok_id)
    alive = [order for order in orders if not order.cancelled_at]
    if row.reason and not EXPLAINED.get(row.reason, set()) & deeds.done:
        yield f"asks for no reason: {row.detail}"
    if source.status == CANCELLED:
        if drafts or any("tiktok-cancelled" not in order.tags for order in alive):
            yield "cancelled at TikTok, alive in Shopify"
        if not alive and (row.state, row.reason) != (State.CANCELLED, ""):
            yield "cancelled at TikTok, and not ended"
        return
    if row.reason in deeds.seen and deeds.seen[row.reason] == row.detail:
        yield "asks what a person has seen already"
    by_hand = "draft completed" in deeds.done
    if deeds.wish == "out" and not by_hand and (drafts or alive):
        yield "a person keeps it out, and it stands in Shopify"
    if row.state in (State.SKIPPED, State.OUTSIDE):
        if drafts or alive:
            yield "kept out, and stands in Shopify"
        if deeds.wish == "in" or (deeds.wish != "out" and "shipped outside" not in deeds.done):
            yield "kept out without a cause"
        return
    if alive:
        yield from misnamed(row, alive[0], source)
    elif not (row.reason or deeds.done & {"order cancelled", "order deleted"}):
        yield "released at TikTok, not in Shopify, and nobody is asked"


def misnamed(row: Order, order: Any, source: Source) -> Iterator[str]:
    """A Shopify order that lives: it is the one we name, with the address and the tags that it should have."""
    if row.order_gid != order.id:
        yield "its Shopify order is not the one we name"
    if "tiktok-on-hold" in order.tags:
        yield "still tagged as held"
    if source.cancel_requested != ("tiktok-cancel-requested" in order.tags):
        yield f"a cancel request that the tags do not tell: {order.tags}"
    street = " ".join(map(str, (order.shipping_address or {}).values()))
    if source.buyer.address_line1 not in street and not row.reason:
        yield f"has another address: {street!r}"


def misdirected(world: World, row: Order, deeds: Deeds) -> Iterator[str]:
    """Every number has reached TikTok, or says what it waits for."""
    source = source_of(world, row.tiktok_id)
    silent = [p for p in row.parcels.filter(state=ParcelState.WAITING, reason="") if row.order_gid]
    for parcel in silent:
        yield f"parcel {parcel.number} waits and says not for what: {parcel.last_error}"
    parcels = {parcel.number: parcel for parcel in row.parcels.all()}
    told = {line.number for line in source.lines}
    if source.status == CANCELLED or not row.order_gid or "order deleted" in deeds.done:
        return
    for number in deeds.numbers.keys() - told:
        if not (deeds.disturbed or deeds.done - HARMLESS):
            yield f"{number} has not reached TikTok: {parcels_told(row)}"
        elif number not in parcels or not parcels[number].reason:
            yield f"{number} is not at TikTok and nobody is asked: {parcels_told(row)}"
    for number in deeds.numbers.keys() & told & parcels.keys():
        if parcels[number].state != ParcelState.ACCEPTED:
            yield f"{number} is at TikTok and we do not know it: {parcels_told(row)}"
    for number in parcels.keys() - deeds.numbers.keys():
        if parcels[number].state == ParcelState.WAITING:
            yield f"{number} waits, and Shopify no longer has it: {parcels_told(row)}"
    for number in deeds.withdrawn & told:
        if number in parcels and not parcels[number].reason:
            yield f"the fulfillment of {number} was cancelled and nobody is asked: {parcels_told(row)}"


def parcels_told(row: Order) -> list[Any]:
    return list(row.parcels.values_list("number", "state", "reason"))


# ---- the platforms' books ----


def id_of(tags: list[str]) -> str:
    return next((tag.removeprefix("tts-") for tag in tags if tag.startswith("tts-")), "")


def source_of(world: World, id: str) -> Source:
    return world.tiktok.order(id)


def open_drafts(world: World, id: str) -> list[Any]:
    return [one for one in world.store.drafts.values() if id_of(one.tags) == id and one.status == "OPEN"]


def orders_of(world: World, id: str) -> list[Any]:
    return [one for one in world.store.orders.values() if id_of(one.tags) == id]


def to_ship(world: World, id: str) -> list[Any]:
    """Its Shopify orders that a merchant can ship."""
    if source_of(world, id).status not in (AWAITING_SHIPMENT, "PARTIALLY_SHIPPING", ON_HOLD):
        return []
    return [order for order in orders_of(world, id) if not order.cancelled_at]
