"""Webhook bodies as Shopify sends them: snake case, times with the shop's offset, personal data and all.

What a subscription's include_fields leave out is cut afterwards, so a leak shows in the sandbox as it would live.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from shopify_app.sandbox.model import (
    ZERO,
    Discount,
    Draft,
    DraftLine,
    Fulfillment,
    Order,
    OrderLine,
    Product,
    Refund,
    RefundLine,
    Transaction,
    Variant,
    number_of,
)

if TYPE_CHECKING:
    from shopify_app.sandbox.shop import ShopState

Body = dict[str, Any]
APP_ID = 330000000001
LOCATION = 8200000001
STATES = {"US": "United States", "GB": "United Kingdom", "DE": "Germany", "CA": "Canada"}


def render(shop: ShopState, topic: str, subject: Any) -> Body:
    """The body of a topic about its subject, as of now."""
    return RENDERERS[topic](shop, subject)


def _draft(shop: ShopState, draft: Draft) -> Body:
    return {
        "id": number_of(draft.id),
        "note": draft.note,
        "email": draft.email,
        "taxes_included": shop.record.taxes_included,
        "currency": draft.currency,
        "invoice_sent_at": None,
        "created_at": _at(shop, draft.created_at),
        "updated_at": _at(shop, draft.updated_at),
        "tax_exempt": draft.tax_exempt,
        "completed_at": _at(shop, draft.completed_at),
        "name": draft.name,
        "allow_discount_codes_in_checkout?": draft.allow_discount_codes_in_checkout,
        "b2b?": False,
        "status": draft.status.lower(),
        "line_items": [_draft_line(line) for line in draft.lines],
        "api_client_id": APP_ID,
        "shipping_address": _address(draft.shipping_address),
        "billing_address": _address(draft.billing_address),
        "invoice_url": f"https://{shop.domain}/{shop.record.number}/invoices/{number_of(draft.id):x}",
        "created_on_api_version_handle": shop.platform.settings.served_version,
        "applied_discount": _discount(draft.applied_discount),
        "order_id": number_of(draft.order_id) if draft.order_id else None,
        "shipping_line": _draft_shipping(draft),
        "tax_lines": _taxes(shop, draft.totals.tax),
        "tags": ", ".join(draft.tags),
        "note_attributes": _pairs(draft.attributes),
        "total_price": _amount(draft.totals.total),
        "subtotal_price": _amount(draft.totals.subtotal),
        "total_tax": _amount(draft.totals.tax),
        "payment_terms": None,
        "admin_graphql_api_id": draft.id,
        "customer": _customer(draft.customer_id, draft.email),
    }


def _draft_line(line: DraftLine) -> Body:
    return {
        "id": number_of(line.id),
        "variant_id": _number(line.variant_id),
        "product_id": _number(line.product_id),
        "title": line.title,
        "variant_title": line.variant_title,
        "sku": line.sku,
        "vendor": line.vendor,
        "quantity": line.quantity,
        "requires_shipping": line.requires_shipping,
        "taxable": line.taxable,
        "gift_card": False,
        "fulfillment_service": "manual",
        "grams": 0,
        "tax_lines": [],
        "applied_discount": _discount(line.applied_discount),
        "name": line.name,
        "properties": _pairs(line.attributes),
        "custom": line.custom,
        "price": _amount(line.unit_price),
        "admin_graphql_api_id": line.id,
    }


def _draft_shipping(draft: Draft) -> Body | None:
    if draft.shipping_title is None:
        return None
    price = _amount(draft.shipping_price or ZERO)
    return {"title": draft.shipping_title, "custom": True, "handle": None, "price": price}


def _order(shop: ShopState, order: Order) -> Body:
    def money(amount: Decimal) -> Body:
        return _money_set(shop, amount, order.currency)

    none = money(ZERO)
    current = order.current_total
    return {
        "id": number_of(order.id),
        "admin_graphql_api_id": order.id,
        "app_id": APP_ID,
        "browser_ip": None,
        "buyer_accepts_marketing": False,
        "cancel_reason": order.cancel_reason.lower() if order.cancel_reason else None,
        "cancelled_at": _at(shop, order.cancelled_at),
        "cart_token": None,
        "checkout_id": None,
        "checkout_token": None,
        "client_details": None,
        "closed_at": _at(shop, order.closed_at),
        "company": None,
        "confirmed": True,
        "contact_email": order.email,
        "created_at": _at(shop, order.created_at),
        "currency": order.shop_currency,
        "current_subtotal_price": _amount(max(ZERO, current - order.totals.shipping - order.totals.tax)),
        "current_total_discounts": _amount(ZERO if order.cancelled_at else order.totals.discounts),
        "current_total_discounts_set": none if order.cancelled_at else money(order.totals.discounts),
        "current_total_price": _amount(current),
        "current_total_price_set": money(current),
        "current_total_tax": _amount(ZERO if order.cancelled_at else order.totals.tax),
        "customer_locale": None,
        "device_id": None,
        "discount_codes": [],
        "duties_included": False,
        "email": order.email or "",
        "estimated_taxes": False,
        "financial_status": order.financial_status.lower(),
        "fulfillment_status": _fulfillment_word(order.display_fulfillment_status),
        "landing_site": None,
        "location_id": None,
        "name": order.name,
        "note": order.note,
        "note_attributes": _pairs(order.attributes),
        "number": order.number - 1000,
        "order_number": order.number,
        "order_status_url": f"https://{shop.domain}/{shop.record.number}/orders/{number_of(order.id):x}",
        "payment_gateway_names": order.payment_gateway_names,
        "phone": order.phone,
        "po_number": order.po_number,
        "presentment_currency": order.currency,
        "processed_at": _at(shop, order.processed_at),
        "reference": None,
        "referring_site": None,
        "source_identifier": order.source_identifier,
        "source_name": order.source_name,
        "source_url": None,
        "subtotal_price": _amount(order.totals.subtotal),
        "subtotal_price_set": money(order.totals.subtotal),
        "tags": ", ".join(order.tags),
        "tax_exempt": order.tax_exempt,
        "tax_lines": _taxes(shop, order.totals.tax),
        "taxes_included": shop.record.taxes_included,
        "test": False,
        "token": f"{number_of(order.id):032x}",
        "total_discounts": _amount(order.totals.discounts),
        "total_discounts_set": money(order.totals.discounts),
        "total_line_items_price": _amount(order.totals.lines),
        "total_line_items_price_set": money(order.totals.lines),
        "total_outstanding": _amount(order.total_outstanding_set),
        "total_price": _amount(order.totals.total),
        "total_price_set": money(order.totals.total),
        "total_shipping_price_set": money(order.totals.shipping),
        "total_tax": _amount(order.totals.tax),
        "total_tax_set": money(order.totals.tax),
        "total_tip_received": "0.00",
        "total_weight": 0,
        "updated_at": _at(shop, order.updated_at),
        "user_id": None,
        "billing_address": _address(order.billing_address),
        "customer": _customer(order.customer_id, order.email),
        "discount_applications": [],
        "fulfillments": [_fulfillment(shop, f) for f in order.fulfillments],
        "line_items": [_order_line(shop, order, line) for line in order.lines],
        "payment_terms": None,
        "refunds": [_refund(shop, r) for r in order.refunds],
        "shipping_address": _address(order.shipping_address),
        "shipping_lines": _shipping_lines(shop, order),
        "returns": [],
        "line_item_groups": [],
    }


def _order_line(shop: ShopState, order: Order, line: OrderLine) -> Body:
    return _line(shop, order, line) | {
        "attributed_staffs": [],
        "current_quantity": line.current_quantity,
        "sales_line_item_group_id": None,
    }


def _line(shop: ShopState, order: Order, line: OrderLine) -> Body:
    """What orders and fulfillments both say of a line."""
    left = order.remaining(line)
    sent = order.fulfilled_units.get(line.id, 0)
    return {
        "id": number_of(line.id),
        "admin_graphql_api_id": line.id,
        "fulfillable_quantity": left,
        "variant_id": _number(line.variant_id),
        "title": line.title,
        "quantity": line.quantity,
        "sku": line.sku,
        "variant_title": line.variant_title,
        "vendor": line.vendor,
        "fulfillment_service": "manual",
        "product_id": _number(line.product_id),
        "requires_shipping": line.requires_shipping,
        "taxable": line.taxable,
        "gift_card": False,
        "name": line.name,
        "variant_inventory_management": "shopify" if line.variant_id else None,
        "properties": _pairs(line.attributes),
        "product_exists": line.product_id in shop.products,
        "grams": 0,
        "price": _amount(line.unit_price),
        "total_discount": _amount(line.discount),
        "fulfillment_status": None if not sent else ("partial" if left else "fulfilled"),
        "price_set": _money_set(shop, line.unit_price, order.currency),
        "total_discount_set": _money_set(shop, line.discount, order.currency),
        "discount_allocations": [],
        "duties": [],
        "tax_lines": [],
    }


def _shipping_lines(shop: ShopState, order: Order) -> list[Body]:
    if order.shipping_line_id is None:
        return []
    return [
        {
            "id": number_of(order.shipping_line_id),
            "carrier_identifier": None,
            "code": "custom",
            "discounted_price": _amount(order.totals.shipping),
            "is_removed": False,
            "phone": None,
            "price": _amount(order.totals.shipping),
            "price_set": _money_set(shop, order.totals.shipping, order.currency),
            "source": "shopify",
            "title": order.shipping_title,
            "tax_lines": [],
            "discount_allocations": [],
        }
    ]


def _fulfillment(shop: ShopState, fulfillment: Fulfillment) -> Body:
    order = shop.orders[fulfillment.order_id]
    lines = {line.id: line for line in order.lines}
    return {
        "id": number_of(fulfillment.id),
        "order_id": number_of(fulfillment.order_id),
        "status": fulfillment.status.lower(),
        "created_at": _at(shop, fulfillment.created_at),
        "service": "manual",
        "updated_at": _at(shop, fulfillment.updated_at),
        "tracking_company": fulfillment.company,
        "shipment_status": fulfillment.shipment_status,
        "location_id": LOCATION,
        "origin_address": None,
        "email": order.email or "",
        "destination": _address(order.shipping_address),
        "line_items": [
            {**_line(shop, order, lines[line_id]), "quantity": quantity}
            for line_id, quantity in fulfillment.units.items()
        ],
        "tracking_number": fulfillment.numbers[0] if fulfillment.numbers else None,
        "tracking_numbers": fulfillment.numbers,
        "tracking_url": fulfillment.urls[0] if fulfillment.urls else None,
        "tracking_urls": fulfillment.urls,
        "receipt": {},
        "name": f"{fulfillment.order_name}.{fulfillment.number}",
        "admin_graphql_api_id": fulfillment.id,
    }


def _refund(shop: ShopState, refund: Refund) -> Body:
    order = shop.orders[refund.order_id]
    return {
        "id": number_of(refund.id),
        "admin_graphql_api_id": refund.id,
        "created_at": _at(shop, refund.created_at),
        "note": refund.note,
        "order_id": number_of(refund.order_id),
        "processed_at": _at(shop, refund.processed_at),
        "restock": any(line.restocked for line in refund.lines),
        "user_id": None,
        "duties": [],
        "order_adjustments": [],
        "return": None,
        "refund_shipping_lines": [],
        "refund_line_items": [_refund_line(shop, order, line) for line in refund.lines],
        "transactions": [_transaction(shop, order, t) for t in refund.transactions],
    }


def _refund_line(shop: ShopState, order: Order, line: RefundLine) -> Body:
    bought = next(item for item in order.lines if item.id == line.line_id)
    return {
        "id": number_of(line.id),
        "line_item_id": number_of(line.line_id),
        "location_id": LOCATION,
        "quantity": line.quantity,
        "restock_type": line.restock_type.lower(),
        "subtotal": float(line.subtotal),
        "subtotal_set": _money_set(shop, line.subtotal, order.currency),
        "total_tax": 0.0,
        "total_tax_set": _money_set(shop, ZERO, order.currency),
        "line_item": _order_line(shop, order, bought),
    }


def _transaction(shop: ShopState, order: Order, transaction: Transaction) -> Body:
    return {
        "id": number_of(transaction.id),
        "admin_graphql_api_id": transaction.id,
        "amount": _amount(transaction.amount),
        "created_at": _at(shop, transaction.created_at),
        "currency": order.currency,
        "gateway": transaction.gateway,
        "kind": transaction.kind.lower(),
        "message": f"Refunded {_amount(transaction.amount)} from {transaction.gateway} gateway",
        "order_id": number_of(order.id),
        "parent_id": _number(transaction.parent_id),
        "processed_at": _at(shop, transaction.processed_at),
        "receipt": {},
        "source_name": order.source_name,
        "status": transaction.status.lower(),
        "test": False,
    }


def _product(shop: ShopState, product: Product) -> Body:
    return {
        "admin_graphql_api_id": product.id,
        "id": number_of(product.id),
        "title": product.title,
        "handle": product.handle,
        "status": product.status.lower(),
        "vendor": product.vendor,
        "tags": ", ".join(product.tags),
        "created_at": _at(shop, product.created_at),
        "updated_at": _at(shop, product.updated_at),
        "variants": [_variant(shop, shop.variants[gid]) for gid in product.variant_ids],
        "images": [],
        "image": None,
    }


def _variant(shop: ShopState, variant: Variant) -> Body:
    return {
        "admin_graphql_api_id": variant.id,
        "id": number_of(variant.id),
        "product_id": number_of(variant.product_id),
        "sku": variant.sku,
        "title": variant.title,
        "price": _amount(variant.price),
        "taxable": variant.taxable,
        "updated_at": _at(shop, variant.updated_at),
        "inventory_item_id": number_of(variant.inventory_item_id),
        "inventory_quantity": variant.available,
    }


def _inventory_level(shop: ShopState, variant: Variant) -> Body:
    item = number_of(variant.inventory_item_id)
    return {
        "inventory_item_id": item,
        "location_id": LOCATION,
        "available": variant.available,
        "updated_at": _at(shop, shop.platform.clock.stamp()),
        "admin_graphql_api_id": f"gid://shopify/InventoryLevel/{LOCATION}01?inventory_item_id={item}",
    }


def _only_id(shop: ShopState, thing: Draft | Order | Product) -> Body:
    return {"id": number_of(thing.id)}


def _uninstalled(shop: ShopState, _: Any) -> Body:
    record = shop.record
    return {
        "id": record.number,
        "name": record.name,
        "email": "owner@example.com",
        "domain": None,
        "province": "Texas",
        "country": "US",
        "address1": "1 Main Street",
        "zip": "78701",
        "city": "Austin",
        "phone": "",
        "primary_locale": "en",
        "created_at": None,
        "updated_at": None,
        "currency": record.currency,
        "customer_email": "owner@example.com",
        "iana_timezone": None,
        "shop_owner": "Owner Name",
        "plan_display_name": record.plan,
        "plan_name": record.plan.lower(),
        "myshopify_domain": None,
        "enabled_presentment_currencies": record.currencies,
    }


def _scopes_update(shop: ShopState, change: tuple[list[str], list[str]]) -> Body:
    return {
        "id": 1800000001,
        "previous": change[0],
        "current": change[1],
        "updated_at": shop.platform.clock.now().strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "shop_id": f"gid://shopify/Shop/{shop.record.number}",
    }


def _customer_topic(member: str) -> Callable[[ShopState, list[str]], Body]:
    def body(shop: ShopState, order_ids: list[str]) -> Body:
        asked: Body = {"data_request": {"id": 9999}} if member == "orders_requested" else {}
        return {
            "shop_id": shop.record.number,
            "shop_domain": shop.domain,
            member: [number_of(gid) for gid in order_ids],
            "customer": {"id": 7700000000001, "email": "ana@example.com", "phone": "+15125550100"},
            **asked,
        }

    return body


def _shop_redact(shop: ShopState, _: Any) -> Body:
    return {"shop_id": shop.record.number, "shop_domain": shop.domain}


def _address(given: dict[str, str | None] | None) -> Body | None:
    if given is None:
        return None
    country = given.get("countryCode")
    names = [n for n in (given.get("firstName"), given.get("lastName")) if n]
    return {
        "first_name": given.get("firstName"),
        "last_name": given.get("lastName"),
        "name": " ".join(names),
        "company": given.get("company"),
        "address1": given.get("address1"),
        "address2": given.get("address2"),
        "city": given.get("city"),
        "zip": given.get("zip"),
        "province": given.get("provinceCode"),
        "province_code": given.get("provinceCode"),
        "country": STATES.get(country or "", country),
        "country_code": country,
        "phone": given.get("phone"),
        "latitude": 30.27,
        "longitude": -97.74,
    }


def _customer(gid: str | None, email: str | None) -> Body | None:
    return {"id": _number(gid) or 7700000000001, "email": email} if gid or email else None


def _discount(discount: Discount | None) -> Body | None:
    if discount is None:
        return None
    return {
        "description": discount.description,
        "value": str(discount.value),
        "title": discount.title,
        "amount": _amount(discount.amount),
        "value_type": discount.value_type.lower(),
    }


def _taxes(shop: ShopState, tax: Decimal) -> list[Body]:
    if not tax:
        return []
    return [{"rate": float(shop.record.tax_rate), "title": "State tax", "price": _amount(tax)}]


def _money_set(shop: ShopState, amount: Decimal, currency: str) -> Body:
    shop_amount = amount * shop.rate(currency)
    return {
        "shop_money": {"amount": _amount(shop_amount), "currency_code": shop.record.currency},
        "presentment_money": {"amount": _amount(amount), "currency_code": currency},
    }


def _fulfillment_word(status: str) -> str | None:
    return {"FULFILLED": "fulfilled", "PARTIALLY_FULFILLED": "partial"}.get(status)


def _pairs(attributes: dict[str, str]) -> list[Body]:
    return [{"name": name, "value": value} for name, value in attributes.items()]


def _number(gid: str | None) -> int | None:
    return number_of(gid) if gid else None


def _amount(amount: Decimal) -> str:
    return f"{amount:.2f}"


def _at(shop: ShopState, moment: datetime | None) -> str | None:
    return moment.astimezone(ZoneInfo(shop.record.timezone)).isoformat(timespec="seconds") if moment else None


RENDERERS: dict[str, Callable[[ShopState, Any], Body]] = {
    "app/scopes_update": _scopes_update,
    "app/uninstalled": _uninstalled,
    "customers/data_request": _customer_topic("orders_requested"),
    "customers/redact": _customer_topic("orders_to_redact"),
    "draft_orders/create": _draft,
    "draft_orders/delete": _only_id,
    "draft_orders/update": _draft,
    "fulfillments/create": _fulfillment,
    "fulfillments/update": _fulfillment,
    "inventory_levels/update": _inventory_level,
    "orders/cancelled": _order,
    "orders/create": _order,
    "orders/delete": _only_id,
    "orders/edited": _order,
    "orders/updated": _order,
    "products/create": _product,
    "products/delete": _only_id,
    "products/update": _product,
    "refunds/create": _refund,
    "shop/redact": _shop_redact,
}
