"""Where a person goes to put something right: pages of ours, of the Shopify admin, of TikTok's Seller Center."""

from dataclasses import dataclass

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from connector.embedded import admin_url
from connector.models import Connection
from tiktok import seller_center

UNIVERSITY = "https://seller-us.tiktok.com/university/essay?knowledge_id={}"


@dataclass(frozen=True, slots=True)
class Place:
    """An address and the words of its link. `outside`: it leaves the frame."""

    url: str
    words: Promise
    outside: bool = False


def place(key: str, connection: Connection) -> Place | None:
    """The place of a key of guide.py; None where we know no address."""
    if key in OURS:
        name, query, words = OURS[key]
        return Place(reverse(name) + query.format(connection=connection.pk), words)
    if key in IN_ADMIN:
        path, words = IN_ADMIN[key]
        return Place(admin_url(connection.shop.domain, path), words, outside=True)
    center = seller_center.home(connection.tiktok_shop.region)
    return Place(center, _("Open Seller Center"), outside=True) if key in AT_TIKTOK else None


def lesson(number: str) -> str:
    """A page of TikTok's academy for sellers."""
    return UNIVERSITY.format(number)


OURS = {
    "reconnect": ("connections", "", _("Connect again")),
    "orders": ("orders", "?show=attention", _("See the order")),
    "products": ("products", "?connection={connection}", _("Link products")),
    "carriers": ("carriers", "?connection={connection}", _("Choose carriers")),
}
IN_ADMIN = {
    "store_apps": ("/settings/apps", _("Open Shopify's app settings")),
    "store_markets": ("/settings/markets", _("Open Shopify's markets")),
}
AT_TIKTOK = frozenset({"seller_shipping", "seller_warehouses", "seller_products"})
