import logging
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import requests

from shopify_app.client import DRAFT_CREATE, DRAFT_GET, Client, decipher
from shopify_app.errors import AccessLost, Busy, Rejected, Unavailable
from shopify_app.models import Shop
from shopify_app.orders import DraftContent, DraftLine, PostalAddress
from tests.shopify_script import DOMAIN, Answer, ScriptedShopify, example, make_shop

DRAFT = "gid://shopify/DraftOrder/1100000000001"
ORDER = "gid://shopify/Order/6200000000001"
NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
ADDRESS = PostalAddress(
    "Ana", "Silva", "", "10 Example Street", "", "Austin", "TX", "78701", "US", "+15125550100"
)
CONTENT = DraftContent(
    lines=(
        DraftLine(
            "gid://shopify/ProductVariant/1", "Tee", "TEE", 2, Decimal("18.50"), {"_tiktok_line_ids": "1,2"}
        ),
        DraftLine(None, "Gift", "TT-ONLY", 1, Decimal("0")),
    ),
    shipping_title="TikTok Shop shipping",
    shipping_amount=Decimal("4.99"),
    currency="USD",
    tags=("TikTok Shop", "tts-577"),
    note="on hold",
    attributes={"tiktok_order_id": "577"},
    reserve_until=NOW,
)


@pytest.fixture
def shopify(settings):
    with ScriptedShopify() as scripted:
        settings.SHOPIFY_SHOP_URL = scripted.url + "/{shop}"
        yield scripted


@pytest.fixture
def client(db):
    with requests.Session() as http:
        yield Client(make_shop(), http)


def draft(**changes):
    return {
        "id": DRAFT,
        "name": "#D1",
        "status": "OPEN",
        "ready": True,
        "tags": ["TikTok Shop", "tts-577"],
        "note2": "on hold",
        "updatedAt": "2026-11-21T20:00:00Z",
        "reserveInventoryUntil": "2026-11-21T22:00:00Z",
        "totalTaxSet": {"presentmentMoney": {"amount": "0.0"}},
        "totalPriceSet": {"presentmentMoney": {"amount": "41.99", "currencyCode": "USD"}},
    } | changes


def line(number, **changes):
    return {
        "id": f"gid://shopify/LineItem/{number}",
        "sku": f"SKU-{number}",
        "title": "Tee",
        "quantity": 1,
        "originalUnitPriceSet": {"presentmentMoney": {"amount": "18.50"}},
        "customAttributes": [{"key": "_tiktok_line_ids", "value": str(number)}],
    } | changes


def connection(*nodes, after=None):
    return {"nodes": list(nodes), "pageInfo": {"hasNextPage": after is not None, "endCursor": after}}


def completed(lines, errors=()):
    order = {
        "id": ORDER,
        "name": "#1001",
        "displayFinancialStatus": "PAID",
        "paymentGatewayNames": ["manual"],
        "totalPriceSet": {"presentmentMoney": {"amount": "41.99", "currencyCode": "USD"}},
        "lineItems": lines,
    }
    return {"data": {"draftOrderComplete": {"draftOrder": {"order": order}, "userErrors": list(errors)}}}


# Drafts


