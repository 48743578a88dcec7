"""Proof: a day's TikTok orders beside what Shopify has of them, and a comparison with TikTok on demand."""

from datetime import date, timedelta
from typing import Any

from django.http import Http404, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import reselect, reswap, retarget

from connector import audits, figures, proof
from connector.embedded import EmbeddedRequest, admin_url, embedded, render_page
from connector.models import Connection
from connector.outcomes import OUTCOMES
from connector.views.proof_row import rows_of

STRETCH = 14  # days in the overview


@require_safe
@embedded
def day(request: EmbeddedRequest) -> HttpResponse:
    """The proof of one day, and how the days before it add up."""
    return shown(request, proof.Wish.from_query(request.GET, timezone.localdate()))


def shown(request: EmbeddedRequest, wish: proof.Wish) -> HttpResponse:
    here, shop, today = request.shop.zone, request.shop, timezone.localdate()
    sums, page = proof.sums(shop, wish.day, here), proof.page_of(shop, wish, here)
    context = {
        "wish": wish,
        "today": today,
        "before": wish.day - timedelta(days=1),
        "next": wish.day + timedelta(days=1) if wish.day < today else None,
        "sums": sums,
        "known": sum(one.known for one in sums),
        "totals": {name: sum(one.counts[name] for one in sums) for name in OUTCOMES},
        "differences": sum(one.differences for one in sums),
        "outcomes": OUTCOMES,
        "page": page,
        "rows": rows_of(page.orders),
        "undated": proof.undated(shop),
        "days": figures.days(shop, wish.day, STRETCH, here),
        "compared": proof.audit_dates(shop, wish.day - timedelta(days=STRETCH), wish.day),
        "several": len(sums) > 1,
        "zone": here,
        "admin_url": admin_url(shop.domain),
    }
    return render_page(request, "connector/proof.html", context | compared(request, wish.day))


def compared(request: EmbeddedRequest, of: date) -> dict[str, Any]:
    """The last comparison of a day, as far as it has come."""
    found = proof.audits_of(request.shop, of)
    return {
        "day": of,
        "audits": found,
        "running": any(audit.finished_at is None for audit in found),
        "can_ask": Connection.objects.filter(shop=request.shop, active=True, paused_reason="").exists(),
    }


@require_safe
@embedded
def comparison(request: EmbeddedRequest, of: str) -> HttpResponse:
    """How far it has come; at its end the whole page anew, because what was found counts there."""
    context = compared(request, past(of))
    if context["running"]:
        return render_page(request, "connector/_comparison.html", context)
    whole = shown(request, proof.Wish(past(of)))
    return reselect(reswap(retarget(whole, "#page"), "outerHTML"), "#page")


@require_POST
@embedded
def compare(request: EmbeddedRequest, of: str) -> HttpResponse:
    """Have TikTok asked for this day's orders now; the page asks for itself until that is done."""
    audits.ask(request.shop, past(of), request.shop.zone, request.user_id)
    return render_page(request, "connector/_comparison.html", compared(request, past(of)))


def past(text: str) -> date:
    """A day up to today; anything else does not exist."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise Http404 from None
    if not proof.FIRST_DAY <= found <= timezone.localdate():
        raise Http404
    return found
