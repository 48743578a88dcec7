"""The states of the rows we work on, and the moves each allows. Pure."""

from django.db.models import TextChoices


class OrderState(TextChoices):
    RECEIVED = "received", "Received"  # known; nothing in Shopify yet
    OFFERED = "offered", "Older order"  # placed before the start: a person chooses
    ON_HOLD = "on_hold", "On hold"  # a draft order stands in Shopify
    FINALIZED = "finalized", "To ship"  # the draft was completed: a Shopify order, marked paid
    SHIPPED = "shipped", "Shipped"  # TikTok knows a tracking number for every live unit
    DELIVERED = "delivered", "Delivered"
    COMPLETED = "completed", "Completed"
    CANCELLED = "cancelled", "Cancelled"
    SKIPPED = "skipped", "Not ours"  # a rule keeps it out: TikTok ships it, or its kind is skipped
    OUTSIDE = "outside", "Shipped outside"  # first seen when somebody else had shipped it


class ParcelState(TextChoices):
    WAITING = "waiting", "Waiting"  # not accepted by TikTok yet; its reason says why
    ACCEPTED = "accepted", "Accepted"
    REPLACED = "replaced", "Replaced"  # another number took its place
    KEPT = "kept", "Kept"  # a further number of one fulfillment, shown and not sent
    WITHDRAWN = "withdrawn", "Withdrawn"  # its fulfillment was cancelled before TikTok heard of it


Order, Parcel = OrderState, ParcelState

MOVES: dict[str, frozenset[str]] = {
    Order.RECEIVED: frozenset(
        {Order.OFFERED, Order.ON_HOLD, Order.FINALIZED, Order.CANCELLED, Order.SKIPPED, Order.OUTSIDE}
    ),
    Order.OFFERED: frozenset({Order.RECEIVED, Order.CANCELLED, Order.SKIPPED, Order.OUTSIDE}),
    Order.ON_HOLD: frozenset({Order.RECEIVED, Order.FINALIZED, Order.CANCELLED, Order.SKIPPED}),
    Order.FINALIZED: frozenset({Order.SHIPPED, Order.DELIVERED, Order.COMPLETED, Order.CANCELLED}),
    Order.SHIPPED: frozenset({Order.FINALIZED, Order.DELIVERED, Order.COMPLETED, Order.CANCELLED}),
    Order.DELIVERED: frozenset({Order.COMPLETED, Order.CANCELLED}),
    Order.COMPLETED: frozenset(),
    Order.CANCELLED: frozenset(),
    Order.SKIPPED: frozenset({Order.RECEIVED, Order.CANCELLED}),
    Order.OUTSIDE: frozenset({Order.RECEIVED, Order.CANCELLED}),
    Parcel.WAITING: frozenset({Parcel.ACCEPTED, Parcel.REPLACED, Parcel.KEPT, Parcel.WITHDRAWN}),
    Parcel.ACCEPTED: frozenset({Parcel.REPLACED}),
    Parcel.KEPT: frozenset({Parcel.WAITING, Parcel.WITHDRAWN}),
    Parcel.REPLACED: frozenset({Parcel.WAITING}),
    Parcel.WITHDRAWN: frozenset({Parcel.WAITING}),
}

# A Shopify order stands behind these.
IN_SHOPIFY = frozenset({Order.FINALIZED, Order.SHIPPED, Order.DELIVERED, Order.COMPLETED})
# Nothing more is to be done for these, whatever TikTok says later.
ENDED = frozenset({Order.COMPLETED, Order.CANCELLED})
# Kept out by a rule or waiting for a choice: their reason explains, and asks for nothing.
KEPT_OUT = frozenset({Order.OFFERED, Order.SKIPPED, Order.OUTSIDE})
