"""What is to happen, drawn from a seed before anything starts: orders, their fates, and who is killed when."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

SHOPS = 3
LEAD_SECONDS = 1.0  # before the first order
ENOUGH_FOR_TIMES = 5_000
LEAST_OF_AN_ACT, MOST_OF_AN_ACT = 40, 400
ACTS = ("poison", "blackout", "storm", "grant", "drift")

# kind -> its share; shares need not sum up to anything
MIX = {
    "plain": 34,
    "several": 22,
    "never_held": 8,
    "two_parcels": 6,
    "invalid_number": 5,
    "number_corrected": 4,
    "cancelled_in_hold": 6,
    "cancelled_at_finalize": 10,
    "lines_changed": 3,
    "address_changed": 3,
    "tiktok_ships": 2,
    "poison": 1,
}
SKUS = ("TEE-BLK-M", "TEE-BLK-L", "SOCK-CHR-L", "MUG-WHT", "CAP-NVY", "TOTE-NAT", "BOTTLE-STL", "POSTER-A2")
PRICES = ("9.00", "12.40", "18.50", "24.99", "49.90", "0.33")
VICTIMS = ("worker1", "worker2", "worker3", "web", "clock", "worker1", "worker2", "worker3")


@dataclass(frozen=True, slots=True)
class Size:
    """`rate` orders a second; held for `hold` seconds; `patience` seconds until quiet after the last of them.

    An order costs Shopify 55 points, some 70 under faults: with more than `points` / 70 orders a second in each of
    the three shops it is Shopify's limit that says when a run ends.
    """

    orders: int
    kills: int
    rate: float = 4.0
    hold: float = 4.0
    patience: float = 60.0
    points: float = 100.0  # that Shopify restores a second in each shop: 100 standard, 1,000 Plus
    name: str = "quick"
    acts: tuple[str, ...] = ()  # after the main story
    replays: int = 2  # of every event, at the end

    @property
    def promises_times(self) -> bool:
        """Too few orders, and a p95 says nothing."""
        return self.orders >= ENOUGH_FOR_TIMES

    @property
    def act_orders(self) -> int:
        """How many orders each act has, or each of its windows."""
        return max(LEAST_OF_AN_ACT, min(MOST_OF_AN_ACT, self.orders // 25))

    @property
    def seconds(self) -> float:
        """How long orders come and go: what disturbs them happens in this time."""
        return LEAD_SECONDS + self.orders / self.rate + self.hold


QUICK = Size(orders=80, kills=6, patience=90)
FULL = Size(
    orders=10_000,
    kills=30,
    rate=3.0,
    hold=15.0,
    patience=900,
    name="full",
    acts=ACTS,
)


@dataclass(frozen=True, slots=True)
class Placement:
    """One order: when it is placed, in which shop, what its buyer does, and when (seconds after it was placed)."""

    at: float
    shop: int
    kind: str
    facts: dict[str, Any]
    then: float = 0.0  # for what the buyer changes or cancels
    after_finalize: bool = False  # `then` counts from the moment that Shopify has the order
    ships_after: float = 1.0  # the warehouse, after Shopify has the order
    corrects_after: float = 0.0  # the warehouse writes another number, after the first; 0: it does not


@dataclass(frozen=True, slots=True)
class Disturbance:
    at: float
    what: str  # kill, valkey, postgres
    victim: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    placements: list[Placement] = field(default_factory=list)
    disturbances: list[Disturbance] = field(default_factory=list)


def draw(size: Size, seed: int) -> Plan:
    random = Random(f"chaos {seed}")
    kinds = random.choices(list(MIX), weights=list(MIX.values()), k=size.orders)
    placements = [
        placement(random, kind, at=LEAD_SECONDS + number / size.rate, hold=size.hold)
        for number, kind in enumerate(kinds)
    ]
    return Plan(placements, disturbances(random, size))


def placement(random: Random, kind: str, *, at: float, hold: float) -> Placement:
    facts = FACTS.get(kind, plain)(random)
    facts["hold_seconds"] = hold
    then, after_finalize = 0.0, False
    if kind in ("cancelled_in_hold", "lines_changed", "address_changed"):
        then = random.uniform(0.1, 0.8) * hold
    elif kind == "cancelled_at_finalize":
        after_finalize = random.random() < 0.5
        then = random.uniform(0, 2) if after_finalize else hold + random.uniform(-2, 2)
    return Placement(
        at=at,
        shop=random.randrange(SHOPS),
        kind=kind,
        facts=facts,
        then=then,
        after_finalize=after_finalize,
        ships_after=random.uniform(0.2, 4),
        corrects_after=random.choice((0.01, 0.5, 3)) if kind == "number_corrected" else 0.0,
    )


def plain(random: Random) -> dict[str, Any]:
    return {"lines": [(random.choice(SKUS), 1)]}


def several(random: Random) -> dict[str, Any]:
    """Lines with units and discounts of both sides, and a shipping fee that TikTok pays in part."""
    skus = random.sample(SKUS, k=random.randint(1, 4))
    lines = [
        (sku, random.randint(1, 3), random.choice(PRICES), *random.choice((("0", "0"), ("0.10", "0.05"))))
        for sku in skus
    ]
    return {
        "lines": lines,
        "shipping_platform_discount": random.choice(("0", "2.00", "5.99")),
        "shipping_seller_discount": "0",
        "buyer_message": f"Please ring twice, thank you {random.randrange(10**9)}",
    }


def never_held(random: Random) -> dict[str, Any]:
    return plain(random) | {"hold": False}


def two_parcels(random: Random) -> dict[str, Any]:
    return {"lines": [(random.choice(SKUS), random.randint(2, 4))]}


def tiktok_ships(random: Random) -> dict[str, Any]:
    return plain(random) | {"shipping_type": "TIKTOK"}


def poison(random: Random) -> dict[str, Any]:
    return {"lines": [("TT-ONLY-7", 1)]}


FACTS: dict[str, Callable[[Random], dict[str, Any]]] = {
    "several": several,
    "never_held": never_held,
    "two_parcels": two_parcels,
    "tiktok_ships": tiktok_ships,
    "poison": poison,
}


def disturbances(random: Random, size: Size) -> list[Disturbance]:
    """Kills all over the run; Valkey gone once in its first half, PostgreSQL restarted once in its second."""
    begin, end = LEAD_SECONDS + 1, size.seconds
    kills = [
        Disturbance(random.uniform(begin, end), "kill", random.choice(VICTIMS)) for _ in range(size.kills)
    ]
    middle = (begin + end) / 2
    valkey = Disturbance(random.uniform(begin, middle), "valkey", "valkey")
    postgres = Disturbance(random.uniform(middle, end), "postgres", "postgres")
    return sorted([*kills, valkey, postgres], key=lambda one: one.at)
