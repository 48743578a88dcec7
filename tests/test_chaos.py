"""A small `make chaos`: the real processes, killed, under faults; every order ends in exactly one right place.

`CHAOS_ORDERS` and `CHAOS_SEED` make it larger or repeat a run.
"""

import os
import re
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.chaos import plan
from connector.models import Order, OrderLog

PROJECT = Path(__file__).resolve().parent.parent
PAGE = PROJECT / "docs" / "reliability.md"
ORDERS = os.environ.get("CHAOS_ORDERS", "200")
RATE = "8"  # orders a second: 200 come within 25 s, and `make test` has ten minutes for everything
SEED = os.environ.get("CHAOS_SEED", "")


@pytest.mark.chaos
def test_a_small_chaos_run_keeps_every_promise():
    words = ["--orders", ORDERS, "--rate", RATE, "--kills", "4", *(["--seed", SEED] if SEED else [])]
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
    assert f"\norders {ORDERS}\n" in re.sub(" +", " ", done.stdout)
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

    promised = (*judge.PROMISES, *judge.PROMISES_OF_ACTS, *judge.BOUNDS)
    figures = [judge.Figure(name, 0, promised=True) for name in promised]
    figures += [judge.Figure(name, 1) for name in (*judge.CIRCUMSTANCES, *judge.TOLD_OF_ACTS)]
    made = report.page(figures, size=plan.QUICK, seed=1, day=date(2026, 1, 1))
    assert shape(PAGE.read_text()) == shape(made)


def test_the_full_size_plays_every_act_and_the_small_one_none():
    from bench.chaos import acts, judge

    told = [act for act, *_ in (*judge.PROMISES_OF_ACTS.values(), *judge.BOUNDS.values())]
    assert plan.FULL.acts == plan.ACTS == tuple(acts.ACTS) == tuple(dict.fromkeys(told))
    assert plan.QUICK.acts == ()


def test_one_order_in_a_hundred_is_poisoned_in_a_window_with_poison():
    from bench.chaos import acts

    assert acts.poisoned_kinds(400).count("poison") == 4
    assert acts.poisoned_kinds(plan.QUICK.act_orders).count("poison") == 1


def test_a_figure_above_its_limit_breaks_the_run_and_an_act_that_was_left_out_does_not():
    from bench.chaos.judge import NOT_PLAYED, Figure

    assert Figure("lost", 1, True).broken
    assert Figure("ratio", 1.11, True, limit=1.1).broken
    assert not Figure("ratio", 1.1, True, limit=1.1).broken
    assert not Figure("ratio", NOT_PLAYED, True, limit=1.1).broken


def test_a_write_that_no_timeline_tells_is_named_unless_its_answer_was_lost_or_its_asker_died(world):
    from bench.chaos.recovery import Kill
    from bench.chaos.timelines import compare

    world.finalized()
    story: Any = SimpleNamespace(kills=[])
    stage: Any = world  # both have the platforms
    found = compare(stage, story)
    assert (found.lines, found.without_line, found.without_write) == (5, [], [])
    OrderLog.objects.filter(call="draftOrderUpdate").delete()
    assert [words.split()[1] for words in compare(stage, story).without_line] == ["draftOrderUpdate:"]
    [update] = world.shopify_effects("draft_updated")
    story.kills = [Kill("worker1", datetime.fromisoformat(update["at"]), 0.0)]
    assert compare(stage, story).without_line == []
    story.kills = []
    del update["answered"]
    assert compare(stage, story).without_line == []
    world.shopify.ledger.remove(update)
    OrderLog.objects.create(order=Order.objects.get(), what="wrote", call="draftOrderUpdate")
    assert len(compare(stage, story).without_write) == 1


def test_what_the_platforms_hold_of_ours_after_a_replay_is_a_write_and_what_a_merchant_did_is_none(world):
    from bench.chaos.replay import writes

    order = world.finalized()
    stage: Any = world
    before = len(world.tiktok.ledger), len(world.shopify.ledger)
    world.store.fulfill(order.order_gid, company="UPS", numbers=["1Z999AA10123456784"])
    assert writes(stage, *before) == []
    world.settle()
    assert [entry["what"] for entry in writes(stage, *before)] == ["ship"]


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
