"""An order that Shopify has: both sides learn each other's ids, then we follow what either does to it."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

import shopify_app.errors
import tiktok.errors
from connector import cancel_requests, carriers, mapping, payment, rules, sql
from connector.models import InboxEvent, Order, OrderLine
from connector.observing import address_is_newer, addressed, look, marked_since, observed, told_since
from connector.platforms import shopify_for, tiktok_for
from connector.states import MOVES, ParcelState
from connector.states import OrderState as State
from connector.waits import recheck_due
from connector.work import WOKEN, UnlessChanged, UnlessWoken
from shopify_app.orders import SHOWN_FOR
from tiktok.orders import Order as Source
from tiktok.records import EXTERNAL_LINES, ExternalLine, ExternalOrder

FIRST_LOOK = timedelta(seconds=1)  # at a cancellation in Shopify; the next ones after 2, 4, 8 … s
CANCEL_IS_SLOW = timedelta(seconds=5)  # then the order carries the warning tag until it is cancelled
CANCEL_FAILED = timedelta(seconds=60)  # without effect so long, its job has failed: nothing tells us
CANCEL_TRIES = 2
HAS_LEFT = ("FULFILLED", "PARTIALLY_FULFILLED")  # Shopify's other words tell of a warehouse that was asked
CANCEL_REQUESTED_TAG = "tiktok-cancel-requested"
SHIPPED_ELSEWHERE_TAG = "tiktok-shipped-elsewhere"
CANCELLED_TAG = "tiktok-cancelled"
UNSEEN = "cancelled_out_of_reach"
ADDRESS = "address"  # among what TikTok changed
NUMBERS = "SELECT number FROM connector_parcel WHERE order_id = %s"
WAKE_PARCELS = f"""
UPDATE connector_parcel SET {WOKEN} WHERE order_id = %s AND state = %s AND reason = ANY(%s)
"""  # noqa: S608  (our own words)
REFERRED = """
SELECT shopify_line_gid, tiktok_line_id FROM connector_orderline
WHERE order_id = %s AND shopify_line_gid <> '' ORDER BY id LIMIT %s
"""
PARKED_PARCELS = ("order_on_hold", "cancel_requested_shipped", "tiktok_ships", "order_not_found")


def follow(order: Order) -> None:
    """An order that Shopify has: tell both sides of each other, then follow what either does to it."""
    unfinished = payment.owed(order) or not order.referenced_at
    if unfinished and untried(order):
        return finish(order)
    source = look(order)
    if source is None:
        return None
    facts = observed(order, source)
    if order.order_touched:
        facts |= read_shopify_order(order)
        order.shopify_state = facts["shopify_state"]
    if order.fulfillments_read_at is None:  # a person said: look again
        store_fulfillment_events(order)
        facts |= {"fulfillments_read_at": UnlessWoken(timezone.now())}
    if source.cancelled:
        return cancel_finalized(order, facts)
    sent = {number for (number,) in sql.rows(NUMBERS, [order.pk])}
    facts |= compare_lines(order, source, sent)
    facts |= correct_address(order, source, facts["changed_lines"])
    flag(order, CANCEL_REQUESTED_TAG, source.is_buyer_request_cancel)
    flag(order, SHIPPED_ELSEWHERE_TAG, bool(facts["shipped_elsewhere"]))
    flag(order, mapping.HOLD_TAG, source.status == "ON_HOLD")  # a merchant may have completed it in the hold
    if sent:
        wake_parcels(order)
    if unfinished:
        order.keep(**facts, flags=order.flags)
        return finish(order)
    cancel_requests.read_deadline(order, source)  # last: whoever ships knows of the request by now
    facts |= cancel_requests.observed(order, source)
    facts |= still_standing(order, source, facts) | {"flags": order.flags}
    to = state_of(source)
    if to != order.state and to in MOVES[order.state]:
        return order.move(to, **facts)
    if facts["reason"]:
        return order.ask(due_at=recheck_due(order, source), **facts)
    return order.wait(recheck_due(order, source), **facts)


def untried(order: Order) -> bool:
    """Whether what is still to be written goes first, without a look: once. What failed hides no cancellation, and an
    order that TikTok cancelled gets no reference any more.
    """
    return order.attempts <= 1 and not (order.last_error or order.reason or order.cancel_sent_at)


def finish(order: Order) -> None:
    return payment.settle(order) if payment.owed(order) else refer(order)


def refer(order: Order) -> None:
    """Each side learns the other's id: ours to look up, theirs to search by."""
    if not refer_in_shopify(order):
        return order.succeed(timezone.now(), referenced_at=timezone.now(), order_touched=True)
    tell_tiktok(order)
    late = order.fulfillments_read_at is None
    if late:  # a fulfillment may be older than our knowledge of the order
        store_fulfillment_events(order)
    due = timezone.now() if late else (order.finalized_at or timezone.now()) + settings.RECHECK_AFTER_FINALIZE
    read_at = UnlessWoken(timezone.now())
    return order.succeed(due, referenced_at=timezone.now(), fulfillments_read_at=read_at)


