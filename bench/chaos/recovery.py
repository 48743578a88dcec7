"""How long after each death all was as before: the dead program works again, and what waited or was held is done."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import redis
import requests
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connections
from django.db.models import Min

from bench.chaos.stage import Stage

LOOK_SECONDS = 0.5
WEB_SECONDS = 0.5  # that a host which works needs for its answer


@dataclass
class Kill:
    victim: str
    at: datetime
    since: float  # the same moment on the clock that never jumps
    restarted: float | None = None  # seconds until it was started again
    recovered: float | None = None


class Recovery:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.kills: list[Kill] = []
        self._looked = 0.0

    def killed(self, victim: str) -> None:
        self.kills.append(Kill(victim, datetime.now(UTC), time.monotonic()))

    def look(self) -> None:
        open_ones = [kill for kill in self.kills if kill.recovered is None]
        if not open_ones or time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        for kill in open_ones:
            self.see_restart(kill)
        try:
            due, held = oldest()
            over = [kill for kill in open_ones if self.is_over(kill, due, held)]
        except DatabaseError:
            connections.close_all()  # PostgreSQL was restarted under them
            return
        for kill in over:
            kill.recovered = time.monotonic() - kill.since

    def see_restart(self, kill: Kill) -> None:
        one = self.stage.program(kill.victim)
        if kill.restarted is None and one.child is not None and one.began > kill.since:
            kill.restarted = one.began - kill.since

    def is_over(self, kill: Kill, due: datetime | None, held: datetime | None) -> bool:
        """Nothing is due or held any more that was when it died, whoever had it: a lease is renewed or lapses."""
        return (
            kill.restarted is not None
            and (due is None or due > kill.at)
            and (held is None or held > kill.at + settings.WORK_LEASE)
            and WORKS.get(kill.victim, has_started)(self.stage, kill)
        )


def oldest() -> tuple[datetime | None, datetime | None]:
    """Since when the row waits that is due longest, and until when the row is held whose lease lapses first. Who has a
    row leaves its time as it was, so what is held is due too.
    """
    from connector.models import Connection, InboxEvent, Order, Parcel

    firsts = [
        model.objects.filter(due_at__isnull=False).aggregate(due=Min("due_at"), held=Min("leased_until"))
        for model in (InboxEvent, Order, Parcel, Connection)
    ]
    return earliest([one["due"] for one in firsts]), earliest([one["held"] for one in firsts])


def earliest(moments: list[datetime | None]) -> datetime | None:
    return min(filter(None, moments), default=None)


def has_started(stage: Stage, kill: Kill) -> bool:
    """Workers: that what was held is done says it; PostgreSQL: it has just been asked."""
    return True


def web_answers(stage: Stage, kill: Kill) -> bool:
    try:
        return requests.get(f"{stage.env['APP_URL']}/readyz", timeout=WEB_SECONDS).ok
    except requests.RequestException:
        return False


def clock_beats(stage: Stage, kill: Kill) -> bool:
    from connector.models import Heartbeat

    return Heartbeat.objects.filter(name="clock", at__gt=kill.at).exists()


def valkey_answers(stage: Stage, kill: Kill) -> bool:
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=WEB_SECONDS) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


WORKS: dict[str, Callable[[Stage, Kill], bool]] = {
    "web": web_answers,
    "clock": clock_beats,
    "valkey": valkey_answers,
}
