"""An order as TikTok holds it, its money, and the object its API shows (TikTok contract 4)."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tiktok.sandbox import buyers
from tiktok.sandbox.buyers import Buyer
from tiktok.sandbox.catalogue import Sku

Json = dict[str, Any]
ZERO = Decimal(0)
DAY = 86_400

UNPAID = "UNPAID"
ON_HOLD = "ON_HOLD"
AWAITING_SHIPMENT = "AWAITING_SHIPMENT"
PARTIALLY_SHIPPING = "PARTIALLY_SHIPPING"
AWAITING_COLLECTION = "AWAITING_COLLECTION"
IN_TRANSIT = "IN_TRANSIT"
DELIVERED = "DELIVERED"
COMPLETED = "COMPLETED"
CANCELLED = "CANCELLED"
PROGRESS = (
    UNPAID,
    ON_HOLD,
    AWAITING_SHIPMENT,
    PARTIALLY_SHIPPING,
    AWAITING_COLLECTION,
    IN_TRANSIT,
    DELIVERED,
    COMPLETED,
)
BEFORE_RELEASE = frozenset({UNPAID, ON_HOLD})
PACKAGE_STATUS = {
    AWAITING_COLLECTION: "PROCESSING",
    IN_TRANSIT: "FULFILLING",
    DELIVERED: "COMPLETED",
    COMPLETED: "COMPLETED",
    CANCELLED: "CANCELLED",
}


@dataclass(slots=True)
class Parcelled:
    """What is true of anything that travels in a package."""

    id: str
    sku: Sku
    status: str = UNPAID
    package_id: str = ""
    number: str = ""
    provider_id: str = ""
    provider_name: str = ""
    rts_time: int = 0
    cancel_user: str = ""
    cancel_reason: str = ""

    @property
    def live(self) -> bool:
        return self.status != CANCELLED

    @property
    def shipped(self) -> bool:
        return bool(self.package_id)


@dataclass(slots=True)
class Line(Parcelled):
    """One unit of one SKU. `parts` are the units inside a virtual bundle, each with its own id."""

    original_price: Decimal = ZERO
    seller_discount: Decimal = ZERO
    platform_discount: Decimal = ZERO
    tax: Decimal = ZERO
    tax_rate: str = "0"
    is_gift: bool = False
    gift_value: Decimal = ZERO
    parts: list[Parcelled] = field(default_factory=list)
    recipe: list[tuple[Sku, int]] = field(default_factory=list)

    @property
    def sale_price(self) -> Decimal:
        return self.original_price - self.seller_discount - self.platform_discount


@dataclass(slots=True)
class Charges:
    """The order-level amounts. `others` are fees beyond the documented sum; `lies` replace what is shown."""

    shipping: Decimal = ZERO
    shipping_seller_discount: Decimal = ZERO
    shipping_platform_discount: Decimal = ZERO
    shipping_cofunded_discount: Decimal = ZERO
    shipping_tax: Decimal = ZERO
    retail_delivery_fee: Decimal = ZERO
    others: dict[str, Decimal] = field(default_factory=dict)
    lies: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Order:
    id: str
    shop_id: str
    region: str
    currency: str
    buyer: Buyer
    lines: list[Line]
    charges: Charges
    create_time: int
    update_time: int
    paid_time: int = 0
    hold: bool = True
    hold_seconds: float = 3600
    order_type: str = "NORMAL"
    release_date: int = 0
    handling_days: int = 0
    fulfillment_type: str = "FULFILLMENT_BY_SELLER"
    shipping_type: str = "SELLER"
    delivery_option_id: str = ""
    warehouse_id: str = ""
    buyer_message: str = ""
    seller_note: str = ""
    sample: bool = False
    subscription: bool = False
    replacement_of: str = ""
    exchange_of: str = ""
    combine_group: str = ""
    split_or_combine_tag: str = ""
    cancel_requested: bool = False
    request_cancel_time: int = 0
    cancel_time: int = 0
    cancel_reason: str = ""
    cancel_initiator: str = ""
    address_changed: bool = False
    address_time: int = 0
    without_address: bool = False
    return_open: bool = False
    masked: bool = False
    rts_time: int = 0
    collection_time: int = 0
    delivery_time: int = 0
    complete_time: int = 0

    @property
    def live_lines(self) -> list[Line]:
        return [line for line in self.lines if line.live]

    @property
    def status(self) -> str:
        """The lines decide; the order is cancelled only when every line is."""
        statuses = {line.status for line in self.live_lines}
        if not statuses:
            return CANCELLED
        if len(statuses) > 1 and AWAITING_SHIPMENT in statuses:
            return PARTIALLY_SHIPPING
        return min(statuses, key=PROGRESS.index)

    @property
    def package_ids(self) -> list[str]:
        found = [line.package_id for line in self.lines if line.package_id]
        found += [part.package_id for line in self.lines for part in line.parts if part.package_id]
        return list(dict.fromkeys(found))

    @property
    def split(self) -> bool:
        """Some of it travels apart from the rest, or stays behind: TikTok asks for the package by name."""
        left = any(not line.shipped for line in self.live_lines)
        return len(self.package_ids) > 1 or self.split_or_combine_tag == "SPLIT" or left

    @property
    def seller_ships(self) -> bool:
        return self.fulfillment_type == "FULFILLMENT_BY_SELLER" and self.shipping_type == "SELLER"

    def set_status(self, status: str) -> None:
        """Every live line moves, and what is inside its bundle."""
        for line in self.live_lines:
            for item in (line, *line.parts):
                if item.live:
                    item.status = status


def payment_json(order: Order) -> Json:
    """Every amount of TikTok contract 4.3; its formulas hold to the cent unless a test asked for a lie."""
    charges = order.charges
    original = sum((line.original_price for line in order.lines), ZERO)
    seller = sum((line.seller_discount for line in order.lines), ZERO)
    platform = sum((line.platform_discount for line in order.lines), ZERO)
    product_tax = sum((line.tax for line in order.lines), ZERO)
    sub_total = original - seller - platform
    own_share = charges.shipping_cofunded_discount or charges.shipping_seller_discount
    shipping = charges.shipping - own_share - charges.shipping_platform_discount
    tax = product_tax + charges.shipping_tax
    total = sub_total + shipping + tax + charges.retail_delivery_fee + sum(charges.others.values(), ZERO)
    amounts = {
        "sub_total": sub_total,
        "shipping_fee": shipping,
        "seller_discount": seller,
        "platform_discount": platform,
        "payment_platform_discount": ZERO,
        "total_amount": total,
        "original_total_product_price": original,
        "original_shipping_fee": charges.shipping,
        "shipping_fee_seller_discount": ZERO
        if charges.shipping_cofunded_discount
        else charges.shipping_seller_discount,
        "shipping_fee_platform_discount": charges.shipping_platform_discount,
        "shipping_fee_cofunded_discount": charges.shipping_cofunded_discount,
        "tax": tax,
        "product_tax": product_tax,
        "shipping_fee_tax": charges.shipping_tax,
        "retail_delivery_fee": charges.retail_delivery_fee,
        "item_insurance_fee": ZERO,
        "item_insurance_tax": ZERO,
    } | charges.others
    return {
        "currency": order.currency,
        **{name: amount(value) for name, value in amounts.items()},
        **charges.lies,
    }


def amount(value: Decimal) -> str:
    """TikTok writes a nought as "0" and everything else with cents."""
    return f"{value:.2f}" if value else "0"


def address_view(order: Order, style: str, now: int) -> Json | None:
    """The recipient as TikTok shows it now: masked by status, market and who ships (TikTok contract 4.5)."""
    buyer = order.buyer
    if order.without_address:
        return None
    if order.status in BEFORE_RELEASE:
        return buyers.held_address(buyer, style)
    address = buyers.address_json(buyer)
    if order.fulfillment_type == "FULFILLMENT_BY_TIKTOK":
        buyers.hide_person(address)
        buyers.hide_street(address)
        address["postal_code"] = buyers.starred(buyer.postal_code)
        buyers.hide_districts(address, 4 if order.status != CANCELLED else 3)
    elif order.masked or (order.region == "US" and _us_hides(order, now)):
        buyers.hide_person(address)
        buyers.hide_street(address)
        buyers.hide_districts(address, 3)
        address["postal_code"] = buyers.starred(buyer.postal_code)
    elif order.shipping_type == "TIKTOK":
        if order.region == "US":
            buyers.hide_phone(address)
            buyers.hide_street(address)
        else:
            buyers.hide_person(address)
    return address


def order_json(order: Order, *, style: str, now: int, detail: bool, numbers_on_lines: bool = True) -> Json:
    """The whole order object of TikTok contract 4.3; `detail` adds what only Get Order Detail shows."""
    numbers_on_lines = numbers_on_lines or order.split
    shown: Json = {
        "id": order.id,
        "status": order.status,
        "order_type": order.order_type,
        "user_id": order.buyer.user_id,
        "buyer_email": order.buyer.email,
        "buyer_nickname": order.buyer.nickname,
        "buyer_avatar": order.buyer.avatar,
        "buyer_message": order.buyer_message,
        "seller_note": order.seller_note,
        "create_time": order.create_time,
        "update_time": order.update_time,
        "fulfillment_type": order.fulfillment_type,
        "shipping_type": order.shipping_type,
        "delivery_type": "HOME_DELIVERY",
        "delivery_option_id": order.delivery_option_id,
        "delivery_option_name": "Standard shipping",
        "warehouse_id": order.warehouse_id,
        "payment_method_name": "Credit/Debit card",
        "commerce_platform": "TIKTOK_SHOP",
        "is_cod": False,
        "is_sample_order": order.sample,
        "is_on_hold_order": order.hold,
        "is_replacement_order": bool(order.replacement_of),
        "is_exchange_order": bool(order.exchange_of),
        "is_subscription_order": order.subscription,
        "is_buyer_request_cancel": order.cancel_requested,
        "has_updated_recipient_address": order.address_changed,
        "split_or_combine_tag": order.split_or_combine_tag,
        "payment": payment_json(order),
        "line_items": [_line_json(order, line, numbers_on_lines) for line in order.lines],
        **_shipping_facts(order),
        **_optional_facts(order),
    }
    address = address_view(order, style, now)
    if address is not None:
        shown["recipient_address"] = address
    if detail:
        shown["payment_card_type"] = "Credit"
    return shown


def _us_hides(order: Order, now: int) -> bool:
    long_over = order.complete_time and now > order.complete_time + 30 * DAY
    return order.status == CANCELLED or bool(long_over)


def _shipping_facts(order: Order) -> Json:
    """At the order's own level stands one number, also of a split order: there only the lines tell (contract 4.3)."""
    first = next((line for line in order.lines if line.package_id), None)
    return {
        "packages": [{"id": package_id} for package_id in order.package_ids],
        "tracking_number": first.number if first else "",
        "shipping_provider": first.provider_name if first else "",
        "shipping_provider_id": first.provider_id if first else "",
    }


