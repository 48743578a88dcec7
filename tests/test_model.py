"""Any interleaving of what TikTok, a merchant, the network and our own workers can do ends in exactly one right place.

Hypothesis draws the steps; after each of them nothing may be doubled, early, wrong in its total or mailed, and when
all trouble is over every order is where `right_places` says it belongs. A few examples are part of every run;
`MODEL_EXAMPLES=2000` (and `MODEL_STEPS=50`) look for more.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.test.utils import override_settings
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from right_places import (
    Book,
    Deeds,
    open_drafts,
    orders_of,
    ours,
    to_ship,
    wrong_birth,
    wrong_in_the_end,
    wrong_now,
)
from test_recovery import drain_as_a_worker, reconnect
from world import World, connected, point_settings

from connector import choices, jobs
from connector.models import Connection, Order
from shopify_app.models import Shop
from shopify_app.sandbox import ShopifySandbox
from shopify_app.sandbox.problems import UserErrors
from tiktok.models import Seller
from tiktok.sandbox import TikTokSandbox
from tiktok.sandbox.orders import AWAITING_SHIPMENT, ON_HOLD
from tiktok.sandbox.shipping import Refused

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "0"))
IN_THE_SUITE, STEPS = 5, int(os.environ.get("MODEL_STEPS", "25"))

TEE, MUG = "TEE-BLK-M", "MUG-WHT"
KINDS = ("held", "held", "held", "never held", "unpaid")
CONTENTS = ([(TEE, 1)], [(TEE, 2), (MUG, 1)], [(MUG, 3)])
SHOPIFY_CALLS = (
    "*",
    "draftOrderCreate",
    "draftOrderUpdate",
    "draftOrderComplete",
    "draftOrderDelete",
    "draftOrder",
    "draftOrders",
    "orderUpdate",
    "orderCancel",
    "tagsAdd",
    "order",
)
SHOPIFY_FAULTS = ("lost_reply", "truncated", "500", "503", "429", "throttled", "timeout_before")
TIKTOK_CALLS = ("*", "get_order", "search_orders", "ship", "correct", "external_orders", "providers")
TIKTOK_FAULTS = ("lost_reply", "truncated", "500", "500_after", "503", "429", "timeout_before")
JUMPS = (3, 20, 61, 301, 1800, 3601, 7300)


class TimeMachine:
    """The one place where the product reads the time, and both sandboxes' clocks, go forward together."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = timedelta(0)
        self.real = timezone.now
        monkeypatch.setattr(timezone, "now", lambda: self.real() + self.ahead)

    def forward(self, world: World, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)
        world.tiktok.clock.advance(seconds)
        world.shopify.clock.advance(seconds)


