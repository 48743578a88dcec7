"""What we write into Shopify and read from it: plain values, Decimal money, aware times, gids as text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

# Without read_all_orders, which we do not ask for, Shopify shows orders of 60 days (contract 2.5); a day less, for its
# clock is not ours.
SHOWN_FOR = timedelta(days=59)


@dataclass(frozen=True, slots=True)
class DraftLine:
    """One line to write: a variant with its price locked, or without `variant_id` a custom line."""

    variant_id: str | None
    title: str
    sku: str
    quantity: int
    unit_price: Decimal
    attributes: Mapping[str, str] = field(default_factory=dict)
    requires_shipping: bool = True


@dataclass(frozen=True, slots=True)
class DraftContent:
    """A draft to write. All money is in `currency`; `shipping_amount` None means no shipping line."""

    lines: tuple[DraftLine, ...]
    shipping_title: str
    shipping_amount: Decimal | None
    currency: str
    tags: tuple[str, ...]
    note: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    reserve_until: datetime | None = None


@dataclass(frozen=True, slots=True, repr=False)
class PostalAddress:
    """A buyer's address on its way through memory. Its repr hides it; it is never stored."""

    first_name: str = ""
    last_name: str = ""
    company: str = ""
    address1: str = ""
    address2: str = ""
    city: str = ""
    province_code: str = ""
    zip: str = ""
    country_code: str = ""
    phone: str = ""

    def __repr__(self) -> str:
        return "PostalAddress(hidden)"

    def removed_from(self, text: str) -> str:
        """The text without any value of this address: Shopify quotes what it refuses."""
        values = (
            self.first_name,
            self.last_name,
            self.company,
            self.address1,
            self.address2,
            self.city,
            self.province_code,
            self.zip,
            self.country_code,
            self.phone,
        )
        for value in sorted(filter(None, values), key=len, reverse=True):
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "[removed]", text, flags=re.IGNORECASE)
        return text


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft as Shopify has it now. `get_draft` fills `order_id` and `order_name` once it was completed."""

    id: str
    name: str
    status: str
    ready: bool
    tags: tuple[str, ...]
    updated_at: datetime
    total: Decimal
    tax: Decimal
    currency: str
    note: str = ""
    reserve_until: datetime | None = None
    order_id: str = ""
    order_name: str = ""

    @property
    def completed(self) -> bool:
        return self.status == "COMPLETED"


@dataclass(frozen=True, slots=True)
class OrderLine:
    """A line of an order. `variant_id` is filled by `get_order_lines` only: it costs a point."""

    id: str
    sku: str
    quantity: int
    variant_id: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    unit_price: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class CompletedOrder:
    """The order a completed draft became, with all its lines; total in the buyer's (presentment) currency."""

    id: str
    name: str
    total: Decimal
    currency: str
    financial_status: str
    gateways: tuple[str, ...]
    lines: tuple[OrderLine, ...]


@dataclass(frozen=True, slots=True)
class TrackingInfo:
    company: str
    number: str
    url: str


@dataclass(frozen=True, slots=True)
class FulfillmentLine:
    """Units of one order line inside a fulfillment."""

    line_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Fulfillment:
    """A fulfillment. `lines` is empty in the brief ones of `search_orders_updated`."""

    id: str
    name: str
    status: str
    order_id: str
    updated_at: datetime
    tracking: tuple[TrackingInfo, ...]
    lines: tuple[FulfillmentLine, ...] = ()


@dataclass(frozen=True, slots=True)
class OrderState:
    """An order as it stands. `fulfillments` is filled by `search_orders_updated` only, `note` by `get_order` only."""

    id: str
    name: str
    cancelled_at: datetime | None
    closed: bool
    financial_status: str
    fulfillment_status: str
    tags: tuple[str, ...]
    total: Decimal
    currency: str
    updated_at: datetime
    note: str = ""
    fulfillments: tuple[Fulfillment, ...] = ()

    @property
    def cancelled(self) -> bool:
        return self.cancelled_at is not None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of orders; `end_cursor` continues when `has_next`."""

    orders: tuple[OrderState, ...]
    end_cursor: str
    has_next: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """A draft or order found by search. `order_id`: what a completed draft became; of an order its own id."""

    id: str
    name: str
    tags: tuple[str, ...]
    created_at: datetime
    completed: bool
    cancelled: bool
    order_id: str


@dataclass(frozen=True, slots=True)
class Variant:
    id: str
    sku: str
    title: str
    product_title: str
    product_id: str
    product_status: str
    requires_shipping: bool


@dataclass(frozen=True, slots=True)
class Installation:
    """Who the shop is and what it granted."""

    shop_gid: str
    name: str
    domain: str
    plan: str
    development: bool
    currency: str
    currencies: tuple[str, ...]
    timezone: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WebhookSubscription:
    id: str
    topic: str
    uri: str
    include_fields: tuple[str, ...]
    filter: str
