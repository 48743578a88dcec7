"""A TikTok order as we read it: an allow-list of fields, every one of them optional on the wire.

Missing text is "", a missing flag False, a missing amount 0, a missing time None, a missing list ().
Times are aware UTC datetimes, amounts Decimals in the order's currency.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Self

from tiktok.fields import Raw, amount, count, find_amount, flag, moment, part, parts, text

MASK = "*"

# Spellings that other parts of TikTok use for the same state (TikTok contract 3.4 and 12.20).
STATUS_SPELLINGS = {"CANCEL": "CANCELLED", "TO_SHIP": "AWAITING_SHIPMENT"}

SOMETHING_TO_SHIP = ("UNPAID", "ON_HOLD", "AWAITING_SHIPMENT", "PARTIALLY_SHIPPING")

CITY_NAMES = ("city", "municipality", "post town", "town", "locality")
STATE_NAMES = ("state", "federal state", "province", "region")


@dataclass(frozen=True, slots=True)
class SubItem:
    """One unit inside a virtual bundle."""

    id: str
    sku_id: str
    seller_sku: str

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        return cls(id=text(raw, "id"), sku_id=text(raw, "sku_id"), seller_sku=text(raw, "seller_sku"))


@dataclass(frozen=True, slots=True)
class CombinedSku:
    """One part of a bundle's recipe."""

    sku_id: str
    seller_sku: str
    count: int

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        return cls(
            sku_id=text(raw, "sku_id"), seller_sku=text(raw, "seller_sku"), count=count(raw, "sku_count")
        )


@dataclass(frozen=True, slots=True)
class LineItem:
    """One unit. TikTok has no quantity: three pieces of a SKU are three lines (TikTok contract 4.2)."""

    id: str
    sku_id: str
    product_id: str
    seller_sku: str
    product_name: str
    sku_name: str
    original_price: Decimal
    sale_price: Decimal  # after both discounts
    seller_discount: Decimal
    platform_discount: Decimal  # TikTok pays this part to the seller
    currency: str
    is_gift: bool
    status: str
    package_id: str
    tracking_number: str
    shipping_provider_id: str
    shipping_provider_name: str
    cancel_reason: str
    cancel_user: str
    sub_items: tuple[SubItem, ...]
    combined_skus: tuple[CombinedSku, ...]
    product_listing_type: str

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        return cls(
            id=text(raw, "id"),
            sku_id=text(raw, "sku_id"),
            product_id=text(raw, "product_id"),
            seller_sku=text(raw, "seller_sku"),
            product_name=text(raw, "product_name"),
            sku_name=text(raw, "sku_name"),
            original_price=amount(raw, "original_price"),
            sale_price=amount(raw, "sale_price"),
            seller_discount=amount(raw, "seller_discount"),
            platform_discount=amount(raw, "platform_discount"),
            currency=text(raw, "currency"),
            is_gift=flag(raw, "is_gift"),
            status=status(raw, "display_status"),
            package_id=text(raw, "package_id"),
            tracking_number=text(raw, "tracking_number"),
            shipping_provider_id=text(raw, "shipping_provider_id"),
            shipping_provider_name=text(raw, "shipping_provider_name"),
            cancel_reason=text(raw, "cancel_reason"),
            cancel_user=text(raw, "cancel_user"),
            sub_items=tuple(SubItem.from_api(item) for item in parts(raw, "sub_item_info")),
            combined_skus=tuple(CombinedSku.from_api(sku) for sku in parts(raw, "combined_listing_skus")),
            product_listing_type=text(raw, "product_listing_type"),
        )

    @property
    def cancelled(self) -> bool:
        return self.status == "CANCELLED"

    @property
    def is_bundle(self) -> bool:
        return bool(self.sub_items or self.combined_skus)


@dataclass(frozen=True, slots=True)
class Shipment:
    """What TikTok holds of the parcel that a unit travels in; all empty of one that was not shipped."""

    number: str
    provider_id: str
    provider_name: str
    package_id: str


