"""The Shopify sandbox judges as the platform does, or its verdict on the product is worth nothing."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from shopify_app.sandbox import DEMO_SHOP, ShopifySandbox, ShopState, UserErrors
from shopify_app.sandbox.carriers import MAKERS, tracking_number
from shopify_app.sandbox.cost import requested_cost
from shopify_app.sandbox.webhooks import Delivery
from tests.scripted import Answer, Asked, ScriptedServer

EXAMPLES = Path(__file__).parent / "contract" / "shopify"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
OFFLINE = "urn:shopify:params:oauth:token-type:offline-access-token"
NO_HOOK = {"webhooks": {"subscriptions": [{"topics": ["bulk_operations/finish"], "uri": "/nowhere"}]}}
REFERENCE = {"order": {"metafields": {"app": {"tiktok_order_id": {"type": "id"}}}}}

CREATE = """mutation Create($input: DraftOrderInput!) { draftOrderCreate(input: $input) {
  draftOrder { id name ready tags
    totalPriceSet { presentmentMoney { amount } } totalTaxSet { presentmentMoney { amount } } }
  userErrors { field message } } }"""
UPDATE = """mutation Update($id: ID!, $input: DraftOrderInput!) { draftOrderUpdate(id: $id, input: $input) {
  draftOrder { id tags note2 totalPriceSet { presentmentMoney { amount } } lineItems(first: 10) { nodes { sku } } }
  userErrors { field message } } }"""
COMPLETE = """mutation Complete($id: ID!) { draftOrderComplete(id: $id) {
  draftOrder { status order { id name displayFinancialStatus paymentGatewayNames tags note } }
  userErrors { field message } } }"""
DELETE = """mutation Delete($input: DraftOrderDeleteInput!) { draftOrderDelete(input: $input) {
  deletedId userErrors { message } } }"""
FIND = """query Find($query: String!, $first: Int = 10, $after: String) {
  draftOrders(first: $first, after: $after, query: $query) { nodes { id } pageInfo { hasNextPage endCursor } } }"""
VARIANTS = "query V($q: String!) { productVariants(first: 50, query: $q, sortKey: ID) { nodes { id sku } } }"
CANCEL = """mutation Cancel($id: ID!) {
  orderCancel(orderId: $id, reason: CUSTOMER, restock: true, notifyCustomer: false,
    refundMethod: {originalPaymentMethodsRefund: true}) { job { id done } orderCancelUserErrors { code message } } }"""
ORDER_UPDATE = """mutation U($input: OrderInput!) { orderUpdate(input: $input) {
  order { id customAttributes { key value } metafield(key: "tiktok_order_id") { value } } userErrors { message } } }"""


class App:
    """An installed app's way to a shop of the sandbox."""

    def __init__(self, sandbox: ShopifySandbox, domain: str = DEMO_SHOP) -> None:
        self.sandbox = sandbox
        self.domain = domain
        self.tokens = self.exchange().json()

    @property
    def shop(self) -> ShopState:
        return self.sandbox.shop(self.domain)

    def exchange(self, **changes: Any) -> requests.Response:
        body = {
            "client_id": self.sandbox.api_key,
            "client_secret": self.sandbox.api_secret,
            "grant_type": EXCHANGE,
            "subject_token": self.sandbox.id_token(self.domain),
            "subject_token_type": ID_TOKEN,
            "requested_token_type": OFFLINE,
            "expiring": "1",
        }
        return self.ask_for_token(
            {name: value for name, value in {**body, **changes}.items() if value is not None}
        )

    def refresh(self, refresh_token: str) -> requests.Response:
        credentials = {"client_id": self.sandbox.api_key, "client_secret": self.sandbox.api_secret}
        return self.ask_for_token(
            {**credentials, "grant_type": "refresh_token", "refresh_token": refresh_token}
        )

    def ask_for_token(self, body: dict[str, Any]) -> requests.Response:
        url = self.sandbox.shop_url.format(shop=self.domain)
        return requests.post(f"{url}/admin/oauth/access_token", json=body, timeout=5)

    def post(self, text: str, version: str = "2026-10", **variables: Any) -> requests.Response:
        url = self.sandbox.shop_url.format(shop=self.domain)
        return requests.post(
            f"{url}/admin/api/{version}/graphql.json",
            json={"query": text, "variables": variables},
            headers={"X-Shopify-Access-Token": self.tokens["access_token"]},
            timeout=5,
        )

    def ask(self, text: str, **variables: Any) -> Any:
        answer = self.post(text, **variables)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def data(self, text: str, **variables: Any) -> Any:
        answer = self.ask(text, **variables)
        assert "errors" not in answer, answer
        return next(iter(answer["data"].values()))

    def draft(self, **changes: Any) -> Any:
        payload = self.data(CREATE, input=draft_input(**changes))
        assert payload["userErrors"] == []
        return payload["draftOrder"]

    def refused_draft(self, **changes: Any) -> str:
        payload = self.data(CREATE, input=draft_input(**changes))
        assert payload["draftOrder"] is None
        return str(payload["userErrors"][0]["message"])

    def order(self, **changes: Any) -> str:
        payload = self.data(COMPLETE, id=self.draft(**changes)["id"])
        assert payload["userErrors"] == []
        return str(payload["draftOrder"]["order"]["id"])


