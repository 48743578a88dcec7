"""No migration after the first may hold a large table or take away what the former version uses: web and workers go
on while it runs.

An ALTER TABLE waits for every statement before it and stops every one behind it. What only changes the catalogue is
over at once; what reads or rewrites all rows is not, and has a way that does not lock.
"""

import pytest
from django.apps import apps
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import (
    AddConstraint,
    AddField,
    AddIndex,
    AlterField,
    AlterUniqueTogether,
    CreateModel,
    DeleteModel,
    RemoveField,
    RemoveIndex,
    RenameField,
    RenameModel,
    RunPython,
    RunSQL,
    SeparateDatabaseAndState,
)
from django.db.migrations.operations.base import Operation
from django.db.models.functions import Now

OURS = ("connector", "shopify_app", "tiktok")
# Tables with a row for each shop or process: whatever is done to them is over at once.
SMALL = {"shop", "seller", "connection", "connectionlog", "consent", "heartbeat", "carrierlink"}
WAYS: dict[type[Operation], str] = {
    AddIndex: "locks all writes while it reads the table: use AddIndexConcurrently in a migration with atomic = False",
    RemoveIndex: "waits with a lock in hand: use RemoveIndexConcurrently in a migration with atomic = False",
    AddConstraint: "reads the whole table under a lock: add it NOT VALID, then validate it in a migration of its own",
    AlterUniqueTogether: "builds an index under a lock: add a unique index concurrently first",
    AlterField: "may rewrite the table: add a new column and fill it in small batches",
    RunPython: "may touch every row in one transaction: fill in small batches from a command",
    RunSQL: "may do anything: say in SAFE why it holds no table",
}
SAFE: set[str] = set()  # "app.migration" whose SQL or code was looked at, with the reason beside it

# What the former version reads and writes while the migration runs, and until the last process is a new one.
TAKES_AWAY: dict[type[Operation], str] = {
    RemoveField: "breaks the processes that still run the former version: name it in UNUSED a version later",
    DeleteModel: "breaks the processes that still run the former version: name it in UNUSED a version later",
    RenameField: "breaks the processes that still run the former version: add, fill, and remove a version later",
    RenameModel: "breaks the processes that still run the former version: make a new table",
}
UNUSED: set[str] = (
    set()
)  # "app.model.field" or "app.model" of which the version before does not know any more


def objections(migration: str, operations: list[Operation], unused: frozenset[str] = UNUSED) -> list[str]:
    """What in a migration would hold a large table or take away what is in use, and what to do instead."""
    made = {operation.name_lower for operation in operations if isinstance(operation, CreateModel)}
    found = []
    for operation in flat(operations):
        table = table_of(operation)
        words = taken(migration, operation, unused)
        if not words and table not in made | SMALL and migration not in SAFE:
            words = objection(operation)
        if words:
            found.append(f"{migration}: {operation.describe()}: {words}")
    return found


def table_of(operation: Operation) -> str:
    name: str = getattr(operation, "model_name", getattr(operation, "name", ""))
    return name.lower()


def taken(migration: str, operation: Operation, unused: frozenset[str]) -> str:
    """Of tables of any size."""
    what = f"{migration.partition('.')[0]}.{table_of(operation)}"
    if isinstance(operation, RemoveField):
        what = f"{what}.{operation.name.lower()}"
    words = next((words for kind, words in TAKES_AWAY.items() if isinstance(operation, kind)), "")
    return "" if what in unused else words


def flat(operations: list[Operation]) -> list[Operation]:
    """Also what is told to the database apart from the state."""
    return [
        inner
        for one in operations
        for inner in (flat(one.database_operations) if isinstance(one, SeparateDatabaseAndState) else [one])
    ]


def objection(operation: Operation) -> str:
    match operation:
        case AddIndexConcurrently() | RemoveIndexConcurrently() | CreateModel():
            return ""
        case AddField(field=field):
            return of_column(field)
    return next((words for kind, words in WAYS.items() if isinstance(operation, kind)), "")


