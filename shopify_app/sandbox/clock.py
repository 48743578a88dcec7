"""The sandbox's time, which tests push forward, and what is to happen later in it."""

import heapq
import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class Clock:
    """Real time plus an offset. Everybody who waits on the clock learns when it jumps."""

    def __init__(self) -> None:
        self.offset = timedelta()
        self.moved = threading.Condition()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def stamp(self) -> datetime:
        """Now as Shopify writes it: whole seconds."""
        return self.now().replace(microsecond=0)

    def advance(self, seconds: float) -> None:
        with self.moved:
            self.offset += timedelta(seconds=seconds)
            self.moved.notify_all()


class Agenda:
    """Things to do at a time of the clock, done by one thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="shopify-sandbox-agenda", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with self._clock.moved:
            self._stopped = True
            self._clock.moved.notify_all()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def at(self, when: datetime, action: Callable[[], None]) -> None:
        with self._clock.moved:
            heapq.heappush(self._heap, (when, next(self._order), action))
            self._clock.moved.notify_all()

    def _work(self) -> None:
        while True:
            with self._clock.moved:
                if self._stopped:
                    return
                wait = (self._heap[0][0] - self._clock.now()).total_seconds() if self._heap else None
                if wait is None or wait > 0:
                    self._clock.moved.wait(wait)
                    continue
                _, _, action = heapq.heappop(self._heap)
            action()
