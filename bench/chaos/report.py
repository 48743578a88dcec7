"""The table for a terminal, and the page docs/reliability.md out of the same figures."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

from bench.chaos.judge import Figure
from bench.chaos.plan import Size

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
SHOWN = 12

HEAD = """# Reliability

Written on {day} by `python -m bench.chaos --orders {orders} --rate {rate:g} --kills {kills} --seed {seed} --write`.
`make chaos` runs a small one on any machine with Python, `make chaos full` one of 10,000 orders.

The product's own processes (web, three workers, clock) run on a PostgreSQL and a Valkey of their own against the two
sandboxes over HTTP, which judge every request by the platforms' published contracts and keep a ledger of every effect.
Three Shopify shops are fed by a TikTok shop each. Meanwhile

- 20 % of all calls to either platform fail; a third of those after the platform has done what was asked;
- TikTok's and Shopify's events come one to five times and shuffled, and 5 % of them never;
- web, workers and clock are ended by SIGKILL at random moments, Valkey is killed once with all it held, and PostgreSQL
  goes through one crash recovery;
- one TikTok order in ten is cancelled within two seconds of the moment it is finalized.

When nothing moves any more, the ledgers and our own tables are compared. Every figure of the first table has to be 0.

"""


def table(figures: Iterable[Figure]) -> str:
    """One line a figure; what is wrong is named below it."""
    listed = list(figures)
    width = max(len(figure.name) for figure in listed)
    lines = []
    for figure in listed:
        mark = "  <-- must be 0" if figure.broken else ""
        lines.append(f"{figure.name:<{width}}  {figure.value}{mark}")
        if figure.broken:
            lines += [f"    {words}" for words in figure.cases[:SHOWN]]
    return "\n".join(lines)


def page(figures: Iterable[Figure], *, size: Size, seed: int, day: date) -> str:
    listed = list(figures)
    promised = [(figure.name, str(figure.value)) for figure in listed if figure.promised]
    others = [(figure.name, value_of(figure)) for figure in listed if not figure.promised]
    return (
        HEAD.format(orders=size.orders, rate=size.rate, kills=size.kills, seed=seed, day=day.isoformat())
        + markdown("Promise", promised)
        + "\n"
        + markdown("Circumstance", others)
    )


def value_of(figure: Figure) -> str:
    return f"{figure.value} ({', '.join(figure.cases)})" if figure.cases else str(figure.value)


def markdown(title: str, rows: list[tuple[str, str]]) -> str:
    lines = [f"| {title} | Figure |", "|---|---|"] + [f"| {name} | {value} |" for name, value in rows]
    return "\n".join(lines) + "\n"
