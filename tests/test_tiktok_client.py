"""The calls to TikTok, over real HTTP to a scripted server."""

import logging
import socket
import traceback
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
import requests
from django.utils import timezone
from scripted import ScriptedServer

from tiktok import client, errors, oauth, signing
from tiktok.client import Client
from tiktok.errors import AccessLost, Busy, Rejected, ShippingFault, TokenExpired, Unavailable, WrongShop
from tiktok.models import Seller, Shop, seal
from tiktok.records import ExternalLine, ExternalOrder, Tracking
from tiktok.sandbox import TikTokSandbox

ORDER = "577120098711193302"
LINES = ["577120098711200011", "577120098711200012"]
USPS = Tracking("9400111899223100001984", "7117858858072016686")
UPS = Tracking("1Z410E7W0392751591", "7117859084333745966")
TOKEN = "TTP_access-token-of-the-seller"


@pytest.fixture
def tiktok(settings):
    with ScriptedServer() as server:
        settings.TIKTOK_APPS = {
            "US": {
                "app_key": "us-key",
                "app_secret": "us-secret",
                "service_id": "7001",
                "api_url": server.url,
                "auth_url": server.url,
                "consent_url": "https://services.example.com/open/authorize",
            }
        }
        yield server


@pytest.fixture
def http():
    with requests.Session() as session:
        yield session


@pytest.fixture
def shop():
    now = timezone.now()
    seller = Seller(
        app="US",
        open_id="open-1",
        access_token_sealed=seal(TOKEN),
        access_expires_at=now + timedelta(days=7),
        refresh_token_sealed=seal("refresh"),
        refresh_expires_at=now + timedelta(days=365),
        granted_at=now,
    )
    return Shop(seller=seller, shop_id="7495540735365777507", cipher="ROW_cipher-of-the-shop")


@pytest.fixture
def calls(tiktok, shop, http):
    return Client(shop, http)


def test_a_read_is_signed_with_the_decoded_query(tiktok, calls):
    tiktok.will_say({"orders": [{"id": ORDER}]})
    assert calls.get_order(ORDER).id == ORDER
    asked = tiktok.asked[0]
    assert (asked.method, asked.path, asked.body) == ("GET", "/order/202507/orders", b"")
    assert asked.query["sign"] == signing.sign("us-secret", asked.path, asked.query, b"", "application/json")
    assert asked.query["shop_cipher"] == "ROW_cipher-of-the-shop"
    assert abs(int(asked.query["timestamp"]) - timezone.now().timestamp()) < 5
    assert asked.headers["x-tts-access-token"] == TOKEN
    assert "access_token" not in asked.query


def test_the_bytes_that_were_signed_are_the_bytes_that_are_sent(tiktok, calls):
    tiktok.will_say({})
    calls.set_webhook("PACKAGE_UPDATE", "https://connector.example.com/webhooks/tiktok?à=é")
    asked = tiktok.asked[0]
    assert (asked.method, asked.path) == ("PUT", "/event/202309/webhooks")
    assert asked.headers["Content-Type"] == "application/json"
    expected = signing.sign("us-secret", asked.path, asked.query, asked.body, "application/json")
    assert asked.query["sign"] == expected
    assert asked.json["address"].endswith("?à=é")


def test_shops_are_read_without_a_cipher(tiktok, http):
    tiktok.will_say({"shops": [{"id": "1", "name": "Socks", "region": "US", "cipher": "ROW_c"}]})
    shops = client.get_shops("US", TOKEN, http)
    assert [(shop.id, shop.region, shop.cipher) for shop in shops] == [("1", "US", "ROW_c")]
    assert "ROW_c" not in repr(shops)
    assert "shop_cipher" not in tiktok.asked[0].query
    assert (
        "c" not in repr(shops[0]).replace("cipher", "").replace("code", "").split("name=")[0].split("id")[0]
    )


def test_ids_are_joined_by_commas_fifty_a_call(tiktok, calls):
    ids = [str(10**17 + number) for number in range(51)]
    tiktok.will_say({"orders": [{"id": order_id} for order_id in ids[:50]]})
    tiktok.will_say({"orders": [{"id": ids[50]}]})
    assert [order.id for order in calls.get_orders([*ids, ids[0]])] == ids
    assert tiktok.asked[0].query["ids"] == ",".join(ids[:50])
    assert tiktok.asked[1].query["ids"] == ids[50]


def test_no_ids_make_no_call(tiktok, calls):
    assert calls.get_orders([]) == []
    assert tiktok.asked == []


