"""Both platforms over real HTTP and one connected shop, driven step by step. Fixtures: `world`, `hard_world`.

Time passes in two places at once: the sandboxes' clocks go forward, and the times that our rows have planted move
back by as much. Nothing of ours is patched.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.db.models import DateTimeField, F
from django.utils import timezone

import shopify_app.client
from connector import jobs
from connector.models import Connection, Order, Parcel, SkuLink
from connector.transport import session
from shopify_app.models import Shop
from shopify_app.sandbox import DEMO_SHOP, ShopifySandbox
from shopify_app.sandbox.engine import Engine
from tiktok import client as tiktok_client
from tiktok import oauth
from tiktok.models import Seller
from tiktok.sandbox import TikTokSandbox
from tiktok.sandbox.orders import order_json

SOON = timedelta(seconds=2.5)  # a row due sooner is waited for; later ones are another `pass_time`
ROWS = tuple(jobs.STEPS)


@dataclass
class World:
    tiktok: TikTokSandbox
    shopify: ShopifySandbox
    shop: Shop
    connection: Connection

    @property
    def store(self) -> Any:
        return self.shopify.shop(DEMO_SHOP)

    def settle(self, seconds: float = 20) -> None:
        """Drain until nothing is due soon and nothing is on its way to us."""
        end, quiet = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            for shop_id in Shop.objects.values_list("pk", flat=True):
                jobs.drain(shop_id)
            quiet = 0 if self.restless() else quiet + 1
            if quiet == 2:
                return
            time.sleep(0.03)
        raise AssertionError(f"still restless after {seconds} s: {self.restless()}")

    def restless(self) -> list[str]:
        soon = timezone.now() + SOON
        quiet = {
            "tiktok": self.tiktok.webhooks.settle(5),
            "shopify": self.shopify.webhooks.wait_until_quiet(5),
        }
        hooks = [name for name, is_quiet in quiet.items() if not is_quiet]
        return hooks + [row.ref for model in ROWS for row in model.objects.filter(due_at__lte=soon)[:3]]

    def pass_time(self, seconds: float) -> None:
        """Let time go by, for the platforms and for us."""
        self.tiktok.clock.advance(seconds)
        self.shopify.clock.advance(seconds)
        for model in (*ROWS, Shop, Seller, SkuLink):
            columns = [f.name for f in model._meta.concrete_fields if isinstance(f, DateTimeField)]
            by = timedelta(seconds=seconds)
            model.objects.update(**{name: F(name) - by for name in columns})

    def after(self, seconds: float) -> None:
        self.pass_time(seconds)
        self.settle()

    def release_hold(self) -> None:
        self.after(3601)

    def order(self, tiktok_id: str) -> Order:
        return Order.objects.get(tiktok_id=tiktok_id)

    def placed(self, **facts: Any) -> Order:
        """A TikTok order, as far as it goes by itself now."""
        tiktok_id = self.tiktok.place_order(**facts)
        self.settle()
        return self.order(tiktok_id)

    def finalized(self, **facts: Any) -> Order:
        tiktok_id = self.placed(**facts).tiktok_id
        self.release_hold()
        return self.order(tiktok_id)

    def parcel(self, order: Order) -> Parcel:
        return Parcel.objects.get(order=order)

    def answers_once(self, tiktok_id: str, **fields: Any) -> None:
        """TikTok's next answer about the order has these fields instead of its own; None leaves one out."""
        order = self.tiktok.world.orders[tiktok_id]
        told = order_json(order, style="starred", now=self.tiktok.clock.seconds(), detail=True) | fields
        answer = {"orders": [{name: value for name, value in told.items() if value is not None}]}
        self.tiktok.faults.add("get_order", "error", code=0, message="Success", data=answer)

    def set_policy(self, **policy: Any) -> None:
        Connection.objects.filter(pk=self.connection.pk).update(settings=policy)

    def tiktok_effects(self, what: str) -> list[dict[str, Any]]:
        return [entry for entry in self.tiktok.ledger if entry["what"] == what]

    def shopify_effects(self, what: str) -> list[dict[str, Any]]:
        return [entry for entry in self.shopify.ledger if entry["what"] == what]


@pytest.fixture(scope="session")
def _understood_documents() -> None:
    """The first look at the schema takes a second; no test's deadline is to be measured with it."""
    for operation in vars(shopify_app.client).values():
        if isinstance(operation, shopify_app.client.Operation):
            Engine().understand(operation.text)


@pytest.fixture
def worlds(
    _understood_documents: None, transactional_db: None, live_server: Any, settings: Any
) -> Iterator[Callable[..., World]]:
    running: list[Any] = []

    def build(*, easy: bool = True, other_connector: str = "") -> World:
        tiktok = TikTokSandbox(redirect_url=f"{live_server.url}/tiktok/callback", easy=easy).start()
        shopify = ShopifySandbox(
            api_key=settings.SHOPIFY_API_KEY,
            api_secret=settings.SHOPIFY_API_SECRET,
            app_url=live_server.url,
            easy=easy,
        ).start()
        running.extend([tiktok, shopify])
        point_settings(settings, live_server.url, tiktok, shopify)
        if other_connector:
            store = shopify.shop(DEMO_SHOP)
            variant = store.variant("MUG-WHT").id
            draft = store.create_draft(
                lineItems=[{"variantId": variant, "quantity": 1}], tags=[other_connector]
            )
            store.complete_draft(draft.id)
        return connected(tiktok, shopify)

    yield build
    broken = [violation for sandbox in running for violation in sandbox.violations]
    for sandbox in running:
        sandbox.stop()
    database.close()
    assert broken == []


@pytest.fixture(autouse=True)
def _no_step_may_break(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """`run` lets no exception out; a test must not pass over one all the same."""
    yield
    broken = [r.exc_text for r in caplog.get_records("call") if r.name == "connector.work" and r.exc_info]
    assert broken == []


@pytest.fixture
def world(worlds: Callable[..., World]) -> World:
    return worlds()


@pytest.fixture
def hard_world(worlds: Callable[..., World]) -> World:
    """With the sandboxes' own defaults: lagging search, drafts that take their time, late and doubled webhooks."""
    return worlds(easy=False)


def point_settings(settings: Any, app_url: str, tiktok: TikTokSandbox, shopify: ShopifySandbox) -> None:
    app = tiktok.apps["US"]
    settings.APP_URL = app_url
    settings.SHOPIFY_SHOP_URL = shopify.shop_url
    settings.SHOPIFY_ADMIN_URL = f"{shopify.url}/admin"
    settings.SHOPIFY_CDN_URL = shopify.cdn_url
    settings.TIKTOK_APPS = {
        "US": {
            "app_key": app.app_key,
            "app_secret": app.app_secret,
            "service_id": app.service_id,
            "api_url": tiktok.url,
            "auth_url": tiktok.url,
            "consent_url": f"{tiktok.url}/open/authorize",
        }
    }


def connected(tiktok: TikTokSandbox, shopify: ShopifySandbox) -> World:
    shop = Shop.install(DEMO_SHOP, shopify.id_token(), session())
    code = tiktok.consent(state="-").split("code=")[1].split("&")[0]
    grant = oauth.exchange("US", code, session())
    shops = tiktok_client.get_shops("US", grant.access_token, session())
    seller = Seller.connect("US", grant, shops)
    connection = Connection.objects.create(shop=shop, tiktok_shop=seller.shops.get(), due_at=timezone.now())
    world = World(tiktok, shopify, shop, connection)
    world.settle()
    connection.refresh_from_db()
    return world
