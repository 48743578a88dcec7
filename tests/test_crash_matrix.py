"""Die at every outside call, in each of four moments; another worker goes on; the end is that of a run without deaths.

The death is a BaseException, which no step catches: raised by an adapter mounted on the product's own HTTP session, or
by Django's execute wrapper at one of the first writes after the answer. The rows that the worker had stay leased, as
after SIGKILL. The calls are not written down here: a first, clean telling of each story records them, and the last
test compares what was met with the tables of the two clients.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from django.db import connection as database
from django.utils import timezone
from requests.adapters import HTTPAdapter
from world import World

import shopify_app.client
import tiktok.endpoints
from connector import jobs, parcels, work
from connector.models import Connection, InboxEvent, Order, Parcel
from connector.transport import session
from shopify_app.models import Shop
from tiktok.endpoints import Endpoint
from tiktok.models import Seller

UPS, UPS_2, USPS = "1Z410E7W0392751591", "1ZW8A5770396312418", "9400128206335525465394"
# A call that only reads changes nothing outside: dying before it and after it is the same.
MOMENTS_OF_A_READ = ("after sending", "at the first write")
MOMENTS = ("before sending", "after sending", "at the first write", "at the second write")
WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|WITH)", re.IGNORECASE)
EVERYWHERE = os.environ.get("CRASH_MATRIX") == "full"
SOON = timedelta(seconds=120)  # what is due sooner belongs to the story
ROWS = (InboxEvent, Parcel, Order)

OPERATIONS = [
    value for value in vars(shopify_app.client).values() if isinstance(value, shopify_app.client.Operation)
]
NAMES = {one.text: one.name for one in OPERATIONS}
ENDPOINTS = {
    f"{one.method} {one.path}": one
    for value in vars(tiktok.endpoints).values()
    for one in (value.values() if isinstance(value, dict) else [value])
    if isinstance(one, Endpoint)
}
PATHS = {name: re.compile(re.sub(r"\{\w+\}", "[^/]+", one.path)) for name, one in ENDPOINTS.items()}
# Calls that no step of a row makes: pages and the probe make them, or nobody yet.
NOT_BY_STEPS = {
    *("order_mark_paid", "order_pay_manually", "payment_terms_templates", "payment_terms_create"),
    *("webhook_create", "webhooks_list", "webhook_delete"),
    "GET /api/v2/token/get",
    "GET /order/202406/orders/{order_id}/external_orders",
    "GET /logistics/202604/orders/{order_id}/tracking",
    "DELETE /event/202309/webhooks",
    *("POST /product/202502/products/search", "POST /return_refund/202602/cancellations/search"),
    # The other versions of a call are the same step (TikTok contract 12.1).
    "POST /fulfillment/202610/orders/{order_id}/packages",
    "POST /fulfillment/202610/packages/{package_id}/shipping_info/update",
}
SHOPIFY_TOKEN = "Shopify's access_token"
READS = {one.name for one in OPERATIONS if not one.writes} | {
    name for name, one in ENDPOINTS.items() if not one.writes
}


class Died(BaseException):
    """The worker is gone."""


class Doom(HTTPAdapter):
    """Lets every call through, notes which it was, and ends the worker at one of them."""

    def __init__(self, inner: HTTPAdapter) -> None:
        super().__init__()
        self.inner = inner
        self.calls: list[str] = []
        self.plan: tuple[int, str] | None = None
        self.writes_left = 0

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        doomed = self.plan is not None and self.plan[0] == len(self.calls)
        moment = self.plan[1] if self.plan else ""
        self.calls.append(name_of(request))
        if doomed and moment == "before sending":
            raise Died
        answer = self.inner.send(request, *args, **kwargs)
        if doomed and moment == "after sending":
            answer.close()
            raise Died
        if doomed:
            self.writes_left = 1 + MOMENTS.index(moment) - MOMENTS.index("at the first write")
        return answer

    def at_statement(self, execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        if self.writes_left and WRITES.match(sql):
            self.writes_left -= 1
            if not self.writes_left:
                raise Died
        return execute(sql, *args)


def name_of(request: requests.PreparedRequest) -> str:
    path = urlsplit(request.url or "").path
    if path.endswith("/graphql.json"):
        return NAMES[json.loads(request.body or b"")["query"]]
    if path.endswith("/access_token"):
        return SHOPIFY_TOKEN
    return next(
        name
        for name, pattern in PATHS.items()
        if name.startswith(f"{request.method} ") and pattern.fullmatch(path)
    )


@pytest.fixture
def doom() -> Iterator[Doom]:
    http = session()
    inner = http.get_adapter("http://")
    doom = Doom(inner)
    http.mount("http://", doom)
    with database.execute_wrapper(doom.at_statement):
        yield doom
    http.mount("http://", inner)


# ---- a worker of one thread ----


def work_on(world: World) -> None:
    """Do what is due soon, until nothing is."""
    for _ in range(400):
        if work_once(world):
            continue
        assert world.tiktok.webhooks.settle(5)
        assert world.shopify.webhooks.wait_until_quiet(5)
        if work_once(world):
            continue
        wait = next_due() - timezone.now()
        if wait > SOON:
            return
        world.pass_time(max(0.0, wait.total_seconds()) + 0.001)
    raise AssertionError("the worker never comes to an end")


def work_once(world: World) -> int:
    rows = [row for model in jobs.STEPS for row in model.claim(world.shop.pk, 8)]
    for row in rows:
        work.run(row, jobs.STEPS[type(row)])
    return len(rows)


def next_due() -> Any:
    far = timezone.now() + 2 * SOON
    times = [
        model.objects.exclude(due_at=None).order_by("due_at").values_list("due_at", flat=True).first()
        for model in ROWS
    ]
    return min(filter(None, times), default=far)


def bury(doom: Doom) -> None:
    """Whoever died is gone: all that he had leased lapses."""
    doom.plan, doom.writes_left = None, 0
    past = timezone.now() - timedelta(seconds=1)
    for model in jobs.STEPS:
        model.objects.exclude(leased_until=None).update(leased_until=past)
    for grant in (Shop, Seller):
        grant.objects.exclude(refreshing_until=None).update(refreshing_until=past)


# ---- the stories: each yields its order's id once, then whenever the worker is to work ----


def shipped(world: World) -> Iterator[str]:
    tiktok_id = world.tiktok.place_order(lines=[("TEE-BLK-M", 2), ("MUG-WHT", 1)])
    yield tiktok_id
    world.tiktok.release(tiktok_id)
    yield tiktok_id
    parcels.lists.clear()  # a new process asks for the carriers again
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
    """No webhook comes: the pulls find the order, its release and its parcel."""
    world.tiktok.webhooks.lose = 1.0
    tiktok_id = world.tiktok.place_order(hold=False)
    time.sleep(1.01)  # a pull sees whole seconds that are over
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
    tiktok_id = world.tiktok.place_order(hold=False)
    yield tiktok_id


def grants_refreshed(world: World) -> Iterator[str]:
    world.tiktok.expire_tokens()
    Shop.objects.update(access_expires_at=timezone.now())
    tiktok_id = world.tiktok.place_order(hold=False)
    yield tiktok_id


def pull_now() -> None:
    Connection.objects.update(due_at=timezone.now(), tiktok_pulled_at=None, shopify_pulled_at=None)


def new_number(world: World) -> str:
    return world.tiktok.new_number("UPS")


STORIES = (
    pulled,  # while few orders are known
    connected_anew,
    grants_refreshed,
    shipped,
    one_line,
    cancelled_in_hold,
    cancelled_after_finalize,
    number_corrected,
    one_of_two_numbers_corrected,
    buyer_asks_to_cancel_and_thinks_better,
    completed_by_hand,
    create_in_doubt,
)


# ---- the matrix ----


def tell(world: World, story: Callable[[World], Iterator[str]], doom: Doom) -> dict[str, Any]:
    """The story with its worker, and with another one where he died: how it ends."""
    Connection.objects.update(
        due_at=timezone.now() + timedelta(hours=1)
    )  # no pull but where the story wants one
    told = ""
    for told in story(world):  # noqa: B007 - the last one is looked at
        while True:
            try:
                work_on(world)
                break
            except Died:
                bury(doom)
    end = the_end(world, told)
    turn_back(world)
    return end


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
            )
            for one in orders
        ],
        "tiktok": (
            world.tiktok.order(tiktok_id).status,
            sorted(what for what in effects if what in ("ship", "correction")),
            [line.number == numbers_of(orders) for line in world.tiktok.order(tiktok_id).lines],
            [key[1] for key in world.tiktok.world.external if key[0] == tiktok_id],
        ),
        "hooks": len(world.tiktok.world.hooks),
        "mails": len(world.shopify.mails),
    }


def numbers_of(orders: list[Any]) -> str:
    return ",".join(number for one in orders for made in one.fulfillments for number in made.numbers)


def test_the_end_is_the_same_wherever_the_worker_dies_and_no_call_is_missing(world, doom):
    """Each call in the first story that makes it; with CRASH_MATRIX=full in every story."""
    met: set[str] = set()
    count = 0
    for story in STORIES:
        doom.calls.clear()
        clean = tell(world, story, doom)
        calls = list(doom.calls)
        for name, moment in deaths(calls, met if not EVERYWHERE else set()):
            doom.calls.clear()
            doom.plan = (calls.index(name), moment)
            assert tell(world, story, doom) == clean, f"{story.__name__}: died {moment} at {name}"
            bury(doom)
            count += 1
        met.update(calls)
    print(f"{len(met)} calls in {len(STORIES)} stories, {count} deaths")
    assert {*NAMES.values(), *ENDPOINTS, SHOPIFY_TOKEN} - met == NOT_BY_STEPS


def deaths(calls: list[str], met: set[str]) -> list[tuple[str, str]]:
    return [
        (name, moment)
        for name in dict.fromkeys(calls)
        if name not in met
        for moment in (MOMENTS_OF_A_READ if name in READS else MOMENTS)
    ]
