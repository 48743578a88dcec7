"""The run itself: buyers, warehouse and misfortune, then patience until nothing moves any more. One thread.

Children may be started from the main thread only, so all that happens is a heap of due actions between two looks at
the programs.
"""

import heapq
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from django.db import Error as DatabaseError
from django.db import connections
from django.db.models import Q

from bench.chaos.acts import Scene, perform
from bench.chaos.plan import Disturbance, Placement, Plan, Size
from bench.chaos.recovery import Kill, Recovery
from bench.chaos.replay import Replay, replay
from bench.chaos.stage import Stage
from shopify_app.sandbox import UserErrors
from shopify_app.sandbox.carriers import tracking_number
from shopify_app.sandbox.shop import ShopState

TICK_SECONDS = 0.03
QUIET_LOOK_SECONDS = 1.0
CARRIERS = ("UPS", "USPS", "FedEx", "DHL Express")
HELD = "tiktok-on-hold"
DO_NOT_SHIP = ("tiktok-cancelled", "tiktok-cancel-requested", "tiktok-shipped-elsewhere", HELD)
EDITED = ("MUG-WHT", 9)  # a SKU and its units: what an edited draft is for
DEED_AFTER = 1.0  # seconds, before a merchant gets at what he sees
SOON = timedelta(seconds=30)  # a row due later waits for a day that is not part of the run
INDEX_LAG = timedelta(seconds=2)  # a pull that began so long after the last change has seen it


@dataclass
class Story:
    """What was done, for the judges."""

    size: Size
    seed: int
    placed: dict[str, Placement] = field(default_factory=dict)  # TikTok order id -> its plan
    numbers: dict[str, str] = field(default_factory=dict)  # valid number -> TikTok order id
    invalid: dict[str, str] = field(default_factory=dict)
    kills: list[Kill] = field(default_factory=list)
    quiet: bool = False
    began: float = 0.0
    seconds: float = 0.0
    placed_at: dict[str, datetime] = field(default_factory=dict)
    meddled: dict[str, datetime] = field(default_factory=dict)  # TikTok order id -> when a merchant got at it
    scenes: dict[str, Scene] = field(default_factory=dict)
    replay: Replay = field(default_factory=Replay)


