"""The documents and what the client really sends with them, judged by Shopify's published schema."""

import inspect
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    graphql_sync,
    parse,
    type_from_ast,
    validate,
    visit,
)
from graphql.execution.values import get_variable_values

import shopify_app.client
from shopify_app.client import Client, Operation
from shopify_app.orders import DraftContent, DraftLine, PostalAddress
from shopify_app.sandbox.cost import requested_cost
from shopify_app.sandbox.schema import admin_schema
from tests.shopify_script import Answer, Request, ScriptedShopify, make_shop

DOCUMENTS = sorted((Path(shopify_app.client.__file__).parent / "operations").glob("*.graphql"))
OPERATIONS = [found for _, found in inspect.getmembers(shopify_app.client) if isinstance(found, Operation)]
NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def schema():
    return admin_schema()


def test_every_document_has_its_operation():
    assert sorted(operation.name for operation in OPERATIONS) == [path.stem for path in DOCUMENTS]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_a_document_is_valid_and_uses_nothing_deprecated(schema, operation):
    document = parse(operation.text)
    assert validate(schema, document) == []
    assert deprecated_in(schema, document) == []


def test_the_check_for_deprecated_members_sees_them(schema):
    document = parse(
        """mutation($id: ID!) {
             draftOrderComplete(id: $id, paymentPending: true) { draftOrder { totalPrice } }
             draftOrderCreate(input: {customerId: "1"}) { draftOrder { id } }
           }"""
    )
    assert sorted(deprecated_in(schema, document)) == ["customerId", "paymentPending", "totalPrice"]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_the_points_we_reserve_are_those_shopify_asks_for(operation):
    assert operation.cost == requested_cost(operation.text)


def test_one_order_of_one_line_keeps_to_its_points():
    budget = {
        "draft_create": 10,
        "draft_get": 2,
        "draft_update": 10,
        "draft_complete_one_line": 14,
        "order_update": 10,
        "fulfillment_get": 7,
    }
    costs = {operation.name: operation.cost for operation in OPERATIONS}
    assert {name: costs[name] for name in budget} == budget
    assert sum(budget.values()) <= 60


# What the client sends

CONTENT = DraftContent(
    lines=(
        DraftLine(
            "gid://shopify/ProductVariant/1", "Tee", "TEE", 2, Decimal("18.50"), {"_tiktok_line_ids": "1,2"}
        ),
        DraftLine(None, "Gift", "TT-ONLY", 1, Decimal("0.00")),
    ),
    shipping_title="TikTok Shop shipping",
    shipping_amount=Decimal("4.99"),
    currency="USD",
    tags=("TikTok Shop", "tts-577"),
    note="on hold",
    attributes={"tiktok_order_id": "577"},
    reserve_until=NOW,
)
ADDRESS = PostalAddress(
    "Ana", "Silva", "Acme", "10 Example Street", "Apt 4", "Austin", "TX", "78701", "US", "+1512"
)
CALLS: dict[str, Any] = {
    "installation": lambda c: c.installation(),
    "find_variants": lambda c: c.find_variants(['A "quoted" SKU', "B\\2"]),
    "search_variants": lambda c: c.search_variants("black tee (M)"),
    "get_variants": lambda c: c.get_variants(["gid://shopify/ProductVariant/1"]),
    "create_draft": lambda c: c.create_draft(CONTENT),
    "get_draft": lambda c: c.get_draft("gid://shopify/DraftOrder/1"),
    "update_draft": lambda c: c.update_draft(
        "gid://shopify/DraftOrder/1",
        content=CONTENT,
        address=ADDRESS,
        tags=["a"],
        note="n",
        reserve_until=NOW,
        attributes={"k": "v"},
    ),
    "delete_draft": lambda c: c.delete_draft("gid://shopify/DraftOrder/1"),
    "complete_draft": lambda c: (
        c.complete_draft("gid://shopify/DraftOrder/1"),
        c.complete_draft("gid://shopify/DraftOrder/1", lines=1),
        c.complete_draft("gid://shopify/DraftOrder/1", lines=30),
    ),
    "find_drafts": lambda c: c.find_drafts("tts-577"),
    "find_orders": lambda c: c.find_orders("tts-577"),
    "first_order": lambda c: c.first_order("skuiq", NOW),
    "recent_orders": lambda c: c.recent_orders(NOW),
    "get_order": lambda c: c.get_order("gid://shopify/Order/1"),
    "get_order_lines": lambda c: c.get_order_lines("gid://shopify/Order/1"),
    "set_reference": lambda c: c.set_reference("gid://shopify/Order/1", {"tiktok_order_id": "577"}, "577"),
    "set_order_address": lambda c: c.set_order_address("gid://shopify/Order/1", ADDRESS),
    "cancel_order": lambda c: c.cancel_order("gid://shopify/Order/1", note="Cancelled", reason="CUSTOMER"),
    "search_orders_updated": lambda c: c.search_orders_updated("TikTok Shop", NOW, after="x"),
    "search_orders_created": lambda c: c.search_orders_created("TikTok Shop", NOW, NOW, after="x"),
    "defer_payment": lambda c: c.defer_payment("gid://shopify/DraftOrder/1", NOW),
    "pay_manually": lambda c: c.pay_manually("gid://shopify/Order/1", "TikTok Shop", NOW),
    "mark_paid": lambda c: c.mark_paid("gid://shopify/Order/1"),
    "add_tags": lambda c: c.add_tags("gid://shopify/Order/1", ["a"]),
    "remove_tags": lambda c: c.remove_tags("gid://shopify/Order/1", ["a"]),
    "get_fulfillment": lambda c: c.get_fulfillment("gid://shopify/Fulfillment/1"),
    "get_order_fulfillments": lambda c: c.get_order_fulfillments("gid://shopify/Order/1"),
    "ensure_metafield_definition": lambda c: c.ensure_metafield_definition(),
    "create_webhook": lambda c: c.create_webhook("FULFILLMENTS_UPDATE", "https://x.example/", ["id"], "id:1"),
    "list_webhooks": lambda c: c.list_webhooks(),
    "delete_webhook": lambda c: c.delete_webhook("gid://shopify/WebhookSubscription/1"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", CALLS)
def test_what_a_call_sends_fits_the_schema_and_it_reads_any_answer_of_that_shape(settings, schema, name):
    with ScriptedShopify() as shopify:
        settings.SHOPIFY_SHOP_URL = shopify.url + "/{shop}"
        shopify.always = lambda request: Answer(invented_answer(schema, request))
        CALLS[name](Client(make_shop()))
        assert shopify.requests
        for request in shopify.requests:
            document = parse(request.body["query"])
            assert used_deprecated_inputs(schema, document, request.body["variables"]) == []


def test_every_call_of_the_client_is_in_the_list():
    methods = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}
    assert methods == set(CALLS)


def invented_answer(schema, request: Request) -> dict[str, Any]:
    """Execute the request on the schema, every leaf and object made up."""
    body = request.body
    result = graphql_sync(
        schema,
        body["query"],
        root_value={},
        variable_values=body["variables"],
        field_resolver=invent,
        type_resolver=lambda _value, info, _type: "ProductVariant" if info.field_name == "nodes" else "Order",
    )
    assert result.errors is None, result.errors
    return {"data": result.data}


def invent(_source: Any, info: Any, **_arguments: Any) -> Any:
    kind = info.return_type.of_type if isinstance(info.return_type, GraphQLNonNull) else info.return_type
    if isinstance(kind, GraphQLList):
        named = get_named_type(kind)
        return [] if named.name.endswith("Error") else [invented_leaf(named, info.field_name)]
    return invented_leaf(kind, info.field_name)


def invented_leaf(kind: Any, field: str) -> Any:
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values.values())).value
    by_kind = {
        "DateTime": "2026-11-21T20:00:00Z",
        "Decimal": "1.00",
        "Money": "1.00",
        "Int": 1,
        "Boolean": field != "hasNextPage",
    }
    if kind.name in by_kind:
        return by_kind[kind.name]
    return {} if isinstance(kind, GraphQLObjectType) or hasattr(kind, "fields") else "text"


