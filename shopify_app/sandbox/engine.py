"""Runs GraphQL documents as the Admin API does: validated, charged, access checked; a judge of what we send.

Whatever the platform would refuse is refused in its words. What it would let pass although the contract forbids it
(deprecated members, protected fields) is let pass and recorded as a violation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from graphql import (
    DirectiveNode,
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLResolveInfo,
    OperationDefinitionNode,
    OperationType,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    execute,
    get_named_type,
    parse,
    type_from_ast,
    validate,
    visit,
)

from shopify_app.sandbox import mutations, queries
from shopify_app.sandbox.connections import connection
from shopify_app.sandbox.cost import MAX_SINGLE, document_cost, pick_operation
from shopify_app.sandbox.problems import access_denied, refusal
from shopify_app.sandbox.schema import access_rules, admin_schema

if TYPE_CHECKING:
    from shopify_app.sandbox.shop import ShopState

MAX_ARRAY = 250
REMEMBERED_DOCUMENTS = 500
# From 2026-04 on these are refused without a key (Shopify contract 1).
IDEMPOTENT = frozenset(
    {"refundCreate", "inventorySetQuantities", "inventoryAdjustQuantities", "inventoryActivate"}
)
UNPROTECTED_ARGUMENTS = frozenset({"lineItems"})


@dataclass
class Context:
    """What resolvers see of the call."""

    shop: ShopState
    operation: Operation
    searches: list[dict[str, Any]] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)


@dataclass
class Reply:
    body: dict[str, Any]
    deprecated: bool = False


class Operation:
    """One document, understood once: parsed, validated, its uses of access, deprecated and protected members."""

    def __init__(self, text: str, name: str = "") -> None:
        self.errors: list[dict[str, Any]] = []
        self.document: DocumentNode | None = None
        self.node: OperationDefinitionNode | None = None
        self.deprecated: list[str] = []
        self.protected: list[str] = []
        self.touched: list[tuple[str, str, str]] = []
        try:
            self.document = parse(text)
        except GraphQLError as error:
            self.errors = [_plain(error, "PARSE_ERROR")]
            return
        self.errors = [
            _plain(e, _validation_code(e.message)) for e in validate(admin_schema(), self.document)
        ]
        if not self.errors:
            self.node = pick_operation(self.document, name)
            visit(self.document, TypeInfoVisitor(self._info, _Survey(self, self._info)))

    @cached_property
    def _info(self) -> TypeInfo:
        return TypeInfo(admin_schema())

    @property
    def roots(self) -> tuple[str, ...]:
        if self.node is None:
            return ()
        return tuple(n.name.value for n in self.node.selection_set.selections if isinstance(n, FieldNode))

    @property
    def is_mutation(self) -> bool:
        return self.node is not None and self.node.operation is OperationType.MUTATION

    def denied(self, shop: ShopState) -> dict[tuple[str, str], str]:
        """Fields that the granted scopes do not open, with the words of what would."""
        rules = access_rules()
        refused = {}
        for parent, name, kind in self.touched:
            for key in ((parent, name), kind):
                scopes = rules.fields.get(key) if isinstance(key, tuple) else rules.types.get(key)
                if scopes and not any(shop.has_scope(scope) for scope in scopes):
                    refused[parent, name] = rules.words[key]
        return refused


@lru_cache(maxsize=REMEMBERED_DOCUMENTS)
def understood(text: str, name: str) -> Operation:
    return Operation(text, name)


class Engine:
    """Executes documents for a shop. The caller holds the platform's lock."""

    def understand(self, text: str, name: str = "") -> Operation:
        """What a document means depends on no shop: understood once for all sandboxes of the process."""
        return understood(text, name)

    def run(self, shop: ShopState, operation: Operation, variables: Mapping[str, Any]) -> Reply:
        """The whole answer: data, errors, extensions."""
        label = ",".join(operation.roots)
        if operation.errors:
            for error in operation.errors:
                shop.violation(f"document does not validate: {error['message']}", label)
            return Reply({"errors": operation.errors})
        assert operation.document is not None
        assert operation.node is not None
        deprecated = self._judge(shop, operation, variables, label)
        cost = document_cost(operation.document, operation.node, variables)
        if cost > MAX_SINGLE:
            shop.violation(f"single query cost {cost} is over {MAX_SINGLE}", label)
            return Reply({"errors": [_too_dear(cost)]})
        if not shop.bucket.take(cost):
            return Reply({"errors": [THROTTLED], "extensions": {"cost": _cost(shop, cost, None)}})
        context = Context(shop, operation)
        result = self._execute(shop, operation, variables, context)
        actual = document_cost(operation.document, operation.node, variables, result.data or {})
        shop.bucket.give_back(cost - actual)
        body = self._body(shop, result, context, label)
        body["extensions"] = {"cost": _cost(shop, cost, actual)}
        if context.searches:
            body["extensions"]["search"] = context.searches
        return Reply(body, deprecated)

    def _judge(self, shop: ShopState, operation: Operation, variables: Mapping[str, Any], label: str) -> bool:
        uses = [*operation.deprecated, *_deprecated_variables(operation, variables)]
        for use in uses:
            shop.violation(f"deprecated: {use}", label)
        for protected in operation.protected:
            shop.violation(f"protected customer data is read: {protected}", label)
        return bool(uses)

    def _execute(
        self, shop: ShopState, operation: Operation, variables: Mapping[str, Any], context: Context
    ) -> ExecutionResult:
        assert operation.document is not None
        assert operation.node is not None
        refused = operation.denied(shop)
        for words in [*_oversized(variables), *_missing_keys(operation)]:
            shop.violation(words.message, ",".join(operation.roots))
            return ExecutionResult(None, [words])
        context.keys = _idempotency_keys(operation.node, variables)

        def resolve(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
            place = (info.parent_type.name, info.field_name)
            if place in refused:
                raise access_denied(info.field_name, refused[place])
            return _resolve(source, info, context, arguments)

        result = execute(
            admin_schema(),
            operation.document,
            root_value=None,
            variable_values=dict(variables),
            operation_name=operation.node.name.value if operation.node.name else None,
            field_resolver=resolve,
            type_resolver=lambda value, *_: queries.type_name(value),
        )
        assert isinstance(result, ExecutionResult)
        return result

    def _body(self, shop: ShopState, result: ExecutionResult, context: Context, label: str) -> dict[str, Any]:
        for gap in context.gaps:
            shop.violation(f"the sandbox does not model {gap}", label)
        body: dict[str, Any] = {}
        if result.data is not None or not result.errors:
            body["data"] = result.data
        if result.errors:
            body["errors"] = [self._error(shop, error, label) for error in result.errors]
        return body

    def _error(self, shop: ShopState, error: GraphQLError, label: str) -> dict[str, Any]:
        if error.extensions and "code" in error.extensions:
            return dict(error.formatted)
        if error.original_error and not isinstance(error.original_error, GraphQLError):
            raise error.original_error
        shop.violation(f"a variable does not fit: {error.message}", label)
        return _plain(error, "INVALID_VARIABLE") | {
            "extensions": {"code": "INVALID_VARIABLE", "problems": [{"explanation": error.message}]}
        }


THROTTLED = {
    "message": "Throttled",
    "extensions": {"code": "THROTTLED", "documentation": "https://shopify.dev/api/usage/rate-limits"},
}


class _Survey(Visitor):
    """Notes what a valid document touches."""

    def __init__(self, operation: Operation, info: TypeInfo) -> None:
        super().__init__()
        self._operation = operation
        self._info = info

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        parent, definition = self._info.get_parent_type(), self._info.get_field_def()
        if parent is None or definition is None or node.name.value.startswith("__"):
            return
        place = (parent.name, node.name.value)
        self._operation.touched.append((*place, get_named_type(definition.type).name))
        if place in access_rules().protected:
            self._operation.protected.append(".".join(place))
        if definition.deprecation_reason:
            self._operation.deprecated.append(".".join(place))

    def enter_argument(self, node: Any, *_: Any) -> None:
        argument, parent = self._info.get_argument(), self._info.get_parent_type()
        if argument is not None and argument.deprecation_reason:
            self._operation.deprecated.append(
                f"argument {node.name.value} of {parent.name if parent else '?'}"
            )

    def enter_object_field(self, node: Any, *_: Any) -> None:
        kind = self._info.get_parent_input_type()
        named = get_named_type(kind) if kind else None
        if isinstance(named, GraphQLInputObjectType):
            member = named.fields.get(node.name.value)
            if member is not None and member.deprecation_reason:
                self._operation.deprecated.append(f"{named.name}.{node.name.value}")


def _resolve(source: Any, info: GraphQLResolveInfo[Any], context: Context, arguments: dict[str, Any]) -> Any:
    parent, name = info.parent_type.name, info.field_name
    if parent == "Mutation":
        return mutations.run(context, name, arguments)
    special = queries.FIELDS.get((parent, name))
    if special:
        value = special(context, source, arguments)
    elif isinstance(source, Mapping):
        value = source.get(name)
    else:
        value = _attribute(source, _snake(name), f"{parent}.{name}", context)
    return _present(value, info, source, context, arguments)


def _attribute(source: Any, attribute: str, place: str, context: Context) -> Any:
    try:
        return getattr(source, attribute)
    except AttributeError:
        context.gaps.append(place)
        raise refusal("INTERNAL_SERVER_ERROR", f"the sandbox does not model {place}") from None


def _present(
    value: Any, info: GraphQLResolveInfo[Any], source: Any, context: Context, arguments: dict[str, Any]
) -> Any:
    """Our plain values in GraphQL's clothes: money bags, connections, attributes, times."""
    if value is None:
        return None
    kind = get_named_type(info.return_type).name
    if kind == "MoneyBag" and isinstance(value, Decimal):
        return _money_bag(context.shop, value, source.currency)
    if kind == "MoneyV2" and isinstance(value, Decimal):
        return {"amount": _amount(value), "currencyCode": source.currency}
    if isinstance(value, Decimal):
        return f"{value:.2f}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if kind == "Attribute":
        return [{"key": key, "value": text} for key, text in value.items()]
    if kind.endswith("Connection") and isinstance(value, list):
        return connection(value, arguments)
    return value


def _money_bag(shop: ShopState, amount: Decimal, currency: str) -> dict[str, Any]:
    return {
        "presentmentMoney": {"amount": _amount(amount), "currencyCode": currency},
        "shopMoney": {"amount": _amount(amount * shop.rate(currency)), "currencyCode": shop.record.currency},
    }


def _amount(amount: Decimal) -> str:
    """MoneyV2 says 18.5 and 9.0, never 18.50: amounts are to be compared as decimals."""
    text = f"{amount:.2f}"
    return text[:-1] if text.endswith("0") else text


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def _deprecated_variables(operation: Operation, variables: Mapping[str, Any]) -> Iterator[str]:
    assert operation.node is not None
    for definition in operation.node.variable_definitions or ():
        name = definition.variable.name.value
        if name in variables:
            yield from _deprecated_in(variables[name], type_from_ast(admin_schema(), definition.type))


def _deprecated_in(value: Any, kind: Any) -> Iterator[str]:
    if isinstance(kind, GraphQLNonNull):
        kind = kind.of_type
    if isinstance(kind, GraphQLList):
        for item in value if isinstance(value, list) else [value]:
            yield from _deprecated_in(item, kind.of_type)
    elif isinstance(kind, GraphQLInputObjectType) and isinstance(value, dict):
        for member, inner in value.items():
            definition = kind.fields.get(member)
            if definition is None:
                continue
            if definition.deprecation_reason:
                yield f"{kind.name}.{member}"
            yield from _deprecated_in(inner, definition.type)
    elif isinstance(kind, GraphQLEnumType) and isinstance(value, str):
        choice = kind.values.get(value)
        if choice is not None and choice.deprecation_reason:
            yield f"{kind.name}.{value}"


def _oversized(value: Any, name: str = "") -> Iterator[GraphQLError]:
    """Arrays of more than 250 entries; draft lines have their own limit."""
    if isinstance(value, Mapping):
        for member, inner in value.items():
            yield from _oversized(inner, member)
    elif isinstance(value, list):
        if len(value) > MAX_ARRAY and name not in UNPROTECTED_ARGUMENTS:
            yield refusal(
                "MAX_INPUT_SIZE_EXCEEDED",
                f"The input array size of {len(value)} is greater than the maximum allowed of {MAX_ARRAY}.",
            )
        for inner in value:
            yield from _oversized(inner)


def _missing_keys(operation: Operation) -> Iterator[GraphQLError]:
    assert operation.node is not None
    for node in operation.node.selection_set.selections:
        if isinstance(node, FieldNode) and node.name.value in IDEMPOTENT and not _idempotent(node):
            yield refusal("BAD_REQUEST", f"The @idempotent directive is required for {node.name.value}.")


def _idempotency_keys(operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> dict[str, str]:
    keys = {}
    for node in operation.selection_set.selections:
        directive = _idempotent(node) if isinstance(node, FieldNode) else None
        if isinstance(node, FieldNode) and directive:
            value: Any = (directive.arguments or ())[0].value
            keys[node.name.value] = str(
                variables[value.name.value] if hasattr(value, "name") else value.value
            )
    return keys


def _idempotent(node: FieldNode) -> DirectiveNode | None:
    return next((d for d in node.directives or () if d.name.value == "idempotent"), None)


def _validation_code(message: str) -> str:
    for words, code in (
        ("Cannot query field", "undefinedField"),
        ("Unknown argument", "argumentNotAccepted"),
        ("is required, but it was not provided", "missingRequiredArguments"),
    ):
        if words in message:
            return code
    return "argumentLiteralsIncompatible"


def _plain(error: GraphQLError, code: str) -> dict[str, Any]:
    return {**error.formatted, "extensions": {"code": code}}


def _too_dear(cost: int) -> dict[str, Any]:
    return {
        "message": f"Query cost is {cost}, which exceeds the single query max cost limit ({MAX_SINGLE}).",
        "extensions": {
            "code": "MAX_COST_EXCEEDED",
            "cost": cost,
            "maxCost": MAX_SINGLE,
            "documentation": "https://shopify.dev/api/usage/rate-limits",
        },
    }


def _cost(shop: ShopState, requested: int, actual: int | None) -> dict[str, Any]:
    return {
        "requestedQueryCost": requested,
        "actualQueryCost": actual,
        "throttleStatus": shop.bucket.status(),
    }