def test_a_draft_is_written_with_locked_prices_and_without_a_customer(shopify, client):
    shopify.says({"data": {"draftOrderCreate": {"draftOrder": draft(), "userErrors": []}}})
    made = client.create_draft(CONTENT)
    request = shopify.requests[0]
    assert request.path == f"/{DOMAIN}/admin/api/2026-10/graphql.json"
    assert request.headers["X-Shopify-Access-Token"] == "shpat_1"
    assert shopify.sent()["input"] == {
        "lineItems": [
            {
                "variantId": "gid://shopify/ProductVariant/1",
                "quantity": 2,
                "priceOverride": {"amount": "18.50", "currencyCode": "USD"},
                "customAttributes": [{"key": "_tiktok_line_ids", "value": "1,2"}],
            },
            {
                "title": "Gift",
                "sku": "TT-ONLY",
                "quantity": 1,
                "originalUnitPriceWithCurrency": {"amount": "0", "currencyCode": "USD"},
                "requiresShipping": True,
                "taxable": False,
                "customAttributes": [],
            },
        ],
        "shippingLine": {
            "title": "TikTok Shop shipping",
            "priceWithCurrency": {"amount": "4.99", "currencyCode": "USD"},
        },
        "tags": ["TikTok Shop", "tts-577"],
        "note": "on hold",
        "customAttributes": [{"key": "tiktok_order_id", "value": "577"}],
        "presentmentCurrencyCode": "USD",
        "taxExempt": True,
        "acceptAutomaticDiscounts": False,
        "allowDiscountCodesInCheckout": False,
        "visibleToCustomer": False,
        "reserveInventoryUntil": "2026-11-21T20:00:00Z",
    }
    assert (made.id, made.total, made.tax, made.currency) == (DRAFT, Decimal("41.99"), Decimal("0.0"), "USD")
    assert made.updated_at == NOW


def test_an_update_sends_only_what_is_given(shopify, client):
    shopify.says({"data": {"draftOrderUpdate": {"draftOrder": draft(), "userErrors": []}}})
    client.update_draft(DRAFT, tags=["tts-577"], address=ADDRESS)
    address = {
        "firstName": "Ana",
        "lastName": "Silva",
        "company": None,
        "address1": "10 Example Street",
        "address2": None,
        "city": "Austin",
        "provinceCode": "TX",
        "zip": "78701",
        "countryCode": "US",
        "phone": "+15125550100",
    }
    wanted = {"tags": ["tts-577"], "shippingAddress": address, "billingAddress": address}
    assert shopify.sent() == {"id": DRAFT, "input": wanted}


def test_an_emptied_list_is_sent_and_the_content_changes_the_amounts_only(shopify, client):
    shopify.says({"data": {"draftOrderUpdate": {"draftOrder": draft(), "userErrors": []}}})
    client.update_draft(DRAFT, content=CONTENT, tags=[], note="")
    amounts = ["lineItems", "presentmentCurrencyCode", "shippingLine", "taxExempt"]
    assert sorted(shopify.sent()["input"]) == sorted([*amounts, "note", "tags"])


def test_a_draft_that_is_gone_reads_as_none(shopify, client):
    shopify.says({"data": {"draftOrder": None}})
    assert client.get_draft(DRAFT) is None


def test_a_completed_draft_names_its_order(shopify, client):
    order = {"id": ORDER, "name": "#1001"}
    shopify.says({"data": {"draftOrder": draft(status="COMPLETED", order=order, reserveInventoryUntil=None)}})
    found = client.get_draft(DRAFT)
    assert (found.completed, found.order_id, found.order_name) == (True, ORDER, "#1001")


def test_deleting_tells_whether_there_was_something_to_delete(shopify, client):
    shopify.says({"data": {"draftOrderDelete": {"deletedId": DRAFT, "userErrors": []}}})
    assert client.delete_draft(DRAFT)
    refusal = {
        "data": {"draftOrderDelete": {"deletedId": None, "userErrors": [{"field": ["id"], "message": "x"}]}}
    }
    shopify.says(refusal, {"data": {"draftOrder": None}})
    assert not client.delete_draft(DRAFT)
    shopify.says(refusal, {"data": {"draftOrder": draft(status="COMPLETED")}})
    with pytest.raises(Rejected):
        client.delete_draft(DRAFT)


def test_completing_gives_the_order_with_its_lines_from_one_answer(shopify, client):
    shopify.says(completed(connection(line(1), line(2))))
    done = client.complete_draft(DRAFT)
    assert (done.id, done.name, done.total, done.currency) == (ORDER, "#1001", Decimal("41.99"), "USD")
    assert (done.financial_status, done.gateways) == ("PAID", ("manual",))
    assert [found.attributes for found in done.lines] == [
        {"_tiktok_line_ids": "1"},
        {"_tiktok_line_ids": "2"},
    ]
    assert len(shopify.requests) == 1