def money(amount: str, currency: str = "USD") -> dict[str, str]:
    return {"amount": amount, "currencyCode": currency}


def line(sku: str = "TEE-BLK-M", quantity: int = 1, price: str = "18.50", **more: Any) -> dict[str, Any]:
    return {"variantId": SKUS[sku], "quantity": quantity, "priceOverride": money(price), **more}


def draft_input(**changes: Any) -> dict[str, Any]:
    given = {
        "lineItems": [line()],
        "shippingLine": {"title": "TikTok Shop shipping", "priceWithCurrency": money("4.99")},
        "tags": ["TikTok Shop", "tiktok-on-hold", "tts-577"],
        "note": "on hold",
        "customAttributes": [{"key": "tiktok_order_id", "value": "577"}],
        "presentmentCurrencyCode": "USD",
        "taxExempt": True,
        "acceptAutomaticDiscounts": False,
    }
    return {name: value for name, value in {**given, **changes}.items() if value is not ...}


SKUS = {"TEE-BLK-M": "gid://shopify/ProductVariant/51000000000001"}
SKUS |= {"TEE-BLK-L": "gid://shopify/ProductVariant/51000000000002"}


@pytest.fixture
def sandbox() -> Iterator[ShopifySandbox]:
    with ShopifySandbox(easy=True, config=NO_HOOK | REFERENCE) as running:
        yield running


@pytest.fixture
def app(sandbox: ShopifySandbox) -> App:
    return App(sandbox)


class Hook(ScriptedServer):
    """Where webhooks go: answers the planned statuses, then always `then`."""

    def __init__(self) -> None:
        super().__init__()
        self.then = 200

    def answer(self, asked: Asked) -> Answer:
        with self.lock:
            self.asked.append(asked)
            return self.answers.popleft() if self.answers else Answer(self.then)

    def plan(self, *statuses: int) -> None:
        self.answers.extend(Answer(status) for status in statuses)


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as server:
        yield server


# Tokens


def test_a_valid_session_token_installs_the_app_and_buys_an_expiring_pair(app: App) -> None:
    assert app.tokens["expires_in"] == 3600
    assert app.tokens["refresh_token_expires_in"] == 7776000
    assert app.tokens["scope"] == "read_products,write_draft_orders,write_orders,read_fulfillments"
    assert app.shop.installed


@pytest.mark.parametrize("changes", [{"subject_token": "not.a.token"}, {"client_secret": "wrong"}])
def test_what_is_not_ours_buys_no_token(app: App, changes: dict[str, str]) -> None:
    answer = app.exchange(**changes)
    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_subject_token", "invalid_client")


def test_a_session_token_of_another_shop_or_a_minute_old_buys_no_token(app: App) -> None:
    app.sandbox.add_shop("other.myshopify.com")
    assert app.exchange(subject_token=app.sandbox.id_token("other.myshopify.com")).status_code == 400
    old = app.sandbox.id_token()
    app.sandbox.clock.advance(71)
    assert app.exchange(subject_token=old).status_code == 400


def test_a_token_that_never_expires_is_refused_by_the_admin_api(app: App) -> None:
    app.tokens = app.exchange(expiring=None).json()
    assert "refresh_token" not in app.tokens
    assert app.post("{ shop { name } }").status_code == 403
    assert "expiring" in app.sandbox.violations[0]["words"]


def test_an_access_token_lives_an_hour_and_its_refresh_token_ninety_days(app: App) -> None:
    app.sandbox.clock.advance(3601)
    assert app.post("{ shop { name } }").status_code == 401
    app.tokens = app.refresh(app.tokens["refresh_token"]).json()
    assert app.post("{ shop { name } }").status_code == 200
    app.sandbox.clock.advance(timedelta(days=91).total_seconds())
    dead = app.refresh(app.tokens["refresh_token"])
    assert (dead.status_code, dead.json()["error"]) == (400, "invalid_grant")


def test_a_replaced_refresh_token_works_until_its_successor_is_used(app: App) -> None:
    first = app.tokens["refresh_token"]
    lost = app.refresh(first).json()["refresh_token"]
    again = app.refresh(first)
    assert again.status_code == 200
    assert app.refresh(lost).status_code == 400
    assert app.refresh(again.json()["refresh_token"]).status_code == 200
    assert app.refresh(first).status_code == 400


def test_uninstalling_kills_the_tokens_at_once(app: App) -> None:
    app.shop.uninstall()
    assert app.post("{ shop { name } }").status_code == 401
    assert app.refresh(app.tokens["refresh_token"]).status_code == 400
    app.tokens = app.exchange().json()
    assert app.post("{ shop { name } }").status_code == 200


@pytest.mark.parametrize("status", [402, 403, 423])
def test_a_closed_shop_answers_with_its_status(app: App, status: int) -> None:
    app.shop.answers_with = status
    assert app.post("{ shop { name } }").status_code == status


# Drafts


def test_the_total_is_what_the_lines_and_the_shipping_add_up_to(app: App) -> None:
    draft = app.draft(
        lineItems=[line(quantity=2, price="17.01"), {"title": "Mug", "quantity": 1} | custom("9.00")]
    )
    assert amount(draft["totalPriceSet"]) == Decimal("48.01")
    assert amount(draft["totalTaxSet"]) == 0