def of_column(field: models.Field) -> str:
    if field.unique or field.db_index or isinstance(field, models.ForeignKey):
        return "builds an index or checks every row under a lock: add the column alone, then its index concurrently"
    if field.null or field.many_to_many:
        return ""
    if field.db_default is models.NOT_PROVIDED:
        return (
            "has no default in the database: processes of the former version could not insert; use db_default"
        )
    volatile = not isinstance(field.db_default, int | float | str | bool | dict | list)
    return "a computed default rewrites the table: use null=True and fill it later" if volatile else ""


def test_no_migration_after_the_first_holds_a_large_table():
    loader = MigrationLoader(None)
    later = [one for (app, name), one in loader.disk_migrations.items() if app in OURS and not one.initial]
    found = [words for one in later for words in objections(f"{one.app_label}.{one.name}", one.operations)]
    assert found == []


def test_every_later_migration_says_that_it_is_not_the_first():
    """`initial` is how a first migration is told: a later one that claims it would not be looked at."""
    loader = MigrationLoader(None)
    firsts = [app for (app, name), one in loader.disk_migrations.items() if app in OURS and one.initial]
    assert sorted(firsts) == sorted(set(firsts))


def test_the_tables_that_may_be_held_are_those_with_few_rows():
    known = {model.__name__.lower() for label in OURS for model in apps.get_app_config(label).get_models()}
    assert known >= SMALL
    assert not SMALL & {"order", "orderline", "orderlog", "inboxevent", "parcel", "skulink", "audit"}


INDEX = models.Index(fields=["state"], name="x")


@pytest.mark.parametrize(
    "operation",
    [
        AddIndex("order", INDEX),
        RemoveIndex("order", "x"),
        AddConstraint("order", models.UniqueConstraint(fields=["state"], name="x")),
        AlterField("order", "state", models.CharField(max_length=9)),
        RenameField("order", "state", "place"),
        RenameModel("Order", "Sale"),
        RemoveField("order", "state"),
        RemoveField("connection", "settings"),
        DeleteModel("Heartbeat"),
        AddField("order", "shade", models.TextField(default="")),
        AddField("order", "shade", models.TextField(null=True, db_index=True)),
        AddField("order", "seen_at", models.DateTimeField(db_default=Now())),
        AddField("order", "mate", models.ForeignKey("connector.Order", models.CASCADE, null=True)),
        RunPython(RunPython.noop),
        RunSQL("UPDATE connector_order SET live = true"),
        SeparateDatabaseAndState(database_operations=[AddIndex("order", INDEX)]),
    ],
    ids=lambda operation: type(operation).__name__,
)
def test_what_would_hold_a_table_or_take_it_away_is_refused_with_the_way_around_it(operation):
    [words] = objections("connector.0002_x", [operation])
    assert words.startswith("connector.0002_x: ") and len(words) > 60


@pytest.mark.parametrize(
    "operations",
    [
        [AddIndexConcurrently("order", INDEX)],
        [AddField("order", "shade", models.TextField(null=True))],
        [AddField("order", "shade", models.TextField(db_default="", default=""))],
        [AddField("connection", "shade", models.TextField(default=""))],
        [CreateModel("Box", [("id", models.BigAutoField(primary_key=True))]), AddIndex("box", INDEX)],
    ],
)
def test_what_only_changes_the_catalogue_or_a_small_or_new_table_passes(operations):
    assert objections("connector.0002_x", operations) == []


def test_what_no_version_uses_any_more_may_go_when_it_is_named():
    unused = frozenset({"connector.order.state", "connector.heartbeat"})
    gone = [RemoveField("Order", "state"), DeleteModel("Heartbeat")]
    assert objections("connector.0002_x", gone, unused) == []
    still = [RemoveField("order", "reason"), DeleteModel("Consent")]
    assert len(objections("connector.0002_x", still, unused)) == 2
