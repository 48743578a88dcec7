"""A small `make chaos`: the real processes, killed, under faults; every order ends in exactly one right place.

`CHAOS_ORDERS` and `CHAOS_SEED` make it larger or repeat a run.
"""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from bench.chaos import plan

PROJECT = Path(__file__).resolve().parent.parent
PAGE = PROJECT / "docs" / "reliability.md"
ORDERS = os.environ.get("CHAOS_ORDERS", "60")
SEED = os.environ.get("CHAOS_SEED", "")


@pytest.mark.chaos
def test_a_small_chaos_run_keeps_every_promise():
    words = ["--orders", ORDERS, "--kills", "4", *(["--seed", SEED] if SEED else [])]
    done = subprocess.run(
        [sys.executable, "-m", "bench.chaos", *words],
        cwd=PROJECT,
        env={name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")},
        capture_output=True,
        text=True,
        timeout=420,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-2000:]}"
    assert f"orders                                                      {ORDERS}" in done.stdout
    print(done.stdout)


def test_the_same_seed_plans_the_same_run():
    assert plan.draw(plan.QUICK, 7) == plan.draw(plan.QUICK, 7)
    assert plan.draw(plan.QUICK, 7) != plan.draw(plan.QUICK, 8)


def test_a_full_plan_holds_what_the_design_promises():
    drawn = plan.draw(plan.FULL, 1)
    races = [one for one in drawn.placements if one.kind == "cancelled_at_finalize"]
    kills = [one for one in drawn.disturbances if one.what == "kill"]
    others = [one.what for one in drawn.disturbances if one.what != "kill"]
    assert (len(drawn.placements), len(kills), sorted(others)) == (10_000, 30, ["postgres", "valkey"])
    assert len(races) > 900
    assert {one.shop for one in drawn.placements} == {0, 1, 2}
    assert all(one.after_finalize or abs(one.then - plan.FULL.hold) <= 2 for one in races)


def test_the_page_has_the_shape_that_the_generator_gives_it():
    from bench.chaos import judge, report

    figures = [judge.Figure(name, 0, promised=True) for name in judge.PROMISES]
    figures += [judge.Figure(name, 1) for name in judge.CIRCUMSTANCES]
    made = report.page(figures, size=plan.QUICK, seed=1, day=date(2026, 1, 1))
    assert shape(PAGE.read_text()) == shape(made)


def test_every_test_that_the_page_names_exists():
    from bench.chaos import report

    for file, name in report.SHOWN_BY.values():
        assert f"\ndef {name}(" in (PROJECT / "tests" / f"{file}.py").read_text(), name


def shape(page: str) -> list[str]:
    """Headings and prose as they stand, of a table only its names: figures, seeds and days change."""
    lines = []
    for line in page.splitlines():
        if line.startswith("|"):
            lines.append(line.split("|")[1].strip())
        elif not line.startswith("Written on"):
            lines.append(line)
    return lines
