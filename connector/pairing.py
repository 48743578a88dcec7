"""Which Shopify line stands for which TikTok units, where the lines do not say so themselves. Pure.

Our attribute tells it. That the lines of a completed draft keep it is expected, and not recorded (Shopify contract
10.8).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from shopify_app.orders import OrderLine


@dataclass(frozen=True, slots=True)
class Sold:
    """Equal units as they were written into the draft: one line of it."""

    variant_id: str  # empty: a custom line
    title: str
    unit_price: Decimal
    unit_ids: tuple[str, ...]


def pair(sold: Sequence[Sold], lines: Sequence[OrderLine]) -> dict[str, tuple[str, ...]]:
    """The units of each line. Those of a line that fits nothing, or that could be another's, are none."""
    units: dict[str, tuple[str, ...]] = {line.id: () for line in lines}
    for line in lines:
        fitting = [one for one in sold if fits(one, line)]
        if len(fitting) == 1 and sum(fits(fitting[0], other) for other in lines) == 1:
            units[line.id] = fitting[0].unit_ids
    return units


def fits(sold: Sold, line: OrderLine) -> bool:
    same = line.variant_id == sold.variant_id if line.variant_id else line.title == sold.title
    return same and line.unit_price == sold.unit_price and line.quantity == len(sold.unit_ids)