def _optional_facts(order: Order) -> Json:
    facts: Json = {
        "paid_time": order.paid_time,
        "release_date": order.release_date,
        "replaced_order_id": order.replacement_of,
        "exchange_source_order_id": order.exchange_of,
        "auto_combine_group_id": order.combine_group,
        "request_cancel_time": order.request_cancel_time,
        "cancel_time": order.cancel_time,
        "cancel_reason": order.cancel_reason,
        "cancellation_initiator": order.cancel_initiator,
        "rts_time": order.rts_time,
        "collection_time": order.collection_time,
        "delivery_time": order.delivery_time,
    }
    if order.handling_days:
        facts["handling_duration"] = {"days": str(order.handling_days), "type": "BUSINESS_DAY"}
    if order.paid_time and order.status not in BEFORE_RELEASE:
        start = max(order.paid_time, order.release_date)
        facts |= {
            "rts_sla_time": start + 2 * DAY,
            "tts_sla_time": start + 3 * DAY,
            "delivery_sla_time": start + 8 * DAY,
            "shipping_due_time": start + 7 * DAY,
            "collection_due_time": start + 8 * DAY,
            "delivery_due_time": start + 45 * DAY,
        }
    return {name: value for name, value in facts.items() if value}


def _line_json(order: Order, line: Line, with_number: bool) -> Json:
    shown = _item_json(line, with_number) | {
        "original_price": amount(line.original_price),
        "sale_price": amount(line.sale_price),
        "seller_discount": amount(line.seller_discount),
        "platform_discount": amount(line.platform_discount),
        "currency": order.currency,
        "is_gift": line.is_gift,
        "gift_retail_price": amount(line.gift_value),
        "cancel_user": line.cancel_user,
        "item_tax": _item_tax(line),
        "retail_delivery_fee": "0",
        "is_dangerous_good": False,
        "needs_prescription": False,
    }
    if line.recipe:
        shown["sub_item_info"] = [_item_json(part, with_number) for part in line.parts]
        shown["combined_listing_skus"] = [
            {
                "sku_id": sku.sku_id,
                "sku_count": count,
                "product_id": sku.product_id,
                "seller_sku": sku.seller_sku,
            }
            for sku, count in line.recipe
        ]
    return shown


def _item_json(item: Parcelled, with_number: bool) -> Json:
    shown: Json = {
        "id": item.id,
        "sku_id": item.sku.sku_id,
        "product_id": item.sku.product_id,
        "product_name": item.sku.product_name,
        "sku_name": item.sku.sku_name,
        "sku_image": item.sku.image,
        "seller_sku": item.sku.seller_sku,
        "display_status": item.status,
        "cancel_reason": item.cancel_reason,
    }
    if item.package_id:
        shown |= {
            "package_id": item.package_id,
            "package_status": PACKAGE_STATUS.get(item.status, "PROCESSING"),
            "rts_time": item.rts_time,
        }
    if item.package_id and with_number:
        shown |= {
            "tracking_number": item.number,
            "shipping_provider_id": item.provider_id,
            "shipping_provider_name": item.provider_name,
        }
    return shown


def _item_tax(line: Line) -> list[Json]:
    if not line.tax:
        return []
    return [{"tax_type": "SALES_TAX", "tax_amount": amount(line.tax), "tax_rate": line.tax_rate}]
