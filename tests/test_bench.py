"""The table and the page of `make bench`. What it measures is judged by its own run, never here."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest
from django.utils import timezone

from bench import load
from bench.figures import (
    BROKEN,
    HEAD,
    LEFT_OUT,
    MET,
    MISSED,
    Section,
    as_markdown,
    as_text,
    at_least,
    at_most,
    left_out,
    told,
)
from bench.growth_chart import Panel, chart
from bench.life import Life
from bench.load import is_whole, post
from bench.page import CHART, INTRODUCTION, page
from bench.sampled import OTHER, part_of
from bench.sizes import EVERY_PART, SIZES, Backfill
from connector.models import Connection, Order

PROJECT = Path(__file__).resolve().parent.parent
PAGE = PROJECT / "docs" / "performance.md"

SECTIONS = [
    Section(
        "Intake",
        [
            at_most("p99 at 200/s", 20, 50, " ms"),
            at_least("ours ÷ Node", 0.9, 1.0, " ×"),
            told("rate", 1101, "/s"),
            left_out("Node", "no Node on this machine"),
        ],
        ("Side by side.",),
        "The sender shares the cores.",
    )
]


def test_a_figure_is_judged_by_its_target():
    verdicts = [figure.verdict for figure in SECTIONS[0].figures]
    assert verdicts == [MET, MISSED, "reported", LEFT_OUT]
    assert SECTIONS[0].figures[0].ratio == "0.40"


def test_what_never_happened_is_missed_and_says_so():
    figure = at_most("p95", float("inf"), 1, " s")
    assert (figure.measured, figure.verdict) == ("never s", MISSED)


def test_the_table_has_a_line_for_every_figure_and_aligned_columns():
    lines = as_text(SECTIONS).splitlines()
    assert lines[0].split() == list(HEAD)
    rows = [line for line in lines if line.startswith(("p99", "ours", "rate", "Node"))]
    assert len(rows) == len(SECTIONS[0].figures)
    column = lines[0].index("target")
    assert all(row[column - 1] == " " and row[column] != " " for row in rows)


def test_the_page_is_written_from_the_same_sections_and_lists_what_is_not_met():
    text = page(SECTIONS, "quick")
    assert as_markdown(SECTIONS) in text
    assert (
        "## Not met\n\n**Intake: ours ÷ Node**: 0.90 ×, target ≥ 1.00 ×. The sender shares the cores." in text
    )


def test_a_miss_of_cpu_is_told_with_the_largest_parts_of_the_profile():
    profile = [told("ORM and PostgreSQL", "40 %"), told("HTTP to the platforms", "30 %")]
    sections = [
        Section("Cost", [at_most("our CPU per order", 90, 60, " ms")], (), "A dozen calls."),
        Section("Our CPU by part, of one worker", profile),
    ]
    told_of = page(sections, "default").split("## Not met")[1]
    assert "A dozen calls. A worker's CPU for an order goes to: ORM and PostgreSQL 40 %, HTTP" in told_of


def test_the_page_shows_the_chart_where_one_was_drawn():
    assert "](growth.svg)" in page([Section("Growth", [], drawn="<svg/>")], "default")
    assert "growth.svg" not in page(SECTIONS, "default")


def test_the_page_says_how_far_one_machine_goes_by_the_figures_of_its_run():
    figures = [
        at_most("our CPU per order, web + worker + clock", 50, 60, " ms"),
        told("Shopify points per order", 50.0),
    ]
    told_of = page([Section("Cost", figures)], "default").split("## How far one machine goes")[1]
    assert "a core is full at 20.0 orders a second: 1,728,000 a day" in told_of
    assert "no faster than 2.00 orders a second (172,800 a day)" in told_of
    assert "Memory" not in told_of


def test_only_a_run_of_every_part_may_write_the_page():
    done = subprocess.run(
        [sys.executable, "-m", "bench", "quick", "--write"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "every part" in done.stderr


def test_the_parts_of_a_profile_are_held_against_what_the_process_used():
    from bench.parts import Seconds, figures

    before = Seconds({"ORM": 1.0}, looker=0.5, whole=2.0)
    spent = Seconds({"ORM": 1.75, "HTTP": 0.25}, looker=0.75, whole=3.5).since(before)
    orm, http, booked = figures(spent, orders=10)
    assert (orm.measured, http.measured) == ("75 %, 75.0 ms an order", "25 %, 25.0 ms an order")
    assert (booked.measured, booked.verdict) == ("80.0 %", MISSED)


def test_a_page_without_a_miss_says_that():
    assert "every target of this run was met" in page([Section("Intake", SECTIONS[0].figures[:1])], "quick")


def test_a_prebuilt_webhook_is_a_whole_request():
    request = post("/webhooks/tiktok", "127.0.0.1", [("Authorization", "abc")], b"{}")
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /webhooks/tiktok HTTP/1.1\r\n")
    assert b"Content-Length: 2" in head
    assert body == b"{}"
    assert load.Plan("127.0.0.1", 1, [request]).rate == 0


def test_an_answer_is_read_to_its_end():
    assert not is_whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{")
    assert is_whole(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    assert not is_whole(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert is_whole(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")


def test_cpu_time_without_a_known_frame_is_the_rest():
    assert part_of(None) == OTHER


def window(points: dict[str, list[int]], plan: Backfill, **facts: object):
    """A back-fill's window in which each shop was charged these points, a call each."""
    from bench.backfill import Window
    from bench.ground import Call

    calls = tuple(Call(1.0, shop, "draftOrderCreate", one, False) for shop in points for one in points[shop])
    given = {"stock": 0.0, "cpu": {"worker1": 1.0}, "busy": 0.5, "live_p95": 0.1} | facts
    return Window(plan, tuple(points), plan.seconds, calls=calls, **given)  # type: ignore[arg-type]


