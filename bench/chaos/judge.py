"""The account, read from what the platforms did and from our own tables: each figure with the ids behind it."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from math import inf
from statistics import median
from typing import Any

from bench.chaos import privacy
from bench.chaos.acts import Scene
from bench.chaos.run import EDITED, Story, restless
from bench.chaos.stage import Stage
from bench.chaos.timelines import Compared, compare
from connector.models import Connection, Order, Parcel
from shopify_app.sandbox.model import Draft
from shopify_app.sandbox.model import Order as ShopifyOrder
from tiktok.sandbox.orders import CANCELLED, payment_json
from tiktok.sandbox.orders import Order as TikTokOrder

NEVER_OURS = ("poison", "tiktok_ships")  # kinds that must not come into Shopify
ENDED_BY_MERCHANT = ("merchant_deletes", "merchant_edits", "merchant_cancels")
NOT_PLAYED, NOT_SEEN = "not played", "not seen"
GIVEN_UP = ("unexpected", "unavailable_too_long", "tiktok_rejected", "shopify_rejected")
OURS = ("connector", "tiktok", "shopify_app", "django")  # whose log entries can tell of a bug
DATABASE_AWAY = ("OperationalError", "InterfaceError", "AdminShutdown", "CrashShutdown")


Bounded = tuple[float, float]  # a value, and what it may be at most


@dataclass
class Figure:
    """A line of the table. `promised` figures may be at most their limit; `cases` name what was counted."""

    name: str
    value: Any
    promised: bool = False
    cases: list[str] = field(default_factory=list)
    limit: float = 0.0

    @property
    def broken(self) -> bool:
        return self.promised and isinstance(self.value, int | float) and self.value > self.limit


def promise(name: str, cases: Iterable[str]) -> Figure:
    listed = sorted(cases)
    return Figure(name, len(listed), True, listed)


@dataclass
class Evidence:
    """Both platforms' ends of each order, and our row."""

    stage: Stage
    story: Story
    rows: dict[str, Order] = field(default_factory=dict)
    drafts: dict[str, list[Draft]] = field(default_factory=lambda: defaultdict(list))
    orders: dict[str, list[ShopifyOrder]] = field(default_factory=lambda: defaultdict(list))
    totals: dict[str, Decimal] = field(default_factory=dict)  # Shopify order -> as it was completed
    compared: Compared = field(default_factory=Compared)

    @classmethod
    def collect(cls, stage: Stage, story: Story) -> "Evidence":
        made = cls(stage, story, {row.tiktok_id: row for row in Order.objects.all()})
        for store in stage.stores:
            for draft in store.drafts.values():
                if draft.status == "OPEN":
                    made.drafts[id_of(draft.tags)].append(draft)
            for order in store.orders.values():
                made.orders[id_of(order.tags)].append(order)
            for entry in store.ledger:
                if entry["what"] == "order_created":
                    made.totals[entry["order"]] = Decimal(entry["total"])
        made.compared = compare(stage, story)
        return made

    def source(self, tiktok_id: str) -> TikTokOrder:
        return self.stage.tiktok.orders[tiktok_id]

    def cancelled(self, tiktok_id: str) -> bool:
        return self.source(tiktok_id).status == CANCELLED

    def asks(self, tiktok_id: str) -> bool:
        row = self.rows.get(tiktok_id)
        return row is not None and bool(row.reason)

    def wanted(self, tiktok_id: str) -> bool:
        kind = self.story.placed[tiktok_id].kind
        ended = tiktok_id in self.story.meddled and kind in ENDED_BY_MERCHANT
        return kind not in NEVER_OURS and not ended and not self.cancelled(tiktok_id)


def id_of(tags: Iterable[str]) -> str:
    return next((tag.removeprefix("tts-") for tag in tags if tag.startswith("tts-")), "")


def judge(stage: Stage, story: Story) -> list[Figure]:
    """`orders`, then the promises in their order, then the circumstances."""
    seen = Evidence.collect(stage, story)
    promises = [promise(name, find(seen)) for name, find in PROMISES.items()]
    promises += [promise_of_act(seen, name, *about) for name, about in PROMISES_OF_ACTS.items()]
    promises += [bound(seen, name, *about) for name, about in BOUNDS.items()]
    circumstances = [count(seen) for count in CIRCUMSTANCES.values()]
    figures = [Figure(name, *facts) for name, facts in zip(CIRCUMSTANCES, circumstances, strict=True)]
    figures += [told_of_act(seen, name, *about) for name, about in TOLD_OF_ACTS.items()]
    return figures[:1] + promises + figures[1:]


