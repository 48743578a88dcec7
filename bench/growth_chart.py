"""Lines on two logarithmic scales, as an SVG that is readable on light and on dark paper. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH = 880
PANEL, GAP, LEFT, TOP, HEIGHT = 355, 80, 50, 46, 250
LEGEND_ROW, LEGEND_COLUMNS = 22, 2
COLORS = (  # on light paper, on dark paper
    ("#0b62b8", "#6cb2ff"),
    ("#b3410a", "#ff9d66"),
    ("#1a7a3c", "#6fd08f"),
    ("#8a2a9b", "#dd94ec"),
    ("#7a5c00", "#e0c04a"),
    ("#b01048", "#ff86ab"),
    ("#0a7480", "#5fd0dc"),
    ("#4a5160", "#b6bdca"),
)
DASHES = ("", "7 3", "2 3", "9 3 2 3")  # so that colour is not the only difference

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Panel:
    """What the x axis counts, and a line for each name: (count, milliseconds)."""

    title: str
    lines: Mapping[str, Points]


@dataclass(frozen=True, slots=True)
class Scale:
    """Whole powers of ten between `low` and `high`, over so many pixels from `start` on."""

    low: int
    high: int
    start: float
    length: float

    @classmethod
    def around(cls, values: Sequence[float], start: float, length: float) -> "Scale":
        low, high = floor(log10(min(values))), ceil(log10(max(values)))
        return cls(low, max(high, low + 1), start, length)

    def at(self, value: float) -> float:
        return self.start + self.length * (log10(value) - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]


def chart(panels: Sequence[Panel]) -> str:
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    costs = [cost for panel in panels for points in panel.lines.values() for _, cost in points]
    upwards = Scale.around([max(cost, 0.001) for cost in [*costs, 10.0]], TOP + HEIGHT, -HEIGHT)
    rows = ceil(len(names) / LEGEND_COLUMNS)
    height = TOP + HEIGHT + 60 + rows * LEGEND_ROW
    drawn = [
        *(
            line
            for place, panel in enumerate(panels)
            for line in draw(panel, names, upwards, LEFT + place * (PANEL + GAP))
        ),
        *legend(names, TOP + HEIGHT + 64),
    ]
    return "\n".join([*head(height), *drawn, "</svg>", ""])


def head(height: float) -> list[str]:
    light = [f".c{place}{{stroke:{color}}}" for place, (color, _) in enumerate(COLORS)]
    dark = [f".c{place}{{stroke:{color}}}" for place, (_, color) in enumerate(COLORS)]
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img" aria-labelledby="title desc" font-family="-apple-system, \'Segoe UI\', Helvetica, Arial, '
        'sans-serif" font-size="13">',
        '<title id="title">Cost of the daily statements by orders and by shops</title>',
        '<desc id="desc">Milliseconds in PostgreSQL on a logarithmic scale; the figures are in the table.</desc>',
        "<style>",
        ".paper{fill:#ffffff;stroke:#d5d9e0}.ink{fill:#1b1f27}.soft{fill:#5b6472}.grid{stroke:#e3e6eb}",
        "polyline,.key{fill:none;stroke-width:2}",
        *light,
        "@media (prefers-color-scheme:dark){",
        ".paper{fill:#14171c;stroke:#3a404b}.ink{fill:#eceff4}.soft{fill:#a6aebb}.grid{stroke:#2c323b}",
        *dark,
        "}",
        "</style>",
        f'<rect class="paper" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
    ]


def draw(panel: Panel, names: Sequence[str], upwards: Scale, left: float) -> list[str]:
    counts = [count for points in panel.lines.values() for count, _ in points]
    across = Scale.around(counts, left, PANEL)
    bottom = TOP + HEIGHT
    lines = [f'<text class="ink" font-weight="600" x="{left}" y="28">ms, by {escape(panel.title)}</text>']
    for tick in upwards.ticks:
        y = upwards.at(tick)
        lines.append(f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{left + PANEL}" y2="{y:.1f}"/>')
        lines.append(f'<text class="soft" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in across.ticks:
        lines.append(
            f'<text class="soft" x="{across.at(tick):.1f}" y="{bottom + 20}" text-anchor="middle">{tick:,.0f}</text>'
        )
    for name, points in panel.lines.items():
        path = " ".join(
            f"{across.at(count):.1f},{upwards.at(max(cost, 0.001)):.1f}" for count, cost in points
        )
        lines.append(f'<polyline {look(names.index(name))} points="{path}"/>')
    return lines


def legend(names: Sequence[str], top: float) -> list[str]:
    lines = []
    for place, name in enumerate(names):
        x = LEFT + (place % LEGEND_COLUMNS) * (PANEL + GAP)
        y = top + place // LEGEND_COLUMNS * LEGEND_ROW
        lines.append(f'<line {look(place, "key ")} x1="{x}" y1="{y - 4}" x2="{x + 34}" y2="{y - 4}"/>')
        lines.append(f'<text class="ink" x="{x + 44}" y="{y}">{escape(name)}</text>')
    return lines


def look(place: int, more: str = "") -> str:
    dash = DASHES[place % len(DASHES)]
    return f'class="{more}c{place % len(COLORS)}"' + (f' stroke-dasharray="{dash}"' if dash else "")
