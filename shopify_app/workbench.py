"""Workbench: a client for the experiments of probe.py, which knows what it made and clears it away."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

import requests
from django.utils import timezone

from .client import DRAFT_CREATE, METAFIELD_DEFINITION_CREATE, Client, Operation
from .errors import Busy, Rejected, ShopifyError, Unavailable
from .orders import CompletedOrder, Installation, PostalAddress

if TYPE_CHECKING:
    from .models import Shop

T = TypeVar("T")
Levels = dict[str, dict[str, int]]  # of one variant: location's level -> state -> units

TAG = "tts-probe"
NOTE = "Made by the connector's probe, which clears it away"
CENT = Decimal("0.01")
DEFINITION = {"ownerType": "DRAFTORDER", "namespace": "$app", "key": "tts_probe_id"}
MINUTE = 60.0
OUR_BUDGET = "BUDGET"  # the code of a Busy that never left this process
POLL_SECONDS = 0.5
CLEARING_PAUSES = (1.0, 2.0, 4.0, 8.0)

VARIANTS = Operation("probe/variants", 16)
STOCK = Operation("probe/stock", 1)
STOCK_POLICIES = Operation("probe/stock_policies", 1)
STOCK_LEVELS = Operation("probe/stock_levels", 14)
ORDER_CARRIED = Operation("probe/order_carried", 10)
DRAFT_CALCULATE = Operation("probe/draft_calculate", 10)
DEFINITION_DELETE = Operation("probe/definition_delete", 10)


class Unfit(Exception):
    """This store has not what an experiment needs; the words say what."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A variant to experiment with. `quantity` is what can be sold of it."""

    id: str
    price: Decimal
    quantity: int
    tracked: bool


