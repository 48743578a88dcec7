"""Die in each moment around every outside call; another worker goes on; the end is that of a run without deaths.

The death is a BaseException, which no step catches: raised by an adapter mounted on the product's own HTTP session, or
by Django at one of the writes and commits that follow the answer. The rows that the worker had stay leased, as after
SIGKILL. Neither calls nor moments are written down here: a first, clean telling of each story records them, and the
last test compares what was met with what the code's steps can call (outside_calls.py).

In the suite, of each call the first one dies; with CRASH_MATRIX=full every one of every story, at each of its writes.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
import redis
import requests
from django.conf import settings
from django.db import connections
from django.test.utils import override_settings
from django.utils import timezone
from outside_calls import READS, made_by_steps, name_of
from requests.adapters import HTTPAdapter
from world import World

from connector import audits, jobs, parcels, payment, work
from connector.models import Audit, Connection, InboxEvent, Order, SkuLink
from connector.transport import session
from shopify_app.models import Shop
from tiktok.endpoints import ORDERS_SEARCH, SHIP
from tiktok.models import Seller

BEFORE, AFTER, WRITE, COMMIT = "before sending", "after sending", "at write {}", "at the commit"
FEW = (BEFORE, AFTER, WRITE.format(1), WRITE.format(2), COMMIT)
FEW_OF_A_READ = (AFTER, COMMIT)  # nothing has changed anywhere before the first write
WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|WITH)", re.IGNORECASE)
EVERYWHERE = os.environ.get("CRASH_MATRIX") == "full"
TRIES = 3  # two webhooks may overtake each other: then the nth step of a kind is another one
SOON = timedelta(seconds=120)  # what is due sooner belongs to the story


class Died(BaseException):
    """The worker is gone."""


class Moment(NamedTuple):
    """Where a worker can die: around the nth call of that name in a story, or after the nth begin of such a step."""

    call: str
    nth: int
    when: str

    def __str__(self) -> str:
        return f"{self.when} of {self.call}, time {self.nth}"


class Doom(HTTPAdapter):
    """Notes each moment that a step of a row goes through, and ends the worker at one of them."""

    def __init__(self, inner: HTTPAdapter) -> None:
        super().__init__()
        self.inner = inner
        self.forget()

    def forget(self, plan: Moment | None = None) -> None:
        """Before a story is told."""
        self.plan = plan
        self.died: Moment | None = None
        self.passed: list[Moment] = []
        self.times: Counter[str] = Counter()
        self.call, self.writes = "", 0

    @contextmanager
    def watching(self, step: str) -> Iterator[None]:
        self.begin(step)
        try:
            yield
        finally:
            self.call = ""

    def begin(self, call: str) -> None:
        self.call, self.writes = call, 0
        self.times[call] += 1

    def reach(self, when: str) -> None:
        moment = Moment(self.call, self.times[self.call], when)
        self.passed.append(moment)
        if moment == self.plan:
            self.died = moment
            raise Died

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        self.begin(name_of(request))
        self.reach(BEFORE)
        answer = self.inner.send(request, *args, **kwargs)
        try:
            self.reach(AFTER)
        except Died:
            answer.close()
            raise
        return answer

    def at_statement(self, execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        if self.call and WRITES.match(sql):
            self.writes += 1
            self.reach(WRITE.format(self.writes))
        return execute(sql, *args)

    def at_commit(self, commit: Callable[[], None], rollback: Callable[[], None]) -> None:
        if self.call:
            try:
                self.reach(COMMIT)
            except Died:
                rollback()  # as PostgreSQL does when nobody is there any more
                raise
        commit()


@pytest.fixture
def doom(monkeypatch: pytest.MonkeyPatch) -> Iterator[Doom]:
    http, database = session(), connections["default"]
    inner = http.get_adapter("http://")
    doom, commit = Doom(inner), database.commit
    http.mount("http://", doom)
    monkeypatch.setattr(database, "commit", lambda: doom.at_commit(commit, database.rollback))
    with database.execute_wrapper(doom.at_statement):
        yield doom
    http.mount("http://", inner)


# ---- a worker of one thread ----


def work_on(world: World, doom: Doom) -> None:
    """Do what is due soon, until nothing is."""
    for _ in range(400):
        # What is on its way comes first: who dies on the way is to meet the same events in the same order.
        assert world.tiktok.webhooks.settle(5)
        assert world.shopify.webhooks.wait_until_quiet(5)
        if work_once(world, doom):
            continue
        wait = next_due() - timezone.now()
        if wait > SOON:
            return
        world.pass_time(max(0.0, wait.total_seconds()) + 0.001)
    raise AssertionError("the worker never comes to an end")


def work_once(world: World, doom: Doom) -> int:
    rows = [row for model in jobs.STEPS for row in model.claim(world.shop.pk, 8)]
    for row in rows:
        with doom.watching(step_of(type(row))):
            work.run(row, jobs.STEPS[type(row)])
    return len(rows)


def step_of(model: type[work.Work]) -> str:
    return f"a step of {model.__name__}"


def next_due() -> datetime:
    far = timezone.now() + 2 * SOON
    times = [
        model.objects.exclude(due_at=None).order_by("due_at").values_list("due_at", flat=True).first()
        for model in jobs.STEPS
    ]
    return min(filter(None, times), default=far)


def bury() -> None:
    """Whoever died is gone: all that he had leased lapses."""
    past = timezone.now() - timedelta(seconds=1)
    for model in jobs.STEPS:
        model.objects.exclude(leased_until=None).update(leased_until=past)
    for grant in (Shop, Seller):
        grant.objects.exclude(refreshing_until=None).update(refreshing_until=past)
    parcels.lists.clear()  # a new process asks for the carriers again


# ---- the stories: each yields whenever the worker is to work, in the end with its order's id ----


def shipped(world: World) -> Iterator[str]:
    tiktok_id = world.tiktok.place_order(lines=[("TEE-BLK-M", 2), ("MUG-WHT", 1)])
    yield tiktok_id
    world.tiktok.release(tiktok_id)
    yield tiktok_id
    world.store.fulfill(world.order(tiktok_id).order_gid, company="UPS", numbers=[new_number(world)])
    yield tiktok_id


def one_line(world: World) -> Iterator[str]:
    tiktok_id = world.tiktok.place_order(hold=False)
    yield tiktok_id


def cancelled_in_hold(world: World) -> Iterator[str]:
    tiktok_id = world.tiktok.place_order()
    yield tiktok_id
    world.tiktok.cancel(tiktok_id)
    yield tiktok_id


def cancelled_after_finalize(world: World) -> Iterator[str]:
    tiktok_id = world.tiktok.place_order(hold=False)
    yield tiktok_id
    world.tiktok.cancel(tiktok_id)
    yield tiktok_id


def number_corrected(world: World) -> Iterator[str]:
    """One parcel: its number is replaced at the order."""
    tiktok_id = world.tiktok.place_order(hold=False)
    yield tiktok_id
    made = world.store.fulfill(world.order(tiktok_id).order_gid, company="UPS", numbers=[new_number(world)])
    yield tiktok_id
    world.store.update_tracking(made.id, "UPS", [new_number(world)])
    yield tiktok_id


def one_of_two_numbers_corrected(world: World) -> Iterator[str]:
    """Two parcels: the number is replaced at the package."""
    tiktok_id = world.tiktok.place_order(lines=[("MUG-WHT", 2)], hold=False)
    yield tiktok_id
    order = world.store.orders[world.order(tiktok_id).order_gid]
    made = world.store.fulfill(order.id, {order.lines[0].id: 1}, "UPS", [new_number(world)])
    world.store.fulfill(order.id, None, "UPS", [new_number(world)])
    yield tiktok_id
    world.store.update_tracking(made.id, "UPS", [new_number(world)])
    yield tiktok_id


def buyer_asks_to_cancel(world: World) -> Iterator[str]:
    """The request stays open: by when to answer is read from its record."""
    tiktok_id = world.tiktok.place_order(hold=False)
    yield tiktok_id
    world.tiktok.buyer_requests_cancel(tiktok_id)
    yield tiktok_id


def buyer_asks_to_cancel_and_thinks_better(world: World) -> Iterator[str]:
    tiktok_id = world.tiktok.place_order(hold=False)
    yield tiktok_id
    world.tiktok.buyer_requests_cancel(tiktok_id)
    yield tiktok_id
    world.tiktok.decide_cancel(tiktok_id, approve=False)
    yield tiktok_id


def completed_by_hand(world: World) -> Iterator[str]:
    tiktok_id = world.tiktok.place_order()
    yield tiktok_id
    world.store.complete_draft(world.order(tiktok_id).draft_gid)
    yield tiktok_id
    world.tiktok.release(tiktok_id)
    yield tiktok_id


def create_in_doubt(world: World) -> Iterator[str]:
    """The answer and the event of a draft are lost: it is found by its tag."""
    world.shopify.faults.add("draftOrderCreate", "lost_reply")
    world.shopify.webhooks.drop(1)
    tiktok_id = world.tiktok.place_order()
    yield tiktok_id


def pulled(world: World) -> Iterator[str]:
    """No webhook comes, and its link is lost: the pulls find the order, its release and its parcel."""
    SkuLink.objects.filter(seller_sku="TEE-BLK-M").update(variant_gid="")
    world.tiktok.webhooks.lose = 1.0
    tiktok_id = world.tiktok.place_order(hold=False)
    world.pass_time(1.01)  # a pull sees whole seconds that are over
    pull_now()
    yield tiktok_id
    world.shopify.webhooks.drop_share(1.0)
    world.store.fulfill(world.order(tiktok_id).order_gid, company="UPS", numbers=[new_number(world)])
    world.shopify.webhooks.drop_share(0.0)
    pull_now()
    yield tiktok_id
    world.tiktok.webhooks.lose = 0.0


def connected_anew(world: World) -> Iterator[str]:
    """What a connection does after a consent: it looks for other connectors, and asks both shops for what it needs."""
    Connection.objects.get().begin_anew()
    for key in list(world.tiktok.world.hooks):
        del world.tiktok.world.hooks[key]
    pull_now()
    yield ""
    tiktok_id = world.tiktok.place_order(hold=False)
    yield tiktok_id


def grants_refreshed(world: World) -> Iterator[str]:
    world.tiktok.expire_tokens()
    Shop.objects.update(access_expires_at=timezone.now())
    tiktok_id = world.tiktok.place_order(hold=False)
    yield tiktok_id


def paid_under_a_name(world: World) -> Iterator[str]:
    with a_payment_method(world, "TikTok Shop"):
        yield ""
        tiktok_id = world.tiktok.place_order()
        yield tiktok_id
        world.tiktok.release(tiktok_id)
        yield tiktok_id


def paid_under_a_name_that_shopify_refuses(world: World) -> Iterator[str]:
    with a_payment_method(world):
        yield ""
        tiktok_id = world.tiktok.place_order()
        yield tiktok_id
        world.tiktok.release(tiktok_id)
        yield tiktok_id


@contextmanager
def a_payment_method(world: World, *known: str) -> Iterator[None]:
    """The merchant named one, with the permission for it; Shopify knows these."""
    world.store.record.manual_payment_methods = list(known)
    world.store.grant_scopes([*world.shop.scopes.split(","), payment.SCOPE])
    world.set_policy(payment_method="TikTok Shop")
    try:
        yield
    finally:
        world.set_policy()


def looked_over(world: World) -> Iterator[str]:
    """The catalogue and the setup of both shops are due, as once a day."""
    SkuLink.objects.update(title="")
    Connection.objects.update(
        setup={}, setup_checked_at=None, providers=[], listing_due_at=timezone.now(), listing_words="-"
    )
    Shop.objects.update(plan="", currencies=[])
    pull_now()
    tiktok_id = world.tiktok.place_order(hold=False)
    yield tiktok_id


def audited(world: World) -> Iterator[str]:
    """No webhook comes and no pull is due: a person has the day compared, which finds the order."""
    world.tiktok.webhooks.lose = 1.0
    tiktok_id = world.tiktok.place_order(hold=False)
    audits.ask(world.shop, timezone.now().date(), ZoneInfo("UTC"), by="7")
    yield tiktok_id
    world.tiktok.webhooks.lose = 0.0


def corrected_in_the_other_version(world: World) -> Iterator[str]:
    with override_settings(TIKTOK_SHIP_VERSION="202610"):
        yield from one_of_two_numbers_corrected(world)


def pull_now() -> None:
    Connection.objects.update(due_at=timezone.now(), tiktok_pulled_at=None, shopify_pulled_at=None)


def new_number(world: World) -> str:
    return world.tiktok.new_number("UPS")


STORIES = (
    shipped,
    one_line,
    pulled,
    audited,
    looked_over,
    connected_anew,
    grants_refreshed,
    cancelled_in_hold,
    cancelled_after_finalize,
    number_corrected,
    one_of_two_numbers_corrected,
    buyer_asks_to_cancel,
    buyer_asks_to_cancel_and_thinks_better,
    completed_by_hand,
    create_in_doubt,
    paid_under_a_name,
    paid_under_a_name_that_shopify_refuses,
    corrected_in_the_other_version,
)


# ---- the matrix ----


def tell(world: World, story: Callable[[World], Iterator[str]], doom: Doom) -> dict[str, Any]:
    """The story with its worker, and with another one where he died: how it ends."""
    begin_anew(world)
    told = ""
    for told in story(world):  # noqa: B007 - the last one is looked at
        try:
            work_on(world, doom)
        except Died:
            bury()
            work_on(world, doom)
    end = the_end(world, told)
    turn_back(world)
    return end


def begin_anew(world: World) -> None:
    """No order of an earlier telling crosses this one, nor what it spent: then the same is done, call for call."""
    for mine in (world.tiktok.world.orders, world.store.orders, world.store.drafts):
        mine.clear()
    for model in (Order, InboxEvent, Audit):
        model.objects.all().delete()
    redis.Redis.from_url(settings.REDIS_URL).flushdb()
    no_pull = timezone.now() + timedelta(hours=1)  # but where the story wants one
    Connection.objects.update(due_at=no_pull, last_webhook_at=None)
    for grant in (Shop, Seller):  # `pass_time` makes them older from telling to telling
        grant.objects.update(access_expires_at=timezone.now() + timedelta(days=2))
    parcels.lists.clear()


def turn_back(world: World) -> None:
    """The platforms' clocks were put forward; the next order must not be paid for in our future."""
    world.tiktok.clock.advance(-world.tiktok.clock.offset)
    world.shopify.clock.advance(-world.shopify.clock.offset.total_seconds())