def test_completing_twice_is_a_success(shopify, client):
    shopify.says(completed(connection(line(1)), [{"field": None, "message": "This order has been paid"}]))
    assert client.complete_draft(DRAFT).id == ORDER


def test_lines_beyond_the_first_page_are_read_too(shopify, client):
    shopify.says(
        completed(connection(line(1), after="a")),
        {"data": {"order": {"lineItems": connection(line(2), after="b")}}},
        {"data": {"order": {"lineItems": connection(line(3))}}},
    )
    assert [found.sku for found in client.complete_draft(DRAFT).lines] == ["SKU-1", "SKU-2", "SKU-3"]
    assert [shopify.sent(1)["after"], shopify.sent(2)["after"]] == ["a", "b"]


def test_a_draft_of_one_line_asks_for_less_unless_it_had_more_after_all(shopify, client):
    bare = {name: value for name, value in line(1).items() if name != "customAttributes"}
    shopify.says(completed(connection(bare)))
    assert [found.id for found in client.complete_draft(DRAFT, lines=1).lines] == ["gid://shopify/LineItem/1"]
    shopify.says(
        completed(connection(bare, bare)), {"data": {"order": {"lineItems": connection(line(1), line(2))}}}
    )
    found = client.complete_draft(DRAFT, lines=1).lines
    assert [one.attributes for one in found] == [{"_tiktok_line_ids": "1"}, {"_tiktok_line_ids": "2"}]


def test_completing_without_an_order_is_no_success(shopify, client):
    none = {"draftOrder": {"order": None}, "userErrors": []}
    shopify.says({"data": {"draftOrderComplete": none}})
    with pytest.raises(Unavailable):
        client.complete_draft(DRAFT)
    refused = none | {"userErrors": [{"field": None, "message": "Invalid payment gateway"}]}
    shopify.says({"data": {"draftOrderComplete": refused}})
    with pytest.raises(Rejected, match="Invalid payment gateway"):
        client.complete_draft(DRAFT)


# Searches


def variant(number, sku):
    return {
        "id": f"gid://shopify/ProductVariant/{number}",
        "sku": sku,
        "title": "M",
        "inventoryItem": {"requiresShipping": True},
        "product": {"id": "gid://shopify/Product/1", "title": "Tee", "status": "ACTIVE"},
    }


def test_only_exact_skus_are_hits_and_all_of_them(shopify, client):
    shopify.says(
        {"data": {"productVariants": connection(variant(1, "TEE-M"), variant(2, "tee-m"), after="x")}},
        {
            "data": {
                "productVariants": connection(variant(3, "TEE-M"), variant(4, "TEE-M-2"), variant(5, None))
            }
        },
    )
    assert [found.id[-1] for found in client.find_variants(["TEE-M", "", "TEE-M"])] == ["1", "3"]
    assert shopify.sent(0)["query"] == 'sku:"TEE-M"'


def test_a_sku_is_quoted_and_many_are_searched_in_lots_of_fifty(shopify, client):
    shopify.says(*[{"data": {"productVariants": connection()}} for _ in range(3)])
    client.find_variants(['a"b\\c'])
    assert shopify.sent()["query"] == r'sku:"a\"b\\c"'
    client.find_variants([f"S{number:03}" for number in range(51)])
    assert [shopify.sent(n)["query"].count("sku:") for n in (1, 2)] == [50, 1]


def test_a_persons_words_are_never_taken_for_a_filter(shopify, client):
    shopify.says({"data": {"productVariants": connection(variant(1, "TEE-M"))}})
    assert [found.sku for found in client.search_variants('tag:x -tee "TEE-M" (blue)')] == ["TEE-M"]
    assert shopify.sent()["query"] == "tag* x* tee* TEE-M* blue*"
    assert client.search_variants(' "" - ') == []