# ---- what is promised: functions that name every case against it ----


def lost(seen: Evidence) -> list[str]:
    return [case(seen, id) for id in seen.story.placed if is_lost(seen, id)]


def is_lost(seen: Evidence, id: str) -> bool:
    live = any(not order.cancelled_at for order in seen.orders[id])
    return id not in seen.rows or (seen.wanted(id) and not live)


def doubled(seen: Evidence) -> list[str]:
    return [case(seen, id) for id in seen.story.placed if is_doubled(seen, id)]


def is_doubled(seen: Evidence, id: str) -> bool:
    return len(seen.drafts[id]) + len(seen.orders[id]) > 1 and not (seen.cancelled(id) and seen.drafts[id])


def wrong_totals(seen: Evidence) -> list[str]:
    return [
        f"{case(seen, id)}: {seen.totals[order.id]} instead of {expected_total(seen.source(id))}"
        for id in seen.story.placed
        for order in seen.orders[id]
        if seen.totals[order.id] != expected_total(seen.source(id))
    ]


def expected_total(source: TikTokOrder) -> Decimal:
    """As the seller earns: what the buyer pays for goods and shipping, and what TikTok adds to both."""
    paid = {name: Decimal(value) for name, value in payment_json(source).items() if name != "currency"}
    goods = paid["sub_total"] + paid["platform_discount"]
    return goods + paid["shipping_fee"] + paid["shipping_fee_platform_discount"]


def wrong_addresses(seen: Evidence) -> list[str]:
    """A parcel would go to another street than TikTok's buyer lives in."""
    return [
        case(seen, id)
        for id in seen.story.placed
        if seen.wanted(id) and not seen.asks(id)
        for order in seen.orders[id]
        if seen.source(id).buyer.address_line1
        not in " ".join(map(str, (order.shipping_address or {}).values()))
    ]


def alive_after_cancel(seen: Evidence) -> list[str]:
    """Also a draft that is left: somebody might complete it."""
    return [
        case(seen, id)
        for id in seen.story.placed
        if seen.cancelled(id)
        and (
            seen.drafts[id]
            or any(
                not order.cancelled_at and not (seen.asks(id) and "tiktok-cancelled" in order.tags)
                for order in seen.orders[id]
            )
        )
    ]


def not_ours(seen: Evidence) -> list[str]:
    return [
        case(seen, id)
        for id, one in seen.story.placed.items()
        if one.kind in NEVER_OURS and (seen.drafts[id] or seen.orders[id])
    ]


def tracking_missing(seen: Evidence) -> list[str]:
    return [
        f"{case(seen, id)}: {number}"
        for number, id in seen.story.numbers.items()
        if not seen.cancelled(id) and number not in {line.number for line in seen.source(id).lines}
    ]


def invalid_sent(seen: Evidence) -> list[str]:
    return [
        f"{entry['order_id']}: {entry['number']}"
        for entry in seen.stage.tiktok.ledger
        if entry.get("number") in seen.story.invalid
    ]


def needless(seen: Evidence) -> list[str]:
    """Questions about orders with which nothing is wrong."""
    asked = [
        case(seen, id)
        for id, one in seen.story.placed.items()
        if one.kind not in NEVER_OURS and seen.asks(id) and not seen.cancelled(id)
        if id not in seen.story.meddled
    ]
    parcels = Parcel.objects.exclude(reason__in=["", "tracking_warning"]).select_related("order")
    asked += [
        f"{parcel.ref} {parcel.reason} of {case(seen, parcel.order.tiktok_id)}"
        for parcel in parcels
        if parcel.number not in seen.story.invalid and not seen.cancelled(parcel.order.tiktok_id)
    ]
    return asked


def mails(seen: Evidence) -> list[str]:
    return [str(mail) for mail in seen.stage.shopify.mails]


