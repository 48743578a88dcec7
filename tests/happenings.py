"""What may happen to an order as it stands now: at TikTok, in Shopify, and by a person in the app.

Each is offered only where it means something, so that no step of the model is lost; what was done is written into the
order's `Deeds`, which is all that the plain model knows of it.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from right_places import Deeds, open_drafts, orders_of, source_of, to_ship
from world import World

from connector import choices
from connector.models import Order
from connector.states import IN_SHOPIFY
from shopify_app.sandbox.problems import UserErrors
from tiktok.sandbox.orders import AWAITING_SHIPMENT, ON_HOLD

Happening = tuple[str, Callable[[], Any]]
CANCELLABLE = ("UNPAID", ON_HOLD, AWAITING_SHIPMENT, "PARTIALLY_SHIPPING")
TO_SHIP = (AWAITING_SHIPMENT, "PARTIALLY_SHIPPING")


def anywhere(world: World, id: str, deeds: Deeds) -> dict[str, Callable[[], Any]]:
    return dict([*at_tiktok(world, id, deeds), *in_shopify(world, id, deeds), *in_the_app(world, id, deeds)])


# ---- TikTok and its buyer ----


def at_tiktok(world: World, id: str, deeds: Deeds) -> Iterator[Happening]:
    tiktok, source = world.tiktok, source_of(world, id)
    status, done = source.status, deeds.done.add
    if status == "UNPAID":
        yield "it is paid", partial(tiktok.pay, id)
    if status == ON_HOLD:
        yield "TikTok releases it", partial(tiktok.release, id)
    if status in (ON_HOLD, AWAITING_SHIPMENT):
        yield "its address changes", partial(change_address, world, id, deeds)
        if len(source.live_lines) > 1:
            yield "a line is cancelled", partial(cancel_a_line, world, id, deeds)
    if status in CANCELLABLE:
        yield "it is cancelled", lambda: (done("cancelled"), tiktok.cancel(id))
    if status in TO_SHIP and not source.cancel_requested:
        yield "its buyer asks to cancel", partial(ask_to_cancel, world, id, deeds)
        yield "somebody else ships it", lambda: (done("shipped outside"), tiktok.ship_outside(id))
    if source.cancel_requested:
        yield "the request is granted", lambda: decide(world, id, deeds, approve=True, by="SELLER")
        yield "the request is refused", lambda: decide(world, id, deeds, approve=False, by="SELLER")
        yield "the buyer thinks better", lambda: decide(world, id, deeds, approve=False, by="BUYER")
    if status == "AWAITING_COLLECTION":
        yield "the carrier scans it", partial(tiktok.carrier_scan, id)
    if status == "IN_TRANSIT":
        yield "it is delivered", partial(tiktok.deliver, id)


def change_address(world: World, id: str, deeds: Deeds) -> None:
    """One that nobody rings for moves the order's update time: else nothing but a look by chance could find it."""
    deeds.done.add("address changed")
    world.tiktok.settings.address_moves_update_time = world.tiktok.webhooks._to_drop > 0
    world.tiktok.change_address(id)


def cancel_a_line(world: World, id: str, deeds: Deeds) -> None:
    deeds.done.add("lines cancelled")
    deeds.disturbed = True
    world.tiktok.cancel_lines(id, 1)


def ask_to_cancel(world: World, id: str, deeds: Deeds) -> None:
    deeds.done.add("cancel requested")
    deeds.seen.pop("cancel_requested", None)
    world.tiktok.buyer_requests_cancel(id)


def decide(world: World, id: str, deeds: Deeds, **how: Any) -> None:
    deeds.seen.pop("cancel_requested", None)
    world.tiktok.decide_cancel(id, **how)


# ---- a merchant in Shopify ----


