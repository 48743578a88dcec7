"""What an order does next, by its state: look at the platforms, one effect, one move.

Each step is safe to run twice, because it looks first. No transaction is open around a remote call. The clock says
when to look; only the platforms say what is true.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

import shopify_app.errors
import tiktok.errors
from connector import carriers, mapping, matching, rules
from connector.models import DELETE, DISCONNECTED, PAUSED, InboxEvent, Order, OrderLine
from connector.platforms import shopify_for, tiktok_for
from connector.rules import Fate
from connector.states import MOVES, ParcelState
from connector.states import OrderState as State
from connector.work import Later, Overtaken
from shopify_app.orders import CompletedOrder, Draft, DraftContent, Hit, OrderState
from tiktok.orders import Order as Source
from tiktok.records import ExternalLine, ExternalOrder

DAY = timedelta(days=1)
RESERVE_AHEAD = timedelta(minutes=30)  # a reservation is renewed so long before it ends
CANCEL_POLL = timedelta(seconds=1)

CANCEL_REQUESTED_TAG = "tiktok-cancel-requested"
SHIPPED_ELSEWHERE_TAG = "tiktok-shipped-elsewhere"


def advance_order(order: Order) -> None:
    if order.connection.paused:
        return order.release(None, last_error=PAUSED)
    if not order.connection.active and order.state not in FOLLOWED:
        return disconnected(order)
    return STEPS[State(order.state)](order)


def disconnected(order: Order) -> None:
    """Nothing new for a shop that was disconnected; its held drafts stay or go, as the merchant said."""
    if order.state == State.ON_HOLD and order.connection.settings.get("held_drafts") == DELETE:
        shopify_for(order.shop).delete_draft(order.draft_gid)
        order.wrote("draftOrderDelete", draft=order.draft_gid, why="disconnected")
        return order.move(State.SKIPPED, reason="disconnected", draft_gid="", prepared_at=None)
    return order.release(None, last_error=DISCONNECTED)


# ---- into Shopify --------------------------------------------------------------------------------


def received(order: Order) -> None:
    """Put the order into Shopify as a draft, unless a rule keeps it out."""
    source = look(order)
    if source is None:
        return None
    if order.draft_gid:  # a doorbell told us of a draft whose answer was lost
        return adopt(order, source)
    verdict = entry(order, source)
    if verdict.fate is not Fate.TAKE:
        return keep_out(order, source, verdict)
    choice = matching.match(order, source)
    if choice.reason:
        return order.ask(choice.reason, choice.detail, **observed(order, source) | priced(order, source))
    if found := find_again(order):
        return adopt_hit(order, source, found)
    return create(order, source, content_for(order, source, choice))


def entry(order: Order, source: Source) -> rules.Verdict:
    connection = order.connection
    if order.skip and not source.cancelled:
        return rules.Verdict(Fate.SKIP, "skipped_by_person")
    verdict = rules.entry(source, connection.policy, started_at=connection.started_at, chosen=order.chosen)
    if verdict.fate is not Fate.TAKE:
        return verdict
    if connection.other_connector and not connection.other_connector_accepted_at:
        return rules.Verdict(Fate.ASK, "other_connector", connection.other_connector)
    if connection.shop.currencies and source.payment.currency not in connection.shop.currencies:
        return rules.Verdict(Fate.ASK, "currency_not_enabled", {"currency": source.payment.currency})
    return verdict


def keep_out(order: Order, source: Source, verdict: rules.Verdict) -> None:
    facts = observed(order, source) | priced(order, source)
    match verdict.fate:
        case Fate.WAIT:
            order.wait(None, **facts)
        case Fate.ASK:
            order.ask(verdict.reason, verdict.detail, **facts)
        case Fate.CANCELLED:
            wait_for_lost_answer(order)
            delete_drafts(order)
            order.move(State.CANCELLED, **facts)
        case _:
            order.move(KEPT_AS[verdict.fate], reason=verdict.reason, detail=verdict.detail, **facts)


KEPT_AS = {Fate.SKIP: State.SKIPPED, Fate.OUTSIDE: State.OUTSIDE, Fate.OFFER: State.OFFERED}


def create(order: Order, source: Source, content: DraftContent) -> None:
    """The one effect that cannot be repeated: its intent is stored first, and a lost answer is searched for."""
    remember_lines(order, source)
    intent = {"create_sent_at": timezone.now(), "create_tries": order.create_tries + 1, "recovery_looks": 1}
    first_look = timezone.now() + settings.RECOVERY_WAITS[0]
    order.keep(**intent | priced(order, source))
    try:
        draft = shopify_for(order.shop, live=order.live).create_draft(content)
    except shopify_app.errors.Unavailable as error:
        if error.may_have_acted:
            raise Later(first_look, last_error=error.public) from error
        order.keep(create_sent_at=None, create_tries=order.create_tries - 1)
        raise
    except shopify_app.errors.Rejected:
        order.keep(create_sent_at=None, create_tries=order.create_tries - 1)
        raise
    try:
        order.wrote("draftOrderCreate", draft=draft.id, total=str(draft.total), currency=draft.currency)
        due_at = next_look(order, source)
        hold(order, draft, due_at=due_at, reserved_until=content.reserve_until, **observed(order, source))
    except Overtaken:
        disown(order, draft)
        raise


def hold(order: Order, draft: Draft, *, due_at: datetime | None, **facts: Any) -> None:
    facts |= seen(draft) | {"create_sent_at": None, "draft_gid": draft.id, "draft_name": draft.name}
    if draft.total == order.expected_total:
        return order.move(State.ON_HOLD, due_at=due_at, **facts)
    return order.move(
        State.ON_HOLD, reason="total_mismatch", detail=sums(order.expected_total, draft), **facts
    )


def disown(order: Order, draft: Draft) -> None:
    """We were overtaken with a fresh draft in hand: it goes, unless the row names it."""
    if Order.objects.filter(pk=order.pk, draft_gid=draft.id).exists():
        return
    shopify_for(order.shop).delete_draft(draft.id)
    order.wrote("draftOrderDelete", draft=draft.id, why="overtaken")


def find_again(order: Order) -> Hit | None:
    """The draft or order that stands for this one already, by its tag; None: surely none, create it.

    Only a search at least RECOVERY_WAITS[-1] after the call that finds nothing may clear the intent.
    """
    if order.create_sent_at:
        found = oldest(shopify_for(order.shop).find_drafts(tag_of(order)))
        if found is None:
            wait_for_lost_answer(order)
            order.keep(create_sent_at=None)
        return found
    if order.chosen:
        shopify = shopify_for(order.shop)
        return oldest(shopify.find_drafts(tag_of(order))) or oldest(shopify.find_orders(tag_of(order)))
    return None


def oldest(hits: Sequence[Hit]) -> Hit | None:
    return min(hits, key=lambda hit: hit.created_at, default=None)


def wait_for_lost_answer(order: Order) -> None:
    """While a create may still turn out to have worked, nothing is decided: 5, 15, 60 s after the call."""
    waits = settings.RECOVERY_WAITS
    if order.create_sent_at and timezone.now() - order.create_sent_at < waits[-1]:
        looks = min(order.recovery_looks, len(waits) - 1)
        raise Later(order.create_sent_at + waits[looks], recovery_looks=order.recovery_looks + 1)


def adopt_hit(order: Order, source: Source, hit: Hit) -> None:
    remember_lines(order, source)
    if hit.order_id:
        state = shopify_for(order.shop).get_order(hit.order_id)
        if state is not None:
            return finalize(order, source, with_lines(order, state), **priced(order, source))
    order.keep(draft_gid=hit.id)
    return adopt(order, source)


def adopt(order: Order, source: Source) -> None:
    """The row has a draft that it did not see made: read it, and go on from there."""
    draft = shopify_for(order.shop).get_draft(order.draft_gid)
    if draft is None:
        raise Later(timezone.now(), draft_gid="", create_sent_at=None)
    if draft.completed:
        return completed_elsewhere(order, source, draft)
    return hold(
        order,
        draft,
        due_at=next_look(order, source),
        reserved_until=draft.reserve_until,
        **observed(order, source),
    )


# ---- on hold -------------------------------------------------------------------------------------


def on_hold(order: Order) -> None:
    """Wait for TikTok; then finalize, or take the draft away again."""
    source = look(order)
    if source is None:
        return None
    if source.cancelled:
        return cancel_held(order, source)
    if order.skip:
        return skip(order, source)
    if source.status in rules.AFTER_SHIPPING and not order.chosen:
        return shipped_while_held(order, source)
    if rules.shipped_by_tiktok(source):
        return order.ask("tiktok_ships", {"shipping_type": source.shipping_type}, **observed(order, source))
    if source.status == "ON_HOLD" and not needs_a_look(order, source):
        return order.wait(
            next_look(order, source), **observed(order, source), hold_looks=order.hold_looks + 1
        )
    draft = shopify_for(order.shop, live=order.live).get_draft(order.draft_gid)
    if draft is None:
        return draft_gone(order, source)
    if draft.completed:
        return completed_elsewhere(order, source, draft)
    if source.status == "ON_HOLD":
        return tend(order, source, draft)
    return release(order, source, draft)


def draft_gone(order: Order, source: Source) -> None:
    """A merchant deleted the draft: never made again silently, only when a person says so."""
    facts = observed(order, source) | {"draft_touched": False}
    if not order.recreate:
        return order.ask("draft_deleted", **facts)
    facts |= {"draft_gid": "", "prepared_at": None, "create_tries": 0, "recreate": False}
    return order.move(State.RECEIVED, due_at=timezone.now(), **facts)


def skip(order: Order, source: Source) -> None:
    """A person keeps it out: the draft goes."""
    shopify_for(order.shop).delete_draft(order.draft_gid)
    order.wrote("draftOrderDelete", draft=order.draft_gid, why="skipped")
    delete_drafts(order, but=order.draft_gid)
    order.move(
        State.SKIPPED, reason="skipped_by_person", **observed(order, source), draft_gid="", prepared_at=None
    )


def needs_a_look(order: Order, source: Source) -> bool:
    return order.draft_touched or order.recreate or reservation_ends(order) or bool(changed(order, source))


def reservation_ends(order: Order) -> bool:
    """Stock stays reserved as long as the hold does; extended a day at a time, so at most daily."""
    return order.reserved_until is not None and order.reserved_until - timezone.now() < RESERVE_AHEAD


def tend(order: Order, source: Source, draft: Draft) -> None:
    """A draft that is still held: keep its stock reserved, its lines true, and see what a merchant did to it."""
    facts = observed(order, source) | {"draft_touched": False}
    if problem := meddled(order, draft):
        return order.ask(problem, sums(order.expected_total, draft), **facts)
    if changed(order, source) or reservation_ends(order):
        choice = matching.match(order, source)
        if choice.reason:
            return order.ask(choice.reason, choice.detail, **facts)
        draft = rewrite(order, source, choice, reserve_until=reserve_until(order, source))
        if draft.total != order.expected_total:
            return order.ask("total_mismatch", sums(order.expected_total, draft), **facts)
    return order.wait(next_look(order, source), **facts)


def release(order: Order, source: Source, draft: Draft) -> None:
    """TikTok's hold is over: address on, hold tag off, wait until Shopify is ready, complete."""
    facts = observed(order, source)
    if source.is_buyer_request_cancel:
        return order.ask("cancel_requested", **facts)
    if source.masked:
        return order.ask("address_masked", **facts)
    if problem := mapping.money_problem(source):
        return order.ask("amounts_mismatch", problem.detail, **facts)
    if (own := own_delay(order, source)) > timezone.now():
        return order.wait(own, **facts)
    if meddling := meddled(order, draft):
        return order.ask(meddling, sums(order.expected_total, draft), draft_touched=False, **facts)
    if not order.prepared_at or changed(order, source) or address_is_newer(order, source):
        choice = matching.match(order, source)
        if choice.reason:
            return order.ask(choice.reason, choice.detail, **facts)
        draft = prepare(order, source, choice, draft)
    if not draft.ready:
        raise Later(ready_due(order), ready_looks=order.ready_looks + 1)
    if draft.total != order.expected_total:
        return order.ask("total_mismatch", sums(order.expected_total, draft), **facts)
    if order.create_tries > 1:
        delete_drafts(order, but=order.draft_gid)
    return complete(order, source)


