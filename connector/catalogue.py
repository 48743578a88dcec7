"""What TikTok lists of a shop: its SKUs and the carriers it takes. Read by the connection's pull, never by a page.

Once a day, at connect, and when a person asks. It never holds up the orders: whatever TikTok refuses here is kept as
words for the page, and tried again later.
"""

from datetime import datetime, timedelta
from itertools import islice

from django.utils import timezone

import tiktok.errors
from connector.models import Connection, Order, SkuLink
from connector.platforms import tiktok_for
from tiktok.client import Client
from tiktok.records import Product, Provider

DAY = timedelta(days=1)
AFTER_FAILURE = timedelta(minutes=15)
RECENT_ORDERS = 200  # their delivery options are asked for carriers too
MOST_OPTIONS = 10
OUR_WAREHOUSE = ("SALES_WAREHOUSE", "ENABLED")
SELLER_SHIPS = "SEND_BY_SELLER"


def read(connection: Connection) -> bool:
    """Read one page of the catalogue, or the carriers after the last one; whether more follows."""
    if connection.listing_due_at > timezone.now():
        return False
    try:
        return read_on(connection)
    except tiktok.errors.Busy:
        raise
    except (tiktok.errors.Unavailable, tiktok.errors.Rejected) as error:
        rest(connection, AFTER_FAILURE, error.public)
        return False


def read_on(connection: Connection) -> bool:
    if connection.listing_began_at is None:
        connection.keep(listing_began_at=timezone.now(), listing_page="")
    page = tiktok_for(connection, live=False).search_products(connection.listing_page)
    store(connection, page.products)
    if page.next_page_token:
        connection.keep(listing_page=page.next_page_token)
        return True
    forget_unlisted(connection, connection.listing_began_at)
    connection.keep(products_read_at=timezone.now())
    providers = carriers_of(connection)
    listed = [{"id": provider.id, "name": provider.name} for provider in providers]
    connection.keep(providers=listed, providers_read_at=timezone.now())
    rest(connection, DAY, "")
    return False


def rest(connection: Connection, wait: timedelta, words: str) -> None:
    connection.keep(
        listing_due_at=timezone.now() + wait, listing_began_at=None, listing_page="", listing_words=words
    )


# ---- products ------------------------------------------------------------------------------------


def store(connection: Connection, products: tuple[Product, ...]) -> None:
    """Know every SKU; what a link says of its variant stays."""
    now = timezone.now()
    rows = {
        sku.id: SkuLink(
            connection=connection,
            sku_id=sku.id,
            seller_sku=sku.seller_sku,
            product_id=product.id,
            title=product.title,
            listed_at=now,
        )
        for product in products
        for sku in product.skus
        if sku.id and product.status != "DELETED"
    }
    SkuLink.objects.bulk_create(
        rows.values(),
        update_conflicts=True,
        unique_fields=["connection", "sku_id"],
        update_fields=["seller_sku", "product_id", "title", "listed_at"],
    )


def forget_unlisted(connection: Connection, began: datetime | None) -> None:
    """SKUs that TikTok no longer lists go; a link stays, for orders that may still name it."""
    SkuLink.objects.filter(connection=connection, variant_gid="", listed_at__lt=began).delete()


# ---- carriers ------------------------------------------------------------------------------------


def carriers_of(connection: Connection) -> list[Provider]:
    """The carriers of every way in which this shop's parcels may leave, each once, by name."""
    client, region = tiktok_for(connection, live=False), connection.tiktok_shop.region
    found: dict[str, Provider] = {}
    for option in islice(delivery_options(connection, client), MOST_OPTIONS):
        try:
            providers = client.get_providers(option, region, region)
        except tiktok.errors.AccessLost:
            raise
        except tiktok.errors.Rejected:  # TikTok fulfils this option, or the shop left it: no carriers of ours
            continue
        found |= {provider.id: provider for provider in providers}
    return sorted(found.values(), key=lambda provider: provider.name.casefold())


def delivery_options(connection: Connection, client: Client) -> list[str]:
    """Those of the warehouses, then those of recent orders, which TikTok may have moved elsewhere."""
    warehouses = [w for w in client.get_warehouses() if (w.type, w.status) == OUR_WAREHOUSE]
    offered = [option for warehouse in warehouses for option in client.get_delivery_options(warehouse.id)]
    recent = Order.objects.filter(shop=connection.shop_id, connection=connection).order_by(
        "-placed_at", "-id"
    )
    used = recent.values_list("delivery_option_id", flat=True)[:RECENT_ORDERS]
    ids = [option.id for option in offered if option.type == SELLER_SHIPS]
    return list(dict.fromkeys([*ids, *filter(None, used)]))
