"""Points of one shop, shared by all workers in Valkey (Shopify contract 5).

Shopify's own figures are the truth; between two answers we count what we hold. Live work may spend the whole
level, back-fill leaves the last fifth of it. Without Valkey each process keeps to its share of the budget.
"""

import threading
import time
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from random import SystemRandom
from typing import Any

import redis
from django.conf import settings
from django.utils import timezone
from redis.backoff import NoBackoff
from redis.retry import Retry

from .errors import Busy

KEPT_FOR_LIVE = 0.2
PLENTY = 0.5  # of the level
STANDARD_LEVEL, STANDARD_RATE = 2000.0, 100.0  # until the first answer tells the shop's own
VALKEY_SECONDS = 0.2
VALKEY_PAUSE = timedelta(seconds=5)  # after a failure, before Valkey is asked again
HOLD_SLACK_SECONDS = 5

# What an answer told, if it is the newest: how old it is, its figures, and the holds that ended.
SETTLE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local told = {}
for word in string.gmatch(ARGV[1], '%S+') do told[#told + 1] = word end
if #told > 4 then redis.call('ZREM', KEYS[2], unpack(told, 5)) end
local at = now - (tonumber(told[1]) or 0)
if tonumber(told[2]) and at >= (tonumber(redis.call('HGET', KEYS[1], 'told')) or 0) then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', tostring(now))
  local held = 0
  for _, hold in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    held = held + tonumber(string.match(hold, ':(.*)$'))
  end
  redis.call('HSET', KEYS[1], 'level', tostring(tonumber(told[2]) - held), 'at', tostring(at),
             'max', told[3], 'rate', told[4], 'told', tostring(at))
  redis.call('EXPIRE', KEYS[1], 3600)
end
"""

# What the level is now, and how low this caller may take it.
LEVEL = (
    SETTLE
    + """
local found = redis.call('HMGET', KEYS[1], 'level', 'at', 'max', 'rate')
local max = tonumber(found[3]) or tonumber(ARGV[2])
local rate = tonumber(found[4]) or tonumber(ARGV[3])
local level = math.min(max, (tonumber(found[1]) or max) + (now - (tonumber(found[2]) or now)) * rate)
local floor = max * tonumber(ARGV[4])
"""
)

ROOM = LEVEL + "return tostring(level - floor)"

TAKE = (
    LEVEL
    + """
local cost = tonumber(ARGV[5])
if level - cost < floor then return tostring((floor + cost - level) / rate) end
redis.call('HSET', KEYS[1], 'level', tostring(level - cost), 'at', tostring(now), 'max', max, 'rate', rate)
redis.call('EXPIRE', KEYS[1], 3600)
redis.call('ZADD', KEYS[2], tostring(now + tonumber(ARGV[7])), ARGV[6])
redis.call('EXPIRE', KEYS[2], 3600)
return '0'
"""
)


@dataclass(frozen=True, slots=True)
class Level:
    points: float
    maximum: float
    rate: float  # points that come back in a second

    @property
    def share(self) -> float:
        return self.points / self.maximum


def levels(domains: Collection[str]) -> dict[str, Level] | None:
    """What these shops have now. One that has not called for an hour is left out: it has all. None without Valkey."""
    valkey = _valkey(settings.REDIS_URL).valkey
    asked = valkey.pipeline(transaction=False)
    asked.time()
    for domain in domains:
        asked.hmget(f"shopify:points:{domain}", "level", "at", "max", "rate")
    try:
        (second, microsecond), *found = asked.execute()
    except redis.RedisError:
        return None
    now = second + microsecond / 1e6
    known: dict[str, Level] = {}
    for domain, told in zip(domains, found, strict=True):
        if None not in told:
            level, at, maximum, rate = map(float, told)
            known[domain] = Level(min(maximum, level + (now - at) * rate), maximum, rate)
    return known


class Budget:
    """The points of one shop, for live work or for back-fill."""

    def __init__(self, shop_domain: str, *, live: bool) -> None:
        self.shop_domain = shop_domain
        self.kept = 0.0 if live else KEPT_FOR_LIVE
        self.keys = [f"shopify:points:{shop_domain}", f"shopify:held:{shop_domain}"]

    def take(self, cost: int) -> str:
        """Hold `cost` points and return the hold's name. Busy when they are not there yet."""
        hold = f"{uuid.uuid4().hex}:{cost}"
        wait = self._shared_wait(cost, hold)
        if wait is None:
            wait = _own_bucket(self.shop_domain).wait_for(cost, self.kept)
        if wait > 0:
            raise Busy(
                "the shop's points are spent", retry_after=round(wait + jitter(wait), 3), code="BUDGET"
            )
        return hold

    def room(self) -> float:
        """The points that may be taken now; below 0 while live work uses what is kept for it."""
        answer = self._run(ROOM)
        return float(answer) if answer is not None else _own_bucket(self.shop_domain).room(self.kept)

    def settle(self, hold: str, status: Mapping[str, Any] | None) -> None:
        """End a hold with the answer's throttleStatus, or None when there was no answer. While there are plenty of
        points, Valkey is told with the next take; when they are short, others wait for them."""
        told = _told(self.shop_domain)
        if not status:
            told.add(hold)
        else:
            names = ("currentlyAvailable", "maximumAvailable", "restoreRate")
            available, maximum, rate = (float(status[name]) for name in names)
            _own_bucket(self.shop_domain).learn(available, maximum, rate)
            told.add(hold, f"{available} {maximum} {rate}")
            if available >= maximum * PLENTY:
                return
        _valkey(settings.REDIS_URL).run(SETTLE, self.keys, [told.pop()])

    def _shared_wait(self, cost: int, hold: str) -> float | None:
        answer = self._run(TAKE, cost, hold, settings.CALL_DEADLINE_SECONDS + HOLD_SLACK_SECONDS)
        return None if answer is None else float(answer)

    def _run(self, script: str, *more: Any) -> bytes | None:
        """After what answers have told us."""
        told = _told(self.shop_domain).pop()
        arguments = [told, STANDARD_LEVEL, STANDARD_RATE, self.kept, *more]
        return _valkey(settings.REDIS_URL).run(script, self.keys, arguments)


class _Told:
    """What the answers to one shop's calls told this process and Valkey does not know yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holds: list[str] = []
        self._figures, self._at = "", 0.0

    def add(self, hold: str, figures: str = "") -> None:
        with self._lock:
            self._holds.append(hold)
            if figures:
                self._figures, self._at = figures, time.monotonic()

    def pop(self) -> str:
        """As SETTLE reads it."""
        with self._lock:
            if not self._holds:
                return ""
            age = time.monotonic() - self._at
            words = [str(age), self._figures or "- - -", *self._holds]
            self._holds, self._figures = [], ""
        return " ".join(words)


@lru_cache(maxsize=10_000)
def _told(shop_domain: str) -> _Told:
    return _Told()


def jitter(wait: float) -> float:
    """Up to a tenth more, so that those who wait do not come back together."""
    return SystemRandom().uniform(0, wait / 10)


@dataclass
class _Bucket:
    """This process's share of a shop's points while Valkey is away."""

    level: float
    maximum: float
    rate: float
    at: datetime

    def room(self, kept: float) -> float:
        with _lock:
            self._restore()
            return self.level - self.maximum * kept

    def _restore(self) -> None:
        now = timezone.now()
        self.level = min(self.maximum, self.level + (now - self.at).total_seconds() * self.rate)
        self.at = now

    def wait_for(self, cost: int, kept: float) -> float:
        with _lock:
            self._restore()
            missing = self.maximum * kept + cost - self.level
            if missing > 0:
                return missing / self.rate
            self.level -= cost
            return 0.0

    def learn(self, available: float, maximum: float, rate: float) -> None:
        with _lock:
            share = 1 / settings.WORKER_PROCESSES
            self.level, self.maximum, self.rate = available * share, maximum * share, rate * share
            self.at = timezone.now()


_lock = threading.Lock()


@lru_cache(maxsize=10_000)
def _own_bucket(shop_domain: str) -> _Bucket:
    share = 1 / settings.WORKER_PROCESSES
    return _Bucket(STANDARD_LEVEL * share, STANDARD_LEVEL * share, STANDARD_RATE * share, timezone.now())


class _Valkey:
    """The scripts in Valkey, which is left alone for a while after it was slow or gone."""

    def __init__(self, url: str) -> None:
        self.valkey = redis.Redis.from_url(
            url,
            socket_timeout=VALKEY_SECONDS,
            socket_connect_timeout=VALKEY_SECONDS,
            retry=Retry(NoBackoff(), 1),  # one more for a connection that a restart has cut
        )
        self.scripts = {text: self.valkey.register_script(text) for text in (TAKE, ROOM, SETTLE)}
        self.again_at: datetime | None = None

    def run(self, script: str, keys: list[str], arguments: list[Any]) -> bytes | None:
        """The script's answer, or None when there is none to be had."""
        if self.again_at and timezone.now() < self.again_at:
            return None
        try:
            answer: bytes | None = self.scripts[script](keys=keys, args=arguments)
        except redis.RedisError:
            self.again_at = timezone.now() + VALKEY_PAUSE
            return None
        return answer


@lru_cache(maxsize=4)
def _valkey(url: str) -> _Valkey:
    return _Valkey(url)
