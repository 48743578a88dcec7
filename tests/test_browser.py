"""The app in a real Chromium, inside the stand-in admin: what a merchant clicks, sees and types."""

import re
import time

import pytest
from browsing import assert_accessible, drain_until
from playwright.sync_api import Page, expect

from connector.models import Connection, Order
from connector.states import OrderState
from shopify_app.sandbox import DEMO_SHOP
from tests.planting import plant
from tests.visits import session_token

pytestmark = pytest.mark.browser

# ---- from nothing to the first order -------------------------------------------------------------------------------


def test_a_merchant_connects_tiktok_and_sees_an_order_arrive_without_touching_anything(
    admin, tiktok, tmp_path
):
    app = admin.open()
    expect(app.get_by_role("heading", name="Connect your TikTok Shop")).to_be_visible()
    admin.look(tmp_path, "1-welcome")
    assert_accessible(admin.frame)

    app.get_by_role("link", name="Connect a US TikTok Shop").click()
    admin.page.get_by_role("link", name="Approve", exact=True).first.click()
    expect(app.get_by_role("heading", name="Is this the right TikTok Shop?")).to_be_visible()
    assert "/tiktok/confirm" in admin.page.url
    expect(app.get_by_text("Fig & Fleece").first).to_be_visible()
    admin.look(tmp_path, "2-confirm")
    assert_accessible(admin.frame)

    app.get_by_role("button", name="Connect").click()
    expect(app.get_by_text("What happens next:")).to_be_visible()
    admin.look(tmp_path, "3-connected")
    assert_accessible(admin.frame)
    connection = Connection.objects.get()
    drain_until(connection.shop, lambda: Connection.objects.get().tiktok_pulled_at is not None)

    app.get_by_role("link", name="See the orders").click()
    expect(app.get_by_text("No orders yet.")).to_be_visible()
    admin.look(tmp_path, "4-empty")
    tiktok_id = tiktok.place_order(shop_id=connection.tiktok_shop.shop_id)
    drain_until(connection.shop, lambda: Order.objects.filter(state=OrderState.ON_HOLD).exists())
    expect(app.get_by_role("link", name=tiktok_id)).to_be_visible()
    expect(app.get_by_role("row", name=re.compile(tiktok_id))).to_contain_text("On hold")
    admin.look(tmp_path, "5-first-order")
    assert [
        v for v in tiktok.violations if v["what"] != "/favicon.ico"
    ] == []  # that one is Chromium's own wish
    assert admin.shopify.violations == []


def test_a_refusal_leads_back_into_the_admin(admin):
    app = admin.open()
    app.get_by_role("link", name="Connect a US TikTok Shop").click()
    admin.page.get_by_role("link", name="Refuse").first.click()
    expect(admin.page.get_by_role("heading", name="TikTok was not connected")).to_be_visible()
    assert_accessible(admin.page)
    admin.page.get_by_role("link", name="Back to Shopify").click()
    expect(app.get_by_role("heading", name="Connect your TikTok Shop")).to_be_visible()


def test_a_connection_begun_at_tiktok_is_claimed_in_the_admin(admin, tmp_path):
    app = admin.open()
    app.get_by_role("link", name="Connect a US TikTok Shop").click()
    admin.page.get_by_role("link", name="Approve without state (App Store)").first.click()
    ticket = admin.page.locator(".ticket").inner_text()
    admin.look(tmp_path, "claim")
    assert_accessible(admin.page)
    app = admin.open()
    app.get_by_label("Claim a TikTok connection").fill(ticket)
    app.get_by_role("button", name="Claim").click()
    expect(app.get_by_text("Fig & Fleece").first).to_be_visible()


# ---- at work -------------------------------------------------------------------------------------------------------


def test_look_again_by_keyboard_says_so_and_keeps_the_focus(admin, connection):
    order = plant(connection, "577000000000000123")
    app = admin.open("/orders")
    button = app.get_by_role("button", name="Look again at order 577000000000000123")
    button.focus()
    button.press("Enter")
    expect(admin.page.get_by_text("Looking at order 577000000000000123 now")).to_be_visible()
    Order.objects.filter(pk=order.pk).update(draft_name="#D777")
    expect(app.get_by_role("link", name="Draft #D777")).to_be_visible()
    assert admin.frame.evaluate("document.activeElement.id") == f"look-{order.pk}"