def the_end(world: World, tiktok_id: str) -> dict[str, Any]:
    """Both platforms and our row, without what differs from order to order."""
    order, tag = world.order(tiktok_id), f"tts-{tiktok_id}"
    orders = [one for one in world.store.orders.values() if tag in one.tags]
    effects = [entry["what"] for entry in world.tiktok.ledger if entry.get("order_id") == tiktok_id]
    return {
        "ours": (order.state, order.reason, order.last_error, bool(order.referenced_at)),
        "to be answered": bool(order.cancel_due_at),
        "parcels": sorted((one.state, one.reason, one.corrections) for one in order.parcels.all()),
        "open drafts": [
            sorted({*one.tags} - {tag})
            for one in world.store.drafts.values()
            if tag in one.tags and one.status == "OPEN"
        ],
        "orders": [
            (
                one.totals.total,
                bool(one.cancelled_at),
                one.financial_status,
                sorted({*one.tags} - {tag}),
                (one.shipping_address or {}).get("address1")
                == world.tiktok.order(tiktok_id).buyer.address_line1,
                [(line.sku, line.quantity) for line in one.lines],
                [metafield.value == tiktok_id for metafield in one.metafields],
                len(one.fulfillments),
                one.payment_gateway_names,
            )
            for one in orders
        ],
        "tiktok": (
            world.tiktok.order(tiktok_id).status,
            sorted(what for what in effects if what in ("ship", "correction")),
            [line.number == numbers_of(orders) for line in world.tiktok.order(tiktok_id).lines],
            [key[1] for key in world.tiktok.world.external if key[0] == tiktok_id],
        ),
        "shops": the_shops(),
        "audits": [
            (one["what"], audit.finished_at is not None)
            for audit in Audit.objects.all()
            for one in audit.findings
            if one["order"] == tiktok_id
        ],
        "hooks": len(world.tiktok.world.hooks),
        "mails": len(world.shopify.mails),
    }


