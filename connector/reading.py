"""TikTok's truth of an order. What was claimed together is read together: fifty orders are one call, as one is."""

import logging
import threading
from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from time import monotonic

from django.utils import timezone

from connector.models import Order
from connector.platforms import tiktok_for
from connector.work import ACCESS_LOST, BUSY, UNAVAILABLE
from tiktok.client import Client
from tiktok.errors import TikTokError
from tiktok.orders import Order as Source

log = logging.getLogger(__name__)

FRESH_SECONDS = 2.0  # a row that comes later than that reads its order by itself


def read(order: Order) -> Source | None:
    """The order as TikTok has it now; None when TikTok does not know it."""
    client = tiktok_for(order.connection, live=order.live)
    order.read_at = timezone.now() - (timedelta(seconds=FRESH_SECONDS) if order.reading else timedelta(0))
    if order.reading is None:
        return client.get_order(order.tiktok_id)
    return order.reading.take(client, order.tiktok_id)


def together(orders: Iterable[Order]) -> None:
    """Let these be read by one call for each connection, when the first of them is looked at."""
    groups = defaultdict(list)
    for order in orders:
        groups[order.connection_id, order.live].append(order)
    for group in groups.values():
        reading = Reading({order.tiktok_id for order in group}) if len(group) > 1 else None
        for order in group:
            order.reading = reading


class Reading:
    """One call for several orders, each of which is handed out once: who looks twice wants to see what is new."""

    def __init__(self, ids: set[str]) -> None:
        self._lock = threading.Lock()
        self._ids = ids
        self._found: dict[str, Source] = {}
        self._error: Exception | None = None
        self._at = 0.0

    def take(self, client: Client, tiktok_id: str) -> Source | None:
        """Raises for each of the orders what the call raised."""
        with self._lock:
            if not self._at:
                self._read(client)
            if monotonic() - self._at <= FRESH_SECONDS:
                if self._error:
                    raise self._error
                if tiktok_id in self._found:
                    return self._found.pop(tiktok_id)
        return client.get_order(tiktok_id)

    def _read(self, client: Client) -> None:
        try:
            self._found = {order.id: order for order in client.get_orders(sorted(self._ids))}
        except (*UNAVAILABLE, *BUSY, *ACCESS_LOST) as error:
            self._error = error
        except TikTokError as error:
            # one of them may be the matter: each by itself, so that the others go on
            log.info("orders are read one by one", extra={"error": error.public})
        self._at = monotonic()