def prepare(order: Order, source: Source, choice: matching.Match, draft: Draft) -> Draft:
    """Address, tags and note of a released order; what a merchant added to them stays."""
    draft = rewrite(
        order,
        source,
        choice,
        address=mapping.address(source),
        tags=mapping.released_tags(draft.tags),
        note=mapping.released_note(draft.note, order.tiktok_id),
    )
    order.keep(
        prepared_at=timezone.now(), ready_looks=0, draft_touched=False, addressed_as_of=source.update_time
    )
    return draft


def rewrite(order: Order, source: Source, choice: matching.Match, **changes: Any) -> Draft:
    """One update of the draft with all that is new, and its lines where TikTok changed them."""
    facts: dict[str, Any] = {}
    if changed(order, source):
        changes["content"] = content_for(order, source, choice)
        remember_lines(order, source)
        facts |= priced(order, source)
    if "reserve_until" in changes:
        facts["reserved_until"] = changes["reserve_until"]
    draft = shopify_for(order.shop, live=order.live).update_draft(order.draft_gid, **changes)
    order.wrote("draftOrderUpdate", draft=draft.id, changed=sorted(changes), total=str(draft.total))
    order.keep(**facts | seen(draft))
    return draft


def complete(order: Order, source: Source) -> None:
    order.keep(complete_sent_at=timezone.now())
    done = shopify_for(order.shop, live=order.live).complete_draft(
        order.draft_gid, lines=len(lines_of(order, source))
    )
    order.wrote(
        "draftOrderComplete", order=done.id, name=done.name, total=str(done.total), currency=done.currency
    )
    finalize(order, source, done)


