"""Waking a shop: at most one drain is queued per shop. Valkey may be slow or away; the sweep finds what is due."""

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

import django_rq
import redis
from django.conf import settings
from django.db import connection, transaction
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry
from rq import Queue

from connector.doorbells import NAME

log = logging.getLogger(__name__)

FLAG = "connector:awake:{}"
FLAG_SECONDS = 30  # a job lost with its queue must not keep its shop asleep for longer
VALKEY_SECONDS = 0.2  # patience with Valkey: neither a web host, a worker nor the clock may hang on it
BURST_SECONDS = 0.05  # webhooks come in bursts: one wake answers them all

RUNG_AT_ONCE = 1000  # shops in one script: Valkey does nothing else meanwhile

RING = """
for i = 2, #KEYS do
    if redis.call('SET', KEYS[i], 1, 'NX', 'EX', ARGV[1]) then redis.call('RPUSH', KEYS[1], ARGV[i]) end
end
"""


def shop(shop_id: int) -> None:
    """Queue a drain of the shop, unless one is queued and has not begun."""
    shops([shop_id])


def shops(shop_ids: Iterable[int]) -> None:
    """The same for several, by one call. What a transaction does is seen, and therefore rung for, when it is over."""
    ids = list(shop_ids)
    if connection.in_atomic_block:
        transaction.on_commit(lambda: ring(ids))
    else:
        ring(ids)


def ring(shop_ids: Sequence[int]) -> None:
    """A Valkey that does not answer is waited for once, however many shops are left."""
    queue, script = queue_at(settings.REDIS_URL), script_at(settings.REDIS_URL)
    try:
        for some in batched(shop_ids, RUNG_AT_ONCE):
            script(keys=[queue.key, *map(FLAG.format, some)], args=[FLAG_SECONDS, *some])
    except redis.RedisError as error:
        log.warning(
            "wake not sent; the sweep will find the work",
            extra={"shops": len(shop_ids), "error": type(error).__name__},
        )


def batched(ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


def lower(shop_id: int) -> None:
    """A drain lowers the flag before it looks, so that whatever comes later queues the next one."""
    try:
        queue_at(settings.REDIS_URL).connection.delete(FLAG.format(shop_id))
    except redis.RedisError as error:
        log.warning(
            "flag not lowered; it lapses by itself", extra={"shop": shop_id, "error": type(error).__name__}
        )


@cache
def queue_at(url: str) -> Queue:
    """The queue on connections of our own: those of the worker wait for jobs, these wait for nothing."""
    valkey = redis.Redis.from_url(
        url,
        socket_timeout=VALKEY_SECONDS,
        socket_connect_timeout=VALKEY_SECONDS,
        retry=Retry(NoBackoff(), 1),  # one more for a connection that a restart has cut
    )
    return django_rq.get_queue(NAME, connection=valkey)


@cache
def script_at(url: str) -> Script:
    return queue_at(url).connection.register_script(RING)


class Bell:
    """Wakes shops from a thread of its own: a request rings and never waits for Valkey."""

    def __init__(self) -> None:
        self._waiting: set[int] = set()
        self._rung = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def ring(self, shop_id: int) -> None:
        with self._lock:
            self._waiting.add(shop_id)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="bell", daemon=True)
                self._thread.start()
        self._rung.set()

    def _run(self) -> None:
        while True:
            self._rung.wait()
            self._rung.clear()
            shops(self._take())
            time.sleep(BURST_SECONDS)

    def _take(self) -> Iterable[int]:
        with self._lock:
            waiting, self._waiting = self._waiting, set()
        return waiting


bell = Bell()
