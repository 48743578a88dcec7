"""Named faults: what the network and the platform do to a call when a test asks for it."""

import threading
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, get_args

Kind = Literal[
    "400",
    "401",
    "402",
    "403",
    "404",
    "423",
    "429",
    "430",
    "500",
    "502",
    "503",
    "504",
    "internal_error",
    "throttled",
    "timeout_before",
    "lost_reply",
    "slow_drip",
    "truncated",
]
KINDS: frozenset[str] = frozenset(get_args(Kind))
BEFORE_ACTING = KINDS - {"lost_reply", "slow_drip", "truncated"}


@dataclass
class Fault:
    """One planned failure. `operation` is a root field such as `draftOrderCreate`, `token`, or `*`."""

    operation: str
    kind: str
    times: int = 1
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def acts(self) -> bool:
        """Whether the platform does the work although the caller never hears of it."""
        return self.kind not in BEFORE_ACTING


class Faults:
    def __init__(self, random: Random) -> None:
        self._random = random
        self._planned: list[Fault] = []
        self._lock = threading.Lock()
        self._rate = 0.0
        self._kinds: tuple[str, ...] = ()
        self.struck: list[tuple[str, str]] = []

    def add(self, operation: str, kind: str, times: int = 1, **options: Any) -> None:
        """Plan a fault for the next `times` calls of an operation.

        `timeout_before` hangs `seconds` (default 15) and drops; `slow_drip` answers a byte every `seconds` (0.5);
        `429` names `retry_after` (2.0). Raises ValueError on an unknown kind.
        """
        if kind not in KINDS:
            raise ValueError(f"unknown fault {kind!r}, known are {sorted(KINDS)}")
        with self._lock:
            self._planned.append(Fault(operation, kind, times, options))

    def chance(self, rate: float, kinds: tuple[str, ...] = ("500", "503", "lost_reply")) -> None:
        """From now on fail this share of all calls, by a kind drawn at random."""
        self._rate, self._kinds = rate, tuple(kinds)

    def clear(self) -> None:
        with self._lock:
            self._planned.clear()
            self._rate = 0.0

    def strike(self, operations: tuple[str, ...]) -> Fault | None:
        """The fault that hits this call, counted off; None lets it pass."""
        with self._lock:
            fault = self._drawn(operations)
            if fault:
                self.struck.append((",".join(operations), fault.kind))
            return fault

    def _drawn(self, operations: tuple[str, ...]) -> Fault | None:
        for fault in self._planned:
            if fault.operation == "*" or fault.operation in operations:
                fault.times -= 1
                if fault.times <= 0:
                    self._planned.remove(fault)
                return fault
        if self._rate and self._random.random() < self._rate:
            return Fault("*", self._random.choice(self._kinds))
        return None