def finalize(order: Order, source: Source, done: CompletedOrder, **facts: Any) -> None:
    """The draft is an order now: keep its id and its lines' ids, and wake what waited for them."""
    order.other_line_gids = store_line_ids(order, done)
    order.move(
        State.FINALIZED,
        due_at=timezone.now(),
        **observed(order, source)
        | {
            "order_gid": done.id,
            "order_name": done.name,
            "finalized_at": timezone.now(),
            "other_line_gids": order.other_line_gids,
        }
        | facts,
    )
    InboxEvent.objects.filter(shop=order.shop, done_at=None, facts__order_id=done.id).update(
        due_at=timezone.now()
    )


def completed_elsewhere(order: Order, source: Source, draft: Draft) -> None:
    """The draft is complete: our answer was lost, or a merchant did it by hand, then without the address."""
    state = shopify_for(order.shop, live=order.live).get_order(draft.order_id)
    if state is None:
        return order.ask("merchant_deleted", **observed(order, source), draft_touched=False)
    by_hand = order.complete_sent_at is None
    facts: dict[str, Any] = {"order_touched": True, "fulfillments_read_at": None}
    if by_hand and source.status == "ON_HOLD":
        facts |= {"reason": "draft_completed_by_hand"}
    return finalize(order, source, with_lines(order, state), **facts)


