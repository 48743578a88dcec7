"""Home: whether everything is fine, and what to do where it is not."""

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from connector.embedded import EmbeddedRequest, embedded, render_page
from connector.models import Connection
from connector.views import orders
from connector.views.connect import consent_links


@require_safe
@embedded
def home(request: EmbeddedRequest) -> HttpResponse:
    """How things stand; before anything is connected, the way to connect."""
    if not Connection.objects.filter(shop=request.shop).exists():
        return render_page(request, "connector/welcome.html", {"consents": consent_links(request)})
    return orders.orders(request)
