"""python -m bench.pictures: every page at both widths, in the stand-in admin of a shop at work, into docs/pictures/.

Then the same pages once more with a clock: how soon they stand, how still, and how soon they answer.
"""

import base64
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from bench import vitals
from bench.demo import MISTYPED, NEW_STORE, NOT_IN_SHOPIFY, STORE, Demo, shop_at_work
from bench.figures import as_text
from connector.launcher import chromium
from connector.launcher.stack import PROJECT
from shopify_app.sandbox import ShopifySandbox

FOLDER = PROJECT / "docs" / "pictures"
WIDTHS = {"wide": 1280, "narrow": 360}
LOWEST, HIGHEST = 640, 1500  # a picture is as high as its page, within these
QUALITY = 55  # of WebP: text stays sharp, the whole folder small


@dataclass(frozen=True, slots=True)
class Picture:
    name: str
    path: str
    store: str = STORE


def main() -> int:
    with shop_at_work() as demo:
        wanted = list(pictures(demo))  # now: Playwright's event loop would keep Django from the database
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium.find(), args=chromium.ARGUMENTS)
            made = take_all(browser, demo.ground.shopify, wanted)
            demo.ground.stop_workers()  # what is felt is the page's, not that of work beside it
            felt = vitals.measure(browser, addresses(demo), next(p.path for p in wanted if p.name == "order"))
            browser.close()
    size = sum(picture.stat().st_size for picture in made)
    print(as_text([felt]))
    print(f"{len(made)} pictures, {size / 1e6:.2f} MB, in {FOLDER.relative_to(PROJECT)}")
    return 0


def take_all(browser: Browser, shopify: ShopifySandbox, wanted: Sequence[Picture]) -> list[Path]:
    made = []
    for width_name, width in WIDTHS.items():
        page = browser.new_page(viewport={"width": width, "height": LOWEST})
        for picture in wanted:
            open_in_admin(page, shopify, picture, width)
            made.append(take(page, FOLDER / f"{picture.name}-{width_name}.webp", width))
        page.close()
    return made


def pictures(demo: Demo) -> Iterator[Picture]:
    """Every page, in the order of the menu; the shop that is not connected shows how one begins."""
    from connector.models import Connection, Order, SkuLink

    connection = Connection.objects.get()
    rows = {name: Order.objects.get(tiktok_id=tiktok_id) for name, tiktok_id in demo.orders.items()}
    parcel = rows["mistyped"].parcels.get(number=MISTYPED)
    sku = SkuLink.objects.get(seller_sku=NOT_IN_SHOPIFY)
    yield Picture("home", "/")
    yield Picture("orders", "/orders")
    yield Picture("orders-asking", "/orders?show=attention")
    yield Picture("orders-none", "/orders?find=4711")
    yield Picture("order", f"/orders/{rows['mistyped'].pk}")
    yield Picture("order-waiting", f"/orders/{rows['unlinked'].pk}")
    yield Picture("order-held", f"/orders/{rows['held'].pk}")
    yield Picture("order-shipped", f"/orders/{rows['parcels'].pk}")
    yield Picture("correct", f"/parcels/{parcel.pk}/correct")
    yield Picture("older", "/orders/older")
    yield Picture("products", "/products")
    yield Picture("product", f"/products/{sku.pk}?find=mug")
    yield Picture("match", "/products/match")
    yield Picture("carriers", "/carriers")
    yield Picture("settings", "/settings")
    yield Picture("proof", "/proof")
    yield Picture("connections", "/connections")
    yield Picture("disconnect", f"/connections/{connection.pk}/disconnect")
    yield Picture("help", "/help")
    yield Picture("not-found", "/orders/999999")
    yield Picture("welcome", "/", NEW_STORE)


def addresses(demo: Demo) -> Callable[[str], str]:
    handle, shopify = STORE.removesuffix(".myshopify.com"), demo.ground.shopify
    return lambda path: f"{shopify.url}/admin/store/{handle}/apps/{shopify.app_handle}{path}#app-only"


def open_in_admin(page: Page, shopify: ShopifySandbox, picture: Picture, width: int) -> None:
    handle = picture.store.removesuffix(".myshopify.com")
    page.set_viewport_size({"width": width, "height": LOWEST})
    page.goto(f"{shopify.url}/admin/store/{handle}/apps/{shopify.app_handle}{picture.path}#app-only")
    expect(page.frame_locator("iframe").get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_load_state("networkidle")


def take(page: Page, target: Path, width: int) -> Path:
    """WebP from the browser itself, as high as the page in the frame."""
    around = page.locator("iframe").bounding_box()
    inside = page.frame_locator("iframe").locator("#page").evaluate("page => page.scrollHeight")
    height = min(max(int(inside + (around["y"] if around else 0)), LOWEST), HIGHEST)
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_timeout(300)  # what follows the new height
    session = page.context.new_cdp_session(page)
    shot = session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    session.detach()
    target.write_bytes(base64.b64decode(shot["data"]))
    return target


if __name__ == "__main__":
    sys.exit(main())
