"""TikTok's own deadlines of an order, and how near the next one is. Pure.

TikTok states them on each order (TikTok contract 4.4); published figures differ and change, so none is kept here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from connector.models import Order
from connector.states import ON_ITS_WAY, TO_SHIP
from connector.states import OrderState as State

OVERDUE, SOON, TODAY = "overdue", "soon", "today"
NEAR = ((timedelta(0), OVERDUE), (timedelta(hours=12), SOON), (timedelta(hours=24), TODAY))
WITH_THE_CARRIER = ("IN_TRANSIT", "DELIVERED", "COMPLETED")  # TikTok's words, once a carrier has scanned it


@dataclass(frozen=True, slots=True)
class Deadline:
    """`stands` while it can still be missed. `name` is the order's column."""

    name: str
    label: Promise
    at: datetime
    stands: bool


DEADLINES = (
    ("release_at", _("TikTok releases it"), frozenset({State.RECEIVED, State.ON_HOLD})),
    ("cancel_due_at", _("TikTok grants the buyer's cancellation without your answer"), TO_SHIP),
    ("ship_by_at", _("Ship by, else it counts as late"), TO_SHIP),
    ("hand_over_by_at", _("First scan of the carrier by"), ON_ITS_WAY),
    ("ship_due_at", _("TikTok cancels it if it is not shipped by"), TO_SHIP),
    ("collection_due_at", _("TikTok cancels it if the carrier does not have it by"), ON_ITS_WAY),
    ("delivery_due_at", _("TikTok cancels it if it is not delivered by"), ON_ITS_WAY),
)


UNTIL_SCANNED = frozenset({"hand_over_by_at", "collection_due_at"})


def deadlines(order: Order) -> list[Deadline]:
    """Every deadline that TikTok has set, in the order of an order's life."""
    found = ((name, label, getattr(order, name), states) for name, label, states in DEADLINES)
    return [Deadline(name, label, at, stands(order, name, states)) for name, label, at, states in found if at]


def stands(order: Order, name: str, states: frozenset[State]) -> bool:
    scanned = name in UNTIL_SCANNED and order.tiktok_status in WITH_THE_CARRIER
    return order.state in states and not scanned


def pressing(order: Order, since: datetime, now: datetime, until: datetime) -> list[Deadline]:
    """The deadlines that somebody should do something about, of a request to answer and of the shipment: the next one
    between now and `until`, else the one that was missed last, if that was after `since`. Of two at one time the later
    in the order's life, which costs more."""
    near = [one for one in reversed(deadlines(order)) if one.stands and since < one.at <= until]
    matters = (
        [one for one in near if one.name == "cancel_due_at"],
        [one for one in near if one.name not in ("cancel_due_at", "release_at")],
    )
    return [min(some, key=lambda one: (one.at <= now, abs(one.at - now))) for some in matters if some]


def ship_by(order: Order) -> datetime | None:
    """When TikTok wants it shipped; None once it is, or where TikTok names no time."""
    if order.state not in TO_SHIP:
        return None
    return order.ship_by_at or order.ship_due_at


def answer_by(order: Order) -> datetime | None:
    """When TikTok wants an answer to a buyer who asks to cancel; None where nobody asks."""
    return order.cancel_due_at if order.state in TO_SHIP else None


def urgency(at: datetime | None, now: datetime) -> str:
    """How near a time is: "overdue", "soon" (12 h), "today" (24 h), or ""."""
    if at is None:
        return ""
    return next((name for distance, name in NEAR if at - now <= distance), "")
