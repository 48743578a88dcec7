"""TikTok's own deadlines of an order, and how near the next one is. Pure.

TikTok states them on each order (TikTok contract 4.4); published figures differ and change, so none is kept here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from connector.models import Order
from connector.states import OrderState as State

OVERDUE, SOON, TODAY = "overdue", "soon", "today"
NEAR = ((timedelta(0), OVERDUE), (timedelta(hours=12), SOON), (timedelta(hours=24), TODAY))
TO_SHIP = frozenset({State.RECEIVED, State.ON_HOLD, State.FINALIZED})
ON_ITS_WAY = TO_SHIP | {State.SHIPPED}


@dataclass(frozen=True, slots=True)
class Deadline:
    """`stands` while it can still be missed."""

    label: Promise
    at: datetime
    stands: bool


DEADLINES = (
    ("release_at", _("TikTok releases it"), frozenset({State.RECEIVED, State.ON_HOLD})),
    ("ship_by_at", _("Ship by, else it counts as late"), TO_SHIP),
    ("hand_over_by_at", _("First scan of the carrier by"), ON_ITS_WAY),
    ("ship_due_at", _("TikTok cancels it if it is not shipped by"), TO_SHIP),
    ("collection_due_at", _("TikTok cancels it if the carrier does not have it by"), ON_ITS_WAY),
    ("delivery_due_at", _("TikTok cancels it if it is not delivered by"), ON_ITS_WAY),
)


def deadlines(order: Order) -> list[Deadline]:
    """Every deadline that TikTok has set, in the order of an order's life."""
    found = ((label, getattr(order, name), order.state in states) for name, label, states in DEADLINES)
    return [Deadline(label, at, stands) for label, at, stands in found if at]


def ship_by(order: Order) -> datetime | None:
    """When TikTok wants it shipped; None once it is, or where TikTok names no time."""
    if order.state not in TO_SHIP:
        return None
    return order.ship_by_at or order.ship_due_at


def urgency(at: datetime | None, now: datetime) -> str:
    """How near a time is: "overdue", "soon" (12 h), "today" (24 h), or ""."""
    if at is None:
        return ""
    return next((name for distance, name in NEAR if at - now <= distance), "")
