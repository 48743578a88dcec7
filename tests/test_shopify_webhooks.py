import json
import tomllib
from datetime import UTC, datetime

import pytest
from django.conf import settings
from requests.structures import CaseInsensitiveDict

from connector import payment
from shopify_app import webhooks
from shopify_app.client import REFERENCE_KEY
from shopify_app.errors import BadSignature, Malformed
from tests.shopify_script import DOMAIN, EXAMPLES, example

SECRETS = ["current-secret", "old-secret"]
BUYER = ["Ana", "Silva", "10 Example Street", "78701", "+15125550100", "ana@example.com", "Austin"]


def deliver(topic, body, *, secret=SECRETS[0], **changes):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = CaseInsensitiveDict(example("webhook_headers"))
    headers["X-Shopify-Topic"] = topic
    headers["X-Shopify-Hmac-Sha256"] = webhooks.signature(secret, raw)
    headers.update(changes)
    return webhooks.parse(headers, raw, SECRETS)


@pytest.mark.parametrize("vector", example("vectors")["webhook_hmac"])
def test_signatures_equal_the_golden_ones(vector):
    assert webhooks.signature(vector["secret"], bytes.fromhex(vector["body_hex"])) == vector["hmac_base64"]


def test_an_event_keeps_ids_and_status_words():
    event = deliver("fulfillments/create", example("fulfillments_create"))
    assert (event.key, event.topic) == ("b54557e4-bdd9-4b37-8a5f-bf7d70bcd043", "fulfillments/create")
    assert event.shop_domain == DOMAIN
    assert event.triggered_at == datetime(2026, 11, 21, 21, 10, 1, 123456, UTC)
    assert event.facts == {
        "id": "gid://shopify/Fulfillment/5300000000001",
        "order_id": "gid://shopify/Order/6200000000001",
        "status": "success",
        "updated_at": "2026-11-21T15:10:01-06:00",
    }


@pytest.mark.parametrize(
    ("topic", "name", "expected"),
    [
        ("fulfillments/update", "fulfillments_update_cancelled", {"status": "cancelled"}),
        ("fulfillments/update", "fulfillments_update_shipment_status", {"status": "success"}),
        ("fulfillments/update", "fulfillments_update_tracking_changed", {"status": "success"}),
        (
            "fulfillments/create",
            "fulfillments_create_no_tracking",
            {"id": "gid://shopify/Fulfillment/5300000000002"},
        ),
        ("orders/cancelled", "orders_cancelled", {"id": "gid://shopify/Order/6200000000001"}),
        ("orders/updated", "orders_updated", {"id": "gid://shopify/Order/6200000000001"}),
        (
            "draft_orders/create",
            "draft_orders_create",
            {
                "id": "gid://shopify/DraftOrder/1100000000001",
                "order_id": "",
                "tags": ["TikTok Shop", "tiktok-on-hold", "tts-577000000000000001"],
            },
        ),
        (
            "draft_orders/update",
            "draft_orders_update_completed",
            {"order_id": "gid://shopify/Order/6200000000001"},
        ),
        ("draft_orders/delete", "draft_orders_delete", {"id": "gid://shopify/DraftOrder/1100000000001"}),
        ("refunds/create", "refunds_create", {"order_id": "gid://shopify/Order/6200000000001"}),
        ("products/create", "products_create", {"skus": ["TEE-BLK-M"], "more": False}),
        ("app/uninstalled", "app_uninstalled", {}),
        (
            "app/scopes_update",
            "app_scopes_update",
            {"scopes": ["read_products", "write_draft_orders", "write_orders"]},
        ),
        (
            "customers/data_request",
            "customers_data_request",
            {"orders": ["gid://shopify/Order/6200000000001"]},
        ),
        ("customers/redact", "customers_redact", {"orders": ["gid://shopify/Order/6200000000001"]}),
        ("shop/redact", "shop_redact", {"id": "gid://shopify/Shop/91000000001"}),
    ],
)
def test_every_topic_is_read_and_nothing_personal_is_kept(topic, name, expected):
    facts = deliver(topic, example(name)).facts
    assert expected.items() <= facts.items()
    kept = json.dumps(facts)
    assert not [word for word in BUYER if word in kept]


def test_every_topic_we_read_is_tested_with_an_example_or_is_an_id_only():
    shown = {path.stem for path in EXAMPLES.glob("*.json")}
    topics = {topic.replace("/", "_") for topic in webhooks.READERS}
    assert {topic for topic in topics if not any(name.startswith(topic) for name in shown)} == {
        "orders_delete",
        "products_delete",
    }


def test_the_former_secret_is_accepted_too():
    assert deliver("shop/redact", example("shop_redact"), secret="old-secret").topic == "shop/redact"


def test_a_wrong_signature_is_refused_before_the_body_is_read():
    with pytest.raises(BadSignature):
        deliver("shop/redact", b"not json", secret="wrong")


