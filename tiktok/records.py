"""What the calls take and give besides orders. Times are aware UTC datetimes, ids are text."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from tiktok.fields import Raw, amount, count, flag, moment, part, parts, text


@dataclass(frozen=True, slots=True)
class AuthorizedShop:
    """A shop that a seller's token opens. The cipher changes with every consent."""

    id: str
    name: str
    region: str
    seller_type: str
    cipher: str = field(repr=False)
    code: str

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        return cls(
            id=text(raw, "id"),
            name=text(raw, "name"),
            region=text(raw, "region"),
            seller_type=text(raw, "seller_type"),
            cipher=text(raw, "cipher"),
            code=text(raw, "code"),
        )


@dataclass(frozen=True, slots=True)
class Tracking:
    """A cleaned tracking number (4-50 characters) and the id of a live shipping provider."""

    number: str
    provider_id: str


@dataclass(frozen=True, slots=True)
class Shipped:
    """A package that TikTok took, with the `numbers` it was told.

    A `warning` means accepted but unproven: show it, correct at once (TikTok contract 5.1).
    """

    package_id: str
    warning: str
    numbers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Provider:
    id: str
    name: str

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        return cls(id=text(raw, "id"), name=text(raw, "name"))


@dataclass(frozen=True, slots=True)
class TrackingEvent:
    """One scan as TikTok sees it. The description is free text and may name a person."""

    number: str
    carrier: str
    description: str = field(repr=False)
    code: int
    code_name: str
    at: datetime | None

    @classmethod
    def from_api(cls, raw: Raw, parcel: Raw) -> Self:
        return cls(
            number=text(raw, "tracking_no") or text(parcel, "newest_tracking_no"),
            carrier=text(parcel, "carrier_name"),
            description=text(raw, "description"),
            code=count(raw, "action_code"),
            code_name=text(raw, "action_code_name"),
            at=moment(raw, "update_time_millis", per_second=1000),
        )


@dataclass(frozen=True, slots=True)
class Warehouse:
    """`status` is ENABLED, DISABLED or RESTRICTED; `type` SALES_WAREHOUSE or RETURN_WAREHOUSE."""

    id: str
    name: str
    type: str
    status: str
    is_default: bool
    region: str

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        return cls(
            id=text(raw, "id"),
            name=text(raw, "name"),
            type=text(raw, "type"),
            status=text(raw, "effect_status"),
            is_default=flag(raw, "is_default"),
            region=text(part(raw, "address"), "region_code"),
        )


@dataclass(frozen=True, slots=True)
class DeliveryOption:
    """A way of shipping from a warehouse. `type` SEND_BY_SELLER is the one with carriers of the seller's choice."""

    id: str
    name: str
    type: str

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        return cls(id=text(raw, "id"), name=text(raw, "name"), type=text(raw, "type"))


@dataclass(frozen=True, slots=True)
class ExternalLine:
    """`id` is the line in Shopify, `origin_id` the line in TikTok."""

    id: str
    origin_id: str


EXTERNAL_LINES = (
    100  # of one order; a call with more is refused whole, and another call may replace what stands
)


@dataclass(frozen=True, slots=True)
class ExternalOrder:
    """A Shopify order (`id`) attached to a TikTok order (`order_id`)."""

    order_id: str
    id: str
    lines: tuple[ExternalLine, ...]

    @classmethod
    def from_api(cls, raw: Raw, order_id: str) -> Self:
        lines = parts(raw, "line_items")
        return cls(
            order_id=order_id,
            id=text(raw, "id"),
            lines=tuple(ExternalLine(text(line, "id"), text(line, "origin_id")) for line in lines),
        )

    def to_api(self, platform: str) -> dict[str, Any]:
        lines = [{"id": line.id, "origin_id": line.origin_id} for line in self.lines]
        return {
            "id": self.order_id,
            "external_order": {"id": self.id, "platform": platform, "line_items": lines},
        }


@dataclass(frozen=True, slots=True)
class ExternalOrderError:
    """Why one order of a batch was not attached; the others were."""

    order_id: str
    code: str
    message: str

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        return cls(
            order_id=text(part(raw, "detail"), "order_id"),
            code=text(raw, "code"),
            message=text(raw, "message"),
        )


@dataclass(frozen=True, slots=True)
class Webhook:
    """A topic's address as TikTok has it."""

    topic: str
    address: str
    update_time: datetime | None

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        return cls(
            topic=text(raw, "event_type"),
            address=text(raw, "address"),
            update_time=moment(raw, "update_time", per_second=1000),
        )


@dataclass(frozen=True, slots=True)
class ProductSku:
    """`quantity` is the sellable stock over all warehouses."""

    id: str
    seller_sku: str
    price: Decimal
    currency: str
    quantity: int

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        price = part(raw, "price")
        return cls(
            id=text(raw, "id"),
            seller_sku=text(raw, "seller_sku"),
            price=amount(price, "sale_price") or amount(price, "tax_exclusive_price"),
            currency=text(price, "currency"),
            quantity=sum(count(stock, "quantity") for stock in parts(raw, "inventory")),
        )


@dataclass(frozen=True, slots=True)
class Product:
    id: str
    title: str
    status: str
    update_time: datetime | None
    skus: tuple[ProductSku, ...]

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        return cls(
            id=text(raw, "id"),
            title=text(raw, "title"),
            status=text(raw, "status"),
            update_time=moment(raw, "update_time"),
            skus=tuple(ProductSku.from_api(sku) for sku in parts(raw, "skus")),
        )


@dataclass(frozen=True, slots=True)
class ProductPage:
    products: tuple[Product, ...]
    next_page_token: str
    total_count: int


PENDING = "CANCELLATION_REQUEST_PENDING"  # a request that waits for the seller's answer


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A cancel request. `type` is CANCEL or BUYER_CANCEL; `deadline` is when silence becomes consent."""

    id: str
    order_id: str
    type: str
    status: str
    role: str
    reason: str
    reason_text: str
    create_time: datetime | None
    update_time: datetime | None
    deadline: datetime | None
    should_replenish_stock: bool
    line_ids: tuple[str, ...]

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        actions = parts(raw, "seller_next_action_response")
        lines = parts(raw, "cancel_line_items")
        return cls(
            id=text(raw, "cancel_id"),
            order_id=text(raw, "order_id"),
            type=text(raw, "cancel_type"),
            status=text(raw, "cancel_status"),
            role=text(raw, "role"),
            reason=text(raw, "cancel_reason"),
            reason_text=text(raw, "cancel_reason_text"),
            create_time=moment(raw, "create_time"),
            update_time=moment(raw, "update_time"),
            deadline=next((moment(action, "deadline") for action in actions), None),
            should_replenish_stock=flag(raw, "should_replenish_stock"),
            line_ids=tuple(filter(None, (text(line, "order_line_item_id") for line in lines))),
        )


@dataclass(frozen=True, slots=True)
class CancellationPage:
    cancellations: tuple[Cancellation, ...]
    next_page_token: str
    total_count: int