def test_without_tax_exemption_tax_comes_on_top(app: App) -> None:
    draft = app.draft(taxExempt=...)
    assert amount(draft["totalTaxSet"]) == Decimal("1.94")
    assert amount(draft["totalPriceSet"]) == Decimal("25.43")


def test_the_shops_automatic_discount_applies_unless_it_is_declined(app: App) -> None:
    assert amount(app.draft(acceptAutomaticDiscounts=...)["totalPriceSet"]) == Decimal("21.64")


def test_an_order_discount_is_taken_off_once(app: App) -> None:
    discount = {"title": "d", "valueType": "FIXED_AMOUNT", "value": 2.0, "amountWithCurrency": money("2.00")}
    assert amount(app.draft(appliedDiscount=discount)["totalPriceSet"]) == Decimal("21.49")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lineItems": []}, "Add at least 1 product"),
        (
            {"lineItems": [{"variantId": "gid://shopify/ProductVariant/1", "quantity": 1}]},
            "no longer available",
        ),
        ({"lineItems": [{"title": "", "quantity": 1}]}, "title is empty"),
        ({"lineItems": [{"title": "Mug", "quantity": 0}]}, "Quantity"),
        ({"presentmentCurrencyCode": "GBP", "shippingLine": ...}, "not enabled"),
        ({"tags": ["x" * 41]}, "Title Tag exceeds"),
        ({"reserveInventoryUntil": "2020-01-01T00:00:00Z"}, "in the past"),
    ],
)
def test_a_bad_draft_is_refused_in_words(app: App, changes: dict[str, Any], words: str) -> None:
    assert words in app.refused_draft(**changes)
    assert not app.shop.drafts


def test_five_hundred_lines_are_refused_for_their_number(app: App) -> None:
    answer = app.ask(CREATE, input=draft_input(lineItems=[line()] * 500))
    assert answer["errors"][0]["extensions"]["code"] == "MAX_INPUT_SIZE_EXCEEDED"
    assert len(app.shop.drafts) == 0
    assert app.draft(lineItems=[line()] * 499)


def test_two_equal_creates_make_two_drafts(app: App) -> None:
    assert app.draft()["id"] != app.draft()["id"]
    assert len(app.shop.drafts) == 2


def test_an_update_keeps_what_is_left_out_and_replaces_lists(app: App) -> None:
    draft = app.draft()
    payload = app.data(UPDATE, id=draft["id"], input={"tags": ["b", "a"]})
    assert payload["draftOrder"]["tags"] == ["a", "b"]
    assert payload["draftOrder"]["note2"] == "on hold"
    payload = app.data(UPDATE, id=draft["id"], input={"lineItems": [line("TEE-BLK-L", price="10.00")]})
    assert [node["sku"] for node in payload["draftOrder"]["lineItems"]["nodes"]] == ["TEE-BLK-L"]
    assert amount(payload["draftOrder"]["totalPriceSet"]) == Decimal("14.99")


def test_a_refused_update_changes_nothing(app: App) -> None:
    draft = app.draft()
    payload = app.data(UPDATE, id=draft["id"], input={"note": "new", "tags": ["x" * 41]})
    assert payload["userErrors"]
    assert app.shop.drafts[draft["id"]].note == "on hold"


def test_completing_takes_patience_until_the_draft_is_ready(sandbox: ShopifySandbox, app: App) -> None:
    sandbox.ready_after(30)
    draft = app.draft()
    assert draft["ready"] is False
    assert app.data(COMPLETE, id=draft["id"])["userErrors"]
    sandbox.clock.advance(30)
    assert app.data(COMPLETE, id=draft["id"])["userErrors"] == []


def test_completing_pays_on_the_manual_gateway_and_carries_tags_and_note_over(app: App) -> None:
    draft = app.draft(lineItems=[line(customAttributes=[{"key": "_ids", "value": "1,2"}])])
    order = app.data(COMPLETE, id=draft["id"])["draftOrder"]["order"]
    assert order["displayFinancialStatus"] == "PAID"
    assert order["paymentGatewayNames"] == ["manual"]
    assert order["tags"] == ["TikTok Shop", "tiktok-on-hold", "tts-577"]
    assert order["note"] == "on hold"
    assert order["name"] == "#1001"
    kept = app.shop.orders[order["id"]]
    assert kept.attributes == {}
    assert kept.lines[0].attributes == {"_ids": "1,2"}


def test_completing_twice_is_harmless(app: App) -> None:
    draft = app.draft()
    first = app.data(COMPLETE, id=draft["id"])
    second = app.data(COMPLETE, id=draft["id"])
    assert second["draftOrder"] == first["draftOrder"]
    assert second["userErrors"] == [{"field": None, "message": "This order has been paid"}]
    assert len(app.shop.orders) == 1


def test_a_deleted_draft_is_gone(app: App) -> None:
    draft = app.draft()
    assert app.data(DELETE, input={"id": draft["id"]})["deletedId"] == draft["id"]
    assert app.data("query D($id: ID!) { draftOrder(id: $id) { id } }", id=draft["id"]) is None
    assert app.data(DELETE, input={"id": draft["id"]})["userErrors"]


def test_an_email_or_a_customer_on_a_draft_is_a_mail_and_a_violation(app: App) -> None:
    app.draft(email="buyer@example.com")
    assert app.sandbox.mails
    assert "email" in app.sandbox.violations[0]["words"]