def test_bytes_are_verified_as_they_came():
    raw = b'{ "shop_id" : 1 }\n'
    assert deliver("shop/redact", raw).facts == {"id": "gid://shopify/Shop/1"}
    with pytest.raises(BadSignature):
        headers = {"X-Shopify-Hmac-Sha256": webhooks.signature(SECRETS[0], raw.strip())}
        deliver("shop/redact", raw, **headers)


@pytest.mark.parametrize("name", webhooks.REQUIRED)
def test_a_missing_header_is_named(name):
    with pytest.raises(webhooks.MissingHeaders, match=name):
        deliver("shop/redact", example("shop_redact"), **{name: ""})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'"text"'])
def test_a_signed_body_that_is_no_object_is_malformed(body):
    with pytest.raises(Malformed):
        deliver("fulfillments/create", body)


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("fulfillments/create", {}),
        ("fulfillments/create", {"id": "many", "order_id": 1}),
        ("fulfillments/create", {"id": None, "order_id": 1}),
        ("draft_orders/update", {"id": 1, "tags": 7}),
        ("app/scopes_update", {"current": None}),
        ("customers/redact", {"orders_to_redact": 4}),
    ],
)
def test_a_known_topic_without_its_fields_is_malformed(topic, body):
    with pytest.raises(Malformed):
        deliver(topic, body)


@pytest.mark.parametrize(
    ("variants", "skus", "more"),
    [
        ([{"sku": "B"}, {"sku": "A"}, {"sku": "A"}], ["A", "B"], False),
        ([{"sku": ""}, {"sku": None}, {}, {"sku": 7}, {"sku": "a\x00b"}, {"sku": "x" * 300}], [], False),
        ([{"sku": "A"}] * 100, ["A"], True),
        (None, [], False),
    ],
)
def test_of_a_new_product_its_skus_are_kept_and_whether_there_may_be_more(variants, skus, more):
    facts = deliver("products/create", {"id": 1, "title": "Mug", "variants": variants}).facts
    assert facts == {"id": "gid://shopify/Product/1", "updated_at": "", "skus": skus, "more": more}


def test_an_unknown_topic_is_an_event_without_facts():
    assert deliver("themes/publish", {"id": 1, "email": "ana@example.com"}).facts == {}


@pytest.mark.parametrize(
    "domain", ["evil.example.com", "[x.myshopify.com", "x]y.myshopify.com", "a℀b.myshopify.com"]
)
def test_a_domain_that_is_no_shop_is_malformed(domain):
    with pytest.raises(Malformed):
        deliver("shop/redact", example("shop_redact"), **{"X-Shopify-Shop-Domain": domain})


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-21T21:10:01"])
def test_an_unreadable_time_becomes_now(text):
    event = deliver("shop/redact", example("shop_redact"), **{"X-Shopify-Triggered-At": text})
    assert abs((datetime.now(UTC) - event.triggered_at).total_seconds()) < 5


# The app's configuration file


@pytest.fixture(scope="module")
def config():
    return tomllib.loads((settings.BASE_DIR / "shopify.app.toml").read_text())


def test_the_configuration_asks_for_the_scopes_and_the_version_we_use(config):
    assert config["access_scopes"]["scopes"] == ",".join(settings.SHOPIFY_SCOPES)
    assert config["access_scopes"]["optional_scopes"] == [payment.SCOPE]
    assert config["webhooks"]["api_version"] == settings.SHOPIFY_API_VERSION
    assert config["order"]["metafields"]["app"][REFERENCE_KEY]["type"] == "id"


def test_every_subscribed_topic_is_read_and_asks_for_no_more_than_we_keep(config):
    compliance = {"customers/data_request", "customers/redact", "shop/redact"}
    topics = set()
    for subscription in config["webhooks"]["subscriptions"]:
        assert subscription["uri"] == "/webhooks/shopify"
        topics |= set(subscription.get("topics", subscription.get("compliance_topics")))
        if "topics" in subscription:
            assert "id" in subscription["include_fields"]
            assert not {"email", "phone", "customer", "shipping_address"} & set(
                subscription["include_fields"]
            )
    assert topics - compliance == set(webhooks.READERS) - compliance - {"orders/updated"}
    assert compliance <= topics


@pytest.mark.parametrize(
    "name",
    ["fulfillments_create", "draft_orders_create", "orders_cancelled", "refunds_create", "products_create"],
)
def test_the_fields_asked_for_are_enough(config, name):
    topic = "/".join(name.rsplit("_", 1))
    fields = next(
        s["include_fields"] for s in config["webhooks"]["subscriptions"] if topic in s.get("topics", ())
    )
    whole = example(name)
    narrow = {field: whole[field] for field in fields if field in whole}
    if "variants.sku" in fields:
        narrow["variants"] = [{"sku": variant["sku"]} for variant in whole["variants"]]
    assert deliver(topic, narrow).facts == deliver(topic, whole).facts