def test_an_order_that_tiktok_does_not_know_is_none(tiktok, calls):
    tiktok.will_say({"orders": []})
    assert calls.get_order(ORDER) is None
    tiktok.will_say(None)
    assert calls.get_order(ORDER) is None


def test_orders_are_searched_by_update_time_oldest_first(tiktok, calls):
    tiktok.will_say({"orders": [{"id": ORDER}], "next_page_token": "p2", "total_count": 101})
    start = datetime(2026, 11, 21, 12, 0, 0, 500000, tzinfo=UTC)
    found = calls.search_orders(start, start + timedelta(hours=1), page_token="p1", status="ON_HOLD")
    assert (found.orders[0].id, found.next_page_token, found.total_count) == (ORDER, "p2", 101)
    asked = tiktok.asked[0]
    assert asked.path == "/order/202309/orders/search"
    wanted = {"sort_field": "update_time", "sort_order": "ASC", "page_size": "100", "page_token": "p1"}
    assert wanted.items() <= asked.query.items()
    assert asked.json == {
        "update_time_ge": 1795262400,
        "update_time_lt": 1795266001,
        "order_status": "ON_HOLD",
    }


def test_the_first_page_names_no_token_and_no_upper_end(tiktok, calls):
    tiktok.will_say({"orders": None, "next_page_token": None})
    found = calls.search_orders(datetime(2026, 11, 21, tzinfo=UTC))
    assert (found.orders, found.next_page_token, found.total_count) == ((), "", 0)
    assert "page_token" not in tiktok.asked[0].query
    assert list(tiktok.asked[0].json) == ["update_time_ge"]


def test_shipping_speaks_202309_by_default(tiktok, calls, settings):
    settings.TIKTOK_SHIP_VERSION = "202309"
    tiktok.will_say({"order_id": ORDER, "package_id": "11", "warning": {"message": "no provider matches"}})
    shipped = calls.ship(ORDER, LINES, [USPS, UPS])
    assert (shipped.package_id, shipped.warning) == ("11", "no provider matches")
    assert shipped.numbers == (USPS.number,)
    asked = tiktok.asked[0]
    assert asked.path == f"/fulfillment/202309/orders/{ORDER}/packages"
    assert asked.json == {
        "order_line_item_ids": LINES,
        "tracking_number": USPS.number,
        "shipping_provider_id": USPS.provider_id,
    }


def test_shipping_in_202610_names_lines_and_numbers_in_lists(tiktok, calls, settings):
    settings.TIKTOK_SHIP_VERSION = "202610"
    tiktok.will_say({"package_id": "11"})
    shipped = calls.ship(ORDER, LINES, [USPS, UPS])
    assert (shipped.warning, shipped.numbers) == ("", (USPS.number, UPS.number))
    assert tiktok.asked[0].path == f"/fulfillment/202610/orders/{ORDER}/packages"
    assert tiktok.asked[0].json == {
        "order_line_list": [{"order_line_id": line} for line in LINES],
        "shipping_info_list": [
            {"tracking_number": USPS.number, "shipping_provider_id": USPS.provider_id},
            {"tracking_number": UPS.number, "shipping_provider_id": UPS.provider_id},
        ],
    }


@pytest.mark.parametrize(("first", "then"), [("202309", "202610"), ("202610", "202309")])
def test_a_retired_version_gives_way_to_the_other(tiktok, calls, settings, first, then):
    settings.TIKTOK_SHIP_VERSION = first
    tiktok.will_say(code=36009014, message="api version retired")
    tiktok.will_say({"package_id": "11"})
    assert calls.ship(ORDER, LINES, [USPS]).package_id == "11"
    assert [asked.path.split("/")[2] for asked in tiktok.asked] == [first, then]


def test_two_retired_versions_are_a_rejection(tiktok, calls):
    for _ in range(2):
        tiktok.will_say(code=36009014, message="api version retired")
    with pytest.raises(Rejected):
        calls.ship(ORDER, LINES, [USPS])


def test_an_unsplit_order_is_corrected_by_its_id(tiktok, calls):
    tiktok.will_say({})
    calls.correct_tracking(ORDER, "11", False, UPS)
    assert tiktok.asked[0].path == f"/fulfillment/202309/orders/{ORDER}/shipping_info/update"
    assert tiktok.asked[0].json["tracking_number"] == UPS.number