class Workbench(Client):
    """Where the shop's points are spent it waits. What it makes carries TAG and no address, customer or e-mail.

    `patience` (seconds) bounds that wait, and how long it watches for what Shopify does in its own time.
    """

    def __init__(
        self,
        shop: "Shop",
        http: requests.Session | None = None,
        *,
        patience: float = 120,
        reserve_seconds: float = 60,
        try_cap: bool = False,
    ) -> None:
        super().__init__(shop, http)
        self.patience = patience
        self.reserve_seconds = reserve_seconds
        self.try_cap = try_cap
        self.waits = True  # else what Shopify itself throttles is raised at once
        self.drafts: list[str] = []
        self.unanswered = 0  # drafts asked for that may be there without our knowing their id
        self.defined = False
        self.completed_at: list[float] = []  # on the monotonic clock

    @cached_property
    def here(self) -> Installation:
        return self.installation()

    # Drafts and orders

    def create(self, **given: Any) -> str:
        """A draft of these members of DraftOrderInput; its id."""
        content = {"tags": [TAG], "note": NOTE, "taxExempt": True, "acceptAutomaticDiscounts": False, **given}
        self._write(DRAFT_CREATE, {"input": content})
        return self.drafts[-1]

    def complete(self, draft_id: str) -> CompletedOrder:
        """The order, once the draft is ready."""
        self.wait_until_ready(draft_id)
        return self.complete_at_once(draft_id)

    def complete_at_once(self, draft_id: str) -> CompletedOrder:
        order = self.complete_draft(draft_id)
        self.completed_at.append(time.monotonic())
        return order

    def wait_until_ready(self, draft_id: str) -> None:
        if not self.watch(lambda: self._ready(draft_id), True):
            raise Unavailable(f"the draft is not ready after {self.patience:g} s", code="not_ready")

    def completed_lately(self) -> int:
        """How many drafts were completed within the last minute."""
        return sum(moment > time.monotonic() - MINUTE for moment in self.completed_at)

    def carried(self, order_id: str) -> dict[str, Any]:
        """What an order has of its draft: tags, note, attributes, purchase order number."""
        order: dict[str, Any] = self._call(ORDER_CARRIED, {"id": order_id})["order"]
        return order

    def total_of(self, **given: Any) -> Decimal:
        """What a draft of these members of DraftOrderInput would cost. Nothing is saved."""
        calculated = self._write(DRAFT_CALCULATE, {"input": given})["calculatedDraftOrder"]
        return Decimal(calculated["totalPriceSet"]["presentmentMoney"]["amount"])

    def custom_line(self, price: Decimal = CENT, quantity: int = 1) -> dict[str, Any]:
        return {
            "title": "Probe",
            "quantity": quantity,
            "originalUnitPriceWithCurrency": self.money(price),
            "taxable": False,
            "requiresShipping": False,
        }

    def line(self, variant: Candidate, quantity: int = 1) -> dict[str, Any]:
        """A line of a draft, at a cent a unit."""
        return {"variantId": variant.id, "quantity": quantity, "priceOverride": self.money(CENT)}

    def money(self, amount: Decimal) -> dict[str, str]:
        return {"amount": str(amount), "currencyCode": self.here.currency}

    def define_reference(self) -> None:
        """Declare a metafield of type `id` on drafts, or find it declared by an earlier run."""
        definition = {**DEFINITION, "name": "Connector probe", "type": "id"}
        self.defined = True
        try:
            self._write(METAFIELD_DEFINITION_CREATE, {"definition": definition})
        except Rejected as error:
            if error.code != "TAKEN":
                self.defined = False
                raise

    # Stock

    def variant(self, *, tracked: bool = False, least: int | None = None) -> Candidate:
        """The first that fits; Unfit without one."""
        for candidate in self.candidates:
            if (candidate.tracked or not tracked) and (least is None or candidate.quantity >= least):
                return candidate
        wanted = f", its stock tracked and at least {least}" if tracked else ""
        raise Unfit(f"needs an active product{wanted}")

    def scarce_variant(self) -> Candidate:
        """The tracked variant with least stock that must not be sold without; of a live store, a sold-out one."""
        tracked = [c for c in self.candidates if c.tracked and (self.here.development or c.quantity <= 0)]
        nodes = self._call(STOCK_POLICIES, {"ids": [c.id for c in tracked]})["nodes"] if tracked else []
        denying = {node["id"] for node in nodes if node and node["inventoryPolicy"] == "DENY"}
        found = min((c for c in tracked if c.id in denying), key=lambda c: c.quantity, default=None)
        if found is None:
            sold_out = "" if self.here.development else ", sold out"
            raise Unfit(f"needs a product with tracked stock that does not sell without it{sold_out}")
        return found

    @cached_property
    def candidates(self) -> list[Candidate]:
        return [
            Candidate(
                node["id"],
                Decimal(node["price"]),
                node["inventoryQuantity"] or 0,
                node["inventoryItem"]["tracked"],
            )
            for node in self._call(VARIANTS, {})["productVariants"]["nodes"]
        ]

    def stock(self, variant_id: str) -> int:
        """What can be sold of a variant now, over all locations."""
        return int(self._call(STOCK, {"id": variant_id})["productVariant"]["inventoryQuantity"])

    def levels(self, variant_id: str) -> Levels | None:
        """The same by location and state; None without the scope for it."""
        if not {"read_inventory", "write_inventory"}.intersection(self.here.scopes):
            return None
        item = self._call(STOCK_LEVELS, {"id": variant_id})["productVariant"]["inventoryItem"]
        return {
            level["id"]: {state["name"]: state["quantity"] for state in level["quantities"]}
            for level in item["inventoryLevels"]["nodes"]
        }

    # Time

    def watch(self, read: Callable[[], T], wanted: T, seconds: float | None = None) -> T:
        """What `read` gives as soon as it is as wanted, or at last."""
        give_up = time.monotonic() + (self.patience if seconds is None else seconds)
        while (found := read()) != wanted and time.monotonic() < give_up:
            time.sleep(POLL_SECONDS)
        return found

    def sleep_until(self, moment: datetime) -> None:
        time.sleep(max(0.0, (moment - timezone.now()).total_seconds()))

    # Clearing away

    def clear(self) -> list[str]:
        """Delete and cancel all that carries TAG, of this run and earlier ones. What is left, in words."""
        left = [self._cleared(f"draft {gid}", partial(self._remove, gid)) for gid in self.drafts]
        left.append(self._cleared(f"drafts and orders with the tag {TAG}", self._sweep))
        if self.defined:
            left.append(self._cleared(f"metafield definition {DEFINITION['key']}", self._undefine))
        return [words for words in left if words]

    def _cleared(self, what: str, act: Callable[[], object]) -> str:
        """Do it, patiently; "" or what is left and why."""
        failure: ShopifyError | None = None
        for pause in (*CLEARING_PAUSES, 0.0):
            try:
                act()
            except Unavailable as error:
                failure = error
                time.sleep(pause)
            except ShopifyError as error:
                return f"{what}: {error.public}"
            else:
                return ""
        return f"{what}: {failure.public if failure else ''}"

    def _remove(self, draft_id: str) -> bool:
        """Delete the draft, or cancel what it became. False when there was nothing to do any more."""
        draft = self.get_draft(draft_id)
        if draft is None:
            return False
        if not draft.order_id:
            return self.delete_draft(draft_id)
        live = self._cancel(draft.order_id)
        with suppress(Rejected):  # a completed draft may have to stay; it is only the history of its order
            self.delete_draft(draft_id)
        return live

    def _cancel(self, order_id: str) -> bool:
        """Cancel without a mail, and tag. False when there was nothing to cancel any more."""
        order = self.get_order(order_id)
        if order is None or order.cancelled:
            return False
        if TAG not in order.tags:
            self.add_tags(order_id, [TAG])
        self.cancel_order(order_id, note=NOTE)
        if not self.watch(lambda: self._cancelled(order_id), True):
            raise Unavailable(f"order {order.name} is not cancelled yet", code="not_cancelled")
        return True

    def _sweep(self) -> None:
        """What the tag finds: earlier runs' things, and a draft whose creation was never answered.

        The index lags, so such a draft is looked for until it shows or `patience` ends.
        """
        give_up = time.monotonic() + self.patience
        while True:
            strays = [hit.id for hit in self.find_drafts(TAG) if hit.id not in self.drafts]
            self.unanswered -= sum(self._remove(gid) for gid in strays)
            for hit in self.find_orders(TAG):
                self._cancel(hit.id)
            if self.unanswered <= 0 or time.monotonic() > give_up:
                return
            time.sleep(POLL_SECONDS)

    def _undefine(self) -> None:
        try:
            self._write(DEFINITION_DELETE, {"identifier": DEFINITION})
        except Rejected as error:
            if error.code != "NOT_FOUND":
                raise

    def _ready(self, draft_id: str) -> bool:
        draft = self.get_draft(draft_id)
        return draft is not None and draft.ready

    def _cancelled(self, order_id: str) -> bool:
        order = self.get_order(order_id)
        return order is None or order.cancelled

    # The way out

    def _write(
        self, operation: Operation, variables: Mapping[str, Any], private: PostalAddress | None = None
    ) -> dict[str, Any]:
        if operation is not DRAFT_CREATE:
            return super()._write(operation, variables, private)
        self.unanswered += 1
        try:
            payload = super()._write(operation, variables, private)
        except ShopifyError as error:
            if not (isinstance(error, Unavailable) and error.may_have_acted):
                self.unanswered -= 1
            raise
        self.drafts.append(payload["draftOrder"]["id"])
        self.unanswered -= 1
        return payload

    def _call(self, operation: Operation, variables: Mapping[str, Any]) -> dict[str, Any]:
        give_up = time.monotonic() + self.patience
        while True:
            try:
                return super()._call(operation, variables)
            except Busy as busy:
                wait = busy.retry_after or 1.0
                theirs = busy.code != OUR_BUDGET
                if (theirs and not self.waits) or time.monotonic() + wait > give_up:
                    raise
                time.sleep(wait)
