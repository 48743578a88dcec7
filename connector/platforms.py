"""The clients of both platforms for a row: one pooled transport, live work before back-fill."""

import shopify_app.client
import tiktok.client
from connector.models import Connection
from connector.transport import session
from shopify_app.models import Shop


def tiktok_for(connection: Connection, *, live: bool = True) -> tiktok.client.Client:
    return tiktok.client.Client(connection.tiktok_shop, http=session(), live=live)


def shopify_for(shop: Shop, *, live: bool = True) -> shopify_app.client.Client:
    return shopify_app.client.Client(shop, http=session(), live=live)
