"""What a shop holds: products, drafts, orders, fulfillments, refunds. Plain data, ids are Shopify's gids."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from zlib import crc32

ZERO = Decimal("0.00")
CENT = Decimal("0.01")


def number_of(gid: str) -> int:
    """The legacy number inside a gid."""
    return int(gid.rsplit("/", 1)[1].split("?", maxsplit=1)[0])


class Record:
    """What every object with a gid can say of itself."""

    id: str

    @property
    def legacy_resource_id(self) -> str:
        return str(number_of(self.id))


@dataclass
class Product(Record):
    id: str
    title: str
    handle: str
    created_at: datetime
    updated_at: datetime
    status: str = "ACTIVE"
    vendor: str = "Demo"
    product_type: str = ""
    tags: list[str] = field(default_factory=list)
    variant_ids: list[str] = field(default_factory=list)
    featured_media: None = None


@dataclass
class Variant(Record):
    id: str
    product_id: str
    inventory_item_id: str
    title: str
    sku: str
    price: Decimal
    created_at: datetime
    updated_at: datetime
    taxable: bool = True
    tracked: bool = True
    requires_shipping: bool = True
    inventory_policy: str = "DENY"
    available: int = 0
    reserved: int = 0
    committed: int = 0
    on_hand: int = 0


@dataclass
class Discount:
    """A manual or automatic discount; `amount` is what it takes off, in the draft's currency."""

    title: str
    description: str | None
    value_type: str
    value: Decimal
    amount: Decimal


@dataclass
class DraftLine(Record):
    id: str
    uuid: str
    title: str
    variant_title: str | None
    sku: str | None
    quantity: int
    unit_price: Decimal
    variant_id: str | None = None
    product_id: str | None = None
    vendor: str | None = None
    taxable: bool = True
    requires_shipping: bool = True
    overridden: bool = False
    attributes: dict[str, str] = field(default_factory=dict)
    applied_discount: Discount | None = None
    currency: str = "USD"

    @property
    def custom(self) -> bool:
        return self.variant_id is None

    @property
    def custom_attributes(self) -> dict[str, str]:
        return self.attributes

    @property
    def name(self) -> str:
        return f"{self.title} - {self.variant_title}" if self.variant_title else self.title

    @property
    def original_unit_price_set(self) -> Decimal:
        return self.unit_price

    @property
    def price_override(self) -> Decimal | None:
        return self.unit_price if self.overridden else None

    @property
    def original_total_set(self) -> Decimal:
        return self.unit_price * self.quantity

    @property
    def total_discount_set(self) -> Decimal:
        return self.applied_discount.amount if self.applied_discount else ZERO

    @property
    def discounted_total_set(self) -> Decimal:
        return self.original_total_set - self.total_discount_set

    @property
    def approximate_discounted_unit_price_set(self) -> Decimal:
        return (self.discounted_total_set / self.quantity).quantize(CENT)


@dataclass
class Totals:
    """Amounts in the presentment currency."""

    lines: Decimal = ZERO
    discounts: Decimal = ZERO
    subtotal: Decimal = ZERO
    shipping: Decimal = ZERO
    tax: Decimal = ZERO
    total: Decimal = ZERO


@dataclass
class Metafield(Record):
    id: str
    namespace: str
    key: str
    type: str
    value: str
    created_at: datetime
    updated_at: datetime

    @property
    def compare_digest(self) -> str:
        return f"{crc32(f'{self.namespace}.{self.key}={self.value}'.encode()):08x}"


@dataclass
class MetafieldDefinition(Record):
    id: str
    namespace: str
    key: str
    name: str
    type_name: str
    owner_type: str