def test_the_list_stays_where_it_was_scrolled_to_while_it_changes(admin, connection):
    for i in range(40):
        plant(connection, f"5770000000000001{i:02}")
    app = admin.open("/orders")
    last = app.get_by_role("link", name="577000000000000100")
    last.scroll_into_view_if_needed()
    before = admin.frame.evaluate("scrollY")
    assert before > 300
    Order.objects.filter(tiktok_id="577000000000000100").update(draft_name="#D777")
    expect(app.get_by_role("link", name="Draft #D777")).to_be_visible()
    assert admin.frame.evaluate("scrollY") == before


def test_filters_and_search_live_in_the_address_and_back_works(admin, connection):
    plant(connection, "577000000000000001", OrderState.ON_HOLD)
    plant(connection, "577000000000000002", OrderState.FINALIZED, order_name="#1001")
    app = admin.open("/orders")
    app.get_by_role("link", name="To ship").click()
    expect(app.get_by_text("577000000000000001")).to_have_count(0)
    assert admin.frame.url.endswith("/orders?show=ship") and "id_token" not in admin.frame.url
    search = app.get_by_role("searchbox", name="Find an order")
    search.fill("577000000000000001")
    search.press("Enter")
    expect(app.get_by_text("577000000000000001", exact=True)).to_be_visible()
    expect(app.get_by_text("577000000000000002")).to_have_count(0)
    admin.frame.evaluate("history.back()")
    expect(app.get_by_text("577000000000000002", exact=True)).to_be_visible()
    expect(app.get_by_text("577000000000000001")).to_have_count(0)


def test_a_navigation_without_a_token_comes_back_through_the_patch_page(admin, connection):
    app = admin.open("/orders")
    expect(app.get_by_role("heading", name="TikTok Shop orders")).to_be_visible()
    admin.frame.evaluate("location.assign('/connections')")
    expect(app.get_by_role("heading", name="Connections")).to_be_visible()
    expect(app.get_by_text("Connected", exact=True)).to_be_visible()


def test_a_token_that_expired_during_work_is_renewed_unnoticed(admin, connection):
    order = plant(connection, "577000000000000123")
    app = admin.open("/orders")
    button = app.get_by_role("button", name="Look again at order 577000000000000123")
    expect(button).to_be_visible()
    stale = session_token(DEMO_SHOP, exp=int(time.time()) - 60)
    refused = []

    def with_stale_token(route):
        if refused:
            return route.continue_()
        refused.append(route.request.url)
        return route.continue_(headers=route.request.headers | {"authorization": f"Bearer {stale}"})

    admin.page.route("**/look-again", with_stale_token)
    button.click()
    expect(admin.page.get_by_text("Looking at order 577000000000000123 now")).to_be_visible()
    order.refresh_from_db()
    assert refused and order.due_at is not None
    # the browser's own note of it
    admin.complaints = [words for words in admin.complaints if "401" not in words]


def test_disconnecting_is_a_question_first(admin, connection, tmp_path):
    plant(connection, "577000000000000123")
    app = admin.open("/connections")
    app.get_by_role("link", name="Disconnect").click()
    expect(app.get_by_text("1 draft order is on hold")).to_be_visible()
    admin.look(tmp_path, "disconnect")
    assert_accessible(admin.frame)
    app.get_by_role("radio", name="Delete from Shopify").check()
    app.get_by_role("button", name="Disconnect").click()
    expect(app.get_by_text("Disconnected", exact=True)).to_be_visible()
    assert Connection.objects.get().settings["held_drafts"] == "delete"


# ---- other screens, slow and missing scripts -----------------------------------------------------------------------