def refer_in_shopify(order: Order) -> bool:
    """Write TikTok's id on the order, which lacks nothing without it. False: a merchant has deleted it."""
    shopify = shopify_for(order.shop, live=order.live)
    try:
        shopify.set_reference(order.order_gid, {"tiktok_order_id": order.tiktok_id}, order.tiktok_id)
    except shopify_app.errors.AccessLost:
        raise
    except shopify_app.errors.Rejected as error:
        if shopify.get_order(order.order_gid) is None:
            return False
        order.wrote("orderUpdate", order=order.order_gid, refused=error.public)
    else:
        order.wrote("orderUpdate", order=order.order_gid, changed=["reference"])
    return True


def tell_tiktok(order: Order) -> None:
    """Shopify's ids at TikTok: the order's, and those of as many lines as TikTok takes. It needs a scope of its own;
    without it the order lacks nothing.
    """
    lines = tuple(
        ExternalLine(id=legacy(line_gid), origin_id=unit_id)
        for line_gid, unit_id in sql.rows(REFERRED, [order.pk, EXTERNAL_LINES])
    )
    reference = ExternalOrder(order_id=order.tiktok_id, id=legacy(order.order_gid), lines=lines)
    try:
        refused = tiktok_for(order.connection, live=order.live).set_external_orders([reference])
    except tiktok.errors.Rejected as error:
        if isinstance(error, tiktok.errors.AccessLost) and error.code != tiktok.errors.SCOPE_MISSING:
            raise
        order.wrote("external_orders", refused=error.public)
    else:
        codes = {"refused": [fault.code for fault in refused]} if refused else {}
        order.wrote("external_orders", order=order.order_gid, **codes)


def legacy(gid: str) -> str:
    return gid.rpartition("/")[2]


def store_fulfillment_events(order: Order) -> None:
    for fulfillment in shopify_for(order.shop).get_order_fulfillments(order.order_gid):
        facts = {"id": fulfillment.id, "order_id": order.order_gid, "status": fulfillment.status}
        InboxEvent.ring("shopify", "fulfillments/update", order.shop_id, facts, fulfillment.updated_at)


def read_shopify_order(order: Order) -> dict[str, Any]:
    """What the merchant did to the Shopify order."""
    state = shopify_for(order.shop).get_order(order.order_gid)
    if state is None:
        found = "" if out_of_reach(order) else "deleted"
    elif state.cancelled:
        found = "cancelled"
    elif state.financial_status == "REFUNDED":
        found = "refunded"
    else:
        found = ""
    return {"shopify_state": found, "order_touched": UnlessWoken(False)}


def out_of_reach(order: Order) -> bool:
    """Shopify shows no order that is older than 60 days without a scope we do not ask for: its silence says nothing."""
    return order.finalized_at is not None and timezone.now() - order.finalized_at >= SHOWN_FOR


def cancel_finalized(order: Order, facts: dict[str, Any]) -> None:
    """TikTok cancelled an order that Shopify has: cancel it there too, unless goods have left."""
    shopify = shopify_for(order.shop)
    state = shopify.get_order(order.order_gid)
    if state is None and out_of_reach(order) and UNSEEN not in order.dismissed:
        return order.ask(UNSEEN, {"order": order.order_name}, **facts)
    if state is None or state.cancelled:
        return order.move(State.CANCELLED, **facts)
    if state.fulfillment_status in HAS_LEFT:
        flag(order, CANCELLED_TAG, True)
        return order.ask("cancelled_after_fulfilled", {"order": order.order_name}, **facts, flags=order.flags)
    if not order.connection.policy.cancel_in_shopify and "cancelled_in_tiktok" not in order.dismissed:
        flag(order, CANCELLED_TAG, True)
        return order.ask("cancelled_in_tiktok", {"order": order.order_name}, **facts, flags=order.flags)
    if cancel_under_way(order):
        return look_at_cancel(order, facts)
    if order.cancel_tries >= CANCEL_TRIES:
        return cancel_failed(order, facts)
    refused = cancel_in_shopify(order)
    tries = order.cancel_tries + 1
    facts |= {"cancel_sent_at": timezone.now(), "cancel_tries": UnlessChanged(tries)}
    if refused:
        flag(order, CANCELLED_TAG, True)
        if tries >= CANCEL_TRIES and still_open(order):
            return cancel_failed(order, facts, words=refused)
    return order.wait(timezone.now() + FIRST_LOOK, **facts, flags=order.flags)


