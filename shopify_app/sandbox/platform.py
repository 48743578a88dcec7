"""Shopify without its front door: the shops, one lock over all of them, the clock, and what tests read."""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from shopify_app.sandbox.catalog import stock_up
from shopify_app.sandbox.clock import Agenda, Clock
from shopify_app.sandbox.faults import Faults
from shopify_app.sandbox.model import MetafieldDefinition, ShopRecord
from shopify_app.sandbox.orders import APP_NAMESPACE
from shopify_app.sandbox.settings import Settings, Span
from shopify_app.sandbox.shop import ShopState
from shopify_app.sandbox.webhooks import Deliverer, default_wanted, load_config, wanted_by_config

DEFAULT_SCOPES = ("read_products", "write_draft_orders", "write_orders", "read_fulfillments")
ENTRIES_OF_A_CALL = 100  # a thread that answers nobody would gather for ever
DEFAULT_CONFIG = {
    "order": {"metafields": {"app": {"tiktok_order_id": {"name": "TikTok Shop order id", "type": "id"}}}}
}
FIRST = {
    "Product": 50000000000001,
    "ProductVariant": 51000000000001,
    "InventoryItem": 52000000000001,
    "DraftOrder": 1100000000001,
    "DraftOrderLineItem": 1200000000001,
    "Order": 6200000000001,
    "LineItem": 9100000000001,
    "Fulfillment": 5300000000001,
    "FulfillmentLineItem": 5400000000001,
    "FulfillmentOrder": 7100000000001,
    "OrderTransaction": 9900000000001,
    "Shop": 91000000001,
}


class Ids:
    """Gids, each number once in the whole platform."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.last: dict[str, int] = {}

    def next(self, kind: str) -> str:
        return f"gid://shopify/{kind}/{self.number(kind)}"

    def number(self, kind: str) -> int:
        self.last[kind] = self.last.get(kind, FIRST.get(kind, 8000000000001) - 1) + 1
        return self.last[kind]

    def uuid(self, kind: str) -> str:
        return f"gid://shopify/{kind}/{uuid.UUID(int=self._random.getrandbits(128), version=4)}"


class Answering(threading.local):
    """What the call that this thread works on has written to the ledger: known as heard once its answer is out."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock  # the platform's: it saves the ledger too
        self.entries: deque[dict[str, Any]] = deque(maxlen=ENTRIES_OF_A_CALL)
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


class Platform:
    """`violations` lists every request that broke the contract, in words; `ledger` every effect."""

    def __init__(
        self,
        *,
        api_key: str,
        api_secret: str,
        app_url: str,
        hook_url: str | None = None,
        config: Path | Mapping[str, Any] | None = None,
        seed: int = 1,
        easy: bool = False,
    ) -> None:
        self.api_key = api_key
        self.api_secret = api_secret
        self.app_url = app_url.rstrip("/")
        self.lock = threading.RLock()
        self.clock = Clock()
        self.agenda = Agenda(self.clock)
        self.random = Random(seed)
        self.settings = Settings()
        if easy:
            self.settings.ease()
        self.ids = Ids(self.random)
        self.faults = Faults(Random(seed + 1))
        self.violations: list[dict[str, Any]] = []
        self.ledger: list[dict[str, Any]] = []
        self.answering = Answering(self.lock)
        self.mails: list[dict[str, Any]] = []
        self.shops: dict[str, ShopState] = {}
        self._config = load_config(config) if isinstance(config, Path) else dict(config or DEFAULT_CONFIG)
        wanted = wanted_by_config(self._config) or default_wanted()
        self.webhooks = Deliverer(self, wanted, self.app_url, hook_url)

    @property
    def app_scopes(self) -> tuple[str, ...]:
        """What the app's configuration asks for at installation."""
        asked = self._config.get("access_scopes", {})
        listed = asked.get("required_scopes") or asked.get("scopes", "").replace(" ", "").split(",")
        return tuple(s for s in listed if s) or DEFAULT_SCOPES

    def shop(self, domain: str) -> ShopState:
        """The shop of this myshopify domain; KeyError for an unknown one."""
        return self.shops[domain]

    def add_shop(
        self, domain: str, *, currencies: Iterable[str] = ("USD",), products: bool = True
    ) -> ShopState:
        """A new shop; its first currency is the shop's own. With the demo products unless told otherwise."""
        with self.lock:
            enabled = list(currencies)
            record = ShopRecord(
                domain=domain,
                number=self.ids.number("Shop"),
                name=domain.split(".", maxsplit=1)[0].replace("-", " ").title(),
                currency=enabled[0],
                currencies=enabled,
                definitions=self._definitions(),
            )
            shop = self.shops[domain] = ShopState(self, record)
            if products:
                stock_up(shop)
                self.settle_search()
            return shop

    def settle_search(self) -> None:
        """Search learns at once of everything so far, as if it had happened long ago."""
        for shop in self.shops.values():
            for index in shop.indexes.values():
                index.settle()

    def violation(self, words: str, *, operation: str = "", shop: str = "") -> None:
        with self.lock:
            entry = {"words": words, "operation": operation, "shop": shop, "at": self.clock.now().isoformat()}
            self.violations.append(entry)

    def search_lag(self, seconds: float | Span) -> None:
        self.settings.change(search_lag=seconds)

    def ready_after(self, seconds: float | Span) -> None:
        self.settings.change(ready_after=seconds)

    def _definitions(self) -> list[MetafieldDefinition]:
        """Metafields that the app's configuration declares, such as [order.metafields.app.tiktok_order_id]."""
        declared = self._config.get("order", {}).get("metafields", {}).get("app", {})
        return [
            MetafieldDefinition(
                id=self.ids.next("MetafieldDefinition"),
                namespace=APP_NAMESPACE,
                key=key,
                name=entry.get("name", key),
                type_name=entry["type"],
                owner_type="ORDER",
            )
            for key, entry in declared.items()
        ]
