"""How pages write states, reasons, ids and money."""

from decimal import Decimal

from django import template
from django.utils.formats import number_format

from connector.models import Connection, Order, Parcel
from connector.reasons import Reason
from connector.reasons import reason as reason_of
from connector.states import OrderState, ParcelState

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
WITHOUT_CENTS = frozenset({"JPY", "KRW", "VND", "CLP"})


@register.filter
def tone(state: str) -> str:
    """The tone of a state's badge."""
    return TONES[state]  # type: ignore[index]  # the enum's members are its values


@register.filter
def why(row: Order | Parcel) -> Reason:
    """The words for what a row waits for."""
    return reason_of(row.reason)


@register.filter
def told(row: Order | Parcel) -> str:
    """The figures of a row's reason, or nothing."""
    return reason_of(row.reason).told(row.detail)


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
