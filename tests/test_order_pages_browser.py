"""The list of orders and an order's page in a real Chromium: what a merchant clicks, chooses, corrects and keeps."""

import csv
from datetime import timedelta
from decimal import Decimal

import pytest
from browsing import assert_accessible
from django.utils import timezone
from playwright.sync_api import expect

from connector.models import Order, OrderLine, Parcel, SkuLink
from connector.states import OrderState
from tests.planting import plant
from tests.test_proof import multiply

pytestmark = pytest.mark.browser
NARROW = {"width": 360, "height": 780}
MISTYPED, UPS = "1Z410E7W0392751592", "1Z410E7W0392751591"
MONEY = {
    "currency": "USD",
    "amounts": {
        "sub_total": "54.00",
        "shipping_fee": "3.99",
        "original_total_product_price": "64.00",
        "seller_discount": "6.00",
        "platform_discount": "4.00",
        "tax": "4.64",
        "retail_delivery_fee": "0.28",
        "total_amount": "62.91",
    },
    "unexplained": "0",
    "lines": [
        {
            "id": str(i),
            "sku_id": sku,
            "seller_sku": f"{sku}-M",
            "title": title,
            "sale_price": "18.00",
            "platform_discount": discount,
            "seller_discount": "2.00",
            "is_gift": False,
            "cancelled": False,
        }
        for i, (sku, title, discount) in enumerate(
            [
                ("TEE-BLK", "Heavy Cotton Tee - Black", "2.00"),
                ("TEE-BLK", "Heavy Cotton Tee - Black", "2.00"),
                ("MUG-WHT", "Stoneware Mug", "0.00"),
            ]
        )
    ],
}


def rich(connection) -> Order:
    """An order with everything that its page can show."""
    now = timezone.now()
    order = plant(
        connection,
        "577120098711193304",
        OrderState.FINALIZED,
        order_name="#1001",
        money=MONEY,
        expected_total=Decimal("61.99"),
        tiktok_status="AWAITING_SHIPMENT",
        kinds=["pre-order"],
        paid_at=now - timedelta(days=1),
        ship_by_at=now + timedelta(hours=7),
        hand_over_by_at=now + timedelta(hours=31),
        ship_due_at=now + timedelta(days=4),
        delivery_due_at=now + timedelta(days=9),
    )
    for line in MONEY["lines"]:
        price = Decimal(line["sale_price"]) + Decimal(line["platform_discount"])
        facts = {name: line[name] for name in ("sku_id", "seller_sku", "title")}
        OrderLine.objects.create(order=order, tiktok_line_id=line["id"], price=price, **facts)
    SkuLink.objects.create(
        connection=connection,
        sku_id="TEE-BLK",
        variant_gid="gid://1",
        variant_title="Heavy Cotton Tee Black / M",
    )
    parcel = Parcel.objects.create(
        shop=order.shop,
        order=order,
        fulfillment_gid="gid://shopify/Fulfillment/1",
        fulfillment_name="#1001-F1",
        company="United Parcel Service",
        number=MISTYPED,
        provider_id="7117858858072016686",
        provider_name="UPS",
        resolved_by="alias",
        verdict="block",
        reason="number_invalid",
        detail={"number": MISTYPED, "carrier": "UPS", "what": "check_digit", "belongs_to": []},
    )
    OrderLine.objects.filter(order=order).update(parcel=parcel)
    order.log.create(
        what="wrote",
        call="draftOrderCreate",
        detail={"draft": "gid://shopify/DraftOrder/77", "total": "61.99"},
    )
    order.log.create(what="moved", old="received", new="on_hold")
    order.log.create(what="moved", old="on_hold", new="finalized")
    order.log.create(
        what="asked", old="waiting", new="waiting", parcel=parcel, reason=parcel.reason, detail=parcel.detail
    )
    order.log.create(what="chose", call="look again", by="42")
    return order


def test_an_order_is_understood_and_its_number_corrected_from_its_own_page(admin, connection, tmp_path):
    order = rich(connection)
    connection.providers = [{"id": "7117858858072016686", "name": "UPS"}, {"id": "2", "name": "USPS"}]
    connection.save()
    app = admin.open("/orders")
    app.get_by_role("link", name=order.tiktok_id).click()
    expect(app.get_by_role("heading", name=f"Order {order.tiktok_id}")).to_be_visible()
    expect(app.get_by_text("The tracking number is not valid").first).to_be_visible()
    assert_accessible(admin.frame)
    admin.page.get_by_role("button", name="Sandbox panel").click()
    admin.page.screenshot(path=tmp_path / "order.png")

    app.get_by_role("link", name="Correct carrier or number").click()
    expect(app.get_by_role("heading", name="Correct carrier or number")).to_be_visible()
    assert_accessible(admin.frame)
    field = app.get_by_role("textbox", name="Tracking number")
    field.fill("1Z410E7W0392751593")
    app.get_by_role("button", name="Send to TikTok").click()
    expect(app.get_by_text("The tracking number is not valid").first).to_be_visible()
    admin.page.screenshot(path=tmp_path / "correct.png")
    app.get_by_role("textbox", name="Tracking number").fill(UPS)
    app.get_by_role("button", name="Send to TikTok").click()
    expect(app.get_by_text("Corrected the number or the carrier")).to_be_visible()
    assert list(order.parcels.order_by("pk").values_list("number", "state")) == [
        (MISTYPED, "replaced"),
        (UPS, "waiting"),
    ]