def everything(connection):
    """One order of each look, and the notices above them."""
    from connector.models import Parcel

    plant(
        connection,
        "577120098711193301",
        OrderState.RECEIVED,
        reason="sku_unmapped",
        detail={"lines": ["MUG-BLU"]},
    )
    plant(connection, "577120098711193302", OrderState.ON_HOLD)
    shipped = plant(connection, "577120098711193303", OrderState.SHIPPED)
    to_ship = plant(connection, "577120098711193304", OrderState.FINALIZED)
    plant(connection, "577120098711193305", OrderState.CANCELLED)
    plant(connection, "577120098711193306", OrderState.SKIPPED, reason="tiktok_ships")
    plant(connection, "577120098711193307", OrderState.OFFERED, reason="older_than_connection")
    number = {"shop": connection.shop, "provider_name": "USPS"}
    Parcel.objects.create(
        order=shipped, fulfillment_gid="gid://1", number="9400111899223100001984", state="accepted", **number
    )
    Parcel.objects.create(
        order=to_ship,
        fulfillment_gid="gid://2",
        number="9400111899223100001985",
        reason="number_invalid",
        **number,
    )


def test_a_narrow_screen_scrolls_down_and_not_sideways(chromium, shopify, connection, tmp_path):
    everything(connection)
    page = chromium.new_page(viewport={"width": 360, "height": 780})
    for name, path in (("orders", "/orders"), ("connections", "/connections")):
        page.goto(shopify.app_load_url(DEMO_SHOP, path))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.screenshot(path=tmp_path / f"narrow-{name}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert_accessible(page)
    page.close()


def test_the_list_is_calm_with_every_kind_of_row(admin, connection, tmp_path):
    everything(connection)
    connection.pause("tiktok_access_lost", "TikTok 105002: the access token has expired")
    app = admin.open("/orders")
    expect(app.get_by_role("link", name="577120098711193301")).to_be_visible()
    shifts = admin.frame.evaluate(
        """() => new Promise(done => { let sum = 0;
            new PerformanceObserver(list => { for (const e of list.getEntries()) sum += e.value; })
              .observe({ type: 'layout-shift', buffered: true });
            setTimeout(() => done(sum), 2500); })"""
    )
    assert shifts <= 0.02
    admin.page.get_by_role("button", name="Sandbox panel").click()
    admin.look(tmp_path, "orders")


def test_without_shopify_s_scripts_the_page_can_still_be_read(chromium, shopify, connection, tmp_path):
    everything(connection)
    page = chromium.new_page(viewport={"width": 1200, "height": 900})
    page.route("**/cdn/*", lambda route: route.abort())
    page.goto(shopify.app_load_url(DEMO_SHOP, "/orders"))
    for words in (
        "577120098711193304",
        "The tracking number is not valid",
        "To ship",
        "9400111899223100001985",
    ):
        expect(page.get_by_text(words).first).to_be_visible()
    page.screenshot(path=tmp_path / "without-scripts.png")
    page.close()


def test_a_slow_polaris_keeps_nobody_from_reading(chromium, shopify, connection):
    plant(connection, "577000000000000123")
    page: Page = chromium.new_page()
    slow = []

    def keep_waiting(route):
        slow.append(route)

    page.route("**/cdn/polaris.js", keep_waiting)
    page.goto(shopify.app_load_url(DEMO_SHOP, "/orders"), wait_until="domcontentloaded")
    expect(page.get_by_text("577000000000000123", exact=True)).to_be_visible()
    assert len(slow) == 1
    slow[0].continue_()
    expect(page.get_by_role("searchbox", name="Find an order")).to_be_visible()
    page.close()


def test_nobody_else_may_frame_the_app(chromium, shopify, connection):
    """A page of another origin holds the frame; Chromium shows its own error page instead of ours."""
    page = chromium.new_page()
    address = shopify.app_load_url(DEMO_SHOP, "/orders")
    page.route(
        "**/framing",
        lambda route: route.fulfill(content_type="text/html", body=f'<iframe src="{address}"></iframe>'),
    )
    page.goto(shopify.url.replace("127.0.0.1", "localhost") + "/framing")
    assert [frame.url for frame in page.frames[1:]] == ["chrome-error://chromewebdata/"]
    page.close()