def violations(seen: Evidence) -> list[str]:
    """What we asked of the platforms against their rules. Late answers to webhooks are counted apart."""
    asked = [one for one in seen.stage.tiktok.violations if one["what"] != "webhook"]
    asked += seen.stage.shopify.violations
    return [f"{one.get('operation') or one.get('what')}: {one['words']}" for one in asked]


def replayed(seen: Evidence) -> list[str]:
    return seen.story.replay.writes


def without_line(seen: Evidence) -> list[str]:
    return seen.compared.without_line


def without_write(seen: Evidence) -> list[str]:
    return seen.compared.without_write


def stuck(seen: Evidence) -> list[str]:
    last = datetime.fromisoformat(seen.stage.tiktok.ledger[-1]["at"])
    found = [] if seen.story.quiet else [f"not quiet: {ref}" for ref in restless(last)]
    found += [f"{kill.victim}, killed at {kill.at}" for kill in seen.story.kills if kill.recovered is None]
    found += [f"act {name}: never quiet" for name, scene in seen.story.scenes.items() if not scene.quiet]
    found += seen.story.replay.unanswered
    for model in (Order, Parcel):
        found += [f"{row.ref} {row.reason}" for row in model.objects.filter(reason__in=GIVEN_UP)]
    return found + [f"{row.ref} {row.paused_reason}" for row in Connection.objects.exclude(paused_reason="")]


def bugs(seen: Evidence) -> list[str]:
    """Exceptions that no step foresaw; that the database was away is foreseen."""
    found = []
    for file in seen.stage.folder.glob("*.log"):
        for line in file.read_text(errors="replace").splitlines():
            entry = json.loads(line) if line.startswith("{") else {}
            trace = str(entry.get("exception", ""))
            ours = str(entry.get("logger", "")).startswith(OURS)
            if ours and trace and not any(name in trace for name in DATABASE_AWAY):
                found.append(f"{file.name}: {trace.strip().splitlines()[-1]}")
    return found


def personal(seen: Evidence) -> list[str]:
    stage = seen.stage
    values = stage.tiktok.personal_values()
    return privacy.find(values, stage.folder, stage.env["APP_URL"], [store.domain for store in stage.stores])


PROMISES: dict[str, Callable[[Evidence], list[str]]] = {
    "lost": lost,
    "doubled": doubled,
    "wrong totals": wrong_totals,
    "wrong addresses": wrong_addresses,
    "mails to buyers": mails,
    "live, unflagged Shopify orders of cancelled TikTok orders": alive_after_cancel,
    "in Shopify although not ours to ship": not_ours,
    "valid tracking numbers not accepted": tracking_missing,
    "invalid tracking numbers sent": invalid_sent,
    "needless questions to the merchant": needless,
    "outside writes on replay": replayed,
    "outside writes that no timeline tells and no lost answer explains": without_line,
    "writes told by a timeline that never were": without_write,
    "contract violations": violations,
    "stuck rows": stuck,
    "bugs logged": bugs,
    "personal fields found": personal,
}


# ---- what the acts promise: functions that name every case against theirs ----


def promise_of_act(
    seen: Evidence, name: str, act: str, find: Callable[[Evidence, Scene], list[str]]
) -> Figure:
    scene = seen.story.scenes.get(act)
    return promise(name, find(seen, scene)) if scene else Figure(name, NOT_PLAYED, True)


def against(seen: Evidence, scene: Scene) -> list[str]:
    return [*scene.against, *astray(seen, scene)]


def astray(seen: Evidence, scene: Scene) -> list[str]:
    return [case(seen, id) for id in scene.orders if is_lost(seen, id) or is_doubled(seen, id)]


def undone(seen: Evidence, scene: Scene) -> list[str]:
    """What a merchant did was not seen, or not left as it was."""
    done = [id for id in scene.orders if id in seen.story.meddled]
    found = [case(seen, id) for id in done if not LEFT[seen.story.placed[id].kind](seen, id)]
    return found + against(seen, scene) + ([] if done else ["no merchant got at anything"])


def reason_of(seen: Evidence, id: str) -> str:
    return seen.rows[id].reason if id in seen.rows else "unknown to us"


def left_deleted(seen: Evidence, id: str) -> bool:
    return reason_of(seen, id) == "draft_deleted" and not seen.drafts[id] and not seen.orders[id]


