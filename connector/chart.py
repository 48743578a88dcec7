"""A bar for each day, stacked by outcome, as shapes for an SVG. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from connector.figures import Day
from connector.outcomes import OUTCOMES

WIDTH, HEIGHT = 100.0, 100.0  # of the whole picture, which is stretched to its place
GAP = 0.3  # of a day's width


@dataclass(frozen=True, slots=True)
class Shape:
    outcome: str
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True, slots=True)
class Chart:
    """`most` is what the full height stands for."""

    shapes: list[Shape]
    days: list[date]
    most: int


def chart(days: Sequence[Day]) -> Chart:
    most = max((day.known for day in days), default=0)
    shapes = [shape for at, day in enumerate(days) for shape in bar(day, at, len(days), most)]
    return Chart(shapes, [day.day for day in days], most)


def bar(day: Day, at: int, n: int, most: int) -> list[Shape]:
    """What lies in Shopify at the bottom, the other outcomes on top of it."""
    step = WIDTH / n
    found, top = [], HEIGHT
    for outcome in OUTCOMES:
        if day.counts[outcome]:
            height = HEIGHT * day.counts[outcome] / most
            top -= height
            place = (at * step + step * GAP / 2, top, step * (1 - GAP), height)
            found.append(Shape(outcome, *(f"{number:.2f}" for number in place)))
    return found
