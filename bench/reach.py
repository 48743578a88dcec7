"""How far one machine goes: what the figures of a run mean for orders a day."""

from collections.abc import Sequence

from bench.figures import Section, number

DAY = 86_400
POOR = 100.0  # points a second that Shopify restores on its smaller plans
CPU, POINTS = "our CPU per order", "Shopify points per order"
MEMORY = "memory of"
HOSTS, GROWTH = "two hosts' drafts a second", "Growth"


def lines(sections: Sequence[Section]) -> list[str]:
    """A line for each figure that this run has."""
    found = (
        by_cpu(sections),
        by_points(sections),
        by_memory(sections),
        by_hosts(sections),
        by_growth(sections),
    )
    return [line for line in found if line]


def by_cpu(sections: Sequence[Section]) -> str:
    if not (spent := value(sections, CPU)):
        return ""
    rate = 1000 / spent
    return (
        f"- **CPU.** An order takes {number(spent)} ms of web, worker and clock over its whole life, so a core is full "
        f"at {number(rate)} orders a second: {number(rate * DAY)} a day if they came evenly. PostgreSQL and Valkey "
        "come on top. A worker is one Python process and fills one core: a worker for each core, no more."
    )


def by_points(sections: Sequence[Section]) -> str:
    if not (points := value(sections, POINTS)):
        return ""
    rate = POOR / points
    return (
        f"- **One shop.** An order takes {number(points)} of Shopify's points; where Shopify restores {POOR:.0f} a "
        f"second, a shop goes no faster than {number(rate)} orders a second ({number(rate * DAY)} a day), with "
        "however many workers."
    )


def by_memory(sections: Sequence[Section]) -> str:
    each = {
        figure.name.removeprefix(f"{MEMORY} ").split(",")[0]: figure.value
        for section in sections
        for figure in section.figures
        if figure.name.startswith(f"{MEMORY} ") and figure.value
    }
    if not each:
        return ""
    listed = ", ".join(f"{name} {number(size)} MB" for name, size in each.items())
    return f"- **Memory.** Of each process: {listed}; web runs one and `WEB_PROCESSES` more."


def by_hosts(sections: Sequence[Section]) -> str:
    if not (ratio := value(sections, HOSTS)):
        return ""
    return (
        f"- **More hosts.** Two worker hosts made {number(ratio)} × the drafts of one on the same PostgreSQL and "
        "Valkey, none of them twice."
    )


def by_growth(sections: Sequence[Section]) -> str:
    grown = [
        (figure.value, figure.name)
        for section in sections
        for figure in section.figures
        if section.title == GROWTH and figure.value is not None
    ]
    if not grown:
        return ""
    most, name = max(grown)
    return f"- **Years of orders.** Of the daily statements one grows most, by {number(most)} ms in PostgreSQL: {name}."


def value(sections: Sequence[Section], name: str) -> float | None:
    for section in sections:
        for figure in section.figures:
            if figure.name.startswith(name) and figure.value is not None:
                return figure.value
    return None
