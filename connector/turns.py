"""Whose turn it is in this worker: several shops side by side, one turn a shop, and a bell for what comes meanwhile.

Most of a turn is waiting for a platform. Were shops to wait for each other's turns, an order of a quiet shop would
come as late as the slowest answer of a noisy one.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

CROWDED_SECONDS = 0.5
SEAT_SECONDS = 0.2


class Turn:
    """A shop's turn, from its first look at what is due until it is left."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rung: Future[None] = Future()
        self._left = False

    def look_out(self) -> Future[None]:
        """Call before looking for work: done as soon as the shop is woken after this moment."""
        with self._lock:
            self._rung = Future()
            return self._rung

    def ring(self) -> bool:
        """Make the turn look again. False when it was left already: the shop needs another."""
        with self._lock:
            if not self._left and not self._rung.done():
                self._rung.set_result(None)
            return not self._left

    def leave(self) -> bool:
        """End the turn, unless the shop was woken since it last looked."""
        with self._lock:
            self._left = not self._rung.done()
            return self._left

    def end(self) -> None:
        """Leave whatever came: the caller looks once more."""
        with self._lock:
            self._left = True


class Turns:
    """At most `at_once` turns, each of another shop; `take` is one whole turn."""

    def __init__(self, take: Callable[[int, Turn], None], at_once: int) -> None:
        self.at_once = at_once
        self.stopping = threading.Event()
        self.pool = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="turn")
        self._take = take
        self._seats = threading.BoundedSemaphore(at_once)
        self._under_way: dict[int, tuple[Turn, Future[None]]] = {}
        self._awaited = False  # a shop waits for a seat

    def begin(self, shop_id: int) -> bool:
        """Give the shop its turn; one that is under way looks again instead. Waits while all seats are taken, and
        the queue behind it: so shops come in their order. False when it was told to stop before a seat was free."""
        turn, _ = self._under_way.get(shop_id, (None, None))
        if turn is not None and turn.ring():
            return True
        if not self._take_seat():
            return False
        turn = Turn()
        under_way = self.pool.submit(self._take, shop_id, turn)
        self._under_way[shop_id] = (turn, under_way)
        under_way.add_done_callback(lambda _: self._give_up_seat(shop_id, turn))
        return True

    def _take_seat(self) -> bool:
        """In short waits: a request to stop must be heard here, for a turn may last as long as a platform is silent."""
        self._awaited = True
        try:
            while not self.stopping.is_set():
                if self._seats.acquire(timeout=SEAT_SECONDS):
                    return True
            return False
        finally:
            self._awaited = False

    def _give_up_seat(self, shop_id: int, turn: Turn) -> None:
        if self._under_way.get(shop_id, (None,))[0] is turn:
            del self._under_way[shop_id]
        self._seats.release()

    def seconds(self, most: float) -> float:
        """How long a turn may last: a moment only while a shop waits for a seat. With fifty shops that import their
        older orders, turns of 5 s would let a new order wait for a minute."""
        return min(most, CROWDED_SECONDS) if self._awaited else most

    def share(self, rows: int) -> int:
        """How many of this many rows at once are one shop's: half while it is alone, so that another may begin."""
        return max(1, min(rows // 2, rows // max(1, len(self._under_way))))

    def stop(self) -> None:
        """No turn begins anything more; each ends with what it has in hand."""
        self.stopping.set()

    def finish(self, seconds: float) -> bool:
        """Wait for the turns that are under way. False when some are not over in time."""
        under_way = [whole for _, whole in list(self._under_way.values())]
        return not wait(under_way, timeout=seconds).not_done
