"""docs/performance.md, written from a run."""

import os
import platform
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime

from bench import reach
from bench.figures import MISSED, Figure, Section, as_markdown

INTRODUCTION = """# Performance

Written on {day} by `python -m bench {size} --write` on a machine with {machine}. To repeat it: `make bench quick` (two
minutes, some of the parts), `make bench` (a quarter of an hour), `make bench full`; `make bench write=1` writes this
page and the chart.

Everything runs on that one machine: PostgreSQL, Valkey, both platforms' sandboxes, the senders, and the product's own
processes as its Procfile starts them. Absolute figures are those of a machine that does all of it at once; ratios
compare what ran side by side, in turns, in the same run. Each part warms up first; where a figure comes from several
rounds it is their median.

`ratio` is measured ÷ target. Figures without a target are reported only.
"""
CHART = "![Milliseconds in PostgreSQL by orders and by shops](growth.svg)"
NONE_MISSED = "Nothing: every target of this run was met."
PROFILE = "Our CPU by part"  # how the title of the section begins that says where CPU time goes
PROFILED = ("CPU", "share of the restore rate", "orders/s", "event → draft", "rate ÷")
LARGEST_PARTS = 4


def page(sections: Sequence[Section], size: str, day: date | None = None) -> str:
    head = INTRODUCTION.format(
        size=size, machine=machine(), day=(day or datetime.now(UTC).date()).isoformat()
    )
    parts = [head, as_markdown([with_chart(one) for one in sections]), ""]
    parts += ["## How far one machine goes", "", *reach.lines(sections), ""]
    return "\n".join([*parts, "## Not met", "", *misses(sections)])


def with_chart(section: Section) -> Section:
    if not section.drawn:
        return section
    return Section(section.title, section.figures, (*section.notes, CHART))


def misses(sections: Sequence[Section]) -> list[str]:
    """A paragraph for each miss: by how much, what bounds it, and where the CPU time goes."""
    found = [paragraph(section, figure, sections) for section, figure in missed(sections)]
    return found or [NONE_MISSED, ""]


def missed(sections: Sequence[Section]) -> Iterator[tuple[Section, Figure]]:
    for section in sections:
        for figure in section.figures:
            if figure.verdict == MISSED:
                yield section, figure


def paragraph(section: Section, figure: Figure, sections: Sequence[Section]) -> str:
    words = [f"**{section.title}: {figure.name}**: {figure.measured}, target {figure.target}.", section.limit]
    if any(word in figure.name for word in PROFILED):
        words.append(profile(sections))
    return " ".join(word for word in words if word) + "\n"


def profile(sections: Sequence[Section]) -> str:
    """The largest parts of a worker's CPU time, out of the section that measured them."""
    for section in sections:
        if section.title.startswith(PROFILE):
            largest = [f"{one.name} {one.measured}" for one in section.figures[:LARGEST_PARTS]]
            return f"A worker's CPU for an order goes to: {', '.join(largest)}."
    return ""


def machine() -> str:
    return f"{os.cpu_count()} cores ({platform.machine()}) and Python {platform.python_version()}"
