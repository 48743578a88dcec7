"""Home: whether everything is fine, and what to do where it is not."""

from datetime import timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from connector import figures, guide, listing, setup
from connector.audits import bounds
from connector.chart import chart
from connector.embedded import EmbeddedRequest, embedded, render_page, zone
from connector.health import Health, health
from connector.models import Connection, Order
from connector.places import place
from connector.states import OrderState
from connector.views.connect import consent_links
from connector.views.orders import mark

CHART_DAYS, WEEK = 14, 7


@require_safe
@embedded
def home(request: EmbeddedRequest) -> HttpResponse:
    """How things stand; before anything is connected, the way to connect."""
    connections = mine(request)
    if not connections:
        return render_page(request, "connector/welcome.html", {"consents": consent_links(request)})
    guides = [guide_of(connection) for connection in connections if connection.active]
    context = standing_of(request, connections) | record_of(request) | {"guides": guides}
    return render_page(request, "connector/home.html", context)


@require_safe
@embedded
def standing(request: EmbeddedRequest) -> HttpResponse:
    """What moves while one looks, as far as it differs from what the browser says it has seen."""
    context = standing_of(request, mine(request))
    if request.GET.get("seen") == context["seen"]:
        return HttpResponse(status=204)
    return render_page(request, "connector/_standing.html", context)


def mine(request: EmbeddedRequest) -> list[Connection]:
    found = Connection.objects.filter(shop=request.shop)
    return list(found.select_related("tiktok_shop__seller", "shop").order_by("-active", "pk"))


def standing_of(request: EmbeddedRequest, connections: list[Connection]) -> dict[str, Any]:
    """What asks for a person now. `seen` is a mark of how it looks."""
    cards = [health(connection) for connection in connections]
    waiting = figures.waiting(request.shop)
    deadlines = figures.deadlines(request.shop)
    older = Order.objects.filter(shop=request.shop, state=OrderState.OFFERED)
    shown = {
        "shop": request.shop,
        "connections": connections,
        "connected": any(connection.active for connection in connections),
        "older": listing.count_of(older),
        "cards": cards,
        "waiting": waiting,
        "asking": sum(one.n for one in waiting),
        "deadlines": deadlines,
        "now": timezone.now(),
        "fine": not waiting and not deadlines.late and all(map(well, cards)),
    }
    seen = mark(render_to_string("connector/_standing_inner.html", shown))
    links = {"consents": consent_links(request)}  # new with every look, and therefore not in the mark
    return shown | links | {"seen": seen}


def well(card: Health) -> bool:
    """Works, and is set up without a fault."""
    return card.well and (not card.connection.active or wrong_steps(card.connection) == 0)


def wrong_steps(connection: Connection) -> int:
    return sum(found.mark == guide.Mark.WRONG for found in guide.findings(connection))


def record_of(request: EmbeddedRequest) -> dict[str, Any]:
    """What was: today, a week, the days as bars, and how long it took."""
    shop, here, today = request.shop, zone(request.shop), timezone.localdate()
    week_began = bounds(today - timedelta(days=WEEK - 1), here)[0]
    days = figures.days(shop, today, CHART_DAYS, here)
    return {
        "today": figures.tally(shop, bounds(today, here)[0]),
        "week": figures.tally(shop, week_began),
        "days": days,
        "chart": chart(days),
        "outcomes": figures.OUTCOMES,
        "released": figures.release_latency(shop, week_began),
        "tracked": figures.tracking_latency(shop, week_began),
        "target": figures.TARGET_SECONDS,
    }


# ---- the setup guide -------------------------------------------------------------------------------------------------


def guide_of(connection: Connection) -> dict[str, Any]:
    found = guide.findings(connection)
    steps = [(finding, place(finding.case.where, connection)) for finding in found]
    return {
        "connection": connection,
        "steps": steps,
        "verdict": guide.verdict(found),
        "good": sum(finding.mark == guide.Mark.GOOD for finding in found),
        "wrong": sum(finding.mark == guide.Mark.WRONG for finding in found),
        "checking": not connection.paused and (not connection.setup_checked_at or connection.setup_wanted_at),
    }


def active_one(request: EmbeddedRequest, connection_id: int) -> Connection:
    return get_object_or_404(
        Connection.objects.select_related("tiktok_shop__seller", "shop"),
        shop=request.shop,
        pk=connection_id,
        active=True,
    )


def shown_guide(request: EmbeddedRequest, connection_id: int) -> HttpResponse:
    connection = active_one(request, connection_id)
    return render_page(request, "connector/_guide.html", {"guide": guide_of(connection)})


@require_safe
@embedded
def setup_guide(request: EmbeddedRequest, connection_id: int) -> HttpResponse:
    return shown_guide(request, connection_id)


@require_POST
@embedded
def check_setup(request: EmbeddedRequest, connection_id: int) -> HttpResponse:
    """Have both shops looked at now; the guide asks for itself until that is done."""
    setup.ask(active_one(request, connection_id))
    return shown_guide(request, connection_id)


@require_POST
@embedded
def fold_guide(request: EmbeddedRequest, connection_id: int, what: str) -> HttpResponse:
    """Put the guide away, or open it again. What is wrong still shows on its one line."""
    at = timezone.now() if what == "close" else None
    Connection.objects.filter(pk=active_one(request, connection_id).pk).update(guide_closed_at=at)
    return shown_guide(request, connection_id)
