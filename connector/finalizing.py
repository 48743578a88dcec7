"""From a complete draft to a Shopify order that we know, line by line."""

from typing import Any

from django.utils import timezone

from connector import mapping, payment, sql
from connector.models import Order
from connector.observing import lines_of, observed, store_line_ids
from connector.platforms import shopify_for
from connector.states import OrderState as State
from connector.work import WOKEN, UnlessWoken
from shopify_app.orders import CompletedOrder, Draft, OrderState
from tiktok.orders import Order as Source

WAKE_WAITING = f"""
UPDATE connector_inboxevent SET {WOKEN}
WHERE shop_id = %s AND due_at IS NOT NULL AND facts ->> 'order_id' = %s
"""  # noqa: S608  (our own words)


def complete(order: Order, source: Source) -> None:
    payment.defer(order)
    order.keep(complete_sent_at=timezone.now())
    done = shopify_for(order.shop, live=order.live).complete_draft(
        order.draft_gid, lines=len(lines_of(order, source)), private=mapping.address(source)
    )
    order.wrote(
        "draftOrderComplete", order=done.id, name=done.name, total=str(done.total), currency=done.currency
    )
    finalize(order, source, done, fulfillments_read_at=timezone.now())  # so young, it has none


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
    now = timezone.now()
    sql.change(WAKE_WAITING, [now, now, order.shop_id, done.id])


def completed_elsewhere(order: Order, source: Source, draft: Draft) -> None:
    """The draft is complete: our answer was lost, or a merchant did it by hand, then without the address."""
    shopify = shopify_for(order.shop, live=order.live)
    state = shopify.get_order(draft.order_id) if draft.order_id else None
    if state is None:
        return deleted_already(order, source)
    by_hand = order.complete_sent_at is None
    held = [] if order.prepared_at else [mapping.HOLD_TAG]  # it still carries the tag of a held draft
    facts: dict[str, Any] = {"order_touched": True, "fulfillments_read_at": None, "flags": held}
    if by_hand and source.status == "ON_HOLD":
        facts |= {"reason": "draft_completed_by_hand"}
    return finalize(order, source, with_lines(order, state), **facts)


def deleted_already(order: Order, source: Source) -> None:
    """The draft's order is gone again: a person's turn, unless nothing is expected of it any more."""
    if source.cancelled:
        return order.move(State.CANCELLED, **observed(order, source))
    if order.skip:
        return order.move(State.SKIPPED, reason="skipped_by_person", **observed(order, source))
    return order.ask("merchant_deleted", **observed(order, source), draft_touched=UnlessWoken(False))


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
