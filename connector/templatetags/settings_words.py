"""How the settings page writes a field's error, and what a logged change was."""

from collections.abc import Iterator
from typing import Any

from django import template
from django.forms import BoundField
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from connector.models import ConnectionLog

register = template.Library()

NAMES: dict[str, Promise] = {
    "delay_seconds": gettext_lazy("Wait of your own (seconds)"),
    "reserve_margin_seconds": gettext_lazy("Reservation after the hold (seconds)"),
    "money_mode": gettext_lazy("Prices in Shopify"),
    "tax_line": gettext_lazy("Tax as a line"),
    "payment_method": gettext_lazy("Payment method"),
    "unmatched": gettext_lazy("Products that are not linked"),
    "skip_kinds": gettext_lazy("Kept out"),
    "cancel_in_shopify": gettext_lazy("Cancel in Shopify"),
    "extra_tags": gettext_lazy("More tags"),
    "note": gettext_lazy("Note"),
    "shipping_title": gettext_lazy("Name of the shipping line"),
    "fallback_provider": gettext_lazy("Fallback carrier"),
    "alert_email": gettext_lazy("Alerts to"),
    "other_connector_tags": gettext_lazy("Tags of another connector"),
    "paused": gettext_lazy("Paused"),
    "connected": gettext_lazy("Connected"),
    "held_drafts": gettext_lazy("Draft orders on hold"),
    "moved_to": gettext_lazy("Moved to"),
    "other_connector_accepted": gettext_lazy("The other app is off"),
    "carrier": gettext_lazy("Carrier"),
    "product": gettext_lazy("Product"),
}


@register.filter
def error(field: BoundField) -> str:
    """What is wrong with a field, or nothing."""
    return " ".join(map(str, field.errors))


@register.filter
def changed(entry: ConnectionLog) -> Iterator[str]:
    """A sentence for each setting: its name, of some also which one is meant, old and new value."""
    for what, (old, new) in entry.changes.items():
        name, space, which = what.partition(" ")
        yield f"{NAMES.get(name, name)}{space}{which}: {plain(old)} → {plain(new)}"


def plain(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return str(value) if value not in ("", None) else _("nothing")
