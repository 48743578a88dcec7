"""What follows the main story of a full run, each on the same running system: waits are shortened as everywhere in
these runs, so two hours are told by the pulls that they hold.

An act plays its part and says what it saw; whether its orders ended right is the judge's question.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from django.conf import settings

from bench.chaos.plan import MIX, Placement, placement
from bench.chaos.stage import calm, harden, harden_tiktok, reconnect, silence, storm

if TYPE_CHECKING:
    from bench.chaos.run import Run

LEAST_PATIENCE = 120.0
A_SECOND_OF_PATIENCE = 2.0  # orders
POISONED = 100  # one order of so many
BLACKOUT_PULLS = 24  # two hours of one in five minutes
STORM_SECONDS = 60.0
DEAD_SECONDS = 40.0
DRIFT_HOLD = 15.0  # a merchant needs time to get at a held draft
DEEDS = ("merchant_deletes", "merchant_edits", "merchant_completes", "merchant_cancels")
# The windows follow each other in this order, so that a machine that slowly tires favours neither kind.
WITH_POISON = (False, True, True, False, True, False, False, True)


@dataclass
class Scene:
    """What one act did and saw."""

    quiet: bool = False
    orders: list[str] = field(default_factory=list)  # TikTok order ids, in the order of their placing
    figures: dict[str, float] = field(default_factory=dict)
    against: list[str] = field(default_factory=list)


class Act:
    def __init__(self, run: "Run", name: str, scene: Scene) -> None:
        self.run = run
        self.scene = scene
        self.size = run.story.size
        self.random = Random(f"{name} {run.story.seed}")

    def orders(self, kinds: Iterable[str], seconds: float, **changes: Any) -> float:
        """Place an order of each of the kinds, evenly over the seconds; returns the longest hold among them."""
        listed = list(kinds)
        for number, kind in enumerate(listed):
            one = placement(self.random, kind, at=number * seconds / len(listed), hold=self.size.hold)
            one = replaced(one, **changes)
            self.run.later(one.at, lambda one=one: self.scene.orders.append(self.run.place(one)))
        return float(changes.get("hold", self.size.hold))

    def until_quiet(self, seconds: float) -> None:
        patience = LEAST_PATIENCE + len(self.scene.orders) / A_SECOND_OF_PATIENCE
        self.scene.quiet = self.run.play(seconds, patience)

    def mixed(self) -> list[str]:
        kinds = [kind for kind in MIX if kind != "poison"]
        return self.random.choices(kinds, [MIX[kind] for kind in kinds], k=self.size.act_orders)


def replaced(one: Placement, hold: float = 0.0, **changes: Any) -> Placement:
    facts = one.facts | ({"hold_seconds": hold} if hold else {})
    return Placement(**{name: getattr(one, name) for name in one.__slots__} | {"facts": facts} | changes)


def beside_poison(act: Act) -> None:
    """Windows of the same load with and without orders that always fail; nothing else goes wrong in them."""
    count = act.size.act_orders // 2
    seconds = count / act.size.rate
    measured: dict[bool, list[str]] = {False: [], True: []}
    calm(act.run.stage)
    act.until_quiet(0)
    for poisoned in WITH_POISON:
        kinds = poisoned_kinds(count) if poisoned else ["plain"] * count
        before = len(act.scene.orders)
        act.orders(kinds, seconds)
        act.until_quiet(seconds + act.size.hold)
        measured[poisoned] += act.scene.orders[before:]
        if not act.scene.quiet:
            break
    harden(act.run.stage)
    for poisoned, name in ((False, "without"), (True, "beside")):
        healthy = [id for id in measured[poisoned] if act.run.story.placed[id].kind != "poison"]
        for what, took in latencies(act.run, healthy).items():
            act.scene.figures[f"{what} {name}"] = percentile(took, 0.95)
    poisoned_ids = [id for id in act.scene.orders if act.run.story.placed[id].kind == "poison"]
    act.scene.figures["poisoned"] = len(poisoned_ids)
    act.scene.against = not_parked(poisoned_ids)


def poisoned_kinds(count: int) -> list[str]:
    """At least one of them is poison."""
    every = min(POISONED, count)
    return ["poison" if number % every == every // 2 else "plain" for number in range(count)]


def not_parked(tiktok_ids: list[str]) -> list[str]:
    from connector.models import Order

    soon = datetime.now(UTC) + timedelta(hours=1)
    parked = (
        Order.objects.filter(tiktok_id__in=tiktok_ids, attempts=0).exclude(reason="").exclude(due_at__lt=soon)
    )
    return sorted(set(tiktok_ids) - set(parked.values_list("tiktok_id", flat=True)))


def latencies(run: "Run", tiktok_ids: list[str]) -> dict[str, list[float]]:
    """From TikTok's word to Shopify's deed, in seconds. TikTok's times are whole ones: the moment of placing is ours,
    and a release comes its hold after the second of the payment.
    """
    wanted = set(tiktok_ids)
    drafted, finalized = first_of(run, "draft_created"), first_of(run, "order_created")
    held = {id: run.stage.tiktok.orders[id] for id in wanted}
    return {
        "draft": [(drafted[id] - run.story.placed_at[id]).total_seconds() for id in wanted if id in drafted],
        "order": [
            finalized[id].timestamp() - one.paid_time - one.hold_seconds
            for id, one in held.items()
            if id in finalized
        ],
    }


def first_of(run: "Run", what: str) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for entry in run.stage.shopify.ledger:
        if entry["what"] == what:
            for tag in entry["tags"]:
                if tag.startswith("tts-"):
                    found.setdefault(tag.removeprefix("tts-"), datetime.fromisoformat(entry["at"]))
    return found


def percentile(values: list[float], share: float) -> float:
    """0 of nothing."""
    return sorted(values)[math.ceil(share * len(values)) - 1] if values else 0.0


def blackout(act: Act) -> None:
    """No webhook of either platform for as many pulls as two hours hold: the pulls find everything."""
    seconds = BLACKOUT_PULLS * settings.PULL_EVERY.total_seconds()
    silence(act.run.stage)
    hold = act.orders(act.mixed(), seconds)
    act.until_quiet(seconds + hold)
    harden(act.run.stage)
    took = latencies(act.run, act.scene.orders)
    act.scene.figures["seconds"] = seconds
    act.scene.figures["draft"] = max(took["draft"], default=0.0)


def storm_of_429(act: Act) -> None:
    """For a minute in which orders come every call is answered by 429: by both platforms, then by Shopify alone, which
    would else hear nothing of orders that TikTok does not tell of.
    """
    stage = act.run.stage
    act.orders(act.mixed(), STORM_SECONDS)
    struck = stage.tiktok.faults.struck, stage.shopify.faults.struck
    storm(stage)
    at_tiktok = struck_in(act, struck[0], STORM_SECONDS / 2)
    harden_tiktok(stage)
    at_shopify = struck_in(act, struck[1], STORM_SECONDS / 2)
    harden(stage)
    over = time.monotonic()
    act.until_quiet(act.size.hold)
    act.scene.figures |= {"tiktok": at_tiktok, "shopify": at_shopify, "drained": time.monotonic() - over}


def struck_in(act: Act, struck: Sequence[Any], seconds: float) -> float:
    """How many calls a second meet a fault."""
    before = len(struck)
    act.run.play_on(seconds)
    return (len(struck) - before) / seconds


def grant_lost(act: Act) -> None:
    """A seller takes TikTok's permission back: the other shops go on, and after the consent anew all is caught up."""
    stage = act.run.stage
    stage.tiktok.deauthorize(stage.tiktok_shops[0])
    act.orders(act.mixed(), DEAD_SECONDS)
    act.run.play_on(DEAD_SECONDS)
    if not stage.connection(0).paused:
        act.scene.against.append("the connection was never paused")
    if not reconnect(stage, 0):
        act.scene.against.append("the seller's consent was never taken")
    back = time.monotonic()
    act.until_quiet(act.size.hold)
    act.scene.figures["caught up"] = time.monotonic() - back


