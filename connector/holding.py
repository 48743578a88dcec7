"""A draft on hold: tended while TikTok holds the order, finalized or taken away when it does not."""

from typing import Any

from django.utils import timezone

from connector import cancel_requests, mapping, matching, rules
from connector.finalizing import complete, completed_elsewhere
from connector.importing import content_for, delete_drafts
from connector.models import Order
from connector.observing import (
    address_is_newer,
    addressed,
    changed,
    disagreement,
    look,
    meddled,
    observed,
    priced,
    remember_lines,
    seen,
    still_computed,
    sums,
)
from connector.platforms import shopify_for
from connector.states import OrderState as State
from connector.waits import (
    address_due,
    next_look,
    own_delay,
    ready_due,
    request_due,
    reservation_ends,
    reserve_until,
)
from connector.work import Later, UnlessWoken
from shopify_app.orders import Draft
from tiktok.orders import Order as Source


def on_hold(order: Order) -> None:
    """Wait for TikTok; then finalize, or take the draft away again."""
    source = look(order)
    if source is None:
        return None
    if source.cancelled:
        return cancel_held(order, source)
    if order.skip:
        return skip(order, source)
    cancel_requests.read_deadline(order, source)
    if source.status in rules.AFTER_SHIPPING and not order.chosen:
        return shipped_while_held(order, source)
    if source.status not in rules.BEFORE_SHIPPING + rules.AFTER_SHIPPING:
        return order.ask("unknown_status", {"status": source.status}, **observed(order, source))
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
    facts = observed(order, source) | {"draft_touched": UnlessWoken(False)}
    if not order.recreate:
        return order.ask("draft_deleted", **facts)
    return order.move(State.RECEIVED, due_at=timezone.now(), **facts | WITHOUT_A_DRAFT | {"recreate": False})


def skip(order: Order, source: Source) -> None:
    """A person keeps it out: the draft goes."""
    if draft := take_away(order, "skipped"):
        return completed_elsewhere(order, source, draft)
    return order.move(State.SKIPPED, reason="skipped_by_person", **observed(order, source), **WITHOUT_A_DRAFT)


def take_away(order: Order, why: str) -> Draft | None:
    """Delete the draft, and what creates without an answer left of it; the draft itself, if somebody completed it."""
    shopify = shopify_for(order.shop, live=order.live)
    draft = shopify.get_draft(order.draft_gid)
    if draft is not None and draft.completed:
        return draft
    if draft is not None:
        order.hold_on()
        shopify.delete_draft(order.draft_gid)
        order.wrote("draftOrderDelete", draft=order.draft_gid, why=why)
    if order.create_tries > 1:
        delete_drafts(order, but=order.draft_gid)
    return None


def needs_a_look(order: Order, source: Source) -> bool:
    asked = bool(order.reason)  # a question stands until the draft answers it
    return (
        asked
        or order.draft_touched
        or order.recreate
        or order.restore
        or reservation_ends(order)
        or changed(order, source)
    )


def tend(order: Order, source: Source, draft: Draft) -> None:
    """A draft that is still held: keep its stock reserved, its lines true, and see what a merchant did to it."""
    facts = observed(order, source) | {"draft_touched": UnlessWoken(False)}
    if not order.restore and (problem := meddled(order, source, draft)):
        return order.ask(problem, sums(order, draft), **facts)
    if to_rewrite(order, source) or reservation_ends(order):
        choice = choose(order, source)
        if choice.reason:
            return order.ask(choice.reason, choice.detail, **facts)
        draft = rewrite(order, source, choice, reserve_until=reserve_until(order, source))
        if not draft.ready:
            raise still_computed(order)
        if wrong := disagreement(order, draft):
            return order.ask(wrong, sums(order, draft), **facts)
    return order.wait(next_look(order, source), **facts)


def release(order: Order, source: Source, draft: Draft) -> None:
    """TikTok's hold is over: address on, hold tag off, wait until Shopify is ready, complete."""
    facts = observed(order, source)
    if doubt := in_doubt(order, source):
        return order.ask(doubt.reason, doubt.detail, due_at=request_due(source), **facts)
    if lacks_address(order, source) and (look := address_due(order)):
        return order.wait(look, address_missed_at=order.address_missed_at or timezone.now(), **facts)
    if (own := own_delay(order, source)) > timezone.now():
        return order.wait(own, **facts)
    if not order.restore and (meddling := meddled(order, source, draft)):
        return order.ask(meddling, sums(order, draft), draft_touched=UnlessWoken(False), **facts)
    if not order.prepared_at or to_rewrite(order, source) or address_is_newer(order, source):
        choice = choose(order, source)
        if choice.reason:
            return order.ask(choice.reason, choice.detail, **facts)
        draft = prepare(order, source, choice, draft)
    if not draft.ready:
        raise Later(ready_due(order), ready_looks=order.ready_looks + 1)
    if wrong := disagreement(order, draft):
        return order.ask(wrong, sums(order, draft), **facts)
    if order.create_tries > 1:
        delete_drafts(order, but=order.draft_gid)
    return complete(order, source)