@dataclass(frozen=True, slots=True)
class Payment:
    """The order's amounts (TikTok contract 4.3). A missing amount is 0; `has` tells it from a zero."""

    currency: str = ""
    sub_total: Decimal = Decimal(0)
    shipping_fee: Decimal = Decimal(0)
    seller_discount: Decimal = Decimal(0)
    platform_discount: Decimal = Decimal(0)
    payment_platform_discount: Decimal = Decimal(0)
    payment_discount_service_fee: Decimal = Decimal(0)
    total_amount: Decimal = Decimal(0)
    original_total_product_price: Decimal = Decimal(0)
    original_shipping_fee: Decimal = Decimal(0)
    shipping_fee_seller_discount: Decimal = Decimal(0)
    shipping_fee_platform_discount: Decimal = Decimal(0)
    shipping_fee_cofunded_discount: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)
    small_order_fee: Decimal = Decimal(0)
    shipping_fee_tax: Decimal = Decimal(0)
    product_tax: Decimal = Decimal(0)
    retail_delivery_fee: Decimal = Decimal(0)
    buyer_service_fee: Decimal = Decimal(0)
    handling_fee: Decimal = Decimal(0)
    shipping_insurance_fee: Decimal = Decimal(0)
    item_insurance_fee: Decimal = Decimal(0)
    item_insurance_tax: Decimal = Decimal(0)
    distance_shipping_fee: Decimal = Decimal(0)
    distance_fee: Decimal = Decimal(0)
    present: frozenset[str] = frozenset()

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        found = {name: find_amount(raw, name) for name in AMOUNTS}
        amounts = {name: value for name, value in found.items() if value is not None}
        return cls(currency=text(raw, "currency"), present=frozenset(amounts), **amounts)

    def has(self, name: str) -> bool:
        """Whether TikTok stated this amount."""
        return name in self.present


AMOUNTS = tuple(field.name for field in fields(Payment) if field.type is Decimal)


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """Where to send it. Personal: lives in memory only, and its repr shows nothing."""

    name: str
    first_name: str
    last_name: str
    phone: str
    address_line1: str
    address_line2: str
    address_line3: str
    address_line4: str
    address_detail: str
    full_address: str
    city: str
    state_code: str
    state_name: str
    postal_code: str
    region_code: str
    post_town: str

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        region = text(raw, "region_code")
        post_town = text(raw, "post_town")
        levels = list(parts(raw, "district_info"))
        state = pick_state(levels, region)
        return cls(
            name=text(raw, "name"),
            first_name=text(raw, "first_name"),
            last_name=text(raw, "last_name"),
            phone=text(raw, "phone_number"),
            address_line1=text(raw, "address_line1"),
            address_line2=text(raw, "address_line2"),
            address_line3=text(raw, "address_line3"),
            address_line4=text(raw, "address_line4"),
            address_detail=text(raw, "address_detail"),
            full_address=text(raw, "full_address"),
            city=pick_city(levels, region) or post_town,
            state_code=text(state, "iso_code").removeprefix(f"{region}-"),
            state_name=text(state, "address_name"),
            postal_code=text(raw, "postal_code"),
            region_code=region,
            post_town=post_town,
        )

    @property
    def masked(self) -> bool:
        """TikTok starred it. One star in a name or in a street is the buyer's own."""
        street = self.address_line1 or self.address_detail or self.full_address
        name = self.name or self.first_name + self.last_name
        return MASK in self.phone or MASK in self.postal_code or (MASK in name and MASK in street)

    @property
    def values(self) -> tuple[str, ...]:
        """What must not appear in anything that is kept, the longest first."""
        personal = {getattr(self, field.name) for field in fields(self) if field.name not in NOT_PERSONAL}
        return tuple(sorted(filter(None, personal), key=len, reverse=True))

    def __repr__(self) -> str:
        return "Address(hidden)"


NOT_PERSONAL = ("region_code", "state_code", "state_name")


def pick_city(levels: list[Raw], region: str) -> str:
    """The city: by level in the United States, by the level's name elsewhere (TikTok contract 4.5)."""
    if region == "US":
        return text(at_level(levels, "L3"), "address_name") or text(at_level(levels, "L2"), "address_name")
    return text(named(levels, CITY_NAMES), "address_name")


def pick_state(levels: list[Raw], region: str) -> Raw:
    return at_level(levels, "L1") if region == "US" else named(levels, STATE_NAMES)


def at_level(levels: list[Raw], level: str) -> Raw:
    return next((entry for entry in levels if text(entry, "address_level") == level), {})


def named(levels: list[Raw], names: tuple[str, ...]) -> Raw:
    by_name = {text(entry, "address_level_name").lower(): entry for entry in levels}
    return next((by_name[name] for name in names if name in by_name), {})


