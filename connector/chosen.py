"""Which connection a page is about: the one its address names, else the shop's first."""

from django.db.models import QuerySet
from django.http import Http404

from connector.embedded import EmbeddedRequest
from connector.keys import key_of
from connector.models import Connection


def active(request: EmbeddedRequest) -> QuerySet[Connection]:
    connections = Connection.objects.filter(shop=request.shop, active=True)
    return connections.select_related("tiktok_shop__seller", "shop").order_by("pk")


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