def test_a_hit_must_carry_the_very_tag(shopify, client):
    def node(number, *tags):
        facts = {
            "id": f"gid://shopify/DraftOrder/{number}",
            "name": "#D1",
            "createdAt": "2026-11-21T20:00:00Z",
        }
        return facts | {"tags": list(tags), "status": "OPEN", "order": None}

    shopify.says({"data": {"draftOrders": connection(node(1, "tts-577"), node(2, "tts-5771"), node(3))}})
    assert [hit.id[-1] for hit in client.find_drafts("tts-577")] == ["1"]
    assert shopify.sent()["query"] == 'tag:"tts-577"'


def test_the_first_order_of_a_tag_is_found_by_one_call_however_many_there_are(shopify, client):
    def node(number, *tags):
        facts = {"id": f"gid://shopify/Order/{number}", "name": f"#{number}", "tags": list(tags)}
        return facts | {"createdAt": "2026-11-21T20:00:00Z", "cancelledAt": None}

    page = {"hasNextPage": True, "endCursor": "a"}
    for nodes in ([node(1, "skuiq-old"), node(2, "SKUIQ"), node(3, "skuiq")], []):
        shopify.says({"data": {"orders": {"nodes": nodes, "pageInfo": page}}})
    since = datetime(2026, 11, 20, tzinfo=UTC)
    assert client.first_order("skuiq", since).name == "#2"
    assert shopify.sent()["query"] == """tag:"skuiq" created_at:>='2026-11-20T00:00:00Z'"""
    assert client.first_order("skuiq", since) is None


def test_recent_orders_are_one_page(shopify, client):
    page = {"hasNextPage": True, "endCursor": "a"}
    shopify.says({"data": {"orders": {"nodes": [], "pageInfo": page}}})
    assert client.recent_orders(datetime(2026, 11, 20, tzinfo=UTC)) == []
    assert shopify.sent()["first"] == 250


def test_an_ignored_filter_is_an_error(shopify, client):
    shopify.says(example("graphql_search_warning"))
    with pytest.raises(Rejected, match="Invalid search field"):
        client.find_drafts("tts-577")


def test_the_sweep_quotes_its_time_and_pages_by_cursor(shopify, client):
    order = {
        "id": ORDER,
        "name": "#1001",
        "cancelledAt": None,
        "closed": False,
        "displayFinancialStatus": "PAID",
        "displayFulfillmentStatus": "FULFILLED",
        "tags": ["TikTok Shop"],
        "updatedAt": "2026-11-21T20:00:00Z",
        "totalPriceSet": {"presentmentMoney": {"amount": "41.99", "currencyCode": "USD"}},
        "fulfillments": [
            {
                "id": "gid://shopify/Fulfillment/1",
                "name": "#1001-F1",
                "status": "SUCCESS",
                "updatedAt": "2026-11-21T20:00:00Z",
                "trackingInfo": [{"company": "UPS", "number": "1Z", "url": None}],
            }
        ],
    }
    shopify.says({"data": {"orders": connection(order, after="next")}})
    page = client.search_orders_updated("TikTok Shop", NOW)
    assert shopify.sent() == {
        "query": "tag:\"TikTok Shop\" updated_at:>='2026-11-21T20:00:00Z'",
        "after": None,
    }
    assert (page.end_cursor, page.has_next) == ("next", True)
    assert page.orders[0].fulfillments[0].tracking[0].number == "1Z"


# Orders and fulfillments


def cancel_answer(*errors, job=None):
    return {"data": {"orderCancel": {"job": job, "orderCancelUserErrors": list(errors)}}}


def test_a_cancellation_moves_no_money_and_mails_nobody(shopify, client):
    shopify.says(cancel_answer(job={"id": "gid://shopify/Job/1"}))
    assert client.cancel_order(ORDER, note="x" * 300) == "gid://shopify/Job/1"
    assert "notifyCustomer: false" in shopify.requests[0].body["query"]
    assert shopify.sent() == {
        "orderId": ORDER,
        "reason": "OTHER",
        "restock": True,
        "refundMethod": {"originalPaymentMethodsRefund": True},
        "staffNote": "x" * 255,
    }