@dataclass(frozen=True, slots=True)
class Order:
    """One order, from search or detail: the two objects are the same (TikTok contract 4.1)."""

    id: str
    status: str
    order_type: str
    create_time: datetime | None
    paid_time: datetime | None
    update_time: datetime | None
    cancel_time: datetime | None
    request_cancel_time: datetime | None
    release_date: datetime | None
    fulfillment_type: str
    shipping_type: str
    delivery_option_id: str
    warehouse_id: str
    is_on_hold_order: bool
    is_buyer_request_cancel: bool
    is_sample_order: bool
    is_replacement_order: bool
    is_exchange_order: bool
    is_subscription_order: bool
    replaced_order_id: str
    exchange_source_order_id: str
    has_updated_recipient_address: bool
    split_or_combine_tag: str
    auto_combine_group_id: str
    cancel_reason: str
    cancellation_initiator: str
    tracking_number: str
    shipping_provider_id: str
    shipping_provider: str
    rts_sla_time: datetime | None
    tts_sla_time: datetime | None
    shipping_due_time: datetime | None
    collection_due_time: datetime | None
    delivery_due_time: datetime | None
    delivery_sla_time: datetime | None
    packages: tuple[str, ...]
    payment: Payment
    address: Address | None
    line_items: tuple[LineItem, ...]

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        address = part(raw, "recipient_address")
        return cls(
            id=text(raw, "id"),
            status=status(raw, "status"),
            order_type=text(raw, "order_type"),
            create_time=moment(raw, "create_time"),
            paid_time=moment(raw, "paid_time"),
            update_time=moment(raw, "update_time"),
            cancel_time=moment(raw, "cancel_time"),
            request_cancel_time=moment(raw, "request_cancel_time"),
            release_date=moment(raw, "release_date"),
            fulfillment_type=text(raw, "fulfillment_type"),
            shipping_type=text(raw, "shipping_type"),
            delivery_option_id=text(raw, "delivery_option_id"),
            warehouse_id=text(raw, "warehouse_id"),
            is_on_hold_order=flag(raw, "is_on_hold_order"),
            is_buyer_request_cancel=flag(raw, "is_buyer_request_cancel"),
            is_sample_order=flag(raw, "is_sample_order"),
            is_replacement_order=flag(raw, "is_replacement_order"),
            is_exchange_order=flag(raw, "is_exchange_order"),
            is_subscription_order=flag(raw, "is_subscription_order"),
            replaced_order_id=text(raw, "replaced_order_id"),
            exchange_source_order_id=text(raw, "exchange_source_order_id"),
            has_updated_recipient_address=flag(raw, "has_updated_recipient_address"),
            split_or_combine_tag=text(raw, "split_or_combine_tag"),
            auto_combine_group_id=text(raw, "auto_combine_group_id"),
            cancel_reason=text(raw, "cancel_reason"),
            cancellation_initiator=text(raw, "cancellation_initiator"),
            tracking_number=text(raw, "tracking_number"),
            shipping_provider_id=text(raw, "shipping_provider_id"),
            shipping_provider=text(raw, "shipping_provider"),
            rts_sla_time=moment(raw, "rts_sla_time"),
            tts_sla_time=moment(raw, "tts_sla_time"),
            shipping_due_time=moment(raw, "shipping_due_time"),
            collection_due_time=moment(raw, "collection_due_time"),
            delivery_due_time=moment(raw, "delivery_due_time"),
            delivery_sla_time=moment(raw, "delivery_sla_time"),
            packages=tuple(filter(None, (text(package, "id") for package in parts(raw, "packages")))),
            payment=Payment.from_api(part(raw, "payment")),
            address=Address.from_api(address) if address else None,
            line_items=tuple(LineItem.from_api(line) for line in parts(raw, "line_items")),
        )

    @property
    def cancelled(self) -> bool:
        return self.status == "CANCELLED"

    @property
    def in_one_package(self) -> bool:
        """Shipped whole, as one: the order's own number is every unit's, and its own call corrects it (contract 4.3,
        5.2). Of one that was split, or of which something is left to ship, only lines and packages tell.
        """
        packages = {*self.packages, *(line.package_id for line in self.line_items)} - {""}
        left = self.status in SOMETHING_TO_SHIP
        return not left and self.split_or_combine_tag != "SPLIT" and len(packages) <= 1

    def shipment(self, line: LineItem) -> Shipment:
        """The number, carrier and package that TikTok holds for a unit."""
        own = Shipment(
            line.tracking_number, line.shipping_provider_id, line.shipping_provider_name, line.package_id
        )
        others_tell = not own.number and any(other.tracking_number for other in self.line_items)
        if line.cancelled or others_tell or not self.in_one_package:
            return own
        return Shipment(
            own.number or self.tracking_number,
            own.provider_id or self.shipping_provider_id,
            own.provider_name or self.shipping_provider,
            own.package_id or next(iter(self.packages), ""),
        )

    @property
    def masked(self) -> bool:
        """TikTok hides the recipient. Means something only from AWAITING_SHIPMENT on: TikTok ships it."""
        return self.address is not None and self.address.masked

    @property
    def seller_ships(self) -> bool:
        """Ours to ship. A field that TikTok left out does not speak against it."""
        by_seller = self.fulfillment_type in ("", "FULFILLMENT_BY_SELLER")
        return by_seller and self.shipping_type in ("", "SELLER")


@dataclass(frozen=True, slots=True)
class OrderPage:
    """One page of a search. An empty token means that it was the last."""

    orders: tuple[Order, ...]
    next_page_token: str
    total_count: int


def status(raw: Raw, name: str) -> str:
    value = text(raw, name)
    return STATUS_SPELLINGS.get(value, value)
