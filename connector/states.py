"""The states of the rows we work on, and the moves each allows. Pure."""

from enum import StrEnum

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class OrderState(TextChoices):
    RECEIVED = "received", _("Received")  # known; nothing in Shopify yet
    OFFERED = "offered", _("Older order")  # placed before the start: a person chooses
    ON_HOLD = "on_hold", _("On hold")  # a draft order stands in Shopify
    FINALIZED = "finalized", _("To ship")  # the draft was completed: a Shopify order, marked paid
    SHIPPED = "shipped", _("Shipped")  # TikTok knows a tracking number for every live unit
    DELIVERED = "delivered", _("Delivered")
    COMPLETED = "completed", _("Completed")
    CANCELLED = "cancelled", _("Cancelled")
    SKIPPED = "skipped", _("Not ours")  # a rule keeps it out: TikTok ships it, or its kind is skipped
    OUTSIDE = "outside", _("Shipped outside")  # first seen when somebody else had shipped it


class ParcelState(TextChoices):
    WAITING = "waiting", _("Waiting")  # not accepted by TikTok yet; its reason says why
    ACCEPTED = "accepted", _("Accepted")
    REPLACED = "replaced", _("Replaced")  # another number took its place
    KEPT = "kept", _("Kept")  # a further number of one fulfillment, shown and not sent
    WITHDRAWN = "withdrawn", _("Withdrawn")  # its fulfillment was cancelled before TikTok heard of it


class Pause(StrEnum):
    """Why a connection stands still. Each has its words in reasons.py."""

    TIKTOK_ACCESS_LOST = "tiktok_access_lost"
    SHOPIFY_ACCESS_LOST = "shopify_access_lost"
    UNINSTALLED = "uninstalled"
    BY_A_PERSON = "connection_paused"


# A platform caused them, and may lift them by itself; the others a person knows of.
CAUSED_BY_A_PLATFORM = frozenset({Pause.TIKTOK_ACCESS_LOST, Pause.SHOPIFY_ACCESS_LOST})
# A new grant of the store's lifts them.
LIFTED_BY_A_REINSTALL = frozenset({Pause.SHOPIFY_ACCESS_LOST, Pause.UNINSTALLED})

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
    Parcel.WITHDRAWN: frozenset({Parcel.WAITING, Parcel.KEPT}),
}

# A Shopify order stands behind these.
IN_SHOPIFY = frozenset({Order.FINALIZED, Order.SHIPPED, Order.DELIVERED, Order.COMPLETED})
# Until a seller has shipped it, and until the buyer has it.
TO_SHIP = frozenset({Order.RECEIVED, Order.ON_HOLD, Order.FINALIZED})
ON_ITS_WAY = TO_SHIP | {Order.SHIPPED}
# Nothing more is to be done for these, whatever TikTok says later.
ENDED = frozenset({Order.COMPLETED, Order.CANCELLED})
# Kept out by a rule or waiting for a choice: their reason explains, and asks for nothing.
KEPT_OUT = frozenset({Order.OFFERED, Order.SKIPPED, Order.OUTSIDE})