@pytest.mark.parametrize("version", ["202309", "202610"])
def test_one_of_several_packages_is_corrected_by_the_packages_id(tiktok, calls, settings, version):
    settings.TIKTOK_SHIP_VERSION = version
    tiktok.will_say(None)
    calls.correct_tracking(ORDER, "11", True, UPS)
    assert tiktok.asked[0].path == f"/fulfillment/{version}/packages/11/shipping_info/update"
    body = tiktok.asked[0].json
    assert (body.get("shipping_info_list") or [body])[0]["tracking_number"] == UPS.number


def test_providers_are_asked_for_by_delivery_option_and_regions(tiktok, calls):
    tiktok.will_say({"shipping_providers": [{"id": "7117858858072016686", "name": "USPS"}]})
    providers = calls.get_providers("7091146663229654785", "US", "US")
    assert [(provider.id, provider.name) for provider in providers] == [(USPS.provider_id, "USPS")]
    asked = tiktok.asked[0]
    assert asked.path == "/logistics/202309/delivery_options/7091146663229654785/shipping_providers"
    assert (asked.query["warehouse_region"], asked.query["buyer_region"]) == ("US", "US")


def test_scans_are_read_with_their_milliseconds(tiktok, calls):
    scan = {"description": "Left with Jane", "tracking_no": "", "update_time_millis": 1795262400500}
    tiktok.will_say(
        {"logistics_details": [{"newest_tracking_no": "1Z", "carrier_name": "UPS", "track_list": [scan]}]}
    )
    (event,) = calls.get_tracking(ORDER)
    assert (event.number, event.carrier) == ("1Z", "UPS")
    assert event.at == datetime(2026, 11, 21, 12, 0, 0, 500000, tzinfo=UTC)
    assert "Jane" not in repr(event)


def test_warehouses_are_read_without_the_people_in_them(tiktok, calls):
    address = {"region_code": "US", "contact_person": "Jane Doe"}
    warehouse = {"id": "1", "name": "East", "type": "SALES_WAREHOUSE", "effect_status": "ENABLED"}
    tiktok.will_say({"warehouses": [warehouse | {"is_default": True, "address": address}]})
    (found,) = calls.get_warehouses()
    assert (found.id, found.status, found.is_default, found.region) == ("1", "ENABLED", True, "US")
    assert "Jane" not in repr(found)


def test_a_good_batch_can_hold_refusals(tiktok, calls):
    refused = {"code": "11", "message": "order not found", "detail": {"order_id": ORDER}}
    tiktok.will_say({"errors": [refused]})
    order = ExternalOrder(ORDER, "6001", (ExternalLine("9001", LINES[0]),))
    (error,) = calls.set_external_orders([order])
    assert (error.order_id, error.code, error.message) == (ORDER, "11", "order not found")
    external = {"id": "6001", "platform": "SHOPIFY", "line_items": [{"id": "9001", "origin_id": LINES[0]}]}
    assert tiktok.asked[0].json == {"orders": [{"id": ORDER, "external_order": external}]}


def test_attached_orders_are_read_back(tiktok, calls):
    lines = [{"id": "9001", "origin_id": LINES[0]}]
    tiktok.will_say({"external_orders": [{"id": "6001", "platform": "SHOPIFY", "line_items": lines}]})
    assert calls.get_external_orders(ORDER) == [
        ExternalOrder(ORDER, "6001", (ExternalLine("9001", LINES[0]),))
    ]
    assert tiktok.asked[0].query["platform"] == "SHOPIFY"


def test_webhook_addresses_are_read_and_deleted_with_a_signed_body(tiktok, calls):
    tiktok.will_say(
        {"webhooks": [{"event_type": "PACKAGE_UPDATE", "address": "https://a", "update_time": 1795262400500}]}
    )
    tiktok.will_say({})
    (webhook,) = calls.get_webhooks()
    assert (webhook.topic, webhook.address) == ("PACKAGE_UPDATE", "https://a")
    assert webhook.update_time.microsecond == 500000
    calls.delete_webhook("PACKAGE_UPDATE")
    asked = tiktok.asked[1]
    assert (asked.method, asked.json) == ("DELETE", {"event_type": "PACKAGE_UPDATE"})
    expected = signing.sign("us-secret", asked.path, asked.query, asked.body, "application/json")
    assert asked.query["sign"] == expected