@dataclass
class Draft(Record):
    id: str
    number: int
    created_at: datetime
    updated_at: datetime
    ready_at: datetime
    currency: str
    shop_currency: str
    lines: list[DraftLine]
    totals: Totals
    tags: list[str] = field(default_factory=list)
    note: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    tax_exempt: bool = False
    accept_automatic_discounts: bool = True
    allow_discount_codes_in_checkout: bool = True
    visible_to_customer: bool = True
    applied_discount: Discount | None = None
    platform_discount: Discount | None = None
    shipping_title: str | None = None
    shipping_price: Decimal | None = None
    shipping_address: dict[str, str | None] | None = None
    billing_address: dict[str, str | None] | None = None
    reserve_inventory_until: datetime | None = None
    reserved: dict[str, int] = field(default_factory=dict)
    email: str | None = None
    phone: str | None = None
    customer_id: str | None = None
    po_number: str | None = None
    payment_pending: bool = False
    completed_at: datetime | None = None
    order_id: str | None = None
    metafields: list[Metafield] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"#D{self.number}"

    @property
    def status(self) -> str:
        return "COMPLETED" if self.completed_at else "OPEN"

    @property
    def note2(self) -> str | None:
        return self.note

    @property
    def custom_attributes(self) -> dict[str, str]:
        return self.attributes

    @property
    def line_items(self) -> list[DraftLine]:
        return self.lines

    @property
    def currency_code(self) -> str:
        return self.shop_currency

    @property
    def presentment_currency_code(self) -> str:
        return self.currency

    @property
    def total_price_set(self) -> Decimal:
        return self.totals.total

    @property
    def total_tax_set(self) -> Decimal:
        return self.totals.tax

    @property
    def subtotal_price_set(self) -> Decimal:
        return self.totals.subtotal

    @property
    def total_shipping_price_set(self) -> Decimal:
        return self.totals.shipping

    @property
    def total_discounts_set(self) -> Decimal:
        return self.totals.discounts

    @property
    def total_line_items_price_set(self) -> Decimal:
        return self.totals.lines

    @property
    def line_items_subtotal_price(self) -> Decimal:
        return self.totals.lines

    @property
    def total_quantity_of_line_items(self) -> int:
        return sum(line.quantity for line in self.lines)

    @property
    def taxes_included(self) -> bool:
        return False

    @property
    def any_variant_prices_overridden(self) -> bool:
        return any(line.overridden for line in self.lines)

    @property
    def all_variant_prices_overridden(self) -> bool:
        return all(line.overridden for line in self.lines if not line.custom)


@dataclass
class OrderLine(Record):
    id: str
    title: str
    variant_title: str | None
    sku: str | None
    quantity: int
    current_quantity: int
    unit_price: Decimal
    discount: Decimal = ZERO
    order_discount: Decimal = ZERO
    variant_id: str | None = None
    product_id: str | None = None
    vendor: str | None = None
    taxable: bool = True
    requires_shipping: bool = True
    attributes: dict[str, str] = field(default_factory=dict)
    refunded: int = 0
    currency: str = "USD"

    @property
    def name(self) -> str:
        return f"{self.title} - {self.variant_title}" if self.variant_title else self.title

    @property
    def custom_attributes(self) -> dict[str, str]:
        return self.attributes

    @property
    def original_unit_price_set(self) -> Decimal:
        return self.unit_price

    @property
    def original_total_set(self) -> Decimal:
        return self.unit_price * self.quantity

    @property
    def total_discount_set(self) -> Decimal:
        return self.discount

    @property
    def discounted_total_set(self) -> Decimal:
        return self.unit_price * self.quantity - self.discount

    @property
    def discounted_unit_price_set(self) -> Decimal:
        return (self.discounted_total_set / self.quantity).quantize(CENT)

    @property
    def discounted_unit_price_after_all_discounts_set(self) -> Decimal:
        return ((self.discounted_total_set - self.order_discount) / self.quantity).quantize(CENT)

    @property
    def refundable_quantity(self) -> int:
        return self.current_quantity


@dataclass
class Transaction(Record):
    id: str
    kind: str
    status: str
    gateway: str
    amount: Decimal
    created_at: datetime
    processed_at: datetime
    parent_id: str | None = None
    currency: str = "USD"

    @property
    def formatted_gateway(self) -> str:
        return self.gateway

    @property
    def manual_payment_gateway(self) -> bool:
        return True

    @property
    def amount_set(self) -> Decimal:
        return self.amount


@dataclass
class Fulfillment(Record):
    """`units` counts the units of each order line (by gid) that travel in it."""

    id: str
    order_id: str
    order_name: str
    number: int
    created_at: datetime
    updated_at: datetime
    units: dict[str, int]
    status: str = "SUCCESS"
    company: str | None = None
    numbers: list[str] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    shipment_status: str | None = None
    line_ids: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.order_name}-F{self.number}"

    @property
    def total_quantity(self) -> int:
        return sum(self.units.values())

    @property
    def requires_shipping(self) -> bool:
        return True

    @property
    def display_status(self) -> str:
        if self.status == "CANCELLED":
            return "CANCELED"
        return (self.shipment_status or "FULFILLED").upper()


