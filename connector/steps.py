"""What an order does next, by its state: look at the platforms, one effect, one move.

Each step is safe to run twice, because it looks first. No transaction is open around a remote call. The clock says
when to look; only the platforms say what is true.
"""

from collections.abc import Callable

from django.utils import timezone

from connector.finalizing import completed_elsewhere
from connector.following import follow
from connector.holding import WITHOUT_A_DRAFT, on_hold, take_away
from connector.importing import KEPT_AS, entry, received
from connector.models import DELETE, DISCONNECTED, Order, rest_in_pause
from connector.observing import look, observed
from connector.rules import Fate
from connector.states import OrderState as State


def advance_order(order: Order) -> None:
    if order.connection.paused:
        return rest_in_pause(order)
    if not order.connection.active and order.state not in FOLLOWED:
        return disconnected(order)
    return STEPS[State(order.state)](order)


def disconnected(order: Order) -> None:
    """Nothing new for a shop that was disconnected; its held drafts stay or go, as the merchant said."""
    if order.state == State.ON_HOLD and order.connection.settings.get("held_drafts") == DELETE:
        return delete_held(order)
    return order.release(None, last_error=DISCONNECTED)


def delete_held(order: Order) -> None:
    draft = take_away(order, "disconnected")
    if draft is None:
        return order.move(State.SKIPPED, reason="disconnected", **WITHOUT_A_DRAFT)
    source = look(order)
    return completed_elsewhere(order, source, draft) if source else None


def kept_out(order: Order) -> None:
    """Kept out by a rule or waiting for a choice: does TikTok, or a person, see it differently now?"""
    source = look(order)
    if source is None:
        return
    verdict = entry(order, source)
    if verdict.fate in (Fate.TAKE, Fate.ASK):
        order.move(State.RECEIVED, due_at=timezone.now(), **observed(order, source))
    elif verdict.fate is Fate.CANCELLED:
        order.move(State.CANCELLED, **observed(order, source))
    elif order.state == State.OFFERED and verdict.fate in DECIDED:
        order.move(
            KEPT_AS[verdict.fate], reason=verdict.reason, detail=verdict.detail, **observed(order, source)
        )
    elif KEPT_AS.get(verdict.fate) == order.state:
        order.ask(verdict.reason, verdict.detail, **observed(order, source))
    else:
        order.ask(order.reason, order.detail, **observed(order, source))


DECIDED = (Fate.SKIP, Fate.OUTSIDE)  # an older order is no longer a person's choice: somebody decided


def ended(order: Order) -> None:
    """Nothing more to do; the doorbell is answered."""
    source = look(order)
    if source is not None:
        order.wait(None, **observed(order, source))


STEPS: dict[State, Callable[[Order], None]] = {
    State.RECEIVED: received,
    State.OFFERED: kept_out,
    State.ON_HOLD: on_hold,
    State.FINALIZED: follow,
    State.SHIPPED: follow,
    State.DELIVERED: follow,
    State.COMPLETED: ended,
    State.CANCELLED: ended,
    State.SKIPPED: kept_out,
    State.OUTSIDE: kept_out,
}


FOLLOWED = {State.FINALIZED, State.SHIPPED, State.DELIVERED, State.COMPLETED, State.CANCELLED}