def left_edited(seen: Evidence, id: str) -> bool:
    as_edited = [[line.quantity for line in draft.lines] for draft in seen.drafts[id]] == [[EDITED[1]]]
    return reason_of(seen, id) == "draft_edited" and as_edited and not seen.orders[id]


def left_completed(seen: Evidence, id: str) -> bool:
    return reason_of(seen, id) == "" and len(seen.orders[id]) == 1 and not seen.drafts[id]


def left_cancelled(seen: Evidence, id: str) -> bool:
    all_cancelled = all(order.cancelled_at for order in seen.orders[id])
    return reason_of(seen, id) == "merchant_cancelled" and all_cancelled and not seen.drafts[id]


LEFT: dict[str, Callable[[Evidence, str], bool]] = {
    "merchant_deletes": left_deleted,
    "merchant_edits": left_edited,
    "merchant_completes": left_completed,
    "merchant_cancels": left_cancelled,
}
PROMISES_OF_ACTS: dict[str, tuple[str, Callable[[Evidence, Scene], list[str]]]] = {
    "poisoned orders that were not parked with a reason, or cost another its place": ("poison", against),
    "orders that a blackout of all webhooks lost or doubled": ("blackout", against),
    "orders that a storm of 429 lost or doubled": ("storm", against),
    "orders that a lost grant lost or doubled": ("grant", against),
    "deeds of a merchant that were not seen, or were undone": ("drift", undone),
}


def bound(seen: Evidence, name: str, act: str, measure: Callable[[Evidence, Scene], Bounded]) -> Figure:
    scene = seen.story.scenes.get(act)
    if scene is None:
        return Figure(name, NOT_PLAYED, True)
    value, limit = measure(seen, scene)
    return Figure(name, round(value, 2), True, [], limit)


def drafts_beside_poison(seen: Evidence, scene: Scene) -> Bounded:
    return beside_poison(seen, scene, "draft")


def orders_beside_poison(seen: Evidence, scene: Scene) -> Bounded:
    return beside_poison(seen, scene, "order")


def beside_poison(seen: Evidence, scene: Scene, what: str) -> Bounded:
    """Promised of runs that are large enough, told of the others."""
    beside, without = scene.figures.get(f"{what} beside", 0), scene.figures.get(f"{what} without", 0)
    if not without:
        return 0, SAME  # the act broke, and is named as such
    limit = max(SAME, 1 + NOISE_SECONDS / without)
    return beside / without, limit if seen.story.size.promises_times else inf


def calls_to_tiktok(seen: Evidence, scene: Scene) -> Bounded:
    return scene.figures.get("tiktok", 0), TO_TIKTOK


def calls_to_shopify(seen: Evidence, scene: Scene) -> Bounded:
    return scene.figures.get("shopify", 0), TO_SHOPIFY


SAME = 1.10  # p95 of orders beside poison, of that without
NOISE_SECONDS = 0.05  # of a p95 on two busy cores: a draft is often made in a tenth of a second
TO_TIKTOK = 30.0  # a second of all workers; its budget halves with each refusal
TO_SHOPIFY = (
    60.0  # twenty a shop: each order that waits asks again when Shopify's Retry-After is over, two seconds
)
BOUNDS: dict[str, tuple[str, Callable[[Evidence, Scene], Bounded]]] = {
    "p95 order to draft, others beside poison ÷ without (at most 1.10, or 0.05 s more)": (
        "poison",
        drafts_beside_poison,
    ),
    "p95 release to order, others beside poison ÷ without (at most 1.10, or 0.05 s more)": (
        "poison",
        orders_beside_poison,
    ),
    "refused calls to TikTok a second in a storm of 429 (at most 30)": ("storm", calls_to_tiktok),
    "refused calls to Shopify a second in a storm of 429 (at most 60)": ("storm", calls_to_shopify),
}


# ---- what else is worth knowing: functions that give a figure, and what it is made of ----


def orders(seen: Evidence) -> tuple[Any, ...]:
    kinds = Counter(one.kind for one in seen.story.placed.values())
    made_of = [f"{kind.replace('_', ' ')} {n}" for kind, n in sorted(kinds.items())]
    return len(seen.story.placed), False, made_of


def cancelled(seen: Evidence) -> tuple[Any, ...]:
    return (sum(map(seen.cancelled, seen.story.placed)),)


