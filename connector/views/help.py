"""Help: where TikTok says what, how this app works, and a file for a support request."""

from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from connector.bundle import bundle
from connector.chosen import connections
from connector.embedded import EmbeddedRequest, embedded, render_page
from connector.places import lesson
from tiktok import seller_center

# Pages of TikTok's academy for sellers (United States).
LESSONS = {
    "fulfilment": "8064131472115499",
    "hold": "6845840636118830",
    "seller_shipping": "2552449518290731",
    "tracking": "5941246230103850",
    "combining": "3802241234011918",
    "connecting": "1411491407365934",
    "promotions": "9746095195950",
}


@require_safe
@embedded
def page(request: EmbeddedRequest) -> HttpResponse:
    mine = list(connections(request.shop).order_by("pk"))
    context = {
        "connections": mine,
        "lessons": {name: lesson(number) for name, number in LESSONS.items()},
        "centers": sorted({seller_center.home(one.tiktok_shop.region) for one in mine}),
        "support_email": settings.SUPPORT_EMAIL,
        "correction_hours": int(settings.TRACKING_EDIT_WINDOW.total_seconds() // 3600),
        "keep_days": settings.KEEP_ORDERS.days,
    }
    return render_page(request, "connector/help.html", context)


@require_safe
@embedded
def diagnostics(request: EmbeddedRequest) -> HttpResponse:
    """The bundle as a file."""
    answer = JsonResponse(bundle(request.shop), json_dumps_params={"indent": 2})
    name = f"tiktok-connector-{timezone.now():%Y%m%d-%H%M}.json"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
