"""Statements that are written out, for what a worker does for every order.

The ORM compiles a query anew at each call, every column of it: for the seventy of an order that takes more CPU than
PostgreSQL needs to answer. Where a statement runs a few times a minute, the ORM's words are the better ones.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar, cast

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.utils import CursorWrapper
from django.db.models import Model

from connector.postgres.base import DatabaseWrapper

M = TypeVar("M", bound=Model)


def rows(statement: str, values: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
    with binding_cursor() as cursor:
        cursor.execute(statement, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def value(statement: str, values: Sequence[Any] | dict[str, Any] = ()) -> Any:
    """The first column of the only row."""
    [(found, *_)] = rows(statement, values)
    return found


def change(statement: str, values: Sequence[Any] | dict[str, Any] = ()) -> int:
    """How many rows it touched."""
    with binding_cursor() as cursor:
        cursor.execute(statement, values)
        touched: int = cursor.rowcount
        return touched


def find(model: type[M], where: str, values: Sequence[Any], only: Sequence[str] = ()) -> list[M]:
    """Rows of a table. Of all columns but those of `only`, where it names some, the others are read when asked for."""
    columns = ", ".join(["id", *only]) if only else "*"
    return read(model, f'SELECT {columns} FROM "{model._meta.db_table}" WHERE {where}', values)  # noqa: S608


def read(model: type[M], statement: str, values: Sequence[Any] | dict[str, Any]) -> list[M]:
    """What the statement gives of a table's rows. Columns that are none of the table's become attributes too."""
    with binding_cursor() as cursor:
        cursor.execute(statement, values)
        as_row = maker(model, tuple(column.name for column in cursor.description))
        return [as_row(found) for found in cursor.fetchall()]


@cache
def maker(model: type[M], columns: tuple[str, ...]) -> Callable[[Sequence[Any]], M]:
    """How values in these columns become a row of the model: worked out once, where the ORM does it at each call."""
    at: dict[str | None, int] = {column: place for place, column in enumerate(columns)}
    fields = [field for field in model._meta.concrete_fields if field.column in at]
    names = [field.attname for field in fields]
    places = [at.pop(field.column) for field in fields]
    conversions = [
        (place, convert)
        for place, field in zip(places, fields, strict=True)
        for convert in field.get_db_converters(connection)
    ]

    def as_row(found: Sequence[Any]) -> M:
        values = list(found)
        for place, convert in conversions:
            values[place] = convert(values[place], None, connection)
        row = model.from_db(DEFAULT_DB_ALIAS, names, [values[place] for place in places])
        for name, place in at.items():
            setattr(row, str(name), values[place])
        return row

    return as_row


def insert(row: Model, *, unless_known: bool = False) -> int:
    """Store a new row, whose id stays unknown; nothing where a unique constraint has one like it already. How many."""
    columns, values = stored(row)
    places = ", ".join(["%s"] * len(values))
    or_not = "ON CONFLICT DO NOTHING" if unless_known else ""
    return change(f'INSERT INTO "{row._meta.db_table}" ({columns}) VALUES ({places}) {or_not}', values)  # noqa: S608


def change_and_insert(update: str, values: Sequence[Any], row: Model) -> int:
    """An UPDATE of one row and, if it found that row, a new row of another table: one statement, so both or none."""
    columns, new = stored(row)
    places = ", ".join(["%s"] * len(new))
    inserted = f'INSERT INTO "{row._meta.db_table}" ({columns}) SELECT {places} FROM changed'  # noqa: S608
    return change(f"WITH changed AS ({update} RETURNING 1) {inserted}", [*values, *new])


def binding_cursor() -> CursorWrapper:
    return cast("DatabaseWrapper", connections[DEFAULT_DB_ALIAS]).binding_cursor()


def stored(row: Model) -> tuple[str, list[Any]]:
    """A new row's columns, and their values as PostgreSQL takes them."""
    fields = [
        field
        for field in row._meta.local_concrete_fields
        if not field.primary_key and not getattr(field, "generated", False)
    ]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    return columns, [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields]