def the_shops() -> dict[str, Any]:
    """What a look at the setup and the catalogue of both has told."""
    connection, shop = Connection.objects.get(), Shop.objects.get()
    return {
        "connection": (connection.paused_reason, connection.setup, connection.listing_words),
        "catalogue": (sorted(SkuLink.objects.values_list("seller_sku", "title")), connection.providers),
        "store": (shop.plan, shop.currencies),
        "due": connection.listing_due_at > timezone.now() and connection.setup_checked_at is not None,
    }


def numbers_of(orders: list[Any]) -> str:
    return ",".join(number for one in orders for made in one.fulfillments for number in made.numbers)


def test_the_end_is_the_same_wherever_the_worker_dies_and_no_call_is_missing(world, doom, record_property):
    met: set[str] = set()
    different: list[str] = []
    deaths = 0
    tell(world, shipped, doom)  # the links are known from here on
    for story in STORIES:
        doom.forget()
        clean = tell(world, story, doom)
        passed = list(doom.passed)
        for moment in filter(worth_dying_at, passed if EVERYWHERE else first_of_each(passed, met)):
            end = tell_and_die(world, story, doom, moment)
            deaths += doom.died == moment
            if doom.died != moment:
                different.append(f"{story.__name__}: nobody died {moment}")
            elif end != clean:
                different.append(f"{story.__name__}: died {moment}: {unlike(end, clean)}")
        met.update(moment.call for moment in passed)
    calls = met - {step_of(model) for model in jobs.STEPS}
    figures = f"{len(STORIES)} stories, {len(calls)} calls, {deaths} deaths, {len(different)} different ends"
    record_property("figures", f"crash matrix: {figures}")
    assert not different, "\n".join([figures, *different])
    assert calls == made_by_steps()


