"""TikTok's words into Shopify's. Plain data in, plain data out. Pure.

Money is exact: what a draft adds up to is `expected_total`, to the cent, or the order stops.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any

from connector.policy import ASK, BUYER_PAID, SELLER_EARNS, Policy
from shopify_app.orders import DraftContent, DraftLine, PostalAddress
from tiktok.orders import AMOUNTS, Address, LineItem, Order, Payment

SHOP_TAG, HOLD_TAG, ID_TAG = "TikTok Shop", "tiktok-on-hold", "tts-"
TAG_LENGTH, TAG_COUNT = 40, 250  # Shopify contract 3b
TITLE_LENGTH = 255
LINE_IDS = "_tiktok_line_ids"  # the underscore keeps it off what a buyer can see
ATTRIBUTE_LENGTH = 255
TAX_TITLE = "Tax collected by TikTok"

ZERO = Decimal(0)
ORDER_TYPE_KINDS = {"PRE_ORDER": "pre-order", "MADE_TO_ORDER": "made-to-order", "BACK_ORDER": "back-order"}
# What TikTok collects for others. Never booked, always shown (TikTok contract 4.3).
FEES = (
    "retail_delivery_fee",
    "small_order_fee",
    "buyer_service_fee",
    "handling_fee",
    "shipping_insurance_fee",
    "item_insurance_fee",
    "item_insurance_tax",
    "distance_shipping_fee",
    "distance_fee",
)
BOOKED_AMOUNTS = ("shipping_fee", "shipping_fee_platform_discount", "tax")


@dataclass(frozen=True, slots=True)
class VariantChoice:
    """The Shopify variant that a TikTok SKU stands for."""

    variant_id: str
    title: str


@dataclass(frozen=True, slots=True)
class Group:
    """Equal units that become one Shopify line. `line` is the first of them."""

    line: LineItem
    unit_price: Decimal
    unit_ids: tuple[str, ...]

    @property
    def sku_id(self) -> str:
        return self.line.sku_id

    @property
    def quantity(self) -> int:
        return len(self.unit_ids)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an order stops: a code of connector.reasons and the figures its text shows, as JSON values."""

    code: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed since a snapshot: units `cancelled`, `removed` or `added`, or a field's amount.

    `before` and `after` are the SKU's quantities for units, decimal strings for amounts.
    """

    what: str
    title: str
    seller_sku: str
    unit_ids: tuple[str, ...]
    before: str
    after: str


# The draft


def draft_content(
    order: Order,
    variants: Mapping[str, VariantChoice | None],
    policy: Policy,
    reserve_until: datetime | None,
    held: bool,
) -> DraftContent:
    """The whole draft but its address. `variants` is by TikTok sku_id.

    None or absent makes a custom line where the policy allows it, and is a LookupError where the merchant
    wants to be asked.
    """
    policy = booking(order, policy)
    lines = [_draft_line(g, variants.get(g.sku_id), policy) for g in group(order.line_items, policy)]
    return DraftContent(
        lines=(*lines, *_tax_lines(order, policy)),
        shipping_title=policy.shipping_title,
        shipping_amount=booked_shipping(order.payment, policy.money_mode),
        currency=currency(order),
        tags=tags(order, policy, held=held),
        note=note(order, policy, held=held),
        attributes={"tiktok_order_id": order.id, "tiktok_status": order.status},
        reserve_until=reserve_until,
    )


def _draft_line(units: Group, choice: VariantChoice | None, policy: Policy) -> DraftLine:
    if choice is None and policy.unmatched == ASK:
        raise LookupError(f"TikTok SKU {units.sku_id} has no variant and the merchant wants to be asked")
    return DraftLine(
        variant_id=choice.variant_id if choice else None,
        title=choice.title if choice else line_title(units.line),
        sku=units.line.seller_sku,
        quantity=units.quantity,
        unit_price=units.unit_price,
        attributes=_write_unit_ids(units.unit_ids),
    )


def _tax_lines(order: Order, policy: Policy) -> tuple[DraftLine, ...]:
    tax = added_tax(order) if policy.tax_line else ZERO
    if not tax:
        return ()
    return (DraftLine(None, TAX_TITLE, "", 1, tax, requires_shipping=False),)


def currency(order: Order) -> str:
    return order.payment.currency or next((line.currency for line in order.line_items if line.currency), "")


def line_title(line: LineItem) -> str:
    """What a person recognises the unit by."""
    variant = "" if line.sku_name.casefold() in ("", "default") else f" - {line.sku_name}"
    title = f"{line.product_name}{variant}".strip(" -") or line.seller_sku or f"TikTok SKU {line.sku_id}"
    return title[:TITLE_LENGTH]


def _write_unit_ids(unit_ids: Sequence[str]) -> dict[str, str]:
    """Forty units do not fit one attribute; every further one has a number behind its name."""
    written: dict[str, str] = {}
    names = (LINE_IDS if n == 1 else f"{LINE_IDS}_{n}" for n in count(1))
    name = next(names)
    for unit_id in unit_ids:
        joined = f"{written[name]},{unit_id}" if name in written else unit_id
        if len(joined) > ATTRIBUTE_LENGTH and name in written:
            name, joined = next(names), unit_id
        written[name] = joined
    return written


def read_unit_ids(attributes: Mapping[str, str]) -> tuple[str, ...]:
    """The TikTok line ids that a Shopify line carries; none on a line that is not ours."""
    names = (LINE_IDS if n == 1 else f"{LINE_IDS}_{n}" for n in count(1))
    found: list[str] = []
    while written := attributes.get(next(names), ""):
        found += filter(None, written.split(","))
    return tuple(found)


# Money


def live(lines: Iterable[LineItem]) -> tuple[LineItem, ...]:
    return tuple(line for line in lines if not line.cancelled)


def group(lines: Iterable[LineItem], policy: Policy) -> tuple[Group, ...]:
    """Live units that are the same thing at the same price, in TikTok's order (TikTok contract 4.2)."""
    groups: dict[tuple[str, str, Decimal, bool], list[LineItem]] = {}
    for line in live(lines):
        key = (line.sku_id, line.seller_sku, booked_unit(line, policy.money_mode), line.is_gift)
        groups.setdefault(key, []).append(line)
    return tuple(Group(units[0], key[2], tuple(u.id for u in units)) for key, units in groups.items())


