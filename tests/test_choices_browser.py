"""Products, carriers, settings and older orders in a real Chromium: what a merchant types, ticks and saves."""

import re

import pytest
from playwright.sync_api import expect

from connector.models import Connection, Order, SkuLink
from connector.states import OrderState
from shopify_app.sandbox import DEMO_SHOP
from tests.browsing import assert_accessible
from tests.planting import plant

pytestmark = pytest.mark.browser

PROVIDERS = [{"id": "71178", "name": "USPS"}, {"id": "71179", "name": "UPS"}]
PAGES = ("products", "carriers", "settings", "orders/older")


@pytest.fixture
def connection(connection):
    Connection.objects.update(providers=PROVIDERS)
    for i, (code, title) in enumerate(
        (("MUG-WHT", "Stoneware Mug"), ("DUP-1", "Everyday Tote"), ("NOWHERE", "Keyring"))
    ):
        SkuLink.objects.create(connection=connection, sku_id=f"17300000000{i}", seller_sku=code, title=title)
    plant(connection, "577000000000000123", OrderState.OFFERED, reason="older_than_connection")
    connection.refresh_from_db()
    return connection


def test_settings_are_saved_from_the_bar_and_refused_beside_the_field(admin, connection, tmp_path):
    app = admin.open("/settings")
    expect(app.get_by_role("heading", name="Settings", level=1)).to_be_visible()
    assert_accessible(admin.frame)
    tags = app.get_by_label("More tags")
    tags.fill("tts-mine")
    app.get_by_role("radio", name="What the buyer paid").check()
    admin.page.get_by_role("button", name="Save").first.click()
    expect(app.get_by_text("is a tag that this app sets and reads itself")).to_be_visible()
    assert_accessible(admin.frame)
    admin.look(tmp_path, "settings-refused")
    app.get_by_label("More tags").fill("social")
    expect(app.get_by_role("radio", name="What the buyer paid")).to_be_checked()
    admin.page.get_by_role("button", name="Save").first.click()
    expect(admin.page.get_by_text("Settings saved")).to_be_visible()
    connection.refresh_from_db()
    assert (connection.policy.extra_tags, connection.policy.money_mode) == (("social",), "buyer_paid")


def test_the_permission_for_a_payment_method_is_asked_for_in_the_page(admin, connection, shopify):
    app = admin.open("/settings")
    app.get_by_role("button", name="Allow").click()
    expect(app.get_by_role("button", name="Allow")).to_have_count(0)
    app.get_by_label("Payment method on the order").fill("TikTok Shop")
    app.get_by_role("button", name="Save").click()
    expect(admin.page.get_by_text("Settings saved")).to_be_visible()
    assert Connection.objects.get().policy.payment_method == "TikTok Shop"


def test_products_are_matched_searched_linked_and_imported(admin, connection, tmp_path):
    app = admin.open("/products")
    expect(app.get_by_text("Stoneware Mug")).to_be_visible()
    assert_accessible(admin.frame)
    app.get_by_role("link", name="Match by SKU").click()
    expect(app.get_by_role("checkbox", name="Stoneware Mug (MUG-WHT)")).to_be_checked()
    assert_accessible(admin.frame)
    admin.look(tmp_path, "match")
    app.get_by_role("button", name="Link the ticked ones").click()
    expect(admin.page.get_by_text("1 product linked.")).to_be_visible()
    app.get_by_role("link", name="Link Keyring NOWHERE").click()
    search = app.get_by_role("searchbox", name="Search your Shopify products")
    search.fill("white")
    search.press("Enter")
    app.get_by_role("button", name=re.compile("Link to White mug")).click()
    expect(admin.page.get_by_text(re.compile("Linked to White mug"))).to_be_visible()
    keyring = SkuLink.objects.get(seller_sku="NOWHERE")
    assert keyring.by_hand and keyring.variant_gid
    file = {
        "name": "links.csv",
        "mimeType": "text/csv",
        "buffer": b"seller_sku,shopify_sku\nNOBODY,CAP-NVY\n",
    }
    app.get_by_label("A CSV file").set_input_files([file])
    app.get_by_role("button", name="Import").click()
    expect(app.get_by_text("Line 2: TikTok lists no SKU")).to_be_visible()
    with admin.page.expect_download() as download:
        app.get_by_role("link", name="Export as CSV").click()
    assert download.value.suggested_filename == "tiktok-products.csv"


def test_a_carrier_is_chosen_and_a_number_tried(admin, connection):
    app = admin.open("/carriers")
    expect(app.get_by_role("heading", name="Carriers", level=1)).to_be_visible()
    assert_accessible(admin.frame)
    app.get_by_role("link", name="Choose a carrier for FedEx").click()
    expect(app.get_by_label("Carrier name in Shopify", exact=True)).to_have_value("FedEx")
    app.get_by_label("TikTok carrier").select_option("UPS")
    app.get_by_role("button", name="Save").click()
    expect(app.get_by_role("row", name=re.compile("FedEx"))).to_contain_text("your choice")
    app.get_by_role("textbox", name="Tracking number").fill("9400 1118 9922 3100 0019 84")
    app.get_by_role("button", name="Try").click()
    expect(app.get_by_text("the shape fits and the check digit holds").first).to_be_visible()


def test_an_older_order_is_ticked_and_imported(admin, connection):
    app = admin.open("/orders/older")
    app.get_by_role("button", name="Tick all").click()
    expect(app.get_by_role("checkbox", name="577000000000000123")).to_be_checked()
    assert_accessible(admin.frame)
    app.get_by_role("button", name="Import the ticked ones").click()
    expect(app.get_by_text("Nothing waits for your choice")).to_be_visible()
    assert Order.objects.get().chosen


def test_these_pages_fit_a_narrow_screen(chromium, shopify, connection, tmp_path):
    pk = SkuLink.objects.first().pk
    page = chromium.new_page(viewport={"width": 360, "height": 780})
    for path in (*PAGES, f"products/{pk}"):
        page.goto(shopify.app_load_url(DEMO_SHOP, f"/{path}"))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.screenshot(path=tmp_path / f"narrow-{path.replace('/', '-')}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
    page.close()
