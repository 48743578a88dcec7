"""Shopify's published Admin schema, and what it says about access, protected data and deprecation."""

import gzip
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from graphql import GraphQLSchema, build_client_schema

VERSION = "2026-10"
SCOPE = re.compile(r"`((?:read|write)_[a-z_]+|orders)` access scope")


@cache
def admin_schema() -> GraphQLSchema:
    # Some deprecated fields break graphql-core's interface rule (Shopify contract, graphql-core note).
    return build_client_schema(introspection(), assume_valid=True)


@dataclass(frozen=True)
class AccessRules:
    """Which scopes open a type or a field (any one is enough), and which fields hold personal data."""

    types: dict[str, frozenset[str]]
    fields: dict[tuple[str, str], frozenset[str]]
    words: dict[str | tuple[str, str], str]
    protected: frozenset[tuple[str, str]]


@cache
def access_rules() -> AccessRules:
    types: dict[str, frozenset[str]] = {}
    fields: dict[tuple[str, str], frozenset[str]] = {}
    words: dict[str | tuple[str, str], str] = {}
    protected = set()
    for kind in introspection()["__schema"]["types"]:
        name = kind["name"]
        if scopes := _scopes(kind):
            types[name], words[name] = scopes, _words(kind)
        for field in kind["fields"] or ():
            key = (name, field["name"])
            if scopes := _scopes(field):
                fields[key], words[key] = scopes, _words(field)
            if field.get("isProtected"):
                protected.add(key)
    return AccessRules(types, fields, words, frozenset(protected))


@cache
def introspection() -> Any:
    raw = gzip.decompress((Path(__file__).parent / f"admin_{VERSION}.json.gz").read_bytes())
    answer = json.loads(raw)
    return answer.get("data", answer)


def _scopes(entry: dict[str, Any]) -> frozenset[str]:
    before_footnotes = _words(entry).split("Also:")[0]
    return frozenset("write_orders" if s == "orders" else s for s in SCOPE.findall(before_footnotes))


def _words(entry: dict[str, Any]) -> str:
    return " ".join((entry.get("requiredAccess") or "").split())
