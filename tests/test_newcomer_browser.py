"""A merchant who has read nothing: from the first look at the app to a parcel that goes on, one story."""

import pytest
from playwright.sync_api import expect

from connector.models import Connection, Order
from connector.states import OrderState
from shopify_app.sandbox import DEMO_SHOP
from tests.browsing import drain_until

pytestmark = pytest.mark.browser


def test_a_newcomer_finds_the_way_from_connecting_to_a_parcel_that_goes_on(admin, tiktok, shopify):
    connection = connect(admin)
    tiktok_id = an_order_that_waits_is_found_and_understood(admin, tiktok, connection)
    its_product_is_linked_and_it_goes_on(admin, connection, tiktok_id)
    its_carrier_is_chosen_and_the_parcel_goes_on(admin, tiktok, shopify, connection, tiktok_id)
    the_proof_counts_it_and_a_setting_is_changed(admin, connection, tiktok_id)


def connect(admin) -> Connection:
    app = admin.open()
    app.get_by_role("link", name="Connect a US TikTok Shop").click()
    admin.page.get_by_role("link", name="Approve", exact=True).first.click()
    app.get_by_role("button", name="Connect").click()
    expect(app.get_by_text("What happens next:")).to_be_visible()
    connection = Connection.objects.get()
    drain_until(connection.shop, lambda: Connection.objects.get().providers_read_at is not None)
    app.get_by_role("link", name="See the orders").click()
    expect(app.get_by_text("No orders yet.")).to_be_visible()
    return connection


def an_order_that_waits_is_found_and_understood(admin, tiktok, connection) -> str:
    tiktok_id = tiktok.place_order(lines=[("TT-ONLY-7", 1)])
    drain_until(connection.shop, lambda: Order.objects.filter(reason="sku_unmapped").exists())
    app = admin.app
    search = app.get_by_role("searchbox", name="Find an order")
    search.fill(tiktok_id)
    search.press("Enter")
    app.get_by_role("link", name=tiktok_id).click()
    expect(app.get_by_role("heading", name=f"Order {tiktok_id}")).to_be_visible()
    expect(app.get_by_text("No Shopify variant carries the SKU of this TikTok product").first).to_be_visible()
    return tiktok_id


def its_product_is_linked_and_it_goes_on(admin, connection, tiktok_id) -> None:
    app = admin.app
    app.get_by_role("link", name="Link TikTok Exclusive Keyring", exact=True).click()
    app.get_by_role("link", name="Link TikTok Exclusive Keyring TT-ONLY-7").click()
    search = app.get_by_role("searchbox", name="Search your Shopify products")
    search.fill("navy")
    search.press("Enter")
    app.get_by_role("button", name="Link to Navy cap").click()
    expect(admin.page.get_by_text("Linked to Navy cap")).to_be_visible()
    drain_until(connection.shop, lambda: Order.objects.get().state == OrderState.ON_HOLD)
    admin.open(f"/orders?find={tiktok_id}")
    expect(app.get_by_role("row").filter(has_text=tiktok_id)).to_contain_text("On hold")


def its_carrier_is_chosen_and_the_parcel_goes_on(admin, tiktok, shopify, connection, tiktok_id) -> None:
    app = admin.app
    tiktok.release(tiktok_id)
    drain_until(connection.shop, lambda: Order.objects.get().state == OrderState.FINALIZED)
    shopify.shop(DEMO_SHOP).fulfill(Order.objects.get().order_gid, None, "Sendle", ["9400111899223100001984"])
    drain_until(connection.shop, lambda: Order.objects.get().parcels.exclude(reason="").exists())
    app.get_by_role("link", name=tiktok_id).click()
    app.get_by_role("link", name="Link the carrier").click()
    expect(app.get_by_label("Carrier name in Shopify", exact=True)).to_have_value("Sendle")
    app.get_by_label("TikTok carrier").select_option("USPS")
    app.get_by_role("button", name="Save").click()
    expect(admin.page.get_by_text("Sendle means USPS now.")).to_be_visible()
    drain_until(connection.shop, lambda: Order.objects.get().state == OrderState.SHIPPED)


def the_proof_counts_it_and_a_setting_is_changed(admin, connection, tiktok_id) -> None:
    app = admin.open("/proof")
    expect(app.get_by_role("row").filter(has_text=tiktok_id)).to_contain_text("Shipped")
    app = admin.open("/settings")
    app.get_by_label("More tags").fill("social")
    admin.page.get_by_role("button", name="Save").first.click()
    expect(admin.page.get_by_text("Settings saved")).to_be_visible()
    connection.refresh_from_db()
    assert connection.policy.extra_tags == ("social",)
