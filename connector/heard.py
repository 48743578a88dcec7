"""When Shopify last rang for a shop. Taking a webhook in costs one INSERT and stays so: the worker that answers the
events remembers it, once a minute at most. When TikTok last rang is a connection's matter (inbox.py).
"""

from collections.abc import Iterable
from datetime import timedelta

from django.db.models import Q

from connector.models import InboxEvent
from connector.work import Work
from shopify_app.models import Shop

HEARD_EVERY = timedelta(minutes=1)  # how exactly it is remembered


def remember(rows: Iterable[Work]) -> None:
    """The newest webhook of Shopify's among rows of one shop, which know their shop."""
    rung = [row for row in rows if isinstance(row, InboxEvent) and row.source == "shopify" and row.posted]
    if not rung:
        return
    newest = max(rung, key=lambda event: event.received_at)
    before = newest.owner.last_webhook_at
    if before is None or newest.received_at - before >= HEARD_EVERY:
        older = Q(last_webhook_at=None) | Q(last_webhook_at__lt=newest.received_at)  # two workers may be here
        Shop.objects.filter(older, pk=newest.owner.pk).update(last_webhook_at=newest.received_at)
