"""Back-fill: a heap of released orders that nobody rang for, found by the pulls, against Shopify's metered points."""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import cycle

from django.utils import timezone

from bench.figures import Figure, Section, at_least, at_most, number, told
from bench.ground import PLENTY, Call, Ground, Store
from bench.life import STRETCHES, Driver
from connector.models import Connection, Order

RATE_OF_LIVE = 0.2  # live orders a second meanwhile
POINTS_OF_A_DRAFT = 11  # of an order on hold with a known SKU: the variant's reading and the create
MOST_POINTS = 400.0  # a second and shop: two cores with both sandboxes on them spend no more
AGE = 4 * 3600.0  # seconds: orders paid so long ago are back-fill, not today's work


def measure(ground: Ground, plans: Sequence[tuple[int, float]], seconds: float) -> Section:
    """`plans`: how many shops, and points a second of each."""
    figures: list[Figure] = []
    for shops, restore in plans:
        figures += one_plan(ground, ground.stores[:shops], restore, seconds)
    return Section("Back-fill", figures, (NOTE,))


NOTE = (
    "Orders on hold are placed without a doorbell and found by the pulls; each becomes a draft. Share: points that "
    "Shopify charged ÷ points that it restored in the window, after the bucket has run down to the fifth kept for "
    "live work."
)


def one_plan(ground: Ground, stores: Sequence[Store], restore: float, seconds: float) -> list[Figure]:
    heap(ground, stores, restore, seconds)
    ground.meter(bucket=restore * 20, restore=restore)
    for (
        store
    ) in stores:  # down to a little above the fifth kept for live work: the window sees restored points
        ground.shopify.shop(store.domain).bucket.take(int(restore * 15))
    cpu, began = ground.cpu_seconds(), len(ground.engine.calls)
    pull_now(stores)
    started = time.time()
    live = Driver(ground, stores, seed=int(restore) + len(stores)).run(
        RATE_OF_LIVE, int(seconds * RATE_OF_LIVE), patience=10
    )
    ended = time.time()
    calls = [call for call in ground.engine.calls[began:] if started <= call.at <= ended]
    spent = {name: after - cpu.get(name, 0) for name, after in ground.cpu_seconds().items()}
    quiet(ground)
    return figures_of(stores, restore, calls, ended - started, spent, live.spread(STRETCHES[0]).p95)


def figures_of(
    stores: Sequence[Store],
    restore: float,
    calls: Sequence[Call],
    seconds: float,
    cpu: dict[str, float],
    live_p95: float,
) -> list[Figure]:
    label = f"{len(stores)} shop{'s'[: len(stores) > 1]}, {restore:.0f} points/s"
    points: Counter[str] = Counter()
    for call in calls:
        points[call.shop] += call.points
    throttled = sum(call.throttled for call in calls) / max(1, len(calls))
    share = sum(points.values()) / (restore * len(stores) * seconds)
    drafts = sum(call.name == "draftOrderCreate" and not call.throttled for call in calls) / seconds
    busiest = max(cpu.values(), default=0.0) / seconds
    by_cpu = share < 0.95 and busiest > 0.8
    figures = [
        told(f"{label}: share of the restore rate, CPU-bound at {number(drafts)} drafts/s", 100 * share, " %")
        if by_cpu
        else at_least(f"{label}: share of the restore rate used", 100 * share, 95, " %"),
        at_most(f"{label}: calls THROTTLED", 100 * throttled, 1, " %"),
        at_most(f"{label}: live event → draft meanwhile, p95", live_p95, 2, " s"),
        told(f"{label}: drafts a second; busiest process", f"{number(drafts)}/s; {busiest:.0%} of a core"),
    ]
    if len(stores) > 1:
        each = [points[store.domain] for store in stores]
        figures.append(at_most(f"{label}: fastest ÷ slowest shop", max(each) / max(1, min(each)), 1.1, "×"))
    return figures


def heap(ground: Ground, stores: Sequence[Store], restore: float, seconds: float) -> None:
    """Enough orders that none of the shops runs out of work in the window."""
    ground.tiktok.webhooks.lose = 1.0
    count = int(min(restore, MOST_POINTS) * len(stores) * (seconds + 15) / POINTS_OF_A_DRAFT)
    for _, store in zip(range(count), cycle(stores), strict=False):
        ground.tiktok.place_order(shop_id=store.tiktok_shop_id, hold_seconds=86_400, age=AGE)
    ground.tiktok.webhooks.lose = 0.0


def pull_now(stores: Sequence[Store]) -> None:
    now = timezone.now()
    Connection.objects.filter(shop__in=[store.shop_id for store in stores]).update(
        due_at=now, tiktok_cursor=None, tiktok_pulled_at=None, started_at=now - timedelta(days=1)
    )


def quiet(ground: Ground) -> None:
    """Plenty again, and what is left of the heap is put to rest."""
    Order.objects.exclude(due_at=None).update(due_at=None)
    ground.meter(**PLENTY)
    time.sleep(2)