@pytest.mark.parametrize(
    "words", ["Order has already been canceled", "A cancellation of this order is already in progress"]
)
def test_an_order_cancelled_before_counts_as_done(shopify, client, words):
    shopify.says(cancel_answer({"field": ["orderId"], "message": words, "code": "INVALID"}))
    assert client.cancel_order(ORDER) == ""


def test_an_order_that_was_shipped_cannot_be_cancelled(shopify, client):
    words = "Cannot cancel an order with outstanding fulfillments"
    shopify.says(cancel_answer({"field": ["orderId"], "message": words, "code": "INVALID"}))
    with pytest.raises(Rejected, match="outstanding fulfillments") as refused:
        client.cancel_order(ORDER)
    assert refused.value.code == "INVALID"


def test_a_fulfillment_of_many_lines_is_read_whole(shopify, client):
    def page(numbers, after=None):
        nodes = [{"quantity": 1, "lineItem": {"id": f"gid://shopify/LineItem/{n}"}} for n in numbers]
        return {
            "data": {
                "fulfillment": {
                    "id": "gid://shopify/Fulfillment/1",
                    "name": "#1001-F1",
                    "status": "SUCCESS",
                    "updatedAt": "2026-11-21T20:00:00Z",
                    "order": {"id": ORDER},
                    "trackingInfo": [
                        {"company": "UPS", "number": "1Z", "url": "https://ups.example/"},
                        {"company": None, "number": None, "url": None},
                    ],
                    "fulfillmentLineItems": connection(*nodes, after=after),
                }
            }
        }

    shopify.says(page([1, 2], after="x"), page([3]))
    found = client.get_fulfillment("gid://shopify/Fulfillment/1")
    assert [one.line_id[-1] for one in found.lines] == ["1", "2", "3"]
    assert [info.number for info in found.tracking] == ["1Z", ""]
    assert found.order_id == ORDER


def test_the_reference_is_attributes_and_a_metafield(shopify, client):
    shopify.says({"data": {"orderUpdate": {"order": {"id": ORDER}, "userErrors": []}}})
    client.set_reference(ORDER, {"tiktok_order_id": "577"}, "577")
    metafield = {"namespace": "$app", "key": "tiktok_order_id", "type": "id", "value": "577"}
    attributes = [{"key": "tiktok_order_id", "value": "577"}]
    assert shopify.sent()["input"] == {"id": ORDER, "customAttributes": attributes, "metafields": [metafield]}


def test_a_metafield_definition_that_exists_is_fine(shopify, client):
    def refused(code):
        error = {"field": None, "message": "Key is in use", "code": code}
        return {"data": {"metafieldDefinitionCreate": {"createdDefinition": None, "userErrors": [error]}}}

    shopify.says(refused("TAKEN"), refused("INVALID"))
    client.ensure_metafield_definition()
    with pytest.raises(Rejected):
        client.ensure_metafield_definition()


# What can go wrong


def test_throttled_waits_until_the_points_are_back(shopify, client):
    throttled = example("graphql_throttled")
    throttled["extensions"]["cost"]["requestedQueryCost"] = 304
    shopify.says(throttled)
    with pytest.raises(Busy) as busy:
        client.create_draft(CONTENT)
    assert 3 <= busy.value.retry_after <= 3.3
    assert not busy.value.may_have_acted


@pytest.mark.parametrize(
    ("sent", "read"),
    [("2.5", 2.5), ("0", 0.1), ("-1", 0.1), ("99999", 3600), ("inf", 2), ("nan", 2), ("later", 2), ("", 2)],
)
def test_too_many_requests_are_told_by_a_decimal_string_and_nonsense_by_none(shopify, client, sent, read):
    shopify.says(Answer({}, status=429, headers={"Retry-After": sent}))
    with pytest.raises(Busy) as busy:
        client.get_draft(DRAFT)
    assert busy.value.retry_after == read