@dataclass
class RefundLine(Record):
    id: str
    line_id: str
    quantity: int
    restock_type: str
    subtotal: Decimal
    currency: str = "USD"

    @property
    def restocked(self) -> bool:
        return self.restock_type != "NO_RESTOCK"

    @property
    def subtotal_set(self) -> Decimal:
        return self.subtotal


@dataclass
class Refund(Record):
    id: str
    order_id: str
    created_at: datetime
    processed_at: datetime
    note: str | None
    lines: list[RefundLine]
    transactions: list[Transaction]
    currency: str = "USD"

    @property
    def total_refunded_set(self) -> Decimal:
        return sum((t.amount for t in self.transactions), ZERO)

    @property
    def refund_line_items(self) -> list[RefundLine]:
        return self.lines


@dataclass
class Hold(Record):
    id: str
    handle: str | None
    reason: str
    reason_notes: str | None
    held_by_requesting_app: bool = True


@dataclass
class Order(Record):
    id: str
    number: int
    created_at: datetime
    updated_at: datetime
    processed_at: datetime
    currency: str
    shop_currency: str
    lines: list[OrderLine]
    totals: Totals
    fulfillment_order_id: str
    financial_status: str = "PAID"
    tags: list[str] = field(default_factory=list)
    note: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    tax_exempt: bool = False
    shipping_title: str | None = None
    shipping_line_id: str | None = None
    shipping_address: dict[str, str | None] | None = None
    billing_address: dict[str, str | None] | None = None
    discount: Discount | None = None
    email: str | None = None
    phone: str | None = None
    customer_id: str | None = None
    po_number: str | None = None
    source_name: str | None = None
    source_identifier: str | None = None
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None
    cancel_job: str | None = None
    staff_note: str | None = None
    closed_at: datetime | None = None
    transactions: list[Transaction] = field(default_factory=list)
    fulfillments: list[Fulfillment] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    metafields: list[Metafield] = field(default_factory=list)
    at_warehouse: str = ""  # the fulfillment status that a service's part in it shows while nothing has left

    @property
    def name(self) -> str:
        return f"#{self.number}"

    @property
    def custom_attributes(self) -> dict[str, str]:
        return self.attributes

    @property
    def line_items(self) -> list[OrderLine]:
        return self.lines

    @property
    def currency_code(self) -> str:
        return self.shop_currency

    @property
    def presentment_currency_code(self) -> str:
        return self.currency

    @property
    def closed(self) -> bool:
        return self.closed_at is not None

    @property
    def confirmed(self) -> bool:
        return True

    @property
    def test(self) -> bool:
        return False

    @property
    def edited(self) -> bool:
        return any(line.current_quantity != line.quantity - line.refunded for line in self.lines)

    @property
    def payment_gateway_names(self) -> list[str]:
        return list(dict.fromkeys(t.gateway for t in self.transactions))

    @property
    def display_financial_status(self) -> str:
        return self.financial_status

    @property
    def fulfilled_units(self) -> dict[str, int]:
        """How many units of each line (by gid) left in fulfillments that still stand."""
        sent: dict[str, int] = {}
        for fulfillment in self.fulfillments:
            if fulfillment.status != "CANCELLED":
                for line_id, quantity in fulfillment.units.items():
                    sent[line_id] = sent.get(line_id, 0) + quantity
        return sent

    def remaining(self, line: OrderLine) -> int:
        return max(0, line.current_quantity - self.fulfilled_units.get(line.id, 0))

    @property
    def display_fulfillment_status(self) -> str:
        sent = sum(self.fulfilled_units.values())
        left = sum(self.remaining(line) for line in self.lines)
        if sent and not left:
            return "FULFILLED"
        if sent:
            return "PARTIALLY_FULFILLED"
        return "ON_HOLD" if self.holds else self.at_warehouse or "UNFULFILLED"

    @property
    def received(self) -> Decimal:
        return sum((t.amount for t in self.transactions if (t.kind, t.status) == ("SALE", "SUCCESS")), ZERO)

    @property
    def refunded(self) -> Decimal:
        return sum((t.amount for t in self.transactions if t.kind == "REFUND"), ZERO)

    @property
    def total_received_set(self) -> Decimal:
        return self.received

    @property
    def total_refunded_set(self) -> Decimal:
        return self.refunded

    @property
    def net_payment_set(self) -> Decimal:
        return self.received - self.refunded

    @property
    def total_outstanding_set(self) -> Decimal:
        if self.cancelled_at:
            return ZERO
        return max(ZERO, self.current_total - (self.received - self.refunded))

    @property
    def fully_paid(self) -> bool:
        return self.received >= self.totals.total

    @property
    def unpaid(self) -> bool:
        return self.received == ZERO and self.totals.total > ZERO

    @property
    def can_mark_as_paid(self) -> bool:
        return self.total_outstanding_set > ZERO

    @property
    def current_total(self) -> Decimal:
        """The total without removed units; nothing is left of a cancelled order."""
        if self.cancelled_at:
            return ZERO
        removed = sum(
            ((line.quantity - line.current_quantity) * line.unit_price for line in self.lines), ZERO
        )
        return max(ZERO, self.totals.total - removed)

    @property
    def current_total_price_set(self) -> Decimal:
        return self.current_total

    @property
    def total_price_set(self) -> Decimal:
        return self.totals.total

    @property
    def original_total_price_set(self) -> Decimal:
        return self.totals.total

    @property
    def subtotal_price_set(self) -> Decimal:
        return self.totals.subtotal

    @property
    def total_tax_set(self) -> Decimal:
        return self.totals.tax

    @property
    def total_shipping_price_set(self) -> Decimal:
        return self.totals.shipping

    @property
    def total_discounts_set(self) -> Decimal:
        return self.totals.discounts

    @property
    def return_status(self) -> str:
        return "NO_RETURN"

    @property
    def fulfillable(self) -> bool:
        return not self.cancelled_at and any(self.remaining(line) for line in self.lines)

    @property
    def requires_shipping(self) -> bool:
        return any(line.requires_shipping for line in self.lines)


