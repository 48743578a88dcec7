"""docs/performance.md, written from a run."""

import os
import platform
from collections.abc import Sequence

from bench.figures import MISSED, Section, as_markdown

INTRODUCTION = """# Performance

Measured by `make bench` (`python -m bench {size} --write`), which wrote this page, on {machine}. Everything runs on
that one machine: PostgreSQL, Valkey, both platforms' sandboxes, the senders, and the product's own processes as its
Procfile starts them. Absolute figures are those of a machine that does all of it at once; ratios compare what ran side
by side in the same run.

`ratio` is measured ÷ target. Targets without a sign are reported only.
"""
MISSES = "## Not met\n\n{lines}"
NONE_MISSED = "## Not met\n\nNothing: every target of this run was met."


def page(sections: Sequence[Section], size: str) -> str:
    missed = [
        f"- {section.title}: {figure.name}, {figure.measured} (target {figure.target})"
        for section in sections
        for figure in section.figures
        if figure.verdict == MISSED
    ]
    head = INTRODUCTION.format(size=size, machine=machine())
    return "\n".join([head, as_markdown(sections), "", misses(missed), ""])


def misses(lines: Sequence[str]) -> str:
    return MISSES.format(lines="\n".join(lines)) if lines else NONE_MISSED


def machine() -> str:
    return f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
