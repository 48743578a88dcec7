"""Memory of each process over many orders, and how long a start takes."""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import linear_regression, median

from django.utils import timezone

from bench.figures import Figure, Section, at_most, number, told
from bench.ground import SHOPS, Ground, forget_wakes
from bench.life import Driver
from connector import wake
from connector.launcher import stack
from connector.models import Connection

RATE = 12.0  # orders a second
LOOK_SECONDS = 1.0
LIMIT_MB = 120
SLOPE_LIMIT = 1.0  # MB in 1,000 orders, over the second half: caches are full by then
ENDS = 0.1  # of all looks: first and last are medians of so many
STARTS = 3
TEST_SECONDS = stack.PROJECT / ".venv" / ".test_seconds"  # written by `make test`
LIMIT = "A Python process keeps what its imports and its largest moment took; every thread keeps buffers of its own."

NOTE = (
    "Resident memory, the largest process of each program. First and last are medians of a tenth of the looks; the "
    "slope is a straight line through those of the second half, when caches and connections are there."
)


@dataclass
class Looks:
    """Megabytes of one program's largest process, and how many orders had been placed."""

    orders: list[int] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)

    def add(self, orders: int, megabytes: float) -> None:
        self.orders.append(orders)
        self.megabytes.append(megabytes)

    @property
    def first(self) -> float:
        return median(self.megabytes[: self._end])

    @property
    def last(self) -> float:
        return median(self.megabytes[-self._end :])

    @property
    def slope(self) -> float:
        """MB in 1,000 orders."""
        half = len(self.orders) // 2
        orders, megabytes = self.orders[half:], self.megabytes[half:]
        if len({*orders}) < 2:
            return 0.0
        return linear_regression(orders, megabytes).slope * 1000

    @property
    def _end(self) -> int:
        return max(1, int(len(self.megabytes) * ENDS))


def over_orders(ground: Ground, orders: int) -> Section:
    driver, over = Driver(ground, ground.stores[:SHOPS], seed=orders), threading.Event()
    looks: dict[str, Looks] = {name: Looks() for name in ground.running}
    looker = threading.Thread(target=look, args=(ground, driver, looks, over), daemon=True)
    looker.start()
    lives = driver.run(RATE, orders)
    over.set()
    looker.join()
    figures = [figure for name, found in looks.items() for figure in of_program(name, found)]
    figures.append(told("orders seen through", f"{lives.finished:,} of {len(lives.lives):,}"))
    return Section(f"Memory over {orders:,} orders, {RATE:g} a second", figures, (NOTE,), LIMIT)


def look(ground: Ground, driver: Driver, looks: Mapping[str, Looks], over: threading.Event) -> None:
    while not over.wait(LOOK_SECONDS):
        for name, found in looks.items():
            found.add(len(driver.lives), max(ground.running[name].megabytes()))


def of_program(name: str, found: Looks) -> list[Figure]:
    return [
        at_most(f"{name}: most", max(found.megabytes), LIMIT_MB, " MB"),
        told(f"{name}: first, last", f"{number(found.first)}, {number(found.last)} MB"),
        at_most(f"{name}: growth in 1,000 orders", found.slope, SLOPE_LIMIT, " MB"),
    ]


def at_rest(ground: Ground, web_ready: float) -> Section:
    """Memory after all that was done, how long a start takes, and `make test`."""
    memory = [
        at_most(f"memory of {name}, largest process", max(one.megabytes()), LIMIT_MB, " MB")
        for name, one in ground.running.items()
    ]
    starts = [start_of_worker(ground) for _ in range(STARTS)]
    ready = [
        told("start: web ready after", web_ready, " s"),
        told("start: worker takes work after", median(starts), " s"),
        test_time(),
    ]
    return Section("Memory and start-up", [*memory, *ready], (), LIMIT)


def start_of_worker(ground: Ground) -> float:
    """From the start of a worker until it has done a turn that was waiting for it."""
    ground.stop_workers()
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


def test_time() -> Figure:
    name = "`make test`, the last that passed here"
    if not TEST_SECONDS.exists():
        return told(name, "not run here")
    return at_most(name, float(json.loads(TEST_SECONDS.read_text())) / 60, 10, " min")
