"""How the carriers page says by which rule a carrier was found, and what speaks against a number."""

from django import template
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from connector.carrier_names import CarrierName, Trial
from connector.reasons import reason

register = template.Library()

HOW: dict[str, Promise] = {
    "exact": _("the same name"),
    "alias": _("another spelling"),
    "merchant": _("your choice"),
    "format": _("by the number"),
    "fallback": _("the fallback carrier"),
}


@register.filter
def found_by(name: CarrierName) -> str | Promise:
    """The rule that found a carrier, or why there is none."""
    if name.found.provider_id:
        return HOW.get(name.found.how, "")
    return reason(name.found.problem or "carrier_unknown").title


@register.filter
def judged(trial: Trial) -> str | Promise:
    """What speaks against the number, or by which rule its carrier was found."""
    if trial.verdict is None:
        return reason(trial.found.problem or "carrier_unknown").why
    if trial.verdict.reason:
        return reason(trial.verdict.reason).why
    return HOW.get(trial.found.how, "")
