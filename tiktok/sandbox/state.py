"""What the platform remembers. Everything here is plain data and survives a restart (dump, load)."""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tiktok.sandbox.buyers import Buyer
from tiktok.sandbox.catalogue import Sku
from tiktok.sandbox.orders import Order

Json = dict[str, Any]
ENTRIES_OF_A_CALL = 100  # a thread that answers nobody would gather for ever

# Permission name of Partner Center -> the word in granted_scopes.
SCOPES = {
    "Shop Authorized Information": "seller.authorization.info",
    "Order Information": "seller.order.info",
    "Fulfillment Basic": "seller.fulfillment.basic",
    "Logistics Basic": "seller.logistics",
    "Return & Refund Basic": "seller.return_refund.basic",
    "Product Basic": "seller.product.basic",
    "Write External Order References": "seller.order.external_reference.write",
}


class Clock:
    """Real time plus an offset that tests move."""

    def __init__(self) -> None:
        self.offset = 0.0
        self.moved: list[Callable[[], None]] = []

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)

    def time(self) -> float:
        return time.time() + self.offset

    def seconds(self) -> int:
        return int(self.time())

    def advance(self, seconds: float) -> None:
        self.offset += seconds
        for tell in self.moved:
            tell()


@dataclass(slots=True)
class Settings:
    """Named switches. The defaults are the hard ones."""

    hold_seconds: float = 3600
    hold_address: str = "starred"  # starred, districts, empty, missing, none (TikTok contract 12.7)
    address_moves_update_time: bool = (
        False  # update_time is of the last change of status (TikTok contract 4.3)
    )
    mark_new_addresses: bool = True  # has_updated_recipient_address; every field of an answer is optional
    access_token_seconds: int = 7 * 86_400
    refresh_token_seconds: int = 365 * 86_400
    code_seconds: int = 1800
    latency: float = 0.0  # every answer comes this much later
    rate_per_second: float = 50.0  # per app, shop and endpoint (TikTok contract 9); 0 switches the limit off
    rate_burst: float = 50.0
    errors_on_200: bool = False  # all faults on HTTP 200 (TikTok contract 12.25)
    null_data: bool = False  # an answer without data says null instead of {}
    retired_ship_versions: frozenset[str] = frozenset()  # e.g. {"202309"}: answers 36009014
    numbers_on_lines: bool = (
        True  # False: an order shipped whole shows its number at its own level only (4.3)
    )
    several_numbers: bool = False  # the seller is on 202610's list for several numbers
    unavailable_providers: frozenset[str] = frozenset()  # names that answer 21004016
    warn_always: str = ""  # put this warning into every accepted ship reply
    recompute_cancelled: bool = False  # a cancelled line leaves the order's payment
    public_hooks_only: bool = False  # refuse webhook addresses on this machine
    hour_for_all: bool = False  # nothing is shipped within the hour, also where the order has no hold (4.4)
    cancel_answer_seconds: float = 48 * 3600  # silence grants a buyer's request


@dataclass(slots=True)
class App:
    """A registration in one of the two Partner Centers."""

    name: str  # US or ROW
    app_key: str
    app_secret: str
    service_id: str
    redirect_url: str = ""
    hook_url: str = ""


@dataclass(slots=True)
class Shop:
    id: str
    name: str
    region: str
    code: str
    seller_type: str
    warehouse_id: str
    delivery_option_id: str
    tiktok_delivery_option_id: str
    skus: dict[str, Sku]

    @property
    def market(self) -> str:
        return "UK" if self.region == "GB" else self.region

    @property
    def currency(self) -> str:
        return "GBP" if self.region == "GB" else "USD"


@dataclass(slots=True)
class Seller:
    open_id: str
    name: str
    region: str
    shops: list[Shop]

    @property
    def app(self) -> str:
        return "US" if self.region == "US" else "ROW"


@dataclass(slots=True)
class Code:
    app: str
    open_id: str
    expires: float
    used: bool = False


@dataclass(slots=True)
class Grant:
    """One app's access to one seller. Every consent makes new ciphers."""

    app: str
    open_id: str
    scopes: list[str]
    ciphers: dict[str, str]  # cipher -> shop id
    access: dict[str, int] = field(default_factory=dict)  # token -> unix seconds of its end
    refresh: str = ""
    former_refresh: str = ""  # works until something of the new pair was used
    refresh_expires: int = 0
    revoked: bool = False

    @property
    def newest(self) -> str:
        return next(reversed(self.access))


@dataclass(slots=True)
class Package:
    id: str
    shop_id: str
    order_ids: list[str]
    line_ids: list[str]
    number: str
    provider_id: str
    provider_name: str
    shipped_at: int
    update_time: int
    corrected: bool = False
    more_numbers: list[Json] = field(default_factory=list)


@dataclass(slots=True)
class Cancellation:
    id: str
    order_id: str
    shop_id: str
    type: str
    status: str
    role: str
    reason: str
    reason_text: str
    line_ids: list[str]
    create_time: int
    update_time: int
    deadline: int = 0


@dataclass(slots=True)
class Hook:
    address: str
    create_time: int  # milliseconds
    update_time: int


