"""Back-fill: a heap of orders on hold that nobody rang for, found by the pulls, against Shopify's metered points."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle

from django.db.models import Q
from django.utils import timezone

from bench.figures import Figure, Section, at_least, at_most, number, told
from bench.ground import PLENTY, SHOPS, Call, Ground, Machine, Store, connect
from bench.life import STRETCHES, Driver
from bench.sizes import Backfill
from connector.models import Connection, Order

RATE_OF_LIVE = 0.2  # live orders a second meanwhile, of each of the first three shops
POINTS_OF_A_DRAFT = 11  # at least, of an order on hold with a known SKU: the variant's reading and the create
MOST_POINTS = 800.0  # a second, of all shops: two cores with both sandboxes on them spend no more
AGE = 4 * 3600.0  # seconds: orders paid so long ago are back-fill, not today's work
BUCKET_SECONDS = 20  # how much Shopify's bucket holds
KEPT = 0.2  # of the bucket, for live work (connector's budgets)
SETTLE_SECONDS = 5.0  # after which the bucket has run down to what is kept
PATIENCE_SECONDS = 10.0
FIRST_PULLS_SECONDS = 60.0
JUDGED_SHOPS = (
    3  # with more, one worker has more to do than CPU, and a round of turns is longer than a window
)
CPU_IS_GONE = 0.9  # of the machine, or of the one core that a Python process can use

NOTE = (
    "Orders on hold are placed without a doorbell and found by the pulls; each becomes a draft. Share: points that "
    "Shopify charged ÷ points that it restored in the window and those that lay above the kept fifth when it began. "
    "Where the platforms give more than two cores can spend, the share is only reported, with what the CPU did."
)
LIMIT = (
    "Both platforms' sandboxes, PostgreSQL and the senders share the cores with the workers. CPU is the limit where "
    "the table shows above 90 % of the machine or of the busiest process. Where both are below, the time went into "
    "waiting: a worker's threads for each other and for PostgreSQL, calls for the sandboxes; how much into which is "
    "not measured."
)


@dataclass(frozen=True, slots=True)
class Window:
    """What happened between its two ends."""

    plan: Backfill
    domains: tuple[str, ...]
    seconds: float
    stock: float  # points above the kept fifth when it began, over all shops
    calls: tuple[Call, ...]
    cpu: Mapping[str, float]  # seconds, by program
    busy: float  # of the machine
    live_p95: float

    @property
    def points(self) -> Counter[str]:
        points: Counter[str] = Counter()
        for call in self.calls:
            points[call.shop] += call.points
        return points

    @property
    def share(self) -> float:
        given = self.plan.restore * len(self.domains) * self.seconds
        return self.points.total() / (given + self.stock)

    @property
    def drafts(self) -> int:
        return sum(call.name == "draftOrderCreate" and not call.throttled for call in self.calls)

    @property
    def throttled(self) -> float:
        return sum(call.throttled for call in self.calls) / max(1, len(self.calls))

    @property
    def unfairness(self) -> float:
        """The fastest shop's points ÷ the slowest's."""
        each = [self.points[domain] for domain in self.domains]
        return max(each) / min(each) if min(each) else float("inf")

    @property
    def busiest(self) -> float:
        """Of one core, by the program that used most."""
        return max(self.cpu.values(), default=0.0) / self.seconds

    @property
    def is_bound_by_cpu(self) -> bool:
        return self.busy >= CPU_IS_GONE or self.busiest >= CPU_IS_GONE


def measure(ground: Ground, plans: Sequence[Backfill]) -> Section:
    figures: list[Figure] = []
    for plan in plans:
        connect(ground, plan.shops)
        see_first_pulls(ground.stores[: plan.shops])
        figures += figures_of(watch(ground, plan))
    rest(ground.stores[SHOPS:])
    return Section("Back-fill", figures, (NOTE,), LIMIT)


def see_first_pulls(stores: Sequence[Store]) -> None:
    """A new connection registers its webhooks, reads the catalogue and checks its setup: not in the window."""
    theirs = Connection.objects.filter(shop__in=[store.shop_id for store in stores])
    ends = time.monotonic() + FIRST_PULLS_SECONDS
    while (
        time.monotonic() < ends
        and theirs.filter(Q(prepared_at=None) | Q(due_at__lte=timezone.now())).exists()
    ):
        time.sleep(0.2)


def watch(ground: Ground, plan: Backfill) -> Window:
    stores = ground.stores[: plan.shops]
    with heap(ground, stores, plan):
        meter(ground, stores, plan.restore)
        pull_now(stores)
        time.sleep(SETTLE_SECONDS)
        return window(ground, stores, plan)


def window(ground: Ground, stores: Sequence[Store], plan: Backfill) -> Window:
    cpu, machine, first = ground.cpu_seconds(), Machine(), len(ground.engine.calls)
    stock = sum(above_the_kept(ground, store, plan.restore) for store in stores)
    started = time.time()
    rate = RATE_OF_LIVE * min(3, len(stores))
    seed = int(plan.restore) + len(stores)
    live = Driver(ground, stores, seed).run(rate, max(2, int(plan.seconds * rate)), PATIENCE_SECONDS)
    time.sleep(max(0.0, started + plan.seconds - time.time()))
    ended = time.time()
    return Window(
        plan,
        tuple(store.domain for store in stores),
        ended - started,
        stock,
        tuple(call for call in ground.engine.calls[first:] if started <= call.at <= ended),
        {name: after - cpu.get(name, 0.0) for name, after in ground.cpu_seconds().items()},
        machine.share(),
        live.spread(STRETCHES[0]).p95,
    )


def figures_of(found: Window) -> list[Figure]:
    plan = found.plan
    label = f"{plan.shops} shop{'s'[: plan.shops > 1]}, {plan.restore:.0f} points/s"
    bound = found.share < 0.95 and found.is_bound_by_cpu
    reported_only = bound and (plan.shops > JUDGED_SHOPS or plan.restore > 100)
    share = f"{label}: share of the restore rate used"
    figures = [
        told(f"{share}, bound by CPU", 100 * found.share, " %")
        if reported_only
        else at_least(share, 100 * found.share, 95, " %"),
        at_most(f"{label}: calls THROTTLED", 100 * found.throttled, 1, " %"),
        told(
            f"{label}: drafts; time ÷ (their points ÷ restore rate); busiest process; machine",
            f"{number(found.drafts / found.seconds)}/s; {stretched(found)}; "
            f"{found.busiest:.0%} of a core; {found.busy:.0%}",
        ),
    ]
    live, fair = f"{label}: live event → draft meanwhile, p95", f"{label}: fastest ÷ slowest shop"
    if plan.shops > JUDGED_SHOPS:
        return [*figures, told(live, found.live_p95, " s"), told(fair, found.unfairness, " ×")]
    figures.append(at_most(live, found.live_p95, 2, " s"))
    if plan.shops > 1:
        figures.append(at_most(fair, found.unfairness, 1.1, " ×"))
    return figures


def stretched(found: Window) -> str:
    """How much longer it took than Shopify's restore rate alone would have made it."""
    return f"{number(1 / found.share)} ×" if found.share else "never"


