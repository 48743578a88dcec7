"""A person changes what a connection does: its settings with a log of who changed what, and its pause."""

from typing import Any

from django.db import transaction

from connector.models import Connection, ConnectionLog
from connector.policy import Policy
from connector.states import Pause
from connector.wake import bell
from connector.work import wake_all

# What a changed setting may free: the reasons that rows wait with.
FREED_ORDERS: dict[str, tuple[str, ...]] = {"unmatched": ("sku_unmapped",)}
FREED_PARCELS: dict[str, tuple[str, ...]] = {
    "fallback_provider": ("carrier_unknown", "carrier_not_supported")
}
Changes = dict[str, list[Any]]


def save(connection: Connection, policy: Policy, by: str) -> Changes:
    """Store the settings, log what changed (name: [old, new]) and wake what waited for a change."""
    with transaction.atomic():
        row = Connection.objects.select_for_update().get(pk=connection.pk)
        old, new = row.policy.to_json(), policy.to_json()
        changes = {name: [old[name], value] for name, value in new.items() if old[name] != value}
        if not changes:
            return {}
        row.settings = row.settings | {name: value for name, (_old, value) in changes.items()}
        row.save(update_fields=["settings"])
        log(row, by, changes)
        free(row, changes)
    connection.settings = row.settings
    bell.ring(connection.shop_id)
    return changes


def free(connection: Connection, changes: Changes) -> None:
    """Look again at what may go on now."""
    for name, reasons in FREED_ORDERS.items():
        if name in changes:
            wake_all(connection.asking().filter(reason__in=reasons))
    for name, reasons in FREED_PARCELS.items():
        if name in changes:
            wake_all(connection.asking_parcels().filter(reason__in=reasons))


@transaction.atomic
def pause(connection: Connection, by: str) -> None:
    """Take no order in and send no number out until a person resumes."""
    connection.pause(Pause.BY_A_PERSON)
    log(connection, by, {"paused": [False, True]})


def resume(connection: Connection, by: str) -> None:
    with transaction.atomic():
        connection.resume()
        log(connection, by, {"paused": [True, False]})
    bell.ring(connection.shop_id)


def log(connection: Connection, by: str, changes: Changes) -> None:
    """Remember who changed what, by name: [old, new]; a name may say after a space which one is meant."""
    if changes:
        ConnectionLog.objects.create(connection=connection, by=by, changes=changes)