@dataclass
class Subscription(Record):
    """A webhook subscription made through the Admin API, for one shop."""

    id: str
    topic: str
    uri: str
    created_at: datetime
    updated_at: datetime
    include_fields: list[str] = field(default_factory=list)
    filter: str | None = None
    name: str | None = None
    failures: int = 0

    @property
    def format(self) -> str:
        return "JSON"


@dataclass
class Grant:
    """An expiring pair of tokens, or a lone access token that the Admin API refuses."""

    access_token: str
    access_expires_at: datetime | None
    refresh_token: str | None = None
    refresh_expires_at: datetime | None = None
    successor: str | None = None
    first_used_at: datetime | None = None
    dead: bool = False


@dataclass
class Job(Record):
    """A cancellation under way, with what was asked for."""

    id: str
    order_id: str
    due_at: datetime
    reason: str
    restock: bool
    refund: bool
    note: str | None
    done: bool = False
    failure: str = ""

    @property
    def status(self) -> str:
        if not self.done:
            return "STARTED"
        return "FAILED" if self.failure else "SUCCEEDED"

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [{"field": None, "message": self.failure, "code": "INVALID"}] if self.failure else []


@dataclass
class ShopRecord:
    """Everything a shop remembers between two runs of the sandbox."""

    domain: str
    number: int
    name: str
    currency: str = "USD"
    currencies: list[str] = field(default_factory=lambda: ["USD"])
    timezone: str = "America/Chicago"
    plan: str = "Basic"
    automatic_discount: Decimal = Decimal("10")
    tax_rate: Decimal = Decimal("0.0825")
    taxes_included: bool = False
    manual_payment_methods: list[str] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)
    installed_at: datetime | None = None
    uninstalled_at: datetime | None = None
    redacted_at: datetime | None = None
    next_draft: int = 1
    next_order: int = 1001
    products: dict[str, Product] = field(default_factory=dict)
    variants: dict[str, Variant] = field(default_factory=dict)
    drafts: dict[str, Draft] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    definitions: list[MetafieldDefinition] = field(default_factory=list)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    grants: list[Grant] = field(default_factory=list)
    deleted_orders: list[str] = field(default_factory=list)
    idempotency: dict[str, str] = field(default_factory=dict)
