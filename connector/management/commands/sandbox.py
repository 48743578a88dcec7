import signal
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand

from shopify_app.sandbox import DEMO_SHOP, ShopifySandbox
from shopify_app.sandbox.model import Order
from tiktok.sandbox import TikTokSandbox
from tiktok.sandbox.stream import NOTES

RETRY_SCALE = 0.02  # a demo waits seconds for a second delivery, not minutes
LOST_IDS = 1000  # after a kill the last seconds are forgotten; their ids must not be given out again
FIRST_PULL = "getOrderList"
PLANS = {NOTES["wrong_carrier"]: "wrong_carrier", NOTES["two_parcels"]: "split"}


class Command(BaseCommand):
    help = (
        "Both platforms on this machine, at the addresses that the settings name. The demo's warehouse ships."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--state", type=Path, help="folder that keeps the platforms' memory between runs")
        parser.add_argument("--shop", default=DEMO_SHOP, help="myshopify domain of the demo shop")
        parser.add_argument("--stream", type=float, default=0, help="a new order every so many seconds")
        parser.add_argument("--hold-seconds", type=float, default=3600, help="how long TikTok holds an order")

    def handle(self, *args: Any, **options: Any) -> None:
        over = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: over.set())
        tiktok = tiktok_sandbox(options["state"], options["hold_seconds"])
        shopify = shopify_sandbox(options["state"], options["shop"], tiktok.url)
        with tiktok, shopify:
            shopify.robot(lambda order: plan(tiktok, order))
            if options["stream"] and wait_for_the_first_pull(tiktok, over):
                tiktok.stream(every=options["stream"], hold_seconds=options["hold_seconds"])
            over.wait()


def wait_for_the_first_pull(tiktok: TikTokSandbox, over: threading.Event) -> bool:
    """Buyers come when the app listens: whatever was ordered before it was connected is not imported by itself."""
    while FIRST_PULL not in tiktok.calls and not over.wait(0.2):
        continue
    return not over.is_set()


def tiktok_sandbox(state: Path | None, hold_seconds: float) -> TikTokSandbox:
    app = settings.TIKTOK_APPS["US"]
    sandbox = TikTokSandbox(
        port=port_of(app["api_url"]),
        app_key=app["app_key"],
        app_secret=app["app_secret"],
        service_id=app["service_id"],
        redirect_url=f"{settings.APP_URL}/tiktok/callback",
        hook_url=f"{settings.APP_URL}/webhooks/tiktok",
        hold_seconds=hold_seconds,
        state_path=state / "tiktok.state" if state else None,
    )
    sandbox.world.counter += LOST_IDS
    sandbox.webhooks.retry_scale = RETRY_SCALE
    return sandbox


def shopify_sandbox(state: Path | None, shop: str, tiktok_url: str) -> ShopifySandbox:
    sandbox = ShopifySandbox(
        port=port_of(settings.SHOPIFY_ADMIN_URL),
        api_key=settings.SHOPIFY_API_KEY,
        api_secret=settings.SHOPIFY_API_SECRET,
        app_url=settings.APP_URL,
        app_handle=settings.SHOPIFY_APP_HANDLE,
        shops=[shop],
        state_path=state / "shopify.json" if state else None,
        tiktok_url=tiktok_url,
    )
    sandbox.ids.last = {kind: last + LOST_IDS for kind, last in sandbox.ids.last.items()}
    sandbox.webhooks.retry_scale = RETRY_SCALE
    return sandbox


def port_of(url: str) -> int:
    return urlsplit(url).port or 80


def plan(tiktok: TikTokSandbox, order: Order) -> str:
    """How the warehouse ships this order: the note on its TikTok order says so."""
    ids = (tag.removeprefix("tts-") for tag in order.tags if tag.startswith("tts-"))
    with tiktok.lock:
        found = next((tiktok.world.orders[id] for id in ids if id in tiktok.world.orders), None)
        return PLANS.get(found.seller_note, "plain") if found else "plain"