def test_products_are_searched(tiktok, calls):
    sku = {"id": "2", "seller_sku": "SOCK", "price": {"sale_price": "9.50", "currency": "USD"}}
    stock = {"inventory": [{"quantity": 3}, {"quantity": 4}]}
    product = {"id": "1", "title": "Socks", "status": "ACTIVATE", "update_time": 1795262400}
    tiktok.will_say({"products": [product | {"skus": [sku | stock]}], "total_count": 1})
    found = calls.search_products(status="ACTIVATE", seller_skus=["SOCK"])
    (read,) = found.products[0].skus
    assert (read.seller_sku, read.price, read.currency, read.quantity) == ("SOCK", Decimal("9.50"), "USD", 7)
    assert tiktok.asked[0].json == {"status": "ACTIVATE", "seller_skus": ["SOCK"]}


def test_cancellations_are_searched_by_order(tiktok, calls):
    tiktok.will_say(
        {
            "cancellations": [
                {
                    "cancel_id": "4035",
                    "order_id": ORDER,
                    "cancel_type": "BUYER_CANCEL",
                    "cancel_status": "CANCELLATION_REQUEST_PENDING",
                    "seller_next_action_response": [{"action": "SELLER_RESPOND", "deadline": 1795262400}],
                    "cancel_line_items": [{"order_line_item_id": LINES[0]}, {}],
                }
            ]
        }
    )
    (found,) = calls.search_cancellations(order_ids=[ORDER]).cancellations
    assert (found.id, found.type, found.line_ids) == ("4035", "BUYER_CANCEL", (LINES[0],))
    assert found.deadline == datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert tiktok.asked[0].json == {"order_ids": [ORDER]}
    assert tiktok.asked[0].query["page_size"] == "50"


# How answers are judged


def judge(status=200, code=None, message="words", headers=None, body=None, writes=False):
    if body is None:
        body = orjson.dumps({"code": code, "message": message, "request_id": "req-1", "data": None})
    return client.decipher(status, headers or {}, body, writes)


@pytest.mark.parametrize("data", ["null", "{}", "[]", '"text"'])
def test_a_good_answer_without_data_is_empty(data):
    assert judge(body=b'{"code":0,"data":' + data.encode() + b"}") == {}
    assert judge(body=b'{"code":0}') == {}


def test_the_code_counts_before_the_status():
    assert judge(status=500, code=0) == {}
    with pytest.raises(Rejected) as caught:
        judge(status=500, code=21011044)
    assert (caught.value.code, caught.value.request_id) == ("21011044", "req-1")


@pytest.mark.parametrize(
    ("status", "code", "message", "expected"),
    [
        (200, 105002, "expired", TokenExpired),
        (401, 105002, "expired", TokenExpired),
        (200, 36009004, "Invalid access token", TokenExpired),
        (401, 36009004, "x-tts-access-token is invalid", TokenExpired),
        (401, 36009004, "invalid access_token", TokenExpired),
        (401, 36009004, "invalid timestamp", Rejected),
        (401, 105001, "who are you", TokenExpired),
        (401, 106001, "bad signature", Rejected),
        (200, 105005, "scope missing", AccessLost),
        (401, 105005, "scope missing", AccessLost),
        (200, 101000, "token and shop do not belong together", WrongShop),
        (200, 36009002, "too many", Busy),
        (429, 1, "too many", Busy),
        (200, 36009003, "internal", Unavailable),
        (503, 36009007, "overload", Unavailable),
        (200, 21001011, "retry", Unavailable),
        (500, 77777, "unknown", Unavailable),
        (200, 77777, "unknown", Rejected),
        (400, 36009010, "bad method", Rejected),
        (200, 21011022, "bad number", Rejected),
    ],
)
def test_an_error_is_judged_by_the_table(status, code, message, expected):
    with pytest.raises(errors.TikTokError) as caught:
        judge(status, code, message)
    assert type(caught.value) is expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b"", Unavailable),
        (200, b'{"code":0,"data":{"orders":[{"id":"57', Unavailable),
        (200, b"[]", Unavailable),
        (200, b"<html>", Unavailable),
        (200, b'{"message":"no code"}', Unavailable),
        (302, b"", Unavailable),
        (401, b"<html>", TokenExpired),
        (403, b"<html>", Rejected),
        (404, b"", Rejected),
        (408, b"", Unavailable),
        (429, b"slow down", Busy),
        (502, b"<html>bad gateway", Unavailable),
        (503, b"", Unavailable),
    ],
)
def test_an_answer_that_is_not_tiktoks_is_judged_by_its_status(status, body, expected):
    with pytest.raises(errors.TikTokError) as caught:
        judge(status, body=body)
    assert type(caught.value) is expected


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("2", 2.0),
        ("2.5", 2.5),
        ("0", 1.0),
        ("-3", 1.0),
        ("nan", 1.0),
        ("inf", 1.0),
        ("later", 1.0),
        ("99999", 1.0),
    ],
)
def test_a_throttled_call_always_says_when_to_come_back(sent, read):
    with pytest.raises(Busy) as caught:
        judge(429, 36009002, headers={"Retry-After": sent})
    assert caught.value.retry_after == read
    assert not caught.value.may_have_acted


