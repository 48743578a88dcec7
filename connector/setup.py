"""Whether a connection is set up at both shops. The answers are read as work and kept, so that a page asks nobody.

What the app can put right itself is put right at each look. A refused read is an answer as well: most of what a
merchant has to put right shows as a refusal first.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from connector.models import Connection
from connector.platforms import shopify_for, tiktok_for
from connector.transport import session
from connector.wake import bell
from connector.work import ACCESS_LOST, BUSY, REJECTED, UNAVAILABLE
from tiktok.client import get_shops

log = logging.getLogger(__name__)

EVERY = timedelta(days=1)
AFTER_SILENCE = timedelta(minutes=15)
MOST_WAREHOUSES = 5
# What TikTok rings for, at /webhooks/tiktok.
TOPICS = (
    "ORDER_STATUS_CHANGE",
    "RECIPIENT_ADDRESS_UPDATE",
    "PACKAGE_UPDATE",
    "CANCELLATION_STATUS_CHANGE",
    "RETURN_STATUS_CHANGE",
    "SELLER_DEAUTHORIZATION",
    "UPCOMING_AUTHORIZATION_EXPIRATION",
)


def ask(connection: Connection) -> None:
    """A person wants both shops looked at now, TikTok's products and carriers with them."""
    now = timezone.now()
    connection.wake(setup_wanted_at=now, listing_due_at=now)
    bell.ring(connection.shop_id)


def check(connection: Connection) -> None:
    """Read both shops' setup when it is due, put right what we can, and keep what they say."""
    if not is_due(connection):
        return
    seen: dict[str, Any] = {}
    for name, read in READS.items():
        try:
            seen[name] = read(connection)
        except REJECTED as error:
            seen[name] = {"refused": error.public}
        except BUSY:
            raise
        except UNAVAILABLE as error:
            seen[name] = {"silent": error.public}
        connection.keep()
    connection.keep(setup=seen, setup_checked_at=timezone.now())
    answered(connection)


def answered(connection: Connection) -> None:
    """Wanted no more, unless it was wanted again meanwhile: by a new consent, whose answers may be others."""
    same = Connection.objects.filter(pk=connection.pk, setup_wanted_at=connection.setup_wanted_at)
    if same.update(setup_wanted_at=None):
        connection.setup_wanted_at = None


def is_due(connection: Connection) -> bool:
    checked = connection.setup_checked_at
    if checked is None or connection.setup_wanted_at is not None:
        return True
    silent = any("silent" in answer for answer in connection.setup.values())
    return timezone.now() - checked >= (AFTER_SILENCE if silent else EVERY)


# ---- what is asked. Each answer is a few facts as JSON values: nothing personal, no address --------------------------


def access(connection: Connection) -> dict[str, Any]:
    """Whether TikTok's token still opens this shop."""
    seller = connection.tiktok_shop.seller
    shops = get_shops(seller.app, seller.access_token(session()), session())
    return {"ours": connection.tiktok_shop.shop_id in {shop.id for shop in shops}}


def store(connection: Connection) -> dict[str, Any]:
    """Scopes, currencies and plan of the store, renewed on its own row."""
    shop = connection.shop
    shop.read_installation(session())
    return {"missing": list(shop.missing_scopes()), "plan": shop.plan}


def reference(connection: Connection) -> dict[str, Any]:
    """The definition of the order's TikTok id, where the app's own file has not declared it (Shopify contract g4)."""
    try:
        shopify_for(connection.shop, live=False).ensure_metafield_definition()
    except REJECTED as error:
        log.warning(
            "Shopify refused the definition", extra={"connection": connection.pk, "error": error.public}
        )
        raise
    return {}


def webhooks(connection: Connection) -> dict[str, Any]:
    """What TikTok does not ring for although it was asked just now."""
    client, address = tiktok_for(connection, live=False), webhook_address()
    known = {webhook.topic: webhook.address for webhook in client.get_webhooks()}
    wanted = [topic for topic in TOPICS if known.get(topic) != address]
    return {"missing": [topic for topic in wanted if not register_webhook(connection, topic)]}


def register_webhook(connection: Connection, topic: str) -> bool:
    """Ask TikTok to ring. What is refused is found by the pulls, and asked for again at the next check."""
    connection.keep()
    try:
        tiktok_for(connection, live=False).set_webhook(topic, webhook_address())
    except ACCESS_LOST:
        raise
    except REJECTED as error:
        log.warning("TikTok refused to ring", extra={"connection": connection.pk, "error": error.public})
        return False
    return True


def warehouses(connection: Connection) -> dict[str, Any]:
    """The warehouses, and how parcels may leave the sales warehouses that are in use."""
    client = tiktok_for(connection, live=False)
    found = client.get_warehouses()
    sales = [one for one in found if (one.type, one.status) == ("SALES_WAREHOUSE", "ENABLED")]
    ways = set()
    for warehouse in sales[:MOST_WAREHOUSES]:
        ways |= {option.type for option in client.get_delivery_options(warehouse.id)}
        connection.keep()
    return {
        "sales": [one.name for one in sales],
        "returns": [one.name for one in found if (one.type, one.status) == ("RETURN_WAREHOUSE", "ENABLED")],
        "off": [one.name for one in found if one.status != "ENABLED"],
        "ways": sorted(ways),
    }


READS: dict[str, Callable[[Connection], dict[str, Any]]] = {
    "access": access,
    "store": store,
    "reference": reference,
    "webhooks": webhooks,
    "warehouses": warehouses,
}


def webhook_address() -> str:
    return f"{settings.APP_URL}/webhooks/tiktok"
