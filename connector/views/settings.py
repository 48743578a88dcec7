"""The settings of a connection, and its pause."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import trigger_client_event

from connector import payment, preferences
from connector.chosen import active, chosen
from connector.embedded import EmbeddedRequest, embedded, render_page
from connector.forms import KIND_LABELS, MONEY_MODES, UNMATCHED, PolicyForm
from connector.models import Connection
from connector.states import Pause
from connector.transport import session as transport

CHANGES_SHOWN = 20


@require_http_methods(["GET", "HEAD", "POST"])
@embedded
def edit(request: EmbeddedRequest) -> HttpResponse:
    """GET shows the settings, POST saves them or says beside the field what is wrong."""
    if not active(request).exists():
        return redirect("connections")
    connection = chosen(request)
    if request.method != "POST":
        return page(request, connection, PolicyForm(connection))
    form = PolicyForm(connection, request.POST)
    if not form.is_valid():
        return page(request, connection, form)
    preferences.save(connection, form.policy, request.user_id)
    saved = page(request, connection, PolicyForm(connection))
    return trigger_client_event(saved, "toast", {"words": _("Settings saved")})


def page(request: EmbeddedRequest, connection: Connection, form: PolicyForm) -> HttpResponse:
    context: dict[str, Any] = {
        "connection": connection,
        "connections": active(request),
        "form": form,
        "kinds": KIND_LABELS.items(),
        "money_modes": MONEY_MODES,
        "unmatched": UNMATCHED,
        "payment_scope": payment.SCOPE,
        "may_name_payment": payment.SCOPE in connection.shop.scopes.split(","),
        "changes": connection.log.order_by("-at")[:CHANGES_SHOWN],
        "can_mail": bool(settings.EMAIL_URL),
        "keep_events": settings.KEEP_EVENTS.days,
        "keep_orders": settings.KEEP_ORDERS.days,
    }
    return render_page(request, "connector/settings.html", context)


@require_POST
@embedded
def read_scopes(request: EmbeddedRequest) -> HttpResponse:
    """A merchant has answered Shopify's question for a permission: see what is granted now."""
    request.shop.read_installation(transport())
    return redirect("settings")


@require_POST
@embedded
def pause(request: EmbeddedRequest, connection_id: int) -> HttpResponse:
    connection = get_object_or_404(Connection, shop=request.shop, pk=connection_id, active=True)
    preferences.pause(connection, request.user_id)
    return redirect(f"/settings?connection={connection.pk}")


@require_POST
@embedded
def unpause(request: EmbeddedRequest, connection_id: int) -> HttpResponse:
    """Only a person's own pause is lifted here; a lost permission needs a new one."""
    mine = Connection.objects.filter(paused_reason=Pause.BY_A_PERSON)
    connection = get_object_or_404(mine, shop=request.shop, pk=connection_id, active=True)
    preferences.resume(connection, request.user_id)
    return redirect(f"/settings?connection={connection.pk}")
