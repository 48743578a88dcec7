"""How fast we may call TikTok: an adaptive bucket per shop and endpoint, shared by all workers in Valkey.

TikTok names no fixed rate (TikTok contract 9): a bucket starts at a planning value, halves when TikTok
throttles, and grows again slowly while it is in use. The last fifth of its level is kept for live work.
Without Valkey every process keeps to its share of the planning value.
"""

import functools
import logging
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry

from tiktok.endpoints import ORDERS, ORDERS_SEARCH, SHIP, Endpoint
from tiktok.errors import Busy

log = logging.getLogger("tiktok")

READS_PER_SECOND = 20.0
WRITES_PER_SECOND = 10.0
CEILING = 50.0  # calls a second: TikTok's last published figure
FLOOR = 0.2
GROWTH = 0.5  # calls a second, gained in every second of use
SMALLEST_BUCKET = 2.0
KEPT_FOR_LIVE = 0.2  # of the level
FOR_EVERY_ORDER = (ORDERS_SEARCH, ORDERS, *SHIP.values())
VALKEY_SECONDS = 0.2  # patience with Valkey
VALKEY_REST_SECONDS = 5.0  # how long a failing Valkey is left alone
FORGET_SECONDS = 24 * 3600

# What the bucket holds now, and how long TikTok wants to be left alone.
LEVEL = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local start, ceiling, growth, smallest, kept, forget = unpack(ARGV)
local was = redis.call('HMGET', KEYS[1], 'rate', 'level', 'at', 'blocked')
local passed = math.max(0, now - (tonumber(was[3]) or now))
local rate = math.min(tonumber(ceiling), (tonumber(was[1]) or tonumber(start)) + growth * math.min(passed, 1))
local capacity = math.max(tonumber(smallest), rate)
local level = math.min(capacity, (tonumber(was[2]) or capacity) + passed * rate)
local wait = math.max(0, (tonumber(was[4]) or 0) - now)
"""

ROOM = LEVEL + "if wait > 0 then return '0' end return tostring(level - kept * capacity)"

TAKE = (
    LEVEL
    + """
if wait == 0 then
  local short = 1 + kept * capacity - level
  if short > 0 then wait = short / rate else level = level - 1 end
end
redis.call('HSET', KEYS[1], 'rate', rate, 'level', level, 'at', now)
redis.call('EXPIRE', KEYS[1], forget)
return tostring(wait)
"""
)

# Calls that were under way together are throttled together: they halve the rate once.
SHRINK = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local start, floor, pause, forget = unpack(ARGV)
local was = redis.call('HMGET', KEYS[1], 'rate', 'shrunk')
local rate = tonumber(was[1]) or tonumber(start)
if now - (tonumber(was[2]) or 0) > 1 then
  rate = math.max(tonumber(floor), rate / 2)
  redis.call('HSET', KEYS[1], 'shrunk', now)
end
redis.call('HSET', KEYS[1], 'rate', rate, 'level', 0, 'at', now, 'blocked', now + pause)
redis.call('EXPIRE', KEYS[1], forget)
"""


def spend(shop_id: str, endpoint: Endpoint, *, live: bool) -> None:
    """Take one call from the budget, or raise Busy with the seconds until there is one. Never sleeps."""
    wait = limiter().take(shop_id, endpoint, live=live)
    if wait > 0:
        raise Busy("Our budget of calls to TikTok is spent for now", retry_after=wait)


def room(shop_id: str, endpoint: Endpoint) -> float:
    """How many live calls may be made now."""
    return limiter().room(shop_id, endpoint)


def shrink(shop_id: str, endpoint: Endpoint, retry_after: float) -> None:
    """TikTok throttled this endpoint: pause it and go slower."""
    limiter().shrink(shop_id, endpoint, retry_after)


@dataclass(frozen=True, slots=True)
class Level:
    calls: float
    capacity: float
    rate: float  # calls that come back in a second

    @property
    def share(self) -> float:
        return self.calls / self.capacity


def levels(shop_ids: Collection[str]) -> dict[str, Level] | None:
    """Of each shop the emptiest of the buckets that every order needs; one that is blocked is empty. A shop that has
    not called for a day is left out: it has all. None without Valkey."""
    buckets = [(shop_id, endpoint) for shop_id in shop_ids for endpoint in FOR_EVERY_ORDER]
    asked = limiter().valkey.pipeline(transaction=False)
    asked.time()
    for shop_id, endpoint in buckets:
        asked.hmget(key(shop_id, endpoint), "level", "at", "rate", "blocked")
    try:
        (second, microsecond), *found = asked.execute()
    except redis.RedisError:
        return None
    now = second + microsecond / 1e6
    known: dict[str, Level] = {}
    for (shop_id, _), (level, at, rate, blocked) in zip(buckets, found, strict=True):
        if level is None:
            continue
        capacity = capacity_of(float(rate))
        filled = min(capacity, float(level) + (now - float(at)) * float(rate))
        one = Level(0.0 if float(blocked or 0) > now else filled, capacity, float(rate))
        known[shop_id] = min(one, known.get(shop_id, one), key=lambda level: level.share)
    return known


