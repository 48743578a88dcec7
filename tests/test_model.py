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
from time import sleep
from types import SimpleNamespace
from typing import Any

import pytest
from django.test.utils import override_settings
from django.utils import timezone
from happenings import anywhere, at_tiktok, in_shopify
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from meanwhile import Meanwhile
from right_places import (
    TAKEN,
    Book,
    Deeds,
    id_of,
    open_drafts,
    orders_of,
    ours,
    variant_of,
    wrong_birth,
    wrong_in_the_end,
    wrong_now,
)
from test_recovery import drain_as_a_worker
from world import World, connected, point_settings

from connector import choices, jobs
from connector.embedded import admit
from connector.models import Connection, Order, SkuLink
from connector.transport import session
from shopify_app import auth
from shopify_app.models import Shop
from shopify_app.sandbox import ShopifySandbox
from tiktok import client, endpoints, oauth
from tiktok.models import Seller
from tiktok.sandbox import TikTokSandbox
from tiktok.sandbox.orders import CANCELLED

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
# The calls that take an order further, by how far it is: whether TikTok's, its name among the faults, how we name it.
READ = (True, "get_order", f"GET {endpoints.ORDERS.path}")
LOOK = (False, "draftOrder", "draft_get")
FULFILLMENT = (False, "fulfillment", "fulfillment_get")
CALLS = {
    "new": ((False, "draftOrderCreate", "draft_create"), READ),
    "held": (
        (False, "draftOrderUpdate", "draft_update"),
        (False, "draftOrderComplete", "draft_complete"),
        LOOK,
        READ,
    ),
    "to ship": ((True, "ship", f"POST {endpoints.SHIP['202309'].path}"), FULFILLMENT, READ),
    "sent": ((True, "correct", f"POST {endpoints.ORDER_SHIPPING_INFO.path}"), FULFILLMENT, READ),
}
WRITES = {
    stage: [call for call in calls if call not in (READ, LOOK, FULFILLMENT)] for stage, calls in CALLS.items()
}
TROUBLES = ("", "", "lost_reply", "lost_reply", "truncated", "500")
FAULTS = [(False, call, kind) for call in SHOPIFY_CALLS for kind in SHOPIFY_FAULTS]
FAULTS += [(True, call, kind) for call in TIKTOK_CALLS for kind in TIKTOK_FAULTS]
USUAL = ("it is paid", "TikTok releases it", "it is fulfilled", "a number changes")
CALLED_OFF = ("its buyer asks to cancel", "it is cancelled")
AT_ONCE = 2  # orders under way: a few whole lives show more than many that have just begun
A_WHILE = 8  # steps between two comparisons of everything
NTH = st.sampled_from((0, 0, 0, 1, 2))  # the oldest order most often: a life that goes on finds most
JUMPS = (0, 3, 20, 61, 301, 1800, 3601, 7300)


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

    def __init__(
        self,
        build: Callable[[bool], World],
        machine: TimeMachine,
        bugs: list[logging.LogRecord],
        meanwhile: Meanwhile,
    ) -> None:
        super().__init__()
        self.build, self.time, self.bugs, self.meanwhile = build, machine, bugs, meanwhile
        self.book: Book = {}
        self.born = self.since_settled = 0
        self.unmapped = self.linked = self.held_back = False
        self.connected = True

    @initialize(
        hard=st.booleans(),
        second=st.sampled_from((False, False, True)),
        contents=st.lists(st.sampled_from(CONTENTS), min_size=1, max_size=2),
        trouble=st.sampled_from(TROUBLES),
    )
    def open_shop(self, hard: bool, second: bool, contents: list[Any], trouble: str) -> None:
        self.time.ahead = timedelta(0)
        self.world = self.build(hard)
        self.world.tiktok.settings.rate_per_second = 0
        self.shops = ["", connect_another(self.world)] if second else [""]
        if trouble:
            self.world.shopify.faults.add("draftOrderCreate", trouble, seconds=0.02)
        for content in contents:
            self.placed(content)

    # ---- one order's life ----

    @rule(
        content=st.sampled_from(CONTENTS),
        kind=st.sampled_from(KINDS),
        shop=st.integers(0, 1),
        trouble=st.sampled_from(TROUBLES),
    )
    def place(self, content: list[Any], kind: str, shop: int, trouble: str) -> None:
        """One more, perhaps with the answer to its create lost; or, with enough under way, the oldest goes further."""
        if len(old := [id for id in self.book if self.under_way(id)]) >= AT_ONCE:
            self.go_further(old[0])
            self.work()
        else:
            self.placed(content, shop, hold=kind == "held", paid=kind != "unpaid")
            if trouble:
                self.world.shopify.faults.add("draftOrderCreate", trouble, seconds=0.02)
                self.work()

    def placed(self, content: list[Any], shop: int = 0, **facts: Any) -> None:
        shop_id = self.shops[shop % len(self.shops)]
        id = self.world.tiktok.place_order(lines=content, shop_id=shop_id, **facts)
        self.book[id] = Deeds({"unmapped"} if self.unmapped else set())

    def under_way(self, id: str) -> bool:
        return not self.book[id].numbers and self.status(id) != CANCELLED

    @rule(nth=NTH, which=st.integers(0, 30), work=st.booleans())
    def something_happens(self, nth: int, which: int, work: bool) -> None:
        id = self.one(nth)
        possible = anywhere(self.world, id, self.book[id])
        if possible:
            words = list(possible)[which % len(possible)]
            note(f"{id}: {words}")
            possible[words]()
        if work:
            self.work()

    @rule(
        nth=NTH,
        trouble=st.sampled_from(TROUBLES),
        write=st.integers(0, 1),
        at_once=st.sampled_from(("", "", "", *CALLED_OFF)),
    )
    def it_goes_further(self, nth: int, trouble: str, write: int, at_once: str) -> None:
        """What is most usual, in one step: worked on, its next event, worked on again; or an answer to it is lost, or
        it is called off before we have looked.
        """
        id = self.one(nth)
        if self.stage(id) != "new":  # else what it is about to do is the event
            self.work()
        writes = WRITES[self.stage(id)]
        of_tiktok, operation, _ = writes[write % len(writes)]
        if trouble:
            platform = self.world.tiktok if of_tiktok else self.world.shopify
            platform.faults.add(operation, trouble, seconds=0.02)
            note(f"{id}: {trouble} to {operation}")
        self.go_further(id)
        deed = anywhere(self.world, id, self.book[id]).get(at_once)
        if deed and not orders_of(self.world, id):
            note(f"{id}: {at_once}")
            deed()
        self.work()

    @rule(
        nth=NTH,
        further=st.sampled_from((0, 0, 1, 2)),
        call=st.integers(0, 11),  # each of two, three or four as often
        which=st.integers(0, 30),
        usual=st.booleans(),
        overtaken=st.booleans(),
        other_works=st.sampled_from((True, True, False)),
    )
    def something_happens_while_an_answer_is_on_its_way(
        self, nth: int, further: int, call: int, which: int, usual: bool, overtaken: bool, other_works: bool
    ) -> None:
        """A worker has the answer in hand; the world goes on, and another worker may take the same row."""
        id = self.one(nth)
        for _ in range(further):
            self.go_further(id)
            self.work()
        calls = CALLS[self.stage(id)]
        held_back = calls[call % len(calls)]
        name = held_back[2]

        def deed() -> None:
            possible = about(held_back, self.world, id, self.book[id])
            if possible:
                words = (usual and the_usual(possible)) or list(possible)[which % len(possible)]
                did.append(words)
                possible[words]()
            if overtaken:
                self.time.forward(self.world, 31)
            if other_works:
                self.deliver()
                in_a_thread(drain_as_a_worker, self.world.shop.pk)

        did: list[str] = []
        self.book[id].raced = True
        with self.meanwhile.the_next(name, deed):
            self.go_further(id)
            self.work()
        note(f"{id}: meanwhile, at {name}: {did}")

    def one(self, nth: int) -> str:
        return list(self.book)[nth % len(self.book)]

    def stage(self, id: str) -> str:
        if orders_of(self.world, id):
            return "sent" if self.book[id].numbers else "to ship"
        return "held" if open_drafts(self.world, id) else "new"

    def go_further(self, id: str) -> None:
        """The usual next event of its life, if there is one."""
        possible = anywhere(self.world, id, self.book[id])
        usual = the_usual(possible)
        if usual:
            note(f"{id}: {usual}")
            possible[usual]()

    # ---- what a merchant and a seller do to the shop ----

    @rule(how=st.sampled_from(("sku", "link", "app", "grant")))
    def the_shop_changes(self, how: str) -> None:
        """To and fro: the mug's SKU, its link by hand, the app's installation, TikTok's grant."""
        {
            "sku": self.map_or_unmap_the_mug,
            "link": self.link_or_unlink_the_mug,
            "app": self.uninstall_or_come_back,
            "grant": self.take_the_grant_back_or_agree,
        }[how]()

    def map_or_unmap_the_mug(self) -> None:
        variant = variant_of(self.world, MUG)
        self.world.store.edit_variant(variant, sku=MUG if self.unmapped else TAKEN)
        self.unmapped = not self.unmapped
        for deeds in self.book.values():
            deeds.done.add("unmapped")

    def link_or_unlink_the_mug(self) -> None:
        for known in SkuLink.objects.filter(seller_sku=MUG):
            if self.linked:
                choices.unlink_sku(known.connection, known.sku_id, "7")
            else:
                gid = variant_of(self.world, MUG)
                choices.link_sku(known.connection, known.sku_id, gid, "Mug", by="7")
        self.linked = not self.linked

    def uninstall_or_come_back(self) -> None:
        if self.world.store.installed:
            self.world.store.uninstall()
        else:
            self.the_merchant_opens_the_app()

    def the_merchant_comes_back(self) -> None:
        if Connection.objects.exclude(paused_reason="").exists() or not self.world.store.installed:
            self.the_merchant_opens_the_app()
        self.work()

    def the_merchant_opens_the_app(self) -> None:
        self.world.shopify.faults.clear()
        self.time.forward(self.world, 2)
        # Its token is not verified here: that reads the real clock.
        visitor = auth.Session(self.world.shop.domain, "7", expires=timezone.now())
        admit(visitor, self.world.shopify.id_token())

    def take_the_grant_back_or_agree(self) -> None:
        if self.connected:
            self.world.tiktok.deauthorize()
        else:
            self.world.tiktok.faults.clear()
            self.time.forward(self.world, 2)
            agree(self.world)
        self.connected = not self.connected

    # ---- what the network does ----

    @rule(fault=st.sampled_from(FAULTS), n=st.integers(1, 3))
    def calls_fail(self, fault: tuple[bool, str, str], n: int) -> None:
        of_tiktok, call, kind = fault
        platform = self.world.tiktok if of_tiktok else self.world.shopify
        platform.faults.add(call, kind, times=n, seconds=0.02)

    @rule(
        how=st.sampled_from(("lost", "lost", "held back", "told again")),
        n=st.integers(1, 4),
        tiktok=st.booleans(),
    )
    def webhooks_go_astray(self, how: str, n: int, tiktok: bool) -> None:
        if how == "lost":
            (self.world.tiktok if tiktok else self.world.shopify).webhooks.drop(n)
        elif how == "held back":
            self.hold_back_or_let_go()
        else:
            self.world.tiktok.webhooks.replay()

    def hold_back_or_let_go(self) -> None:
        for one in (self.world.tiktok.webhooks, self.world.shopify.webhooks):
            one.resume() if self.held_back else one.pause()
        self.held_back = not self.held_back

    # ---- what our processes do ----

    @rule()
    def two_workers_work_at_once(self) -> None:
        self.deliver()
        in_a_thread(drain_as_a_worker, self.world.shop.pk, times=2)

    @rule(model=st.sampled_from(list(jobs.STEPS)))
    def a_worker_dies_with_rows_in_hand(self, model: Any) -> None:
        self.deliver()
        model.claim(self.world.shop.pk, 3)

    @rule(seconds=st.sampled_from(JUMPS), work=st.booleans())
    def time_goes_by(self, seconds: float, work: bool) -> None:
        self.time.forward(self.world, seconds)
        if work:
            self.work()

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
            deeds = self.book[id_of(entry["tags"])]
            assert deeds.raced or list(wrong_birth(self.world, entry)) == []
        self.born = len(completed)
        assert [record.exc_text or record.getMessage() for record in self.bugs] == []
        self.since_settled += 1
        for deeds in self.book.values():
            deeds.raced = False

    @rule()
    def everything_settles(self) -> None:
        if self.since_settled > A_WHILE:
            self.all_trouble_ends_and_everything_is_compared()
        else:
            self.work()

    def all_trouble_ends_and_everything_is_compared(self) -> None:
        self.let_all_trouble_end()
        self.nothing_is_wrong()
        assert wrong_in_the_end(self.world, self.book) == []
        self.since_settled = 0

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            if sys.exc_info()[0] is None and self.since_settled > 1:
                self.all_trouble_ends_and_everything_is_compared()
        finally:
            self.bugs.clear()
            forget(self.world)

    def let_all_trouble_end(self) -> None:
        """Everything answers again, everybody agrees again, what was held is released, and time passes."""
        self.world.tiktok.faults.clear()
        self.world.shopify.faults.clear()
        if self.held_back:
            self.hold_back_or_let_go()
        self.world.tiktok.webhooks.drop(-self.world.tiktok.webhooks._to_drop)
        self.world.shopify.webhooks.drop(0)
        if not self.connected:
            self.take_the_grant_back_or_agree()
        if self.unmapped and not self.linked:
            self.map_or_unmap_the_mug()
        for id in self.book:
            if self.status(id) == "UNPAID":
                self.world.tiktok.cancel(id)
        self.work()
        self.the_merchant_comes_back()
        for seconds in (31, 61, 3601, 901, 301, 301, 61, 301):
            self.time.forward(self.world, seconds)
            self.work(8)
            self.the_merchant_comes_back()  # who had not heard of an uninstallation notices a dead token only now
        self.wait_for_skus()
        for _ in range(20):
            if not due_within(3):
                return
            sleep(0.2)  # the budgets of calls fill up by the real clock, which hardly moves beside this one
            self.time.forward(self.world, 3)
            self.work()

    def wait_for_skus(self) -> None:
        """Every SKU has its variant again: a pull finds it, if only after a quarter of an hour."""
        if Order.objects.filter(reason="sku_unmapped").exists():
            self.time.forward(self.world, 15 * 60 + 1)
            self.work(8)
        for deeds in self.book.values():
            deeds.done.discard("unmapped")

    def status(self, id: str) -> str:
        return self.world.tiktok.order(id).status