def with_lines(order: Order, state: OrderState) -> CompletedOrder:
    return CompletedOrder(
        id=state.id,
        name=state.name,
        total=state.total,
        currency=state.currency,
        financial_status=state.financial_status,
        gateways=(),
        lines=tuple(shopify_for(order.shop).get_order_lines(state.id)),
    )


def cancel_held(order: Order, source: Source) -> None:
    """Cancelled before we finalized: the draft goes; one that somebody completed is cancelled as an order."""
    draft = shopify_for(order.shop).get_draft(order.draft_gid)
    if draft is not None and draft.completed:
        return completed_elsewhere(order, source, draft)
    if draft is not None:
        shopify_for(order.shop).delete_draft(order.draft_gid)
        order.wrote("draftOrderDelete", draft=order.draft_gid, why="cancelled")
    if order.create_tries > 1:
        delete_drafts(order, but=order.draft_gid)
    return order.move(State.CANCELLED, **observed(order, source))


def shipped_while_held(order: Order, source: Source) -> None:
    """Somebody shipped it before we finalized: TikTok, or a person in Seller Center. The draft would ship it twice."""
    draft = shopify_for(order.shop).get_draft(order.draft_gid)
    if draft is not None and draft.completed:
        return completed_elsewhere(order, source, draft)
    if draft is not None:
        shopify_for(order.shop).delete_draft(order.draft_gid)
        order.wrote("draftOrderDelete", draft=order.draft_gid, why="shipped outside")
    reason = "tiktok_ships" if rules.shipped_by_tiktok(source) else "shipped_outside"
    return order.move(
        State.SKIPPED, reason=reason, detail={"status": source.status}, **observed(order, source)
    )


