"""Pages of a list: first/after, last/before, reverse, with cursors that survive changes of the list."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from shopify_app.sandbox.model import number_of
from shopify_app.sandbox.problems import refusal

Key = Callable[[Any], tuple[Any, ...]]


def connection(items: Sequence[Any], arguments: dict[str, Any], key: Key | None = None) -> dict[str, Any]:
    """`key` sorts; without one the list's own order stands. Raises the refusal for a page without a size."""
    ordered = (
        [(_plain(key(item)), item) for item in items]
        if key
        else [((n,), item) for n, item in enumerate(items)]
    )
    if key:
        ordered.sort(key=lambda pair: pair[0])
    if arguments.get("reverse"):
        ordered.reverse()
    first, last = arguments.get("first"), arguments.get("last")
    if first is None and last is None:
        raise refusal("BAD_REQUEST", "you must provide one of first or last")
    if max(first or 0, last or 0) > 250:
        raise refusal("BAD_REQUEST", "first cannot exceed 250")
    before, window, after = _window(ordered, arguments)
    page = window[:first] if first is not None else window[-last:] if last else []
    return {
        "nodes": [item for _, item in page],
        "edges": [{"node": item, "cursor": _cursor(place)} for place, item in page],
        "pageInfo": {
            "hasNextPage": bool(after) or (first is not None and len(window) > first),
            "hasPreviousPage": bool(before) or (first is None and last is not None and len(window) > last),
            "startCursor": _cursor(page[0][0]) if page else None,
            "endCursor": _cursor(page[-1][0]) if page else None,
        },
    }


def by_id(item: Any) -> tuple[Any, ...]:
    return (number_of(item.id),)


def sort_key(name: str | None) -> Key:
    """The key of a sortKey argument; whatever we do not sort by falls back to the id."""
    attribute = {"CREATED_AT": "created_at", "UPDATED_AT": "updated_at", "PROCESSED_AT": "processed_at"}.get(
        name or ""
    )
    if attribute is None:
        return by_id
    return lambda item: (getattr(item, attribute), number_of(item.id))


def _window(ordered: list[Any], arguments: dict[str, Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """What lies before the wanted stretch, the stretch, and what lies after it."""
    start, end = 0, len(ordered)
    backwards = bool(arguments.get("reverse"))
    if arguments.get("after"):
        mark = _read_cursor(arguments["after"])
        start = next((n for n, (place, _) in enumerate(ordered) if _beyond(place, mark, backwards)), end)
    if arguments.get("before"):
        mark = _read_cursor(arguments["before"])
        reached = (n for n, (place, _) in enumerate(ordered) if not _beyond(mark, place, backwards))
        end = next(reached, end)
    return ordered[:start], ordered[start:end], ordered[end:]


def _beyond(place: tuple[Any, ...], mark: tuple[Any, ...], backwards: bool) -> bool:
    return place < mark if backwards else place > mark


def _cursor(place: tuple[Any, ...]) -> str:
    return base64.b64encode(json.dumps(place).encode()).decode()


def _read_cursor(cursor: str) -> tuple[Any, ...]:
    try:
        return tuple(json.loads(base64.b64decode(cursor)))
    except ValueError:
        raise refusal("BAD_REQUEST", "Invalid cursor for current pagination sort.") from None


def _plain(place: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(_sortable(part) for part in place)


def _sortable(part: Any) -> Any:
    if isinstance(part, datetime):
        return part.timestamp()
    return float(part) if isinstance(part, Decimal) else part
