"""The TikTok sandbox as a judge: every answer is checked against the published contract, every rule by breaking it."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from tiktok.sandbox import TikTokSandbox, carriers, contract
from tiktok.sandbox.server import Request, signature

DAY = 86_400
CANCELLATIONS = "/return_refund/202602/cancellations/search"


class Caller:
    """A client of its own, so that the product's signing is not judged by itself."""

    def __init__(self, sandbox: TikTokSandbox, seller: str = "", app: str = "US") -> None:
        self.sandbox = sandbox
        self.app = sandbox.apps[app]
        self.grant = sandbox.grant(seller, app=app)
        self.shop = self.grant["shops"][0]
        self.cipher = self.shop["cipher"]

    def send(
        self,
        method: str,
        path: str,
        query: dict[str, Any] | None = None,
        body: Any = None,
        *,
        cipher: bool = True,
        token: str | None = None,
        stamp: int | None = None,
        content_type: str = "application/json",
        timeout: float = 10,
        **overrides: str,
    ) -> requests.Response:
        values = {"app_key": self.app.app_key, "timestamp": str(int(time.time()) if stamp is None else stamp)}
        if cipher:
            values["shop_cipher"] = self.cipher
        values |= query or {}
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        text = self.app.app_secret + path + "".join(f"{name}{values[name]}" for name in sorted(values))
        message = text.encode() + raw + self.app.app_secret.encode()
        values["sign"] = hmac.new(self.app.app_secret.encode(), message, hashlib.sha256).hexdigest()
        values = {name: value for name, value in (values | overrides).items() if value != ""}
        headers = {"x-tts-access-token": self.grant["access_token"] if token is None else token}
        if raw:
            headers["content-type"] = content_type
        return requests.request(
            method, self.sandbox.url + path, params=values, data=raw, headers=headers, timeout=timeout
        )

    def call(
        self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None, **how: Any
    ) -> Any:
        """`data` of a success, in the documented shape; fails on any other code."""
        answer = self.send(method, path, query, body, **how).json()
        assert answer["code"] == 0, answer
        match = contract.find(method, path)
        assert match is not None
        assert match.route is not None
        assert contract.answer_faults(match.route, answer) == []
        return answer["data"]

    def code(
        self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None, **how: Any
    ) -> int:
        answer: int = self.send(method, path, query, body, **how).json()["code"]
        return answer

    def order(self, order_id: str) -> Any:
        return self.call("GET", "/order/202507/orders", {"ids": order_id})["orders"][0]

    def search(self, body: dict[str, Any] | None = None, **query: str) -> Any:
        asked = {"page_size": "100", "sort_field": "update_time", "sort_order": "ASC"} | query
        return self.call("POST", "/order/202309/orders/search", asked, body or {})

    def provider(self, name: str) -> str:
        option = self.sandbox.world.shop(self.shop["id"]).delivery_option_id
        found = self.call("GET", f"/logistics/202309/delivery_options/{option}/shipping_providers")
        return next(row["id"] for row in found["shipping_providers"] if row["name"] == name)

    def ship(
        self, order_id: str, number: str = "", provider: str = "USPS", lines: list[str] | None = None
    ) -> Any:
        body: dict[str, Any] = {
            "tracking_number": number or self.sandbox.new_number(provider),
            "shipping_provider_id": self.provider(provider),
        }
        if lines is not None:
            body["order_line_item_ids"] = lines
        return self.send("POST", f"/fulfillment/202309/orders/{order_id}/packages", None, body).json()