class Life(RuleBasedStateMachine):
    """One shop, its TikTok orders, and everything that may happen to them."""

    orders = Bundle("orders")

    def __init__(
        self, build: Callable[[bool], World], machine: TimeMachine, bugs: list[logging.LogRecord]
    ) -> None:
        super().__init__()
        self.build, self.time, self.bugs = build, machine, bugs
        self.book: Book = {}
        self.born = 0
        self.unmapped = self.connected = self.held_back = False

    @initialize(
        target=orders,
        hard=st.booleans(),
        contents=st.lists(st.sampled_from(CONTENTS), min_size=1, max_size=2),
    )
    def open_shop(self, hard: bool, contents: list[Any]) -> Any:
        self.time.ahead = timedelta(0)
        self.world = self.build(hard)
        self.world.tiktok.settings.rate_per_second = 0
        self.connected = True
        return multiple(*(self.placed(content) for content in contents))

    # ---- what TikTok tells ----

    @rule(target=orders, content=st.sampled_from(CONTENTS), kind=st.sampled_from(KINDS))
    def place(self, content: list[Any], kind: str) -> str:
        return self.placed(content, hold=kind == "held", paid=kind != "unpaid")

    def placed(self, content: list[Any], **facts: Any) -> str:
        id = self.world.tiktok.place_order(lines=content, **facts)
        self.book[id] = Deeds({"unmapped"} if self.unmapped else set())
        return id

    @rule(id=orders)
    def pay_or_release(self, id: str) -> None:
        if self.status(id) == "UNPAID":
            self.world.tiktok.pay(id)
        elif self.status(id) == ON_HOLD:
            self.world.tiktok.release(id)

    @rule(id=orders)
    def cancel(self, id: str) -> None:
        if self.status(id) in ("UNPAID", ON_HOLD, AWAITING_SHIPMENT, "PARTIALLY_SHIPPING"):
            self.book[id].done.add("cancelled")
            self.world.tiktok.cancel(id)

    @rule(id=orders)
    def cancel_a_line(self, id: str) -> None:
        if self.status(id) in (ON_HOLD, AWAITING_SHIPMENT):
            self.book[id].done.add("lines cancelled")
            self.book[id].disturbed = True
            self.world.tiktok.cancel_lines(id, 1)

    @rule(id=orders)
    def request_a_cancel(self, id: str) -> None:
        if self.status(id) in (AWAITING_SHIPMENT, "PARTIALLY_SHIPPING"):
            self.book[id].done.add("cancel requested")
            if not self.world.tiktok.order(id).cancel_requested:
                self.world.tiktok.buyer_requests_cancel(id)

    @rule(id=orders, approve=st.booleans())
    def decide_the_request(self, id: str, approve: bool) -> None:
        self.world.tiktok.decide_cancel(id, approve=approve, by="SELLER" if approve else "BUYER")

    @rule(id=orders)
    def change_the_address(self, id: str) -> None:
        if self.status(id) in (ON_HOLD, AWAITING_SHIPMENT):
            self.book[id].done.add("address changed")
            self.world.tiktok.change_address(id)

    @rule(id=orders)
    def ship_outside(self, id: str) -> None:
        try:
            self.world.tiktok.ship_outside(id)
        except Refused:
            return
        self.book[id].done.add("shipped outside")

    # ---- what a merchant does in Shopify ----

    @rule(id=orders, deed=st.sampled_from(["delete", "edit", "complete"]))
    def meddle_with_the_draft(self, id: str, deed: str) -> None:
        store = self.world.store
        for draft in open_drafts(self.world, id):
            try:
                if deed == "delete":
                    store.delete_draft(draft.id)
                elif deed == "edit":
                    nine = [{"variantId": store.variant(TEE).id, "quantity": 9}]
                    store.edit_draft(draft.id, lineItems=nine)
                else:
                    store.complete_draft(draft.id)
            except UserErrors:
                return
            done = {"delete": "draft deleted", "edit": "draft edited", "complete": "draft completed"}
            self.book[id].done.add(done[deed])

    @rule(id=orders, delete=st.booleans())
    def end_the_order(self, id: str, delete: bool) -> None:
        for order in orders_of(self.world, id):
            try:
                if not order.cancelled_at:
                    self.world.store.cancel_order(order.id)
                    self.book[id].done.add("order cancelled")
                if delete:
                    self.world.store.delete_order(order.id)
                    self.book[id].done.add("order deleted")
            except UserErrors:
                return

    @rule(id=orders, whole=st.booleans())
    def all_goes_well_and_it_is_fulfilled(self, id: str, whole: bool) -> None:
        self.all_goes_well_for_a_while(id)
        self.fulfil(id, whole)

    @rule(id=orders, whole=st.booleans())
    def fulfil(self, id: str, whole: bool) -> None:
        for order in to_ship(self.world, id):
            number = self.world.tiktok.new_number("UPS")
            lines = None if whole else {order.lines[0].id: 1}
            try:
                made = self.world.store.fulfill(order.id, lines=lines, company="UPS", numbers=[number])
            except UserErrors:
                return
            self.book[id].numbers[number] = made.id

    @rule(id=orders, cancel=st.booleans())
    def change_a_fulfillment(self, id: str, cancel: bool) -> None:
        for number, gid in list(self.book[id].numbers.items())[-1:]:
            self.book[id].disturbed = True
            try:
                if cancel:
                    self.world.store.cancel_fulfillment(gid)
                else:
                    new = self.world.tiktok.new_number("UPS")
                    self.world.store.update_tracking(gid, numbers=[new])
                    self.book[id].numbers[new] = gid
            except UserErrors:
                return
            del self.book[id].numbers[number]

    @rule()
    def map_or_unmap_the_mug(self) -> None:
        variant = self.world.store.variant("GONE" if self.unmapped else MUG)
        self.world.store.edit_variant(variant.id, sku=MUG if self.unmapped else "GONE")
        self.unmapped = not self.unmapped
        for deeds in self.book.values():
            deeds.done.add("unmapped")

    @rule(id=orders)
    def look_again(self, id: str) -> None:
        for order in Order.objects.filter(tiktok_id=id):
            choices.look_again(order, by="7")

    # ---- what the network does ----

    @rule(call=st.sampled_from(SHOPIFY_CALLS), kind=st.sampled_from(SHOPIFY_FAULTS), n=st.integers(1, 3))
    def shopify_fails(self, call: str, kind: str, n: int) -> None:
        self.world.shopify.faults.add(call, kind, times=n, seconds=0.02)

    @rule(call=st.sampled_from(TIKTOK_CALLS), kind=st.sampled_from(TIKTOK_FAULTS), n=st.integers(1, 3))
    def tiktok_fails(self, call: str, kind: str, n: int) -> None:
        self.world.tiktok.faults.add(call, kind, times=n, seconds=0.02)

    @rule(n=st.integers(1, 4), tiktok=st.booleans())
    def webhooks_are_lost(self, n: int, tiktok: bool) -> None:
        (self.world.tiktok if tiktok else self.world.shopify).webhooks.drop(n)

    @rule()
    def webhooks_are_held_back_or_let_go(self) -> None:
        hooks = (self.world.tiktok.webhooks, self.world.shopify.webhooks)
        for one in hooks:
            one.resume() if self.held_back else one.pause()
        self.held_back = not self.held_back

    @rule()
    def tiktok_tells_everything_again(self) -> None:
        self.world.tiktok.webhooks.replay()

    @precondition(lambda self: self.connected)
    @rule()
    def the_seller_takes_the_grant_back(self) -> None:
        self.world.tiktok.deauthorize()
        self.connected = False

    @precondition(lambda self: not self.connected)
    @rule()
    def the_seller_agrees_again(self) -> None:
        self.world.tiktok.faults.clear()
        self.time.forward(self.world, 2)
        reconnect(self.world)
        self.connected = True

    # ---- what our processes do ----

    @rule(seconds=st.sampled_from((0, 0, 3, 61)))
    def workers_work(self, seconds: float) -> None:
        self.time.forward(self.world, seconds)
        self.work()

    @rule(id=orders)
    def all_goes_well_for_a_while(self, id: str) -> None:
        """What is most usual, in one step: delivered, worked on, released, worked on."""
        self.work()
        if self.status(id) == ON_HOLD:
            self.world.tiktok.release(id)
            self.work()

    @rule()
    def two_workers_work_at_once(self) -> None:
        self.deliver()
        pair = [threading.Thread(target=drain_as_a_worker, args=[self.world.shop.pk]) for _ in range(2)]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join()

    @rule(model=st.sampled_from(list(jobs.STEPS)))
    def a_worker_dies_with_rows_in_hand(self, model: Any) -> None:
        self.deliver()
        model.claim(self.world.shop.pk, 3)

    @rule(seconds=st.sampled_from(JUMPS))
    def time_goes_by(self, seconds: float) -> None:
        self.time.forward(self.world, seconds)

    def deliver(self) -> None:
        if not self.held_back:
            self.world.tiktok.webhooks.settle(5)
            self.world.shopify.webhooks.wait_until_quiet(5)

    def work(self, rounds: int = 4) -> None:
        for _ in range(rounds):
            self.deliver()
            if not due_within(0):
                return
            jobs.drain(self.world.shop.pk)

    # ---- what must be true ----

    @invariant()
    def nothing_is_wrong(self) -> None:
        assert wrong_now(self.world, self.book) == []
        completed = ours(self.world)
        for entry in completed[self.born :]:
            assert list(wrong_birth(self.world, entry)) == []
        self.born = len(completed)
        assert [record.exc_text or record.getMessage() for record in self.bugs] == []

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            if sys.exc_info()[0] is None:
                self.let_all_trouble_end()
                self.nothing_is_wrong()
                assert wrong_in_the_end(self.world, self.book) == []
        finally:
            self.bugs.clear()
            forget(self.world)

    def let_all_trouble_end(self) -> None:
        """Everything answers again, what was held is released, and time passes."""
        self.world.tiktok.faults.clear()
        self.world.shopify.faults.clear()
        if self.held_back:
            self.webhooks_are_held_back_or_let_go()
        self.world.tiktok.webhooks.drop(-self.world.tiktok.webhooks._to_drop)
        self.world.shopify.webhooks.drop(0)
        if not self.connected:
            self.the_seller_agrees_again()
        if self.unmapped:
            self.map_or_unmap_the_mug()
        for id in self.book:
            if self.status(id) == "UNPAID":
                self.world.tiktok.cancel(id)
        self.work()
        for seconds in (31, 61, 3601, 901, 301, 301, 61, 301):
            self.time.forward(self.world, seconds)
            self.work(8)
        for _ in range(20):
            if not due_within(3):
                return
            self.time.forward(self.world, 3)
            self.work()

    def status(self, id: str) -> str:
        return self.world.tiktok.order(id).status


