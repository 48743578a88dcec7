"""What the clock does: every second it finds what is due, and what must be kept alive. Two clocks do no harm."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

import shopify_app.errors
from connector import wake
from connector.jobs import STEPS
from connector.models import Audit, Connection, Consent, Heartbeat, InboxEvent, Order, OrderLog
from connector.states import ENDED, OrderState
from connector.transport import session
from shopify_app.models import Shop
from tiktok.models import Seller

log = logging.getLogger(__name__)

KEEP_ALIVE_EVERY = timedelta(hours=1)
PURGE_EVERY = timedelta(minutes=10)
PURGE_BATCH = 500  # small, so that no table is held for long
NEVER_PURGE_BEFORE = timedelta(days=90)  # after delivery: TikTok's buyer protection (PRODUCT SK61)


def sweep() -> int:
    """Wake every shop with due rows: one statement, an index for each kind."""
    first, *others = (model.due().order_by().values_list("shop_id", flat=True) for model in STEPS)
    shops = set(first.union(*others))
    for shop_id in shops:
        wake.shop(shop_id)
    return len(shops)


def beat() -> None:
    Heartbeat.objects.update_or_create(name="clock", defaults={"at": timezone.now()})


def due_since(name: str, every: timedelta) -> bool:
    """Whether a chore is due; the row that says so is taken by one clock only."""
    now = timezone.now()
    Heartbeat.objects.get_or_create(name=name, defaults={"at": now - every})
    return bool(Heartbeat.objects.filter(name=name, at__lte=now - every).update(at=now))


def keep_grants_alive() -> None:
    """A shop that nobody touches for 90 days loses its refresh token (contract 2.4): refresh the old ones."""
    for shop in Shop.objects.to_keep_alive():
        try:
            shop.keep_alive(session())
        except shopify_app.errors.ShopifyError as error:
            log.warning("grant not refreshed", extra={"shop": shop.pk, "error": error.public})


def purge(now: datetime) -> None:
    """Forget by rule, in small batches: events, ended orders with their log, consents nobody finished."""
    forget(InboxEvent.objects.filter(received_at__lt=now - settings.KEEP_EVENTS, due_at=None))
    forget(Consent.objects.filter(created_at__lt=now - timedelta(days=1)))
    forget_sellers(now - timedelta(days=1))
    old = now - max(settings.KEEP_ORDERS, NEVER_PURGE_BEFORE)
    ended = Q(state__in=[*ENDED, OrderState.SKIPPED, OrderState.OUTSIDE, OrderState.DELIVERED])
    orders = Order.objects.filter(ended, changed_at__lt=old)
    OrderLog.objects.filter(order__in=list(orders.values_list("pk", flat=True)[:PURGE_BATCH])).delete()
    forget(orders)
    forget(Audit.objects.filter(finished_at__lt=old))


def forget_sellers(before: datetime) -> None:
    """Sellers who agreed at TikTok, and whom no store connected."""
    connected = Connection.objects.filter(tiktok_shop__seller=OuterRef("pk"))
    strangers = Seller.objects.filter(~Exists(connected), granted_at__lt=before)[:PURGE_BATCH]
    for seller in strangers:
        seller.shops.all().delete()
        seller.delete()


def forget(rows) -> None:  # type: ignore[no-untyped-def]  # a queryset of any model
    model = rows.model
    model.objects.filter(pk__in=list(rows.values_list("pk", flat=True)[:PURGE_BATCH])).delete()


def tick() -> None:
    """One beat of the clock."""
    beat()
    sweep()
    if due_since("keep_alive", KEEP_ALIVE_EVERY):
        keep_grants_alive()
    if due_since("purge", PURGE_EVERY):
        purge(timezone.now())
