"""Reading TikTok's answers, where every field is optional and none is trusted to have its documented type."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

Raw = Mapping[str, Any]


def text(raw: Raw, name: str) -> str:
    """A string; ids that arrive as numbers become text; anything else is ""."""
    value = raw.get(name)
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def flag(raw: Raw, name: str) -> bool:
    """True only for JSON true."""
    return raw.get(name) is True


def count(raw: Raw, name: str) -> int:
    """A whole number, or 0."""
    value = raw.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def amount(raw: Raw, name: str) -> Decimal:
    """A decimal amount, or 0 where it is missing or is no amount."""
    return find_amount(raw, name) or Decimal(0)


def find_amount(raw: Raw, name: str) -> Decimal | None:
    """A decimal amount, or None where it is missing or is no amount."""
    value = text(raw, name) or (str(raw[name]) if isinstance(raw.get(name), float) else "")
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def moment(raw: Raw, name: str, *, per_second: int = 1) -> datetime | None:
    """A time in unix seconds (`per_second=1000` for milliseconds); 0 and nonsense mean none."""
    value = text(raw, name)
    if not value.isdecimal() or len(value) > 20 or int(value) == 0:
        return None
    try:
        return datetime.fromtimestamp(int(value) / per_second, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return None


def part(raw: Raw, name: str) -> Raw:
    """A nested object, or an empty one."""
    value = raw.get(name)
    return value if isinstance(value, dict) else {}


def parts(raw: Raw, name: str) -> Iterator[Raw]:
    """The objects of a list."""
    value = raw.get(name)
    return (entry for entry in value if isinstance(entry, dict)) if isinstance(value, list) else iter(())


def texts(raw: Raw, name: str) -> tuple[str, ...]:
    """The strings of a list."""
    value = raw.get(name)
    return tuple(entry for entry in value if isinstance(entry, str)) if isinstance(value, list) else ()