# Stock


def test_reserved_stock_comes_back_by_itself_and_when_the_draft_is_deleted(app: App) -> None:
    until = app.sandbox.clock.now() + timedelta(hours=1)
    draft = app.draft(lineItems=[line(quantity=3)], reserveInventoryUntil=until.isoformat())
    tee = app.shop.variant("TEE-BLK-M")
    assert (tee.available, tee.reserved) == (997, 3)
    app.sandbox.clock.advance(3600)
    app.tokens = app.refresh(app.tokens["refresh_token"]).json()
    app.ask("{ shop { name } }")
    assert (tee.available, tee.reserved) == (1000, 0)
    later = (app.sandbox.clock.now() + timedelta(hours=1)).isoformat()
    app.data(UPDATE, id=draft["id"], input={"reserveInventoryUntil": later})
    assert tee.reserved == 3
    app.data(DELETE, input={"id": draft["id"]})
    assert (tee.available, tee.reserved) == (1000, 0)


def test_stock_is_committed_by_completing_and_given_back_by_cancelling(app: App) -> None:
    until = (app.sandbox.clock.now() + timedelta(hours=1)).isoformat()
    order = app.order(lineItems=[line(quantity=2)], reserveInventoryUntil=until)
    tee = app.shop.variant("TEE-BLK-M")
    assert (tee.available, tee.reserved, tee.committed) == (998, 0, 2)
    assert app.data(CANCEL, id=order)["orderCancelUserErrors"] == []
    assert (tee.available, tee.committed, tee.on_hand) == (1000, 0, 1000)


# Orders


def test_a_cancellation_is_a_job_that_refunds_and_closes(sandbox: ShopifySandbox, app: App) -> None:
    sandbox.settings.change(cancel_after=60)
    order = app.order()
    job = app.data(CANCEL, id=order)["job"]
    assert job["done"] is False
    assert "pending" in app.data(CANCEL, id=order)["orderCancelUserErrors"][0]["message"]
    assert app.shop.orders[order].cancelled_at is None
    sandbox.clock.advance(60)
    wait_for(lambda: app.shop.orders[order].cancelled_at)
    assert app.shop.orders[order].financial_status == "REFUNDED"
    assert app.shop.orders[order].closed
    assert "already been canceled" in app.data(CANCEL, id=order)["orderCancelUserErrors"][0]["message"]


def test_a_cancellation_may_fail_behind_its_job(sandbox: ShopifySandbox, app: App) -> None:
    sandbox.settings.change(failing_cancellations=1)
    order = app.order()
    assert app.data(CANCEL, id=order)["orderCancelUserErrors"] == []
    assert [job.status for job in app.shop.record.jobs.values()] == ["FAILED"]
    assert app.shop.orders[order].cancelled_at is None
    app.data(CANCEL, id=order)
    assert app.shop.orders[order].cancelled_at


def test_what_is_shipped_while_a_cancellation_is_under_way_stops_it(
    sandbox: ShopifySandbox, app: App
) -> None:
    sandbox.settings.change(cancel_after=60)
    order = app.order()
    app.data(CANCEL, id=order)
    app.shop.fulfill(order, numbers=["1Z410E7W0392751591"])
    sandbox.clock.advance(60)
    [job] = app.shop.record.jobs.values()
    wait_for(lambda: job.done)
    assert (job.status, app.shop.orders[order].cancelled_at) == ("FAILED", None)


def test_a_paid_order_cannot_be_restocked_to_a_location_that_is_closed(
    sandbox: ShopifySandbox, app: App
) -> None:
    sandbox.settings.change(deactivated_location=True)
    order = app.order()
    assert "deactivated location" in app.data(CANCEL, id=order)["orderCancelUserErrors"][0]["message"]
    without = CANCEL.replace("restock: true", "restock: false")
    assert app.data(without, id=order)["orderCancelUserErrors"] == []
    assert app.shop.orders[order].cancelled_at


def test_a_shipped_order_cannot_be_cancelled(app: App) -> None:
    order = app.order()
    app.shop.fulfill(order, numbers=["1Z410E7W0392751591"])
    assert "outstanding fulfillments" in app.data(CANCEL, id=order)["orderCancelUserErrors"][0]["message"]


def test_the_reference_metafield_is_unique_and_finds_the_order_at_once(
    sandbox: ShopifySandbox, app: App
) -> None:
    sandbox.search_lag(60)
    metafield = {"namespace": "$app", "key": "tiktok_order_id", "type": "id", "value": "577"}
    order, other = app.order(), app.order()
    payload = app.data(ORDER_UPDATE, input={"id": order, "metafields": [metafield]})
    assert payload["order"]["metafield"] == {"value": "577"}
    assert (
        "taken"
        in app.data(ORDER_UPDATE, input={"id": other, "metafields": [metafield]})["userErrors"][0]["message"]
    )
    text = "query I($i: OrderIdentifierInput!) { orderByIdentifier(identifier: $i) { id } }"
    assert app.data(text, i={"customId": {"key": "tiktok_order_id", "value": "577"}}) == {"id": order}