@pytest.mark.parametrize(
    ("story", "call"), [(pulled, SHIP["202309"]), (audited, ORDERS_SEARCH)], ids=["the order", "the finding"]
)
def test_what_follows_an_answer_is_not_forgotten_by_a_death(world, doom, story, call):
    """The full mode's finds: TikTok's yes to a number wakes the order, what an audit sets right is told."""
    tell(world, shipped, doom)
    doom.forget()
    clean = tell(world, story, doom)
    moments = [
        one
        for one in doom.passed
        if (one.call, one.nth) == (f"{call.method} {call.path}", 1) and one.when not in (BEFORE, AFTER)
    ]
    assert len(moments) > 2
    for moment in moments:
        assert tell_and_die(world, story, doom, moment) == clean, str(moment)
        assert doom.died == moment


def tell_and_die(
    world: World, story: Callable[[World], Iterator[str]], doom: Doom, moment: Moment
) -> dict[str, Any]:
    """How the story ends when its worker dies there. `doom.died` tells that he did."""
    end: dict[str, Any] = {}
    for _ in range(TRIES):
        doom.forget(moment)
        end = tell(world, story, doom)
        if doom.died:
            break
    return end


def unlike(end: dict[str, Any], clean: dict[str, Any]) -> str:
    return "; ".join(f"{end[what]} instead of {clean[what]}" for what in clean if end[what] != clean[what])


def first_of_each(passed: list[Moment], met: set[str]) -> list[Moment]:
    return [
        moment
        for moment in passed
        if moment.call not in met
        and moment.nth == 1
        and moment.when in (FEW_OF_A_READ if moment.call in READS else FEW)
    ]


def worth_dying_at(moment: Moment) -> bool:
    """A call that only reads changes nothing outside: dying before it and after it is the same."""
    return moment.call not in READS or moment.when != BEFORE
