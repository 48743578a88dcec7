"""What happened to an order, and what comes next and when, in a merchant's words. Pure: a row in, words out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from connector.models import DISCONNECTED, Order, Parcel
from connector.reasons import reason
from connector.states import KEPT_OUT, ParcelState
from connector.states import OrderState as State
from connector.waits import hold_ends

Words = str | Promise


@dataclass(frozen=True, slots=True)
class Progress:
    """`after` is what comes next; `at` when it is expected or tried, where anybody can tell."""

    happened: Words
    after: Words
    at: datetime | None = None


def progress(order: Order, parcels: Sequence[Parcel], now: datetime) -> Progress:
    """How an order stands. `parcels` are all of its own."""
    happened = HAPPENED[State(order.state)]
    if order.reason:
        words = reason(order.reason)
        return Progress(words.why if order.state in KEPT_OUT else happened, words.do)
    if order.connection.paused:
        return Progress(happened, _("Nothing while the connection is paused. Then it goes on by itself."))
    if order.last_error == DISCONNECTED:
        return Progress(happened, _("Nothing: its TikTok shop is disconnected."))
    if order.failing_since:
        return Progress(happened, _("The last try got no answer. It is tried again by itself."), order.due_at)
    return Progress(happened, *following(order, parcels, now))


def following(order: Order, parcels: Sequence[Parcel], now: datetime) -> tuple[Words, datetime | None]:
    match order.state:
        case State.RECEIVED:
            return arriving(order)
        case State.ON_HOLD:
            return held(order, now)
        case State.FINALIZED:
            return to_ship(order, parcels)
        case _:
            return NEXT[State(order.state)], None


def arriving(order: Order) -> tuple[Words, datetime | None]:
    if order.tiktok_status == "UNPAID":
        return _("The buyer has not paid yet. TikTok tells us when that happens."), None
    if order.create_sent_at:
        return _(
            "Shopify was asked for the draft and has not answered. We look whether it was made."
        ), order.due_at
    return _("It becomes a draft order within seconds."), None


def held(order: Order, now: datetime) -> tuple[Words, datetime | None]:
    if order.prepared_at:
        return _("TikTok has released it. It becomes an order as soon as Shopify has computed it."), None
    if order.address_missed_at and order.tiktok_status != "ON_HOLD":
        return _("TikTok has released it and has not given its address yet. We look again."), order.due_at
    expected = hold_ends(order.paid_at or order.placed_at, order.release_at)
    if expected and expected > now:
        return _(
            "TikTok holds it while the buyer can still cancel. Then it becomes a Shopify order."
        ), expected
    return _("The hold should be over. We ask TikTok again until it is; no timer decides it."), order.due_at


def to_ship(order: Order, parcels: Sequence[Parcel]) -> tuple[Words, datetime | None]:
    waiting = [parcel for parcel in parcels if parcel.state == ParcelState.WAITING]
    if any(parcel.reason for parcel in waiting):
        return _("A tracking number could not go to TikTok: see below what it needs."), None
    if waiting:
        return _("The tracking number goes to TikTok."), min(
            (p.due_at for p in waiting if p.due_at), default=None
        )
    deadline = order.ship_by_at or order.ship_due_at
    if any(parcel.state == ParcelState.ACCEPTED for parcel in parcels):
        return _("Fulfil the rest in Shopify with its tracking number. TikTok wants it shipped by:"), deadline
    return _(
        "Fulfil it in Shopify with a tracking number, which goes to TikTok. TikTok wants it shipped by:"
    ), deadline


HAPPENED = {
    State.RECEIVED: _("TikTok has told us of the order. Nothing is in Shopify yet."),
    State.OFFERED: _("It was placed before TikTok was connected. Nothing is in Shopify."),
    State.ON_HOLD: _("A draft order stands in Shopify, and its stock is reserved. No payment, no address."),
    State.FINALIZED: _(
        "TikTok released it, and it is an order in Shopify, marked as paid. Shopify charged nobody."
    ),
    State.SHIPPED: _("TikTok knows a tracking number for every product."),
    State.DELIVERED: _("TikTok says that it was delivered."),
    State.COMPLETED: _("TikTok has closed the order."),
    State.CANCELLED: _("TikTok cancelled it. It left no open order in Shopify."),
    State.SKIPPED: _("It is kept out of Shopify."),
    State.OUTSIDE: _("Somebody else had shipped it when we first saw it. Nothing is in Shopify."),
}
NEXT = {
    State.OFFERED: _("Nothing, unless you import it."),
    State.SHIPPED: _("TikTok follows the parcel and tells us when it is delivered."),
    State.DELIVERED: _("The buyer can still ask TikTok for a return. TikTok closes the order after that."),
    State.COMPLETED: _("Nothing."),
    State.CANCELLED: _("Nothing."),
    State.SKIPPED: _("Nothing, unless you import it."),
    State.OUTSIDE: _("Nothing, unless you import it."),
}
