"""What became of an order, each in exactly one place: these add up to the orders that are known. Pure."""

from django.db.models import Case, CharField, Q, Value, When
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from connector.states import IN_SHOPIFY
from connector.states import OrderState as State

OUTCOMES: dict[str, Promise] = {
    "in_shopify": _("In Shopify"),
    "held": _("On hold"),
    "asking": _("Waits for you"),
    "kept_out": _("Kept out by a rule"),
    "cancelled": _("Cancelled before"),
}
# The database keeps it beside the columns that it follows from: a figure can neither lag behind nor be forgotten.
OUTCOME = Case(
    When(state__in=[State.SKIPPED, State.OUTSIDE], then=Value("kept_out")),
    When(Q(state=State.CANCELLED, order_gid=""), then=Value("cancelled")),
    When(state__in=[*sorted(IN_SHOPIFY), State.CANCELLED], then=Value("in_shopify")),
    When(Q(reason="") & ~Q(state=State.OFFERED), then=Value("held")),
    default=Value("asking"),
    output_field=CharField(),
)
