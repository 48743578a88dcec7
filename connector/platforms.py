"""The clients of both platforms for a row: one pooled transport, live work before back-fill."""

from functools import lru_cache

import shopify_app.client
import tiktok.client
from connector.models import Connection
from connector.transport import session
from shopify_app.budget import Budget
from shopify_app.models import Shop

BACKFILL_POINTS = 14  # of the step that costs an older order most: its variants looked up, its draft made


def tiktok_for(connection: Connection, *, live: bool = True) -> tiktok.client.Client:
    return tiktok.client.Client(connection.tiktok_shop, http=session(), live=live)


def shopify_for(shop: Shop, *, live: bool = True) -> shopify_app.client.Client:
    return shopify_app.client.Client(shop, http=session(), live=live)


def backfill_room(shop_id: int) -> int:
    """How many older orders Shopify's budget lets begin now. One that begins without its points gives up half way,
    and what it has read is paid for again the next time."""
    return int(Budget(domain_of(shop_id), live=False).room() // BACKFILL_POINTS)


@lru_cache(maxsize=10_000)
def domain_of(shop_id: int) -> str:
    return Shop.objects.values_list("domain", flat=True).get(pk=shop_id)
