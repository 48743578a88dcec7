"""Shopify's Admin in memory, over real HTTP: a strict judge for tests, and the platform of the demo.

with ShopifySandbox(app_url="http://127.0.0.1:8000") as shopify:
    shop = shopify.shop(DEMO_SHOP)
    ... SHOPIFY_SHOP_URL is shopify.shop_url ...
    assert not shopify.violations
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from shopify_app.sandbox.engine import Engine, understood
from shopify_app.sandbox.frame import app_load_url
from shopify_app.sandbox.model import Order
from shopify_app.sandbox.platform import Platform
from shopify_app.sandbox.problems import UserErrors
from shopify_app.sandbox.robot import Robot
from shopify_app.sandbox.server import Server
from shopify_app.sandbox.shop import ShopState
from shopify_app.sandbox.storage import dump_platform, load_platform, read_state, write_state
from shopify_app.sandbox.tokens import session_token

__all__ = ["DEMO_SHOP", "ShopState", "ShopifySandbox", "UserErrors"]

DEMO_SHOP = "demo-outfitters.myshopify.com"
APP_CONFIG = Path(__file__).resolve().parents[2] / "shopify.app.toml"
SAVE_EVERY = 2.0


class ShopifySandbox(Platform):
    """A context manager; or `start()` and `stop()`. `port=0` takes a free one.

    `hook_url` is where configured webhooks go (default: their `uri` under `app_url`). `config` is the app's
    configuration, a path or parsed (default: shopify.app.toml of this project). `state_path` keeps the state between
    runs. `easy` turns off search lag, `ready` delay and webhook mishaps.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        api_key: str = "5b1c0de05b1c0de05b1c0de05b1c0de0",
        api_secret: str = "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",
        app_url: str = "http://127.0.0.1:8000",
        app_handle: str = "tiktok-shop-connector",
        hook_url: str | None = None,
        config: Path | Mapping[str, Any] | None = None,
        shops: Iterable[str] = (DEMO_SHOP,),
        seed: int = 1,
        easy: bool = False,
        state_path: Path | None = None,
        tiktok_url: str = "",
    ) -> None:
        if config is None and APP_CONFIG.exists():
            config = APP_CONFIG
        super().__init__(
            api_key=api_key,
            api_secret=api_secret,
            app_url=app_url,
            hook_url=hook_url,
            config=config,
            seed=seed,
            easy=easy,
        )
        self.app_handle = app_handle
        self.tiktok_url = tiktok_url.rstrip("/")
        self.engine = Engine()
        self.state_path = state_path
        self._seed = seed
        self._robot: Robot | None = None
        self._stopping = threading.Event()
        if state_path and state_path.exists():
            load_platform(self, read_state(state_path))
        for domain in shops:
            if domain not in self.shops:
                self.add_shop(domain)
        self._server = Server(host, port, self)
        self._threads = [threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)]
        if state_path:
            self._threads.append(threading.Thread(target=self._save_regularly, daemon=True))

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    @property
    def shop_url(self) -> str:
        """The value of SHOPIFY_SHOP_URL."""
        return f"{self.url}/shops/{{shop}}"

    @property
    def cdn_url(self) -> str:
        """The value of SHOPIFY_CDN_URL."""
        return f"{self.url}/cdn"

    def start(self) -> Self:
        # The first look at the schema takes seconds: before any call, not in it.
        understood("{ shop { id } }", "")
        self.agenda.start()
        self.webhooks.start()
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        self._stopping.set()
        if self._robot:
            self._robot.stop()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self.webhooks.stop()
        self.agenda.stop()
        for thread in self._threads:
            thread.join(timeout=5)
        self.save()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def id_token(self, domain: str = DEMO_SHOP, *, user: str = "42", lives: int = 60) -> str:
        """A session token as the admin would mint it for this shop and user."""
        return session_token(self.shop(domain), user=user, lives=lives)

    def app_load_url(
        self, domain: str = DEMO_SHOP, path: str = "/", query: dict[str, str] | None = None
    ) -> str:
        """Where the admin's frame points for this path of the app: what a browser test opens, or fetches."""
        with self.lock:
            return app_load_url(self, self.shop(domain), path, query)

    def robot(
        self, tiktok_notes: Callable[[Order], str | None] | None = None, *, after: float = 4.0
    ) -> Robot:
        """Start the demo warehouse: it ships finalized orders some seconds old, see `Robot`."""
        self._robot = Robot(self, tiktok_notes, after=after, seed=self._seed)
        self._robot.start()
        return self._robot

    def dump(self) -> dict[str, Any]:
        """The whole state as JSON-able data; webhooks under way are not part of it."""
        return dump_platform(self)

    def load(self, state: Mapping[str, Any]) -> None:
        load_platform(self, state)

    def save(self) -> None:
        if self.state_path:
            write_state(self.state_path, self.dump())

    def _save_regularly(self) -> None:
        saved = -1
        while not self._stopping.wait(SAVE_EVERY):
            if saved != len(self.ledger):
                saved = len(self.ledger)
                self.save()
