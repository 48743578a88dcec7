"""How hard the sandbox is. The defaults are the hard ones; tests relax what they do not want to meet."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from random import Random
from typing import Any

Span = tuple[float, float]


@dataclass
class Settings:
    """Spans are seconds, drawn evenly. Shares are between 0 and 1."""

    search_lag: Span = (2.0, 8.0)
    ready_after: Span = (0.3, 2.0)
    provisional_totals: bool = False  # a draft that is not ready states a total without its shipping
    cancel_after: Span = (0.5, 2.0)
    failing_cancellations: int = 0  # so many of the next cancel jobs end without an effect
    deactivated_location: bool = False  # the goods of a paid order cannot be put back (contract e)
    warehouses_let_go: bool = True  # False: what one has accepted counts as an outstanding fulfillment
    late_by: Span = (3.0, 20.0)
    late_or_doubled: float = 1 / 50
    latency: float = 0.0
    bucket: float = 2000.0
    restore: float = 100.0
    line_attributes_carry_over: bool = True
    order_attributes_carry_over: bool = False
    refuse_out_of_stock: bool = False
    served_version: str = "2026-10"
    dead_refresh_status: int = 400
    redact_after: float = 48 * 3600.0

    def ease(self) -> None:
        self.search_lag = self.ready_after = self.cancel_after = (0.0, 0.0)
        self.late_or_doubled = 0.0

    def change(self, **values: Any) -> None:
        """Set several at once; a single number stands for a span of that length. Raises ValueError if unknown."""
        known = {f.name: f.type for f in fields(self)}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"unknown setting {name!r}, known are {sorted(known)}")
            setattr(self, name, _span(value) if known[name] in (Span, "Span") else value)


def draw(random: Random, span: Span) -> float:
    return random.uniform(*span)


def _span(value: float | Sequence[float]) -> Span:
    if isinstance(value, int | float):
        return float(value), float(value)
    low, high = value
    return float(low), float(high)