def booking(order: Order, policy: Policy) -> Policy:
    """How this order is booked: a sample as the buyer paid it, whatever takes its price away (TikTok contract 4.3)."""
    return replace(policy, money_mode=BUYER_PAID) if order.is_sample_order else policy


def booked_unit(line: LineItem, mode: str) -> Decimal:
    """A unit's price. As the seller earns it, TikTok's own discount is part of it: TikTok pays that out."""
    return line.sale_price + (line.platform_discount if mode == SELLER_EARNS else ZERO)


def booked_shipping(payment: Payment, mode: str) -> Decimal:
    return payment.shipping_fee + (payment.shipping_fee_platform_discount if mode == SELLER_EARNS else ZERO)


def expected_total(order: Order, policy: Policy) -> Decimal:
    """What Shopify must come to: live units and shipping, and the tax where it has a line."""
    policy = booking(order, policy)
    units = sum((booked_unit(line, policy.money_mode) for line in live(order.line_items)), ZERO)
    tax = added_tax(order) if policy.tax_line else ZERO
    return units + booked_shipping(order.payment, policy.money_mode) + tax


def added_tax(order: Order) -> Decimal:
    """Tax on top of the prices; 0 where the prices contain it (United Kingdom, European Union)."""
    p = order.payment
    contained = p.has("total_amount") and p.total_amount == p.sub_total + p.shipping_fee + _fees(p)
    return ZERO if contained else _tax(p)


def money_problem(order: Order) -> Problem | None:
    """TikTok's own figures that do not add up, both sums shown. Nothing may be booked from them.

    A partly cancelled order may state the sum of all its lines or of the live ones: TikTok does not say.
    """
    p = order.payment
    sums = [
        sum((line.sale_price for line in lines), ZERO) for lines in (live(order.line_items), order.line_items)
    ]
    if p.sub_total not in sums:
        return _mismatch(order, "lines", p.sub_total, sums[0])
    ours = p.shipping_fee_cofunded_discount or p.shipping_fee_seller_discount
    shipping = p.original_shipping_fee - ours - p.shipping_fee_platform_discount
    if p.has("original_shipping_fee") and p.shipping_fee != shipping:
        return _mismatch(order, "shipping", p.shipping_fee, shipping)
    return None


