"""The figures out of orders' lives: how fast at which rate, and what each costs."""

from collections.abc import Sequence

from bench.figures import MET, MISSED, Figure, Section, at_most, number, told
from bench.ground import Ground
from bench.life import STRETCHES, Driver, Lives, measure_cost

NEAR, FAR = 0.0, 0.3  # seconds a call to a platform takes
NEAR_LIMIT, FAR_LIMIT = 1.0, 4.0
RATES = (1.0, 5.0)
COST_RATE = 3.0


def latencies(ground: Ground, orders: int, climb: Sequence[float]) -> Section:
    figures = []
    for latency, limit in ((NEAR, NEAR_LIMIT), (FAR, FAR_LIMIT)):
        for rate in RATES:
            lives = live(ground, latency, rate, max(10, int(orders * min(1.0, rate / 3))))
            figures += [stretch_figure(lives, stretch, latency, rate, limit) for stretch in STRETCHES]
    if climb:
        figures.append(highest(ground, orders, climb))
    return Section("Latencies, one worker, three shops", figures, (NOTE,))


NOTE = (
    "From the moment one platform changes to the moment the other shows it, by their own ledgers; `ready` at once. "
    "Each cell of the second kind needs three to five calls of 300 ms, one after the other."
)


def live(ground: Ground, latency: float, rate: float, orders: int) -> Lives:
    set_latency(ground, latency)
    try:
        return Driver(ground, ground.stores, seed=int(rate * 100 + latency * 10)).run(rate, orders)
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


def highest(ground: Ground, orders: int, climb: Sequence[float]) -> Figure:
    """The highest of these rates whose every stretch holds the far limit, at no latency of the platforms."""
    held = 0.0
    for rate in climb:
        lives = live(ground, NEAR, rate, max(orders, int(rate * 10)))
        if lives.slowest_p95() > FAR_LIMIT:
            break
        held = rate
    return told(f"highest rate tried with every p95 ≤ {FAR_LIMIT:g} s, 0 ms a call", held, " orders/s")


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
    return Section(f"What an order costs, at {COST_RATE:g} a second", figures)
