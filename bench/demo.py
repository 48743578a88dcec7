"""A shop in the middle of its day: orders of every kind, made by the product itself from what the sandboxes do.

TikTok says of the orders of the days before that they are so old; what we did for them within seconds is moved back
to their day afterwards.
"""

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from bench.ground import Ground, Store, connect_store, prepared
from connector.launcher import stack
from shopify_app.sandbox.carriers import tracking_number

STORE, NEW_STORE = "fig-and-fleece.myshopify.com", "new-here.myshopify.com"
TIKTOK_SHOP = "Fig & Fleece"
DAYS = 13
HOUR = 3600
PATIENCE_SECONDS = 60
GOODS = (
    "TEE-BLK-M",
    "TEE-BLK-L",
    "SOCK-CHR-L",
    "MUG-WHT",
    "CAP-NVY",
    "TOTE-NAT",
    "HOODIE-GRY-M",
    "BOTTLE-STL",
)
NOT_IN_SHOPIFY = "TT-ONLY-7"
CARRIERS = ("UPS", "USPS", "FedEx")
MISTYPED = "1Z410E7W0392751592"


@dataclass
class Demo:
    """Orders by what became of them, to find each page's."""

    ground: Ground
    random: Random = field(default_factory=lambda: Random(11))
    orders: dict[str, str] = field(default_factory=dict)  # a name of ours -> TikTok id

    @property
    def store(self) -> Store:
        return self.ground.stores[0]

    def place(self, **facts: Any) -> str:
        lines = facts.pop("lines", None) or [(self.random.choice(GOODS), self.random.choice((1, 1, 1, 2)))]
        return self.ground.tiktok.place_order(shop_id=self.store.tiktok_shop_id, lines=lines, **facts)

    def ship(self, tiktok_id: str, company: str = "", number: str = "") -> None:
        from connector.models import Order

        company = company or self.random.choice(CARRIERS)
        number = number or tracking_number(company, self.random)
        gid = Order.objects.get(tiktok_id=tiktok_id).order_gid
        self.ground.shopify.shop(STORE).fulfill(gid, None, company, [number])


@contextlib.contextmanager
def shop_at_work() -> Iterator[Demo]:
    """All of it running, its stories told and nothing more to come."""
    with prepared(shops=0) as ground:
        connect_store(ground, STORE, TIKTOK_SHOP)
        ground.shopify.add_shop(NEW_STORE)
        collect_static(ground)
        ground.start_web()
        ground.start_workers()
        demo = Demo(ground)
        wait_until(first_pull_is_over)
        older_orders(demo)
        days_before(demo)
        today(demo)
        yield demo


def collect_static(ground: Ground) -> None:
    words = stack.manage("collectstatic", "--no-input")
    subprocess.run(words, env=ground.env, cwd=stack.PROJECT, check=True, capture_output=True)


def older_orders(demo: Demo) -> None:
    """Two were open before TikTok was connected."""
    from django.db.models import F

    from connector.models import Connection, Order

    placed = [demo.place(age=3 * 24 * HOUR), demo.place(age=2 * 24 * HOUR, lines=[("MUG-WHT", 3)])]
    Connection.objects.update(due_at=datetime.now().astimezone())
    wait_until(lambda: Order.objects.filter(tiktok_id__in=placed, state="offered").count() == 2)
    Connection.objects.update(started_at=F("started_at") - timedelta(days=DAYS + 1))


def days_before(demo: Demo) -> None:
    ages = [(days * 24 + demo.random.random() * 4) * HOUR for days in range(1, DAYS + 1)]
    batches = [
        [demo.place(age=age, hold_seconds=2 * age) for _ in range(demo.random.randint(3, 7))] for age in ages
    ]
    everything = [tiktok_id for batch in batches for tiktok_id in batch]
    cancelled = {batch[0] for batch in batches[::3]}
    wait_until(lambda: count(everything, "on_hold") == len(everything))
    for tiktok_id in everything:
        demo.ground.tiktok.cancel(tiktok_id) if tiktok_id in cancelled else demo.ground.tiktok.release(
            tiktok_id
        )
    went_on = [tiktok_id for tiktok_id in everything if tiktok_id not in cancelled]
    wait_until(lambda: count(went_on, "finalized") == len(went_on))
    for tiktok_id in went_on:
        demo.ship(tiktok_id)
    wait_until(lambda: count(went_on, "shipped") == len(went_on))
    for age, batch in zip(ages, batches, strict=True):
        move_back(batch, timedelta(seconds=age))


