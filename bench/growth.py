"""How the cost of what is done all day grows with the orders and the shops in the tables."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import connection

from bench.figures import MET, MISSED, Figure, Section, number
from bench.ground import Ground, forget_wakes
from bench.growth_chart import Panel, chart
from connector.launcher import stack

DATABASE = "growth"
SPREAD = 20_000  # orders that are spread over more and more shops
GROWTH_LIMIT = 1.0  # ms
NOTE = (
    "Milliseconds that PostgreSQL executes the product's own statements (EXPLAIN ANALYZE, medians), in a database of "
    "its own. Beside the ended orders, with an event each and a parcel for every second one, 50 orders of one shop are "
    "due now and one order in a thousand is due later."
)
LIMIT = "A statement grows with the tables where it reads more pages of an index, or where no index leads to its rows."


def measure(ground: Ground, orders: Sequence[int], shops: Sequence[int]) -> Section:
    plan = {"orders": orders, "shops": shops, "spread": min(SPREAD, orders[-1])}
    with own_database(ground) as url:
        done = subprocess.run(
            [sys.executable, "-m", "bench.grown", json.dumps(plan)],
            env=ground.env | {"DATABASE_URL": url},
            stdout=subprocess.PIPE,
            cwd=stack.PROJECT,
            check=True,
        )
    forget_wakes()  # the sweep rang for shops of that database
    found = json.loads(done.stdout)
    figures = [
        *rows(found["orders"], "orders"),
        *rows(found["shops"], f"shops, {plan['spread']:,} orders"),
    ]
    drawn = chart(
        [
            Panel("orders in the tables", found["orders"]),
            Panel(f"shops, {plan['spread']:,} orders in the tables", found["shops"]),
        ]
    )
    return Section("Growth", figures, (NOTE,), LIMIT, drawn)


def rows(costs: dict[str, list[tuple[int, float]]], what: str) -> list[Figure]:
    return [row(name, points, what) for name, points in costs.items()]


def row(name: str, points: list[tuple[int, float]], what: str) -> Figure:
    """Flat: the largest tables cost a little more than the smallest, or not twice as much."""
    (fewest, least), (most, cost) = points[0], points[-1]
    growth, limit = max(0.0, cost - least), max(GROWTH_LIMIT, least)
    return Figure(
        f"{name}: {fewest:,} to {most:,} {what}",
        f"≤ {number(limit)} ms more",
        f"{', '.join(number(value) for _, value in points)} ms",
        f"{growth / limit:.2f}",
        MET if growth <= limit else MISSED,
        growth,
    )


@contextmanager
def own_database(ground: Ground) -> Iterator[str]:
    """Beside the one that is measured elsewhere, with the same tables; its URL."""
    server, _ = ground.env["DATABASE_URL"].rsplit("/", 1)
    url = f"{server}/{DATABASE}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {DATABASE}")
        try:
            env = ground.env | {"DATABASE_URL": url}
            migrate = stack.manage("migrate", "--no-input", "--verbosity", "0")
            subprocess.run(migrate, env=env, cwd=stack.PROJECT, check=True)
            yield url
        finally:
            cursor.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