def test_the_page_of_an_order_fits_a_phone(chromium, shopify, connection, tmp_path):
    order = rich(connection)
    page = chromium.new_page(viewport=NARROW)
    for name, path in (
        ("order", f"/orders/{order.pk}"),
        ("correct", f"/parcels/{order.parcels.get().pk}/correct"),
        ("list", "/orders"),
    ):
        page.goto(shopify.app_load_url(order.shop.domain, path))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.screenshot(path=tmp_path / f"narrow-{name}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert_accessible(page)
    page.close()


def test_keeping_an_order_out_is_a_question_that_the_refresh_leaves_alone(admin, connection):
    order = plant(connection, "577120098711193301")
    app = admin.open(f"/orders/{order.pk}")
    app.get_by_role("button", name="Keep out of Shopify").click()
    expect(app.get_by_role("heading", name="Keep this order out of Shopify?")).to_be_visible()
    Order.objects.filter(pk=order.pk).update(draft_name="#D777")
    admin.page.wait_for_timeout(2500)
    app.get_by_role("button", name="Keep it out").click()
    expect(admin.page.get_by_text(f"Order {order.tiktok_id} is kept out of Shopify")).to_be_visible()
    order.refresh_from_db()
    assert order.skip
    expect(app.get_by_role("link", name="Draft #D777")).to_be_visible()


@pytest.mark.parametrize(
    ("reason", "ask", "do", "said", "fact"),
    [
        ("draft_edited", "Put the draft back", "Put it back", "The draft of order {} is put back", "restore"),
        (
            "destination_unsupported",
            "Complete it anyway",
            "Complete it",
            "Order {} will be completed",
            "anyway",
        ),
    ],
)
def test_what_only_a_person_may_decide_about_a_draft_is_asked_twice(
    admin, connection, tmp_path, reason, ask, do, said, fact
):
    order = plant(connection, "577000000000000124", OrderState.ON_HOLD, reason=reason)
    app = admin.open(f"/orders/{order.pk}")
    app.get_by_role("button", name=ask).click()
    expect(app.get_by_role("button", name=do, exact=True)).to_be_visible()
    assert_accessible(admin.frame)
    admin.look(tmp_path, reason)
    app.get_by_role("button", name=do, exact=True).click()
    expect(admin.page.get_by_text(said.format(order.tiktok_id))).to_be_visible()
    order.refresh_from_db()
    assert getattr(order, fact)
    assert order.log.get().what == "chose"


def test_many_orders_are_chosen_while_the_list_refreshes_under_them(admin, connection, tmp_path):
    orders = [plant(connection, f"57712009871119330{i}") for i in range(4)]
    app = admin.open("/orders")
    for order in orders[:2]:
        app.get_by_role("checkbox", name=f"Choose order {order.tiktok_id}").check()
    Order.objects.filter(pk=orders[3].pk).update(draft_name="#D777")
    expect(app.get_by_role("link", name="Draft #D777")).to_be_visible()
    expect(app.get_by_role("region", name="Chosen orders")).to_contain_text("Chosen: 2")
    expect(app.get_by_role("checkbox", name=f"Choose order {orders[0].tiktok_id}")).to_be_checked()
    assert_accessible(admin.frame)
    admin.look(tmp_path, "chosen")
    app.get_by_role("region", name="Chosen orders").get_by_role("button", name="Keep out of Shopify").click()
    app.get_by_role("button", name="Keep them out").click()
    expect(admin.page.get_by_text("2 orders are kept out.")).to_be_visible()
    assert list(Order.objects.order_by("tiktok_id").values_list("skip", flat=True)) == [
        True,
        True,
        False,
        False,
    ]


def test_ten_thousand_orders_are_paged_gone_back_in_and_searched(admin, connection):
    last = timezone.now()
    model = plant(
        connection,
        "578000000000000000",
        OrderState.COMPLETED,
        placed_at=last,
        order_gid="gid://shopify/Order/1",
    )
    later = {
        "tiktok_id": "'5771' || lpad(i::text, 14, '0')",
        "order_gid": "'gid://shopify/Order/5' || i",
        "placed_at": "model.placed_at - i * interval '1 minute'",
    }
    multiply(model, 10_000, later)
    app = admin.open("/orders")
    expect(app.get_by_text("577100000000000049", exact=True)).to_be_visible()
    app.get_by_role("link", name="Older orders").click()
    expect(app.get_by_text("577100000000000050", exact=True)).to_be_visible()
    expect(app.get_by_text("577100000000000049", exact=True)).to_have_count(0)
    admin.frame.evaluate("history.back()")
    expect(app.get_by_text("577100000000000049", exact=True)).to_be_visible()
    search = app.get_by_role("searchbox", name="Find an order")
    search.fill("577100000000009999")
    search.press("Enter")
    expect(app.get_by_text("577100000000009999", exact=True)).to_be_visible()
    expect(app.get_by_text("577100000000000049", exact=True)).to_have_count(0)


def test_the_list_is_kept_as_a_file(admin, connection, tmp_path):
    rich(connection)
    app = admin.open("/orders?show=ship")
    with admin.page.expect_download() as download:
        app.get_by_role("link", name="Export as CSV").click()
    assert download.value.suggested_filename == "tiktok-shop-orders.csv"
    rows = list(csv.DictReader(download.value.path().read_text().splitlines()))
    assert [(row["tiktok_order_id"], row["goods"]) for row in rows] == [
        ("577120098711193304", "1 x MUG-WHT-M, 2 x TEE-BLK-M")
    ]


def test_diagnostics_are_copied(admin, connection):
    order = rich(connection)
    admin.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    app = admin.open(f"/orders/{order.pk}")
    app.get_by_role("button", name="Copy diagnostics").click()
    expect(admin.page.get_by_text("Copied")).to_be_visible()
    copied = admin.page.evaluate("navigator.clipboard.readText()")
    assert "tiktok_id: 577120098711193304" in copied and "number: 1Z410E7W0392751592" in copied