def test_points_that_lay_in_the_bucket_do_not_make_a_shop_look_faster_than_its_budget():
    plan = Backfill(shops=1, restore=100, seconds=10)
    assert window({"a": [11] * 100}, plan, stock=100.0).share == 1.0
    assert window({"a": [11] * 50}, plan, stock=100.0).share == 0.5


def test_a_slow_shop_beside_a_fast_one_is_unfair():
    plan = Backfill(shops=2, restore=100, seconds=10)
    assert window({"a": [11] * 80, "b": [11] * 100}, plan).unfairness == 1.25
    assert window({"a": [], "b": [11]}, plan).unfairness == float("inf")


def test_a_budget_that_is_not_spent_is_a_miss_unless_the_platforms_give_more_than_the_cpu_can_spend():
    from bench.backfill import figures_of

    def verdict(plan: Backfill, busy: float) -> str:
        return figures_of(window({"a": [11] * 10}, plan, busy=busy))[0].verdict

    assert verdict(Backfill(1, 100, 10), busy=0.5) == MISSED
    assert verdict(Backfill(1, 100, 10), busy=1.0) == MISSED
    assert verdict(Backfill(1, 1000, 10), busy=0.5) == MISSED
    assert verdict(Backfill(1, 1000, 10), busy=1.0) == "reported"


def test_fairness_and_live_latency_are_judged_for_few_shops_and_told_for_many():
    from bench.backfill import figures_of

    few = figures_of(window({"a": [11] * 80, "b": [11] * 100}, Backfill(2, 100, 10), live_p95=3.0))
    many = figures_of(window({"a": [11] * 80, "b": [11] * 100}, Backfill(50, 100, 10), live_p95=3.0))
    assert [figure.verdict for figure in few[-2:]] == [MISSED, MISSED]
    assert [figure.verdict for figure in many[-2:]] == ["reported", "reported"]


@pytest.mark.parametrize("highest", [0.1, 1, 5, 7.4, 40, 500])
def test_the_search_for_the_highest_rate_comes_near_to_it_from_below(highest: float):
    from bench.lives import CLOSE, LEAST, MOST, highest_that

    tried: list[float] = []

    def holds(rate: float) -> bool:
        tried.append(rate)
        return rate <= highest

    found = highest_that(holds)
    assert found <= highest
    assert found * CLOSE >= min(highest, MOST) or highest < LEAST
    assert len(tried) < 10


def test_a_stretch_that_has_not_ended_is_late_once_the_limit_is_over():
    life = Life(None, {"event → draft": 10.0})  # type: ignore[arg-type]
    assert not life.is_late(4, now=13)
    assert life.is_late(4, now=15)
    life.ended["event → draft"] = 12.0
    assert not life.is_late(4, now=99)


def test_memory_that_grows_with_every_order_has_a_slope_and_memory_that_filled_up_has_none():
    from bench.memory import Looks

    growing, filled = Looks(), Looks()
    for orders in range(0, 1000, 10):
        growing.add(orders, 90 + orders * 0.002)
        filled.add(orders, 90 + min(orders, 400) * 0.01)
    assert growing.slope == pytest.approx(2.0)
    assert filled.slope == pytest.approx(0.0)
    assert filled.last > filled.first


def test_the_rate_of_a_race_leaves_out_its_start_and_its_tail():
    from bench.hosts import middle_rate

    steady = [10 + number * 0.1 for number in range(100)]
    assert middle_rate([0.0, *steady[1:-1], 500.0]) == pytest.approx(10)
    assert middle_rate([]) == 0


def test_a_part_that_breaks_is_a_row_and_the_others_go_on(capsys):
    from bench import __main__ as bench

    no_ground = None
    [figure] = bench.one_part(no_ground, SIZES["quick"], "cost").figures  # type: ignore[arg-type]
    assert (figure.name, figure.measured, figure.verdict) == ("cost", "AttributeError", BROKEN)
    assert "AttributeError" in capsys.readouterr().err


def test_every_size_runs_parts_that_there_are_and_the_default_runs_them_all():
    from bench.__main__ import PARTS

    assert set(PARTS) == set(EVERY_PART)
    assert set(SIZES["default"].parts) == set(SIZES["full"].parts) == set(EVERY_PART)
    assert set(SIZES["quick"].parts) < set(EVERY_PART)


