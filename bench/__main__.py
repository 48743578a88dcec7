"""python -m bench [quick|default|full] [--only SECTION...] [--write]: every figure of the budgets in one table."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Section, as_text, at_most, told
from bench.ground import Ground, prepared
from connector.launcher.children import LauncherError

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
SHOPS = 3
WARM_UP = 6  # orders
CPU_LIMIT, POINTS_LIMIT, MEMORY_LIMIT = 60, 60, 120


@dataclass(frozen=True, slots=True)
class Size:
    requests: int  # of one round of webhooks
    rounds: int
    steady_seconds: float  # at 200 webhooks a second
    orders: int  # of one run of lives
    rates: tuple[float, ...]  # orders a second, climbed while p95 holds
    window: float  # seconds of back-fill
    plans: tuple[tuple[int, float], ...]  # shops, points a second
    stored: int  # orders that the pages are looked at with
    visits: int


SIZES = {
    "quick": Size(1000, 3, 3, 20, (), 12, ((1, 100.0),), 20_000, 20),
    "default": Size(
        3000, 5, 10, 60, (8, 12, 16, 24, 32), 60, ((1, 100.0), (3, 100.0), (1, 1000.0)), 200_000, 40
    ),
    "full": Size(
        6000, 7, 30, 300, (8, 12, 16, 24, 32), 120, ((1, 100.0), (3, 100.0), (1, 1000.0)), 1_000_000, 100
    ),
}


def main() -> int:
    asked = arguments().parse_args()
    began = time.monotonic()
    try:
        with prepared(SHOPS) as ground:
            sections = run(ground, SIZES[asked.size], asked.only or list(PARTS))
            broken = len(ground.tiktok.violations) + len(ground.shopify.violations)
    except LauncherError as error:
        print(error, file=sys.stderr)
        return 1
    took = time.monotonic() - began
    sections.append(
        Section("The run", [told("time", took / 60, " min"), told("breaches of a contract", broken)])
    )
    print(as_text(sections), flush=True)
    if asked.write:
        from bench.page import page

        PAGE.write_text(page(sections, asked.size))
    return 0


def the_run(seconds: float, broken: int) -> Section:
    """How far to trust it: absolute figures of a machine that others use at the same time are worth little."""
    busy = os.getloadavg()[1]
    figures = [
        told("time", seconds / 60, " min"),
        told("load of the machine over the last 5 minutes, cores", f"{busy:.1f}, {os.cpu_count()}"),
        told("CPU of a fixed piece of Python, for comparing runs", yardstick(), " ms"),
        at_most("requests of ours that broke a platform's contract", broken, 0),
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
    parser.add_argument("--only", nargs="*", choices=PARTS, help="these parts and no others")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    return parser


def run(ground: Ground, size: Size, wanted: list[str]) -> list[Section]:
    ready = ground.start_web()
    sections = []
    for name in wanted:
        began = time.monotonic()
        sections.append(PARTS[name](ground, size))
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    resources = at_rest(ground, ready)
    return [*sections, resources]


# The product's models can be imported only once the ground is prepared.


def intake(ground: Ground, size: Size) -> Section:
    from bench import intake as part

    return part.measure(ground, size.requests, size.rounds, size.steady_seconds)


def latencies(ground: Ground, size: Size) -> Section:
    from bench import lives

    working(ground)
    return lives.latencies(ground, size.orders, size.rates)


def cost(ground: Ground, size: Size) -> Section:
    from bench import lives

    working(ground)
    return lives.cost(ground, size.orders, CPU_LIMIT, POINTS_LIMIT)


def backfill(ground: Ground, size: Size) -> Section:
    from bench import backfill as part

    working(ground)
    return part.measure(ground, size.plans, size.window)


def parts(ground: Ground, size: Size) -> Section:
    from bench import parts as part

    return part.measure(ground, 2, size.orders)


def pages(ground: Ground, size: Size) -> Section:
    from bench import pages as part

    ground.stop_workers()
    return part.measure(ground, size.stored, size.visits)


PARTS: dict[str, Callable[[Ground, Size], Section]] = {
    "intake": intake,
    "cost": cost,
    "latencies": latencies,
    "backfill": backfill,
    "parts": parts,
    "pages": pages,
}


def working(ground: Ground) -> None:
    """A worker and the clock, warmed up."""
    if "clock" in ground.running:
        return
    from bench.life import Driver

    ground.start_workers()
    Driver(ground, ground.stores, seed=7).run(2, WARM_UP)


def at_rest(ground: Ground, web_ready: float) -> Section:
    """Memory after all that was done, and how long a start takes."""
    ready = [
        told("start: web ready after", web_ready, " s"),
        told("start: worker takes work after", start_of_worker(ground), " s"),
    ]
    memory = [
        at_most(
            f"memory of {name}{'' if len(sizes) == 1 else ', largest process'}",
            max(sizes),
            MEMORY_LIMIT,
            " MB",
        )
        for name, sizes in ((name, one.megabytes()) for name, one in ground.running.items())
    ]
    return Section("Memory and start-up", [*memory, *ready])


def start_of_worker(ground: Ground) -> float:
    """From the start of a worker until it has done a turn that was waiting for it."""
    from django.utils import timezone

    from bench.ground import forget_wakes
    from connector import wake
    from connector.models import Connection

    working(ground)
    ground.stop("worker1")
    forget_wakes()
    shop = ground.stores[0].shop_id
    Connection.objects.filter(shop=shop).update(due_at=timezone.now())
    wake.shop(shop)
    began = time.monotonic()
    ground.start_workers()
    while Connection.objects.filter(shop=shop, due_at__lte=timezone.now()).exists():
        if time.monotonic() > began + 60:
            return float("inf")
        time.sleep(0.02)
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
