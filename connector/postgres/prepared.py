"""A statement that each connection has parsed and planned once, called at first hand.

For the intake and for what is due, where cursors cost five times what they carry and planning costs as much as the
answer. The plan is for any values: look at it by plan_cache_mode = force_generic_plan before a statement is added.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import cast

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from psycopg.pq import DiagnosticField, ExecStatus, abc

from connector.postgres.base import DatabaseWrapper

NO_SUCH_STATEMENT = b"26000"  # a pooler has given us another server


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with $1, $2 …, that gives a row or none. Its name tells it from that of another release."""

    sql: bytes
    name: bytes
    writes: bool

    @classmethod
    def of(cls, sql: str, *, writes: bool = True) -> "Statement":
        name = b"ours_" + blake2b(sql.encode(), digest_size=8).hexdigest().encode()
        return cls(sql.encode(), name, writes)

    def first_row(self, *values: bytes) -> list[bytes | None] | None:
        """Values as PostgreSQL reads and writes them. What writes commits by itself, so never inside a transaction."""
        if any(b"\0" in value for value in values):
            raise ValueError("PostgreSQL would read a value only up to its NUL")
        database = cast("DatabaseWrapper", connections[DEFAULT_DB_ALIAS])
        if self.writes:
            database.validate_no_atomic_block()
        if not database.in_atomic_block:
            database.close_if_unusable_or_obsolete()  # as Django does before each request
            database.close_if_health_check_failed()
        with database.wrap_database_errors:
            database.ensure_connection()
            found = self._execute(database, values)
            if found.status != ExecStatus.TUPLES_OK:
                raise failure(found)
        return [found.get_value(0, n) for n in range(found.nfields)] if found.ntuples else None

    def _execute(self, database: DatabaseWrapper, values: Sequence[bytes]) -> abc.PGresult:
        server: abc.PGconn = database.connection.pgconn
        if self.name not in database.prepared:
            server.prepare(self.name, self.sql)
            database.prepared.add(self.name)
        found = server.exec_prepared(self.name, values)
        if found.error_field(DiagnosticField.SQLSTATE) == NO_SUCH_STATEMENT:
            return server.exec_params(self.sql, values)
        return found


def failure(found: abc.PGresult) -> psycopg.Error:
    """A server that is gone says no code: libpq's own words are all there is."""
    if found.error_field(DiagnosticField.SQLSTATE) is None:
        return psycopg.OperationalError(found.error_message.decode(errors="replace").strip())
    return psycopg.errors.error_from_result(found)
