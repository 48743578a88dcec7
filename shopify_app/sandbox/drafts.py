"""Draft orders: create, update, complete, delete, with the rules of the Admin API (Shopify contract b, c, d, e)."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from shopify_app.sandbox import orders
from shopify_app.sandbox.model import ZERO, Discount, Draft, DraftLine, Order, Totals
from shopify_app.sandbox.pricing import discount_amount, draft_totals
from shopify_app.sandbox.problems import UserErrors, refusal
from shopify_app.sandbox.settings import draw

if TYPE_CHECKING:
    from shopify_app.sandbox.shop import ShopState

Given = dict[str, Any]
MAX_LINES = 499
MAX_TAGS = 250
MAX_TAG_LENGTH = 40
PERSONAL = ("email", "phone", "purchasingEntity", "customerId", "useCustomerDefaultAddress")


def create(shop: ShopState, given: Given, by: str = "app") -> Draft:
    """Raises UserErrors; never creates twice the same, never refuses a twin either: it is not idempotent."""
    draft = calculate(shop, given)
    draft.id = shop.platform.ids.next("DraftOrder")
    draft.number = shop.record.next_draft
    shop.record.next_draft += 1
    shop.drafts[draft.id] = draft
    _watch_personal(shop, draft, given)
    _apply_reservation(shop, draft)
    shop.note("draft_created", by=by, draft=draft.id, total=str(draft.totals.total), tags=list(draft.tags))
    shop.touch(draft, "draft_orders/create")
    return draft


def calculate(shop: ShopState, given: Given) -> Draft:
    """The draft this input would make, saved nowhere."""
    if not given.get("lineItems"):
        raise UserErrors("Add at least 1 product")
    now = shop.platform.clock.stamp()
    currency = _presentment_currency(shop, given.get("presentmentCurrencyCode"))
    draft = Draft(
        id="gid://shopify/DraftOrder/0",
        number=0,
        created_at=now,
        updated_at=now,
        ready_at=_ready_at(shop),
        currency=currency,
        shop_currency=shop.record.currency,
        lines=[],
        totals=Totals(),
    )
    _fill(shop, draft, given)
    return draft


def update(shop: ShopState, draft: Draft, given: Given, by: str = "app") -> Draft:
    """Members left out keep their value, lists that are given replace (Shopify contract c)."""
    if draft.completed_at:
        raise UserErrors("This draft order has already been completed")
    changed = copy.deepcopy(draft)
    if currency := given.get("presentmentCurrencyCode"):
        changed.currency = _presentment_currency(shop, currency)
    _fill(shop, changed, given)
    changed.ready_at = _ready_at(shop)
    shop.drafts[draft.id] = changed
    _watch_personal(shop, changed, given)
    if "reserveInventoryUntil" in given or ("lineItems" in given and changed.reserved):
        _apply_reservation(shop, changed)
    shop.note(
        "draft_updated",
        by=by,
        draft=draft.id,
        members=sorted(given),
        total=str(changed.totals.total),
        tags=list(changed.tags),
    )
    shop.touch(changed, "draft_orders/update")
    return changed


def complete(shop: ShopState, draft: Draft, *, pending: bool = False, by: str = "app") -> Order:
    """The draft becomes an order, paid on the gateway `manual` unless pending. Raises UserErrors."""
    if draft.completed_at:
        raise UserErrors("This order has been paid")
    if shop.platform.clock.now() < draft.ready_at:
        raise UserErrors("Draft order is not ready to be completed, it is still being calculated")
    if shop.platform.settings.refuse_out_of_stock:
        _check_stock(shop, draft)
    shop.release(draft)
    order = orders.from_draft(shop, draft, pending=pending or draft.payment_pending)
    draft.completed_at = shop.platform.clock.stamp()
    draft.order_id = order.id
    shop.note(
        "order_created",
        by=by,
        draft=draft.id,
        order=order.id,
        name=order.name,
        total=str(order.totals.total),
        currency=order.currency,
        tags=list(order.tags),
        paid=not order.unpaid,
    )
    if draft.email:
        shop.mail("order_confirmation", order=order.id)
    shop.touch(draft, "draft_orders/update")
    shop.touch(order, "orders/create", "orders/updated")
    return order


def delete(shop: ShopState, draft: Draft, by: str = "app") -> None:
    shop.release(draft)
    del shop.drafts[draft.id]
    shop.unindex(draft)
    shop.note("draft_deleted", by=by, draft=draft.id, tags=list(draft.tags))
    shop.announce("draft_orders/delete", draft)


def clean_tags(tags: Sequence[str]) -> list[str]:
    """Sorted and without doubles, as Shopify gives them back. Raises UserErrors on a tag too long."""
    kept: dict[str, str] = {}
    for place, tag in enumerate(tags):
        if len(tag.strip()) > MAX_TAG_LENGTH:
            raise UserErrors(
                f"Title Tag exceeds the maximum length of {MAX_TAG_LENGTH}", ["tags", str(place)]
            )
        if tag.strip():
            kept.setdefault(tag.strip().casefold(), tag.strip())
    if len(kept) > MAX_TAGS:
        raise UserErrors(f"Tags exceed the maximum of {MAX_TAGS}", ["tags"])
    return sorted(kept.values(), key=str.casefold)


def attributes(given: Sequence[Given] | None) -> dict[str, str]:
    return {entry["key"]: entry["value"] for entry in given or ()}


def merged(former: Given | None, given: Given | None) -> Given | None:
    """An address after an update: what is left out keeps its value, also inside it (Shopify contract c)."""
    return {**(former or {}), **given} if given else None


def moment(value: str) -> datetime:
    parsed = datetime.fromisoformat(value)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _fill(shop: ShopState, draft: Draft, given: Given) -> None:
    for member, name in (
        ("note", "note"),
        ("email", "email"),
        ("phone", "phone"),
        ("poNumber", "po_number"),
        ("taxExempt", "tax_exempt"),
        ("acceptAutomaticDiscounts", "accept_automatic_discounts"),
        ("allowDiscountCodesInCheckout", "allow_discount_codes_in_checkout"),
        ("visibleToCustomer", "visible_to_customer"),
    ):
        if member in given:
            setattr(draft, name, given[member])
    if "shippingAddress" in given:
        draft.shipping_address = merged(draft.shipping_address, given["shippingAddress"])
    if "billingAddress" in given:
        draft.billing_address = merged(draft.billing_address, given["billingAddress"])
    if "tags" in given:
        draft.tags = clean_tags(given["tags"] or ())
    if "customAttributes" in given:
        draft.attributes = attributes(given["customAttributes"])
    if "metafields" in given:
        draft.metafields = []  # accepted, but never copied to the order (Shopify contract b)
    if "reserveInventoryUntil" in given:
        draft.reserve_inventory_until = _future(shop, given["reserveInventoryUntil"])
    if "lineItems" in given:
        draft.lines = _lines(shop, draft.currency, given["lineItems"] or ())
    if "shippingLine" in given:
        _set_shipping(draft, given["shippingLine"])
    if "appliedDiscount" in given:
        draft.applied_discount = _discount(given["appliedDiscount"], draft.currency, ["appliedDiscount"])
    if "customerId" in given or (given.get("purchasingEntity") or {}).get("customerId"):
        draft.customer_id = given.get("customerId") or given["purchasingEntity"]["customerId"]
    _price(shop, draft)


def _price(shop: ShopState, draft: Draft) -> None:
    automatic = shop.record.automatic_discount
    draft.platform_discount = (
        Discount("Welcome offer", "automatic", "PERCENTAGE", automatic, ZERO)
        if automatic and draft.accept_automatic_discounts
        else None
    )
    draft.totals = draft_totals(
        draft.lines,
        [d for d in (draft.applied_discount, draft.platform_discount) if d],
        draft.shipping_price,
        ZERO if draft.tax_exempt else shop.record.tax_rate,
        included=shop.record.taxes_included,
    )


def _lines(shop: ShopState, currency: str, given: Sequence[Given]) -> list[DraftLine]:
    if not given:
        raise UserErrors("Add at least 1 product")
    if len(given) > MAX_LINES:
        raise refusal(
            "MAX_INPUT_SIZE_EXCEEDED",
            f"The input array size of {len(given)} is greater than the maximum allowed of {MAX_LINES}.",
        )
    return [_line(shop, currency, entry, place) for place, entry in enumerate(given)]


def _line(shop: ShopState, currency: str, given: Given, place: int) -> DraftLine:
    where = ["lineItems", str(place)]
    if given["quantity"] < 1:
        raise UserErrors("Quantity must be greater than or equal to 1", [*where, "quantity"])
    line = (
        _variant_line(shop, currency, given)
        if given.get("variantId")
        else _custom_line(currency, given, where)
    )
    line.id = shop.platform.ids.next("DraftOrderLineItem")
    line.uuid = given.get("uuid") or str(uuid.UUID(int=shop.platform.random.getrandbits(128), version=4))
    line.quantity = given["quantity"]
    line.attributes = attributes(given.get("customAttributes"))
    line.currency = currency
    if line.unit_price < 0:
        raise UserErrors("Cannot send negative price for line_item", where)
    if given.get("appliedDiscount"):
        line.applied_discount = _discount(given["appliedDiscount"], currency, where)
        if line.applied_discount:
            line.applied_discount.amount = min(
                discount_amount(line.applied_discount, line.original_total_set), line.original_total_set
            )
    return line


def _variant_line(shop: ShopState, currency: str, given: Given) -> DraftLine:
    """With a variant its own title, SKU and price count, but for a price override (Shopify contract b)."""
    variant = shop.variants.get(given["variantId"])
    if variant is None:
        number = given["variantId"].rsplit("/", 1)[-1]
        raise UserErrors(f"Product with ID {number} is no longer available.")
    product = shop.products[variant.product_id]
    override = given.get("priceOverride")
    price = (
        _money(override, currency, ["lineItems", "priceOverride"])
        if override
        else variant.price / shop.rate(currency)
    )
    return DraftLine(
        id="",
        uuid="",
        title=product.title,
        variant_title=None if variant.title == "Default Title" else variant.title,
        sku=variant.sku,
        quantity=1,
        unit_price=price,
        variant_id=variant.id,
        product_id=product.id,
        vendor=product.vendor,
        taxable=variant.taxable,
        requires_shipping=variant.requires_shipping,
        overridden=bool(override),
    )


def _custom_line(currency: str, given: Given, where: list[str]) -> DraftLine:
    if not (given.get("title") or "").strip():
        raise UserErrors("Merchandise title is empty.", where)
    if given.get("priceOverride"):
        raise UserErrors("Price override is only allowed for line items with a variant.", where)
    price = given.get("originalUnitPriceWithCurrency")
    return DraftLine(
        id="",
        uuid="",
        title=given["title"],
        variant_title=None,
        sku=given.get("sku"),
        quantity=1,
        unit_price=_money(price, currency, where)
        if price
        else Decimal(given.get("originalUnitPrice") or "0"),
        taxable=given.get("taxable", True),
        requires_shipping=given.get("requiresShipping", False),
    )


def _set_shipping(draft: Draft, given: Given | None) -> None:
    draft.shipping_title = draft.shipping_price = None
    if not given:
        return
    price = given.get("priceWithCurrency")
    draft.shipping_title = given.get("title") or "Custom"
    draft.shipping_price = (
        _money(price, draft.currency, ["shippingLine"]) if price else Decimal(given.get("price") or "0")
    )


def _discount(given: Given | None, currency: str, where: list[str]) -> Discount | None:
    if not given:
        return None
    value = Decimal(str(given["value"]))
    if value != round(value, 2):
        raise UserErrors("Discount value must have at most 2 decimals", [*where, "value"])
    if value < 0 or (given["valueType"] == "PERCENTAGE" and value > 100):
        raise UserErrors("Discount value must be between 0 and 100", [*where, "value"])
    if amount := given.get("amountWithCurrency"):
        named = _money(amount, currency, where)
        if given["valueType"] == "FIXED_AMOUNT" and named != value:
            raise UserErrors("Discount amount and value differ", [*where, "amount"])
    return Discount(given.get("title") or "", given.get("description"), given["valueType"], value, ZERO)


def _money(given: Given, currency: str, where: list[str]) -> Decimal:
    if given["currencyCode"] != currency:
        raise UserErrors(f"Currency must be the presentment currency {currency}", where)
    try:
        amount = Decimal(str(given["amount"]))
    except InvalidOperation:
        raise UserErrors("Price is not a number", where) from None
    if amount < 0:
        raise UserErrors("Cannot send negative price for line_item", where)
    if amount != round(amount, 2):
        raise UserErrors("Price must have at most 2 decimals", where)
    return round(amount, 2)


def _presentment_currency(shop: ShopState, code: str | None) -> str:
    if code and code not in shop.record.currencies:
        raise UserErrors(
            f"Presentment currency {code} is not enabled for this shop", ["presentmentCurrencyCode"]
        )
    return code or shop.record.currency


def _future(shop: ShopState, value: str | None) -> datetime | None:
    if value is None:
        return None
    until = moment(value)
    if until <= shop.platform.clock.now():
        raise UserErrors("Reserve until can't be in the past", ["reserveInventoryUntil"])
    return until


def _apply_reservation(shop: ShopState, draft: Draft) -> None:
    if draft.reserve_inventory_until:
        shop.reserve(draft)
    else:
        shop.release(draft)


def _check_stock(shop: ShopState, draft: Draft) -> None:
    for line in draft.lines:
        variant = shop.variants.get(line.variant_id or "")
        held = draft.reserved.get(line.variant_id or "", 0)
        if variant and variant.tracked and variant.available + held < line.quantity:
            raise UserErrors(f"{line.name} is out of stock")


def _ready_at(shop: ShopState) -> datetime:
    delay = draw(shop.platform.random, shop.platform.settings.ready_after)
    return shop.platform.clock.now() + timedelta(seconds=delay)


def _watch_personal(shop: ShopState, draft: Draft, given: Given) -> None:
    """No customer, no e-mail: either would bring order mails to a buyer who is TikTok's."""
    for member in PERSONAL:
        if given.get(member):
            shop.violation(f"a draft was given {member}: it makes a customer or mails the buyer")
    if given.get("email"):
        shop.mail("customer_linked", draft=draft.id)
