"""From TikTok into Shopify: the rules at the door, and the one create that cannot be repeated."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NoReturn

from django.conf import settings
from django.utils import timezone

import shopify_app.errors
from connector import cancel_requests, mapping, matching, rules
from connector.finalizing import completed_elsewhere, finalize, with_lines
from connector.models import Order
from connector.observing import (
    disagreement,
    look,
    observed,
    priced,
    remember_lines,
    seen,
    still_computed,
    sums,
    tag_of,
)
from connector.platforms import shopify_for
from connector.rules import Fate
from connector.states import OrderState as State
from connector.transport import session
from connector.waits import address_due, next_look, request_due, reserve_until
from connector.work import Later, Overtaken
from shopify_app.models import Shop
from shopify_app.orders import Draft, DraftContent, Hit
from tiktok.orders import Order as Source


def received(order: Order) -> None:
    """Put the order into Shopify as a draft, unless a rule keeps it out."""
    source = look(order)
    if source is None:
        return None
    if order.draft_gid:  # a doorbell told us of a draft whose answer was lost
        return adopt(order, source)
    # before anything is decided: whatever becomes of the order, its draft is known
    if lost := find_lost(order):
        return adopt_hit(order, source, lost)
    verdict = entry(order, source)
    if verdict.fate is not Fate.TAKE:
        return keep_out(order, source, verdict)
    if order.connection.prepared_at is None:
        wait_for_the_look(order, source)
    choice = matching.match(order, source)
    if choice.reason:
        cancel_requests.read_deadline(order, source)
        facts = observed(order, source) | priced(order, source)
        return order.ask(choice.reason, choice.detail, request_due(source), **facts)
    if earlier := find_earlier(order):
        return adopt_hit(order, source, earlier)
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
    currency = mapping.currency(source)
    if not sells_in(connection.shop, currency):
        return rules.Verdict(Fate.ASK, "currency_not_enabled", {"currency": currency})
    return verdict


def wait_for_the_look(order: Order, source: Source) -> NoReturn:
    """Nobody has looked yet whether another connector makes these orders. pulls.prepare wakes what waits for it; when
    Shopify lets nobody look for a day, it is a person's turn as with any other silence."""
    order.keep(**observed(order, source), **priced(order, source))
    raise shopify_app.errors.Unavailable("other connectors have not been looked for yet", code="unprepared")


def sells_in(shop: Shop, currency: str) -> bool:
    """Whether the store sells in this currency: as we know it, else as Shopify says now."""
    if currency not in shop.currencies:
        shop.read_installation(session())
    return currency in shop.currencies


def keep_out(order: Order, source: Source, verdict: rules.Verdict) -> None:
    """What a rule says, with a moment's grace for stars: whoever ships himself may see the address a little later."""
    if verdict.fate is Fate.ASK:
        cancel_requests.read_deadline(order, source)
    facts = observed(order, source) | priced(order, source)
    look = address_due(order) if verdict.reason == "address_masked" else None
    match verdict.fate:
        case Fate.WAIT:
            order.wait(None, **facts)
        case Fate.SKIP if look:
            order.wait(look, address_missed_at=order.address_missed_at or timezone.now(), **facts)
        case Fate.ASK:
            order.ask(verdict.reason, verdict.detail, request_due(source), **facts)
        case Fate.CANCELLED:
            delete_drafts(order)
            order.move(State.CANCELLED, **facts)
        case _:
            delete_drafts(order)
            order.move(KEPT_AS[verdict.fate], reason=verdict.reason, detail=verdict.detail, **facts)


def create(order: Order, source: Source, content: DraftContent) -> None:
    """The one effect that cannot be repeated: its intent is stored first, and a lost answer is searched for."""
    remember_lines(order, source, content)
    intent = {"create_sent_at": timezone.now(), "create_tries": order.create_tries + 1, "recovery_looks": 1}
    first_look = timezone.now() + settings.RECOVERY_WAITS[0]
    order.keep(**intent | priced(order, source))
    try:
        draft = shopify_for(order.shop, live=order.live).create_draft(content)
    except shopify_app.errors.ShopifyError as error:
        if not error.may_have_acted:
            order.keep(create_sent_at=None, create_tries=order.create_tries - 1)
        elif isinstance(error, shopify_app.errors.Unavailable):
            raise Later(first_look, last_error=error.public) from error
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
    wrong = disagreement(order, draft)
    if wrong and not draft.ready:
        order.keep(**facts)
        raise still_computed(order)
    detail = sums(order, draft) if wrong else {}
    return order.move(State.ON_HOLD, due_at=due_at, reason=wrong, detail=detail, **facts)


def disown(order: Order, draft: Draft) -> None:
    """We were overtaken with a fresh draft in hand: it goes, unless the row names it."""
    if Order.objects.filter(pk=order.pk, draft_gid=draft.id).exists():
        return
    shopify_for(order.shop).delete_draft(draft.id)
    order.wrote("draftOrderDelete", draft=draft.id, why="overtaken")


def find_lost(order: Order) -> Hit | None:
    """The draft of a create whose answer never came, by its tag: looked for 5, 15, 60 s after the call.

    Only a search that begins RECOVERY_WAITS[-1] after the call and finds nothing may clear the intent.
    """
    if order.create_sent_at is None:
        return None
    waits = settings.RECOVERY_WAITS
    last_look = timezone.now() - order.create_sent_at >= waits[-1]
    found = oldest(shopify_for(order.shop, live=order.live).find_drafts(tag_of(order)))
    if found is None and not last_look:
        looks = min(order.recovery_looks, len(waits) - 1)
        raise Later(order.create_sent_at + waits[looks], recovery_looks=order.recovery_looks + 1)
    if found is None:
        order.keep(create_sent_at=None)
    return found


def find_earlier(order: Order) -> Hit | None:
    """What stands in Shopify for an order that a person imports: an earlier life of the app may have made it."""
    if not order.chosen:
        return None
    shopify = shopify_for(order.shop, live=order.live)
    return oldest(shopify.find_drafts(tag_of(order))) or oldest(shopify.find_orders(tag_of(order)))


def oldest(hits: Sequence[Hit]) -> Hit | None:
    return min(hits, key=lambda hit: hit.created_at, default=None)


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
        due_at=timezone.now(),  # much may have been said while it was looked for
        reserved_until=draft.reserve_until,
        **observed(order, source),
    )


def content_for(order: Order, source: Source, choice: matching.Match) -> DraftContent:
    until = reserve_until(order, source)
    return mapping.draft_content(
        source, choice.variants, order.connection.policy, reserve_until=until, held=True
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


KEPT_AS = {Fate.SKIP: State.SKIPPED, Fate.OUTSIDE: State.OUTSIDE, Fate.OFFER: State.OFFERED}
