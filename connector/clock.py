"""What the clock does: every second it finds what is due, and what must be kept alive. Two clocks do no harm."""

import logging
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

import shopify_app.errors
from connector import alerts, audits, consent, wake
from connector.jobs import STEPS
from connector.models import (
    FORGET_BATCH,
    OVER,
    Audit,
    Connection,
    ConnectionLog,
    Consent,
    Heartbeat,
    InboxEvent,
    Order,
    forget,
)
from connector.states import OrderState
from connector.transport import session
from shopify_app.models import Shop
from tiktok.models import Seller

log = logging.getLogger(__name__)

KEEP_ALIVE_EVERY = timedelta(hours=1)
KEEP_ALIVE_SECONDS = 1.0  # of a beat for shops at rest
# shops whose grants are to be refreshed; who loses the list finds it in the next hour
at_rest: deque[int] = deque()
ALERTS_EVERY = timedelta(minutes=2)
AUDITS_EVERY = timedelta(minutes=10)  # looked for; each shop's day is read once
CODES_EVERY = timedelta(minutes=1)
PURGE_EVERY = timedelta(minutes=10)
PURGE_BATCHES = 20  # at once, of each kind: 1.4 million rows a day, and the clock's beat is never late


def tick(told_to_stop: Callable[[], bool] = lambda: False) -> None:
    """One beat of the clock. Told to stop, it begins nothing more."""
    beat()
    sweep()
    for name, (every, do) in CHORES.items():
        if not told_to_stop() and due_since(name, every):
            do()
    keep_grants_alive(told_to_stop)


def sweep() -> int:
    """Wake every shop with due rows: one statement, an index for each kind."""
    first, *others = (model.due().order_by().values_list("shop_id", flat=True) for model in STEPS)
    shops = set(first.union(*others))
    wake.shops(shops)
    return len(shops)


def beat() -> None:
    Heartbeat.objects.update_or_create(name="clock", defaults={"at": timezone.now()})


def due_since(name: str, every: timedelta) -> bool:
    """Whether a chore is due; the row that says so is taken by one clock only."""
    now = timezone.now()
    Heartbeat.objects.get_or_create(name=name, defaults={"at": now - every})
    return bool(Heartbeat.objects.filter(name=name, at__lte=now - every).update(at=now))


def keep_grants_alive(told_to_stop: Callable[[], bool]) -> None:
    """A shop that nobody touches for 90 days loses its refresh token (contract 2.4): refresh the old ones. A call may
    take as long as its deadline: what a beat has no time for waits for the next ones."""
    began = monotonic()
    while at_rest and monotonic() - began < KEEP_ALIVE_SECONDS and not told_to_stop():
        shop = Shop.objects.to_keep_alive().filter(pk=at_rest.popleft()).first()
        if shop is None:
            continue
        try:
            shop.keep_alive(session())
        except shopify_app.errors.ShopifyError as error:
            log.warning("grant not refreshed", extra={"shop": shop.pk, "error": error.public})


def purge(now: datetime) -> None:
    """Forget by rule, in small batches: events, ended orders with their log, consents nobody finished."""
    old = now - settings.KEEP_ORDERS
    for rows in (
        InboxEvent.objects.filter(received_at__lt=now - settings.KEEP_EVENTS, due_at=None),
        Consent.objects.filter(created_at__lt=now - timedelta(days=1)),
        Order.objects.filter(OVER, changed_at__lt=old),
        Audit.objects.filter(finished_at__lt=old),
        ConnectionLog.objects.filter(at__lt=old),
    ):
        for _ in range(PURGE_BATCHES):
            if forget(rows) < FORGET_BATCH:
                break
    forget_sellers(now - timedelta(days=1))
    forget_grants(now - timedelta(days=1))


def forget_sellers(before: datetime) -> None:
    """Sellers who agreed at TikTok, and whom no store connected."""
    connected = Connection.objects.filter(tiktok_shop__seller=OuterRef("pk"))
    strangers = Seller.objects.filter(~Exists(connected), granted_at__lt=before)[:FORGET_BATCH]
    for seller in strangers:
        seller.shops.all().delete()
        seller.delete()


def forget_grants(before: datetime) -> None:
    """Tokens that nothing needs any more: no store takes orders by them, and what is in Shopify has arrived."""
    on_their_way = Order.objects.filter(
        connection=OuterRef("pk"), state__in=[OrderState.FINALIZED, OrderState.SHIPPED]
    )
    needed = Connection.objects.filter(
        Q(active=True) | Exists(on_their_way), tiktok_shop__seller=OuterRef("pk")
    )
    over = Seller.objects.filter(~Exists(needed), revoked_at=None, granted_at__lt=before)
    for seller in over[:FORGET_BATCH]:
        seller.revoke()


def find_at_rest() -> None:
    at_rest.clear()
    at_rest.extend(Shop.objects.to_keep_alive().order_by("refresh_expires_at").values_list("pk", flat=True))


CHORES: dict[str, tuple[timedelta, Callable[[], object]]] = {
    "keep_alive": (KEEP_ALIVE_EVERY, find_at_rest),
    "alerts": (ALERTS_EVERY, lambda: alerts.watch(timezone.now())),
    "audits": (AUDITS_EVERY, lambda: audits.ask_daily(timezone.now())),
    "codes": (CODES_EVERY, lambda: consent.forget_codes(timezone.now())),
    "purge": (PURGE_EVERY, lambda: purge(timezone.now())),
}