def drift(act: Act) -> None:
    """A merchant edits, deletes and completes held drafts and cancels orders, and no webhook tells of it."""
    silence(act.run.stage)
    seconds = act.size.act_orders / act.size.rate
    kinds = [DEEDS[number % len(DEEDS)] for number in range(act.size.act_orders)]
    hold = max(DRIFT_HOLD, act.size.hold)
    act.orders(kinds, seconds, hold=hold, ships_after=5.0)
    act.until_quiet(seconds + hold)
    harden(act.run.stage)
    act.scene.figures["deeds"] = len([id for id in act.scene.orders if id in act.run.story.meddled])


ACTS: dict[str, Callable[[Act], None]] = {
    "poison": beside_poison,
    "blackout": blackout,
    "storm": storm_of_429,
    "grant": grant_lost,
    "drift": drift,
}


def perform(run: "Run", name: str) -> Scene:
    scene = Scene()
    run.say(f"act: {name}")
    began = time.monotonic()
    try:
        ACTS[name](Act(run, name, scene))
    except Exception as error:  # it is told in the table; what the other acts show is not lost with it
        scene.quiet = False
        scene.against.append(f"the act broke: {error!r}")
        harden(run.stage)
    words = "over" if scene.quiet else "never became quiet"
    seen = ", ".join(f"{what} {figure:.2f}" for what, figure in scene.figures.items())
    run.say(f"act: {name} {words} after {time.monotonic() - began:.0f} s, {len(scene.orders)} orders: {seen}")
    return scene
