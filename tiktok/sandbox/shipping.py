"""Marking as shipped and the one correction, with TikTok's reasons to refuse (TikTok contract 5)."""

from dataclasses import dataclass

from tiktok.sandbox import carriers
from tiktok.sandbox.carriers import Provider
from tiktok.sandbox.orders import (
    AWAITING_COLLECTION,
    AWAITING_SHIPMENT,
    CANCELLED,
    COMPLETED,
    DELIVERED,
    ON_HOLD,
    PARTIALLY_SHIPPING,
    UNPAID,
    Line,
    Order,
    Parcelled,
)
from tiktok.sandbox.state import Package, Settings, World

EDIT_WINDOW = 72 * 3600
MOST_ORDERS_PER_NUMBER = 20


class Refused(Exception):
    """A business error: code and message as TikTok answers them."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Wanted:
    """A ship call of either version. `items`: (line id, sub item id or ""); none means the whole order."""

    items: list[tuple[str, str]]
    number: str
    provider_id: str
    more_numbers: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Judged:
    """What an accepted call will ship."""

    items: list[Parcelled]
    provider: Provider
    warning: str


def judge_ship(world: World, settings: Settings, order: Order, wanted: Wanted, now: int) -> Judged:
    """Refuse, or say what will be shipped; changes nothing."""
    _refuse_by_status(order)
    if settings.hour_for_all and now < order.paid_time + settings.hold_seconds:
        raise Refused(21011044, "The order is on hold")
    _refuse_by_responsibility(order)
    items = _items(order, wanted)
    if wanted.more_numbers and not settings.several_numbers:
        raise Refused(21011022, "Several tracking numbers are not allowed for this seller")
    provider, warning = judge_number(world, settings, order, wanted.number, wanted.provider_id)
    return Judged(items, provider, settings.warn_always or warning)


def judge_number(
    world: World, settings: Settings, order: Order, number: str, provider_id: str
) -> tuple[Provider, str]:
    """The provider of an acceptable number and a warning in doubt; Refused otherwise."""
    market = world.shop(order.shop_id).market
    provider = next((known for known in carriers.providers(market) if known.id == provider_id), None)
    if provider is None:
        raise Refused(21011022, "Invalid tracking number or shipping provider")
    if provider.name in settings.unavailable_providers:
        raise Refused(21004016, "The shipping provider is not available")
    if not carriers.NUMBER.match(number):
        raise Refused(21004012, "The tracking number holds special characters")
    if not 4 <= len(number) <= 50:
        raise Refused(21011022, "Invalid tracking number or shipping provider")
    verdict = carriers.judge(provider, number)
    if verdict.code:
        raise Refused(verdict.code, verdict.message)
    _refuse_reuse(world, order, number)
    return provider, verdict.warning


def judge_correction(
    world: World, settings: Settings, package: Package, order: Order, number: str, provider_id: str, now: int
) -> Provider:
    """The single correction inside 72 h."""
    if order.status in (DELIVERED, COMPLETED):
        raise Refused(21011030, "The package was delivered and can no longer be updated")
    if order.status == CANCELLED:
        raise Refused(21011041, "The order was cancelled")
    if package.corrected:
        raise Refused(21011051, "The shipping information can be updated only once")
    if now > package.shipped_at + EDIT_WINDOW:
        raise Refused(21011050, "The shipping information can no longer be updated after 72 hours")
    provider, _ = judge_number(world, settings, order, number, provider_id)
    return provider


def _refuse_by_status(order: Order) -> None:
    if order.status == CANCELLED:
        raise Refused(21011041, "The order was cancelled")
    if order.status == ON_HOLD:
        raise Refused(21011044, "The order is on hold")
    if order.status == UNPAID:
        raise Refused(21011003, "The order is not awaiting shipment")
    if order.status in (DELIVERED, COMPLETED):
        raise Refused(21011027, "The order was delivered")


def _refuse_by_responsibility(order: Order) -> None:
    if order.fulfillment_type != "FULFILLMENT_BY_SELLER":
        raise Refused(21008025, "The order is fulfilled by the platform")
    if order.shipping_type != "SELLER":
        raise Refused(21011004, "The order is not shipped by the seller")
    if order.cancel_requested and order.region != "US":
        raise Refused(21011007, "The buyer's cancellation request must be answered first")
    if order.return_open:
        raise Refused(21008044, "The order has an after-sale request that is open")


def _items(order: Order, wanted: Wanted) -> list[Parcelled]:
    """The live, unshipped lines (or parts of bundles) meant by the call."""
    open_lines = [line for line in order.live_lines if not line.shipped]
    if not open_lines:
        raise Refused(21011006, "The order was shipped already")
    if not wanted.items:
        if order.package_ids:
            raise Refused(21011048, "The order has several packages: name the order lines")
        return [item for line in open_lines for item in (line, *line.parts)]
    return [item for line_id, part_id in wanted.items for item in _named(order, line_id, part_id)]


def _named(order: Order, line_id: str, part_id: str) -> list[Parcelled]:
    line = next((line for line in order.lines if line.id == line_id), None)
    if line is None:
        raise Refused(21011029, "The order line does not belong to this order")
    part = next((part for part in line.parts if part.id == part_id), None)
    if part_id and part is None:
        raise Refused(21011029, "The sub item does not belong to this order line")
    meant: Parcelled = part or line
    if not meant.live or not line.live:
        raise Refused(21011042, "The order line was cancelled")
    if meant.shipped or line.shipped:
        raise Refused(21011006, "The order line was shipped already")
    if line.status not in (AWAITING_SHIPMENT, PARTIALLY_SHIPPING):
        raise Refused(21011003, "The order line is not awaiting shipment")
    return [part] if part else [line, *line.parts]


def _refuse_reuse(world: World, order: Order, number: str) -> None:
    others = world.numbers.get(number, set()) - {order.id}
    if not others:
        return
    if len(others) >= MOST_ORDERS_PER_NUMBER:
        raise Refused(21011026, "The tracking number was used too often")
    for other_id in others:
        other = world.orders[other_id]
        same_group = bool(order.combine_group) and order.combine_group == other.combine_group
        if other.shop_id != order.shop_id:
            raise Refused(21034012, "The tracking number was used by another shop")
        if not same_group and other.buyer.household != order.buyer.household:
            raise Refused(21011025, "The tracking number was used on another order")


def close_bundles(lines: list[Line]) -> None:
    """A bundle is shipped when all of its parts are, and partly while only some are."""
    for line in lines:
        live = [part for part in line.parts if part.live]
        shipped = [part for part in live if part.shipped]
        if shipped and len(shipped) < len(live):
            line.status = PARTIALLY_SHIPPING
        elif shipped and not line.shipped:
            last = shipped[-1]
            line.package_id, line.number = last.package_id, last.number
            line.provider_id, line.provider_name, line.rts_time = (
                last.provider_id,
                last.provider_name,
                last.rts_time,
            )
            line.status = AWAITING_COLLECTION