def test_only_a_write_may_have_acted():
    for writes in (True, False):
        with pytest.raises(Unavailable) as caught:
            judge(500, body=b"", writes=writes)
        assert caught.value.may_have_acted is writes


def test_lost_access_says_what_to_do():
    with pytest.raises(AccessLost) as caught:
        judge(200, 101000, "mismatch")
    assert "does not open this shop: connect TikTok again" in caught.value.public
    with pytest.raises(AccessLost) as caught:
        judge(401, 105005, "scope missing")
    assert "connect TikTok again" in caught.value.public
    assert caught.value.retry_daily is False


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("21011006", ShippingFault.ALREADY_DONE),
        ("21011044", ShippingFault.ON_HOLD),
        ("21042057", ShippingFault.NOT_READY),
        ("21011041", ShippingFault.CANCELLED),
        ("21011007", ShippingFault.AFTER_SALE_OPEN),
        ("21011022", ShippingFault.BAD_TRACKING),
        ("21008026", ShippingFault.NOT_OURS),
        ("21011048", ShippingFault.LINES),
        ("21011051", ShippingFault.EDIT_LIMIT),
        ("10006402", ShippingFault.ACCESS),
        ("21001011", ShippingFault.UNKNOWN),
        ("", ShippingFault.UNKNOWN),
    ],
)
def test_a_refused_push_has_a_class(code, fault):
    assert errors.shipping_fault(code) is fault


# When the network fails


def test_a_lost_answer_to_a_write_may_have_acted(tiktok, calls):
    tiktok.will_drop()
    with pytest.raises(Unavailable) as caught:
        calls.ship(ORDER, LINES, [USPS])
    assert caught.value.may_have_acted
    assert len(tiktok.asked) == 1


def test_a_lost_answer_to_a_read_has_not_acted(tiktok, calls):
    tiktok.will_drop()
    with pytest.raises(Unavailable) as caught:
        calls.get_order(ORDER)
    assert not caught.value.may_have_acted


def test_a_write_that_reached_nobody_has_not_acted(tiktok, calls, settings):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings.TIKTOK_APPS["US"]["api_url"] = f"http://127.0.0.1:{port}"
    with pytest.raises(Unavailable) as caught:
        calls.ship(ORDER, LINES, [USPS])
    assert not caught.value.may_have_acted


def test_a_redirect_is_not_followed_with_the_token(tiktok, calls):
    tiktok.will_answer(302, Location=f"{tiktok.url}/elsewhere")
    with pytest.raises(Unavailable):
        calls.get_order(ORDER)
    assert len(tiktok.asked) == 1


def test_no_secret_and_no_query_shows_in_an_error_or_a_log(tiktok, calls, caplog):
    caplog.set_level(logging.DEBUG, logger="tiktok")
    tiktok.will_say({"orders": []})
    tiktok.will_drop()
    tiktok.will_say(code=21011022, message="bad number for buyer jane@example.com (+1)5125550147")
    calls.get_order(ORDER)
    shown = []
    for call in (calls.get_order, lambda order: calls.ship(order, LINES, [USPS])):
        with pytest.raises(errors.TikTokError) as caught:
            call(ORDER)
        shown += [
            *traceback.format_exception(caught.value),
            caught.value.public,
            repr(caught.value.__context__),
        ]
    shown += [str(vars(record)) for record in caplog.records]
    everything = "\n".join(shown)
    for secret in (TOKEN, "us-secret", "ROW_cipher", "sign=", "?", "127.0.0.1"):
        assert secret not in everything
    public = caught.value.public
    assert "jane" not in public and "5550147" not in public and "21011022" in public and "req-1" in public


def test_every_call_leaves_one_line_with_its_code_and_request_id(tiktok, calls, caplog):
    caplog.set_level(logging.INFO, logger="tiktok")
    tiktok.will_say({"orders": []})
    calls.get_order(ORDER)
    (record,) = caplog.records
    assert (record.method, record.path, record.status) == ("GET", "/order/202507/orders", 200)
    assert (record.code, record.request_id) == ("0", "req-1")


