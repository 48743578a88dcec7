"""The list of orders, and what a person may do to one."""

from hashlib import blake2s
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from connector import choices, listing
from connector.embedded import (
    EmbeddedRequest,
    admin_url,
    embedded,
    render_page,
    toast,
)
from connector.models import Connection, Order, Parcel
from connector.states import KEPT_OUT, OrderState, ParcelState
from connector.views.connect import consent_links


@require_safe
@embedded
def orders(request: EmbeddedRequest) -> HttpResponse:
    """The list of orders."""
    wish = listing.Wish.from_query(request.GET)
    shows = listing.SHOWS.items()
    return render_page(request, "connector/orders.html", live(request, wish) | {"shows": shows})


@require_safe
@embedded
def rows(request: EmbeddedRequest) -> HttpResponse:
    """The moving parts of the list, as far as they differ from what the browser says it has seen."""
    context = live(request, listing.Wish.from_query(request.GET))
    seen, _dot, noticed = request.GET.get("seen", "").partition(".")
    if (seen, noticed) == (context["seen"], context["noticed"]):
        return HttpResponse(status=204)
    return render_page(request, "connector/_live.html", context | {"news": noticed != context["noticed"]})


def live(request: EmbeddedRequest, wish: listing.Wish) -> dict[str, Any]:
    """What moves while one looks: the rows and the notices above them, each with a mark of how it looks."""
    page = listing.page_of(request.shop, wish)
    connections = Connection.objects.filter(shop=request.shop).select_related("tiktok_shop").order_by("pk")
    older = Order.objects.filter(shop=request.shop, state=OrderState.OFFERED)
    shown = {
        "wish": wish,
        "page": page,
        "kept_out": KEPT_OUT,
        "connections": connections,
        "connected": any(connection.active for connection in connections),
        "asking": listing.count_of(listing.asking(request.shop)),
        "older": listing.count_of(older),
        "admin_url": admin_url(request.shop.domain),
    }
    row_text = render_to_string("connector/_rows.html", shown)
    notice_text = render_to_string("connector/_notices.html", shown)
    links = {"consents": consent_links(request)}  # new with every look, and therefore not in the mark
    return shown | {
        "row_text": row_text,
        "seen": mark(row_text),
        "notice_text": render_to_string("connector/_notices.html", shown | links),
        "noticed": mark(notice_text),
    }


def mark(text: SafeString) -> str:
    return blake2s(text.encode(), digest_size=6).hexdigest()


# What a person may choose, as the route names it.
ORDER_CHOICES = {
    "look-again": (choices.look_again, _("Looking at order %(id)s now")),
    "import": (choices.import_anyway, _("Order %(id)s will be imported")),
    "dismiss": (choices.dismiss, _("Marked as seen for order %(id)s")),
}


@require_POST
@embedded
def choose(request: EmbeddedRequest, order_id: int, choice: str) -> HttpResponse:
    order = get_object_or_404(Order, shop=request.shop, pk=order_id)
    if choice not in ORDER_CHOICES:
        raise Http404
    do, words = ORDER_CHOICES[choice]
    do(order, request.user_id)
    return toast(words % {"id": order.tiktok_id})


@require_POST
@embedded
def send_anyway(request: EmbeddedRequest, parcel_id: int) -> HttpResponse:
    """A person's word that a tracking number is right although we doubt it."""
    parcel = get_object_or_404(Parcel, shop=request.shop, pk=parcel_id, state=ParcelState.WAITING)
    choices.send_anyway(parcel, request.user_id)
    return toast(_("Number %(number)s will be sent as it is") % {"number": parcel.number})