@dataclass(slots=True)
class World:
    """All of the platform's memory."""

    seed: int
    born: int
    sellers: list[Seller] = field(default_factory=list)
    codes: dict[str, Code] = field(default_factory=dict)
    grants: dict[tuple[str, str], Grant] = field(default_factory=dict)
    former_buyers: list[Buyer] = field(default_factory=list)  # as they were before an address changed
    orders: dict[str, Order] = field(default_factory=dict)
    packages: dict[str, Package] = field(default_factory=dict)
    numbers: dict[str, set[str]] = field(default_factory=dict)  # tracking number -> order ids
    cancellations: dict[str, Cancellation] = field(default_factory=dict)
    external: dict[tuple[str, str], Json] = field(default_factory=dict)  # (order id, platform) -> reference
    hooks: dict[tuple[str, str, str], Hook] = field(default_factory=dict)  # (app, shop id, topic)
    timers: list[tuple[float, int, str, Json]] = field(default_factory=list)  # (due, n, action, arguments)
    ledger: list[Json] = field(default_factory=list)
    violations: list[Json] = field(default_factory=list)
    counter: int = 0
    rng: random.Random = field(default_factory=random.Random)

    def new_id(self, prefix: str) -> str:
        """18 digits or more, never repeated, not even by a later sandbox that starts empty."""
        self.counter += 1
        return f"{prefix}{self.born % 10**9:09d}{self.counter:05d}"

    def seller_of(self, shop_id: str) -> Seller:
        return next(seller for seller in self.sellers if any(shop.id == shop_id for shop in seller.shops))

    def shop(self, shop_id: str) -> Shop:
        return next(shop for seller in self.sellers for shop in seller.shops if shop.id == shop_id)


@dataclass(slots=True)
class Fault:
    operation: str
    kind: str
    times: int
    options: Json


class Answering(threading.local):
    """What the call that this thread works on has written to the ledger: known as heard once its answer is out."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock  # the platform's: it saves the ledger too
        self.entries: deque[Json] = deque(maxlen=ENTRIES_OF_A_CALL)
        self.began = 0.0

    def begin(self) -> None:
        self.entries.clear()
        self.began = time.monotonic()

    def end(self) -> None:
        """The answer is out, whole: its entries say after how many seconds."""
        if self.entries:
            with self._lock:
                for entry in self.entries:
                    entry["answered"] = round(time.monotonic() - self.began, 3)
            self.entries.clear()


class Faults:
    """Failures a test asked for, by operation (or "*"), used up one by one; and a steady share of them."""

    KINDS = frozenset(
        {"500", "503", "429", "timeout_before", "lost_reply", "slow_drip", "truncated", "500_after", "error"}
    )
    ALIASES = {
        "ship": ("markPackageAsShipped202309", "markPackageAsShipped"),
        "correct": (
            "updateOrderShippingInfo",
            "updatePackageShippingInfo202309",
            "updatePackageShippingInfo",
        ),
        "get_order": ("getOrderDetail",),
        "search_orders": ("getOrderList",),
        "token": ("tokenGet",),
        "refresh": ("tokenRefresh",),
        "shops": ("getAuthorizedShops",),
        "providers": ("getShippingProviders",),
        "external_orders": ("addExternalOrderReferences",),
        "products": ("searchProducts",),
        "cancellations": ("searchCancellations",),
        "tracking": ("getOrderTracking", "getLogisticsTracking"),
        "get_webhooks": ("getShopWebhooks",),
        "set_webhook": ("updateShopWebhook",),
    }

    def __init__(self, rng: random.Random, operations: Iterable[str]) -> None:
        self._rng = rng
        self._known = {"*", *self.ALIASES, *operations}
        self._lock = threading.Lock()
        self._planned: list[Fault] = []
        self._share = 0.0
        self._share_kinds: tuple[str, ...] = ()
        self._share_options: Json = {}
        self.struck: list[tuple[str, str]] = []

    def add(self, operation: str, kind: str, times: int = 1, **options: Any) -> None:
        """Fail the next `times` calls. Options: seconds, code, message, http (for kind "error")."""
        if kind not in self.KINDS:
            raise ValueError(f"unknown fault {kind}; one of {', '.join(sorted(self.KINDS))}")
        if operation not in self._known:
            raise ValueError(f"unknown operation {operation}; one of {', '.join(sorted(self._known))}")
        with self._lock:
            self._planned.append(Fault(operation, kind, times, options))

    def share(self, probability: float, *kinds: str, **options: Any) -> None:
        """Fail this share of all calls, each in one of the kinds by chance; 0 stops it."""
        with self._lock:
            self._share, self._share_kinds, self._share_options = probability, kinds, options

    def clear(self) -> None:
        with self._lock:
            self._planned.clear()
            self._share = 0.0

    def take(self, operation: str) -> Fault | None:
        """The fault that hits this call, counted off; None lets it pass."""
        with self._lock:
            fault = self._drawn(operation)
            if fault:
                self.struck.append((operation, fault.kind))
            return fault

    def _drawn(self, operation: str) -> Fault | None:
        for fault in self._planned:
            if fault.operation in ("*", operation) or operation in self.ALIASES.get(fault.operation, ()):
                fault.times -= 1
                if fault.times <= 0:
                    self._planned.remove(fault)
                return fault
        if self._share and self._rng.random() < self._share:
            return Fault(operation, self._rng.choice(self._share_kinds), 0, self._share_options)
        return None