def delete_drafts(order: Order, but: str = "") -> None:
    """Extra open drafts of this order, left by creates whose answers were lost."""
    if not order.create_tries:
        return
    shopify = shopify_for(order.shop)
    for hit in shopify.find_drafts(tag_of(order)):
        if hit.id != but and not hit.completed:
            shopify.delete_draft(hit.id)
            order.wrote("draftOrderDelete", draft=hit.id, why="extra")


# ---- in Shopify ----------------------------------------------------------------------------------


def follow(order: Order) -> None:
    """An order that Shopify has: tell both sides of each other, then follow what either does to it."""
    if not order.referenced_at:
        return refer(order)
    source = look(order)
    if source is None:
        return None
    facts = observed(order, source)
    if order.order_touched:
        facts |= read_shopify_order(order)
        order.shopify_state = facts["shopify_state"]
    if source.cancelled:
        return cancel_finalized(order, facts)
    facts |= compare_lines(order, source)
    facts |= correct_address(order, source)
    flag(order, CANCEL_REQUESTED_TAG, source.is_buyer_request_cancel)
    flag(order, SHIPPED_ELSEWHERE_TAG, bool(facts["shipped_elsewhere"]))
    reason, detail = standing_reason(order, source, facts)
    facts |= {"reason": reason, "detail": detail, "flags": order.flags}
    wake_parcels(order)
    to = state_of(source)
    if to != order.state and to in MOVES[order.state]:
        return order.move(to, **facts)
    if reason:
        return order.ask(due_at=recheck_due(order), **facts)
    return order.wait(recheck_due(order), **facts)


def refer(order: Order) -> None:
    """Each side learns the other's id: ours to look up, theirs to search by."""
    shopify_for(order.shop, live=order.live).set_reference(
        order.order_gid, {"tiktok_order_id": order.tiktok_id}, order.tiktok_id
    )
    order.wrote("orderUpdate", order=order.order_gid, changed=["reference"])
    tell_tiktok(order)
    late = not order.complete_sent_at and order.fulfillments_read_at is None
    if late:  # a fulfillment may be older than our knowledge of the order
        store_fulfillment_events(order)
    due = timezone.now() if late else (order.finalized_at or timezone.now()) + settings.RECHECK_AFTER_FINALIZE
    order.succeed(due, referenced_at=timezone.now(), fulfillments_read_at=timezone.now())


def tell_tiktok(order: Order) -> None:
    """Shopify's ids at TikTok. It needs a scope of its own; without it the order lacks nothing."""
    units = OrderLine.objects.filter(order=order).exclude(shopify_line_gid="")
    lines = tuple(
        ExternalLine(id=legacy(unit.shopify_line_gid), origin_id=unit.tiktok_line_id) for unit in units
    )
    reference = ExternalOrder(order_id=order.tiktok_id, id=legacy(order.order_gid), lines=lines)
    try:
        tiktok_for(order.connection, live=order.live).set_external_orders([reference])
    except tiktok.errors.Rejected as error:
        if isinstance(error, tiktok.errors.AccessLost) and error.code != tiktok.errors.SCOPE_MISSING:
            raise
        order.wrote("external_orders", refused=error.public)
    else:
        order.wrote("external_orders", order=order.order_gid)


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
        found = "deleted"
    elif state.cancelled:
        found = "cancelled"
    elif state.financial_status == "REFUNDED":
        found = "refunded"
    else:
        found = ""
    return {"shopify_state": found, "order_touched": False}


