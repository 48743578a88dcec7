"""How much of each part `quick`, the default and `full` do."""

from dataclasses import dataclass, field

EVERY_PART = (
    "intake",
    "cost",
    "latencies",
    "highest",
    "backfill",
    "hosts",
    "parts",
    "memory",
    "growth",
    "pages",
)


@dataclass(frozen=True, slots=True)
class Backfill:
    """A back-fill: so many shops, points that Shopify restores in each a second, seconds of the window."""

    shops: int
    restore: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Size:
    requests: int  # of one round of webhooks
    rounds: int
    steady_seconds: float  # at 200 webhooks a second
    orders: int  # of one run of lives
    plans: tuple[Backfill, ...]
    trial_seconds: float  # of one rate, in the search for the highest
    heap: int  # orders that one and two hosts race through, each time
    races: int
    lives: int  # orders over which memory is watched
    stored: int  # orders that the pages are looked at with
    visits: int
    grown: tuple[int, ...]  # orders in the tables, step by step
    shops: tuple[int, ...] = (1, 10, 100, 1000)  # shops that a tenth of a million orders are spread over
    parts: tuple[str, ...] = field(default=EVERY_PART)


POOR, RICH = 100.0, 1000.0  # points a second: a shop on the smallest plan, and one on Plus
SIZES = {
    "quick": Size(
        requests=800,
        rounds=2,
        steady_seconds=2,
        orders=6,
        plans=(Backfill(1, POOR, 10),),
        trial_seconds=5,
        heap=60,
        races=1,
        lives=60,
        stored=10_000,
        visits=10,
        grown=(1_000, 10_000),
        shops=(1, 100),
        parts=("intake", "cost", "latencies", "backfill", "growth", "pages"),
    ),
    "default": Size(
        requests=2000,
        rounds=5,
        steady_seconds=10,
        orders=60,
        plans=(
            Backfill(1, POOR, 30),
            Backfill(3, POOR, 30),
            Backfill(50, POOR, 30),
            Backfill(1, RICH, 12),
            Backfill(3, RICH, 12),
        ),
        trial_seconds=5,
        heap=120,
        races=2,
        lives=1000,
        stored=200_000,
        visits=40,
        grown=(1_000, 10_000, 100_000, 1_000_000),
    ),
    "full": Size(
        requests=6000,
        rounds=7,
        steady_seconds=30,
        orders=300,
        plans=tuple(Backfill(shops, restore, 120) for restore in (POOR, RICH) for shops in (1, 3, 50)),
        trial_seconds=20,
        heap=600,
        races=5,
        lives=10_000,
        stored=1_000_000,
        visits=100,
        grown=(1_000, 10_000, 100_000, 1_000_000),
    ),
}
