"""What a person types into the settings of a connection: checked beside the field, contradictions refused."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from connector import following, mapping, payment, pulls
from connector.models import Connection
from connector.policy import ASK, BUYER_PAID, CUSTOM_LINE, KINDS, SELLER_EARNS, Policy

OUR_TAGS = (
    mapping.SHOP_TAG,
    mapping.HOLD_TAG,
    following.CANCEL_REQUESTED_TAG,
    following.SHIPPED_ELSEWHERE_TAG,
    following.CANCELLED_TAG,
)
MOST_TAGS = 20  # of Shopify's 250; the rest is for people and other apps
LONGEST_NOTE = 500
LONGEST_DELAY_HOURS = 24
LONGEST_MARGIN_HOURS = 7 * 24

MONEY_MODES = ((SELLER_EARNS, _("What you earn")), (BUYER_PAID, _("What the buyer paid")))
UNMATCHED = (
    (ASK, _("Ask me, and wait until the product is linked")),
    (CUSTOM_LINE, _("Import it as a custom line")),
)
CANCELLATIONS = (("cancel", _("Cancel the Shopify order and restock")), ("ask", _("Only tell me")))
KIND_LABELS: Mapping[str, Promise] = {
    "sample": _("Samples"),
    "gift": _("Orders with gifts"),
    "replacement": _("Replacements"),
    "exchange": _("Exchanges"),
    "subscription": _("Subscriptions"),
    "pre-order": _("Pre-orders"),
    "made-to-order": _("Made to order"),
    "back-order": _("Back-orders"),
    "combined": _("Combined parcels"),
    "split": _("Split orders"),
    "bundle": _("Bundles"),
}


class TagsField(forms.CharField):
    """Tags, with commas between them."""

    def clean(self, value: str | None) -> tuple[str, ...]:
        typed = super().clean(value)
        tags = tuple(dict.fromkeys(tag for part in typed.split(",") if (tag := " ".join(part.split()))))
        for tag in tags:
            if len(tag) > mapping.TAG_LENGTH:
                raise ValidationError(
                    _("Shopify takes tags of at most %(most)s characters: “%(tag)s” is longer."),
                    params={"most": mapping.TAG_LENGTH, "tag": tag},
                )
        if len(tags) > MOST_TAGS:
            raise ValidationError(_("At most %(most)s tags."), params={"most": MOST_TAGS})
        return tags


class PolicyForm(forms.Form):
    """The settings of one connection. `policy` is what they come to."""

    delay_minutes = forms.IntegerField(min_value=0, max_value=LONGEST_DELAY_HOURS * 60)
    reserve_margin_hours = forms.DecimalField(
        max_value=LONGEST_MARGIN_HOURS,
        decimal_places=2,
        error_messages={"max_value": _("At most a week: %(limit_value)s hours.")},
    )
    money_mode = forms.ChoiceField(choices=MONEY_MODES)
    tax_line = forms.BooleanField(required=False)
    payment_method = forms.CharField(required=False, max_length=255)
    unmatched = forms.ChoiceField(choices=UNMATCHED)
    skip_kinds = forms.MultipleChoiceField(required=False, choices=[(kind, kind) for kind in KINDS])
    cancellation = forms.ChoiceField(choices=CANCELLATIONS)
    shipping_title = forms.CharField(max_length=mapping.TITLE_LENGTH)
    extra_tags = TagsField(required=False)
    note = forms.CharField(required=False, max_length=LONGEST_NOTE)
    other_connector_tags = TagsField(required=False)
    fallback_provider = forms.CharField(required=False)
    alert_email = forms.EmailField(required=False)

    def __init__(self, connection: Connection, data: Any = None) -> None:
        super().__init__(data, initial=shown(connection.policy))
        self.connection = connection

    @property
    def policy(self) -> Policy:
        given = self.cleaned_data
        return replace(
            self.connection.policy,
            delay_seconds=given["delay_minutes"] * 60,
            reserve_margin_seconds=int(given["reserve_margin_hours"] * 3600),
            cancel_in_shopify=given["cancellation"] == "cancel",
            skip_kinds=tuple(kind for kind in KINDS if kind in given["skip_kinds"]),
            **{name: given[name] for name in SAME},
        )

    def clean_reserve_margin_hours(self) -> Decimal:
        hours: Decimal = self.cleaned_data["reserve_margin_hours"]
        if hours <= 0:
            raise ValidationError(_("More than 0: without a margin the stock is free before the hold ends."))
        return hours

    def clean_extra_tags(self) -> tuple[str, ...]:
        tags: tuple[str, ...] = self.cleaned_data["extra_tags"]
        for tag in tags:
            if is_among(tag, OUR_TAGS) or tag.casefold().startswith(mapping.ID_TAG):
                raise ValidationError(
                    _("“%(tag)s” is a tag that this app sets and reads itself: choose another."),
                    params={"tag": tag},
                )
            if is_among(tag, pulls.OTHER_CONNECTORS):
                raise ValidationError(
                    _("“%(tag)s” is how another connector marks its orders: choose another."),
                    params={"tag": tag},
                )
        return tags

    def clean_other_connector_tags(self) -> tuple[str, ...]:
        tags: tuple[str, ...] = self.cleaned_data["other_connector_tags"]
        own = [*OUR_TAGS, *self.cleaned_data.get("extra_tags", ())]
        for tag in tags:
            if is_among(tag, own) or tag.casefold().startswith(mapping.ID_TAG):
                raise ValidationError(
                    _("“%(tag)s” is on our own orders: they would look like another connector's."),
                    params={"tag": tag},
                )
        return tags

    def clean_fallback_provider(self) -> str:
        provider: str = self.cleaned_data["fallback_provider"]
        if provider and provider not in {listed["id"] for listed in self.connection.providers}:
            raise ValidationError(_("TikTok does not list this carrier for the shop: choose another."))
        return provider

    def clean_payment_method(self) -> str:
        method = " ".join(self.cleaned_data["payment_method"].split())
        if method and payment.SCOPE not in self.connection.shop.scopes.split(","):
            raise ValidationError(_("Shopify has not given the permission for this yet: allow it first."))
        return method


SAME = (
    "money_mode",
    "tax_line",
    "payment_method",
    "unmatched",
    "shipping_title",
    "extra_tags",
    "note",
    "other_connector_tags",
    "fallback_provider",
    "alert_email",
)


def shown(policy: Policy) -> dict[str, Any]:
    """A policy in the units of the form."""
    margin = Decimal(policy.reserve_margin_seconds) / 3600
    return {name: getattr(policy, name) for name in SAME} | {
        "delay_minutes": policy.delay_seconds // 60,
        "reserve_margin_hours": margin.normalize() if margin % 1 else int(margin),
        "cancellation": "cancel" if policy.cancel_in_shopify else "ask",
        "skip_kinds": list(policy.skip_kinds),
        "extra_tags": ", ".join(policy.extra_tags),
        "other_connector_tags": ", ".join(policy.other_connector_tags),
    }


def is_among(tag: str, tags: Iterable[str]) -> bool:
    """Shopify compares tags without case."""
    return tag.casefold() in {other.casefold() for other in tags}