def cancel_under_way(order: Order) -> bool:
    """Shopify answers with a job and cancels later; of a job that failed only the order tells, by standing."""
    return order.cancel_sent_at is not None and timezone.now() - order.cancel_sent_at < CANCEL_FAILED


def look_at_cancel(order: Order, facts: dict[str, Any]) -> None:
    """Not yet: look again when twice as much time has gone by, and before it counts as failed let nobody ship it."""
    gone_by = timezone.now() - (order.cancel_sent_at or timezone.now())
    if gone_by >= CANCEL_IS_SLOW:
        flag(order, CANCELLED_TAG, True)
    wait = min(gone_by + FIRST_LOOK, CANCEL_FAILED - gone_by)
    return order.wait(timezone.now() + wait, **facts, flags=order.flags)


def cancel_failed(order: Order, facts: dict[str, Any], words: str = "") -> None:
    flag(order, CANCELLED_TAG, True)
    detail = {"order": order.order_name} | ({"words": words} if words else {})
    return order.ask("cancellation_failed", detail, **facts, flags=order.flags)


def cancel_in_shopify(order: Order) -> str:
    """Tell Shopify to cancel it and put the goods back; where it refuses and the order still stands, without the goods:
    their location may be closed (Shopify contract 3e). Returns Shopify's last words if it took neither.

    A refusal may also mean that a cancellation is under way, by somebody else or by a call of ours whose answer was
    lost: the order tells.
    """
    refused = tell_to_cancel(order, restock=True)
    if refused and still_open(order):
        refused = tell_to_cancel(order, restock=False)
    return refused


def tell_to_cancel(order: Order, *, restock: bool) -> str:
    note = f"TikTok Shop order {order.tiktok_id} was cancelled"
    try:
        shopify_for(order.shop).cancel_order(order.order_gid, restock=restock, note=note)
    except shopify_app.errors.AccessLost:
        raise
    except shopify_app.errors.Rejected as error:
        return error.public
    order.wrote("orderCancel" if restock else "orderCancel without restock", order=order.order_gid)
    return ""


def still_open(order: Order) -> bool:
    """Whether Shopify shows it as open; of one that it does not show, the next look says more."""
    state = shopify_for(order.shop).get_order(order.order_gid)
    return state is not None and not state.cancelled and state.fulfillment_status not in HAS_LEFT


def compare_lines(order: Order, source: Source, ours: set[str]) -> dict[str, Any]:
    """What TikTok changed after we finalized, and the numbers it holds that we did not send."""
    gone = {line.id for line in source.line_items if line.cancelled}
    OrderLine.objects.filter(order=order, tiktok_line_id__in=gone, cancelled=False).update(cancelled=True)
    held = map(source.shipment, source.line_items)
    foreign = {
        (shipment.provider_name, shipment.number)
        for shipment in held
        if shipment.number and carriers.clean(shipment.number) not in ours
    }
    return {
        "changed_lines": [as_json(change) for change in mapping.differences(order.money, source)],
        "shipped_elsewhere": [{"carrier": carrier, "number": number} for carrier, number in sorted(foreign)],
    }


def as_json(change: mapping.Difference) -> dict[str, Any]:
    return asdict(change) | {"unit_ids": list(change.unit_ids)}


def correct_address(order: Order, source: Source, changes: list[dict[str, Any]]) -> dict[str, Any]:
    """Give the Shopify order TikTok's new address while no parcel is on its way; after that, say that there is one."""
    address = mapping.address(source)
    if address is None or not address_is_newer(order, source):
        return {}
    if order.shopify_state or source.status == "ON_HOLD":
        return {}
    never = order.addressed_as_of is None  # completed before TikTok gave an address: it gets one in any case
    if not never and order.parcels.exclude(state=ParcelState.WITHDRAWN).exists():
        told = told_of_address(order, source)
        return {"changed_lines": [*changes, {"what": ADDRESS, "told": told}]} if told else {}
    note = words_after_the_hold(order) if never else None
    order.hold_on()
    shopify_for(order.shop).set_order_address(order.order_gid, address, note)
    order.wrote("orderUpdate", order=order.order_gid, changed=["address", "note"] if note else ["address"])
    order.keep(**addressed(order, source))
    return {}