def in_doubt(order: Order, source: Source) -> rules.Verdict | None:
    """Why a released order is not to be completed before a person has seen it."""
    if source.is_buyer_request_cancel:
        return rules.Verdict(rules.Fate.ASK, "cancel_requested", cancel_requests.figures(order))
    if source.masked:
        return rules.Verdict(rules.Fate.ASK, "address_masked")
    if wrong := rules.unbookable(source):
        return wrong
    if order.anyway:
        return None
    if lacks_address(order, source) and address_due(order) is None:
        return rules.Verdict(rules.Fate.ASK, "address_missing")
    if doubtful := doubtful_destination(order, source):
        return rules.Verdict(rules.Fate.ASK, "destination_unsupported", {"destination": doubtful})
    return None


def lacks_address(order: Order, source: Source) -> bool:
    """Neither TikTok nor the draft has an address: every field of TikTok's is optional (TikTok contract 4.2)."""
    return mapping.address(source) is None and order.addressed_as_of is None


def to_rewrite(order: Order, source: Source) -> bool:
    """Whether the draft's lines and amounts are to be written again: TikTok has others, or a person wants them back."""
    return order.restore or changed(order, source)


def choose(order: Order, source: Source) -> matching.Match:
    """The variants of lines that are to be written; lines that stand need none, and cost no look."""
    return matching.match(order, source) if to_rewrite(order, source) else matching.Match()


def doubtful_destination(order: Order, source: Source) -> str:
    return mapping.destination_warning(source, order.connection.tiktok_shop.region)


def prepare(order: Order, source: Source, choice: matching.Match, draft: Draft) -> Draft:
    """Address, tags and note of a released order; what a merchant added to them stays."""
    address = mapping.address(source)
    draft = rewrite(
        order,
        source,
        choice,
        address=address,
        tags=mapping.released_tags(draft.tags),
        note=mapping.released_note(draft.note, order.tiktok_id),
    )
    facts = addressed(order, source) if address else {}
    order.keep(prepared_at=timezone.now(), ready_looks=0, draft_touched=UnlessWoken(False), **facts)
    return draft


def rewrite(order: Order, source: Source, choice: matching.Match, **changes: Any) -> Draft:
    """One update of the draft with all that is new, and its lines where TikTok changed them."""
    facts: dict[str, Any] = {}
    if to_rewrite(order, source):
        changes["content"] = content_for(order, source, choice)
        remember_lines(order, source, changes["content"])
        facts |= priced(order, source) | {"restore": False}
    if "reserve_until" in changes:
        facts["reserved_until"] = changes["reserve_until"]
    order.hold_on()  # what we read may be old: whoever has the row now has written what is newer
    draft = shopify_for(order.shop, live=order.live).update_draft(order.draft_gid, **changes)
    order.wrote("draftOrderUpdate", draft=draft.id, changed=sorted(changes), total=str(draft.total))
    order.keep(**facts | seen(draft))
    return draft


def cancel_held(order: Order, source: Source) -> None:
    """Cancelled before we finalized: the draft goes; one that somebody completed is cancelled as an order."""
    if draft := take_away(order, "cancelled"):
        return completed_elsewhere(order, source, draft)
    return order.move(State.CANCELLED, **observed(order, source))


def shipped_while_held(order: Order, source: Source) -> None:
    """Somebody shipped it before we finalized: TikTok, or a person in Seller Center. The draft would ship it twice."""
    if draft := take_away(order, "shipped outside"):
        return completed_elsewhere(order, source, draft)
    reason = "tiktok_ships" if rules.shipped_by_tiktok(source) else "shipped_outside"
    return order.move(
        State.SKIPPED, reason=reason, detail={"status": source.status}, **observed(order, source)
    )


# Columns of an order whose draft is gone: another may be made.
WITHOUT_A_DRAFT: dict[str, Any] = {"draft_gid": "", "prepared_at": None, "create_tries": 0}