def test_units_leave_in_several_fulfillments_and_never_twice(app: App) -> None:
    order = app.order(lineItems=[line(quantity=3)])
    shop = app.shop
    shop.fulfill(order, {"TEE-BLK-M": 1}, "UPS", ["1Z410E7W0392751591"])
    assert shop.orders[order].display_fulfillment_status == "PARTIALLY_FULFILLED"
    with pytest.raises(UserErrors):
        shop.fulfill(order, {"TEE-BLK-M": 3})
    second = shop.fulfill(order, None, "UPS", ["1Z5R89390357567127"])
    assert second.total_quantity == 2
    assert shop.orders[order].display_fulfillment_status == "FULFILLED"
    shop.cancel_fulfillment(second.id)
    assert shop.orders[order].display_fulfillment_status == "PARTIALLY_FULFILLED"


def test_an_order_of_more_than_sixty_days_ago_is_out_of_reach(app: App) -> None:
    order = app.order()
    app.sandbox.clock.advance(timedelta(days=61).total_seconds())
    app.tokens = app.refresh(app.tokens["refresh_token"]).json()
    assert app.data("query O($id: ID!) { order(id: $id) { id } }", id=order) is None


# Search


def test_search_lags_behind_and_reading_by_id_does_not(sandbox: ShopifySandbox, app: App) -> None:
    sandbox.search_lag((2, 8))
    draft = app.draft()
    assert app.data("query D($id: ID!) { draftOrder(id: $id) { id } }", id=draft["id"])
    assert app.data(FIND, query='tag:"tts-577"')["nodes"] == []
    sandbox.clock.advance(8)
    assert app.data(FIND, query='tag:"tts-577"')["nodes"] == [{"id": draft["id"]}]
    app.shop.delete_draft(draft["id"])
    assert app.data(FIND, query='tag:"tts-577"')["nodes"] == []


@pytest.mark.parametrize(
    ("query", "hits"),
    [
        ('tag:"TTS-577"', 1),
        ("tag:tts-57", 0),
        ("tag:'TikTok Shop' tag:tts-577", 1),
        ("tag:'TikTok Shop' -tag:tts-577", 0),
        ("tag:tts-1 OR tag:tts-577", 1),
        ("NOT tag:tts-577", 0),
        ("(tag:tts-1 OR tag:tts-577) status:completed", 0),
        ("updated_at:>='2020-01-01T00:00:00Z' tag:tts-577", 1),
        ("updated_at:<'2020-01-01T00:00:00Z'", 0),
    ],
)
def test_the_query_language_is_understood(app: App, query: str, hits: int) -> None:
    app.draft()
    answer = app.ask(FIND, query=query)
    assert len(answer["data"]["draftOrders"]["nodes"]) == hits
    assert "search" not in answer["extensions"]


@pytest.mark.parametrize("query", ["email:buyer@example.com", "name:D1", "created_at:>=2026-11-21T10:00:00Z"])
def test_a_filter_it_does_not_know_is_ignored_with_a_warning(app: App, query: str) -> None:
    app.draft()
    answer = app.ask(FIND, query=query)
    assert len(answer["data"]["draftOrders"]["nodes"]) == 1 or "created_at" in query
    assert answer["extensions"]["search"][0]["warnings"]


def test_a_sku_search_finds_what_only_resembles_it(app: App) -> None:
    skus = [node["sku"] for node in app.data(VARIANTS, q='sku:"TEE-BLK-M" OR sku:"DUP-1"')["nodes"]]
    assert sorted(skus) == ["DUP-1", "DUP-1", "TEE-BLK-M", "tee-blk-m"]


def test_pages_follow_each_other_without_a_gap(app: App) -> None:
    made = [app.draft()["id"] for _ in range(5)]
    page = app.data(FIND, query="tag:tts-577", first=3)
    rest = app.data(FIND, query="tag:tts-577", first=3, after=page["pageInfo"]["endCursor"])
    assert [node["id"] for node in page["nodes"] + rest["nodes"]] == made
    assert (page["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]) == (True, False)


# The judge


def test_a_field_that_does_not_exist_is_an_error_and_a_violation(app: App) -> None:
    answer = app.ask("{ shop { nonsense } }")
    assert answer["errors"][0]["extensions"]["code"] == "undefinedField"
    assert app.sandbox.violations


def test_a_variable_that_does_not_fit_is_an_error_and_a_violation(app: App) -> None:
    answer = app.ask(CREATE, input={"lineItems": [{"quantity": "two"}]})
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_VARIABLE"
    assert app.sandbox.violations


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("{ orders(first: 1) { nodes { totalPrice } } }", {}),
        (
            CREATE,
            {"input": draft_input(lineItems=[{"title": "Mug", "quantity": 1, "originalUnitPrice": "9.00"}])},
        ),
        (CREATE, {"input": draft_input(shippingLine={"title": "s", "price": "4.99"})}),
        (
            "mutation C($id: ID!) { draftOrderComplete(id: $id, paymentPending: true) { userErrors { message } } }",
            {"id": "gid://shopify/DraftOrder/1"},
        ),
    ],
)
def test_deprecated_members_work_and_are_violations(app: App, text: str, variables: dict[str, Any]) -> None:
    answer = app.post(text, **variables)
    assert "errors" not in answer.json()
    assert "X-Shopify-API-Deprecated-Reason" in answer.headers
    assert "deprecated" in app.sandbox.violations[0]["words"]


