"""What only a live store can tell (Shopify contract 10): experiments that make drafts and look at them.

bench = Workbench(shop, http)
try:
    found = [fact for experiment in EXPERIMENTS for fact in facts_of(experiment, bench)]
finally:
    left = bench.clear()
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from .errors import AccessLost, Rejected, ShopifyError
from .orders import DraftContent, DraftLine
from .workbench import CENT, DEFINITION, NOTE, TAG, Levels, Unfit, Workbench

RESERVED_UNITS = 2
CAP = 5  # orders a minute that a development store may create (Shopify contract 5)


@dataclass(frozen=True, slots=True)
class Fact:
    """What we assumed beside what was seen. `holds` is None where nothing was proved."""

    experiment: str
    assumed: str
    seen: str
    holds: bool | None


@dataclass(frozen=True, slots=True)
class Experiment:
    """`number` is that of the question in Shopify contract 10."""

    number: str
    title: str
    steps: Callable[[Workbench], Iterator[Fact]]


def facts_of(experiment: Experiment, bench: Workbench) -> Iterator[Fact]:
    """The experiment's facts as they are found. A failure is a fact, too, and ends the experiment."""
    name = f"{experiment.number} {experiment.title}"
    try:
        yield from experiment.steps(bench)
    except Unfit as error:
        yield Fact(name, "", str(error), None)
    except ShopifyError as error:
        yield Fact(name, "Shopify takes what we send", error.public, False if refused(error) else None)


def refused(error: ShopifyError) -> bool:
    """Shopify said no to the request, not to us."""
    return isinstance(error, Rejected) and not isinstance(error, AccessLost)


def price_override(bench: Workbench) -> Iterator[Fact]:
    """Through the product's own call, with one variant at a price above its own and one below."""
    variant, shipping = bench.variant(), Decimal("4.99")
    above, below = variant.price + Decimal("7.37"), (variant.price / 3).quantize(CENT)
    expected = 3 * above + below + shipping
    lines = tuple(
        DraftLine(variant.id, "", "", quantity, price, {"_probe": str(price)})
        for quantity, price in ((3, above), (1, below))
    )
    draft = bench.create_draft(DraftContent(lines, "Shipping", shipping, bench.here.currency, (TAG,), NOTE))
    yield Fact(
        "20 total of a draft with priceOverride",
        f"{expected}, without tax",
        f"{draft.total}, with a tax of {draft.tax}" if draft.tax else f"{draft.total}, without tax",
        draft.total == expected and not draft.tax,
    )
    order = bench.complete(draft.id)
    yield Fact("20 total of its order", f"{expected}", f"{order.total}", order.total == expected)
    prices = sorted(line.unit_price for line in order.lines)
    yield Fact(
        "20 one variant at two prices",
        f"two lines: {below}, {above}",
        f"{len(prices)} line(s): {', '.join(map(str, prices))}",
        prices == [below, above],
    )


def carry_over(bench: Workbench) -> Iterator[Fact]:
    """What of a draft its order still has."""
    variant, mark = bench.variant(), uuid.uuid4().hex
    attribute = [{"key": "_probe", "value": mark}]
    line = {**bench.line(variant), "customAttributes": attribute}
    draft_id = bench.create(lineItems=[line], customAttributes=attribute, poNumber=mark)
    order = bench.carried(bench.complete(draft_id).id)
    on_lines = all(node["customAttributes"] == attribute for node in order["lineItems"]["nodes"])
    for what, assumed, carried, relied_on in (
        ("tags", "carried over", TAG in order["tags"], True),
        ("note", "carried over", order["note"] == NOTE, True),
        ("customAttributes of a line", "carried over", on_lines, True),
        ("customAttributes", "either: written again", order["customAttributes"] == attribute, False),
        ("poNumber", "either: not used", order["poNumber"] == mark, False),
    ):
        seen = "carried over" if carried else "lost"
        yield Fact(f"8 {what}, draft to order", assumed, seen, carried or not relied_on)


def reservation(bench: Workbench) -> Iterator[Fact]:
    """Stock before, during and after a reservation, and a completion once it is over."""
    variant = bench.variant(tracked=True, least=RESERVED_UNITS)
    before, levels = bench.stock(variant.id), bench.levels(variant.id)
    less = before - RESERVED_UNITS
    until = timezone.now() + timedelta(seconds=bench.reserve_seconds)
    draft_id = bench.create(
        lineItems=[bench.line(variant, RESERVED_UNITS)],
        reserveInventoryUntil=until.isoformat(timespec="seconds"),
    )
    during = bench.watch(lambda: bench.stock(variant.id), less, seconds=bench.reserve_seconds / 2)
    worked = during == less
    yield Fact("9 stock during a reservation", f"{before} -> {less}", f"{before} -> {during}", worked)
    yield where_reserved(levels, bench.levels(variant.id))
    bench.sleep_until(until)
    after = bench.watch(lambda: bench.stock(variant.id), before)
    yield Fact("9 stock after its end", f"{before} again", f"{after}", after == before if worked else None)
    order = bench.complete(draft_id)
    taken = bench.watch(lambda: bench.stock(variant.id), less)
    yield Fact(
        "9 completing after its end",
        f"PAID, stock {less}",
        f"{order.financial_status}, stock {taken}",
        (order.financial_status, taken) == ("PAID", less),
    )


