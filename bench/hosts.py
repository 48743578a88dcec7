"""Two worker hosts over one PostgreSQL and one Valkey, next to one.

A host is a worker and a clock of its own, held to a small part of a core by stopping and continuing its processes: so
that two of them, both platforms' sandboxes and PostgreSQL fit on one machine and a host's own CPU is what bounds it.
"""

import contextlib
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from statistics import median

from django.utils import timezone

from bench.figures import Figure, Section, at_least, at_most, number, told
from bench.ground import Ground, Machine, Running, Store, connect, forget_wakes
from bench.life import moment
from connector import wake
from connector.launcher import stack
from connector.launcher.children import kill_group
from connector.models import Connection, Order

SHOPS = 8
SHARE = 0.25  # of a core, for each host
BEAT_SECONDS = 0.01
WARM_UP = 24  # orders, before each race
PATIENCE_SECONDS = 120.0
LIMIT = "Both hosts wait for the same PostgreSQL, Valkey and sandboxes, on the same cores."
NOTE = (
    f"Drafts a second out of a heap of due orders in {SHOPS} shops, platforms at 0 ms, between the first and the last "
    f"tenth of the heap; one host and two in turn, medians. A host is a worker and a clock held to {SHARE:.0%} of a "
    "core, so that its own CPU bounds it and the machine can carry two."
)


@dataclass(frozen=True, slots=True)
class Race:
    rate: float  # drafts a second
    cpu: float  # seconds of all hosts' CPU for one draft
    busy: float  # of the machine
    doubled: int
    missing: int


def measure(ground: Ground, heap: int, races: int) -> Section:
    connect(ground, SHOPS)
    ground.stop_workers()
    stores = ground.stores[:SHOPS]
    found: dict[int, list[Race]] = {1: [], 2: []}
    for _ in range(races):
        for count, ran in found.items():
            with hosts(ground, count):
                race(ground, stores, WARM_UP)
                ran.append(race(ground, stores, heap * count))
    return Section("Two worker hosts and one", figures(found[1], found[2]), (NOTE,), LIMIT)


def figures(one: Sequence[Race], two: Sequence[Race]) -> list[Figure]:
    alone, together = median(race.rate for race in one), median(race.rate for race in two)
    cost_alone, cost_together = (median(race.cpu for race in races) * 1000 for races in (one, two))
    races = [*one, *two]
    return [
        told("one host, two hosts: drafts a second", f"{number(alone)}/s, {number(together)}/s"),
        at_least("two hosts' drafts a second ÷ one's", together / alone, 1.8, " ×"),
        told(
            "CPU of the hosts for a draft: with one, with two",
            f"{number(cost_alone)}, {number(cost_together)} ms",
        ),
        told("machine's CPU used meanwhile, at most", 100 * max(race.busy for race in races), " %"),
        at_most("drafts doubled", sum(race.doubled for race in races), 0),
        at_most("orders without a draft", sum(race.missing for race in races), 0),
    ]


@contextlib.contextmanager
def hosts(ground: Ground, count: int) -> Iterator[None]:
    """Started, each held to its share; gone afterwards."""
    names = [(f"worker{number}", f"clock{number}") for number in range(1, count + 1)]
    over = threading.Event()
    forget_wakes()
    holders = []
    for worker, clock in names:
        programs = [ground.start(worker, stack.worker_command()), ground.start(clock, stack.manage("clock"))]
        holders.append(threading.Thread(target=hold, args=(programs, SHARE, over), daemon=True))
    for holder in holders:
        holder.start()
    try:
        yield
    finally:
        over.set()
        for holder in holders:
            holder.join()
        ground.stop(*(name for both in names for name in both))


def hold(programs: Sequence[Running], share: float, over: threading.Event) -> None:
    """Stop the programs whenever they have used more than their share, until they are within it again.

    What was not used is not saved up: a host that has waited gets no more afterwards than one that has not.
    """
    used, at = cpu_of(programs), time.monotonic()
    owed = 0.0  # CPU seconds above the share
    try:
        while not over.wait(BEAT_SECONDS):
            now, spent = time.monotonic(), cpu_of(programs)
            owed = max(0.0, owed + spent - used - share * (now - at))
            used, at = spent, now
            for one in programs:
                kill_group(one.child, signal.SIGSTOP if owed > 0 else signal.SIGCONT)
    finally:
        for one in programs:
            kill_group(one.child, signal.SIGCONT)


def cpu_of(programs: Sequence[Running]) -> float:
    return sum(one.cpu_seconds() for one in programs)


def race(ground: Ground, stores: Sequence[Store], count: int) -> Race:
    """From a heap of due orders to a draft for each."""
    wanted, first = set(plant(ground, stores, count)), len(ground.shopify.ledger)
    before, machine = host_cpu(ground), Machine()
    for store in stores:
        wake.shop(store.shop_id)
    ends = time.monotonic() + PATIENCE_SECONDS
    while len(made := drafts(ground, first, wanted)) < count and time.monotonic() < ends:
        time.sleep(0.05)
    cpu, busy = host_cpu(ground) - before, machine.share()
    time.sleep(1)  # a second draft of an order would come now
    made = drafts(ground, first, wanted)
    per_order = Counter(tiktok_id for _, tiktok_id in made)
    times = sorted(at for at, _ in made)
    return Race(
        rate=middle_rate(times),
        cpu=cpu / max(1, len(made)),
        busy=busy,
        doubled=sum(number - 1 for number in per_order.values()),
        missing=count - len(per_order),
    )


def middle_rate(times: Sequence[float]) -> float:
    """Events a second between the first and the last tenth of them."""
    tenth = len(times) // 10
    middle = times[tenth : len(times) - tenth]
    took = middle[-1] - middle[0] if len(middle) > 1 else 0.0
    return (len(middle) - 1) / took if took else 0.0


def plant(ground: Ground, stores: Sequence[Store], count: int) -> list[str]:
    """Orders on hold that are known and due, though nobody rang for them and no pull has to find them."""
    ground.tiktok.webhooks.lose = 1.0
    placed = [
        (store, ground.tiktok.place_order(shop_id=store.tiktok_shop_id, hold_seconds=86_400))
        for store in islice(cycle(stores), count)
    ]
    ground.tiktok.webhooks.lose = 0.0
    connections = {one.shop_id: one for one in Connection.objects.filter(active=True)}
    now = timezone.now()
    Order.objects.bulk_create(
        Order(
            connection=connections[store.shop_id],
            shop_id=store.shop_id,
            tiktok_id=tiktok_id,
            placed_at=now,
            tiktok_status="ON_HOLD",
            due_at=now,
        )
        for store, tiktok_id in placed
    )
    return [tiktok_id for _, tiktok_id in placed]


def drafts(ground: Ground, first: int, wanted: set[str]) -> list[tuple[float, str]]:
    """When a draft was made for which order, by Shopify's ledger from its entry `first` on."""
    found = []
    for entry in ground.shopify.ledger[first:]:
        if entry["what"] == "draft_created":
            tiktok_id = next(tag.removeprefix("tts-") for tag in entry["tags"] if tag.startswith("tts-"))
            if tiktok_id in wanted:
                found.append((moment(entry["at"]), tiktok_id))
    return found


def host_cpu(ground: Ground) -> float:
    return sum(
        seconds for name, seconds in ground.cpu_seconds().items() if name.startswith(("worker", "clock"))
    )
