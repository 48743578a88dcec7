"""Connections: to TikTok and back, and their end."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST, require_safe

import tiktok.errors
from connector import chosen, consent, listing
from connector.embedded import (
    EmbeddedRequest,
    app_in_admin,
    embedded,
    render_page,
)
from connector.models import DELETE, KEEP, Connection, Consent, Order
from connector.pulls import FIRST_LOOK_BACK
from connector.states import OrderState


@require_safe
@embedded
def connections(request: EmbeddedRequest) -> HttpResponse:
    mine = chosen.connections(request.shop).order_by("-active", "pk")
    return render_page(
        request,
        "connector/connections.html",
        {"connections": mine, "consents": consent.links(request.shop, request.user_id)},
    )


@embedded
def disconnect(request: EmbeddedRequest, connection_id: int) -> HttpResponse:
    """GET asks what is to become of the held drafts, POST does it."""
    connection = get_object_or_404(Connection, shop=request.shop, pk=connection_id, active=True)
    if request.method != "POST":
        held = Order.objects.filter(connection=connection, state=OrderState.ON_HOLD)
        context = {"connection": connection, "held": listing.count_of(held)}
        return render_page(request, "connector/disconnect.html", context)
    drafts = DELETE if request.POST.get("drafts") == DELETE else KEEP
    consent.disconnect(connection, drafts, request.user_id)
    return redirect("connections")


@require_POST
@embedded
def resume(request: EmbeddedRequest, connection_id: int) -> HttpResponse:
    """Go on after a person dealt with what stopped the connection."""
    connection = get_object_or_404(Connection, shop=request.shop, pk=connection_id, active=True)
    consent.go_on(connection, request.user_id)
    return redirect("home")


@require_safe
@embedded
def consents(request: EmbeddedRequest) -> HttpResponse:
    """Fresh links for a page that has been open for long: a link to TikTok lives 30 minutes."""
    context = {"consents": consent.links(request.shop, request.user_id), "again": "again" in request.GET}
    return render_page(request, "connector/_consents.html", context)


# ---- TikTok's return ------------------------------------------------------------


@require_safe
def tiktok_callback(request: HttpRequest) -> HttpResponse:
    """Outside the admin, and without a session: keep the code under a ticket and go back into the admin."""
    code, state = request.GET.get("code", ""), request.GET.get("state", "")
    if "error" in request.GET or code in ("", "null"):
        return outside(request, "denied", consent.shop_of_state(state))
    try:
        kept = consent.accept_return(code, state)
    except consent.BadState as error:
        return outside(request, "stale", error.domain)
    if kept.shop is None:
        return outside(request, "claim", ticket=consent.readable(kept.ticket))
    return HttpResponseRedirect(app_in_admin(kept.shop.domain, "/tiktok/confirm", ticket=kept.ticket))


OUTSIDE_HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'none'; default-src 'none'; style-src 'self'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",  # the address holds TikTok's code
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


def outside(request: HttpRequest, what: str, shop_domain: str = "", ticket: str = "") -> HttpResponse:
    back = app_in_admin(shop_domain) if shop_domain else settings.SHOPIFY_ADMIN_URL
    context = {"what": what, "back": back, "ticket": ticket}
    page = render_page(request, "connector/callback.html", context, status=400 if what == "stale" else 200)
    for header, value in OUTSIDE_HEADERS.items():
        page[header] = value
    return page


@embedded
def tiktok_confirm(request: EmbeddedRequest) -> HttpResponse:
    """GET shows what is about to be connected, POST connects it."""
    ticket = request.POST.get("ticket", "") or request.GET.get("ticket", "")
    try:
        granted = consent.find(ticket, request.shop, request.user_id)
        if granted.seller is not None and request.method == "POST":
            return confirmed(request, granted)
        if granted.seller is None:
            consent.exchange(granted)
    except consent.InProgress:
        return render_page(request, "connector/confirm_wait.html", {"ticket": ticket})
    except consent.NoTicket:
        return confirm_failed(request, "ticket")
    except consent.Refused as error:
        return confirm_failed(request, "refused", error.words)
    except tiktok.errors.Unavailable as error:
        return confirm_failed(request, "unavailable", error.public, ticket)
    return ask_to_confirm(request, granted)


def ask_to_confirm(request: EmbeddedRequest, granted: Consent, problem: str = "") -> HttpResponse:
    offers = consent.offers(granted)
    links = consent.links(request.shop, request.user_id)
    context = {"consent": granted, "offers": offers, "problem": problem, "consents": links}
    return render_page(request, "connector/confirm.html", context)


def confirmed(request: EmbeddedRequest, granted: Consent) -> HttpResponse:
    try:
        made = consent.confirm(granted, request.POST.getlist("connect"), request.POST.getlist("move"))
    except consent.ConnectedElsewhere:
        return ask_to_confirm(request, granted, "elsewhere")
    if not made:
        return ask_to_confirm(request, granted, "nothing")
    context = {"connections": made, "look_back": FIRST_LOOK_BACK.days}
    return render_page(request, "connector/connected.html", context)


def confirm_failed(request: EmbeddedRequest, what: str, words: str = "", ticket: str = "") -> HttpResponse:
    context = {
        "what": what,
        "words": words,
        "ticket": ticket,
        "consents": consent.links(request.shop, request.user_id),
    }
    return render_page(request, "connector/confirm_failed.html", context)
