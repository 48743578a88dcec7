"""A real Chromium on the stand-in admin, as fixtures: `admin` and what it needs; and what no page may fail at."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Frame, FrameLocator, Page, sync_playwright

from connector import jobs
from connector.launcher.chromium import ARGUMENTS, find
from connector.transport import session
from shopify_app.models import Shop
from shopify_app.sandbox import DEMO_SHOP, ShopifySandbox
from tests.planting import connect
from tests.world import point_settings
from tiktok.sandbox import TikTokSandbox

# npm package axe-core 4.10.3 (MPL-2.0), axe.min.js unchanged
AXE = (Path(__file__).parent / "contract" / "axe.min.js").read_text(encoding="utf-8")
SERIOUS = ("serious", "critical")

PATIENCE = 10_000  # ms; two cores shared with engines and sandboxes


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Playwright keeps an event loop in the tests' thread, where Django would otherwise refuse the database."""
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(executable_path=find(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def app_url(live_server):
    """The same site as the stand-in admin's: Chromium keeps the storage of a foreign site from its App Bridge."""
    return live_server.url.replace("localhost", "127.0.0.1")


@pytest.fixture
def tiktok(app_url):
    with TikTokSandbox(redirect_url=f"{app_url}/tiktok/callback", easy=True) as sandbox:
        yield sandbox


@pytest.fixture
def shopify(_understood_documents, app_url, settings, tiktok):
    keys = {"api_key": settings.SHOPIFY_API_KEY, "api_secret": settings.SHOPIFY_API_SECRET}
    with ShopifySandbox(**keys, app_url=app_url, tiktok_url=tiktok.url, easy=True) as sandbox:
        point_settings(settings, app_url, tiktok, sandbox)
        yield sandbox


@pytest.fixture
def shop(transactional_db, shopify):
    """The demo store, which has opened the app once."""
    return Shop.install(DEMO_SHOP, shopify.id_token(DEMO_SHOP), session())


@pytest.fixture
def connection(shop):
    return connect(shop, "7495000000000000001", "Fig & Fleece")


class Admin:
    """A browser tab on the stand-in admin, and the app in its frame. Everything the console says is kept."""

    def __init__(self, context: BrowserContext, shopify: ShopifySandbox) -> None:
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.shopify = shopify
        self.complaints: list[str] = []
        self.page.on("console", self.listen)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def listen(self, message) -> None:
        where = message.location.get("url", "")
        # TikTok's stand-in has none
        if message.type in ("error", "warning") and not where.endswith("/favicon.ico"):
            self.complaints.append(f"{message.text} {where}")

    def open(self, path: str = "/") -> FrameLocator:
        handle = DEMO_SHOP.removesuffix(".myshopify.com")
        self.page.goto(f"{self.shopify.url}/admin/store/{handle}/apps/{self.shopify.app_handle}{path}")
        return self.app

    @property
    def app(self) -> FrameLocator:
        return self.page.frame_locator("iframe")

    @property
    def frame(self) -> Frame:
        return next(frame for frame in self.page.frames if frame.parent_frame is not None)

    def look(self, tmp_path, name: str) -> None:
        self.page.screenshot(path=tmp_path / f"{name}.png")


@pytest.fixture
def admin(chromium, shopify, transactional_db):
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    tab = Admin(context, shopify)
    yield tab
    context.close()
    assert tab.complaints == []


def drain_until(shop: Shop, true, seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "nothing came of it"
        jobs.drain(shop.pk)
        time.sleep(0.05)


def assert_accessible(page: Page | Frame) -> None:
    """axe-core (WCAG A and AA, and its best practices) finds nothing serious in what is on the screen."""
    page.evaluate(AXE)  # not as a script element: the page's own policy would refuse it
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    serious = [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
        if node["impact"] in SERIOUS
    ]
    assert serious == []
