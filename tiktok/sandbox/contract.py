"""TikTok's published contract (contract/openapi.json): which operation a request is, how it breaks the rules."""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no type hints
from referencing import Registry
from referencing.jsonschema import DRAFT202012

Json = dict[str, Any]

COMMON = frozenset({"app_key", "timestamp", "sign", "shop_cipher"})
# A domain name and no port (TikTok contract 3.1).
PUBLIC_HOOK = re.compile(r"^https://(?![\d.]+(/|$))[A-Za-z0-9.-]+\.[A-Za-z]{2,}(/|$)")
LOCAL_HOOK = re.compile(r"^https?://(127\.0\.0\.1|localhost)(:\d+)?(/|$)")


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the contract: where it lives and what it wants."""

    operation: str
    method: str
    path: str
    pattern: re.Pattern[str]
    wants_cipher: bool
    signed: bool
    query: Mapping[str, Json]
    body_schema: str
    body_required: bool
    answer_schema: str


@dataclass(frozen=True, slots=True)
class Match:
    """A path found in the contract; `route` is None when only another method is served there."""

    route: Route | None
    path_values: dict[str, str]


@functools.cache
def document() -> Json:
    """The contract as published."""
    loaded: Json = json.loads((Path(__file__).parent / "contract" / "openapi.json").read_text("utf-8"))
    return loaded


@functools.cache
def routes() -> tuple[Route, ...]:
    return tuple(
        _route(method, path, operation)
        for path, item in document()["paths"].items()
        for method, operation in item.items()
    )


def find(method: str, path: str) -> Match | None:
    """The operation served at this path, or None when the contract knows no such path."""
    known = None
    for route in routes():
        hit = route.pattern.match(path)
        if hit and route.method == method:
            return Match(route, hit.groupdict())
        if hit:
            known = Match(None, hit.groupdict())
    return known


def query_faults(route: Route, query: Mapping[str, list[str]]) -> Iterator[str]:
    """What is wrong with the query, in TikTok's manner: unknown, missing, repeated, of a wrong type."""
    for name, values in query.items():
        if name in COMMON and route.signed:
            if name == "shop_cipher" and not route.wants_cipher:
                yield "Unexpected identifier: shop_cipher"
        elif name not in route.query:
            yield f"Unexpected identifier: {name}"
        if len(values) > 1:
            yield f"Parameter {name} is given more than once; lists are one comma-joined value"
    for name, parameter in route.query.items():
        if name in query:
            yield from _value_faults(name, query[name][0], parameter["schema"])
        elif parameter["required"]:
            yield f"Missing parameter: {name}"


def body_faults(route: Route, body: bytes, *, public_hooks_only: bool) -> Iterator[str]:
    """What is wrong with the JSON body."""
    if not body:
        if route.body_required:
            yield "Missing request body"
        return
    if not route.body_schema:
        yield "Unexpected request body"
        return
    content = json.loads(body)
    address = content.get("address") if isinstance(content, dict) else None
    local = isinstance(address, str) and bool(LOCAL_HOOK.match(address)) and not public_hooks_only
    if isinstance(address, str) and not local and not PUBLIC_HOOK.match(address):
        yield "Invalid body at $.address: must be https with a domain name and without a port"
    for error in validator(route.body_schema).iter_errors(content):
        if error.json_path == "$.address" and local:
            continue  # a sandbox on this machine calls hooks on this machine
        yield f"Invalid body at {error.json_path}: {_short(error)}"


def answer_faults(route: Route, answer: Json) -> list[str]:
    """What is wrong with an answer of ours; undocumented enum values and unknown keys count."""
    return [
        f"{error.json_path}: {_short(error)}"
        for error in validator(route.answer_schema, True).iter_errors(answer)
    ]


def webhook_faults(topic: str, body: Json) -> list[str]:
    schema = document()["webhooks"][topic]["post"]["requestBody"]["content"]["application/json"]["schema"]
    name = schema["$ref"].rsplit("/", 1)[1]
    return [f"{error.json_path}: {_short(error)}" for error in validator(name, True).iter_errors(body)]


@functools.cache
def webhook_types() -> dict[str, int]:
    """Topic name to the number in the payload."""
    return {topic: item["post"]["x-type-id"] for topic, item in document()["webhooks"].items()}


@functools.cache
def validator(schema: str, strict: bool = False) -> Any:
    """A compiled validator of one named schema; `strict` closes objects and enforces documented values."""
    base = _strict(document()) if strict else document()
    registry: Any = Registry().with_resource("contract:", DRAFT202012.create_resource(base))
    return Draft202012Validator({"$ref": f"contract:#/components/schemas/{schema}"}, registry=registry)


def _route(method: str, path: str, operation: Json) -> Route:
    own = [parameter for parameter in operation["parameters"] if "name" in parameter]
    body = operation.get("requestBody", {})
    return Route(
        operation=operation["operationId"],
        method=method.upper(),
        path=path,
        pattern=re.compile("^" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + "$"),
        wants_cipher=bool(operation.get("x-requires-shop-cipher")),
        signed=not path.startswith("/api/v2/token/"),
        query={parameter["name"]: parameter for parameter in own if parameter["in"] == "query"},
        body_schema=_schema_name(body),
        body_required=bool(body.get("required")),
        answer_schema=_schema_name(operation["responses"]["200"]),
    )


def _schema_name(holder: Json) -> str:
    if not holder:
        return ""
    name: str = holder["content"]["application/json"]["schema"]["$ref"]
    return name.rsplit("/", 1)[1]


def _value_faults(name: str, value: str, schema: Json) -> Iterator[str]:
    try:
        typed = _typed(value, schema)
    except ValueError:
        yield f"Invalid parameter {name}: not a number"
        return
    for error in Draft202012Validator(schema).iter_errors(typed):
        yield f"Invalid parameter {name}: {_short(error)}"


def _typed(value: str, schema: Json) -> Any:
    if schema.get("type") == "integer":
        return int(value)
    if schema.get("type") == "array":
        return value.split(",")
    return value


def _short(error: Any) -> str:
    """The rule that is broken, never the value: it may be personal."""
    if error.validator == "additionalProperties":
        return "unexpected field " + ", ".join(sorted(set(error.instance) - set(error.schema["properties"])))
    if error.validator == "required":
        return "missing " + ", ".join(name for name in error.validator_value if name not in error.instance)
    return f"must satisfy {error.validator} {error.validator_value}"


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {key: _strict(value) for key, value in node.items()}
    if isinstance(closed.get("properties"), dict) and closed.get("type") == "object":
        closed["additionalProperties"] = False
    if "x-documented-values" in closed:
        closed["enum"] = [*closed["x-documented-values"], ""]  # TikTok also writes "" for none
    return closed
