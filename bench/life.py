"""Orders through their whole life at a steady rate: how long each stretch takes, and what an order costs."""

import heapq
import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from statistics import median, quantiles

from bench.ground import Ground, Store
from shopify_app.sandbox.carriers import tracking_number

TICK_SECONDS = 0.01
REST_SECONDS = 0.6  # between what one platform did and what its person does next
PATIENCE_SECONDS = 30.0
STRETCHES = ("event → draft", "release → order", "fulfillment → accepted")


@dataclass
class Life:
    """When things happened to one order, by the platforms' own ledgers (time.time())."""

    store: Store
    began: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return STRETCHES[-1] in self.ended

    def seconds(self, stretch: str) -> float | None:
        if stretch in self.began and stretch in self.ended:
            return self.ended[stretch] - self.began[stretch]
        return None

    def is_late(self, limit: float, now: float) -> bool:
        """Whether a stretch took longer, or has begun longer ago and not ended."""
        return any(self.ended.get(name, now) - began > limit for name, began in self.began.items())


@dataclass(frozen=True, slots=True)
class Spread:
    p50: float
    p95: float


@dataclass
class Lives:
    lives: list[Life]
    seconds: float

    @property
    def finished(self) -> int:
        return sum(life.over for life in self.lives)

    def spread(self, stretch: str) -> Spread:
        """Median and 95th percentile; an order that never got there counts as endless."""
        return spread_of([life.seconds(stretch) for life in self.lives])

    def slowest_p95(self) -> float:
        return max(self.spread(stretch).p95 for stretch in STRETCHES)


def spread_of(found: Sequence[float | None]) -> Spread:
    values = sorted(float("inf") if value is None else value for value in found)
    if len(values) < 2:
        return Spread(*(values * 2)) if values else Spread(float("nan"), float("nan"))
    return Spread(median(values), percentile(values, 95))


def percentile(ordered: Sequence[float], percent: int) -> float:
    if ordered[-1] == float("inf"):  # quantiles would interpolate into endlessness
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
    return quantiles(ordered, n=100, method="inclusive")[percent - 1]


