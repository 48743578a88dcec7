"""The setup guide: what each step found, how to put it right, and whether the whole is ready. No platform is asked.

A step is told by the stored answers of both shops (setup.py) and by what our own rows have seen since.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from connector.models import Connection
from connector.policy import CUSTOM_LINE
from connector.seen import Seen, seen_of
from connector.states import Pause

NAMED = 3  # so many things of a kind are named, the others counted


class Mark(StrEnum):
    GOOD = "good"
    WRONG = "wrong"
    LATER = "later"  # nothing is known yet: it shows with the first order, or after the first check


@dataclass(frozen=True, slots=True)
class Case:
    """One way a step can stand: its words, what to do, and the page or place where that is done."""

    mark: Mark
    told: Promise
    do: Promise | str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """How a step stands for one connection. `facts` fill the names in braces of its words."""

    step: str
    case: Case
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> Promise:
        return STEPS[self.step].title

    @property
    def told(self) -> str:
        return str(self.case.told).format_map(self.facts)

    @property
    def mark(self) -> Mark:
        return self.case.mark


Judge = Callable[[Connection, Seen], tuple[Case, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Step:
    title: Promise
    judge: Judge


def findings(connection: Connection) -> list[Finding]:
    """Every step, in the order in which one sets a shop up."""
    return findings_of([connection])[connection.pk]


def findings_of(connections: Sequence[Connection]) -> dict[int, list[Finding]]:
    """The same for several connections of a shop, by their keys."""
    seen = seen_of(connections)
    return {
        one.pk: [Finding(name, *step.judge(one, seen[one.pk])) for name, step in STEPS.items()]
        for one in connections
    }


def verdict(found: Iterable[Finding]) -> Mark:
    """Ready only when every step is good; wrong while one is."""
    marks = {finding.mark for finding in found}
    return next((mark for mark in (Mark.WRONG, Mark.LATER) if mark in marks), Mark.GOOD)


# ---- permissions -----------------------------------------------------------------------------------------------------

NOT_CHECKED = Case(Mark.LATER, _("Not checked yet."))
REFUSED = Case(
    Mark.WRONG,
    _("The platform refuses to tell: {words}"),
    _("Connect again with the shop's main account, and leave every permission ticked."),
    "reconnect",
)
SILENT = Case(Mark.LATER, _("No answer at the last check; it is asked again in a few minutes."))

TIKTOK_GOOD = Case(Mark.GOOD, _("{shop} is open to us, with every permission that is needed."))
TIKTOK_OPEN = Case(Mark.GOOD, _("{shop} is open to us. TikTok did not say with which permissions."))
TIKTOK_SHORT = Case(
    Mark.WRONG,
    _("TikTok has not granted: {scopes}. Nothing is stopped, but what needs these is refused."),
    _("Connect again with the shop's main account, and leave every permission ticked."),
    "reconnect",
)
TIKTOK_LOST = Case(
    Mark.WRONG,
    _("TikTok no longer lets us in."),
    _("Connect again with the shop's main account. Everything that waited is caught up on."),
    "reconnect",
)
TIKTOK_OTHER = Case(
    Mark.WRONG,
    _("The account that gave its permission does not own {shop}."),
    _("Connect again, signed in to TikTok with the main account of this shop."),
    "reconnect",
)


def tiktok_permission(connection: Connection, seen: Seen) -> tuple[Case, dict[str, Any]]:
    facts = {"shop": connection.tiktok_shop.name}
    seller = connection.tiktok_shop.seller
    if connection.paused_reason == Pause.TIKTOK_ACCESS_LOST or seller.revoked_at:
        return TIKTOK_LOST, facts
    if missing := seller.missing_scopes:
        return TIKTOK_SHORT, {"scopes": ", ".join(missing)}
    answer = connection.setup.get("access")
    if unclear := unanswered(answer):
        return unclear
    if not answer["ours"]:
        return TIKTOK_OTHER, facts
    return (TIKTOK_GOOD if seller.scopes else TIKTOK_OPEN), facts


STORE_GOOD = Case(
    Mark.GOOD, _("The app may read products and fulfillments and write draft orders and orders.")
)
STORE_SHORT = Case(
    Mark.WRONG,
    _("Shopify has not granted: {scopes}."),
    _("Open the app in Shopify under Settings, Apps, and approve its permissions."),
    "store_apps",
)


def shopify_permission(connection: Connection, seen: Seen) -> tuple[Case, dict[str, Any]]:
    missing = connection.shop.missing_scopes()
    if missing or connection.paused_reason == Pause.SHOPIFY_ACCESS_LOST:
        return STORE_SHORT, {"scopes": ", ".join(missing) or connection.paused_words}
    if unclear := unanswered(connection.setup.get("store")):
        return unclear
    return STORE_GOOD, {}


# ---- how parcels leave -----------------------------------------------------------------------------------------------

SHIPPING_GOOD = Case(
    Mark.GOOD, _("You ship your TikTok orders yourself, so they can be shipped from Shopify.")
)
SHIPPING_TIKTOK = Case(
    Mark.WRONG,
    _(
        "TikTok ships your newest orders itself ({tiktok} of the last {all}). Names and addresses come as ****."
    ),
    _(
        "In TikTok Seller Center, under Shipping, switch to Seller Shipping. Orders placed before stay with TikTok."
    ),
    "seller_shipping",
)
SHIPPING_OFF = Case(
    Mark.WRONG,
    _(
        "No warehouse offers shipping by the seller. TikTok would ship the orders, and they could not come to Shopify."
    ),
    _("In TikTok Seller Center, under Shipping, switch to Seller Shipping and set a shipping template."),
    "seller_shipping",
)


def seller_shipping(connection: Connection, seen: Seen) -> tuple[Case, dict[str, Any]]:
    """TikTok tells it of warehouses in advance, and of orders for sure: the newest order decides."""
    recent = seen.recent
    theirs = [order for order in recent if order.reason in ("tiktok_ships", "address_masked")]
    if recent and recent[0] in theirs:
        return SHIPPING_TIKTOK, {"tiktok": len(theirs), "all": len(recent)}
    if recent:
        return SHIPPING_GOOD, {}
    answer = connection.setup.get("warehouses")
    if unclear := unanswered(answer):
        return unclear
    return (SHIPPING_GOOD if "SEND_BY_SELLER" in answer["ways"] else SHIPPING_OFF), {}


WAREHOUSES_GOOD = Case(Mark.GOOD, _("Parcels leave from {sales}; returns go to {returns}."))
NO_SALES = Case(
    Mark.WRONG,
    _("No warehouse to ship from is in use."),
    _("In TikTok Seller Center, under Warehouse, add a pickup warehouse or turn it on."),
    "seller_warehouses",
)
NO_RETURNS = Case(
    Mark.WRONG,
    _("No warehouse takes returns."),
    _("In TikTok Seller Center, under Warehouse, add a return warehouse or turn it on."),
    "seller_warehouses",
)


def warehouses(connection: Connection, seen: Seen) -> tuple[Case, dict[str, Any]]:
    answer = connection.setup.get("warehouses")
    if unclear := unanswered(answer):
        return unclear
    if not answer["sales"]:
        return NO_SALES, {}
    if not answer["returns"]:
        return NO_RETURNS, {}
    return WAREHOUSES_GOOD, {"sales": named(answer["sales"]), "returns": named(answer["returns"])}


CARRIERS_GOOD = Case(
    Mark.GOOD, _("TikTok takes {n} carriers from this shop, and knows all that you have used.")
)
CARRIERS_UNKNOWN = Case(
    Mark.WRONG,
    _("Parcels wait because TikTok does not know their carrier: {names}."),
    _("Say once which TikTok carrier each of these names means."),
    "carriers",
)
CARRIERS_LATER = Case(Mark.LATER, _("TikTok tells the carriers with the first order."))


def carriers(connection: Connection, seen: Seen) -> tuple[Case, dict[str, Any]]:
    if names := sorted(seen.carriers):
        return CARRIERS_UNKNOWN, {"names": named(names)}
    if connection.providers:
        return CARRIERS_GOOD, {"n": len(connection.providers)}
    return (CARRIERS_LATER if connection.providers_read_at else NOT_CHECKED), {}


# ---- money and goods -------------------------------------------------------------------------------------------------

CURRENCY_GOOD = Case(Mark.GOOD, _("Shopify takes {currency}."))
CURRENCY_OFF = Case(
    Mark.WRONG,
    _("TikTok sells in {currency}, and this store does not take it."),
    _("In Shopify, under Settings, Markets, add a market with this currency."),
    "store_markets",
)
CURRENCY_LATER = Case(Mark.LATER, _("The first order tells the currency. Shopify takes {enabled}."))


def currency(connection: Connection, seen: Seen) -> tuple[Case, dict[str, Any]]:
    enabled = connection.shop.currencies or [connection.shop.currency]
    sold_in = next((order.currency for order in seen.recent if order.currency), "")
    if not sold_in:
        return CURRENCY_LATER, {"enabled": named(enabled)}
    return (CURRENCY_GOOD if sold_in in enabled else CURRENCY_OFF), {"currency": sold_in}


PRODUCTS_GOOD = Case(Mark.GOOD, _("All {linked} TikTok products are linked to a Shopify variant."))
PRODUCTS_FREE = Case(
    Mark.GOOD, _("{linked} linked; the {open} others come as a line without a variant, as you chose.")
)
PRODUCTS_OPEN = Case(
    Mark.WRONG,
    _("{linked} linked, {open} not. An order with one of those waits for you."),
    _("Link them now: most find their variant by the SKU."),
    "products",
)
PRODUCTS_NONE = Case(
    Mark.WRONG,
    _("TikTok lists no product of this shop."),
    _("Add your products in TikTok Seller Center, then check again."),
    "seller_products",
)


def products(connection: Connection, seen: Seen) -> tuple[Case, dict[str, Any]]:
    if connection.products_read_at is None:
        if connection.listing_words:
            return REFUSED, {"words": connection.listing_words}
        return NOT_CHECKED, {}
    facts = {"linked": seen.linked, "open": seen.open}
    if not facts["linked"] and not facts["open"]:
        return PRODUCTS_NONE, facts
    if not facts["open"]:
        return PRODUCTS_GOOD, facts
    return (PRODUCTS_FREE if connection.policy.unmatched == CUSTOM_LINE else PRODUCTS_OPEN), facts


# ---- what rings, and who else rings ----------------------------------------------------------------------------------

WEBHOOKS_GOOD = Case(Mark.GOOD, _("TikTok tells us of every change as it happens."))
WEBHOOKS_MISSING = Case(
    Mark.WRONG,
    _("TikTok does not tell us of: {topics}. Such changes are found by the next comparison, minutes later."),
    _("Connect again: that registers them anew."),
    "reconnect",
)


def webhooks(connection: Connection, seen: Seen) -> tuple[Case, dict[str, Any]]:
    answer = connection.setup.get("webhooks")
    if unclear := unanswered(answer):
        return unclear
    topics = [topic.lower().replace("_", " ") for topic in answer["missing"]]
    return (WEBHOOKS_MISSING if topics else WEBHOOKS_GOOD), {"topics": ", ".join(topics)}


ALONE = Case(Mark.GOOD, _("No other app makes Shopify orders from this TikTok shop."))
RIVAL_ACCEPTED = Case(Mark.GOOD, _("Another app made such orders before; you said that it is off."))
RIVAL = Case(
    Mark.WRONG,
    _(
        "Another app makes Shopify orders from TikTok already ({tag} on {order}). Every order would come twice."
    ),
    _("Turn the other app's order import off, then say so in the banner above."),
)


def other_connector(connection: Connection, seen: Seen) -> tuple[Case, dict[str, Any]]:
    if connection.prepared_at is None:
        return NOT_CHECKED, {}
    if not connection.other_connector:
        return ALONE, {}
    return (RIVAL_ACCEPTED if connection.other_connector_accepted_at else RIVAL), connection.other_connector


# ---- the first order -------------------------------------------------------------------------------------------------

FIRST_GOOD = Case(
    Mark.GOOD, _("{name} came through: its address is readable and every line has its variant.")
)
FIRST_UNLINKED = Case(
    Mark.WRONG,
    _("{name} came through with lines that belong to no Shopify variant: {lines}."),
    _("Link these products, so that Shopify can count and pick them."),
    "products",
)
FIRST_STARRED = Case(
    Mark.WRONG,
    _(
        "The newest order came with asterisks for a name and an address, so it cannot be shipped from Shopify."
    ),
    _("In TikTok Seller Center, under Shipping, switch to Seller Shipping."),
    "seller_shipping",
)
FIRST_ASKS = Case(
    Mark.WRONG,
    _("The newest order waits for you before it can go into Shopify."),
    _("See what it asks."),
    "orders",
)
FIRST_HELD = Case(Mark.LATER, _("The first order is on hold. It goes into Shopify when TikTok releases it."))
FIRST_LATER = Case(Mark.LATER, _("No order yet. The first one is checked as soon as it comes in."))


def first_order(connection: Connection, seen: Seen) -> tuple[Case, dict[str, Any]]:
    recent, done = seen.recent, seen.first
    if recent and recent[0].reason == "address_masked":
        return FIRST_STARRED, {}
    if done is None:
        waiting = [order for order in recent if order.state in ("received", "on_hold")]
        if waiting and waiting[0].reason:
            return FIRST_ASKS, {}
        return (FIRST_HELD if waiting else FIRST_LATER), {}
    titles = sorted(seen.unlinked)
    if titles and connection.policy.unmatched != CUSTOM_LINE:
        return FIRST_UNLINKED, {"name": done.order_name, "lines": named(titles)}
    return FIRST_GOOD, {"name": done.order_name}


# ---- said more than once ---------------------------------------------------------------------------------------------


def unanswered(answer: Any) -> tuple[Case, dict[str, Any]] | None:
    """The case of an answer that says nothing: never asked, refused, or silence."""
    if answer is None:
        return NOT_CHECKED, {}
    if "refused" in answer:
        return REFUSED, {"words": answer["refused"]}
    return (SILENT, {}) if "silent" in answer else None


def named(things: list[str]) -> str:
    """A few by name, the others by their number."""
    more = len(things) - NAMED
    return ", ".join(things[:NAMED]) + (f" + {more}" if more > 0 else "")


STEPS = {
    "tiktok": Step(_("TikTok's permission"), tiktok_permission),
    "shopify": Step(_("Shopify's permission"), shopify_permission),
    "shipping": Step(_("Shipping by you"), seller_shipping),
    "warehouses": Step(_("Warehouses"), warehouses),
    "carriers": Step(_("Carriers"), carriers),
    "currency": Step(_("Currency"), currency),
    "products": Step(_("Products"), products),
    "webhooks": Step(_("News from TikTok"), webhooks),
    "others": Step(_("No second importer"), other_connector),
    "order": Step(_("First order"), first_order),
}