def due_within(seconds: float) -> bool:
    soon = timezone.now() + timedelta(seconds=seconds)
    return any(model.objects.filter(due_at__lte=soon).exists() for model in jobs.STEPS)


@pytest.fixture
def new_world(_understood_documents, transactional_db, live_server, settings) -> Callable[[bool], World]:
    """As `worlds`, without what each of them leaves behind: an example is one of thousands."""

    def build(hard: bool) -> World:
        tiktok = TikTokSandbox(redirect_url=f"{live_server.url}/tiktok/callback", easy=not hard).start()
        shopify = ShopifySandbox(
            api_key=settings.SHOPIFY_API_KEY,
            api_secret=settings.SHOPIFY_API_SECRET,
            app_url=live_server.url,
            easy=not hard,
        ).start()
        addresses = SimpleNamespace()
        point_settings(addresses, live_server.url, tiktok, shopify)
        pointed.append(override_settings(**vars(addresses)))
        pointed[-1].enable()
        return connected(tiktok, shopify)

    return build


pointed: list[override_settings] = []


def forget(world: World) -> None:
    """The next example begins with empty tables and platforms of its own."""
    pointed.pop().disable()
    world.tiktok.stop()
    world.shopify.stop()
    Connection.objects.all().delete()
    Shop.objects.all().delete()
    for seller in Seller.objects.all():
        seller.shops.all().delete()
        seller.delete()


class Bugs(logging.Handler):
    """What `work.run` logged with a trace: an exception that no step foresaw."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
            self.records.append(record)


@pytest.fixture
def bugs() -> Iterator[list[logging.LogRecord]]:
    handler, log = Bugs(), logging.getLogger("connector.work")
    log.addHandler(handler)
    yield handler.records
    log.removeHandler(handler)


def test_whatever_happens_in_whatever_order_every_order_ends_in_its_one_right_place(
    new_world, monkeypatch, bugs
):
    machine = TimeMachine(monkeypatch)
    run_state_machine_as_test(
        lambda: Life(new_world, machine, bugs),
        settings=settings(
            max_examples=EXAMPLES or IN_THE_SUITE,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            derandomize=not EXAMPLES,
            print_blob=bool(EXAMPLES),
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
