"""The help page, and the file for a support request: everything that helps, nothing personal, no secret."""

import json
from datetime import timedelta

import pytest
from django.conf import settings as app_settings

from connector import bundle
from connector.models import Connection, Order
from connector.states import OrderState
from tests.planting import connect, plant
from tests.shopify_script import make_shop
from tests.visits import Visitor, text
from tiktok.models import Shop as TikTokShop


@pytest.fixture
def shop(db):
    return make_shop(timezone="America/New_York", currency="USD")


@pytest.fixture
def connection(shop):
    return connect(shop, "7495000000000000001", "Fig & Fleece")


@pytest.fixture
def visitor(shop):
    return Visitor(shop.domain)


def test_help_says_how_mail_addresses_are_handled_and_where_tiktok_s_rules_are(connection, visitor):
    response = visitor.open("/help")
    page, source = text(response), response.content.decode()
    assert "We never put it on an order and create no customer" in page
    for domain in ("chat.seller.tiktok.com", "chat-seller-us.tiktok.com", "scs.tiktokw.us"):
        assert domain in page
    assert 'href="https://seller-us.tiktok.com/university/essay?knowledge_id=8064131472115499"' in source
    assert 'href="https://seller-us.tiktok.com"' in source


def test_what_is_not_sent_to_tiktok_is_said_before_connecting_and_in_the_help(shop, visitor):
    said = "Stock, products, prices and refunds are not sent to TikTok."
    assert said in text(visitor.open("/"))
    help = text(visitor.open("/help"))
    assert said in help and "A refund in Shopify pays nobody back at TikTok" in help


def test_a_shop_of_a_country_that_we_know_no_seller_center_of_has_tiktoks_general_one(connection, visitor):
    TikTokShop.objects.update(region="DE")
    order = plant(connection, "577000000000000123")
    assert 'href="https://seller.tiktokglobalshop.com"' in visitor.open("/help").content.decode()
    page = visitor.open(f"/orders/{order.pk}").content.decode()
    assert 'href="https://seller.tiktokglobalshop.com/order/detail?order_no=577000000000000123"' in page


def test_times_are_the_settings_own_and_no_window_is_promised(connection, visitor, settings):
    settings.TRACKING_EDIT_WINDOW = timedelta(hours=48)
    page = text(visitor.open("/help"))
    assert "within 48 hours" in page
    assert "30 days" not in page and "30-day" not in page


def test_the_support_address_comes_from_the_environment(connection, visitor, settings):
    assert "Ask whoever runs this app for you" in text(visitor.open("/help"))
    settings.SUPPORT_EMAIL = "help@example.com"
    assert 'href="mailto:help@example.com"' in visitor.open("/help").content.decode()


def test_help_is_there_before_anything_is_connected(shop, visitor):
    assert visitor.open("/help").status_code == 200
    assert json.loads(visitor.fetch("/help/diagnostics.json").content)["connections"] == []


def test_the_file_tells_versions_health_counts_and_last_errors(connection, visitor):
    plant(connection, "577000000000000001", OrderState.RECEIVED, reason="sku_unmapped")
    plant(connection, "577000000000000002", OrderState.ON_HOLD)
    Order.objects.filter(state=OrderState.ON_HOLD).update(
        last_error="TikTok 36009002: too many requests", attempts=3
    )
    response = visitor.fetch("/help/diagnostics.json")
    told = json.loads(response.content)
    assert response["Content-Disposition"].startswith('attachment; filename="tiktok-connector-')
    assert told["versions"]["django"].startswith("5.2")
    assert told["orders_by_state"] == {"on_hold": 1, "received": 1}
    assert told["waiting"] == {"sku_unmapped": 1}
    (error,) = told["last_errors"]["Order"]
    assert (error["error"], error["attempts"]) == ("TikTok 36009002: too many requests", 3)
    (one,) = told["connections"]
    assert (one["tiktok_shop"], one["health"], one["setup"]["tiktok"]) == (
        "7495000000000000001",
        "still",
        "later",
    )


def test_no_secret_and_no_user_is_in_the_file(connection, shop, visitor):
    Connection.objects.update(connected_by="user-4711")
    told = visitor.fetch("/help/diagnostics.json").content.decode()
    secrets = [
        app_settings.SECRET_KEY,
        app_settings.SHOPIFY_API_SECRET,
        app_settings.DATABASES["default"]["NAME"],
    ]
    secrets += [app["app_secret"] for app in app_settings.TIKTOK_APPS.values()]
    secrets += [shop.access_token, shop.refresh_token, "user-4711"]
    assert not [secret for secret in secrets if secret and secret in told]


def test_no_setting_that_could_be_a_secret_is_told():
    words = ("KEY", "SECRET", "TOKEN", "DSN", "DATABASE", "REDIS")
    assert not [name for name in bundle.TOLD if any(word in name for word in words)]


def test_another_shop_s_rows_are_not_in_the_file(connection, visitor):
    theirs = connect(make_shop(domain="other-store.myshopify.com"), "7495000000000000002", "Harbor Goods")
    plant(theirs, "577000000000000777", OrderState.RECEIVED, reason="sku_unmapped")
    told = json.loads(visitor.fetch("/help/diagnostics.json").content)
    assert told["orders_by_state"] == {} and len(told["connections"]) == 1


def test_nobody_gets_the_file_without_a_token(client, connection):
    assert client.get("/help/diagnostics.json").status_code == 302
    assert client.get("/help/diagnostics.json", headers={"Authorization": "Bearer no"}).status_code == 401
