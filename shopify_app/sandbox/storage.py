"""The sandbox's state as JSON: every dataclass by its type hints, written whole and swapped in at once."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

from shopify_app.sandbox.model import ShopRecord
from shopify_app.sandbox.shop import ShopState

if TYPE_CHECKING:
    from shopify_app.sandbox.platform import Platform


def dump_platform(platform: Platform) -> dict[str, Any]:
    with platform.lock:
        return {
            "clock_offset": platform.clock.offset.total_seconds(),
            "ids": dict(platform.ids.last),
            "ledger": list(platform.ledger),
            "mails": list(platform.mails),
            "violations": list(platform.violations),
            "shops": [encode(shop.record) for shop in platform.shops.values()],
        }


def load_platform(platform: Platform, state: Mapping[str, Any]) -> None:
    """Replace everything the platform holds."""
    with platform.lock:
        platform.clock.advance(state["clock_offset"] - platform.clock.offset.total_seconds())
        platform.ids.last = dict(state["ids"])
        for name in ("ledger", "mails", "violations"):
            getattr(platform, name)[:] = state[name]
        platform.shops.clear()
        for raw in state["shops"]:
            shop = ShopState(platform, decode(ShopRecord, raw))
            shop.ledger = [entry for entry in platform.ledger if entry["shop"] == shop.domain]
            shop.mails = [entry for entry in platform.mails if entry["shop"] == shop.domain]
            platform.shops[shop.domain] = shop
            shop.resume()
        platform.settle_search()


def read_state(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(path.read_text())
    return state


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(state))
    fresh.replace(path)


def encode(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: encode(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [encode(inner) for inner in value]
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value


def decode(kind: Any, raw: Any) -> Any:
    if raw is None:
        return None
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return decode(next(a for a in arguments if a is not type(None)), raw)
    if origin is list:
        return [decode(arguments[0], inner) for inner in raw]
    if origin is dict:
        return {key: decode(arguments[1], inner) for key, inner in raw.items()}
    if dataclasses.is_dataclass(kind):
        hints = _hints(typing.cast("type", kind))
        return typing.cast("Any", kind)(**{name: decode(hints[name], inner) for name, inner in raw.items()})
    if kind is datetime:
        return datetime.fromisoformat(raw)
    return Decimal(raw) if kind is Decimal else raw


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)