def cancel_finalized(order: Order, facts: dict[str, Any]) -> None:
    """TikTok cancelled an order that Shopify has: cancel it there too, unless goods have left."""
    shopify = shopify_for(order.shop)
    state = shopify.get_order(order.order_gid)
    if state is None or state.cancelled:
        return order.move(State.CANCELLED, **facts)
    if state.fulfillment_status not in ("UNFULFILLED", "ON_HOLD", "SCHEDULED"):
        flag(order, "tiktok-cancelled", True)
        return order.ask("cancelled_after_fulfilled", {"order": order.order_name}, **facts, flags=order.flags)
    if not order.connection.policy.cancel_in_shopify and "cancelled_in_tiktok" not in order.dismissed:
        flag(order, "tiktok-cancelled", True)
        return order.ask("cancelled_in_tiktok", {"order": order.order_name}, **facts, flags=order.flags)
    try:
        shopify.cancel_order(
            order.order_gid, restock=True, note=f"TikTok Shop order {order.tiktok_id} was cancelled"
        )
    except shopify_app.errors.AccessLost:
        raise
    except shopify_app.errors.Rejected as error:
        flag(order, "tiktok-cancelled", True)
        return order.ask("cancelled_after_fulfilled", {"words": error.public}, **facts, flags=order.flags)
    order.wrote("orderCancel", order=order.order_gid)
    return order.wait(timezone.now() + CANCEL_POLL, **facts)


def compare_lines(order: Order, source: Source) -> dict[str, Any]:
    """What TikTok changed after we finalized, and the numbers it holds that we did not send."""
    gone = {line.id for line in source.line_items if line.cancelled}
    OrderLine.objects.filter(order=order, tiktok_line_id__in=gone, cancelled=False).update(cancelled=True)
    ours = set(order.parcels.values_list("number", flat=True))
    foreign = {
        (line.shipping_provider_name or source.shipping_provider, line.tracking_number)
        for line in source.line_items
        if line.tracking_number and carriers.clean(line.tracking_number) not in ours
    }
    return {
        "changed_lines": [asdict(change) for change in mapping.differences(order.money, source)],
        "shipped_elsewhere": [{"carrier": carrier, "number": number} for carrier, number in sorted(foreign)],
    }


def correct_address(order: Order, source: Source) -> dict[str, Any]:
    never = order.addressed_as_of is None  # a merchant completed the draft before TikTok gave an address
    address = mapping.address(source)
    if not (never or address_is_newer(order, source)) or order.shopify_state or source.status == "ON_HOLD":
        return {}
    if source.masked or address is None:
        return {}
    if order.parcels.exclude(state=ParcelState.WITHDRAWN).exists():
        return {} if never else {"changed_lines": [{"what": "address"}]}
    shopify_for(order.shop).set_order_address(order.order_gid, address)
    order.wrote("orderUpdate", order=order.order_gid, changed=["address"])
    return {"addressed_as_of": source.update_time}