def in_shopify(world: World, id: str, deeds: Deeds) -> Iterator[Happening]:
    store = world.store
    for draft in open_drafts(world, id)[:1]:
        nine = [{"variantId": next(iter(store.variants)), "quantity": 9}]
        yield (
            "its draft is edited",
            partial(tried, deeds, "draft edited", store.edit_draft, draft.id, lineItems=nine),
        )
        yield "its draft is deleted", partial(tried, deeds, "draft deleted", store.delete_draft, draft.id)
        yield (
            "its draft is completed",
            partial(tried, deeds, "draft completed", store.complete_draft, draft.id),
        )
    for order in orders_of(world, id)[:1]:
        if not order.cancelled_at:
            yield (
                "its Shopify order is cancelled",
                partial(tried, deeds, "order cancelled", store.cancel_order, order.id),
            )
        yield (
            "its Shopify order is deleted",
            partial(tried, deeds, "order deleted", store.delete_order, order.id),
        )
    for order in to_ship(world, id)[:1]:
        if left := [line for line in order.lines if line.current_quantity > fulfilled(world, order, line.id)]:
            yield "it is fulfilled", partial(fulfil, world, order, None, deeds)
            yield "a unit is fulfilled", partial(fulfil, world, order, {left[0].id: 1}, deeds)
    for number, gid in list(deeds.numbers.items())[-1:]:
        yield "a number changes", partial(change_number, world, number, gid, deeds)
        yield "a fulfillment is cancelled", partial(cancel_fulfillment, world, number, gid, deeds)


def tried(deeds: Deeds, done: str, do: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """A merchant's deed, unless the admin would refuse it."""
    try:
        do(*args, **kwargs)
    except UserErrors:
        return
    deeds.done.add(done)


def fulfilled(world: World, order: Any, line: str) -> int:
    return sum(made.units.get(line, 0) for made in order.fulfillments if made.status == "SUCCESS")


def fulfil(world: World, order: Any, lines: dict[str, int] | None, deeds: Deeds) -> None:
    number = world.tiktok.new_number("UPS")
    try:
        made = world.store.fulfill(order.id, lines=lines, company="UPS", numbers=[number])
    except UserErrors:
        return
    deeds.numbers[number] = made.id


def change_number(world: World, number: str, gid: str, deeds: Deeds) -> None:
    new = world.tiktok.new_number("UPS")
    deeds.disturbed = True
    try:
        world.store.update_tracking(gid, numbers=[new])
    except UserErrors:
        return
    del deeds.numbers[number]
    deeds.numbers[new] = gid
    deeds.followed[number] = new


def cancel_fulfillment(world: World, number: str, gid: str, deeds: Deeds) -> None:
    deeds.disturbed = True
    try:
        world.store.cancel_fulfillment(gid)
    except UserErrors:
        return
    del deeds.numbers[number]
    deeds.withdrawn.add(number)


# ---- a person in the app ----


def in_the_app(world: World, id: str, deeds: Deeds) -> Iterator[Happening]:
    order = Order.objects.filter(tiktok_id=id).first()
    if order is None:
        return
    yield "a person looks again", lambda: choices.look_again(order, by="7")
    if choices.skippable(order):
        yield "a person keeps it out", partial(keep_out, world, order, deeds)
    if choices.importable(order):
        yield "a person imports it", partial(take_in, order, deeds)
    if choices.restorable(order):
        yield "a person puts its draft back", partial(put_back, order, deeds)
    if order.state in IN_SHOPIFY and order.reason in choices.ORDER_NEWS:
        yield "a person has seen it", partial(see, order, deeds)


def keep_out(world: World, order: Order, deeds: Deeds) -> None:
    """It counts for what is not in Shopify yet; a completion whose answer was lost was quicker."""
    deeds.done.add("kept out")
    deeds.wish = "" if orders_of(world, order.tiktok_id) else "out"
    choices.skip(order, by="7")


def take_in(order: Order, deeds: Deeds) -> None:
    deeds.wish = "in"
    if order.reason == "draft_deleted":
        deeds.done.discard("draft deleted")
    choices.import_anyway(order, by="7")


def put_back(order: Order, deeds: Deeds) -> None:
    deeds.done.discard("draft edited")
    choices.restore(order, by="7")


def see(order: Order, deeds: Deeds) -> None:
    deeds.seen[order.reason] = order.detail
    choices.dismiss(order, by="7")
