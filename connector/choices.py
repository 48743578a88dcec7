"""What a person may decide about an order or a parcel. A choice is a fact on the row; the row's own step acts on it."""

from django.db import transaction
from django.utils import timezone

from connector.models import Order, OrderLog, Parcel
from connector.states import OrderState, ParcelState
from connector.wake import bell


def look_again(order: Order, by: str) -> None:
    """Read both platforms again, now, and try what stopped once more."""
    with transaction.atomic():
        note(order, "look again", by)
        order.wake(draft_touched=True, order_touched=True)
        order.parcels.filter(state=ParcelState.WAITING).update(due_at=timezone.now())
    bell.ring(order.shop_id)


def import_anyway(order: Order, by: str) -> None:
    """Put an order into Shopify that a rule keeps out, or whose draft is gone. TikTok's own shipments stay out."""
    with transaction.atomic():
        note(order, "import", by)
        order.wake(
            chosen=True,
            skip=False,
            recreate=order.state == OrderState.ON_HOLD and order.reason == "draft_deleted",
        )
    bell.ring(order.shop_id)


def skip(order: Order, by: str) -> None:
    """Keep an order out of Shopify that is not an order there yet; its draft is deleted."""
    with transaction.atomic():
        note(order, "skip", by)
        order.wake(skip=True, chosen=False)
    bell.ring(order.shop_id)


def dismiss(order: Order, by: str) -> None:
    """A person has seen what stands against the order; it is not shown again."""
    if not order.reason:
        return
    with transaction.atomic():
        note(order, f"dismiss {order.reason}", by)
        order.wake(dismissed=[*order.dismissed, order.reason])
    bell.ring(order.shop_id)


def send_anyway(parcel: Parcel, by: str) -> None:
    """Send a number although its format or the order speaks against it."""
    with transaction.atomic():
        note(parcel.order, "send anyway", by, parcel)
        parcel.wake(anyway=True)
    bell.ring(parcel.shop_id)


def note(order: Order, what: str, by: str, parcel: Parcel | None = None) -> None:
    OrderLog.objects.create(
        order=order, parcel=parcel, what="chose", call=what, old=order.state, new=order.state, by=by
    )
