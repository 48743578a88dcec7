"""An order's money side by side: what TikTok collected, what Shopify shows, and why they differ. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from connector import mapping
from connector.models import Order
from connector.policy import BUYER_PAID, SELLER_EARNS
from tiktok.orders import Payment

ZERO = Decimal(0)
# TikTok's markets where prices contain the value added tax.
VAT_REGIONS = frozenset({"GB", "UK", "IE", "DE", "FR", "IT", "ES", "AT", "BE", "NL", "PL", "PT", "SE"})


@dataclass(frozen=True, slots=True)
class Row:
    """None: that side has no such amount. `why` says why the sides differ, where they do."""

    label: Promise | str
    tiktok: Decimal | None
    shopify: Decimal | None
    why: Promise | str = ""


@dataclass(frozen=True, slots=True)
class Amounts:
    """`rows` add up to `total` on both sides; `parts` is how TikTok came to the price of the products."""

    currency: str
    parts: tuple[Row, ...]
    rows: tuple[Row, ...]
    total: Row
    contained_tax: Decimal
    vat: bool


@dataclass(frozen=True, slots=True)
class Booked:
    """What Shopify was given. `mode` is how it was counted, one of connector.policy."""

    mode: str
    products: Decimal
    shipping: Decimal
    tax: Decimal

    @property
    def total(self) -> Decimal:
        return self.products + self.shipping + self.tax


def amounts(order: Order) -> Amounts | None:
    """The figures of an order that TikTok has told us; None before that."""
    if not order.money:
        return None
    payment = Payment.from_api({"currency": order.currency, **order.money.get("amounts", {})})
    unexplained = Decimal(order.money.get("unexplained", "0"))
    added = added_tax(payment, unexplained)
    booked = as_booked(order, payment, added)
    rows = [products(payment, booked), shipping(payment, booked), *left_out(payment, booked, added)]
    if unexplained:
        rows.append(Row(_("Not explained"), unexplained, None, UNEXPLAINED))
    stated = payment.total_amount if payment.has("total_amount") else None
    return Amounts(
        currency=order.currency,
        parts=parts(payment),
        rows=tuple(rows),
        total=Row(_("Total"), stated, order.expected_total),
        contained_tax=ZERO if added else tax_of(payment),
        vat=order.connection.tiktok_shop.region in VAT_REGIONS,
    )


def as_booked(order: Order, payment: Payment, added: Decimal) -> Booked:
    """The way of counting that gives what Shopify was given: settings may have changed since."""
    now = order.connection.policy
    modes = (now.money_mode, BUYER_PAID if now.money_mode == SELLER_EARNS else SELLER_EARNS)
    taxed = (now.tax_line, not now.tax_line)
    ways = [booked(order.money, payment, mode, added if tax else ZERO) for mode, tax in product(modes, taxed)]
    return next((way for way in ways if way.total == order.expected_total), ways[0])


def booked(money: Mapping[str, Any], payment: Payment, mode: str, tax: Decimal) -> Booked:
    live = [line for line in money["lines"] if not line["cancelled"]]
    units = sum((Decimal(line["sale_price"]) for line in live), ZERO)
    if mode == SELLER_EARNS:
        units += sum((Decimal(line["platform_discount"]) for line in live), ZERO)
    return Booked(mode, units, mapping.booked_shipping(payment, mode), tax)


def added_tax(payment: Payment, unexplained: Decimal) -> Decimal:
    """The tax on top of the prices, which is what of TikTok's total nothing else accounts for."""
    if not payment.has("total_amount"):
        return tax_of(payment)
    rest = payment.total_amount - payment.sub_total - payment.shipping_fee - unexplained
    return rest - sum((amount for name, amount in mapping.left_out(payment).items() if name != "tax"), ZERO)


def tax_of(payment: Payment) -> Decimal:
    return mapping.left_out(payment).get("tax", ZERO)


def products(payment: Payment, booked: Booked) -> Row:
    why: Promise | str = ""
    if booked.products != payment.sub_total:
        paid_out = booked.mode == SELLER_EARNS and booked.products > payment.sub_total
        why = (
            _("TikTok pays its own discount out to you, so it is part of the price.")
            if paid_out
            else _("Cancelled products are not in Shopify.")
        )
    return Row(_("Products"), payment.sub_total, booked.products, why)


def shipping(payment: Payment, booked: Booked) -> Row:
    differ = booked.shipping != payment.shipping_fee
    why = _("TikTok pays its own shipping discount out to you, so it is part of the fee.") if differ else ""
    return Row(_("Shipping"), payment.shipping_fee, booked.shipping, why)


def left_out(payment: Payment, booked: Booked, added: Decimal) -> list[Row]:
    """Taxes and fees that TikTok collects beside the prices, and what of them Shopify shows."""
    collected = {name: amount for name, amount in mapping.left_out(payment).items() if name != "tax"}
    fees = [Row(FEES[name], amount, None, FEE_STAYS_OUT) for name, amount in collected.items()]
    if not added:
        return fees
    return [Row(_("Tax"), added, booked.tax or None, TAX_IS_A_LINE if booked.tax else TAX_STAYS_OUT), *fees]


def parts(payment: Payment) -> tuple[Row, ...]:
    if not payment.original_total_product_price:
        return ()
    discounts = (
        (_("Your discount"), payment.seller_discount),
        (_("TikTok's discount"), payment.platform_discount),
    )
    taken = (Row(label, -amount, None) for label, amount in discounts if amount)
    return (Row(_("Before discounts"), payment.original_total_product_price, None), *taken)


FEE_STAYS_OUT = _("TikTok collects it, and keeps it or passes it on.")
TAX_STAYS_OUT = _("TikTok collects it and pays it to the state; booked here it would be taxed twice.")
TAX_IS_A_LINE = _("A line of its own in Shopify, as your settings say.")
UNEXPLAINED = _("TikTok's total holds it and does not name it.")
FEES = {
    "retail_delivery_fee": _("Retail delivery fee"),
    "small_order_fee": _("Small order fee"),
    "buyer_service_fee": _("Buyer service fee"),
    "handling_fee": _("Handling fee"),
    "shipping_insurance_fee": _("Shipping insurance"),
    "item_insurance_fee": _("Item insurance"),
    "item_insurance_tax": _("Tax on the item insurance"),
    "distance_shipping_fee": _("Distance shipping fee"),
    "distance_fee": _("Distance fee"),
}
