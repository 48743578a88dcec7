"""One order: what happened, what comes next, its goods, money and parcels, and what a person may do about it."""

from datetime import timedelta
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from connector import choices
from connector.amounts import amounts
from connector.deadlines import deadlines, urgency
from connector.diagnostics import diagnostics
from connector.embedded import EmbeddedRequest, admin_url, embedded, mark, render_page, toast
from connector.goods import items
from connector.models import Order
from connector.parcels import COMBINED_ORDERS
from connector.progress import progress
from connector.timeline import timeline

SAME_LIVE = timedelta(days=1)


@require_safe
@embedded
def order(request: EmbeddedRequest, order_id: int) -> HttpResponse:
    return render_page(request, "connector/order.html", live(request, order_id))


@require_safe
@embedded
def order_live(request: EmbeddedRequest, order_id: int) -> HttpResponse:
    """The page's moving part, if it differs from what the browser says it has seen."""
    context = live(request, order_id)
    if request.GET.get("seen") == context["seen"]:
        return HttpResponse(status=204)
    return render_page(request, "connector/_order_live.html", context)


def live(request: EmbeddedRequest, order_id: int) -> dict[str, Any]:
    orders = Order.objects.select_related("connection__tiktok_shop", "shop")
    order = get_object_or_404(orders, shop=request.shop, pk=order_id)
    parcels, now = list(order.parcels.order_by("pk").prefetch_related("units")), timezone.now()
    for parcel in parcels:
        parcel.order = order
    log = list(order.log.select_related("parcel"))
    shown = {
        "order": order,
        "parcels": parcels,
        "progress": progress(order, parcels, now),
        "items": items(order),
        "amounts": amounts(order),
        "deadlines": [(one, urgency(one.at, now) if one.stands else "") for one in deadlines(order)],
        "timeline": timeline(log),
        "diagnostics": diagnostics(order, parcels, log),
        "admin_url": admin_url(request.shop.domain),
        "may_import": choices.importable(order),
        "may_restore": choices.restorable(order),
        "may_complete": choices.completable(order),
        "may_skip": choices.skippable(order),
        "may_dismiss": choices.dismissible(order),
        "parcel_news": choices.PARCEL_NEWS,
        "together": together(order),
    }
    text = render_to_string("connector/_order.html", shown)
    return shown | {"text": text, "seen": mark(text)}


def together(order: Order) -> list[Order]:
    """The others that TikTok groups with it: orders of one live stream, and therefore of the same days."""
    if not order.combine_group or order.placed_at is None:
        return []
    days = (order.placed_at - SAME_LIVE, order.placed_at + SAME_LIVE)
    near = Order.objects.filter(
        shop=order.shop_id, placed_at__range=days
    )  # the group has no index of its own
    grouped = near.filter(connection=order.connection_id, combine_group=order.combine_group)
    return list(grouped.exclude(pk=order.pk).order_by("placed_at", "pk")[:COMBINED_ORDERS])


# What is said of a choice that was made; the route takes these.
SAID = {
    "look-again": _("Looking at order %(id)s now"),
    "import": _("Order %(id)s will be imported"),
    "restore": _("The draft of order %(id)s is put back"),
    "complete-anyway": _("Order %(id)s will be completed"),
    "skip": _("Order %(id)s is kept out of Shopify"),
    "dismiss": _("Marked as seen for order %(id)s"),
}
TOO_LATE = _("Order %(id)s has changed meanwhile; nothing was done.")


@require_POST
@embedded
def choose(request: EmbeddedRequest, order_id: int, choice: str) -> HttpResponse:
    order = get_object_or_404(Order, shop=request.shop, pk=order_id)
    if choice not in SAID:
        raise Http404
    words = SAID[choice] if choices.choose(choice, order, request.user_id) else TOO_LATE
    return toast(words % {"id": order.tiktok_id})
