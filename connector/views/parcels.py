"""What a person may do about a tracking number: send it as it is, try again, take note, or put it right."""

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from connector import choices, parcels
from connector.correction import Correction, closed, problems, providers
from connector.embedded import EmbeddedRequest, embedded, render_page, toast
from connector.models import Parcel
from connector.reasons import reason
from connector.states import ParcelState

WAITING = (ParcelState.WAITING,)
# What a person may choose, as the route names it, and the states in which it means anything.
CHOICES = {
    "send-anyway": (choices.send_anyway, WAITING, _("Number %(number)s will be sent as it is")),
    "retry": (choices.retry, WAITING, _("Trying number %(number)s again")),
    "dismiss": (choices.mark_seen, tuple(ParcelState), _("Marked as seen for number %(number)s")),
}


@require_POST
@embedded
def choose(request: EmbeddedRequest, parcel_id: int, choice: str) -> HttpResponse:
    if choice not in CHOICES:
        raise Http404
    do, states, words = CHOICES[choice]
    parcel = get_object_or_404(Parcel, shop=request.shop, pk=parcel_id, state__in=states)
    do(parcel, request.user_id)
    return toast(words % {"number": parcel.number})


@embedded
def correct(request: EmbeddedRequest, parcel_id: int) -> HttpResponse:
    """GET asks for the right carrier and number, POST sends them."""
    mine = Parcel.objects.select_related("order__connection__tiktok_shop", "order__shop")
    parcel = get_object_or_404(
        mine, shop=request.shop, pk=parcel_id, state__in=(ParcelState.WAITING, ParcelState.ACCEPTED)
    )
    if why := closed(parcel, timezone.now()):
        context = {"parcel": parcel, "closed": reason(why)}
        return render_page(request, "connector/correct.html", context)
    offered = providers(parcel.order)
    wish, wrong = Correction.standing(parcel), {}
    if request.method == "POST":
        wish = Correction.typed(request.POST)
        wrong = problems(parcel, wish, offered)
        if not wrong:
            try:
                choices.correct_tracking(
                    parcel, wish.number, wish.provider_id, request.user_id, anyway=wish.anyway
                )
            except parcels.BeingSent:
                wrong = {"busy": _("The number is being sent this moment. Try again in a few seconds.")}
            else:
                return redirect("order", parcel.order_id)
    context = {"parcel": parcel, "wish": wish, "wrong": wrong, "providers": offered}
    return render_page(request, "connector/correct.html", context)
