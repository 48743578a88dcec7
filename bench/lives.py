"""The figures out of orders' lives: how fast at which rate, and what each costs."""

import time
from collections.abc import Callable

from bench.figures import MET, MISSED, Figure, Section, at_most, number, told
from bench.ground import SHOPS, Ground
from bench.life import STRETCHES, Driver, Lives, measure_cost
from connector.models import InboxEvent, Order, Parcel

NEAR, FAR = 0.0, 0.3  # seconds a call to a platform takes
NEAR_LIMIT, FAR_LIMIT = 1.0, 4.0
RATES = (1.0, 5.0)
COST_RATE = 3.0
LEAST, FIRST_RATE, MOST, CLOSE = 0.25, 4.0, 64.0, 1.2  # of the search for the highest rate
REST_SECONDS = 2.0
LEFT_SECONDS = 60.0


def latencies(ground: Ground, orders: int) -> Section:
    figures = []
    for latency, limit in ((NEAR, NEAR_LIMIT), (FAR, FAR_LIMIT)):
        for rate in RATES:
            lives = live(ground, latency, rate, max(6, int(orders * min(1.0, rate / 3))))
            figures += [stretch_figure(lives, stretch, latency, rate, limit) for stretch in STRETCHES]
    return Section("Latencies, one worker, three shops", figures, (NOTE,), LIMIT)


NOTE = (
    "From the moment one platform changes to the moment the other shows it, by their own ledgers; `ready` at once. "
    "Each cell of the second kind needs three to five calls of 300 ms, one after the other."
)
LIMIT = (
    "An event waits for a turn of its shop and a free thread of the worker, then for its calls, one after the other; "
    "at several orders a second also for the core that the worker shares with both sandboxes."
)


def live(ground: Ground, latency: float, rate: float, orders: int, limit: float = float("inf")) -> Lives:
    set_latency(ground, latency)
    driver = Driver(ground, ground.stores[:SHOPS], seed=int(rate * 100 + latency * 10))
    try:
        return driver.run(rate, orders, limit=limit)
    finally:
        set_latency(ground, NEAR)


def set_latency(ground: Ground, seconds: float) -> None:
    ground.tiktok.settings.latency = seconds
    ground.shopify.settings.change(latency=seconds)


def stretch_figure(lives: Lives, stretch: str, latency: float, rate: float, limit: float) -> Figure:
    found = lives.spread(stretch)
    label = f"{stretch}: {rate:g} orders/s, {latency * 1000:.0f} ms a call"
    return Figure(
        label,
        f"p95 ≤ {number(limit)} s",
        f"p50 {number(found.p50)}, p95 {number(found.p95)} s",
        f"{found.p95 / limit:.2f}",
        MET if found.p95 <= limit else MISSED,
    )


def highest(ground: Ground, seconds: float) -> Section:
    """The highest rate whose every p95 holds the far limit; `seconds` of orders for each rate that is tried."""
    figures = []
    for latency in (FAR, NEAR):
        found = highest_that(lambda rate, latency=latency: holds(ground, latency, rate, seconds))
        label = f"highest rate with every p95 ≤ {FAR_LIMIT:g} s, {latency * 1000:.0f} ms a call"
        figures.append(told(label, found, " orders/s"))
    return Section("How many orders a second, one worker, three shops", figures, (HIGHEST_NOTE,))


HIGHEST_NOTE = (
    f"Orders through their whole life; the rate is doubled until it does not hold, then halved in between until the "
    f"two ends are within {CLOSE - 1:.0%}. Sandboxes, PostgreSQL and the senders run on the same cores."
)


def highest_that(holds: Callable[[float], bool]) -> float:
    low, high = between(holds)
    while low and high <= MOST and high / low > CLOSE:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def between(holds: Callable[[float], bool]) -> tuple[float, float]:
    """A rate that holds, and its double that does not."""
    rate = FIRST_RATE
    if holds(rate):
        while rate * 2 <= MOST and holds(rate * 2):
            rate *= 2
        return rate, rate * 2
    while rate / 2 >= LEAST:
        rate /= 2
        if holds(rate):
            return rate, rate * 2
    return 0.0, rate


def holds(ground: Ground, latency: float, rate: float, seconds: float) -> bool:
    lives = live(ground, latency, rate, max(20, int(rate * seconds)), FAR_LIMIT)
    if held := lives.slowest_p95() <= FAR_LIMIT:
        return held
    see_through()
    return False


def see_through() -> None:
    """What a rate that was too high left behind must not burden the next, nor come back with a pull in another part."""
    ends = time.monotonic() + LEFT_SECONDS
    while time.monotonic() < ends and any(model.due().exists() for model in (InboxEvent, Parcel, Order)):
        time.sleep(REST_SECONDS)


COST_LIMIT = (
    "Every order is a dozen calls, some forty statements and nine rows; the parts below share its CPU."
)


def cost(ground: Ground, orders: int, cpu_limit: float, points_limit: float) -> Section:
    spent, lives = measure_cost(ground, ground.stores[:1], COST_RATE, orders, settle=2)
    by_program = ", ".join(f"{name} {number(value)}" for name, value in sorted(spent.cpu.items()))
    figures = [
        at_most("our CPU per order, web + worker + clock", spent.cpu_total, cpu_limit, " ms"),
        told("of it, ms", by_program),
        at_most("Shopify points per order, one mapped SKU, whole life", spent.points, points_limit),
        told("Shopify calls per order", spent.shopify_calls),
    ]
    figures += [
        told(f"  {name}", f"{number(times)} × {number(points / times)} points")
        for name, (times, points) in spent.shopify.items()
    ]
    figures.append(told("TikTok calls per order", spent.tiktok_calls))
    figures += [told(f"  {name}", number(times)) for name, times in spent.tiktok.items()]
    figures += [
        told("events in per order; log rows per order", f"{number(spent.events)}; {number(spent.log_rows)}"),
        told("orders seen through", f"{lives.finished} of {len(lives.lives)}"),
    ]
    return Section(f"What an order costs, at {COST_RATE:g} a second", figures, (), COST_LIMIT)