@pytest.mark.parametrize(
    "answer",
    [
        Answer({}, status=500),
        Answer(b"<html>", status=503),
        Answer(drop=True),
        Answer({"data": {}}, truncated=True),
        Answer(b"<html>not json"),
        Answer(b'{"data": {"draftOrd'),
        Answer({"extensions": {}}),
        Answer(example("graphql_internal_server_error")),
        Answer({}, delay=1.5),
    ],
    ids=["500", "503", "drop", "truncated", "html", "half", "empty", "internal", "late"],
)
def test_a_write_without_a_whole_answer_may_have_acted_and_is_not_sent_again(
    shopify, client, settings, answer
):
    settings.CALL_DEADLINE_SECONDS = 1
    shopify.says(answer)
    with pytest.raises(Unavailable) as unavailable:
        client.create_draft(CONTENT)
    assert unavailable.value.may_have_acted
    assert len(shopify.requests) == 1


def test_a_read_without_an_answer_never_acted(shopify, client):
    shopify.says(Answer(drop=True))
    with pytest.raises(Unavailable) as unavailable:
        client.get_draft(DRAFT)
    assert not unavailable.value.may_have_acted


def test_a_refused_connection_surely_did_nothing(client, settings):
    settings.SHOPIFY_SHOP_URL = "http://127.0.0.1:9/{shop}"
    with pytest.raises(Unavailable) as unavailable:
        client.create_draft(CONTENT)
    assert not unavailable.value.may_have_acted
    assert "127.0.0.1" not in unavailable.value.public


@pytest.mark.parametrize(
    "message",
    ["The order is temporarily unavailable to be modified", "Draft order is not ready to be completed"],
)
def test_what_passes_by_itself_is_not_a_persons_turn(shopify, client, message):
    words = [{"field": None, "message": message}]
    shopify.says({"data": {"draftOrderUpdate": {"draftOrder": None, "userErrors": words}}})
    with pytest.raises(Unavailable):
        client.update_draft(DRAFT, note="n")


def test_a_user_error_is_a_persons_turn_with_its_field(shopify, client):
    shopify.says(example("graphql_user_error"))
    with pytest.raises(Rejected, match="no longer available"):
        client.create_draft(CONTENT)
    words = [{"field": ["input", "tags"], "message": "Title Tag exceeds"}]
    shopify.says({"data": {"draftOrderCreate": {"draftOrder": None, "userErrors": words}}})
    with pytest.raises(Rejected, match=r"input\.tags: Title Tag exceeds"):
        client.create_draft(CONTENT)


@pytest.mark.parametrize(
    ("status", "daily"), [(402, True), (423, True), (403, False)], ids=["unpaid", "locked", "forbidden"]
)
def test_a_shop_that_lets_nobody_in_is_access_lost(shopify, client, status, daily):
    shopify.says(Answer({"errors": "Unavailable Shop"}, status=status, headers={"X-Request-Id": "r-1"}))
    with pytest.raises(AccessLost) as lost:
        client.get_draft(DRAFT)
    assert (lost.value.retry_daily, lost.value.request_id) == (daily, "r-1")


def test_a_missing_scope_is_access_lost(shopify, client):
    shopify.says(example("graphql_access_denied"))
    with pytest.raises(AccessLost, match="write_draft_orders"):
        client.create_draft(CONTENT)


@pytest.mark.parametrize("status", [302, 400, 404, 430])
def test_other_refusals_are_a_persons_turn(shopify, client, status):
    shopify.says(Answer({}, status=status, headers={"Location": "/elsewhere"}))
    with pytest.raises(Rejected) as refused:
        client.get_draft(DRAFT)
    assert not isinstance(refused.value, AccessLost)
    assert len(shopify.requests) == 1


def test_a_bug_of_ours_is_rejected_with_shopifys_code(shopify, client):
    shopify.says(example("graphql_max_cost_exceeded"))
    with pytest.raises(Rejected) as refused:
        client.get_draft(DRAFT)
    assert refused.value.code == "MAX_COST_EXCEEDED"