def test_reading_personal_data_is_a_violation(app: App) -> None:
    app.ask("{ orders(first: 1) { nodes { email shippingAddress { city zip } } } }")
    assert {v["words"].split(": ")[1] for v in app.sandbox.violations} == {
        "Order.email",
        "MailingAddress.zip",
    }


def test_a_missing_scope_denies_the_field_and_names_the_scope(app: App) -> None:
    app.shop.grant_scopes(["read_products", "read_orders"])
    answer = app.ask(CREATE, input=draft_input())
    assert answer["data"] == {"draftOrderCreate": None}
    assert answer["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    assert "write_draft_orders" in answer["errors"][0]["extensions"]["requiredAccess"]
    assert not app.shop.drafts


def test_the_answers_name_version_and_request(app: App) -> None:
    answer = app.post("{ shop { name } }")
    assert answer.headers["X-Shopify-API-Version"] == "2026-10"
    assert answer.headers["X-Request-Id"]
    app.sandbox.settings.change(served_version="2027-01")
    assert app.post("{ shop { name } }").headers["X-Shopify-API-Version"] == "2027-01"


# Points


def test_the_bucket_holds_what_is_asked_for_and_loses_what_was_used(app: App) -> None:
    text = "{ orders(first: 100) { nodes { id lineItems(first: 50) { nodes { id } } } } }"
    cost = app.ask(text)["extensions"]["cost"]
    assert cost["requestedQueryCost"] == requested_cost(text)
    assert cost["actualQueryCost"] < cost["requestedQueryCost"]
    assert cost["throttleStatus"]["currentlyAvailable"] > 2000 - cost["requestedQueryCost"]


def test_an_empty_bucket_throttles_before_anything_is_done(app: App) -> None:
    app.shop.bucket.drain()
    answer = app.ask(CREATE, input=draft_input())
    assert answer["errors"][0]["extensions"]["code"] == "THROTTLED"
    assert answer["extensions"]["cost"]["actualQueryCost"] is None
    assert not app.shop.drafts
    app.sandbox.clock.advance(1)
    assert app.draft()


def test_one_query_may_not_cost_more_than_a_thousand(app: App) -> None:
    inner = (
        "lineItems(first: 250) { nodes { product { variants(first: 250) { nodes { product { id } } } } } }"
    )
    answer = app.ask(f"{{ orders(first: 250) {{ nodes {{ {inner} }} }} }}")
    assert answer["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED"


# Faults


def test_a_lost_reply_has_acted(sandbox: ShopifySandbox, app: App) -> None:
    sandbox.faults.add("draftOrderCreate", "lost_reply")
    with pytest.raises(requests.ConnectionError):
        app.draft()
    assert len(app.shop.drafts) == 1


def test_a_failure_before_acting_has_not_acted(sandbox: ShopifySandbox, app: App) -> None:
    sandbox.faults.add("draftOrderCreate", "503")
    sandbox.faults.add("draftOrderCreate", "429", retry_after=2.0)
    sandbox.faults.add("draftOrderCreate", "timeout_before", seconds=0.1)
    assert app.post(CREATE, input=draft_input()).status_code == 503
    assert app.post(CREATE, input=draft_input()).headers["Retry-After"] == "2.0"
    with pytest.raises(requests.ConnectionError):
        app.draft()
    assert not app.shop.drafts
    assert app.draft()


def test_an_answer_drips_or_breaks_off(sandbox: ShopifySandbox, app: App) -> None:
    sandbox.faults.add("shop", "truncated")
    with pytest.raises(requests.RequestException):
        app.post("{ shop { name } }")
    sandbox.faults.add("shop", "slow_drip", seconds=0.002)
    began = time.monotonic()
    assert app.post("{ shop { name } }").json()["data"]
    assert time.monotonic() - began > 0.2


# Webhooks


@pytest.fixture
def told(hook: Hook) -> Iterator[App]:
    topics = ["draft_orders/create", "draft_orders/update", "draft_orders/delete", "fulfillments/create"]
    topics += ["fulfillments/update", "orders/cancelled", "app/uninstalled", "app/scopes_update"]
    hooks = {"webhooks": {"subscriptions": [{"topics": topics, "uri": "/webhooks/shopify"}, COMPLIANCE]}}
    with ShopifySandbox(easy=True, app_url=hook.url, config=hooks | REFERENCE) as running:
        yield App(running)


COMPLIANCE = {
    "compliance_topics": ["customers/data_request", "customers/redact", "shop/redact"],
    "uri": "/webhooks/shopify",
}


def deliveries(app: App) -> list[Delivery]:
    assert app.sandbox.webhooks.wait_until_quiet()
    return list(app.sandbox.webhooks.sent)


def test_a_webhook_is_signed_over_its_raw_body_and_carries_all_headers(told: App, hook: Hook) -> None:
    draft = told.draft(note="Zoë Müller – 北京")
    deliveries(told)
    asked = hook.asked[0]
    digest = hmac.new(told.sandbox.api_secret.encode(), asked.body, hashlib.sha256).digest()
    headers = {name.lower(): value for name, value in asked.headers.items()}
    assert headers["x-shopify-hmac-sha256"] == base64.b64encode(digest).decode()
    assert headers["x-shopify-topic"] == "draft_orders/create"
    assert headers["x-shopify-shop-domain"] == DEMO_SHOP
    for name in json.loads((EXAMPLES / "webhook_headers.json").read_text()):
        assert name.lower() in headers or name == "X-Shopify-Name"
    assert asked.json["admin_graphql_api_id"] == draft["id"]
    assert asked.path == "/webhooks/shopify"


def test_the_published_payloads_are_what_we_send(told: App, hook: Hook) -> None:
    order = told.order(lineItems=[line(quantity=2)])
    fulfillment = told.shop.fulfill(order, numbers=["1Z410E7W0392751591"])
    told.shop.cancel_fulfillment(fulfillment.id)
    told.shop.cancel_order(order)
    told.shop.delete_draft(told.draft()["id"])
    told.shop.request_customer_data([order])
    told.shop.grant_scopes(["read_products", "read_orders"])
    told.shop.uninstall()
    told.shop.redact()
    sent = {delivery.topic: delivery.payload for delivery in deliveries(told)}
    for topic, payload in sent.items():
        name = {"fulfillments/update": "fulfillments_update_cancelled"}.get(topic, topic.replace("/", "_"))
        name = {"draft_orders_update": "draft_orders_update_completed"}.get(name, name)
        if topic != "customers/redact":
            assert same_shape(payload, json.loads((EXAMPLES / f"{name}.json").read_text())) == []
    assert len(sent) == 10


def test_a_refused_webhook_comes_again_with_the_same_id_and_body(told: App, hook: Hook) -> None:
    told.sandbox.webhooks.retry_scale = 0.001
    hook.plan(500, 401, 302, 200)
    told.draft()
    wait_for(lambda: told.sandbox.webhooks.sent)
    assert told.sandbox.webhooks.sent[0].answers == [500, 401, 302, 200]
    assert len({(asked.body, asked.headers["X-Shopify-Webhook-Id"]) for asked in hook.asked}) == 1


def test_eight_retries_and_no_more(told: App, hook: Hook) -> None:
    told.sandbox.webhooks.retry_scale = 0.00001
    hook.then = 500
    told.draft()
    wait_for(lambda: told.sandbox.webhooks.failed)
    assert len(hook.asked) == 9


def test_included_fields_are_all_that_is_sent_and_all_that_counts_as_a_change(hook: Hook) -> None:
    entry = {
        "topics": ["draft_orders/create", "draft_orders/update"],
        "uri": "/w",
        "include_fields": ["id", "tags"],
    }
    with ShopifySandbox(
        easy=True, app_url=hook.url, config={"webhooks": {"subscriptions": [entry]}}
    ) as running:
        app = App(running)
        draft = app.draft()
        app.shop.edit_draft(draft["id"], note="nobody hears of this")
        app.shop.edit_draft(draft["id"], tags=["new"])
        sent = deliveries(app)
    assert sorted((d.topic, sorted(d.payload)) for d in sent) == [
        ("draft_orders/create", ["id", "tags"]),
        ("draft_orders/update", ["id", "tags"]),
    ]


def test_of_the_things_in_a_list_only_the_fields_are_sent_that_are_named_with_a_dot(hook: Hook) -> None:
    fields = ["id", "updated_at", "variants.sku"]
    entry = {"topics": ["products/create"], "uri": "/w", "include_fields": fields}
    with ShopifySandbox(
        easy=True, app_url=hook.url, config={"webhooks": {"subscriptions": [entry]}}
    ) as running:
        app = App(running)
        app.shop.add_product("Cup", [("Red", "CUP-R", "9.00"), ("Blue", "", "9.00")])
        [sent] = deliveries(app)
    assert sorted(sent.payload) == ["id", "updated_at", "variants"]
    assert sent.payload["variants"] == [{"sku": "CUP-R"}, {"sku": ""}]


def test_without_the_scope_a_topic_stays_silent(told: App, hook: Hook) -> None:
    told.shop.grant_scopes(["write_draft_orders", "write_orders"])
    told.shop.fulfill(told.order(), numbers=["1Z410E7W0392751591"])
    assert not [d for d in deliveries(told) if d.topic.startswith("fulfillments/")]


def test_messages_are_lost_late_or_doubled_when_asked_for(told: App, hook: Hook) -> None:
    told.sandbox.webhooks.drop(1)
    told.draft()
    assert deliveries(told) == []
    assert len(told.sandbox.webhooks.dropped) == 1
    told.sandbox.webhooks.late_or_doubled = 1.0
    for _ in range(8):
        told.draft()
    on_time = len(deliveries(told))
    assert on_time < 8
    told.sandbox.clock.advance(20)
    wait_for(lambda: len(deliveries(told)) == 8 + on_time)
    assert len({d.headers["X-Shopify-Webhook-Id"] for d in told.sandbox.webhooks.sent}) == 8


def test_uninstalled_shops_are_redacted_two_days_later_unless_they_came_back(told: App, hook: Hook) -> None:
    told.shop.uninstall()
    assert [d.topic for d in deliveries(told)] == ["app/uninstalled"]
    told.sandbox.clock.advance(48 * 3600 + 1)
    wait_for(lambda: [d.topic for d in deliveries(told)] == ["app/uninstalled", "shop/redact"])


# The admin, the warehouse, the state


def test_the_admin_frames_the_app_with_a_fresh_signed_token(sandbox: ShopifySandbox) -> None:
    page = requests.get(
        f"{sandbox.url}/admin/store/demo-outfitters/apps/tiktok-shop-connector/orders?a=1", timeout=5
    )
    assert page.status_code == 200
    assert "<iframe" in page.text
    load = urlsplit(sandbox.app_load_url(path="/orders"))
    query = {name: values[0] for name, values in parse_qs(load.query).items()}
    assert query["shop"] == DEMO_SHOP
    assert {"id_token", "host", "embedded", "locale", "timestamp", "hmac"} <= query.keys()
    assert (
        requests.get(f"{sandbox.url}/admin/store/nobody/apps/tiktok-shop-connector", timeout=5).status_code
        == 404
    )


@pytest.mark.parametrize("script", ["app-bridge.js", "polaris.js"])
def test_the_cdn_serves_the_stand_in_scripts(sandbox: ShopifySandbox, script: str) -> None:
    answer = requests.get(f"{sandbox.cdn_url}/{script}", timeout=5)
    assert answer.headers["Content-Type"].startswith("text/javascript")


def test_an_order_can_be_looked_up_in_the_admin(app: App) -> None:
    number = app.order().rsplit("/", 1)[1]
    page = requests.get(f"{app.sandbox.url}/admin/store/demo-outfitters/orders/{number}", timeout=5)
    assert "#1001" in page.text
    assert "tts-577" in page.text


def test_the_warehouse_ships_as_the_note_says(app: App) -> None:
    notes = iter(
        ["plain", "demo: fulfil in two parcels", "demo: fulfil with a carrier TikTok does not know", "wait"]
    )
    orders = [app.order(tags=["TikTok Shop"], lineItems=[line(quantity=2)]) for _ in range(4)]
    held = app.order()
    robot = app.sandbox.robot(lambda _: next(notes), after=0)
    wait_for(lambda: len(app.shop.fulfillments) == 4)
    robot.round()
    shipped = [app.shop.orders[order].fulfillments for order in orders]
    assert [len(parcels) for parcels in shipped] == [1, 2, 1, 0]
    assert shipped[2][0].company == "Sendle"
    assert not app.shop.orders[held].fulfillments
    numbers = [number for parcels in shipped for parcel in parcels for number in parcel.numbers]
    assert len(set(numbers)) == 4


@pytest.mark.parametrize("company", sorted(MAKERS))
def test_the_warehouse_prints_numbers_of_the_right_form(sandbox: ShopifySandbox, company: str) -> None:
    assert len({tracking_number(company, sandbox.random) for _ in range(50)}) == 50


def test_the_state_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "shopify.json"
    with ShopifySandbox(easy=True, config=NO_HOOK | REFERENCE, state_path=path) as before:
        app = App(before)
        draft, order = app.draft(), app.order()
        app.shop.fulfill(order, numbers=["1Z410E7W0392751591"])
        before.clock.advance(600)
        remembered = before.dump()
    with ShopifySandbox(easy=True, config=NO_HOOK | REFERENCE, state_path=path) as after:
        app.sandbox = after
        assert app.data(FIND, query="tag:tts-577")["nodes"][0] == {"id": draft["id"]}
        assert after.dump()["shops"] == remembered["shops"]
        assert app.draft()["id"] not in before.shop(DEMO_SHOP).drafts


def test_other_processes_have_the_same_control(app: App) -> None:
    def control(path: str, **given: Any) -> Any:
        answer = requests.post(f"{app.sandbox.url}/_sandbox/{path}", json=given, timeout=5)
        return answer.json() if answer.ok else answer.status_code

    order = app.order()
    shipped = control("fulfill", gid=order, company="UPS", numbers=["1Z410E7W0392751591"])
    assert app.shop.fulfillment(shipped["id"])
    control("add_tags", gid=order, tags=["seen"])
    assert "seen" in app.shop.orders[order].tags
    assert control("fulfill", gid=order) == 422
    assert control("fulfill", gid="gid://shopify/Order/1") == 400
    assert control("nonsense") == 404
    control("faults", operation="shop", kind="503")
    assert app.post("{ shop { name } }").status_code == 503
    assert control("settings", search_lag=3)["search_lag"] == [3.0, 3.0]
    state = requests.get(f"{app.sandbox.url}/_sandbox/state", timeout=5).json()
    assert state["shops"][DEMO_SHOP]["orders"][0]["shipped"] == "FULFILLED"


def custom(price: str) -> dict[str, Any]:
    return {"originalUnitPriceWithCurrency": money(price), "taxable": False, "requiresShipping": True}


def amount(bag: dict[str, Any]) -> Decimal:
    return Decimal(bag["presentmentMoney"]["amount"])


def wait_for(condition: Any, seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def same_shape(ours: Any, published: Any, place: str = "") -> list[str]:
    """Where our payload has a member that the published one lacks, or of another kind."""
    if isinstance(ours, dict) and isinstance(published, dict):
        unknown = [f"{place}.{name} is unknown" for name in ours if name not in published]
        known = [name for name in ours if name in published]
        return unknown + [
            w for name in known for w in same_shape(ours[name], published[name], f"{place}.{name}")
        ]
    if isinstance(ours, list) and isinstance(published, list):
        return [
            w for item in ours for sample in published[:1] for w in same_shape(item, sample, f"{place}[]")
        ]
    if ours is None or published is None or type(ours) is type(published):
        return []
    return [f"{place} is {type(ours).__name__}"]
