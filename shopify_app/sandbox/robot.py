"""The demo warehouse: ships finalized TikTok orders a few seconds old, mostly right, sometimes as people do."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from shopify_app.sandbox.carriers import tracking_number
from shopify_app.sandbox.model import Order
from shopify_app.sandbox.problems import UserErrors
from shopify_app.sandbox.shop import ShopState

if TYPE_CHECKING:
    from shopify_app.sandbox import ShopifySandbox

TAG = "tiktok shop"
DO_NOT_SHIP = ("tiktok-do-not-ship", "tiktok-shipped-elsewhere", "tiktok-on-hold")
CARRIERS = ("UPS", "USPS", "FedEx", "DHL Express")
UNKNOWN_CARRIER = "Sendle"  # one that TikTok Shop has no provider for
UK_CARRIERS = ("Royal Mail", "Evri")
# One order in eight goes out under a wrong name, and two units or more now and then in two parcels.
NAMED_PLANS = ("plain", "split", "wrong_carrier", "unknown_carrier", "no_number", "wait")
PLANS = ("plain", "split", "plain", "wrong_carrier", "plain", "plain", "split", "plain")


class Robot:
    """Plans: `plain`, `split` (two parcels), `wrong_carrier` (a number that the named carrier cannot have printed),
    `unknown_carrier`, `no_number`, `wait` (not shipped). `notes(order)` may name one, or give the seller's note on the
    TikTok order, which is read as a person would; without either they take turns."""

    def __init__(
        self,
        sandbox: ShopifySandbox,
        notes: Callable[[Order], str | None] | None,
        *,
        after: float,
        seed: int,
    ) -> None:
        self._sandbox = sandbox
        self._notes = notes
        self._after = timedelta(seconds=after)
        self._random = Random(f"robot {seed} {sandbox.clock.now()}")
        self._turns = itertools.cycle(PLANS)
        self._used: set[str] = set()
        self._looked: set[str] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="shopify-sandbox-robot", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(timeout=5)

    def round(self) -> None:
        """Ship what is ready now."""
        for shop in list(self._sandbox.shops.values()):
            for order in self._ready(shop):
                self._looked.add(order.id)
                self._ship(shop, order)

    def _work(self) -> None:
        while not self._stopped.wait(1.0):
            self.round()

    def _ready(self, shop: ShopState) -> list[Order]:
        with self._sandbox.lock:
            old = self._sandbox.clock.now() - self._after
            return [
                order
                for order in shop.orders.values()
                if order.id not in self._looked and order.created_at <= old and _to_ship(order)
            ]

    def _ship(self, shop: ShopState, order: Order) -> None:
        note = self._notes(order) if self._notes else None
        plan = _plan_of(note) if note else next(self._turns)
        carriers = UK_CARRIERS if order.currency == "GBP" else CARRIERS
        company = self._random.choice(carriers)
        try:
            if plan == "split" and sum(order.remaining(line) for line in order.lines) > 1:
                first = _one_unit(order)
                shop.fulfill(order.id, first, company, [self._number(company)])
                shop.fulfill(order.id, None, company, [self._number(company)])
            elif plan == "wrong_carrier":
                other = self._random.choice([c for c in carriers if c != company])
                shop.fulfill(order.id, None, other, [self._number(company)])
            elif plan == "unknown_carrier":
                shop.fulfill(order.id, None, UNKNOWN_CARRIER, [self._number("USPS")])
            elif plan == "no_number":
                shop.fulfill(order.id, None, None, [])
            elif plan != "wait":
                shop.fulfill(order.id, None, company, [self._number(company)])
        except UserErrors as problem:
            shop.note("robot_could_not_ship", by="robot", order=order.id, why=str(problem))

    def _number(self, company: str) -> str:
        while (number := tracking_number(company, self._random)) in self._used:
            continue
        self._used.add(number)
        return number


def _plan_of(note: str) -> str:
    """`demo: fulfil in two parcels` is a note of the TikTok sandbox's order stream."""
    if note in NAMED_PLANS:
        return note
    if "two parcels" in note:
        return "split"
    return "unknown_carrier" if "carrier" in note else "plain"


def _to_ship(order: Order) -> bool:
    tags = {tag.casefold() for tag in order.tags}
    return order.fulfillable and not order.fulfillments and TAG in tags and not tags.intersection(DO_NOT_SHIP)


def _one_unit(order: Order) -> dict[str, int]:
    return {next(line.id for line in order.lines if order.remaining(line)): 1}
