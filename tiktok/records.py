"""What the calls take and give besides orders. Times are aware UTC datetimes, ids are text."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class AuthorizedShop:
    """A shop that a seller's token opens. The cipher changes with every consent."""

    id: str
    name: str
    region: str
    seller_type: str
    cipher: str = field(repr=False)
    code: str


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


@dataclass(frozen=True, slots=True)
class TrackingEvent:
    """One scan as TikTok sees it. The description is free text and may name a person."""

    number: str
    carrier: str
    description: str = field(repr=False)
    code: int
    code_name: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Warehouse:
    """`status` is ENABLED, DISABLED or RESTRICTED; `type` SALES_WAREHOUSE or RETURN_WAREHOUSE."""

    id: str
    name: str
    type: str
    status: str
    is_default: bool
    region: str


@dataclass(frozen=True, slots=True)
class ExternalLine:
    """`id` is the line in Shopify, `origin_id` the line in TikTok."""

    id: str
    origin_id: str


@dataclass(frozen=True, slots=True)
class ExternalOrder:
    """A Shopify order (`id`) attached to a TikTok order (`order_id`)."""

    order_id: str
    id: str
    lines: tuple[ExternalLine, ...]


@dataclass(frozen=True, slots=True)
class ExternalOrderError:
    """Why one order of a batch was not attached; the others were."""

    order_id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Webhook:
    """A topic's address as TikTok has it."""

    topic: str
    address: str
    update_time: datetime | None


@dataclass(frozen=True, slots=True)
class ProductSku:
    """`quantity` is the sellable stock over all warehouses."""

    id: str
    seller_sku: str
    price: Decimal
    currency: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Product:
    id: str
    title: str
    status: str
    update_time: datetime | None
    skus: tuple[ProductSku, ...]


@dataclass(frozen=True, slots=True)
class ProductPage:
    products: tuple[Product, ...]
    next_page_token: str
    total_count: int


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


@dataclass(frozen=True, slots=True)
class CancellationPage:
    cancellations: tuple[Cancellation, ...]
    next_page_token: str
    total_count: int