def where_reserved(before: Levels | None, during: Levels | None) -> Fact:
    name, assumed = "9 where units are reserved", "at one location"
    if before is None or during is None:
        return Fact(name, assumed, "the scope read_inventory is not granted", None)
    moved = {
        gid: {state: units - before[gid][state] for state, units in states.items()}
        for gid, states in during.items()
        if gid in before and states != before[gid]
    }
    moves = [f"{state} {units:+}" for states in moved.values() for state, units in states.items() if units]
    seen = f"{len(moved)} of {len(during)} locations changed: {', '.join(moves) or 'nothing'}"
    return Fact(name, assumed, seen, len(moved) == 1)


def sold_out(bench: Workbench) -> Iterator[Fact]:
    """One unit more than there is, of a variant that must not be sold without stock."""
    variant = bench.scarce_variant()
    units = max(bench.stock(variant.id), 0) + 1
    draft_id = bench.create(lineItems=[bench.line(variant, units)])
    name, assumed = "10 completing a sold-out variant", "an order all the same"
    try:
        order = bench.complete(draft_id)
    except Rejected as error:
        if not refused(error):
            raise
        yield Fact(name, assumed, f"refused: {error.public}", False)
    else:
        yield Fact(name, assumed, f"an order, {order.financial_status}", True)


def unique_reference(bench: Workbench) -> Iterator[Fact]:
    """Whether a unique metafield could make the creation of a draft repeatable."""
    try:
        bench.define_reference()
    except Rejected as error:
        if not refused(error):
            raise
        yield Fact("13 metafield of type id on drafts", "either: not used", f"refused: {error.public}", True)
        return
    yield Fact("13 metafield of type id on drafts", "either: not used", "can be defined", True)
    reference = {"namespace": "$app", "key": DEFINITION["key"], "type": "id", "value": uuid.uuid4().hex}
    bench.create(lineItems=[bench.custom_line()], metafields=[reference])
    name, assumed = "13 a second draft with the same id", "is made, as any draft"
    try:
        bench.create(lineItems=[bench.custom_line()], metafields=[reference])
    except Rejected as error:
        if not refused(error):
            raise
        yield Fact(name, assumed, f"refused: {error.public}", False)
    else:
        yield Fact(name, assumed, "is made", True)


def line_discount(bench: Workbench) -> Iterator[Fact]:
    """Calculated only, nothing is saved."""
    price, discount = Decimal("10.00"), Decimal("1.00")
    applied = {
        "title": "Probe",
        "valueType": "FIXED_AMOUNT",
        "value": float(discount),
        "amountWithCurrency": bench.money(discount),
    }
    line = {**bench.custom_line(price, 3), "appliedDiscount": applied}
    total = bench.total_of(lineItems=[line], taxExempt=True, acceptAutomaticDiscounts=False)
    meaning = {3 * price - discount: "once a line", 3 * (price - discount): "once a unit"}.get(
        total, "neither"
    )
    seen = f"{meaning}: 3 x {price} less {discount} is {total}"
    yield Fact("11 FIXED_AMOUNT discount on a line", "once a line; not used", seen, meaning == "once a line")


def completion_cap(bench: Workbench) -> Iterator[Fact]:
    """One completion more than a development store may create orders in a minute."""
    name, assumed = f"15 draftOrderComplete and the cap of {CAP} a minute", "not capped"
    if not bench.try_cap:
        yield Fact(name, assumed, f"not tried: --try-cap makes {CAP + 1} orders within a minute", None)
        return
    drafts = [bench.create(lineItems=[bench.custom_line()]) for _ in range(CAP + 1)]
    for draft_id in drafts:
        bench.wait_until_ready(draft_id)
    bench.waits = False  # a refusal is what we look for, not to be waited out
    try:
        for draft_id in drafts:
            bench.complete_at_once(draft_id)
    except ShopifyError as error:
        if isinstance(error, AccessLost):
            raise
        number = bench.completed_lately() + 1
        seen = f"number {number} within a minute: {error.public}"
        yield Fact(name, assumed, seen, False if number > CAP else None)
    else:
        number = bench.completed_lately()
        yield Fact(name, assumed, f"{number} within a minute, none refused", True if number > CAP else None)
    finally:
        bench.waits = True


EXPERIMENTS = (
    Experiment("20", "priceOverride", price_override),
    Experiment("8", "carry-over from draft to order", carry_over),
    Experiment("9", "reserveInventoryUntil", reservation),
    Experiment("10", "completing a sold-out variant", sold_out),
    Experiment("13", "metafield of type id on drafts", unique_reference),
    Experiment("11", "FIXED_AMOUNT discount on a line", line_discount),
    Experiment("15", "cap of draftOrderComplete", completion_cap),
)
