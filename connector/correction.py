"""A correction of a parcel that a person typed: whether it can be made at all, and what is wrong with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

import shopify_app.errors
import tiktok.errors
from connector import carriers, parcels
from connector.models import Order, Parcel
from connector.reasons import reason
from connector.states import ParcelState
from tiktok.records import Provider

NO_ANSWER = (tiktok.errors.Unavailable, tiktok.errors.Rejected, shopify_app.errors.Unavailable)
Words = str | Promise


@dataclass(frozen=True, slots=True)
class Correction:
    """`provider_id` "" leaves the carrier to what Shopify says. `anyway`: send it although we doubt it."""

    number: str
    provider_id: str
    anyway: bool = False

    @classmethod
    def standing(cls, parcel: Parcel) -> "Correction":
        return cls(parcel.number, parcel.chosen_provider or parcel.provider_id, parcel.anyway)

    @classmethod
    def typed(cls, form: Mapping[str, str]) -> "Correction":
        number = carriers.clean(form.get("number", "")[:200])
        return cls(number, form.get("provider", ""), bool(form.get("anyway")))


def closed(parcel: Parcel, now: datetime) -> str:
    """The reason why TikTok takes no correction of a parcel; "" while it does."""
    if parcel.state == ParcelState.WAITING:
        return ""
    if parcel.state != ParcelState.ACCEPTED or parcel.corrections:
        return "edit_limit"
    late = parcel.accepted_at is None or now - parcel.accepted_at > settings.TRACKING_EDIT_WINDOW
    return "tracking_changed_too_late" if late else ""


def providers(order: Order) -> list[Provider]:
    """The carriers TikTok takes for this order; those it took for the shop, where it does not answer now."""
    try:
        return parcels.listed(order.connection, order.delivery_option_id, order.region)
    except NO_ANSWER:
        return parcels.last_listed(order.connection)


def problems(parcel: Parcel, wish: Correction, offered: Sequence[Provider]) -> dict[str, Words]:
    """What is wrong, by field; `doubt` is what a person may overrule."""
    names = {provider.id: provider.name for provider in offered}
    if wish.provider_id and wish.provider_id not in names:
        return {"provider": _("TikTok does not list this carrier.")}
    form = carriers.check("", wish.number)
    if form.level == "block":
        return {"number": reason(form.reason).title}
    standing = Correction.standing(parcel)
    if (wish.number, wish.provider_id) == (standing.number, standing.provider_id) and not wish.anyway:
        return {"number": _("This is what stands already.")}
    same = Parcel.objects.filter(fulfillment_gid=parcel.fulfillment_gid, number=wish.number)
    if same.exclude(pk=parcel.pk).exists():
        return {"number": _("This number was used for the fulfillment before.")}
    verdict = carriers.check(names.get(wish.provider_id, parcel.company), wish.number)
    if verdict.level == "block" and not wish.anyway:
        return {"number": reason(verdict.reason).title, "doubt": reason(verdict.reason).why}
    return {}