def _mismatch(order: Order, what: str, stated: Decimal, added_up: Decimal) -> Problem:
    sums = {"what": what, "stated": f"{stated:f}", "added_up": f"{added_up:f}", "currency": currency(order)}
    return Problem("amounts_mismatch", sums)


def unexplained(order: Order) -> Decimal:
    """What of total_amount no field accounts for: shown, not a stop."""
    p = order.payment
    if not p.has("total_amount"):
        return ZERO
    return p.total_amount - p.sub_total - p.shipping_fee - _fees(p) - added_tax(order)


def left_out(payment: Payment) -> dict[str, Decimal]:
    """Taxes and fees that TikTok collects beside what is booked, without the zeros."""
    amounts = {"tax": _tax(payment)} | {name: getattr(payment, name) for name in FEES}
    return {name: value for name, value in amounts.items() if value}


def _tax(payment: Payment) -> Decimal:
    return payment.tax if payment.has("tax") else payment.product_tax + payment.shipping_fee_tax


def _fees(payment: Payment) -> Decimal:
    return sum((getattr(payment, name) for name in FEES), ZERO)


# Kinds, tags, notes


def kinds(order: Order) -> frozenset[str]:
    """What is special about an order: names of connector.policy.KINDS."""
    lines = live(order.line_items)
    combined = order.split_or_combine_tag == "COMBINED" or bool(order.auto_combine_group_id)
    found = {
        "sample": order.is_sample_order,
        "gift": any(line.is_gift for line in lines),
        "replacement": order.is_replacement_order,
        "exchange": order.is_exchange_order,
        "subscription": order.is_subscription_order,
        "combined": combined,
        "split": order.split_or_combine_tag == "SPLIT",
        "bundle": any(line.is_bundle for line in lines),
        ORDER_TYPE_KINDS.get(order.order_type, ""): True,
    }
    return frozenset(kind for kind, is_so in found.items() if kind and is_so)


def tags(order: Order, policy: Policy, *, held: bool) -> tuple[str, ...]:
    """Ours first, then the merchant's. Shopify compares tags without case and parts them at commas."""
    ours = [SHOP_TAG, *([HOLD_TAG] if held else []), id_tag(order.id)]
    ours += [f"tiktok-{kind}" for kind in sorted(kinds(order))]
    extra = (" ".join(tag.replace(",", " ").split())[:TAG_LENGTH].strip() for tag in policy.extra_tags)
    allowed = (tag for tag in extra if tag and not _speaks_for_us(tag))
    unique: dict[str, str] = {}
    for tag in (*ours, *allowed):
        unique.setdefault(tag.casefold(), tag)
    return tuple(unique.values())[:TAG_COUNT]


def id_tag(tiktok_id: str) -> str:
    """The tag that finds our draft and order again."""
    return f"{ID_TAG}{tiktok_id}"


def released_tags(current: Iterable[str]) -> tuple[str, ...]:
    """The tags of a draft, whoever put them there, without the hold."""
    return tuple(tag for tag in current if tag.casefold() != HOLD_TAG)


def _speaks_for_us(tag: str) -> bool:
    return tag.casefold() == HOLD_TAG or tag.casefold().startswith(ID_TAG)


def note(order: Order, policy: Policy, *, held: bool) -> str:
    ours = _held_note(order.id) if held else _final_note(order.id)
    return f"{ours}\n\n{policy.note.strip()}".strip()


def released_note(current: str, tiktok_id: str) -> str:
    """A draft's note at its release: our own words replaced, what people wrote beside them kept."""
    return current.replace(_held_note(tiktok_id), _final_note(tiktok_id))


def _held_note(tiktok_id: str) -> str:
    return (
        f"TikTok Shop order {tiktok_id} is on hold: do not ship it, the buyer can still cancel. It becomes "
        "an order by itself when TikTok releases it. TikTok has collected the payment: Shopify charges nobody."
    )


def _final_note(tiktok_id: str) -> str:
    return (
        f"TikTok Shop order {tiktok_id}. TikTok has collected the payment: the payment shown here is a "
        "placeholder and Shopify charged nobody. Add the tracking number to the fulfillment here; it is "
        "sent on to TikTok."
    )


