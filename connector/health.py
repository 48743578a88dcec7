"""How a connection does: when it last heard of both sides, what is overdue, how long its permissions last."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.db.models import BigIntegerField, Min, QuerySet, Value
from django.utils import timezone

from connector.models import CONNECTION_OF, Connection, Heartbeat

CLOCK_STILL = timedelta(minutes=2)
OVERDUE = timedelta(minutes=5)


class State(StrEnum):
    FINE = "fine"
    OFF = "off"
    PAUSED = "paused"
    STILL = "still"  # the clock that starts all work has stopped
    BEHIND = "behind"  # rows are due for minutes or only fail, or a pull is late
    SHORT = "short"  # a permission ends within a month


@dataclass(frozen=True, slots=True)
class Health:
    """One connection's card. Times are None where there is none yet; `overdue` is since when the oldest row waits."""

    connection: Connection
    state: State
    overdue: datetime | None

    @property
    def well(self) -> bool:
        return self.state in (State.FINE, State.OFF, State.SHORT)


def health(connection: Connection) -> Health:
    return health_of([connection])[0]


def health_of(connections: Sequence[Connection]) -> list[Health]:
    """A card for each of a shop's connections, in one query."""
    if not connections:
        return []
    beat: datetime | None = None
    overdue: dict[int, datetime] = {}
    for pk, at in oldest(connections):
        if pk is None:
            beat = at
        else:
            overdue[pk] = min(at, overdue.get(pk, at))
    still = beat is None or beat <= timezone.now() - CLOCK_STILL
    return [
        Health(one, state_of(one, overdue.get(one.pk), still), overdue.get(one.pk)) for one in connections
    ]


def oldest(connections: Sequence[Connection]) -> QuerySet[Any, Any]:
    """Since when the longest waiting row of each kind and connection has been due, or has failed; of none, the clock's
    beat."""
    shop = connections[0].shop_id
    late = [
        rows.filter(shop=shop).order_by().values_list(names).annotate(Min(since))
        for model, names in CONNECTION_OF.items()
        for rows, since in ((model.due(), "due_at"), (model.failing(), "failing_since"))
    ]
    beats = Heartbeat.objects.filter(name="clock")
    return beats.values_list(Value(None, BigIntegerField()), "at").union(*late, all=True)


def state_of(connection: Connection, overdue: datetime | None, still: bool) -> State:
    now = timezone.now()
    if not connection.active:
        return State.OFF
    if connection.paused:
        return State.PAUSED
    if still:
        return State.STILL
    if (overdue and overdue < now - OVERDUE) or connection.pulled_at < now - 3 * settings.PULL_EVERY:
        return State.BEHIND
    if connection.grant_ends_soon:
        return State.SHORT
    return State.FINE