def move_back(batch: list[str], by: timedelta) -> None:
    """Only what is ours: TikTok's times are of that day already."""
    from django.db.models import F

    from connector.models import Order, OrderLog, Parcel

    order, parcel = (
        ("created_at", "changed_at", "released_at", "finalized_at"),
        ("created_at", "fulfilled_at", "accepted_at"),
    )
    for rows, times in (
        (OrderLog.objects.filter(order__tiktok_id__in=batch), ("at",)),
        (Parcel.objects.filter(order__tiktok_id__in=batch), parcel),
        (Order.objects.filter(tiktok_id__in=batch), order),
    ):
        rows.update(**{name: F(name) - by for name in times})


def today(demo: Demo) -> None:
    """What asks for a person, what waits, what is to be shipped, what is on its way."""
    tiktok, orders = demo.ground.tiktok, demo.orders
    two_lines = [("SOCK-CHR-L", 1, "24.99", "3.00", "2.00"), ("MUG-WHT", 2, "9.00", "0", "1.50")]
    orders["urgent"] = demo.place(age=41 * HOUR, hold_seconds=HOUR)
    for name, facts in {
        "mistyped": {"lines": two_lines, "shipping_platform_discount": "2.00"},
        "unlinked": {"lines": [(NOT_IN_SHOPIFY, 1)]},
        "unknown_carrier": {"lines": [("POSTER-A2", 1)]},
        "shipped": {},
        "parcels": {"lines": [("CANDLE-FIG", 3)]},
        "to_ship": {"lines": two_lines},
        "asked_to_cancel": {},
        "cancelled": {},
        "not_ours": {"shipping_type": "TIKTOK"},
        "held": {"lines": [("HOODIE-GRY-M", 1)]},
        "held_too": {"lines": [("TOTE-NAT", 2)]},
        "pre_order": {"release_in": 5 * 24 * HOUR},
        "sample": {"sample": True},
    }.items():
        orders[name] = demo.place(**facts)
        time.sleep(0.2)
    drafted = [
        id
        for name, id in orders.items()
        if name not in ("urgent", "unlinked", "not_ours", "pre_order", "sample")
    ]
    wait_until(lambda: count(drafted, "on_hold") == len(drafted))
    tiktok.cancel(orders["cancelled"])
    released = [
        orders[name]
        for name in ("mistyped", "unknown_carrier", "shipped", "parcels", "to_ship", "asked_to_cancel")
    ]
    for tiktok_id in released:
        tiktok.release(tiktok_id)
    wait_until(lambda: count([*released, orders["urgent"]], "finalized") == len(released) + 1)
    demo.ship(orders["mistyped"], "UPS", MISTYPED)
    demo.ship(orders["unknown_carrier"], "Sendle", tracking_number("USPS", demo.random))
    demo.ship(orders["shipped"])
    shop = demo.ground.shopify.shop(STORE)
    from connector.models import Order

    gid = Order.objects.get(tiktok_id=orders["parcels"]).order_gid
    for units in (1, 2):
        shop.fulfill(gid, {"CANDLE-FIG": units}, "USPS", [tracking_number("USPS", demo.random)])
    tiktok.buyer_requests_cancel(orders["asked_to_cancel"])
    wait_until(lambda: count([orders["shipped"], orders["parcels"]], "shipped") == 2)
    wait_until(lambda: asking(["mistyped", "unknown_carrier", "unlinked", "asked_to_cancel"], orders))


def asking(names: list[str], orders: dict[str, str]) -> bool:
    from connector.models import Order

    found = Order.objects.filter(tiktok_id__in=[orders[name] for name in names]).prefetch_related("parcels")
    return all(order.reason or any(parcel.reason for parcel in order.parcels.all()) for order in found)


def count(tiktok_ids: list[str], state: str) -> int:
    from connector.models import Order

    return Order.objects.filter(tiktok_id__in=tiktok_ids, state=state).count()


def first_pull_is_over() -> bool:
    from connector.models import Connection

    return Connection.objects.filter(tiktok_pulled_at__isnull=False, shopify_pulled_at__isnull=False).exists()


def wait_until(true: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise RuntimeError(f"the demo shop did not get there within {seconds:.0f} s")
        time.sleep(0.1)