# Where it goes


def address(order: Order) -> PostalAddress | None:
    """The recipient as Shopify wants it; None where TikTok says nothing of a place."""
    a = order.address
    if a is None or not any(
        (a.address_line1, a.address_line2, a.address_detail, a.full_address, a.postal_code)
    ):
        return None
    first, last = _names(a)
    line1, line2 = _street(a)
    country = _country(a)
    return PostalAddress(
        first_name=first,
        last_name=last,
        address1=line1,
        address2=line2,
        city=(a.post_town or a.city) if country == "GB" else a.city,
        province_code=_province(a, country),
        zip=a.postal_code,
        country_code=country,
        phone=_phone(a.phone),
    )


def _names(a: Address) -> tuple[str, str]:
    """TikTok's first_name falls back to the whole name (TikTok contract 4.5); Shopify wants a last name."""
    if a.last_name:
        whole = a.first_name or a.name
        return (whole.removesuffix(a.last_name).strip() if whole == a.name else whole), a.last_name
    first, _, last = (a.name or a.first_name).strip().rpartition(" ")
    return first.strip(), last


def _street(a: Address) -> tuple[str, str]:
    """Every line once, the first as it is and the others joined."""
    lines = (a.address_line1, a.address_line2, a.address_line3, a.address_line4)
    told = list(dict.fromkeys(filter(None, (line.strip() for line in lines))))
    told = told or list(filter(None, [a.address_detail.strip() or a.full_address.strip()]))
    return (told[0], ", ".join(told[1:])) if told else ("", "")


def _country(a: Address) -> str:
    """Shopify has no country Puerto Rico, Guam and so on: they are states of the US there."""
    code = {"UK": "GB"}.get(a.region_code.upper(), a.region_code.upper())
    return "US" if code in US_TERRITORIES else code


def _province(a: Address, country: str) -> str:
    if a.region_code.upper() in US_TERRITORIES:
        return a.region_code.upper()
    code = a.state_code.upper().rpartition("-")[2]
    if country == "US":
        by_name = US_STATES.get(" ".join(a.state_name.casefold().split()), "")
        return code if code in US_STATES.values() else by_name
    if country == "GB":
        return code if code in GB_NATIONS else ""
    return code if code != country else ""


def _phone(phone: str) -> str:
    """ "(+1)2135551234" without its brackets; what is not a number stays as it is."""
    digits = re.sub(r"[\s().\-]", "", phone)
    return digits if re.fullmatch(r"\+?\d{5,15}", digits) else phone.strip()


def destination_warning(order: Order, shop_region: str = "US") -> str:
    """The territory or country code that an American TikTok Shop does not serve; "" where all is well."""
    if shop_region != "US" or order.address is None:
        return ""
    country = _country(order.address)
    if country not in ("", "US"):
        return country
    state = _province(order.address, "US")
    return state if state in US_TERRITORIES else ""


# What is kept of an order, and what changed since


def snapshot(order: Order) -> dict[str, Any]:
    """What may be stored of an order's goods and money, as JSON values: named fields, nothing personal."""
    return {
        "currency": currency(order),
        "amounts": {name: f"{getattr(order.payment, name):f}" for name in AMOUNTS if order.payment.has(name)},
        "unexplained": f"{unexplained(order):f}",
        "lines": [_line_snapshot(line) for line in order.line_items],
    }


def _line_snapshot(line: LineItem) -> dict[str, Any]:
    return {
        "id": line.id,
        "sku_id": line.sku_id,
        "seller_sku": line.seller_sku,
        "title": line_title(line),
        "sale_price": f"{line.sale_price:f}",
        "platform_discount": f"{line.platform_discount:f}",
        "seller_discount": f"{line.seller_discount:f}",
        "is_gift": line.is_gift,
        "cancelled": line.cancelled,
    }


