"""What Shopify charges for a document, in points.

The model is fitted to recorded answers (Shopify contract 5): leaves are free, an object costs 1, a connection
grows with the logarithm of its size, a mutation costs 10 with its first-level object, money and page info
are free.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_leaf_type,
    parse,
)

from shopify_app.sandbox.schema import admin_schema

MAX_SINGLE = 1000
FREE = frozenset({"MoneyBag", "MoneyV2", "PageInfo"})
COUNT = 10
MUTATION = 10
DEARER_MUTATIONS = {
    "refundCreate": 20,
    "orderCapture": 20,
    "productCreateMedia": 20,
    "fulfillmentTrackingInfoUpdate": 50,
}


def requested_cost(document_text: str, variables: Mapping[str, Any] | None = None, name: str = "") -> int:
    """Points held before the document runs; of several operations the named one counts, else the first."""
    document = parse(document_text)
    return document_cost(document, pick_operation(document, name), variables or {})


def pick_operation(document: DocumentNode, name: str = "") -> OperationDefinitionNode:
    found = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    for operation in found:
        if operation.name and operation.name.value == name:
            return operation
    return found[0]


def document_cost(
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
    answer: Mapping[str, Any] | None = None,
) -> int:
    """The requested cost; with an answer at hand the actual cost, which counts only what came back."""
    return _Meter(document, operation, variables).operation_cost(operation, answer)


class _Meter:
    def __init__(
        self, document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
    ) -> None:
        self.schema = admin_schema()
        self.fragments = {
            d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)
        }
        self.variables = {
            definition.variable.name.value: int(definition.default_value.value)
            for definition in operation.variable_definitions or ()
            if isinstance(definition.default_value, IntValueNode)
        } | {name: value for name, value in variables.items() if isinstance(value, int)}

    def operation_cost(self, operation: OperationDefinitionNode, answer: Mapping[str, Any] | None) -> int:
        if operation.operation is not OperationType.MUTATION:
            root = self.schema.query_type
            assert root is not None
            return max(1, self.selection(operation.selection_set, root, answer))
        return sum(
            self.mutation(node, None if answer is None else answer.get(_key(node)), answer is not None)
            for node in operation.selection_set.selections
            if isinstance(node, FieldNode)
        )

    def mutation(self, node: FieldNode, answer: Any, measured: bool) -> int:
        root = self.schema.mutation_type
        assert root is not None
        payload = get_named_type(root.fields[node.name.value].type)
        total = DEARER_MUTATIONS.get(node.name.value, MUTATION)
        for child in node.selection_set.selections if node.selection_set else ():
            if not isinstance(child, FieldNode) or child.selection_set is None:
                continue
            kind = get_named_type(payload.fields[child.name.value].type)
            part = answer.get(_key(child)) if isinstance(answer, Mapping) else None
            if kind.name.endswith("Error") or (measured and part is None):
                continue
            total += self.selection(child.selection_set, kind, part if measured else None)
        return total

    def selection(self, chosen: SelectionSetNode | None, kind: GraphQLNamedType, answer: Any) -> int:
        """What is selected of one object; of an interface the dearest branch counts."""
        total = 0
        branches: dict[str, int] = {}
        for node in chosen.selections if chosen else ():
            if isinstance(node, FieldNode):
                total += self.field(node, kind, answer)
                continue
            condition, inner = self._fragment(node, kind)
            cost = self.selection(inner, self.schema.get_type(condition) or kind, answer)
            if condition == kind.name:
                total += cost
            else:
                branches[condition] = branches.get(condition, 0) + cost
        return total + max(branches.values(), default=0)

    def field(self, node: FieldNode, parent: GraphQLNamedType, answer: Any) -> int:
        definition = getattr(parent, "fields", {}).get(node.name.value)
        if definition is None:
            return 0
        kind = get_named_type(definition.type)
        measured = isinstance(answer, Mapping)
        part = answer.get(_key(node)) if measured else None
        if is_leaf_type(kind) or kind.name in FREE or kind.name.endswith("Error"):
            return 0
        if measured and part is None:
            return 0
        if kind.name == "Count":
            return COUNT
        if kind.name.endswith("Connection"):
            return self.connection(node, kind, part if measured else None)
        if measured and isinstance(part, list):
            return max(
                (1 + self.selection(node.selection_set, kind, item) for item in part if item), default=0
            )
        return 1 + self.selection(node.selection_set, kind, part)

    def connection(self, node: FieldNode, kind: Any, answer: Any) -> int:
        child = 0
        for part in node.selection_set.selections if node.selection_set else ():
            if not isinstance(part, FieldNode) or part.name.value not in ("nodes", "edges"):
                continue
            inner: SelectionSetNode | None = part.selection_set
            item = get_named_type(kind.fields[part.name.value].type)
            if part.name.value == "edges":
                inner = next(
                    (
                        edge.selection_set
                        for edge in (inner.selections if inner else ())
                        if isinstance(edge, FieldNode) and edge.name.value == "node"
                    ),
                    None,
                )
                item = get_named_type(item.fields["node"].type)
            child = max(child, 1 + self.selection(inner, item, None))
        if answer is None:
            return 2 + _growth(self._size(node)) * child
        returned = _returned(answer)
        return 2 + (_growth(returned) * child if returned else 0)

    def _fragment(self, node: Any, kind: GraphQLNamedType) -> tuple[str, SelectionSetNode]:
        if isinstance(node, FragmentSpreadNode):
            fragment = self.fragments[node.name.value]
            return fragment.type_condition.name.value, fragment.selection_set
        assert isinstance(node, InlineFragmentNode)
        condition = node.type_condition.name.value if node.type_condition else kind.name
        return condition, node.selection_set

    def _size(self, node: FieldNode) -> int:
        for argument in node.arguments or ():
            if argument.name.value not in ("first", "last"):
                continue
            if isinstance(argument.value, IntValueNode):
                return int(argument.value.value)
            if isinstance(argument.value, VariableNode):
                return int(self.variables.get(argument.value.name.value, 0))
        return 0


def _growth(size: int) -> int:
    return max(1, math.floor(2 * math.log(size))) if size >= 1 else 1


def _returned(answer: Mapping[str, Any]) -> int:
    listed: Sequence[Any] = next((part for part in answer.values() if isinstance(part, list)), ())
    return len(listed)


def _key(node: FieldNode) -> str:
    return node.alias.value if node.alias else node.name.value