def deprecated_in(schema, document) -> list[str]:
    """Names of deprecated fields, arguments, input fields and enum values written in the document."""
    found: list[str] = []
    info = TypeInfo(schema)

    class Look(Visitor):
        def enter_field(self, node, *_):
            definition = info.get_field_def()
            if definition and definition.deprecation_reason:
                found.append(node.name.value)

        def enter_argument(self, node, *_):
            definition = info.get_argument()
            if definition and definition.deprecation_reason:
                found.append(node.name.value)

        def enter_object_field(self, node, *_):
            kind = get_named_type(info.get_parent_input_type())
            if isinstance(kind, GraphQLInputObjectType) and kind.fields[node.name.value].deprecation_reason:
                found.append(node.name.value)

        def enter_enum_value(self, node, *_):
            value = info.get_enum_value()
            if value and value.deprecation_reason:
                found.append(node.value)

    visit(document, TypeInfoVisitor(info, Look()))
    return found


def used_deprecated_inputs(schema, document, variables: dict[str, Any]) -> list[str]:
    """What is wrong with the variables: undeclared, not of the declared type, or deprecated."""
    operation = document.definitions[0]
    definitions = {d.variable.name.value: d for d in operation.variable_definitions or ()}
    result = get_variable_values(schema, list(definitions.values()), variables)
    problems = [error.message for error in result] if isinstance(result, list) else []
    problems += [f"undeclared {name}" for name in variables.keys() - definitions.keys()]
    for name in variables.keys() & definitions.keys():
        problems += deprecated_in_value(variables[name], type_from_ast(schema, definitions[name].type))
    return problems


def deprecated_in_value(value: Any, kind: Any) -> list[str]:
    if isinstance(kind, GraphQLNonNull):
        return deprecated_in_value(value, kind.of_type)
    if isinstance(kind, GraphQLList):
        return [name for item in value or () for name in deprecated_in_value(item, kind.of_type)]
    if isinstance(kind, GraphQLInputObjectType) and isinstance(value, dict):
        found = [name for name in value if kind.fields[name].deprecation_reason]
        return found + [
            n for name, inner in value.items() for n in deprecated_in_value(inner, kind.fields[name].type)
        ]
    if isinstance(kind, GraphQLEnumType) and kind.values[value].deprecation_reason:
        return [value]
    return []