@contextmanager
def heap(ground: Ground, stores: Sequence[Store], plan: Backfill) -> Iterator[None]:
    """Enough orders that none of the shops runs out of work in the window; afterwards they are gone."""
    points = min(plan.restore * len(stores), MOST_POINTS)
    seconds = SETTLE_SECONDS + plan.seconds + PATIENCE_SECONDS
    count = int(points * seconds / POINTS_OF_A_DRAFT) + len(stores)
    ground.tiktok.webhooks.lose = 1.0
    placed = [
        ground.tiktok.place_order(shop_id=store.tiktok_shop_id, hold_seconds=86_400, age=AGE)
        for _, store in zip(range(count), cycle(stores), strict=False)
    ]
    ground.tiktok.webhooks.lose = 0.0
    try:
        yield
    finally:
        Order.objects.exclude(due_at=None).update(due_at=None)
        with ground.tiktok.lock:  # else the next plan's pulls would read them again
            for tiktok_id in placed:
                del ground.tiktok.world.orders[tiktok_id]
        ground.meter(**PLENTY)
        time.sleep(2)


def meter(ground: Ground, stores: Sequence[Store], restore: float) -> None:
    """Buckets that are about to run down to what is kept: the window is to see restored points."""
    ground.meter(bucket=restore * BUCKET_SECONDS, restore=restore)
    for store in stores:
        ground.shopify.shop(store.domain).bucket.take(int(restore * BUCKET_SECONDS * 0.75))


def above_the_kept(ground: Ground, store: Store, restore: float) -> float:
    level = ground.shopify.shop(store.domain).bucket.level()
    return max(0.0, level - KEPT * BUCKET_SECONDS * restore)


def rest(stores: Sequence[Store]) -> None:
    """Other parts are to see no pulls of shops that they do not use."""
    Connection.objects.filter(shop__in=[store.shop_id for store in stores]).update(due_at=None)


def pull_now(stores: Sequence[Store]) -> None:
    now = timezone.now()
    Connection.objects.filter(shop__in=[store.shop_id for store in stores]).update(
        due_at=now,
        tiktok_cursor=None,
        tiktok_until=None,
        tiktok_page="",
        tiktok_pulled_at=None,
        started_at=now - timedelta(days=1),
    )