class Run:
    def __init__(self, stage: Stage, size: Size, seed: int, plan: Plan, say: Callable[[str], None]) -> None:
        self.stage = stage
        self.plan = plan
        self.say = say
        self.random = Random(f"run {seed}")
        self.story = Story(size, seed)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self.recovery = Recovery(stage)
        self._read = dict.fromkeys((store.domain for store in stage.stores), 0)
        self._sent = 0
        self._repeated: set[str] = set()
        self._used: set[str] = set()

    def __call__(self) -> Story:
        story, size = self.story, self.story.size
        story.began = time.monotonic()
        for placement in self.plan.placements:
            self.later(placement.at, lambda placement=placement: self.place(placement))
        for disturbance in self.plan.disturbances:
            self.later(disturbance.at, lambda disturbance=disturbance: self.disturb(disturbance))
        story.quiet = self.play(size.seconds, size.patience)
        story.kills = self.recovery.kills
        connections.close_all()  # PostgreSQL was restarted under them
        for name in size.acts:
            story.scenes[name] = perform(self, name)
        story.replay = replay(self)
        story.seconds = time.monotonic() - story.began
        return story

    def play(self, seconds: float, patience: float) -> bool:
        """Let happen what is due in so many seconds, then wait until nothing moves any more; whether that came."""
        ends = time.monotonic() + seconds
        looked = 0.0
        while time.monotonic() < ends + patience:
            self.turn()
            if not self._due and time.monotonic() > max(ends, looked + QUIET_LOOK_SECONDS):
                looked = time.monotonic()
                if self.is_quiet():
                    return True
            time.sleep(TICK_SECONDS)
        return False

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), action))

    def turn(self) -> None:
        self.stage.watch.look()
        self.recovery.look()
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()
        for store in self.stage.stores:
            self.read_ledger(store)
        self.repeat_webhooks()

    def play_on(self, seconds: float) -> None:
        """The same without waiting."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.turn()
            time.sleep(TICK_SECONDS)

    # Buyers

    def place(self, one: Placement) -> str:
        shop_id = self.stage.tiktok_shops[one.shop]
        tiktok_id = self.stage.tiktok.place_order(shop_id=shop_id, seller_note=one.kind, **one.facts)
        self.story.placed[tiktok_id] = one
        self.story.placed_at[tiktok_id] = datetime.now(UTC)
        if len(self.story.placed) % 500 == 0:
            self.say(f"{len(self.story.placed)} orders placed")
        if one.then and not one.after_finalize:
            self.later(one.then, lambda: self.buyer_acts(one, tiktok_id))
        return tiktok_id

    def buyer_acts(self, one: Placement, tiktok_id: str) -> None:
        tiktok = self.stage.tiktok
        if one.kind == "lines_changed":
            tiktok.change_lines(tiktok_id, [("MUG-WHT", 2), ("CAP-NVY", 1)])
        elif one.kind == "address_changed":
            tiktok.change_address(tiktok_id)
        else:
            tiktok.cancel(tiktok_id)

    # The warehouse

    def read_ledger(self, store: ShopState) -> None:
        """New Shopify orders are what the warehouse waits for."""
        fresh = store.ledger[self._read[store.domain] :]
        self._read[store.domain] += len(fresh)
        for entry in fresh:
            if entry["what"] == "order_created":
                self.finalized(store, entry)
            elif entry["what"] == "draft_created":
                self.drafted(store, entry)

    def drafted(self, store: ShopState, entry: dict[str, Any]) -> None:
        tiktok_id = tiktok_id_of(entry)
        if deed := DRAFT_DEEDS.get(self.story.placed[tiktok_id].kind):
            self.later(DEED_AFTER, lambda: self.meddle(store, entry["draft"], tiktok_id, deed))

    def meddle(
        self, store: ShopState, gid: str, tiktok_id: str, deed: Callable[[ShopState, str], Any]
    ) -> None:
        """To a draft that its order knows: what is done to one whose create is still in doubt is nobody's promise."""
        draft = store.drafts.get(gid)
        if draft is None or draft.status != "OPEN" or self.released(tiktok_id):
            return None
        if not is_known(gid):
            return self.later(DEED_AFTER, lambda: self.meddle(store, gid, tiktok_id, deed))
        self.story.meddled[tiktok_id] = datetime.now(UTC)
        return deed(store, gid)

    def released(self, tiktok_id: str) -> bool:
        """Its hold is over, or nearly: from here on the draft is in our hands, and a race is nobody's promise."""
        order = self.stage.tiktok.orders[tiktok_id]
        return time.time() > order.paid_time + order.hold_seconds - DEED_AFTER

    def finalized(self, store: ShopState, entry: dict[str, Any]) -> None:
        tiktok_id = tiktok_id_of(entry)
        one = self.story.placed[tiktok_id]
        if one.after_finalize:
            self.later(one.then, lambda: self.buyer_acts(one, tiktok_id))
        if one.kind == "merchant_cancels":
            self.later(DEED_AFTER, lambda: self.cancel(store, entry["order"], tiktok_id))
        self.later(one.ships_after, lambda: self.ship(store, entry["order"], tiktok_id, one))

    def cancel(self, store: ShopState, gid: str, tiktok_id: str) -> None:
        self.story.meddled[tiktok_id] = datetime.now(UTC)
        store.cancel_order(gid)

    def ship(self, store: ShopState, gid: str, tiktok_id: str, one: Placement) -> None:
        order = store.orders[gid]
        if one.kind == "merchant_completes" and HELD in order.tags:
            return self.later(DEED_AFTER, lambda: self.ship(store, gid, tiktok_id, one))
        if order.cancelled_at or set(order.tags).intersection(DO_NOT_SHIP):
            return None
        try:
            if one.kind == "two_parcels":
                first = {next(line.id for line in order.lines if order.remaining(line)): 1}
                self.fulfill(store, gid, tiktok_id, first)
            self.fulfill(store, gid, tiktok_id, None, valid=one.kind != "invalid_number")
        except UserErrors:
            pass  # cancelled between our look and our hand

    def fulfill(
        self, store: ShopState, gid: str, tiktok_id: str, lines: dict[str, int] | None, *, valid: bool = True
    ) -> None:
        company = self.random.choice(CARRIERS) if valid else "UPS"
        number = self.new_number(company)
        if not valid:
            number = f"{number[:-1]}{(int(number[-1]) + 1) % 10}"  # its check digit is wrong
        shipped = store.fulfill(gid, lines, company, [number])
        (self.story.numbers if valid else self.story.invalid)[number] = tiktok_id
        if wait := self.story.placed[tiktok_id].corrects_after:
            self.later(wait, lambda: self.correct(store, shipped.id, number, company))

    def correct(self, store: ShopState, fulfillment_gid: str, number: str, company: str) -> None:
        """The wrong label was scanned: another number of the same carrier takes its place."""
        other = self.new_number(company)
        store.update_tracking(fulfillment_gid, company, [other])
        self.story.numbers[other] = self.story.numbers.pop(number)

    def new_number(self, company: str) -> str:
        while (number := tracking_number(company, self.random)) in self._used:
            continue
        self._used.add(number)
        return number

    # Misfortune

    def disturb(self, one: Disturbance) -> None:
        stage = self.stage
        done = stage.crash_postgres() if one.what == "postgres" else stage.kill(one.victim)
        if not done:  # it is down already
            return self.later(0.3, lambda: self.disturb(one))
        self.say(f"{time.monotonic() - self.story.began:6.1f} s  {one.victim} killed")
        self.recovery.killed(one.victim)
        return None

    def repeat_webhooks(self) -> None:
        """Shopify's messages too come one to five times, in no order."""
        webhooks = self.stage.shopify.webhooks
        fresh = webhooks.sent[self._sent :]
        self._sent += len(fresh)
        for delivery in fresh:
            key = delivery.headers["X-Shopify-Webhook-Id"]
            if key in self._repeated:
                continue
            self._repeated.add(key)
            for _ in range(self.random.randint(0, 4)):
                self.later(self.random.uniform(0, 2), lambda delivery=delivery: webhooks.resend(delivery))

    # Patience

    def is_quiet(self) -> bool:
        """Nothing is due soon, and both pulls of every connection began after the last change."""
        stage = self.stage
        if not (stage.tiktok.webhooks.settle(0.05) and stage.shopify.webhooks.wait_until_quiet(0.05)):
            return False
        try:
            return not restless(self.last_change())
        except DatabaseError:
            connections.close_all()
            return False

    def last_change(self) -> datetime:
        ledgers = (self.stage.tiktok.ledger, self.stage.shopify.ledger)
        found = [datetime.fromisoformat(ledger[-1]["at"]) for ledger in ledgers if ledger]
        updated = max((order.update_time for order in self.stage.tiktok.orders.values()), default=0)
        return max([*found, datetime.fromtimestamp(updated, UTC)])