def words_after_the_hold(order: Order) -> str | None:
    """The note of an order that was completed by hand, without our words about the hold; None where it has none."""
    state = shopify_for(order.shop).get_order(order.order_gid)
    now = state.note if state else ""
    note = mapping.released_note(now, order.tiktok_id)
    return note if note != now else None


def told_of_address(order: Order, source: Source) -> int:
    """Since when the address of a parcel that is on its way is an old one; 0 where nothing says so.

    Whatever moved the order's update time is no word of it, and a doorbell that came late may tell of the very address
    that Shopify was given. What was said stands, until a later change rings.
    """
    said = max((change["told"] for change in order.changed_lines if change["what"] == ADDRESS), default=0)
    if told := changed_after_reading(order):
        return max(said, told)
    if marked_since(order, source):
        return said or int(timezone.now().timestamp())
    return said


def changed_after_reading(order: Order) -> int:
    """When TikTok's address changed after we had read the one that Shopify has; 0 where that did not ring."""
    told, as_of, read_at = order.address_told_at, order.addressed_as_of, order.addressed_at
    if told is None or as_of is None or told <= as_of or not told_since(order):
        return 0
    whole = read_at.replace(microsecond=0) if read_at else told  # as TikTok counts
    return int(told.timestamp()) if told >= whole else 0


def still_standing(order: Order, source: Source, facts: dict[str, Any]) -> dict[str, Any]:
    """The most serious thing that stands against this order and that no person has seen with these figures.

    What was seen and is over may come again: then it is news.
    """
    standing = dict(standing_reasons(order, source, facts))
    seen = {reason: figures for reason, figures in order.dismissed.items() if reason in standing}
    reason = next((reason for reason, figures in standing.items() if seen.get(reason) != figures), "")
    over = {"dismissed": UnlessChanged(seen)} if seen != order.dismissed else {}
    return {"reason": reason, "detail": standing.get(reason, {})} | over


def standing_reasons(
    order: Order, source: Source, facts: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """All that stands against the order, with its figures, the most serious first."""
    state = facts.get("shopify_state", order.shopify_state)
    elsewhere, changes = facts["shipped_elsewhere"], facts["changed_lines"]
    live = source.status not in ("DELIVERED", "COMPLETED")
    address = [change for change in changes if change["what"] == ADDRESS]
    lines = [change for change in changes if change["what"] != ADDRESS]
    candidates: list[tuple[bool, str, dict[str, Any]]] = [
        (
            source.is_buyer_request_cancel,
            "cancel_requested",
            {"order": order.order_name} | cancel_requests.figures(order),
        ),
        (bool(state) and live, f"merchant_{state}", {"order": order.order_name}),
        (bool(elsewhere), "shipped_elsewhere", {"parcels": elsewhere}),
        (bool(address), "address_changed_after_shipped", {"changes": address}),
        (bool(lines), "lines_changed_after_finalize", {"changes": lines}),
        (
            order.reason == "draft_completed_by_hand" and source.status == "ON_HOLD",
            "draft_completed_by_hand",
            {},
        ),
    ]
    return ((reason, detail) for stands, reason, detail in candidates if stands)


def flag(order: Order, tag: str, wanted: bool) -> None:
    """A warning tag on the Shopify order, where warehouses look."""
    if wanted == (tag in order.flags) or order.shopify_state == "deleted":
        return
    shopify = shopify_for(order.shop)
    if wanted:
        shopify.add_tags(order.order_gid, [tag])
        order.flags = [*order.flags, tag]
    else:
        shopify.remove_tags(order.order_gid, [tag])
        order.flags = [other for other in order.flags if other != tag]
    order.wrote("tagsAdd" if wanted else "tagsRemove", order=order.order_gid, tag=tag)


def wake_parcels(order: Order) -> None:
    """The order moved: what waited for it looks again."""
    now = timezone.now()
    sql.change(WAKE_PARCELS, [now, now, order.pk, ParcelState.WAITING, list(PARKED_PARCELS)])


def state_of(source: Source) -> State:
    match source.status:
        case "DELIVERED":
            return State.DELIVERED
        case "COMPLETED":
            return State.COMPLETED
        case status if status in rules.SHIPPED:
            return State.SHIPPED
        case _:
            return State.FINALIZED