def standing_reason(order: Order, source: Source, facts: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The most serious thing that stands against this order, unless a person has seen it."""
    state = facts.get("shopify_state", order.shopify_state)
    elsewhere, changes = facts["shipped_elsewhere"], facts["changed_lines"]
    live = source.status not in ("DELIVERED", "COMPLETED")
    address_only = changes == [{"what": "address"}]
    candidates: list[tuple[bool, str, dict[str, Any]]] = [
        (source.is_buyer_request_cancel, "cancel_requested", {"order": order.order_name}),
        (bool(state) and live, f"merchant_{state}", {"order": order.order_name}),
        (bool(elsewhere), "shipped_elsewhere", {"parcels": elsewhere}),
        (address_only, "address_changed_after_shipped", {}),
        (bool(changes) and not address_only, "lines_changed_after_finalize", {"changes": changes}),
        (
            order.reason == "draft_completed_by_hand" and source.status == "ON_HOLD",
            "draft_completed_by_hand",
            {},
        ),
    ]
    for stands, reason, detail in candidates:
        if stands and reason not in order.dismissed:
            return reason, detail
    return "", {}


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
    waiting = order.parcels.filter(state=ParcelState.WAITING, reason__in=PARKED_PARCELS)
    waiting.update(due_at=timezone.now())


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


def recheck_due(order: Order) -> datetime | None:
    """Once more after finalizing, for a cancel that nobody told us of; then on events only."""
    once = (order.finalized_at or timezone.now()) + settings.RECHECK_AFTER_FINALIZE
    return once if once > timezone.now() else None


# ---- out of Shopify ------------------------------------------------------------------------------


def kept_out(order: Order) -> None:
    """Kept out by a rule or waiting for a choice: does TikTok, or a person, see it differently now?"""
    source = look(order)
    if source is None:
        return
    verdict = entry(order, source)
    if verdict.fate in (Fate.TAKE, Fate.ASK):
        order.move(State.RECEIVED, due_at=timezone.now(), **observed(order, source))
    elif verdict.fate is Fate.CANCELLED:
        order.move(State.CANCELLED, **observed(order, source))
    elif KEPT_AS.get(verdict.fate) == order.state:
        order.ask(verdict.reason, verdict.detail, **observed(order, source))
    else:
        order.ask(order.reason, order.detail, **observed(order, source))


def ended(order: Order) -> None:
    """Nothing more to do; the doorbell is answered."""
    source = look(order)
    if source is not None:
        order.wait(None, **observed(order, source))


STEPS: dict[State, Callable[[Order], None]] = {
    State.RECEIVED: received,
    State.OFFERED: kept_out,
    State.ON_HOLD: on_hold,
    State.FINALIZED: follow,
    State.SHIPPED: follow,
    State.DELIVERED: follow,
    State.COMPLETED: ended,
    State.CANCELLED: ended,
    State.SKIPPED: kept_out,
    State.OUTSIDE: kept_out,
}
FOLLOWED = {State.FINALIZED, State.SHIPPED, State.DELIVERED, State.COMPLETED, State.CANCELLED}


# ---- what both sides say -------------------------------------------------------------------------


def look(order: Order) -> Source | None:
    """TikTok's truth, now. None: TikTok does not know the order, and the row has been handed back."""
    source = tiktok_for(order.connection, live=order.live).get_order(order.tiktok_id)
    if source is None:
        order.ask("order_not_found")
    return source


def observed(order: Order, source: Source) -> dict[str, Any]:
    """The columns that only repeat what TikTok says."""
    return {
        "tiktok_status": source.status,
        "tiktok_updated_at": source.update_time,
        "placed_at": source.create_time or order.placed_at,
        "paid_at": source.paid_time,
        "release_at": source.release_date,
        "ship_by_at": source.rts_sla_time,
        "hand_over_by_at": source.tts_sla_time,
        "ship_due_at": source.shipping_due_time,
        "collection_due_at": source.collection_due_time,
        "delivery_due_at": source.delivery_due_time,
        "kinds": sorted(mapping.kinds(source)),
        "delivery_option_id": source.delivery_option_id,
        "warehouse_id": source.warehouse_id,
        "region": source.address.region_code if source.address else "",
        "combine_group": source.auto_combine_group_id,
        "split_or_combine": source.split_or_combine_tag,
        "cancel_requested": source.is_buyer_request_cancel,
    }


def priced(order: Order, source: Source) -> dict[str, Any]:
    """The figures that Shopify is given: kept until they are given anew, so that a difference shows."""
    return {
        "money": mapping.snapshot(source),
        "currency": source.payment.currency,
        "expected_total": mapping.expected_total(source, order.connection.policy),
    }


def seen(draft: Draft) -> dict[str, Any]:
    """What we know of the draft from our own answer: a later event that is not newer is our echo."""
    return {"draft_updated_at": draft.updated_at}


def changed(order: Order, source: Source) -> bool:
    """Whether TikTok's lines or amounts differ from those the draft was written with."""
    return bool(order.money) and bool(mapping.differences(order.money, source))


def meddled(order: Order, draft: Draft) -> str:
    """The reason when the draft does not sum up to what we wrote: somebody edited it, or Shopify never agreed."""
    if order.expected_total is None or draft.total == order.expected_total:
        return ""
    return "total_mismatch" if order.reason == "total_mismatch" else "draft_edited"


def sums(expected: Any, draft: Draft) -> dict[str, str]:
    return {"expected": str(expected), "shopify": str(draft.total), "currency": draft.currency}


def address_is_newer(order: Order, source: Source) -> bool:
    if not source.has_updated_recipient_address or source.update_time is None:
        return False
    return order.addressed_as_of is None or source.update_time > order.addressed_as_of


def lines_of(order: Order, source: Source) -> tuple[mapping.Group, ...]:
    return mapping.group(source.line_items, order.connection.policy)


def content_for(order: Order, source: Source, choice: matching.Match) -> DraftContent:
    until = reserve_until(order, source)
    return mapping.draft_content(
        source, choice.variants, order.connection.policy, reserve_until=until, held=True
    )


def reserve_until(order: Order, source: Source) -> datetime:
    """max(paid + 1 h, release date) + margin; where that is over, a day more. Shopify refuses a past time."""
    margin = timedelta(seconds=order.connection.policy.reserve_margin_seconds)
    ends = [when for when in (hold_ends(source), source.release_date) if when]
    wanted = max(ends, default=timezone.now()) + margin
    return wanted if wanted - timezone.now() > RESERVE_AHEAD else timezone.now() + DAY


def hold_ends(source: Source) -> datetime | None:
    start = source.paid_time or source.create_time
    return start + settings.HOLD_EXPECTED if start else None


def own_delay(order: Order, source: Source) -> datetime:
    """A shop may add a wait of its own where TikTok does not hold."""
    start = source.paid_time or source.create_time
    if source.is_on_hold_order or start is None:
        return timezone.now()
    return start + timedelta(seconds=order.connection.policy.delay_seconds)


def next_look(order: Order, source: Source) -> datetime:
    """At the hold's expected end; then after 1, 2, 5, 15 min …; a released order at once."""
    now = timezone.now()
    if source.status != "ON_HOLD":
        return now
    expected = max(filter(None, (hold_ends(source), source.release_date)), default=now)
    if expected > now:
        return min(expected, now + DAY)
    waits = settings.HOLD_LOOK_AGAIN
    return now + waits[min(order.hold_looks, len(waits) - 1)]


def ready_due(order: Order) -> datetime:
    waits = settings.READY_WAITS
    return timezone.now() + waits[min(order.ready_looks, len(waits) - 1)]


def tag_of(order: Order) -> str:
    return mapping.id_tag(order.tiktok_id)


def remember_lines(order: Order, source: Source) -> None:
    """The units of the order, as TikTok has them now."""
    policy = order.connection.policy
    units = [
        OrderLine(
            order=order,
            tiktok_line_id=line.id,
            sku_id=line.sku_id,
            seller_sku=line.seller_sku,
            product_id=line.product_id,
            title=mapping.line_title(line),
            price=mapping.booked_unit(line, policy.money_mode),
            is_gift=line.is_gift,
            cancelled=line.cancelled,
        )
        for line in source.line_items
    ]
    OrderLine.objects.bulk_create(
        units,
        update_conflicts=True,
        unique_fields=["order", "tiktok_line_id"],
        update_fields=["sku_id", "seller_sku", "product_id", "title", "price", "is_gift", "cancelled"],
    )
    OrderLine.objects.filter(order=order).exclude(
        tiktok_line_id__in=[line.id for line in source.line_items]
    ).delete()


def store_line_ids(order: Order, done: CompletedOrder) -> list[str]:
    """Which Shopify line stands for which TikTok units: the way back for tracking. Returns the lines that stand for
    none: the tax line, or what a merchant added.
    """
    units = {unit.tiktok_line_id: unit for unit in OrderLine.objects.filter(order=order)}
    known, others = [], []
    for line in done.lines:
        ours = mapping.read_unit_ids(line.attributes)
        if len(done.lines) == 1 and not ours:  # the cheap answer for a draft of one line has no attributes
            ours = tuple(unit_id for unit_id, unit in units.items() if not unit.cancelled)
        if not ours:
            others.append(line.id)
        for unit in (units[unit_id] for unit_id in ours if unit_id in units):
            unit.shopify_line_gid = line.id
            known.append(unit)
    OrderLine.objects.bulk_update(known, ["shopify_line_gid"])
    return others


PARKED_PARCELS = ("order_on_hold", "cancel_requested_shipped", "tiktok_ships")
