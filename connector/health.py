"""How a connection does: when it last heard of both sides, what is overdue, how long its permissions last."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.db.models import Min, QuerySet
from django.utils import timezone

from connector.models import Connection, Heartbeat, Order, Parcel
from connector.work import Work

CLOCK_STILL = timedelta(minutes=2)
OVERDUE = timedelta(minutes=5)
GRANT_SHORT = timedelta(days=30)


class State(StrEnum):
    FINE = "fine"
    OFF = "off"
    PAUSED = "paused"
    STILL = "still"  # the clock that starts all work has stopped
    BEHIND = "behind"  # rows are due for minutes, or a pull is
    SHORT = "short"  # a permission ends within a month


@dataclass(frozen=True, slots=True)
class Health:
    """One connection's card. Times are None where there is none yet; `overdue` is the oldest row's due time."""

    connection: Connection
    state: State
    overdue: datetime | None

    @property
    def well(self) -> bool:
        return self.state in (State.FINE, State.OFF, State.SHORT)


def health(connection: Connection) -> Health:
    overdue = oldest_due(connection)
    return Health(connection, state_of(connection, overdue), overdue)


def state_of(connection: Connection, overdue: datetime | None) -> State:
    now = timezone.now()
    if not connection.active:
        return State.OFF
    if connection.paused:
        return State.PAUSED
    if not Heartbeat.objects.filter(name="clock", at__gt=now - CLOCK_STILL).exists():
        return State.STILL
    pulled = connection.tiktok_pulled_at or connection.started_at
    if (overdue and overdue < now - OVERDUE) or pulled < now - 3 * settings.PULL_EVERY:
        return State.BEHIND
    if connection.grant_ends_at and connection.grant_ends_at < now + GRANT_SHORT:
        return State.SHORT
    return State.FINE


def oldest_due(connection: Connection) -> datetime | None:
    """Since when the row has been due that waits longest."""
    due: list[QuerySet[Work]] = [
        Connection.due().filter(shop=connection.shop_id, pk=connection.pk),
        Order.due().filter(shop=connection.shop_id, connection=connection),
        Parcel.due().filter(shop=connection.shop_id, order__connection=connection),
    ]
    return min(filter(None, (rows.aggregate(at=Min("due_at"))["at"] for rows in due)), default=None)
