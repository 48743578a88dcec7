"""The list of orders, what a person may do to many of them, and the list as a file."""

from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from connector import choices, consent, listing
from connector.chosen import connections, names
from connector.embedded import (
    EmbeddedRequest,
    admin_url,
    embedded,
    mark,
    render_page,
    toast,
)
from connector.export import csv_of
from connector.keys import keys_of
from connector.models import Order
from connector.views.row import rows_of


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
    """What moves while one looks: the rows and the notices above them, each with a mark of how it looks.

    An open page asks every two seconds and is seldom behind: rows are marked by their words, before they are rendered.
    """
    page, now = listing.page_of(request.shop, wish), timezone.now()
    mine = list(connections(request.shop).order_by("pk"))
    rows = rows_of(page, names(mine), now)
    waiting = listing.waiting(request.shop)
    shown = {
        "wish": wish,
        "page": page,
        "rows": rows,
        "connections": mine,
        "connected": any(connection.active for connection in mine),
        "asking": waiting["asking"],
        "older": waiting["older"],
        "admin_url": admin_url(request.shop.domain),
    }
    notices = render_to_string("connector/_news.html", shown)
    links = {
        "consents": consent.links(request.shop, request.user_id)
    }  # new with every look, and therefore not in the mark
    return shown | links | {"seen": mark(repr(rows)), "noticed": mark(f"{notices}{waiting['asking']}")}


@require_safe
@embedded
def export(request: EmbeddedRequest) -> StreamingHttpResponse:
    """All orders of the filter or search as a file, however many pages they have."""
    wish = listing.Wish.from_query(request.GET)
    lines = csv_of(listing.wished(request.shop, wish), request.shop.zone)
    return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")


@require_POST
@embedded
def choose_many(request: EmbeddedRequest, choice: str) -> HttpResponse:
    """One choice for many orders. Those for which it means nothing stay as they are, and are counted."""
    if choice not in MANY:
        raise Http404
    keys = keys_of(request.POST.getlist("order"))[: listing.PAGE_SIZE]
    chosen = list(Order.objects.filter(shop=request.shop, pk__in=keys))
    done = sum(choices.choose(choice, order, request.user_id) for order in chosen)
    return toast(f"{MANY[choice](done)} {left_as_they_are(len(chosen) - done)}".strip())


def looking(n: int) -> str:
    return ngettext("Looking at %(n)s order now.", "Looking at %(n)s orders now.", n) % {"n": n}


def kept_out(n: int) -> str:
    return ngettext("%(n)s order is kept out.", "%(n)s orders are kept out.", n) % {"n": n}


def imported(n: int) -> str:
    return ngettext("%(n)s order will be imported.", "%(n)s orders will be imported.", n) % {"n": n}


def left_as_they_are(n: int) -> str:
    return ngettext("%(n)s stays as it is.", "%(n)s stay as they are.", n) % {"n": n} if n else ""


# What a person may choose for many orders, as the route names it, and what is said then.
MANY: dict[str, Callable[[int], str]] = {"look-again": looking, "import": imported, "skip": kept_out}
