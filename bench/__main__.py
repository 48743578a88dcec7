"""python -m bench [quick|default|full] [--only PART...] [--write]: every figure of the budgets in one table."""

import argparse
import json
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from bench.figures import BROKEN, Section, as_text, at_most, broken, told
from bench.ground import Ground, Machine, prepared
from bench.sizes import EVERY_PART, SIZES, Size
from connector.launcher.children import LauncherError

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE, CHART = DOCS / "performance.md", DOCS / "growth.svg"
WARM_UP = 6  # orders
CPU_LIMIT, POINTS_LIMIT = 60, 60


def main() -> int:
    asked = arguments().parse_args()
    size = SIZES[asked.size]
    wanted = asked.only or size.parts
    if asked.write and set(wanted) != set(EVERY_PART):
        print("The page shows every part: --write goes with the default or with full.", file=sys.stderr)
        return 2
    end_on_signals()
    began, machine = time.monotonic(), Machine()
    try:
        with prepared() as ground:
            sections = run(ground, size, wanted)
            breaches = len(ground.tiktok.violations) + len(ground.shopify.violations)
    except LauncherError as error:
        print(error, file=sys.stderr)
        return 1
    sections.append(the_run(time.monotonic() - began, breaches, machine))
    print(as_text(sections), flush=True)
    if any(figure.verdict == BROKEN for section in sections for figure in section.figures):
        return 1
    if asked.write:
        from bench.page import page

        PAGE.write_text(page(sections, asked.size))
        for section in sections:
            if section.drawn:
                CHART.write_text(section.drawn)
    return 0


def end_on_signals() -> None:
    """Leave by an exception, so that every process that was started is stopped on the way out."""

    def leave(number: int, _: FrameType | None) -> None:
        for ending in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ending, signal.SIG_IGN)  # nothing cuts the stopping short
        sys.exit(128 + number)

    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, leave)


def the_run(seconds: float, breaches: int, machine: Machine) -> Section:
    """How far to trust it: absolute figures of a machine that others use at the same time are worth little."""
    ours = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    others = machine.share() - ours / machine.seconds()
    figures = [
        told("time", seconds / 60, " min"),
        told("CPU of the machine that others used meanwhile", 100 * max(0.0, others), " %"),
        told("CPU of a fixed piece of Python, for comparing machines", yardstick(), " ms"),
        at_most("requests of ours that broke a platform's contract", breaches, 0),
    ]
    return Section("The run", figures)


def yardstick() -> float:
    """Milliseconds of CPU: the least of several goes at the same work."""

    def go() -> float:
        began = time.process_time()
        for number in range(2000):
            json.loads(json.dumps({str(key): [key, "word"] for key in range(number % 50)}))
        return (time.process_time() - began) * 1000

    return min(go() for _ in range(7))


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("size", nargs="?", choices=SIZES, default="default")
    parser.add_argument("--only", nargs="*", choices=EVERY_PART, help="these parts and no others")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    return parser


def run(ground: Ground, size: Size, wanted: Sequence[str]) -> list[Section]:
    ready = ground.start_web()
    sections = []
    for name in wanted:
        began = time.monotonic()
        sections.append(one_part(ground, size, name))
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return [*sections, at_rest(ground, ready)]


def one_part(ground: Ground, size: Size, name: str) -> Section:
    try:
        return PARTS[name](ground, size)
    except Exception as error:
        traceback.print_exc()
        return Section(name, [broken(name, error)])


# The product's models can be imported only once the ground is prepared.


def intake(ground: Ground, size: Size) -> Section:
    from bench import intake as part

    ground.stop_workers()
    return part.measure(ground, size.requests, size.rounds, size.steady_seconds)


def latencies(ground: Ground, size: Size) -> Section:
    from bench import lives

    working(ground)
    return lives.latencies(ground, size.orders)


def highest(ground: Ground, size: Size) -> Section:
    from bench import lives

    working(ground)
    return lives.highest(ground, size.trial_seconds)


def cost(ground: Ground, size: Size) -> Section:
    from bench import lives

    working(ground)
    return lives.cost(ground, size.orders, CPU_LIMIT, POINTS_LIMIT)


def backfill(ground: Ground, size: Size) -> Section:
    from bench import backfill as part

    working(ground)
    return part.measure(ground, size.plans)


def hosts(ground: Ground, size: Size) -> Section:
    from bench import hosts as part

    return part.measure(ground, size.heap, size.races)


def parts(ground: Ground, size: Size) -> Section:
    from bench import parts as part

    return part.measure(ground, 2, size.orders)


def memory(ground: Ground, size: Size) -> Section:
    from bench import memory as part

    ground.stop_workers()
    working(ground)
    return part.over_orders(ground, size.lives)


def growth(ground: Ground, size: Size) -> Section:
    from bench import growth as part

    ground.stop_workers()
    return part.measure(ground, size.grown, size.shops)


def pages(ground: Ground, size: Size) -> Section:
    from bench import pages as part

    ground.stop_workers()
    return part.measure(ground, size.stored, size.visits)


def at_rest(ground: Ground, web_ready: float) -> Section:
    from bench import memory as part

    working(ground)
    return part.at_rest(ground, web_ready)


PARTS: dict[str, Callable[[Ground, Size], Section]] = {
    "intake": intake,
    "cost": cost,
    "latencies": latencies,
    "highest": highest,
    "backfill": backfill,
    "hosts": hosts,
    "parts": parts,
    "memory": memory,
    "growth": growth,
    "pages": pages,
}


def working(ground: Ground) -> None:
    """A worker and the clock, warmed up."""
    if "clock" in ground.running:
        return
    from bench.life import Driver

    ground.start_workers()
    Driver(ground, ground.stores, seed=7).run(2, WARM_UP)


if __name__ == "__main__":
    sys.exit(main())