def the_usual(possible: dict[str, Callable[[], Any]]) -> str:
    return next((words for words in USUAL if words in possible), "")


def about(call: tuple[bool, str, str], world: World, id: str, deeds: Deeds) -> dict[str, Callable[[], Any]]:
    """What may change that which a call has just told."""
    return dict(at_tiktok(world, id, deeds) if call[0] else in_shopify(world, id, deeds))


def connect_another(world: World) -> str:
    """A second TikTok shop, of another seller, feeds the same store; its shop id."""
    made = world.tiktok.add_seller("Second")
    seller = agree(world, made["open_id"])
    Connection.objects.create(shop=world.shop, tiktok_shop=seller.shops.get(), due_at=timezone.now())
    return str(made["shop_ids"][0])


def agree(world: World, seller: str = "") -> Seller:
    """The seller consents, for the first time or again."""
    code = world.tiktok.consent(seller, state="-").split("code=")[1].split("&")[0]
    grant = oauth.exchange("US", code, session())
    stored = Seller.connect("US", grant, client.get_shops("US", grant.access_token, session()))
    for connection in Connection.objects.filter(tiktok_shop__seller=stored):
        connection.begin_anew()
    return stored


def in_a_thread(work: Callable[[int], None], shop_id: int, times: int = 1) -> None:
    threads = [threading.Thread(target=work, args=[shop_id]) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


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


@pytest.fixture
def meanwhile() -> Iterator[Meanwhile]:
    http = session()
    inner = http.get_adapter("http://")
    made = Meanwhile(inner)
    http.mount("http://", made)
    yield made
    http.mount("http://", inner)


def test_whatever_happens_in_whatever_order_every_order_ends_in_its_one_right_place(
    new_world, monkeypatch, bugs, meanwhile
):
    machine = TimeMachine(monkeypatch)
    run_state_machine_as_test(
        lambda: Life(new_world, machine, bugs, meanwhile),
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
