"""TikTok Shop in memory behind real HTTP: the one class that holds everything together."""

import contextlib
import pickle
import random
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tiktok.sandbox.actions import Actions
from tiktok.sandbox.catalogue import demo_skus
from tiktok.sandbox.endpoints import HANDLERS
from tiktok.sandbox.orders import Order
from tiktok.sandbox.server import Rates, Server
from tiktok.sandbox.state import Answering, App, Clock, Faults, Json, Seller, Settings, Shop, World
from tiktok.sandbox.stream import KINDS, SHORT_HOLD, Stream, place
from tiktok.sandbox.webhooks import Webhooks

TICK_SECONDS = 0.1
STATE_VERSION = 1  # raise it when a dataclass of state.py or orders.py changes
AUTOSAVE_SECONDS = 3.0
SELLERS = (
    # name, region, shops
    ("Fig & Fleece", "US", ("Fig & Fleece",)),
    ("Harbor Goods", "US", ("Harbor Goods", "Harbor Outlet")),
    ("Thistle & Co", "GB", ("Thistle & Co",)),
)


class TikTokSandbox(Actions):
    """A strict stand-in for TikTok Shop.

    Its defaults are the hard ones; `easy=True` makes webhooks neither late nor doubled and lifts the rate
    limit. `settings`, `faults`, `webhooks`, `clock` are the knobs; `ledger` lists effects, `violations` every
    breach of the contract. `state_path` keeps the platform's memory between runs (saved every few seconds and
    at the stop).
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        app_key: str = "sandboxus1a2b",
        app_secret: str = "sandbox-us-secret",
        service_id: str = "7300000000000000001",
        redirect_url: str = "",
        hook_url: str = "",
        row_app_key: str = "sandboxrow3c4d",
        row_app_secret: str = "sandbox-row-secret",
        row_service_id: str = "7300000000000000002",
        hold_seconds: float = 3600,
        seed: int = 1,
        easy: bool = False,
        state_path: str | Path | None = None,
    ) -> None:
        self.apps = {
            "US": App("US", app_key, app_secret, service_id, redirect_url, hook_url),
            "ROW": App("ROW", row_app_key, row_app_secret, row_service_id, redirect_url, hook_url),
        }
        self.lock = threading.RLock()
        self.clock = Clock()
        self.settings = Settings(hold_seconds=hold_seconds)
        self.world = World(seed=seed, born=self.clock.seconds(), rng=random.Random(seed))
        self.faults = Faults(random.Random(seed + 1), HANDLERS)
        self.webhooks = Webhooks(self.clock, random.Random(seed + 2), self.violate)
        self.answering = Answering(self.lock)
        self.rates = Rates()
        self.calls: dict[str, int] = {}
        self._state_path = Path(state_path) if state_path else None
        self._server: Server | None = None
        self._host, self._port = host, port
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._stream: Stream | None = None
        for name, region, shops in SELLERS:
            self.add_seller(name=name, region=region, shops=list(shops))
        if easy:
            self.webhooks.late_or_doubled = 0.0
            self.settings.rate_per_second = 0.0
        if self._state_path and self._state_path.exists():
            self.load(self._state_path)
        self.clock.moved.append(self.tick)

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._port}"

    @property
    def ledger(self) -> list[Json]:
        return self.world.ledger

    @property
    def violations(self) -> list[Json]:
        return self.world.violations

    @property
    def orders(self) -> dict[str, Order]:
        return self.world.orders

    @property
    def sellers(self) -> list[Seller]:
        return self.world.sellers

    @property
    def shops(self) -> list[Shop]:
        return [shop for seller in self.world.sellers for shop in seller.shops]

    def start(self) -> Self:
        self._server = Server((self._host, self._port), self)
        self._port = self._server.server_address[1]
        serve = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._threads = [serve, threading.Thread(target=self._keep_time, daemon=True)]
        for thread in self._threads:
            thread.start()
        self.webhooks.start()
        return self

    def stop(self) -> None:
        self.stop_stream()
        self._over.set()
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server.close_connections()
        self.webhooks.stop()
        for thread in self._threads:
            thread.join(2)
        if self._state_path:
            self.dump(self._state_path)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait(self, seconds: float) -> bool:
        """Sleep unless the sandbox stops first (then False)."""
        return not self._over.wait(seconds)

    def violate(self, what: str, words: str) -> None:
        """Note a breach of the contract."""
        self.world.violations.append({"what": what, "words": words, "at": self.clock.now().isoformat()})

    def add_seller(self, name: str, region: str = "US", shops: list[str] | None = None) -> Json:
        """One more seller; open id and shop ids."""
        with self.lock:
            number = len(self.world.sellers)
            made = [
                self._shop(label, region, number * 10 + index) for index, label in enumerate(shops or [name])
            ]
            seller = Seller(f"7010736057180325{number:03d}", name, region, made)
            self.world.sellers.append(seller)
            return {"open_id": seller.open_id, "shop_ids": [shop.id for shop in made]}

    def stream(
        self,
        every: float = 20.0,
        mix: list[str] | None = None,
        shop_id: str = "",
        hold_seconds: float = SHORT_HOLD,
    ) -> None:
        """Place one order of each kind now (see stream.KINDS), then a plain one every so many seconds."""
        self.stop_stream()
        self._stream = Stream(self, shop_id, every, list(KINDS) if mix is None else mix, hold_seconds)
        self._stream.start()

    def place_kind(self, kind: str, shop_id: str = "", hold_seconds: float = SHORT_HOLD) -> str:
        """One order of a kind of stream.KINDS; its id."""
        return place(self, kind, shop_id=shop_id, hold_seconds=hold_seconds)

    def stop_stream(self) -> None:
        if self._stream:
            self._stream.end()
            self._stream = None

    def dump(self, path: str | Path) -> None:
        """Write the platform's memory, whole or not at all."""
        target = Path(path)
        with self.lock:
            saved = {"version": STATE_VERSION, "world": self.world, "offset": self.clock.offset}
            content = pickle.dumps(saved)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_suffix(".new")
        fresh.write_bytes(content)
        fresh.replace(target)

    def load(self, path: str | Path) -> None:
        """Read what dump() wrote; what another version wrote is left alone."""
        saved: dict[str, Any] = pickle.loads(Path(path).read_bytes())
        if saved["version"] != STATE_VERSION:
            return
        with self.lock:
            self.world = saved["world"]
            self.clock.offset = saved["offset"]

    def _keep_time(self) -> None:
        saved = time.monotonic()
        while not self._over.wait(TICK_SECONDS):
            self.tick()
            if self._state_path and time.monotonic() - saved > AUTOSAVE_SECONDS:
                saved = time.monotonic()
                with contextlib.suppress(OSError):
                    self.dump(self._state_path)

    def _shop(self, name: str, region: str, number: int) -> Shop:
        shop_id = f"749554073536577{7500 + number}"
        return Shop(
            id=shop_id,
            name=name,
            region=region,
            code=f"{region}LC{number:06d}",
            seller_type="LOCAL",
            warehouse_id=f"73918823456789{number:04d}0",
            delivery_option_id=f"70911466632296{number:04d}1",
            tiktok_delivery_option_id=f"70911466632296{number:04d}2",
            skus=demo_skus(shop_id),
        )