def flagged(seen: Evidence) -> tuple[Any, ...]:
    alive = {id for id, made in seen.orders.items() if any(not order.cancelled_at for order in made)}
    return (sum(seen.cancelled(id) for id in alive),)


def in_doubt(seen: Evidence) -> tuple[Any, ...]:
    return (sum(row.create_tries > 1 or row.recovery_looks > 1 for row in seen.rows.values()),)


def deliveries(seen: Evidence) -> tuple[Any, ...]:
    return (len(seen.stage.tiktok.webhooks.sent) + len(seen.stage.shopify.webhooks.sent),)


def late_webhooks(seen: Evidence) -> tuple[Any, ...]:
    return (sum(one["what"] == "webhook" for one in seen.stage.tiktok.violations),)


def answered_again(seen: Evidence) -> tuple[Any, ...]:
    return (seen.story.replay.answered,)


def told_writes(seen: Evidence) -> tuple[Any, ...]:
    found = seen.compared
    unheard = [f"{found.lost} more whose answer was lost", f"{found.died} while whoever asked may have died"]
    return found.lines, False, unheard


def killed(seen: Evidence) -> tuple[Any, ...]:
    kills = Counter(kill.victim for kill in seen.story.kills)
    return kills.total(), False, [f"{name} {times}" for name, times in sorted(kills.items())]


def slowest_restart(seen: Evidence) -> tuple[Any, ...]:
    return (round(max((kill.restarted or 0 for kill in seen.story.kills), default=0), 1),)


def usual_recovery(seen: Evidence) -> tuple[Any, ...]:
    times = recoveries(seen)
    return (round(median(times), 1) if times else "no kill",)


def slowest_recovery(seen: Evidence) -> tuple[Any, ...]:
    times = recoveries(seen)
    return (round(max(times), 1) if times else "no kill",)


def recoveries(seen: Evidence) -> list[float]:
    return [kill.recovered for kill in seen.story.kills if kill.recovered is not None]


def duration(seen: Evidence) -> tuple[Any, ...]:
    return (round(seen.story.seconds),)


CIRCUMSTANCES: dict[str, Callable[[Evidence], tuple[Any, ...]]] = {
    "orders": orders,
    "cancelled by TikTok": cancelled,
    "cancelled after a parcel had left, flagged": flagged,
    "creates whose answer was lost": in_doubt,
    "webhook deliveries": deliveries,
    "webhooks answered late or refused while something was down": late_webhooks,
    "events answered again on replay": answered_again,
    "outside writes told by timelines": told_writes,
    "processes killed": killed,
    "slowest restart, s": slowest_restart,
    "from a kill until all that waited or was held is done, median s": usual_recovery,
    "from a kill until all that waited or was held is done, slowest s": slowest_recovery,
    "whole run, s": duration,
}


def case(seen: Evidence, tiktok_id: str) -> str:
    row, one = seen.rows.get(tiktok_id), seen.story.placed.get(tiktok_id)
    ours = f"{row.state} {row.reason} {row.last_error}".strip() if row else "unknown to us"
    return f"{tiktok_id} ({one.kind if one else '?'}; TikTok {seen.source(tiktok_id).status}; {ours})"


def told_of_act(seen: Evidence, name: str, act: str, figure: str) -> Figure:
    scene = seen.story.scenes.get(act)
    if scene is None:
        return Figure(name, NOT_PLAYED)
    return Figure(name, round(scene.figures[figure], 2) if figure in scene.figures else NOT_SEEN)


TOLD_OF_ACTS: dict[str, tuple[str, str]] = {
    "poison: orders that always failed": ("poison", "poisoned"),
    "poison: p95 from order to draft without, s": ("poison", "draft without"),
    "poison: p95 from order to draft beside, s": ("poison", "draft beside"),
    "poison: p95 from release to order without, s": ("poison", "order without"),
    "poison: p95 from release to order beside, s": ("poison", "order beside"),
    "blackout: without any webhook, s": ("blackout", "seconds"),
    "blackout: slowest from order to draft, s": ("blackout", "draft"),
    "storm: from its end until all was quiet, s": ("storm", "drained"),
    "grant: from the consent anew until all was caught up, s": ("grant", "caught up"),
    "drift: deeds of a merchant without a webhook": ("drift", "deeds"),
}
