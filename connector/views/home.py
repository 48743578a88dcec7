"""Home: whether everything is fine, and what to do where it is not."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from connector import consent, figures, guide, setup
from connector.chart import chart
from connector.chosen import connections as connections_of
from connector.chosen import names
from connector.embedded import EmbeddedRequest, embedded, mark, render_page
from connector.health import health_of
from connector.models import Connection
from connector.outcomes import OUTCOMES
from connector.places import place

CHART_DAYS = 14
Steps = dict[int, list[guide.Finding]]  # by connection


@require_safe
@embedded
def home(request: EmbeddedRequest) -> HttpResponse:
    """How things stand; before anything is connected, the way to connect."""
    connections = mine(request)
    if not connections:
        links = consent.links(request.shop, request.user_id)
        return render_page(request, "connector/welcome.html", {"consents": links})
    found = steps_of(connections)
    guides = [guide_of(connection, found[connection.pk]) for connection in connections if connection.active]
    context = standing_of(request, connections, found) | record_of(request) | {"guides": guides}
    return render_page(request, "connector/home.html", context)


@require_safe
@embedded
def standing(request: EmbeddedRequest) -> HttpResponse:
    """What moves while one looks, as far as it differs from what the browser says it has seen."""
    connections = mine(request)
    context = standing_of(request, connections, steps_of(connections))
    if request.GET.get("seen") == context["seen"]:
        return HttpResponse(status=204)
    return render_page(request, "connector/_standing.html", context)


def mine(request: EmbeddedRequest) -> list[Connection]:
    return list(connections_of(request.shop).order_by("-active", "pk"))


def steps_of(connections: list[Connection]) -> Steps:
    return guide.findings_of([connection for connection in connections if connection.active])


def standing_of(request: EmbeddedRequest, connections: list[Connection], found: Steps) -> dict[str, Any]:
    """What asks for a person now. `seen` is a mark of how it looks."""
    cards = health_of(connections)
    attention = figures.attention(request.shop)
    deadlines = figures.deadlines(request.shop)
    wrong = any(finding.mark == guide.Mark.WRONG for findings in found.values() for finding in findings)
    shown = {
        "shop": request.shop,
        "connections": connections,
        "connected": any(connection.active for connection in connections),
        "older": attention.older,
        "cards": cards,
        "waiting": attention.waiting,
        "asking": sum(one.n for one in attention.waiting),
        "deadlines": deadlines.to_ship,
        "answers": deadlines.to_answer,
        "names": names(connections),
        "now": timezone.now(),
        "fine": not (attention.waiting or deadlines.to_ship.late or wrong)
        and all(card.well for card in cards),
    }
    seen = mark(render_to_string("connector/_standing_inner.html", shown))
    links = {
        "consents": consent.links(request.shop, request.user_id)
    }  # new with every look, and therefore not in the mark
    return shown | links | {"seen": seen}


def record_of(request: EmbeddedRequest) -> dict[str, Any]:
    """What was: today, a week, the days as bars, and how long it took."""
    record = figures.record(request.shop, timezone.localdate(), CHART_DAYS, request.shop.zone)
    return {
        "today": record.today,
        "week": record.week,
        "days": record.days,
        "chart": chart(record.days),
        "outcomes": OUTCOMES,
        "released": record.released,
        "tracked": record.tracked,
        "target": figures.TARGET_SECONDS,
    }


# ---- the setup guide -------------------------------------------------------------------------------------------------


def guide_of(connection: Connection, found: list[guide.Finding]) -> dict[str, Any]:
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
    return render_page(
        request, "connector/_guide.html", {"guide": guide_of(connection, guide.findings(connection))}
    )


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
