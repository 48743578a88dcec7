"""A figure with its target and what was measured; the table of them, for a terminal and for the docs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MET, MISSED, REPORTED, LEFT_OUT, BROKEN = "met", "missed", "reported", "left out", "broken"
HEAD = ("figure", "target", "measured", "ratio", "verdict")


@dataclass(frozen=True, slots=True)
class Figure:
    """One row. `ratio` is measured ÷ target, so that below 1 is good where `target` is a ceiling."""

    name: str
    target: str = "–"
    measured: str = "–"
    ratio: str = "–"
    verdict: str = REPORTED
    value: float | None = None  # measured, as a number

    @property
    def row(self) -> tuple[str, ...]:
        return (self.name, self.target, self.measured, self.ratio, self.verdict)


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    figures: list[Figure]
    notes: tuple[str, ...] = ()
    limit: str = ""  # what bounds these figures, for the page's account of a miss
    drawn: str = ""  # an SVG


def at_most(name: str, measured: float, limit: float, unit: str = "") -> Figure:
    return judged(name, measured, limit, unit, "≤", measured <= limit)


def at_least(name: str, measured: float, limit: float, unit: str = "") -> Figure:
    return judged(name, measured, limit, unit, "≥", measured >= limit)


def judged(name: str, measured: float, limit: float, unit: str, sign: str, is_met: bool) -> Figure:
    ratio = f"{measured / limit:.2f}" if limit else "–"
    return Figure(
        name,
        f"{sign} {number(limit)}{unit}",
        f"{number(measured)}{unit}",
        ratio,
        MET if is_met else MISSED,
        measured,
    )


def told(name: str, measured: float | str, unit: str = "") -> Figure:
    """A figure without a target."""
    if isinstance(measured, str):
        return Figure(name, measured=measured)
    return Figure(name, measured=f"{number(measured)}{unit}", value=measured)


def left_out(name: str, why: str) -> Figure:
    return Figure(name, measured=why, verdict=LEFT_OUT)


def broken(name: str, error: Exception) -> Figure:
    """The part ended by an exception: the others go on, and the run is not a good one."""
    return Figure(name, measured=type(error).__name__, verdict=BROKEN)


def number(value: float) -> str:
    if value != value or value == float("inf"):
        return "never"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def as_text(sections: Sequence[Section]) -> str:
    """One table with aligned columns; a line with the section's name above its rows."""
    rows = [HEAD, *(figure.row for section in sections for figure in section.figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [line(HEAD, widths), "  ".join("-" * width for width in widths)]
    for section in sections:
        lines += ["", section.title.upper()]
        lines += [line(figure.row, widths) for figure in section.figures]
        lines += [f"  {note}" for note in section.notes]
    return "\n".join(lines)


def as_markdown(sections: Sequence[Section]) -> str:
    """A heading and a table per section."""
    parts = []
    for section in sections:
        lines = [f"## {section.title}", "", md_row(HEAD), md_row("---" for _ in HEAD)]
        lines += [md_row(figure.row) for figure in section.figures]
        parts.append("\n".join([*lines, *(f"\n{note}" for note in section.notes)]))
    return "\n\n".join(parts)


def line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def md_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