class Driver:
    """Buyers, TikTok's release and the warehouse, on one thread: a heap of what is to happen next."""

    def __init__(self, ground: Ground, stores: Sequence[Store], seed: int = 1) -> None:
        self.ground = ground
        self.stores = stores
        self.random = Random(seed)
        self.lives: dict[str, Life] = {}
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._used: set[str] = set()
        self._tiktok_read = len(ground.tiktok.ledger)
        self._shopify_read = len(ground.shopify.ledger)
        self._orders: dict[str, str] = {}  # Shopify order gid -> TikTok id

    def run(
        self, rate: float, count: int, patience: float = PATIENCE_SECONDS, limit: float = float("inf")
    ) -> Lives:
        """Place `count` orders, `rate` a second over all stores, and see each of them through.

        Ends early when so many took longer than `limit` that their 95th percentile cannot hold it any more.
        """
        began = time.monotonic()
        for number in range(count):
            store = self.stores[number % len(self.stores)]
            self.later(number / rate, lambda store=store: self.place(store))
        ends = began + count / rate + patience
        while time.monotonic() < ends and not self.all_over(count) and not self.is_lost(count, limit):
            self.turn()
            time.sleep(TICK_SECONDS)
        return Lives(list(self.lives.values()), time.monotonic() - began)

    def all_over(self, count: int) -> bool:
        return len(self.lives) == count and all(life.over for life in self.lives.values())

    def is_lost(self, count: int, limit: float) -> bool:
        now = time.time()
        return sum(life.is_late(limit, now) for life in self.lives.values()) > count * 0.05

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), action))

    def turn(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()
        self.read_shopify()
        self.read_tiktok()

    def place(self, store: Store) -> None:
        now = time.time()
        tiktok_id = self.ground.tiktok.place_order(shop_id=store.tiktok_shop_id, hold_seconds=86_400)
        self.lives[tiktok_id] = Life(store, {STRETCHES[0]: now})

    def release(self, tiktok_id: str) -> None:
        self.lives[tiktok_id].began[STRETCHES[1]] = time.time()
        self.ground.tiktok.release(tiktok_id)

    def fulfill(self, store: Store, gid: str, tiktok_id: str) -> None:
        while (number := tracking_number("UPS", self.random)) in self._used:
            continue
        self._used.add(number)
        self.lives[tiktok_id].began[STRETCHES[2]] = time.time()
        self.ground.shopify.shop(store.domain).fulfill(gid, None, "UPS", [number])

    def read_shopify(self) -> None:
        ledger = self.ground.shopify.ledger
        fresh, self._shopify_read = ledger[self._shopify_read :], len(ledger)
        for entry in fresh:
            if entry["what"] not in ("draft_created", "order_created"):
                continue
            tiktok_id = next(tag.removeprefix("tts-") for tag in entry["tags"] if tag.startswith("tts-"))
            life = self.lives.get(tiktok_id)
            if life is None:
                continue
            if entry["what"] == "draft_created":
                life.ended[STRETCHES[0]] = moment(entry["at"])
                self.later(REST_SECONDS, lambda tiktok_id=tiktok_id: self.release(tiktok_id))
            else:
                life.ended[STRETCHES[1]] = moment(entry["at"])
                gid = entry["order"]
                self.later(
                    REST_SECONDS,
                    lambda life=life, gid=gid, tiktok_id=tiktok_id: self.fulfill(life.store, gid, tiktok_id),
                )

    def read_tiktok(self) -> None:
        ledger = self.ground.tiktok.ledger
        fresh, self._tiktok_read = ledger[self._tiktok_read :], len(ledger)
        for entry in fresh:
            if entry["what"] == "ship" and entry["order_id"] in self.lives:
                self.lives[entry["order_id"]].ended[STRETCHES[2]] = moment(entry["at"])


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


# ---- what an order costs -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cost:
    """Per order: milliseconds of our CPU by program, Shopify's points and calls, TikTok's calls, our rows."""

    cpu: dict[str, float]
    points: float
    shopify: dict[str, tuple[float, float]]  # call -> (times, points)
    tiktok: dict[str, float]
    events: float
    log_rows: float

    @property
    def cpu_total(self) -> float:
        return sum(self.cpu.values())

    @property
    def shopify_calls(self) -> float:
        return sum(times for times, _ in self.shopify.values())

    @property
    def tiktok_calls(self) -> float:
        return sum(self.tiktok.values())


def measure_cost(
    ground: Ground, stores: Sequence[Store], rate: float, count: int, settle: float
) -> tuple[Cost, Lives]:
    """Run orders and divide what they took. `settle` seconds more let the looks after the last one happen."""
    from connector.models import InboxEvent, OrderLog

    cpu, calls = ground.cpu_seconds(), len(ground.engine.calls)
    tiktok, rows = Counter(ground.tiktok.calls), (InboxEvent.objects.count(), OrderLog.objects.count())
    lives = Driver(ground, stores, seed=count).run(rate, count)
    time.sleep(settle)
    spent = {name: (after - cpu.get(name, 0)) * 1000 / count for name, after in ground.cpu_seconds().items()}
    metered = ground.engine.calls[calls:]
    times = Counter(call.name for call in metered)
    points = Counter()
    for call in metered:
        points[call.name] += call.points
    cost = Cost(
        cpu=spent,
        points=sum(points.values()) / count,
        shopify={name: (number / count, points[name] / count) for name, number in times.most_common()},
        tiktok={
            name: number / count for name, number in (Counter(ground.tiktok.calls) - tiktok).most_common()
        },
        events=(InboxEvent.objects.count() - rows[0]) / count,
        log_rows=(OrderLog.objects.count() - rows[1]) / count,
    )
    return cost, lives