def test_a_refused_token_is_refreshed_once(shopify, client):
    pair = {"access_token": "shpat_2", "refresh_token": "shprt_2", "expires_in": 3600}
    shopify.says(Answer({}, status=401), pair, {"data": {"draftOrder": draft(order=None)}})
    assert client.get_draft(DRAFT).id == DRAFT
    assert shopify.requests[2].headers["X-Shopify-Access-Token"] == "shpat_2"


def test_a_token_refused_twice_is_access_lost(shopify, client):
    pair = {"access_token": "shpat_2", "refresh_token": "shprt_2", "expires_in": 3600}
    shopify.says(Answer({}, status=401), pair, Answer({}, status=401))
    with pytest.raises(AccessLost):
        client.get_draft(DRAFT)
    assert len(shopify.requests) == 3


def test_a_token_replaced_by_another_worker_is_used_without_refreshing(shopify, client):
    other = make_shop(domain="other.myshopify.com", access_token="shpat_9")
    Shop.objects.filter(pk=client.shop.pk).update(access_token=other.access_token)
    shopify.says(Answer({}, status=401), {"data": {"draftOrder": None}})
    client.get_draft(DRAFT)
    assert shopify.requests[1].headers["X-Shopify-Access-Token"] == "shpat_9"


def test_an_error_never_quotes_the_buyer(shopify, client):
    words = [{"field": ["input", "zip"], "message": "ana SILVA, 78701 is not in Austin (phone +15125550100)"}]
    shopify.says({"data": {"draftOrderUpdate": {"draftOrder": None, "userErrors": words}}})
    with pytest.raises(Rejected) as refused:
        client.update_draft(DRAFT, address=ADDRESS)
    shown = refused.value.public + repr(refused.value)
    for value in ("ana", "silva", "78701", "austin", "5125550100"):
        assert value not in shown.lower()
    assert "is not in" in shown


def test_an_address_hides_itself():
    assert repr(ADDRESS) == "PostalAddress(hidden)"


def test_another_version_than_asked_for_is_said_aloud(shopify, client, caplog):
    headers = {"X-Shopify-API-Version": "2027-01", "X-Shopify-API-Deprecated-Reason": "x"}
    shopify.says(Answer({"data": {"draftOrder": None}}, headers=headers))
    with caplog.at_level(logging.WARNING, logger="shopify_app"):
        client.get_draft(DRAFT)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_no_token_appears_in_what_we_show(shopify, client):
    shopify.says(Answer({}, status=500))
    with pytest.raises(Unavailable) as unavailable:
        client.get_draft(DRAFT)
    assert "shpat_1" not in unavailable.value.public + repr(unavailable.value) + repr(client.shop)


def test_an_answer_is_read_without_a_connection():
    assert decipher(200, {}, {"data": {"draftOrder": None}}, DRAFT_GET) == {"draftOrder": None}
    with pytest.raises(Unavailable) as unavailable:
        decipher(200, {}, None, DRAFT_CREATE)
    assert unavailable.value.may_have_acted


@pytest.mark.parametrize(
    ("told", "acted"), [({"draftOrderCreate": {"draftOrder": None}}, True), (None, False)]
)
def test_an_error_beside_a_writes_own_answer_leaves_open_whether_it_was_done(told, acted):
    refused = [{"message": "Access denied for order", "extensions": {"code": "ACCESS_DENIED"}}]
    with pytest.raises(AccessLost) as caught:
        decipher(200, {}, {"data": told, "errors": refused}, DRAFT_CREATE)
    assert caught.value.may_have_acted is acted


def test_what_an_error_shows_holds_no_phone_and_no_mail_address():
    error = Rejected("phone +1 512-555-0100 of ana@example.com is invalid", code="INVALID")
    assert error.public == "INVALID: phone [removed] of [removed] is invalid"