@functools.cache
def limiter() -> "Limiter":
    return Limiter(settings.REDIS_URL, settings.WORKER_PROCESSES)


class Limiter:
    """The buckets in Valkey, with this process's own ones behind them for when Valkey is slow or gone."""

    def __init__(self, valkey_url: str, processes: int) -> None:
        self.valkey = redis.Redis.from_url(
            valkey_url,
            socket_timeout=VALKEY_SECONDS,
            socket_connect_timeout=VALKEY_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self.script_take = self.valkey.register_script(TAKE)
        self.script_room = self.valkey.register_script(ROOM)
        self.script_shrink = self.valkey.register_script(SHRINK)
        self.own = OwnBuckets(processes)
        self.rest_until = 0.0

    def take(self, shop_id: str, endpoint: Endpoint, *, live: bool) -> float:
        """Seconds to wait; 0 when a call was taken."""
        kept = 0.0 if live else KEPT_FOR_LIVE
        answer = self._ask(self.script_take, shop_id, endpoint, kept)
        return self.own.take(key(shop_id, endpoint), planned(endpoint), kept) if answer is None else answer

    def room(self, shop_id: str, endpoint: Endpoint) -> float:
        answer = self._ask(self.script_room, shop_id, endpoint, kept=0.0)
        return self.own.room(key(shop_id, endpoint), planned(endpoint)) if answer is None else answer

    def _ask(self, script: Script, shop_id: str, endpoint: Endpoint, kept: float) -> float | None:
        """None without Valkey."""
        limits = [planned(endpoint), CEILING, GROWTH, SMALLEST_BUCKET, kept, FORGET_SECONDS]
        if time.monotonic() >= self.rest_until:
            try:
                return float(script(keys=[key(shop_id, endpoint)], args=limits))
            except redis.RedisError as error:
                self.let_valkey_rest(error)
        return None

    def shrink(self, shop_id: str, endpoint: Endpoint, pause: float) -> None:
        self.own.block(key(shop_id, endpoint), pause)
        if time.monotonic() >= self.rest_until:
            limits = [planned(endpoint), FLOOR, pause, FORGET_SECONDS]
            try:
                self.script_shrink(keys=[key(shop_id, endpoint)], args=limits)
            except redis.RedisError as error:
                self.let_valkey_rest(error)

    def let_valkey_rest(self, error: redis.RedisError) -> None:
        self.rest_until = time.monotonic() + VALKEY_REST_SECONDS
        log.warning("tiktok budget without valkey", extra={"error": type(error).__name__})


@dataclass(slots=True)
class Bucket:
    level: float
    at: float
    blocked: float = 0.0


class OwnBuckets:
    """This process's share of the planning values: slow, but never too fast."""

    def __init__(self, processes: int) -> None:
        self.processes = max(1, processes)
        self.buckets: dict[str, Bucket] = {}
        self.lock = threading.Lock()

    def take(self, name: str, rate: float, kept: float) -> float:
        share = rate / self.processes
        with self.lock:
            bucket = self._filled(name, share)
            if bucket.blocked > bucket.at:
                return bucket.blocked - bucket.at
            short = 1 + kept * capacity_of(share) - bucket.level
            if short > 0:
                return short / share
            bucket.level -= 1
            return 0.0

    def room(self, name: str, rate: float) -> float:
        with self.lock:
            bucket = self._filled(name, rate / self.processes)
            return 0.0 if bucket.blocked > bucket.at else bucket.level

    def _filled(self, name: str, share: float) -> Bucket:
        """The bucket as it is now."""
        now, capacity = time.monotonic(), capacity_of(share)
        bucket = self.buckets.setdefault(name, Bucket(level=capacity, at=now))
        bucket.level = min(capacity, bucket.level + (now - bucket.at) * share)
        bucket.at = now
        return bucket

    def block(self, name: str, pause: float) -> None:
        now = time.monotonic()
        with self.lock:
            self.buckets[name] = Bucket(level=0.0, at=now, blocked=now + pause)


def capacity_of(share: float) -> float:
    return max(SMALLEST_BUCKET, share)


def planned(endpoint: Endpoint) -> float:
    return WRITES_PER_SECOND if endpoint.writes else READS_PER_SECOND


def key(shop_id: str, endpoint: Endpoint) -> str:
    return f"tiktok:budget:{shop_id}:{endpoint.method} {endpoint.path}"
