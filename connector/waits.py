"""When an order is looked at next, and how long its stock stays reserved. The clock never says what is true."""

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from connector.models import Order
from tiktok.orders import Order as Source

DAY = timedelta(days=1)
ADDRESS_WAITS = (5, 15, 60, 300)  # seconds from the first look that found none; then it is a person's turn
AFTER_SALE_LOOK_AGAIN = timedelta(hours=1)
RESERVE_AHEAD = timedelta(minutes=30)  # a reservation is renewed so long before it ends


def next_look(order: Order, source: Source) -> datetime:
    """At the hold's expected end; then after 1, 2, 5, 15 min …; a released order at once."""
    now = timezone.now()
    if source.status != "ON_HOLD":
        return now
    expected = hold_ends(source.paid_time or source.create_time, source.release_date)
    if expected and expected > now:
        return min(expected, now + DAY)
    waits = settings.HOLD_LOOK_AGAIN
    return now + waits[min(order.hold_looks, len(waits) - 1)]


def hold_ends(start: datetime | None, release: datetime | None) -> datetime | None:
    """When TikTok's hold should be over: so long after its start, the payment, or at a pre-order's release if later."""
    ends = (start + settings.HOLD_EXPECTED if start else None, release)
    return max(filter(None, ends), default=None)


def hold_over(order: Order) -> datetime:
    """When to send tracking again that TikTok holds back although the order's status shows no hold: no event will ring
    at its end (TikTok contract 4.4).
    """
    again = timezone.now() + settings.HOLD_LOOK_AGAIN[-1]
    return max(again, order.paid_at + settings.HOLD_EXPECTED) if order.paid_at else again


def after_sale_due() -> datetime:
    """When to send tracking again that an after-sale case holds back: the order shows none of it, and the word of its
    end may be lost.
    """
    return timezone.now() + AFTER_SALE_LOOK_AGAIN


def own_delay(order: Order, source: Source) -> datetime:
    """A shop may add a wait of its own where TikTok does not hold."""
    start = source.paid_time or source.create_time
    delay = order.connection.policy.delay_seconds
    # without one TikTok's clock may be ahead of ours
    if source.is_on_hold_order or start is None or not delay:
        return timezone.now()
    return start + timedelta(seconds=delay)


def address_due(order: Order) -> datetime | None:
    """When to look next for an address that a released order does not have; None: long enough."""
    now = timezone.now()
    looks = ((order.address_missed_at or now) + timedelta(seconds=wait) for wait in ADDRESS_WAITS)
    return next((look for look in looks if look > now), None)


def ready_due(order: Order) -> datetime:
    waits = settings.READY_WAITS
    return timezone.now() + waits[min(order.ready_looks, len(waits) - 1)]


def recheck_due(order: Order, source: Source) -> datetime | None:
    """Once more after finalizing, for a cancel that nobody told us of; then on events only, unless a buyer asks."""
    if again := request_due(source):
        return again
    once = (order.finalized_at or timezone.now()) + settings.RECHECK_AFTER_FINALIZE
    return once if once > timezone.now() else None


def request_due(source: Source) -> datetime | None:
    """A buyer's cancel request that is withdrawn moves no update time: this is for the day when its webhook is lost."""
    longest: timedelta = settings.HOLD_LOOK_AGAIN[-1]
    return timezone.now() + longest if source.is_buyer_request_cancel else None


def reserve_until(order: Order, source: Source) -> datetime:
    """max(paid + 1 h, release date) + margin; where that is over, a day more. Shopify refuses a past time."""
    margin = timedelta(seconds=order.connection.policy.reserve_margin_seconds)
    ends = hold_ends(source.paid_time or source.create_time, source.release_date)
    wanted = (ends or timezone.now()) + margin
    return wanted if wanted - timezone.now() > RESERVE_AHEAD else timezone.now() + DAY


def reservation_ends(order: Order) -> bool:
    """Stock stays reserved as long as the hold does; extended a day at a time, so at most daily."""
    return order.reserved_until is not None and order.reserved_until - timezone.now() < RESERVE_AHEAD
