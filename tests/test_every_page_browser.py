"""Every page in a real Chromium, in the frame of the stand-in admin, at both widths: what none of them may fail at."""

from datetime import timedelta

import pytest
from django.urls import URLPattern
from django.utils import timezone
from playwright.sync_api import Frame, expect

from connector.models import Connection, Order, SkuLink
from connector.states import OrderState
from connector.urls import urlpatterns
from tests.browsing import PATIENCE, Admin, assert_accessible
from tests.planting import plant
from tests.test_order_pages_browser import rich

pytestmark = pytest.mark.browser

WIDTHS = (1280, 360)
# Routes that show no page of their own: machines, fragments of a page, actions, files, and the way from TikTok.
PAGELESS = {
    *("shopify-webhook", "tiktok-webhook", None),
    *(
        "standing",
        "setup-guide",
        "fold-guide",
        "check-setup",
        "comparison",
        "compare",
        "rows",
        "order-live",
        "consents",
    ),
    *(
        "choose-many",
        "choose",
        "choose-parcel",
        "decide-older",
        "read-products",
        "import-products",
        "unlink-product",
    ),
    *(
        "link-carrier",
        "scopes",
        "resume",
        "pause",
        "unpause",
        "diagnostics",
        "export-orders",
        "export-products",
    ),
    *("tiktok-callback", "session-token"),
}


@pytest.fixture
def pages(connection) -> dict[str, str]:
    """The path of each page, by its route, with something of every kind on it."""
    order = rich(connection)
    many(connection)
    sku = SkuLink.objects.create(
        connection=connection, sku_id="1730284011031922996", seller_sku="NOWHERE", title="Keyring"
    )
    Connection.objects.update(
        providers=[{"id": "7117858858072016686", "name": "UPS"}, {"id": "2", "name": "USPS"}],
        products_read_at=timezone.now(),
    )
    return {
        "home": "/",
        "orders": "/orders",
        "order": f"/orders/{order.pk}",
        "correct": f"/parcels/{order.parcels.get().pk}/correct",
        "older-orders": "/orders/older",
        "products": "/products",
        "match-products": "/products/match",
        "link-product": f"/products/{sku.pk}",
        "carriers": "/carriers?company=Sendle",
        "try-number": "/carriers/try?number=9400111899223100001984",
        "settings": "/settings",
        "proof": "/proof",
        "connections": "/connections",
        "disconnect": f"/connections/{connection.pk}/disconnect",
        "tiktok-confirm": "/tiktok/confirm?ticket=ABCD-EFGH",
        "help": "/help",
    }


def many(connection) -> None:
    now = timezone.now()
    long = {
        "reason": "sku_unmapped",
        "detail": {"lines": ["Heavy Cotton Tee in a very long title without end"]},
    }
    plant(connection, "577120098711193311", OrderState.RECEIVED, placed_at=now, **long)
    plant(connection, "577120098711193312", OrderState.OFFERED, placed_at=now, reason="older_than_connection")
    plant(connection, "577120098711193313", OrderState.SKIPPED, placed_at=now, reason="tiktok_ships")
    late = plant(connection, "577120098711193314", OrderState.FINALIZED, placed_at=now)
    Order.objects.filter(pk=late.pk).update(
        ship_by_at=now - timedelta(hours=1), tiktok_status="AWAITING_SHIPMENT"
    )


def test_every_route_is_a_page_that_is_walked_or_has_none(pages):
    routes = {route.name for route in urlpatterns if isinstance(route, URLPattern)}
    assert routes == pages.keys() | PAGELESS


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_fits_is_accessible_and_says_nothing_to_the_console(admin, pages, width):
    """The console would hold every error of a script and every breach of the content policy (see `admin`)."""
    admin.page.set_viewport_size({"width": width, "height": 780})
    for path in (*pages.values(), "/orders?find=4711", "/orders?show=attention"):
        app = admin.open(path + "#app-only")
        expect(app.get_by_role("heading", level=1)).to_be_visible()
        expect(app.locator("s-page")).to_have_js_property("shadowRoot.mode", "open", timeout=PATIENCE)
        assert sideways(admin.frame) == [], path
        assert_accessible(admin.frame)


def sideways(frame: Frame) -> list[str]:
    """What would have to be scrolled sideways to be read; a row of tabs may be: the keyboard brings them into view."""
    return frame.evaluate(
        """() => {
            const wide = (e) => e.scrollWidth > e.clientWidth + 1;
            const found = wide(document.documentElement) ? ["the page"] : [];
            const walk = (root) => { for (const e of root.querySelectorAll("*")) {
                if (e.shadowRoot) walk(e.shadowRoot);
                if (["auto", "scroll"].includes(getComputedStyle(e).overflowX) && wide(e) && !e.matches(".tabs, pre"))
                    found.push(`${e.localName}.${e.className} ${e.scrollWidth} > ${e.clientWidth}`);
            } };
            walk(document);
            return found;
        }"""
    )


def test_a_phone_shows_the_list_with_every_value_named_and_every_action_in_reach(admin: Admin, pages):
    admin.page.set_viewport_size({"width": 360, "height": 780})
    app = admin.open("/orders#app-only")
    row = app.get_by_role("row").filter(has_text="577120098711193304")
    button = row.get_by_role("button", name="Look again")
    button.scroll_into_view_if_needed()
    box = button.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 360
    shown = row.get_by_role("cell").filter(has_text="1Z410E7W0392751592").last
    label = shown.evaluate("cell => getComputedStyle(cell, '::before').content")
    assert label == '"Tracking"'


def test_the_orders_are_worked_on_with_the_keyboard_alone(admin: Admin, connection):
    """Tab to an order, open it, tab to its action, run it; and at each stop one sees where one is."""
    order = plant(connection, "577000000000000123", OrderState.FINALIZED, order_name="#1001")
    app = admin.open("/orders#app-only")
    expect(app.get_by_role("link", name=order.tiktok_id)).to_be_visible()
    admin.frame.evaluate("document.body.tabIndex = -1, document.body.focus()")
    tab_to(admin, f"order-{order.pk}")
    admin.page.keyboard.press("Enter")
    expect(app.get_by_role("heading", name=f"Order {order.tiktok_id}")).to_be_visible()
    tab_to(admin, "look")
    admin.page.keyboard.press("Enter")
    expect(admin.page.get_by_text(f"Looking at order {order.tiktok_id} now")).to_be_visible()
    order.refresh_from_db()
    assert order.due_at is not None


def tab_to(admin: Admin, wanted: str, most: int = 60) -> None:
    for _ in range(most):
        admin.page.keyboard.press("Tab")
        here = admin.frame.evaluate("document.activeElement.id")
        assert admin.frame.evaluate(OUTLINED), f"nothing shows that the focus is on {here}"
        if here == wanted:
            return
    raise AssertionError(f"{wanted} is not within {most} tabs")


OUTLINED = """() => {
    let here = document.activeElement;
    while (here.shadowRoot?.activeElement) here = here.shadowRoot.activeElement;
    return here === document.body || getComputedStyle(here).outlineStyle !== "none";
}"""
