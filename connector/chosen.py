"""Which connections a page is about: a shop's, and of them the one its address names, else the first."""

from collections.abc import Collection

from django.db.models import QuerySet
from django.http import Http404

from connector.embedded import EmbeddedRequest
from connector.keys import key_of
from connector.models import Connection
from shopify_app.models import Shop


def connections(shop: Shop) -> QuerySet[Connection]:
    """All of a shop, with what pages tell of them, also those that are over."""
    return Connection.objects.filter(shop=shop).select_related("tiktok_shop__seller", "shop")


def names(connections: Collection[Connection]) -> dict[int, str]:
    """Of the TikTok shops, by connection, to tell them apart by; nothing where there is only one."""
    several = len(connections) > 1
    return {one.pk: one.tiktok_shop.name for one in connections} if several else {}


def active(request: EmbeddedRequest) -> QuerySet[Connection]:
    return connections(request.shop).filter(active=True).order_by("pk")


def chosen(request: EmbeddedRequest) -> Connection:
    """Raises Http404 for one that is not the visitor's, or where nothing is connected."""
    named = request.POST.get("connection", "") or request.GET.get("connection", "")
    mine = active(request)
    if named:
        key = key_of(named)
        mine = mine.none() if key is None else mine.filter(pk=key)
    connection = mine.first()
    if connection is None:
        raise Http404
    return connection
