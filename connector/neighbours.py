"""What every step of a shop needs beside its row: the Shopify shop, its connections, their TikTok shops and sellers.

They change seldom and are needed for each row. Whoever claims rows asks for the versions of these (PostgreSQL's xmin)
by the same statement, and only what has changed is read again: a step never works on older facts than a fresh read
would have given it.
"""

from collections.abc import Iterable
from copy import copy
from functools import lru_cache

from connector import sql
from connector.models import Connection, InboxEvent, Order, Parcel
from connector.reading import together
from connector.work import Work
from shopify_app.models import Shop

VERSIONS = """
SELECT string_agg(concat_ws(' ', s.xmin, c.id, c.xmin, t.xmin, e.xmin), ',' ORDER BY c.id)
FROM shopify_app_shop s
LEFT JOIN connector_connection c ON c.shop_id = s.id
LEFT JOIN tiktok_shop t ON t.id = c.tiktok_shop_id
LEFT JOIN tiktok_seller e ON e.id = t.seller_id
WHERE s.id = %(shop)s
"""


def introduce(shop_id: int, rows: Iterable[Work]) -> bool:
    """Give each row of the shop its own copies: a step may refresh a token or pause a connection. Whether it did.

    The rows were claimed with VERSIONS beside them.
    """
    rows = list(rows)
    if not rows:
        return False
    try:
        shop, connections = known(shop_id, rows[-1].beside)
    except Shop.DoesNotExist:  # forgotten meanwhile, and its rows with it
        return False
    parcels = [row.order_id for row in rows if isinstance(row, Parcel)]
    orders = {order.pk: order for order in sql.find(Order, "id = ANY(%s)", [parcels])} if parcels else {}
    for row in rows:
        if isinstance(row, InboxEvent):
            row.shop = copy(shop)
            row.connections = tuple(connections.values())
        elif isinstance(row, Connection):
            take_after(row, connections[row.pk])
        elif isinstance(row, Order):
            settle(row, connections)
        elif isinstance(row, Parcel) and row.order_id in orders:
            row.order = copy(orders[row.order_id])
            settle(row.order, connections)
            row.shop = row.order.shop
    together(row.order if isinstance(row, Parcel) else row for row in rows if isinstance(row, Order | Parcel))
    return True


def settle(order: Order, connections: dict[int, Connection]) -> None:
    known_one = connections.get(order.connection_id)
    if known_one is not None:
        order.connection = take_after(copy(known_one), known_one)
        order.shop = order.connection.shop


def take_after(connection: Connection, model: Connection) -> Connection:
    """The connection with copies of what the model one knows."""
    connection.shop = copy(model.shop)
    connection.tiktok_shop = copy(model.tiktok_shop)
    connection.tiktok_shop.seller = copy(model.tiktok_shop.seller)
    return connection


@lru_cache(maxsize=64)  # a connection has a new version every few seconds
def known(shop_id: int, versions: str | None) -> tuple[Shop, dict[int, Connection]]:
    """The rows of these versions, or newer ones; read once for each change."""
    found = Connection.objects.filter(shop=shop_id).select_related("tiktok_shop__seller")
    shop = Shop.objects.get(pk=shop_id)
    connections = {one.pk: one for one in found}
    for one in connections.values():
        one.shop = shop
    return shop, connections
