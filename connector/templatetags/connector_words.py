"""How pages write states, reasons, ids and money."""

from datetime import datetime
from decimal import Decimal

from django import template
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from connector import cancelled, deadlines
from connector.models import Connection, Order, Parcel
from connector.reasons import Reason
from connector.reasons import reason as reason_of
from connector.states import KEPT_OUT, OrderState, ParcelState
from tiktok.seller_center import order_page

register = template.Library()

TONES = {
    OrderState.RECEIVED: "info",
    OrderState.OFFERED: "neutral",
    OrderState.ON_HOLD: "caution",
    OrderState.FINALIZED: "info",
    OrderState.SHIPPED: "success",
    OrderState.DELIVERED: "success",
    OrderState.COMPLETED: "success",
    OrderState.CANCELLED: "neutral",
    OrderState.SKIPPED: "neutral",
    OrderState.OUTSIDE: "neutral",
    ParcelState.WAITING: "caution",
    ParcelState.ACCEPTED: "success",
    ParcelState.REPLACED: "neutral",
    ParcelState.KEPT: "neutral",
    ParcelState.WITHDRAWN: "neutral",
}
RESOLVED = {
    "exact": _("(TikTok's own name)"),
    "alias": _("(a spelling that we know)"),
    "merchant": _("(linked by you)"),
    "format": _("(told by the number)"),
    "fallback": _("(your fallback carrier)"),
    "person": _("(chosen for this parcel)"),
}
VERDICTS = {
    "ok": _("It fits the carrier."),
    "warn": _(
        "Not certain: compare it with the label. It has no form that we know this carrier by for sure."
    ),
    "block": _("It does not fit the carrier."),
}
SAID = {
    "UNPAID": _("Not paid yet"),
    "ON_HOLD": _("On hold"),
    "AWAITING_SHIPMENT": _("Awaiting shipment"),
    "PARTIALLY_SHIPPING": _("Partly shipped"),
    "AWAITING_COLLECTION": _("Awaiting collection"),
    "IN_TRANSIT": _("In transit"),
    "DELIVERED": _("Delivered"),
    "COMPLETED": _("Completed"),
    "CANCELLED": _("Cancelled"),
}
WITHOUT_CENTS = frozenset({"JPY", "KRW", "VND", "CLP"})


@register.filter
def tone(state: str) -> str:
    """The tone of a state's badge."""
    return TONES[state]  # type: ignore[index]  # the enum's members are its values


@register.filter
def said(status: str) -> str | Promise:
    """TikTok's status of an order as its Seller Center words it; a new one as it came."""
    return SAID.get(status, status)


@register.filter
def why(row: Order | Parcel) -> Reason:
    """The words for what a row waits for."""
    return reason_of(row.reason)


@register.filter
def told(row: Order | Parcel) -> str:
    """The figures of a row's reason, or nothing."""
    return reason_of(row.reason).told(row.detail)


@register.filter
def asks(row: Order | Parcel) -> bool:
    """Whether a row's reason asks a person for something; what is kept out by a rule or a choice only explains."""
    return bool(row.reason) and row.state not in KEPT_OUT


@register.filter
def attention(order: Order) -> bool:
    """Whether a person is asked for something, for the order itself or for one of its parcels."""
    return asks(order) or any(parcel.reason for parcel in order.parcels.all())


@register.filter
def number(gid: str) -> str:
    """The number at the end of a Shopify gid, as the admin's addresses have it."""
    return gid.rpartition("/")[2]


@register.filter
def money(amount: Decimal | None, currency: str) -> str:
    """An amount with its currency; nothing where there is none."""
    if amount is None:
        return ""
    return f"{number_format(amount, 0 if currency in WITHOUT_CENTS else 2, force_grouping=True)} {currency}"


@register.filter
def cancellation(order: Order) -> str:
    """Who cancelled an order and why, or nothing."""
    return cancelled.told(order.cancelled_by, order.cancel_reason)


@register.filter
def offers(row: Order | Parcel, action: str) -> bool:
    """Whether the row's reason is dealt with by this button."""
    return bool(row.reason) and reason_of(row.reason).action == action


@register.filter
def paused(connection: Connection) -> Reason:
    """The words for why a connection is paused."""
    return reason_of(connection.paused_reason)


@register.filter
def rival(connection: Connection) -> Reason:
    """The words for another app that imports the same orders."""
    return reason_of("other_connector")


@register.filter
def seller_center(order: Order) -> str:
    """The order's page in TikTok Seller Center."""
    return order_page(order.connection.tiktok_shop.region, order.tiktok_id)


@register.filter
def ship_by(order: Order) -> datetime | None:
    """When TikTok wants it shipped."""
    return deadlines.ship_by(order)


@register.filter
def urgency(at: datetime, now: datetime) -> str:
    """How near a deadline is."""
    return deadlines.urgency(at, now)


@register.filter
def resolved(parcel: Parcel) -> str | Promise:
    """How the carrier was found."""
    return RESOLVED.get(parcel.resolved_by, "")


@register.filter
def verdict(parcel: Parcel) -> str | Promise:
    """What we think of the number."""
    return VERDICTS.get(parcel.verdict, "")