def test_a_throttled_call_pauses_its_endpoint_only(tiktok, calls):
    tiktok.will_say(code=36009002, message="too many", status=429, headers={"Retry-After": "30"})
    with pytest.raises(Busy):
        calls.get_order(ORDER)
    with pytest.raises(Busy) as caught:
        calls.get_order(ORDER)
    assert 25 < caught.value.retry_after <= 30
    assert len(tiktok.asked) == 1
    tiktok.will_say({})
    assert calls.get_warehouses() == []


def test_a_registration_that_was_taken_out_of_the_settings_is_lost_access(tiktok, calls, shop):
    shop.seller.app = "ROW"
    with pytest.raises(AccessLost):
        calls.get_order(ORDER)


# Against the strict platform


@pytest.fixture
def platform(settings):
    with TikTokSandbox(easy=True, app_key="us-key", app_secret="us-secret") as sandbox:
        settings.TIKTOK_APPS = {
            "US": {
                "app_key": "us-key",
                "app_secret": "us-secret",
                "service_id": "7001",
                "api_url": sandbox.url,
                "auth_url": sandbox.url,
                "consent_url": sandbox.url,
            }
        }
        yield sandbox


def connect(platform, http):
    code = parse_qs(urlsplit(platform.consent()).query)["code"][0]
    grant = oauth.exchange("US", code, http)
    shops = client.get_shops("US", grant.access_token, http)
    seller = Seller.connect("US", grant, shops)
    return Client(seller.shops.get(shop_id=shops[0].id), http)


@pytest.mark.django_db
@pytest.mark.parametrize("version", ["202309", "202610"])
def test_a_strict_platform_finds_no_fault_in_any_call(platform, http, settings, version):
    settings.TIKTOK_SHIP_VERSION = version
    calls = connect(platform, http)
    order_id = platform.place_order(lines=[("TEE-BLK-M", 2)])
    held = calls.get_order(order_id)
    assert (held.status, len(held.line_items)) == ("ON_HOLD", 2)
    with pytest.raises(Rejected) as caught:
        calls.ship(order_id, [held.line_items[0].id], [USPS])
    assert errors.shipping_fault(caught.value.code) is ShippingFault.ON_HOLD

    platform.release(order_id)
    order = calls.search_orders(timezone.now() - timedelta(hours=1), page_size=10).orders[0]
    assert (order.id, order.status, order.masked, order.seller_ships) == (
        order_id,
        "AWAITING_SHIPMENT",
        False,
        True,
    )
    providers = calls.get_providers(order.delivery_option_id, "US", order.address.region_code)
    usps = next(provider.id for provider in providers if provider.name == "USPS")
    first, second = (line.id for line in order.line_items)
    shipped = calls.ship(order_id, [first], [Tracking(platform.new_number("USPS"), usps)])
    calls.ship(order_id, [second], [Tracking(platform.new_number("USPS"), usps)])
    calls.correct_tracking(order_id, shipped.package_id, True, Tracking(platform.new_number("USPS"), usps))
    assert calls.get_order(order_id).status == "AWAITING_COLLECTION"

    lines = (ExternalLine("9001", first), ExternalLine("9002", second))
    assert calls.set_external_orders([ExternalOrder(order_id, "6001", lines)]) == []
    assert calls.get_external_orders(order_id) == [ExternalOrder(order_id, "6001", lines)]
    calls.set_webhook("ORDER_STATUS_CHANGE", "https://connector.example.com/webhooks/tiktok")
    assert [webhook.topic for webhook in calls.get_webhooks()] == ["ORDER_STATUS_CHANGE"]
    calls.delete_webhook("ORDER_STATUS_CHANGE")
    assert calls.get_warehouses()
    assert calls.search_products(page_size=10).products
    assert calls.search_cancellations(order_ids=[order_id]).cancellations == ()
    platform.carrier_scan(order_id)
    assert calls.get_tracking(order_id)
    assert platform.violations == []


@pytest.mark.django_db
def test_tokens_that_end_early_are_refreshed_at_a_strict_platform(platform, http):
    calls = connect(platform, http)
    before = calls.shop.seller.token
    platform.expire_tokens()
    assert calls.get_order("577120098711193302") is None
    assert calls.shop.seller.token != before
    platform.deauthorize()
    with pytest.raises(AccessLost):
        calls.get_order("577120098711193302")
