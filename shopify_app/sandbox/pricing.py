"""What a draft costs: lines, one discount per line and one per order, shipping, and tax unless exempt."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

from shopify_app.sandbox.model import CENT, ZERO, Discount, DraftLine, Totals


def draft_totals(
    lines: Sequence[DraftLine],
    discounts: Sequence[Discount],
    shipping: Decimal | None,
    tax_rate: Decimal,
    included: bool = False,
) -> Totals:
    """Sets the amount of each order discount as it goes. `tax_rate` is 0 for an exempt draft; prices may contain the
    tax (`included`)."""
    line_sum = sum((line.discounted_total_set for line in lines), ZERO)
    taken = ZERO
    for discount in discounts:
        discount.amount = min(discount_amount(discount, line_sum), line_sum - taken)
        taken += discount.amount
    subtotal = line_sum - taken
    shipping = shipping or ZERO
    taxable = sum((line.discounted_total_set for line in lines if line.taxable), ZERO)
    share = taxable / line_sum if line_sum else ZERO
    base = subtotal * share + shipping
    tax = cents(base - base / (1 + tax_rate)) if included else cents(base * tax_rate)
    return Totals(
        lines=line_sum,
        discounts=taken + sum((line.total_discount_set for line in lines), ZERO),
        subtotal=subtotal,
        shipping=shipping,
        tax=tax,
        total=subtotal + shipping + (ZERO if included else tax),
    )


def discount_amount(discount: Discount, base: Decimal) -> Decimal:
    if discount.value_type == "PERCENTAGE":
        return cents(base * discount.value / 100)
    return cents(discount.value)


def spread(amount: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """Divide an order discount over its lines, to the cent."""
    whole = sum(weights, ZERO)
    shares = []
    left = amount
    for weight in weights:
        share = cents(left * weight / whole) if whole else ZERO
        shares.append(share)
        left -= share
        whole -= weight
    return shares


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)
