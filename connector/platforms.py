"""The clients of both platforms for a row: one pooled transport, live work before back-fill."""

from functools import lru_cache

import shopify_app.client
import tiktok.budget
import tiktok.client
from connector.models import Connection
from connector.transport import session
from shopify_app.budget import Budget
from shopify_app.models import Shop
from tiktok.endpoints import ORDERS

STEP_POINTS = 14  # of the steps that cost most: variants looked up and a draft made; a draft completed


def tiktok_for(connection: Connection, *, live: bool = True) -> tiktok.client.Client:
    return tiktok.client.Client(connection.tiktok_shop, http=session(), live=live)


def shopify_for(shop: Shop, *, live: bool = True) -> shopify_app.client.Client:
    return shopify_app.client.Client(shop, http=session(), live=live)


def live_room(shop_id: int) -> int:
    """How many live orders both platforms' budgets let begin now: one call reads them all at TikTok."""
    if not any(tiktok.budget.room(tiktok_id, ORDERS) >= 1 for tiktok_id in tiktok_shops_of(shop_id)):
        return 0
    return int(Budget(domain_of(shop_id), live=True).room() // STEP_POINTS)


def tiktok_shops_of(shop_id: int) -> list[str]:
    connections = Connection.objects.filter(shop=shop_id, active=True)
    return list(connections.values_list("tiktok_shop__shop_id", flat=True))


def backfill_room(shop_id: int) -> int:
    """How many older orders Shopify's budget lets begin now. One that begins without its points gives up half way,
    and what it has read is paid for again the next time."""
    return int(Budget(domain_of(shop_id), live=False).room() // STEP_POINTS)


@lru_cache(maxsize=10_000)
def domain_of(shop_id: int) -> str:
    return Shop.objects.values_list("domain", flat=True).get(pk=shop_id)