class Inbox:
    """A webhook endpoint that remembers what came; `answer` decides what it says."""

    def __init__(self) -> None:
        inbox = self
        self.got: list[tuple[dict[str, Any], str, bytes]] = []
        self.answer: Callable[[], tuple[int, bytes]] = lambda: (200, b"")

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                inbox.got.append((json.loads(raw), self.headers["Authorization"], raw))
                status, body = inbox.answer()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """The sandbox hangs up on a slow answer."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhooks/tiktok"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def types(self) -> list[tuple[int, str]]:
        return [(body["type"], body["data"].get("order_status", "")) for body, _, _ in self.got]


@pytest.fixture
def sandbox() -> Iterator[TikTokSandbox]:
    with TikTokSandbox(easy=True, redirect_url="https://app.example.com/tiktok/callback") as running:
        yield running


@pytest.fixture
def caller(sandbox: TikTokSandbox) -> Caller:
    return Caller(sandbox)


@pytest.fixture
def inbox(sandbox: TikTokSandbox) -> Iterator[Inbox]:
    opened = Inbox()
    sandbox.webhooks.hook_url = opened.url
    yield opened
    opened.close()


def wait_for(condition: Callable[[], Any], seconds: float = 5) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


# The doors


@pytest.mark.parametrize(
    ("secret", "path", "query", "body", "digest"),
    [
        (
            "e59af819cc",
            "/authorization/202309/shops",
            {"app_key": "29a39d", "timestamp": "1623812664"},
            b"",
            "b596b73e0cc6de07ac26f036364178ab16b0a907af13d43f0a0cd2345f582dc8",
        ),
        (
            "e59af819cc",
            "/return_refund/202309/cancellations/4035000000000000001/reject",
            {
                "app_key": "68xu9ks5p4i8",
                "shop_cipher": "ROW_xkMbgAAAeVAQra0eZWebFQq5aIK",
                "timestamp": "1696909648",
                "access_token": "left out",
            },
            '{"reject_reason":"seller_reject_apply_product_has_been_packed","comment":"déjà expédié"}'.encode(),
            "5e2473a34ff45585ade11029cb65bd7cd84dff407a3e8b05345aae0e25cc41ee",
        ),
        (
            "app_secret",
            "/test-api",
            {"foo": "bar"},
            b"",
            "d3cb7fe11ecae942802ceeca67e7cf10120cc12f1517d45fbc1c8cfe5413c80f",
        ),
    ],
)
def test_it_verifies_signatures_as_tiktok_publishes_them(
    secret: str, path: str, query: dict[str, str], body: bytes, digest: str
) -> None:
    request = Request("GET", path, {name: [value] for name, value in query.items()}, {}, body)
    assert signature(secret, request) == digest


@pytest.mark.parametrize(
    ("code", "method", "path", "how"),
    [
        (36009009, "GET", "/order/202001/orders", {}),
        (36009010, "DELETE", "/order/202507/orders", {}),
        (36009004, "GET", "/order/202507/orders", {"sign": ""}),
        (36009004, "GET", "/order/202507/orders", {"app_key": "stranger"}),
        (106001, "GET", "/order/202507/orders", {"sign": "0" * 64}),
        (36009004, "GET", "/order/202507/orders", {"stamp": int(time.time()) - 400}),
        (36009004, "GET", "/order/202507/orders", {"stamp": int(time.time()) + 300}),
        (36009004, "GET", "/order/202507/orders", {"token": "stranger"}),
        (36009004, "GET", "/order/202507/orders", {"query": {"ids": "1", "access_token": "x"}}),
        (106013, "GET", "/order/202507/orders", {"cipher": False, "query": {"ids": "1"}}),
        (101000, "GET", "/order/202507/orders", {"query": {"ids": "1", "shop_cipher": "of another"}}),
        (36009004, "GET", "/order/202507/orders", {}),
        (36009004, "GET", "/order/202507/orders", {"query": {"ids": "1", "page": "2"}}),
        (36009004, "GET", "/order/202507/orders", {"query": {"ids": ",".join("1" * 51)}}),
        (36009004, "GET", "/authorization/202309/shops", {}),
        (36009004, "POST", "/order/202309/orders/search", {"query": {"page_size": "101"}, "body": {}}),
        (36009004, "POST", "/order/202309/orders/search", {"query": {"page_size": "x"}, "body": {}}),
        (36009004, "POST", "/order/202309/orders/search", {"body": {}}),
        (
            36009004,
            "POST",
            "/order/202309/orders/search",
            {"query": {"page_size": "9"}, "body": {"update_time_ge": "1"}},
        ),
        (
            36009004,
            "POST",
            "/order/202309/orders/search",
            {"query": {"page_size": "9"}, "body": {"status": "ON_HOLD"}},
        ),
        (36009022, "POST", "/order/202309/orders/search", {"query": {"page_size": "9"}, "body": b"{"}),
        (
            36009022,
            "POST",
            "/order/202309/orders/search",
            {"query": {"page_size": "9"}, "body": {}, "content_type": "text/plain"},
        ),
        (36009004, "POST", CANCELLATIONS, {"query": {"page_size": "51"}, "body": {"order_ids": ["1"]}}),
        (36009004, "POST", CANCELLATIONS, {"query": {"page_size": "0"}, "body": {"order_ids": ["1"]}}),
        (36009004, "POST", CANCELLATIONS, {"query": {"sort_field": "id"}, "body": {"order_ids": ["1"]}}),
        (36009004, "POST", CANCELLATIONS, {"body": {"order_ids": "1"}}),
        (36009004, "POST", CANCELLATIONS, {"body": {"order_id": "1"}}),
        (36009004, "POST", CANCELLATIONS, {"body": {"cancel_status": ["PENDING"]}}),
        (36009004, "POST", "/fulfillment/202309/orders/1/packages", {"body": {"tracking_number": "1Z"}}),
        (
            36009004,
            "PUT",
            "/event/202309/webhooks",
            {"body": {"address": "http://app.example.com", "event_type": "ORDER_STATUS_CHANGE"}},
        ),
    ],
)
def test_a_request_that_breaks_the_contract_is_refused_and_noted(
    sandbox: TikTokSandbox, caller: Caller, code: int, method: str, path: str, how: dict[str, Any]
) -> None:
    before = len(sandbox.violations)
    assert caller.code(method, path, **how) == code
    tolerated = code == 101000 or how.get("token")
    assert len(sandbox.violations) == before + (0 if tolerated else 1)


def test_a_list_given_as_repeated_keys_is_refused(caller: Caller) -> None:
    reply = caller.send("GET", "/order/202507/orders", {"ids": "1"})
    again = requests.get(reply.request.url + "&ids=2", headers=reply.request.headers, timeout=5)
    assert again.json()["code"] == 36009004


def test_an_expired_or_narrow_or_removed_access_is_told_apart(sandbox: TikTokSandbox, caller: Caller) -> None:
    sandbox.take_scope("Order Information")
    assert caller.code("GET", "/order/202507/orders", {"ids": "1"}) == 105005
    sandbox.expire_tokens()
    reply = caller.send("GET", "/authorization/202309/shops", cipher=False)
    assert (reply.status_code, reply.json()["code"]) == (401, 105002)
    sandbox.deauthorize()
    assert caller.code("GET", "/authorization/202309/shops", cipher=False) == 36009004
    assert sandbox.violations == []


def test_too_many_calls_are_answered_with_429_and_a_wait(sandbox: TikTokSandbox, caller: Caller) -> None:
    sandbox.settings.rate_per_second, sandbox.settings.rate_burst = 2.0, 3.0
    replies = [caller.send("GET", "/order/202507/orders", {"ids": "1"}) for _ in range(4)]
    assert [reply.status_code for reply in replies] == [200, 200, 200, 429]
    assert replies[3].json()["code"] == 36009002
    assert int(replies[3].headers["Retry-After"]) >= 1
    assert caller.send("GET", "/authorization/202309/shops", cipher=False).status_code == 200


# Consent and tokens


def exchange(sandbox: TikTokSandbox, code: str, app: str = "US", **changes: str) -> Any:
    registered = sandbox.apps[app]
    query = {
        "app_key": registered.app_key,
        "app_secret": registered.app_secret,
        "auth_code": code,
        "grant_type": "authorized_code",
    } | changes
    return requests.get(sandbox.url + "/api/v2/token/get", params=query, timeout=5).json()


def refresh(sandbox: TikTokSandbox, token: str) -> Any:
    registered = sandbox.apps["US"]
    query = {
        "app_key": registered.app_key,
        "app_secret": registered.app_secret,
        "refresh_token": token,
        "grant_type": "refresh_token",
    }
    return requests.get(sandbox.url + "/api/v2/token/refresh", params=query, timeout=5).json()


def code_in(url: str) -> str:
    return url.split("code=")[1].split("&", maxsplit=1)[0]


def test_a_code_works_once_for_half_an_hour_and_only_for_its_app(sandbox: TikTokSandbox) -> None:
    back = sandbox.consent("Harbor Goods", state="signed.state")
    assert back.startswith("https://app.example.com/tiktok/callback?code=TTP_")
    assert back.endswith("&state=signed.state")
    assert exchange(sandbox, code_in(back), app="ROW")["code"] != 0
    assert exchange(sandbox, code_in(back), grant_type="authorization_code")["code"] == 36009004
    data = exchange(sandbox, code_in(back))["data"]
    assert data["seller_name"] == "Harbor Goods"
    assert abs(data["access_token_expire_in"] - time.time() - 7 * DAY) < 5
    assert exchange(sandbox, code_in(back))["code"] != 0
    late = sandbox.consent("Harbor Goods", state="x")
    sandbox.clock.advance(1801)
    assert exchange(sandbox, code_in(late))["code"] != 0


def test_a_seller_may_refuse_or_come_without_state(sandbox: TikTokSandbox) -> None:
    assert sandbox.consent(state="s", deny=True).endswith("?code=null&error=auth_denied&state=s")
    assert "state" not in sandbox.consent()


def test_the_consent_page_shows_the_sellers_shops_and_sends_the_browser_back(sandbox: TikTokSandbox) -> None:
    app = sandbox.apps["US"]
    page = requests.get(f"{sandbox.url}/open/authorize?service_id={app.service_id}&state=a%26b", timeout=5)
    assert page.headers["Content-Type"].startswith("text/html")
    assert "Harbor Outlet" in page.text
    assert "Thistle" not in page.text
    link = page.text.split('class="yes" href="')[1].split('"')[0].replace("&amp;", "&")
    back = requests.get(sandbox.url + link, timeout=5, allow_redirects=False)
    assert back.status_code == 302
    assert back.headers["Location"].endswith("&state=a%26b")
    assert requests.get(f"{sandbox.url}/open/authorize?service_id=none", timeout=5).status_code == 400


def test_the_former_refresh_token_works_until_the_new_pair_was_used(
    sandbox: TikTokSandbox, caller: Caller
) -> None:
    first = caller.grant["refresh_token"]
    lost = refresh(sandbox, first)["data"]
    second = refresh(sandbox, first)["data"]
    assert lost["refresh_token"] != second["refresh_token"] != first
    assert caller.code("GET", "/authorization/202309/shops", cipher=False) == 0
    assert caller.code("GET", "/authorization/202309/shops", cipher=False, token=second["access_token"]) == 0
    assert refresh(sandbox, first)["code"] != 0
    assert refresh(sandbox, second["refresh_token"])["code"] == 0
    sandbox.expire_tokens(refresh=True)
    assert refresh(sandbox, second["refresh_token"])["code"] != 0


def test_every_consent_makes_new_ciphers_and_one_token_covers_all_shops_of_a_seller(
    sandbox: TikTokSandbox,
) -> None:
    caller = Caller(sandbox, "Harbor Goods")
    listed = caller.call("GET", "/authorization/202309/shops", cipher=False)["shops"]
    assert [shop["name"] for shop in listed] == ["Harbor Goods", "Harbor Outlet"]
    sandbox.grant("Harbor Goods")
    assert caller.code("GET", "/order/202507/orders", {"ids": "1"}) == 101000


# Orders


KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "discounts": {
        "lines": [("TEE-BLK-M", 2, "18.50", "1.25", "0.75"), ("MUG-WHT", 1)],
        "shipping_seller_discount": "1.00",
        "shipping_platform_discount": "2.00",
        "shipping_tax": "0.25",
        "retail_delivery_fee": "0.29",
        "tax": "3.33",
    },
    "co-funded": {"shipping_cofunded_discount": "2.50"},
    "gift": {"lines": [("TEE-BLK-M", 1), {"sku": "GIFT-STICK", "is_gift": True, "gift_value": "4.00"}]},
    "bundle": {"lines": [{"sku": "SET-1", "price": "30.00", "bundle": [("MUG-WHT", 2), ("CANDLE-FIG", 1)]}]},
    "sample": {"sample": True},
    "replacement": {"replacement_of": "577100000000000001"},
    "exchange": {"exchange_of": "577100000000000002"},
    "subscription": {"subscription": True},
    "pre-order": {"release_in": 20 * DAY},
    "made to order": {"order_type": "MADE_TO_ORDER", "handling_days": 5},
    "combined": {"combine_group": "7700000000001"},
    "by TikTok": {"fulfilled_by_tiktok": True},
    "TikTok ships": {"shipping_type": "TIKTOK"},
    "never held": {"hold": False},
    "unpaid": {"paid": False},
    "with a message": {"buyer_message": "Please ring twice", "currency": "EUR"},
}


@pytest.mark.parametrize("region", ["US", "GB"])
@pytest.mark.parametrize("style", ["starred", "districts", "empty", "missing", "none"])
def test_every_kind_of_order_has_the_documented_shape_in_every_status(
    sandbox: TikTokSandbox, region: str, style: str
) -> None:
    sandbox.settings.hold_address = style
    caller = Caller(sandbox, "Thistle & Co" if region == "GB" else "", app="ROW" if region == "GB" else "US")
    shop = caller.shop["id"]
    placed = {kind: sandbox.place_order(shop_id=shop, **options) for kind, options in KINDS.items()}
    assert caller.search()["total_count"] == len(KINDS)
    for order_id in placed.values():
        sandbox.release(order_id)
    assert caller.order(placed["pre-order"])["order_type"] == "PRE_ORDER"
    for shown in caller.search()["orders"]:
        assert_adds_up(shown["payment"], shown["line_items"])
        caller.call("GET", f"/order/202407/orders/{shown['id']}/price_detail")
    sandbox.ship_outside(placed["plain"], "EVRi" if region == "GB" else "UPS")
    sandbox.carrier_scan(placed["plain"])
    sandbox.deliver(placed["plain"])
    sandbox.complete(placed["plain"])
    assert caller.order(placed["plain"])["status"] == "COMPLETED"
    assert sandbox.violations == []


def assert_adds_up(payment: dict[str, str], lines: list[dict[str, Any]]) -> None:
    """The formulas of TikTok contract 4.3."""
    money = {name: Decimal(value) for name, value in payment.items() if name != "currency"}
    for line in lines:
        parts = (Decimal(line[name]) for name in ("original_price", "seller_discount", "platform_discount"))
        original, seller, platform = parts
        assert Decimal(line["sale_price"]) == original - seller - platform
    for name in ("seller_discount", "platform_discount"):
        assert money[name] == sum(Decimal(line[name]) for line in lines)
    assert money["sub_total"] == sum(Decimal(line["sale_price"]) for line in lines)
    assert money["sub_total"] == (
        money["original_total_product_price"] - money["seller_discount"] - money["platform_discount"]
    )
    own = money["shipping_fee_cofunded_discount"] or money["shipping_fee_seller_discount"]
    assert money["shipping_fee"] == (
        money["original_shipping_fee"] - own - money["shipping_fee_platform_discount"]
    )
    assert money["tax"] == money["product_tax"] + money["shipping_fee_tax"]
    assert money["total_amount"] == (
        money["sub_total"] + money["shipping_fee"] + money["tax"] + money["retail_delivery_fee"]
    )


def test_every_unit_is_a_line_of_its_own_and_a_lie_in_the_payment_is_possible(
    sandbox: TikTokSandbox, caller: Caller
) -> None:
    order_id = sandbox.place_order(
        lines=[("SOCK-CHR-L", 3), ("TT-ONLY-7", 1)],
        payment={"sub_total": "1.00"},
        fees={"handling_fee": "0.50"},
    )
    shown = caller.order(order_id)
    assert [line["seller_sku"] for line in shown["line_items"]] == ["SOCK-CHR-L"] * 3 + ["TT-ONLY-7"]
    assert len({line["id"] for line in shown["line_items"]}) == 4
    assert shown["payment"]["sub_total"] == "1.00"
    assert shown["payment"]["handling_fee"] == "0.50"


def test_the_hold_ends_by_the_clock_and_the_address_comes_out(sandbox: TikTokSandbox, caller: Caller) -> None:
    order_id = sandbox.place_order()
    buyer = sandbox.order(order_id).buyer
    held = caller.order(order_id)
    assert held["status"] == held["line_items"][0]["display_status"] == "ON_HOLD"
    assert not any(value in json.dumps(held["recipient_address"]) for value in buyer.personal_values())
    sandbox.clock.advance(3601)
    released = caller.order(order_id)
    assert released["status"] == "AWAITING_SHIPMENT"
    assert released["update_time"] > held["update_time"]
    assert released["recipient_address"]["full_address"] == buyer.full_address
    assert released["recipient_address"]["district_info"][3]["address_name"] == buyer.city
    assert buyer.name in sandbox.personal_values()


def test_a_preorder_stays_held_until_its_release_date(sandbox: TikTokSandbox) -> None:
    order_id = sandbox.place_order(release_in=14 * DAY)
    sandbox.clock.advance(13 * DAY)
    assert sandbox.order(order_id).status == "ON_HOLD"
    sandbox.clock.advance(DAY + 5)
    assert sandbox.order(order_id).status == "AWAITING_SHIPMENT"


@pytest.mark.parametrize(
    ("options", "starred", "plain"),
    [
        ({"hold": False}, (), ("phone_number", "name", "postal_code", "address_line1")),
        (
            {"hold": False, "shipping_type": "TIKTOK"},
            ("phone_number", "address_line1"),
            ("name", "postal_code"),
        ),
        ({"hold": False, "fulfilled_by_tiktok": True}, ("phone_number", "name", "postal_code"), ()),
    ],
)
def test_who_ships_decides_what_is_masked(
    sandbox: TikTokSandbox, caller: Caller, options: Any, starred: tuple[str, ...], plain: tuple[str, ...]
) -> None:
    address = caller.order(sandbox.place_order(**options))["recipient_address"]
    assert all("*" in address[name] for name in starred)
    assert not any("*" in address[name] for name in plain)


def test_a_cancelled_or_long_completed_us_order_is_masked_again_and_a_british_one_is_not(
    sandbox: TikTokSandbox, caller: Caller
) -> None:
    cancelled, completed = (sandbox.place_order(hold=False) for _ in range(2))
    sandbox.cancel(cancelled, by="SELLER")
    sandbox.ship_outside(completed)
    for step in (sandbox.carrier_scan, sandbox.deliver, sandbox.complete):
        step(completed)
    assert "*" not in caller.order(completed)["recipient_address"]["name"]
    assert "*" in caller.order(cancelled)["recipient_address"]["name"]
    british = Caller(sandbox, app="ROW")
    theirs = sandbox.place_order(shop_id=british.shop["id"], hold=False)
    sandbox.cancel(theirs)
    assert "*" not in british.order(theirs)["recipient_address"]["name"]
    assert british.order(theirs)["payment"]["tax"] == "0"
    sandbox.clock.advance(31 * DAY)
    caller.grant = sandbox.grant()
    caller.cipher = caller.grant["shops"][0]["cipher"]
    assert "*" in caller.order(completed)["recipient_address"]["name"]


def test_pages_follow_the_last_row_and_the_filters_hold(sandbox: TikTokSandbox, caller: Caller) -> None:
    placed = [sandbox.place_order(hold=index % 2 == 0, age=100 - index) for index in range(7)]
    seen: list[str] = []
    token = ""
    while True:
        page = caller.search(page_size="3", **({"page_token": token} if token else {}))
        seen += [order["id"] for order in page["orders"]]
        token = page["next_page_token"]
        if not token:
            break
    assert seen == placed
    assert caller.search({"order_status": "ON_HOLD"})["total_count"] == 4
    since = sandbox.order(placed[5]).update_time
    assert [order["id"] for order in caller.search({"update_time_ge": since})["orders"]] == placed[5:]
    assert caller.search({"update_time_lt": since})["total_count"] == 5
    assert (
        caller.code("POST", "/order/202309/orders/search", {"page_size": "5", "page_token": "?"}, {})
        == 36009004
    )


def test_orders_of_another_shop_are_not_seen(sandbox: TikTokSandbox, caller: Caller) -> None:
    other = Caller(sandbox, "Harbor Goods")
    order_id = sandbox.place_order(hold=False)
    assert other.call("GET", "/order/202507/orders", {"ids": order_id})["orders"] == []
    assert other.search()["total_count"] == 0
    assert other.ship(order_id)["code"] == 21011028


# Cancelling and changing


def cancellations(caller: Caller, order_id: str) -> list[dict[str, Any]]:
    data = caller.call("POST", CANCELLATIONS, None, {"order_ids": [order_id]})
    found: list[dict[str, Any]] = data["cancellations"]
    return found


def test_a_buyer_cancels_alone_in_the_hold(sandbox: TikTokSandbox, caller: Caller, inbox: Inbox) -> None:
    order_id = sandbox.place_order()
    sandbox.buyer_requests_cancel(order_id)
    shown = caller.order(order_id)
    assert (shown["status"], shown["cancellation_initiator"]) == ("CANCELLED", "BUYER")
    assert shown["line_items"][0]["cancel_user"] == "BUYER"
    assert cancellations(caller, order_id)[0]["cancel_status"] == "CANCELLATION_REQUEST_COMPLETE"
    assert wait_for(lambda: len(inbox.got) == 3)
    assert {(1, "CANCEL"), (11, "")} <= set(inbox.types())


def test_a_buyers_request_after_the_hold_waits_for_the_seller(sandbox: TikTokSandbox, caller: Caller) -> None:
    granted, refused, ignored = (sandbox.place_order(hold=False) for _ in range(3))
    for order_id in (granted, refused, ignored):
        sandbox.buyer_requests_cancel(order_id)
        assert caller.order(order_id)["is_buyer_request_cancel"] is True
        assert cancellations(caller, order_id)[0]["seller_next_action_response"]
    sandbox.decide_cancel(granted)
    sandbox.decide_cancel(refused, approve=False)
    assert caller.order(granted)["status"] == "CANCELLED"
    assert caller.order(refused)["status"] == "AWAITING_SHIPMENT"
    assert caller.order(refused)["is_buyer_request_cancel"] is False
    sandbox.clock.advance(48 * 3600 + 1)
    assert sandbox.order(ignored).status == "CANCELLED"
    assert sandbox.order(refused).status == "AWAITING_SHIPMENT"


def test_shipping_rejects_a_pending_request_in_the_us_and_is_refused_elsewhere(
    sandbox: TikTokSandbox, caller: Caller
) -> None:
    order_id = sandbox.place_order(hold=False)
    sandbox.buyer_requests_cancel(order_id)
    assert caller.ship(order_id)["code"] == 0
    assert cancellations(caller, order_id)[0]["cancel_status"] == "CANCELLATION_REQUEST_CANCEL"
    british = Caller(sandbox, app="ROW")
    theirs = sandbox.place_order(shop_id=british.shop["id"], hold=False)
    sandbox.buyer_requests_cancel(theirs)
    assert british.ship(theirs, provider="Royal Mail")["code"] == 21011007


@pytest.mark.parametrize(("recompute", "sub_total"), [(False, "55.50"), (True, "37.00")])
def test_some_units_are_cancelled(
    sandbox: TikTokSandbox, caller: Caller, recompute: bool, sub_total: str
) -> None:
    sandbox.settings.recompute_cancelled = recompute
    order_id = sandbox.place_order(lines=[("TEE-BLK-M", 3)])
    sandbox.cancel_lines(order_id, 1)
    shown = caller.order(order_id)
    assert [line["display_status"] for line in shown["line_items"]] == ["ON_HOLD", "ON_HOLD", "CANCELLED"]
    assert shown["status"] == "ON_HOLD"
    assert shown["payment"]["sub_total"] == sub_total
    assert len(cancellations(caller, order_id)[0]["cancel_line_items"]) == 1
    assert_adds_up(shown["payment"], shown["line_items"])


def test_lines_quantities_and_the_address_may_change(
    sandbox: TikTokSandbox, caller: Caller, inbox: Inbox
) -> None:
    order_id = sandbox.place_order(hold=False, lines=[("TEE-BLK-M", 1), ("MUG-WHT", 2)])
    former = caller.order(order_id)
    sandbox.clock.advance(1)
    sandbox.change_quantity(order_id, "TEE-BLK-M", 3)
    sandbox.change_quantity(order_id, "MUG-WHT", 1)
    shown = caller.order(order_id)
    assert sorted(line["seller_sku"] for line in shown["line_items"]) == ["MUG-WHT"] + ["TEE-BLK-M"] * 3
    sandbox.change_lines(order_id, [("CAP-NVY", 1)])
    changed = caller.order(order_id)
    sandbox.change_address(order_id, address_line2="Apt *5", last_name="Oyelaran-Whitlock")
    shown = caller.order(order_id)
    assert shown["payment"]["sub_total"] == "22.00"
    assert shown["has_updated_recipient_address"] is True
    assert shown["recipient_address"]["address_line2"] == "Apt *5"
    assert shown["recipient_address"]["name"].endswith("Oyelaran-Whitlock")
    assert shown["update_time"] == changed["update_time"] > former["update_time"]
    third = wait_for(lambda: [body for body, _, _ in inbox.got if body["type"] == 3])[0]
    assert "tts_notification_id" not in third


def test_two_statuses_of_one_second_have_one_update_time_and_a_cancel_request_does_not_move_it(
    sandbox: TikTokSandbox, caller: Caller, inbox: Inbox
) -> None:
    order_id = sandbox.place_order(paid=False)
    sandbox.pay(order_id)
    sandbox.release(order_id)
    assert wait_for(lambda: len(inbox.got) == 3)
    assert len({body["data"]["update_time"] for body, _, _ in inbox.got}) <= 2  # a second may end meanwhile
    sandbox.clock.advance(9)
    former = caller.order(order_id)["update_time"]
    for _ in range(2):
        sandbox.buyer_requests_cancel(order_id)
        assert caller.order(order_id)["update_time"] == former
        sandbox.decide_cancel(order_id, approve=False, by="BUYER")
    assert caller.order(order_id)["update_time"] == former


def test_a_new_address_may_move_the_update_time_and_go_unmarked(
    sandbox: TikTokSandbox, caller: Caller
) -> None:
    sandbox.settings.address_moves_update_time = True
    sandbox.settings.mark_new_addresses = False
    order_id = sandbox.place_order(hold=False)
    former = caller.order(order_id)
    sandbox.change_address(order_id, address_line1="77 New Street")
    shown = caller.order(order_id)
    assert shown["recipient_address"]["address_line1"] == "77 New Street"
    assert shown["has_updated_recipient_address"] is False
    assert shown["update_time"] > former["update_time"]


def test_each_new_address_rings_with_a_time_of_its_own(
    sandbox: TikTokSandbox, caller: Caller, inbox: Inbox
) -> None:
    order_id = sandbox.place_order(hold=False)
    sandbox.change_address(order_id)
    sandbox.change_address(order_id)
    rang = wait_for(lambda: len(thirds(inbox)) == 2 and thirds(inbox))
    assert len({body["data"]["update_time"] for body in rang}) == 2


def thirds(inbox: Inbox) -> list[dict[str, Any]]:
    return [body for body, _, _ in inbox.got if body["type"] == 3]


def test_an_order_may_come_without_its_recipient(sandbox: TikTokSandbox, caller: Caller) -> None:
    order_id = sandbox.place_order(hold=False)
    sandbox.withhold_address(order_id)
    assert "recipient_address" not in caller.order(order_id)
    sandbox.withhold_address(order_id, on=False)
    assert caller.order(order_id)["recipient_address"]["full_address"]


def test_tiktok_may_take_over_the_shipping(sandbox: TikTokSandbox, caller: Caller) -> None:
    order_id = sandbox.place_order(hold=False)
    sandbox.switch_to_tiktok_shipping(order_id)
    shown = caller.order(order_id)
    assert shown["shipping_type"] == "TIKTOK"
    option = shown["delivery_option_id"]
    assert caller.code("GET", f"/logistics/202309/delivery_options/{option}/shipping_providers") == 21008117
    assert caller.code("GET", "/logistics/202309/delivery_options/1/shipping_providers") == 21008116
    sandbox.switch_to_seller_shipping(order_id)
    sandbox.mask(order_id)
    assert "*" in caller.order(order_id)["recipient_address"]["postal_code"]


# Shipping


def test_shipping_moves_the_lines_and_is_written_down(
    sandbox: TikTokSandbox, caller: Caller, inbox: Inbox
) -> None:
    order_id = sandbox.place_order(hold=False, lines=[("TEE-BLK-M", 3)])
    lines = [line["id"] for line in caller.order(order_id)["line_items"]]
    first = caller.ship(order_id, lines=lines[:1])["data"]
    assert first["order_line_item_ids"] == lines[:1]
    assert "warning" not in first
    assert caller.order(order_id)["status"] == "PARTIALLY_SHIPPING"
    assert caller.ship(order_id)["code"] == 21011048
    assert caller.ship(order_id, lines=lines[:2])["code"] == 21011006
    second = caller.ship(order_id, provider="UPS", lines=lines[1:])["data"]
    shown = caller.order(order_id)
    assert shown["status"] == "AWAITING_COLLECTION"
    assert [package["id"] for package in shown["packages"]] == [first["package_id"], second["package_id"]]
    assert shown["tracking_number"] == shown["line_items"][0]["tracking_number"]  # says nothing of the others
    assert shown["line_items"][2]["shipping_provider_name"] == "UPS"
    assert [entry["what"] for entry in sandbox.ledger] == ["ship", "ship_refused", "ship_refused", "ship"]
    assert sandbox.ledger[0]["line_ids"] == lines[:1]
    assert wait_for(lambda: {(4, ""), (1, "AWAITING_COLLECTION")} <= set(inbox.types()))
    caller.call("GET", f"/fulfillment/202309/packages/{first['package_id']}")
    assert (
        caller.call("POST", "/fulfillment/202309/packages/search", {"page_size": "50"}, {})["total_count"]
        == 2
    )
    sandbox.carrier_scan(order_id)
    caller.call("GET", f"/fulfillment/202309/orders/{order_id}/tracking")
    details = caller.call("GET", f"/logistics/202604/orders/{order_id}/tracking")["logistics_details"]
    assert [detail["carrier_name"] for detail in details] == ["USPS", "UPS"]


def held(sandbox: TikTokSandbox) -> str:
    return sandbox.place_order()


def ready(sandbox: TikTokSandbox, **options: Any) -> str:
    return sandbox.place_order(hold=False, **options)


def cancelled(sandbox: TikTokSandbox) -> str:
    order_id = ready(sandbox)
    sandbox.cancel(order_id, by="SELLER")
    return order_id


def delivered(sandbox: TikTokSandbox) -> str:
    order_id = shipped(sandbox)
    sandbox.carrier_scan(order_id)
    sandbox.deliver(order_id)
    return order_id


def shipped(sandbox: TikTokSandbox) -> str:
    order_id = ready(sandbox)
    sandbox.ship_outside(order_id)
    return order_id


def returned(sandbox: TikTokSandbox) -> str:
    order_id = ready(sandbox)
    sandbox.open_return(order_id)
    return order_id


def within_the_hour(sandbox: TikTokSandbox) -> str:
    sandbox.settings.hour_for_all = True
    return ready(sandbox)


@pytest.mark.parametrize(
    ("code", "make", "how"),
    [
        (21011044, held, {}),
        (21011003, lambda s: s.place_order(paid=False), {}),
        (21011041, cancelled, {}),
        (21011027, delivered, {}),
        (21011006, shipped, {}),
        (21008044, returned, {}),
        (21011044, within_the_hour, {}),
        (21008025, lambda s: ready(s, fulfilled_by_tiktok=True), {}),
        (21011004, lambda s: ready(s, shipping_type="TIKTOK"), {}),
        (21011029, ready, {"lines": ["577200000000000000"]}),
        (21004012, ready, {"number": "1Z 999 AA1"}),
        (21011022, ready, {"number": "1Z9"}),
        (21004015, ready, {"number": "1Z999AA10123456785", "provider": "UPS"}),
        (21004015, ready, {"number": "1Z999AA10123456784", "provider": "USPS"}),
        (11028006, ready, {"number": "HELLO-WORLD", "provider": "UPS"}),
    ],
)
def test_a_push_is_refused_with_tiktoks_own_code(
    sandbox: TikTokSandbox, caller: Caller, code: int, make: Callable[[TikTokSandbox], str], how: Any
) -> None:
    order_id = make(sandbox)
    assert caller.ship(order_id, **how)["code"] == code
    assert sandbox.ledger[-1]["code"] == code
    assert sandbox.violations == []


def test_a_cancelled_line_and_an_unknown_or_closed_provider_are_refused(
    sandbox: TikTokSandbox, caller: Caller
) -> None:
    order_id = ready(sandbox, lines=[("TEE-BLK-M", 2)])
    gone = sandbox.order(order_id).lines[-1].id
    sandbox.cancel_lines(order_id, 1)
    assert caller.ship(order_id, lines=[gone])["code"] == 21011042
    path = f"/fulfillment/202309/orders/{order_id}/packages"
    body = {"tracking_number": sandbox.new_number("USPS"), "shipping_provider_id": "1"}
    assert caller.code("POST", path, None, body) == 21011022
    body["shipping_provider_id"] = caller.provider("USPS")
    sandbox.settings.unavailable_providers = frozenset({"USPS"})
    assert caller.code("POST", path, None, body) == 21004016


def test_a_doubtful_number_is_accepted_with_a_warning(sandbox: TikTokSandbox, caller: Caller) -> None:
    doubtful = caller.ship(ready(sandbox), "QX-12345", provider="DHL eCommerce")
    assert doubtful["data"]["warning"]["message"]
    sandbox.settings.warn_always = "The check timed out"
    assert caller.ship(ready(sandbox))["data"]["warning"] == {"message": "The check timed out"}
    assert sandbox.ledger[-1]["warning"] == "The check timed out"


def test_a_number_serves_one_order_or_one_household_or_one_group(
    sandbox: TikTokSandbox, caller: Caller
) -> None:
    number = sandbox.new_number("USPS")
    first, stranger = ready(sandbox), ready(sandbox)
    neighbour = ready(sandbox, same_buyer_as=first)
    assert caller.ship(first, number)["code"] == 0
    assert caller.ship(stranger, number)["code"] == 21011025
    joined = caller.ship(neighbour, number)["data"]
    assert caller.order(first)["packages"] == [{"id": joined["package_id"]}]
    assert caller.order(first)["split_or_combine_tag"] == "COMBINED"
    group = [ready(sandbox), ready(sandbox)]
    sandbox.combine(group)
    shared = sandbox.new_number("USPS")
    assert [caller.ship(order_id, shared)["code"] for order_id in group] == [0, 0]
    elsewhere = Caller(sandbox, "Harbor Goods")
    assert elsewhere.ship(ready(sandbox, shop_id=elsewhere.shop["id"]), number)["code"] == 21034012
    for _ in range(18):
        assert caller.ship(ready(sandbox, same_buyer_as=first), number)["code"] == 0
    assert caller.ship(ready(sandbox, same_buyer_as=first), number)["code"] == 21011026


def test_the_newer_version_ships_parts_of_a_bundle(sandbox: TikTokSandbox, caller: Caller) -> None:
    order_id = ready(sandbox, lines=[{"sku": "SET", "price": "30", "bundle": [("MUG-WHT", 2)]}])
    line = caller.order(order_id)["line_items"][0]
    assert line["combined_listing_skus"][0]["sku_count"] == 2
    path = f"/fulfillment/202610/orders/{order_id}/packages"

    def body(part: str, *numbers: str) -> dict[str, Any]:
        usps = caller.provider("USPS")
        return {
            "order_line_list": [{"order_line_id": line["id"], "sub_item_id": part}],
            "shipping_info_list": [{"tracking_number": n, "shipping_provider_id": usps} for n in numbers],
        }

    one, two = (part["id"] for part in line["sub_item_info"])
    assert caller.code("POST", path, None, body(one)) == 21011022
    assert caller.code("POST", path, None, body(one, *(sandbox.new_number("USPS") for _ in "ab"))) == 21011022
    caller.call("POST", path, None, body(one, sandbox.new_number("USPS")))
    assert caller.order(order_id)["status"] == "PARTIALLY_SHIPPING"
    caller.call("POST", path, None, body(two, sandbox.new_number("USPS")))
    assert caller.order(order_id)["status"] == "AWAITING_COLLECTION"
    sandbox.settings.retired_ship_versions = frozenset({"202610"})
    assert caller.code("POST", path, None, body(two, "9400111899223100001984")) == 36009014


def test_one_correction_within_72_hours(sandbox: TikTokSandbox, caller: Caller) -> None:
    def correct(order_id: str, number: str = "") -> int:
        body = {
            "tracking_number": number or sandbox.new_number("UPS"),
            "shipping_provider_id": caller.provider("UPS"),
        }
        return caller.code("POST", f"/fulfillment/202309/orders/{order_id}/shipping_info/update", None, body)

    assert correct(ready(sandbox)) == 21011043
    order_id = shipped(sandbox)
    assert correct(order_id, "1Z999AA10123456785") == 21004015
    assert correct(order_id, "x") == 36009004
    assert correct(order_id, "1Z999AA10123456784") == 0
    assert caller.order(order_id)["tracking_number"] == "1Z999AA10123456784"
    assert caller.order(order_id)["shipping_provider"] == "UPS"
    assert correct(order_id) == 21011051
    assert correct(delivered(sandbox)) == 21011030
    assert [entry["what"] for entry in sandbox.ledger if entry["what"].startswith("correction")] == [
        "correction_refused",
        "correction",
        "correction_refused",
        "correction_refused",
    ]
    late = shipped(sandbox)
    sandbox.clock.advance(72 * 3600 + 5)
    assert correct(late) == 21011050


def test_a_partly_shipped_order_is_corrected_by_its_package_alone(
    sandbox: TikTokSandbox, caller: Caller
) -> None:
    order_id = ready(sandbox, lines=[("TEE-BLK-M", 2)])
    package = sandbox.ship_outside(order_id, lines=1)
    info = {"tracking_number": sandbox.new_number("UPS"), "shipping_provider_id": caller.provider("UPS")}
    update = "shipping_info/update"
    assert caller.code("POST", f"/fulfillment/202309/orders/{order_id}/{update}", None, info) == 21011048
    caller.call("POST", f"/fulfillment/202309/packages/{package}/{update}", None, info)
    assert caller.order(order_id)["line_items"][0]["tracking_number"] == info["tracking_number"]


def test_the_number_of_an_order_shipped_whole_may_stand_at_its_own_level_alone(
    sandbox: TikTokSandbox, caller: Caller
) -> None:
    sandbox.settings.numbers_on_lines = False
    order_id = ready(sandbox, lines=[("TEE-BLK-M", 2)])
    sandbox.ship_outside(order_id, lines=1)
    assert caller.order(order_id)["line_items"][0]["tracking_number"]
    whole = caller.order(shipped(sandbox))
    assert whole["tracking_number"]
    assert not any(line.get("tracking_number") for line in whole["line_items"])


@pytest.mark.parametrize("version", ["202309", "202610"])
def test_several_packages_are_corrected_one_by_one(
    sandbox: TikTokSandbox, caller: Caller, version: str
) -> None:
    order_id = ready(sandbox, lines=[("TEE-BLK-M", 2)])
    sandbox.ship_outside(order_id, lines=1)
    package = sandbox.ship_outside(order_id)
    info = {"tracking_number": sandbox.new_number("UPS"), "shipping_provider_id": caller.provider("UPS")}
    update = "shipping_info/update"
    assert caller.code("POST", f"/fulfillment/202309/orders/{order_id}/{update}", None, info) == 21011048
    body = info if version == "202309" else {"shipping_info_list": [info]}
    caller.call("POST", f"/fulfillment/{version}/packages/{package}/{update}", None, body)
    assert caller.order(order_id)["line_items"][1]["tracking_number"] == info["tracking_number"]
    assert caller.code("POST", f"/fulfillment/{version}/packages/1/{update}", None, body) == 21008111


def test_all_published_numbers_fit_their_carrier_and_typos_do_not() -> None:
    rows = json.loads((Path(carriers.__file__).parent / "contract" / "carriers.json").read_text("utf-8"))
    for row in rows["formats"]:
        market = "UK" if row["tiktok_provider"] in {p.name for p in carriers.providers("UK")} else "US"
        provider = carriers.provider_named(market, row["tiktok_provider"])
        for number in row["valid_examples"]:
            assert carriers.judge(provider, number).code == 0, number
    usps = carriers.provider_named("US", "USPS")
    assert carriers.judge(usps, "9400111899223100001985").code == 21004015
    royal = carriers.provider_named("UK", "Royal Mail")
    assert carriers.judge(royal, "AB123456789GB").code == 0
    assert carriers.judge(royal, "1Z999AA10123456784").code != 0


# References, webhook addresses, listings


def test_external_references_are_kept_per_order(sandbox: TikTokSandbox, caller: Caller) -> None:
    order_id = ready(sandbox)
    line = sandbox.order(order_id).lines[0].id
    reference = {"id": "5512", "platform": "SHOPIFY", "line_items": [{"id": "991", "origin_id": line}]}
    wrong = {"id": "5513", "platform": "SHOPIFY", "line_items": [{"id": "991", "origin_id": "0"}]}
    rows = [{"id": order_id, "external_order": reference}, {"id": order_id, "external_order": wrong}]
    rows.append({"id": "1", "external_order": reference})
    errors = caller.call("POST", "/order/202406/orders/external_orders", None, {"orders": rows})["errors"]
    assert [error["detail"]["order_id"] for error in errors] == [order_id, "1"]
    path = f"/order/202406/orders/{order_id}/external_orders"
    assert caller.call("GET", path, {"platform": "SHOPIFY"})["external_orders"] == [reference]
    query = {"platform": "SHOPIFY", "external_order_id": "5512"}
    found = caller.call("POST", "/order/202406/orders/external_order_search", query, {})
    assert [order["id"] for order in found["orders"]] == [order_id]
    assert sandbox.ledger[-1]["what"] == "external_order"


def test_listings_and_warehouses_have_the_documented_shape(sandbox: TikTokSandbox, caller: Caller) -> None:
    first = caller.call("POST", "/product/202502/products/search", {"page_size": "6"}, {"status": "ACTIVATE"})
    rest = caller.call(
        "POST",
        "/product/202502/products/search",
        {"page_size": "6", "page_token": first["next_page_token"]},
        {},
    )
    listed = [
        sku["seller_sku"] for product in first["products"] + rest["products"] for sku in product["skus"]
    ]
    assert len(listed) == len(set(listed)) == 11
    assert "TT-ONLY-7" in listed
    one = caller.call(
        "POST", "/product/202502/products/search", {"page_size": "6"}, {"seller_skus": ["MUG-WHT"]}
    )
    assert one["total_count"] == 1
    warehouse = caller.call("GET", "/logistics/202309/warehouses")["warehouses"][0]
    options = caller.call("GET", f"/logistics/202309/warehouses/{warehouse['id']}/delivery_options")
    assert options["delivery_options"][0]["type"] == "SEND_BY_SELLER"


# Webhooks


def test_webhooks_are_signed_and_go_to_the_registered_address(
    sandbox: TikTokSandbox, caller: Caller, inbox: Inbox
) -> None:
    sandbox.webhooks.hook_url = None
    sandbox.place_order()
    body = {"address": inbox.url, "event_type": "ORDER_STATUS_CHANGE"}
    caller.call("PUT", "/event/202309/webhooks", None, body)
    hook = caller.call("GET", "/event/202309/webhooks")["webhooks"][0]
    assert hook["create_time"] > 10**12
    order_id = sandbox.place_order()
    assert wait_for(lambda: inbox.got)
    content, authorization, raw = inbox.got[0]
    app = sandbox.apps["US"]
    expected = hmac.new(app.app_secret.encode(), app.app_key.encode() + raw, hashlib.sha256).hexdigest()
    assert authorization == expected
    assert content["data"]["order_id"] == order_id
    assert contract.webhook_faults("ORDER_STATUS_CHANGE", content) == []
    caller.call("DELETE", "/event/202309/webhooks", None, {"event_type": "ORDER_STATUS_CHANGE"})
    caller.call("DELETE", "/event/202309/webhooks", None, {"event_type": "ORDER_STATUS_CHANGE"})
    sandbox.place_order()
    sandbox.webhooks.settle()
    assert len(inbox.got) == 1


@pytest.mark.parametrize(
    "address",
    [
        "http://app.example.com/h",
        "https://app.example.com:8443/h",
        "https://192.0.2.7/h",
        "http://127.0.0.1:8000/h",
    ],
)
def test_only_a_public_https_name_may_be_registered(
    sandbox: TikTokSandbox, caller: Caller, address: str
) -> None:
    sandbox.settings.public_hooks_only = True
    body = {"address": address, "event_type": "ORDER_STATUS_CHANGE"}
    assert caller.code("PUT", "/event/202309/webhooks", None, body) == 36009004
    body["address"] = "https://app.example.com/webhooks/tiktok"
    assert caller.code("PUT", "/event/202309/webhooks", None, body) == 0


def test_a_shop_without_consent_is_not_talked_about(sandbox: TikTokSandbox, inbox: Inbox) -> None:
    sandbox.place_order()
    assert sandbox.webhooks.settle()
    assert inbox.got == []


def test_every_topic_has_the_documented_shape(sandbox: TikTokSandbox, caller: Caller, inbox: Inbox) -> None:
    first, second = ready(sandbox, paid=False), ready(sandbox)
    sandbox.pay(first)
    sandbox.change_address(first)
    sandbox.combine([first, second])
    sandbox.buyer_requests_cancel(first)
    sandbox.decide_cancel(first, approve=False)
    sandbox.authorization_expiring()
    sandbox.deauthorize()
    assert wait_for(lambda: {1, 3, 4, 6, 7, 11} == {body["type"] for body, _, _ in inbox.got})
    topics = {number: topic for topic, number in contract.webhook_types().items()}
    for body, _, _ in inbox.got:
        assert contract.webhook_faults(topics[body["type"]], body) == []
    words = {body["data"].get("cancel_status") for body, _, _ in inbox.got if body["type"] == 11}
    assert words == {"CANCELLATION_REQUEST_PENDING", "CANCELLATION_REQUEST_CANCELLED"}


def test_a_failed_delivery_is_retried_four_times_and_then_dropped(
    sandbox: TikTokSandbox, caller: Caller, inbox: Inbox
) -> None:
    inbox.answer = lambda: (503, b"")
    sandbox.webhooks.retry_scale = 1e-6
    sandbox.place_order()
    assert wait_for(lambda: len(inbox.got) == 5)
    time.sleep(0.2)
    assert len(inbox.got) == 5
    assert len({body["tts_notification_id"] for body, _, _ in inbox.got}) == 1
    assert [entry["attempt"] for entry in sandbox.webhooks.sent] == [0, 1, 2, 3, 4]
    assert {violation["what"] for violation in sandbox.violations} == {"webhook"}


def test_the_next_retry_comes_when_the_clock_says_so(
    sandbox: TikTokSandbox, caller: Caller, inbox: Inbox
) -> None:
    inbox.answer = lambda: (500, b"")
    sandbox.place_order(hold=False)
    assert wait_for(lambda: len(inbox.got) == 1)
    inbox.answer = lambda: (200, b"")
    sandbox.clock.advance(121)
    assert wait_for(lambda: len(inbox.got) == 2)


def test_an_answer_with_a_body_breaks_the_rules(sandbox: TikTokSandbox, caller: Caller, inbox: Inbox) -> None:
    inbox.answer = lambda: (200, b"ok")
    sandbox.place_order()
    assert wait_for(lambda: sandbox.violations)
    assert "must be empty" in sandbox.violations[0]["words"]


def test_a_slow_answer_breaks_the_rules(sandbox: TikTokSandbox, caller: Caller, inbox: Inbox) -> None:
    over = threading.Event()
    inbox.answer = lambda: (200 if over.wait(10) else 500, b"")
    sandbox.place_order()
    assert wait_for(lambda: sandbox.violations)
    over.set()
    assert "within 3 s" in sandbox.violations[0]["words"]


def test_deliveries_can_be_lost_paused_repeated_and_replayed(
    sandbox: TikTokSandbox, caller: Caller, inbox: Inbox
) -> None:
    sandbox.webhooks.drop(1)
    sandbox.place_order()
    sandbox.webhooks.pause()
    sandbox.place_order()
    sandbox.webhooks.repeat = (3, 3)
    sandbox.place_order()
    time.sleep(0.1)
    assert inbox.got == []
    sandbox.webhooks.resume()
    assert wait_for(lambda: len(inbox.got) == 4)
    sandbox.webhooks.replay()
    assert wait_for(lambda: len(inbox.got) == 6)
    sandbox.webhooks.lose = 1.0
    sandbox.place_order()
    sandbox.webhooks.settle()
    assert len(inbox.got) == 6


def test_by_default_one_in_fifty_is_late_or_doubled() -> None:
    inbox = Inbox()
    with TikTokSandbox(hook_url=inbox.url, seed=5) as sandbox:
        assert sandbox.webhooks.late_or_doubled == 1 / 50
        sandbox.webhooks.late_or_doubled = 1.0
        Caller(sandbox)
        for _ in range(20):
            sandbox.place_order()
        sandbox.clock.advance(9)
        assert wait_for(lambda: len({body["data"]["order_id"] for body, _, _ in inbox.got}) == 20)
        assert wait_for(lambda: len(inbox.got) > 20)
    inbox.close()


# Faults


def test_faults_before_acting_leave_no_effect(sandbox: TikTokSandbox, caller: Caller) -> None:
    order_id = ready(sandbox)
    usps = caller.provider("USPS")
    body = {"tracking_number": sandbox.new_number("USPS"), "shipping_provider_id": usps}
    path = f"/fulfillment/202309/orders/{order_id}/packages"
    for kind, status in (("500", 500), ("503", 503), ("429", 429)):
        sandbox.faults.add("ship", kind)
        assert caller.send("POST", path, None, body).status_code == status
    sandbox.faults.add("markPackageAsShipped202309", "timeout_before", seconds=0.1)
    with pytest.raises(requests.ConnectionError):
        caller.send("POST", path, None, body)
    sandbox.faults.add("ship", "error", code=21011007, message="after-sale open")
    assert caller.code("POST", path, None, body) == 21011007
    assert sandbox.ledger == []
    assert caller.code("POST", path, None, body) == 0


@pytest.mark.parametrize("kind", ["lost_reply", "truncated", "500_after"])
def test_faults_after_acting_lose_only_the_answer(sandbox: TikTokSandbox, caller: Caller, kind: str) -> None:
    order_id = ready(sandbox)
    caller.provider("USPS")
    sandbox.faults.add("ship", kind)
    try:
        reply = caller.ship(order_id)
    except requests.RequestException:
        reply = {"code": 36009003}
    assert reply["code"] == 36009003
    assert [entry["what"] for entry in sandbox.ledger] == ["ship"]


def test_an_answer_can_drip(sandbox: TikTokSandbox, caller: Caller) -> None:
    sandbox.faults.add("shops", "slow_drip", seconds=0.001)
    assert caller.code("GET", "/authorization/202309/shops", cipher=False) == 0
    sandbox.faults.add("*", "slow_drip", seconds=1)
    began = time.monotonic()
    with pytest.raises(requests.RequestException):
        caller.send("GET", "/authorization/202309/shops", cipher=False, timeout=0.3)
    assert time.monotonic() - began < 2


def test_a_share_of_all_calls_can_fail_and_answers_can_be_awkward(
    sandbox: TikTokSandbox, caller: Caller
) -> None:
    sandbox.faults.share(1.0, "500")
    assert caller.send("GET", "/order/202507/orders", {"ids": "1"}).status_code == 500
    sandbox.faults.clear()
    sandbox.settings.errors_on_200 = True
    assert caller.send("GET", "/order/202507/orders", {"ids": "1"}, token="stranger").status_code == 200
    sandbox.settings.null_data = True
    body = {"event_type": "ORDER_STATUS_CHANGE"}
    assert caller.send("DELETE", "/event/202309/webhooks", None, body).json()["data"] is None


# Running it


def test_everything_can_be_done_from_another_process(sandbox: TikTokSandbox, caller: Caller) -> None:
    def post(name: str, **values: Any) -> requests.Response:
        return requests.post(f"{sandbox.url}/_sandbox/{name}", json=values, timeout=5)

    def get(name: str) -> Any:
        return requests.get(f"{sandbox.url}/_sandbox/{name}", timeout=5).json()

    order_id = post("place_order", lines=[["TEE-BLK-M", 1]], hold_seconds=60).json()
    post("clock", advance=61)
    assert get(f"orders/{order_id}")["status"] == "AWAITING_SHIPMENT"
    assert get("orders")[0]["id"] == order_id
    post("ship_outside", order_id=order_id, provider="UPS")
    assert get("ledger")[0]["what"] == "ship_outside"
    refused = post("ship_outside", order_id=order_id)
    assert (refused.status_code, refused.json()["code"]) == (409, 21011006)
    assert post("faults", operation="ship", kind="500").status_code == 200
    assert post("faults", operation="ship", kind="nonsense").status_code == 400
    assert post("settings", hold_seconds=5, retry_scale=0.1, late_seconds=[1, 2]).status_code == 200
    assert sandbox.settings.hold_seconds == 5
    assert sandbox.webhooks.late_seconds == (1, 2)
    assert post("settings", nonsense=1).status_code == 400
    assert post("stop").status_code == 400
    assert get("state")["orders"] == {"AWAITING_COLLECTION": 1}
    assert get("violations") == get("webhooks") == []
    assert sandbox.order(order_id).buyer.name in get("personal")
    assert len(get("shops")) == 3
    assert post("consent", state="x").json().startswith("https://app.example.com")
    assert post("fault_share", probability=0.5, kinds=["500"]).status_code == 200
    assert post("faults", clear=True).status_code == 200
    assert post("webhooks/drop", count=1).status_code == 200
    assert post("change_quantity", order_id=order_id, sku="NOT-THERE", quantity=2).status_code == 400
    assert post("place_kind", kind="two_parcels").status_code == 200
    for name in ("webhooks/pause", "webhooks/resume", "webhooks/replay"):
        assert post(name).status_code == 200


def test_its_memory_survives_a_restart(tmp_path: Path) -> None:
    saved = tmp_path / "deep" / "tiktok.state"
    with TikTokSandbox(state_path=saved, easy=True) as before:
        caller = Caller(before)
        order_id = before.place_order(hold_seconds=30)
        before.clock.advance(10)
    with TikTokSandbox(state_path=saved, easy=True) as after:
        caller.sandbox = after
        assert caller.order(order_id)["status"] == "ON_HOLD"
        after.clock.advance(21)
        assert caller.order(order_id)["status"] == "AWAITING_SHIPMENT"
        assert after.place_order() != order_id


def test_the_demo_stream_begins_with_one_of_each_kind(sandbox: TikTokSandbox) -> None:
    sandbox.stream(every=0.05, hold_seconds=1)
    assert wait_for(lambda: len(sandbox.orders) >= 9, seconds=2)
    orders = list(sandbox.orders.values())
    assert orders[3].shipping_type == "TIKTOK"
    assert orders[4].lines[0].sku.seller_sku == "TT-ONLY-7"
    assert len(orders[6].lines) == 3
    assert "two parcels" in orders[6].seller_note
    assert wait_for(lambda: sandbox.order(orders[2].id).status == "CANCELLED")
    assert wait_for(lambda: sandbox.order(orders[0].id).status == "AWAITING_SHIPMENT")
    sandbox.stop_stream()
    count = len(sandbox.orders)
    time.sleep(0.15)
    assert len(sandbox.orders) == count


def test_the_same_seed_invents_the_same_buyers() -> None:
    names = []
    for _ in range(2):
        sandbox = TikTokSandbox(seed=7)
        names.append(sandbox.orders[sandbox.place_order()].buyer.name)
    assert names[0] == names[1]