def test_a_run_that_is_told_to_stop_leaves_no_process_behind(tmp_path: Path):
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    with (tmp_path / "log").open("wb") as log:
        run = subprocess.Popen(
            [sys.executable, "-m", "bench", "quick", "--only", "cost"],
            cwd=PROJECT,
            env=env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    started: set[psutil.Process] = set()
    ends = time.monotonic() + 120
    while "granian" not in words_of(started) and time.monotonic() < ends:
        started.update(psutil.Process(run.pid).children(recursive=True))
        time.sleep(0.2)
    time.sleep(1)  # the web server is about to start its own processes
    started.update(psutil.Process(run.pid).children(recursive=True))
    assert "granian" in words_of(started), (tmp_path / "log").read_text()
    run.send_signal(signal.SIGTERM)
    assert run.wait(90) == 128 + signal.SIGTERM
    assert [one for one in started if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []


def words_of(processes: set[psutil.Process]) -> str:
    found = []
    for one in processes:
        try:
            found += one.cmdline()
        except psutil.Error:  # gone already
            continue
    return " ".join(found)


def test_the_chart_of_growth_has_a_line_for_every_cost_and_colours_for_light_and_dark_paper():
    flat = {"sweep": [(1_000, 0.05), (1_000_000, 0.05)], "a < b": [(1_000, 0.5), (1_000_000, 5.0)]}
    drawn = ElementTree.fromstring(chart([Panel("orders", flat), Panel("shops", flat)]))
    lines = [one.get("points", "") for one in drawn.iter("{http://www.w3.org/2000/svg}polyline")]
    heights = [[float(point.split(",")[1]) for point in line.split()] for line in lines]
    assert [len(line) for line in heights] == [2, 2, 2, 2]
    assert heights[0][0] == heights[0][1]
    assert heights[1][0] > heights[1][1], "more milliseconds are further up"
    style = next(drawn.iter("{http://www.w3.org/2000/svg}style")).text or ""
    assert "prefers-color-scheme:dark" in style
    words = [one.text for one in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert words.count("a < b") == 1


def test_growth_is_judged_by_what_the_largest_tables_cost_more_than_the_smallest():
    from bench.growth import rows

    found = rows(
        {"sweep": [(1_000, 0.05), (1_000_000, 0.1)], "claim": [(1_000, 0.2), (1_000_000, 9.0)]}, "orders"
    )
    assert [figure.verdict for figure in found] == [MET, MISSED]
    assert [figure.measured for figure in found] == ["0.05, 0.10 ms", "0.20, 9.00 ms"]


@pytest.mark.django_db(transaction=True)
def test_the_growth_of_every_daily_statement_can_be_asked_of_small_tables():
    from bench import grown

    found = grown.over_orders([40, 80])
    assert {tuple(at for at, _ in points) for points in found.values()} == {(40, 80)}
    assert all(cost > 0 for points in found.values() for _, cost in points)
    owner = Connection.objects.order_by("pk").first()
    assert owner is not None
    sent = {name: len(grown.statements(work)) for name, work in grown.works(owner).items()}
    assert sent["sweep of the clock"] == 1
    assert min(sent.values()) >= 1
    assert Order.objects.filter(due_at__lte=timezone.now()).count() == grown.DUE, "nothing of it stays"


def check_page(text: str) -> None:
    """Its prose is the generator's, it has every part, and a paragraph for each miss."""
    written = re.search(
        r"Written on (\S+) by `python -m bench (\w+) --write` on a machine with (.+?)\. To", text
    )
    assert written, "the first lines are not the generator's"
    day, size, machine = written.groups()
    assert text.startswith(INTRODUCTION.format(day=day, size=size, machine=machine))
    tables, missed = text.split("## Not met")
    rows = [line.split(" | ") for line in tables.splitlines() if line.startswith("| ")]
    assert {len(row) for row in rows} == {len(HEAD)}
    headings = [line for line in tables.splitlines() if line.startswith("## ")]
    assert len(headings) == len(EVERY_PART) + 3, "each part, start-up, the run, how far one machine goes"
    of_misses = [row[0].removeprefix("| ") for row in rows if row[-1] == f"{MISSED} |"]
    assert len(re.findall(r"^\*\*", missed, re.MULTILINE)) == len(of_misses)
    assert all(f"{name}**: " in missed for name in of_misses)
    assert CHART in text


def a_whole_page() -> str:
    others = [Section(f"Part {n}", [told("rate", n)], drawn="<svg/>") for n in range(len(EVERY_PART) + 1)]
    return page([*SECTIONS, *others], "default")


def test_the_check_of_the_page_takes_what_the_generator_writes_and_nothing_else():
    check_page(a_whole_page())
    for was, now in (
        ("| Node |", "|"),
        ("**Intake: ours", "**Intake: theirs"),
        ("Everything runs", "It runs"),
    ):
        assert was in a_whole_page()
        with pytest.raises(AssertionError):
            check_page(a_whole_page().replace(was, now, 1))


@pytest.mark.skipif(
    not PAGE.exists(), reason="no run has written docs/performance.md yet (make bench write=1)"
)
def test_the_page_in_the_docs_is_as_the_generator_writes_it():
    check_page(PAGE.read_text())
    assert (PAGE.parent / "growth.svg").exists()
