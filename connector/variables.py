"""Reads variables strictly. What is missing, or is not what it should be, is noted and something harmless stands in:
so the system checks (checks.py) can name all of them at once, each in one line, and nothing starts.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar, cast

from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")

YES, NO = ("1", "true", "t", "yes", "y", "on", "ok"), ("", "0", "false", "f", "no", "n", "off")
FLAGS = dict.fromkeys(YES, True) | dict.fromkeys(NO, False)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
LONGEST = 36_500 * DAY


class Variables:
    """`missing` are names, `unreadable` sentences, which show no value that may be a secret."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values
        self.missing: list[str] = []
        self.unreadable: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        """Without a default it must not be empty."""
        if default is not None:
            return self.values.get(name, default)
        if not self.values.get(name) and name not in self.missing:
            self.missing.append(name)
        return self.values.get(name, "")

    def texts(self, name: str, default: Sequence[str]) -> list[str]:
        given = self.values.get(name, ",".join(default))
        return [part.strip() for part in given.split(",") if part.strip()]

    def parsed(self, name: str, wanted: str, parse: Callable[[str], T], instead: Any = None) -> T:
        """What is made of a variable without a default."""
        given, nothing = self.text(name), cast(T, instead)
        return self.understood(name, wanted, nothing, lambda: parse(given)) if given else nothing

    def flag(self, name: str, default: bool) -> bool:
        given = self.values.get(name, "1" if default else "0")
        wanted = f"1 or 0, not {given!r}"
        return self.understood(name, wanted, default, lambda: FLAGS[given.strip().lower()])

    def choice(self, name: str, choices: Collection[str], default: str) -> str:
        given = self.values.get(name, default)
        wanted = f"one of {', '.join(choices)}, not {given!r}"
        return self.understood(name, wanted, default, lambda: {one: one for one in choices}[given])

    def count(self, name: str, default: int) -> int:
        given = self.values.get(name, f"{default}")
        wanted = f"a whole number from 1 on, not {given!r}"
        return self.understood(name, wanted, default, lambda: positive(given))

    def number(self, name: str, default: float) -> float:
        """Seconds above 0, for what counts in them."""
        given = self.values.get(name, f"{default}")
        wanted = f"one number above 0, not {given!r}"
        return self.understood(name, wanted, default, lambda: above_zero(given).total_seconds())

    def seconds(self, name: str, default: float) -> timedelta:
        return self.span(name, default, SECOND)

    def hours(self, name: str, default: float) -> timedelta:
        return self.span(name, default, HOUR)

    def days(self, name: str, default: float) -> timedelta:
        return self.span(name, default, DAY)

    def span(self, name: str, default: float, unit: timedelta) -> timedelta:
        given = self.values.get(name, f"{default}")
        wanted = f"one number from 0 on, not {given!r}"
        return self.understood(name, wanted, default * unit, lambda: measured(given, unit))

    def waits(self, name: str, default: Sequence[float]) -> list[timedelta]:
        """Seconds, one wait after the other; at least one."""
        given = self.values.get(name, ",".join(f"{wait}" for wait in default))
        wanted = f"seconds from 0 on with commas between, not {given!r}"
        usual = [wait * SECOND for wait in default]
        return self.understood(
            name, wanted, usual, lambda: [measured(part, SECOND) for part in given.split(",")]
        )

    def understood(self, name: str, wanted: str, instead: T, read: Callable[[], T]) -> T:
        try:
            return read()
        except (ValueError, KeyError, ImproperlyConfigured):
            self.unreadable.append(f"{name} must be {wanted}.")
            return instead


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def above_zero(text: str) -> timedelta:
    span = measured(text, SECOND)
    if not span:
        raise ValueError(text)
    return span


def measured(text: str, unit: timedelta) -> timedelta:
    number = float(text)
    if not 0 <= number <= LONGEST / unit:
        raise ValueError(text)
    return number * unit
