"""Open orders from before TikTok was connected: imported or left alone by a person's choice."""

from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import trigger_client_event

from connector import choices
from connector.embedded import EmbeddedRequest, embedded, render_page
from connector.keys import keys_of
from connector.models import Order
from connector.states import OrderState

AT_ONCE = 100
CHOICES = ("import", "leave")


@require_safe
@embedded
def older_orders(request: EmbeddedRequest) -> HttpResponse:
    return page(request)


@require_POST
@embedded
def decide(request: EmbeddedRequest, do: str) -> HttpResponse:
    """Import or leave those that are ticked."""
    if do not in CHOICES:
        raise Http404
    keys = keys_of(request.POST.getlist("order"))[:AT_ONCE]
    ticked = list(offered(request).filter(pk__in=keys))
    decided = sum(choices.choose(do, order, request.user_id) for order in ticked)
    response = page(request, but={order.pk for order in ticked})
    return trigger_client_event(response, "toast", {"words": done(decided, wanted=do == "import")})


def page(request: EmbeddedRequest, but: set[int] | None = None) -> HttpResponse:
    """The newest that are undecided. What was just decided (`but`) is still on its way out of the list."""
    undecided = offered(request).filter(chosen=False, skip=False).exclude(pk__in=but or ())
    orders = list(undecided.order_by("-placed_at", "-id")[: AT_ONCE + 1])
    context = {"orders": orders[:AT_ONCE], "more": len(orders) > AT_ONCE}
    return render_page(request, "connector/older_orders.html", context)


def offered(request: EmbeddedRequest) -> QuerySet[Order]:
    orders = Order.objects.filter(shop=request.shop, state=OrderState.OFFERED)
    return orders.select_related("connection__tiktok_shop")


def done(count: int, *, wanted: bool) -> str:
    if wanted:
        words = ngettext("%(n)s order is being imported", "%(n)s orders are being imported", count)
    else:
        words = ngettext("%(n)s order is left alone", "%(n)s orders are left alone", count)
    return words % {"n": count}
