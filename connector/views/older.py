"""Open orders from before TikTok was connected: imported or left alone by a person's choice."""

from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import trigger_client_event

from connector import choices, listing
from connector.embedded import EmbeddedRequest, embedded, render_page
from connector.goods import items_of
from connector.keys import keys_of
from connector.models import Connection, Order
from connector.pulls import FIRST_LOOK_BACK
from connector.states import OrderState

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
    keys = keys_of(request.POST.getlist("order"))[: listing.PAGE_SIZE]
    ticked = list(offered(request).filter(pk__in=keys))
    decided = sum(choices.choose(do, order, request.user_id) for order in ticked)
    response = page(request)
    return trigger_client_event(response, "toast", {"words": done(decided, wanted=do == "import")})


def page(request: EmbeddedRequest) -> HttpResponse:
    """Those that are undecided, newest first; from the top when the page that was looked at has become empty."""
    asked = request.POST if request.method == "POST" else request.GET
    after, before = asked.get("after", "")[:64], asked.get("before", "")[:64]
    undecided = [offered(request).filter(chosen=False, skip=False)]
    shown = listing.paged(undecided, after, before)
    if not shown.orders:
        after = before = ""
        shown = listing.paged(undecided, after, before)
    goods = items_of(shown.orders)
    names = dict(Connection.objects.filter(shop=request.shop).values_list("pk", "tiktok_shop__name"))
    context = {
        "page": shown,
        "orders": [(order, names[order.connection_id], goods[order.pk]) for order in shown.orders],
        "after": after,
        "before": before,
        "look_back": FIRST_LOOK_BACK.days,
    }
    return render_page(request, "connector/older_orders.html", context)


def offered(request: EmbeddedRequest) -> QuerySet[Order]:
    return Order.objects.filter(shop=request.shop, state=OrderState.OFFERED)


def done(count: int, *, wanted: bool) -> str:
    if wanted:
        words = ngettext("%(n)s order is being imported", "%(n)s orders are being imported", count)
    else:
        words = ngettext("%(n)s order is left alone", "%(n)s orders are left alone", count)
    return words % {"n": count}
