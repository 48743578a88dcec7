"""The log of an order as a person reads it: every move, question, write and choice, in words. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from connector import cancelled
from connector.models import CANCELLATION, OrderLog
from connector.reasons import reason
from connector.states import OrderState, ParcelState

Words = str | Promise


@dataclass(frozen=True, slots=True)
class Entry:
    """`what` is the log's own word: moved, asked, wrote, chose, redacted. `facts` are figures and ids, named."""

    at: datetime
    what: str
    title: Words
    words: Words
    facts: tuple[tuple[str, str], ...]
    by: str


def timeline(log: Iterable[OrderLog]) -> list[Entry]:
    """The newest first."""
    return [entry(row) for row in reversed(list(log))]


def entry(row: OrderLog) -> Entry:
    title, words = WRITERS.get(row.what, written)(row)
    hidden = row.detail if row.what == "asked" else CANCELLATION
    told = {name: value for name, value in row.detail.items() if name not in hidden}
    number = {"tracking": row.parcel.number} if row.parcel and "number" not in row.detail else {}
    return Entry(row.at, row.what, title, words, facts_of(number | told), row.by)


def moved(row: OrderLog) -> tuple[Words, Words]:
    states = ParcelState if row.parcel_id else OrderState
    why = (
        reason(row.reason).title
        if row.reason
        else cancelled.told(*(row.detail.get(name, "") for name in CANCELLATION))
    )
    return f"{states(row.old).label} → {states(row.new).label}", why


def asked(row: OrderLog) -> tuple[Words, Words]:
    words = reason(row.reason)
    return words.title, words.told(row.detail)


def written(row: OrderLog) -> tuple[Words, Words]:
    words: Mapping[str, Words] = REFUSED if row.detail.get("refused") else CALLS
    return words.get(row.call, row.call), ""


def redacted(row: OrderLog) -> tuple[Words, Words]:
    return _("A buyer's data was asked to be erased: there is none"), ""


def chose(row: OrderLog) -> tuple[Words, Words]:
    choice, _space, code = row.call.partition(" ")
    if choice == "dismiss":
        return _("Marked as seen"), reason(code).title
    return CHOICES.get(row.call, row.call), ""


WRITERS = {"moved": moved, "asked": asked, "wrote": written, "chose": chose, "redacted": redacted}
CALLS: dict[str, Promise] = {
    "draftOrderCreate": _("Shopify made the draft order"),
    "draftOrderUpdate": _("Shopify updated the draft order"),
    "draftOrderDelete": _("Shopify deleted the draft order"),
    "draftOrderComplete": _("Shopify turned the draft into an order"),
    "orderUpdate": _("Shopify updated the order"),
    "orderCancel": _("Shopify was told to cancel and restock the order"),
    "orderCancel without restock": _("Shopify was told to cancel the order without restocking it"),
    "orderMarkAsPaid": _("Shopify marked the order as paid"),
    "orderCreateManualPayment": _("Shopify recorded the payment under its own name"),
    "paymentTermsCreate": _("Shopify left the order to be paid"),
    "tagsAdd": _("Shopify added a warning tag"),
    "tagsRemove": _("Shopify took a warning tag off"),
    "external_orders": _("TikTok was told the number of the Shopify order"),
    "ship": _("TikTok accepted the tracking number"),
    "correct_tracking": _("TikTok took the correction"),
}
REFUSED: dict[str, Promise] = {
    "external_orders": _("TikTok did not take the number of the Shopify order"),
    "orderUpdate": _("Shopify did not take the number of the TikTok order"),
    "orderCreateManualPayment": _("Shopify did not take the payment under its own name"),
    "paymentTermsCreate": _("Shopify did not leave the order to be paid"),
}
CHOICES: dict[str, Promise] = {
    "look again": _("Asked to look again"),
    "import": _("Asked to import it"),
    "restore the draft": _("Asked to put the draft back"),
    "complete anyway": _("Said that it may be shipped there"),
    "skip": _("Asked to keep it out of Shopify"),
    "link": _("Linked a product"),
    "send anyway": _("Said that the number is right"),
    "retry tracking": _("Asked to send the number again"),
    "correct tracking": _("Corrected the number or the carrier"),
}


def facts_of(detail: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Figures and ids, a Shopify id by its number."""
    return tuple(
        (name.replace("_", " "), readable(value))
        for name, value in detail.items()
        if value not in ("", [], None)
    )


def readable(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(readable(part) for part in value.values() if part not in ("", [], None))
    if isinstance(value, list):
        return ", ".join(map(readable, value))
    text = str(value)
    return text.rpartition("/")[2] if text.startswith("gid://") else text
