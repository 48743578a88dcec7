"""Waking a shop: at most one drain is queued per shop. Valkey may be slow or away; the sweep finds what is due."""

import logging
import threading
import time
from collections.abc import Iterable
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

RING = """
if redis.call('SET', KEYS[1], 1, 'NX', 'EX', ARGV[1]) then redis.call('RPUSH', KEYS[2], ARGV[2]) end
"""


def shop(shop_id: int) -> None:
    """Queue a drain of the shop, unless one is queued and has not begun. What a transaction does is seen, and
    therefore rung for, when it is over."""
    if connection.in_atomic_block:
        transaction.on_commit(lambda: ring(shop_id))
    else:
        ring(shop_id)


def ring(shop_id: int) -> None:
    try:
        flag, queue = FLAG.format(shop_id), queue_at(settings.REDIS_URL)
        script_at(settings.REDIS_URL)(keys=[flag, queue.key], args=[FLAG_SECONDS, shop_id])
    except redis.RedisError as error:
        log.warning(
            "wake not sent; the sweep will find the work",
            extra={"shop": shop_id, "error": type(error).__name__},
        )


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
            for shop_id in self._take():
                shop(shop_id)
            time.sleep(BURST_SECONDS)

    def _take(self) -> Iterable[int]:
        with self._lock:
            waiting, self._waiting = self._waiting, set()
        return waiting


bell = Bell()
