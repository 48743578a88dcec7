"""Every call of the two clients by its name, and which of them a row's step can make: read from the code, not listed.

From the table of the steps on, every function that another one names is followed. Of `thing.method` nobody knows the
type, so all methods of that name are: too much may be found, too little not.
"""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from urllib.parse import urlsplit

import requests
from test_architecture import ALL, absolute

import shopify_app.client
import tiktok.endpoints
from shopify_app.client import Operation
from tiktok.endpoints import Endpoint

OPERATIONS = [value for value in vars(shopify_app.client).values() if isinstance(value, Operation)]
NAMES = {one.text: one.name for one in OPERATIONS}
ENDPOINTS = {
    f"{one.method} {one.path}": one
    for value in vars(tiktok.endpoints).values()
    for one in (value.values() if isinstance(value, dict) else [value])
    if isinstance(one, Endpoint)
}
PATHS = {name: re.compile(re.sub(r"\{\w+\}", "[^/]+", one.path)) for name, one in ENDPOINTS.items()}
SHOPIFY_TOKEN = "Shopify's access_token"  # an address and no operation
READS = {one.name for one in OPERATIONS if not one.writes} | {
    name for name, one in ENDPOINTS.items() if not one.writes
}
STEPS = "connector.jobs.STEPS"

Node = ast.stmt
Reference = tuple[str, ...]


def name_of(request: requests.PreparedRequest) -> str:
    path = urlsplit(request.url or "").path
    if path.endswith("/graphql.json"):
        return NAMES[json.loads(request.body or b"")["query"]]
    if path.endswith("/access_token"):
        return SHOPIFY_TOKEN
    return next(
        name
        for name, pattern in PATHS.items()
        if name.startswith(f"{request.method} ") and pattern.fullmatch(path)
    )


def made_by_steps() -> set[str]:
    """The calls that a row's step can make."""
    return {SHOPIFY_TOKEN}.union(*(calls_at(name) for name in reached_from(STEPS)))


def reached_from(start: str) -> set[str]:
    reached, ahead = set(), [start]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += followed(name)
    return reached


def followed(name: str) -> Iterator[str]:
    module, methods, known = module_of(name), by_method_name(), definitions()
    for words in references(known[name]):
        target = meant_by(module, words)
        if target in known:
            yield target
        elif len(words) > 1:
            yield from methods.get(words[-1], ())


def meant_by(module: str, words: Reference) -> str:
    """What a name, or a name within a module, stands for where it is written; "" for anything else."""
    first, *rest = words
    standing = imported(module).get(first, f"{module}.{first}")
    return ".".join([standing, *rest])


def calls_at(name: str) -> set[str]:
    """The calls of a constant of the two tables."""
    module, _, constant = name.rpartition(".")
    if module not in ("shopify_app.client", "tiktok.endpoints"):
        return set()
    value = getattr(import_module(module), constant, None)
    ones = value.values() if isinstance(value, dict) else [value]
    return {
        one.name if isinstance(one, Operation) else f"{one.method} {one.path}"
        for one in ones
        if isinstance(one, Operation | Endpoint)
    }


# ---- the code ----


@cache
def definitions() -> dict[str, Node]:
    """Every function, method, and name of a module, with what stands there; of a class its `__init__`."""
    found: dict[str, Node] = {}
    for module, path in ALL.items():
        if ".sandbox" in module:
            continue
        for node in ast.parse(path.read_text()).body:
            found |= {f"{module}.{name}": part for name, part in defined_by(node)}
    return found


def defined_by(node: Node) -> Iterator[tuple[str, Node]]:
    match node:
        case ast.FunctionDef(name=name):
            yield name, node
        case ast.ClassDef(name=name):
            methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
            yield from ((f"{name}.{method.name}", method) for method in methods)
            yield from ((name, method) for method in methods if method.name == "__init__")
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            yield name, node


@cache
def by_method_name() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, node in definitions().items():
        if isinstance(node, ast.FunctionDef) and name.removeprefix(f"{module_of(name)}.").count("."):
            found.setdefault(node.name, []).append(name)
    return found


@cache
def module_of(name: str) -> str:
    module = name
    while module not in ALL:
        module = module.rpartition(".")[0]
    return module


@cache
def imported(module: str) -> dict[str, str]:
    """What a module's names from elsewhere stand for."""
    found = {}
    for node in ast.walk(ast.parse(ALL[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.asname: alias.name for alias in node.names if alias.asname}
            found |= {alias.name.split(".")[0]: alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {
                alias.asname or alias.name: f"{absolute(module, node)}.{alias.name}" for alias in node.names
            }
    return found


def references(node: Node) -> set[Reference]:
    """All names in it, with what is asked of them: `order`, `payment.defer`, `thing.method`."""
    return {words for part in ast.walk(node) if (words := spelled(part))}


def spelled(node: ast.AST) -> Reference:
    match node:
        case ast.Name(id=name):
            return (name,)
        case ast.Attribute(value=value, attr=attr):
            return (*(spelled(value) or ("",)), attr)
        case _:
            return ()