def differences(before: Mapping[str, Any], order: Order) -> list[Difference]:
    """What of goods and booked money changed since a snapshot, units of a SKU together."""
    old = {line["id"]: line for line in before.get("lines", ()) if not line["cancelled"]}
    new = {line.id: _line_snapshot(line) for line in live(order.line_items)}
    known = {line.id for line in order.line_items}
    gone = {id: line for id, line in old.items() if id not in new}
    units = [
        *_unit_differences("cancelled", {id: line for id, line in gone.items() if id in known}, old, new),
        *_unit_differences("removed", {id: line for id, line in gone.items() if id not in known}, old, new),
        *_unit_differences("added", {id: line for id, line in new.items() if id not in old}, old, new),
    ]
    return [
        *units,
        *_price_differences(old, new),
        *_amount_differences(before.get("amounts", {}), order.payment),
    ]


_Lines = dict[str, dict[str, Any]]


def _unit_differences(what: str, changed: _Lines, old: _Lines, new: _Lines) -> list[Difference]:
    by_sku: dict[tuple[str, str], list[str]] = {}
    for unit_id, line in changed.items():
        by_sku.setdefault((line["sku_id"], line["seller_sku"]), []).append(unit_id)
    return [
        Difference(
            what,
            changed[ids[0]]["title"],
            seller_sku,
            tuple(ids),
            str(sum(line["sku_id"] == sku_id for line in old.values())),
            str(sum(line["sku_id"] == sku_id for line in new.values())),
        )
        for (sku_id, seller_sku), ids in by_sku.items()
    ]


def _price_differences(old: _Lines, new: _Lines) -> list[Difference]:
    found: dict[tuple[str, str, str, str, str], list[str]] = {}
    for unit_id, line in new.items():
        was = old.get(unit_id, line)
        for field in ("sale_price", "platform_discount"):
            if Decimal(was[field]) != Decimal(line[field]):
                key = (field, line["title"], line["seller_sku"], was[field], line[field])
                found.setdefault(key, []).append(unit_id)
    return [
        Difference(what, title, seller_sku, tuple(ids), was, now)
        for (what, title, seller_sku, was, now), ids in found.items()
    ]


def _amount_differences(before: Mapping[str, str], payment: Payment) -> list[Difference]:
    amounts = ((name, Decimal(before.get(name, "0")), getattr(payment, name)) for name in BOOKED_AMOUNTS)
    return [Difference(name, "", "", (), f"{was:f}", f"{now:f}") for name, was, now in amounts if was != now]


GB_NATIONS = frozenset({"ENG", "NIR", "SCT", "WLS", "BFP"})
US_TERRITORIES = frozenset({"PR", "GU", "VI", "AS", "MP"})
US_STATES = {
    "alabama": "AL",
    "alaska": "AK",
    "arizona": "AZ",
    "arkansas": "AR",
    "california": "CA",
    "colorado": "CO",
    "connecticut": "CT",
    "delaware": "DE",
    "district of columbia": "DC",
    "florida": "FL",
    "georgia": "GA",
    "hawaii": "HI",
    "idaho": "ID",
    "illinois": "IL",
    "indiana": "IN",
    "iowa": "IA",
    "kansas": "KS",
    "kentucky": "KY",
    "louisiana": "LA",
    "maine": "ME",
    "maryland": "MD",
    "massachusetts": "MA",
    "michigan": "MI",
    "minnesota": "MN",
    "mississippi": "MS",
    "missouri": "MO",
    "montana": "MT",
    "nebraska": "NE",
    "nevada": "NV",
    "new hampshire": "NH",
    "new jersey": "NJ",
    "new mexico": "NM",
    "new york": "NY",
    "north carolina": "NC",
    "north dakota": "ND",
    "ohio": "OH",
    "oklahoma": "OK",
    "oregon": "OR",
    "pennsylvania": "PA",
    "rhode island": "RI",
    "south carolina": "SC",
    "south dakota": "SD",
    "tennessee": "TN",
    "texas": "TX",
    "utah": "UT",
    "vermont": "VT",
    "virginia": "VA",
    "washington": "WA",
    "west virginia": "WV",
    "wisconsin": "WI",
    "wyoming": "WY",
    "american samoa": "AS",
    "guam": "GU",
    "northern mariana islands": "MP",
    "puerto rico": "PR",
    "virgin islands": "VI",
    "u.s. virgin islands": "VI",
    "us virgin islands": "VI",
    "armed forces americas": "AA",
    "armed forces europe": "AE",
    "armed forces pacific": "AP",
}
