"""Carriers: what their names in Shopify mean to TikTok, and a box to try a number."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import trigger_client_event

from connector import carrier_names, choices
from connector.chosen import active, chosen
from connector.embedded import EmbeddedRequest, embedded, render_page
from connector.models import Connection

LONGEST_NAME, LONGEST_NUMBER = 100, 200


@require_safe
@embedded
def carriers(request: EmbeddedRequest) -> HttpResponse:
    if not active(request).exists():
        return redirect("connections")
    return page(request, chosen(request), company=request.GET.get("company", ""))


def page(request: EmbeddedRequest, connection: Connection, **given: Any) -> HttpResponse:
    names = carrier_names.names_of(connection)
    providers = carrier_names.providers_of(connection)
    unmapped = [name.company for name in names if name.seen and not name.found.provider_id]
    fallback = connection.policy.fallback_provider
    context = {
        "connection": connection,
        "connections": active(request),
        "names": names,
        "unmapped": len(unmapped),
        "first_unmapped": next(iter(unmapped), ""),
        "providers": providers,
        "fallback": next((provider.name for provider in providers if provider.id == fallback), ""),
    }
    return render_page(request, "connector/carriers.html", context | given)


@require_safe
@embedded
def try_number(request: EmbeddedRequest) -> HttpResponse:
    """What we would do with a number. Nothing is sent."""
    connection = chosen(request)
    number = request.GET.get("number", "")[:LONGEST_NUMBER]
    company = request.GET.get("carrier", "")[:LONGEST_NAME]
    trials = carrier_names.try_number(connection, company, number)
    tried = {"trials": trials, "number": number, "carrier": company, "tried": True}
    return page(request, connection, **tried)


@require_POST
@embedded
def link(request: EmbeddedRequest) -> HttpResponse:
    """Say which carrier of TikTok's a name means; an empty one forgets what was said."""
    connection = chosen(request)
    company = request.POST.get("company", "").strip()[:LONGEST_NAME]
    provider_id = request.POST.get("provider", "")
    listed = {provider.id: provider.name for provider in carrier_names.providers_of(connection)}
    if not carrier_names.is_name(company) or (provider_id and provider_id not in listed):
        return page(request, connection, company=company, problem=True)
    if not provider_id:
        choices.unlink_carrier(connection, company, request.user_id)
        words = _("%(company)s is resolved by itself again") % {"company": company}
        return trigger_client_event(page(request, connection), "toast", {"words": words})
    woken = choices.link_carrier(connection, company, provider_id, listed[provider_id], request.user_id)
    words = ngettext(
        "%(company)s means %(provider)s now. %(n)s waiting parcel goes on.",
        "%(company)s means %(provider)s now. %(n)s waiting parcels go on.",
        woken,
    ) % {"company": company, "provider": listed[provider_id], "n": woken}
    return trigger_client_event(page(request, connection), "toast", {"words": words})