def complete_draft(store: ShopState, gid: str) -> None:
    store.complete_draft(gid)


def edit_draft(store: ShopState, gid: str) -> None:
    lines = [{"variantId": store.variant(EDITED[0]).id, "quantity": EDITED[1]}]
    store.edit_draft(gid, lineItems=lines)


def delete_draft(store: ShopState, gid: str) -> None:
    store.delete_draft(gid)


DRAFT_DEEDS: dict[str, Callable[[ShopState, str], None]] = {
    "merchant_deletes": delete_draft,
    "merchant_edits": edit_draft,
    "merchant_completes": complete_draft,
}


def is_known(draft_gid: str) -> bool:
    from connector.models import Order

    return Order.objects.filter(draft_gid=draft_gid, leased_until=None).exists()


def tiktok_id_of(entry: dict[str, Any]) -> str:
    return next(tag.removeprefix("tts-") for tag in entry["tags"] if tag.startswith("tts-"))


def restless(last_change: datetime) -> list[str]:
    """Rows that are due soon or held by a worker, and connections that have not pulled since the last change."""
    from connector.models import Connection, InboxEvent, Order, Parcel

    soon = Q(due_at__lte=datetime.now(UTC) + SOON) | Q(leased_until__isnull=False)
    rows = [row.ref for model in (InboxEvent, Order, Parcel) for row in model.objects.filter(soon)[:3]]
    since = last_change + INDEX_LAG
    pulled = Q(tiktok_pulled_at__gt=since) & Q(shopify_pulled_at__gt=since)
    return rows + [row.ref for row in Connection.objects.filter(~pulled)]
