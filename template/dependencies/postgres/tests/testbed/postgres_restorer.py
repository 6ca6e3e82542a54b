"""Puts a PostgreSQL database back as it was before a test."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from graphlib import TopologicalSorter
from typing import Any

from psycopg.errors import (
    InsufficientPrivilege,
    LockNotAvailable,
    OperationalError,
    UndefinedTable,
)
from sqlalchemy import Engine, create_engine

LEFT_SECONDS = 1.0
"""How long connections may hold locks after the test."""

RELATIONS = r"""
SELECT c.oid::bigint, format('%%I.%%I', nspname, relname), relkind::text
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE c.oid > %s AND (relkind IN ('r', 'S') OR relkind = 'm' AND relispopulated)
AND nspname NOT LIKE 'pg\_%%' AND nspname <> 'information_schema'
AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e')
ORDER BY 1
"""
"""Tables, sequences and materialized views, but for those of extensions."""

FOREIGN_KEYS = """
SELECT conrelid::bigint, confrelid::bigint FROM pg_constraint
WHERE contype = 'f' AND conrelid <> confrelid
"""

SETTINGS = """
SELECT CASE setrole WHEN 0 THEN format('ALTER DATABASE %I RESET ALL', current_database())
ELSE format('ALTER ROLE %s IN DATABASE %I RESET ALL', setrole::regrole, current_database()) END
FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase
WHERE datname = current_database()
"""
"""Statements that undo ALTER DATABASE … SET: a copy of the template has no such settings."""

LOCKS = """
SELECT FROM pg_locks WHERE pid <> pg_backend_pid()
AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1
"""
LEFT = """
FROM pg_stat_activity a WHERE datname = current_database() AND pid <> pg_backend_pid()
AND backend_type = 'client backend'
AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.database = a.datid)
"""
"""Clients that hold locks; autovacuum holds some too."""


class Restorer:
    """Puts a database back after a test, through connections that no test touches.

    One query looks for tables that differ: it compares the number of their rows and which
    transactions wrote them. Rows of the migrations are copied anew from a database that `clone`
    returns the address of.
    """

    def __init__(self, url: str, clone: Callable[[], str]) -> None:
        self.url = url
        self.committed = False
        """Whether the test may have committed: else only locks can be left."""
        self._clone = clone
        self._original: Engine | None = None
        self._engine = _engine(url)
        self._seeded: dict[str, bool] = {}
        """Each table, and whether it has rows of the migrations."""
        self._checks: dict[str, str] = {}
        """For each relation a query that returns its name if it differs."""
        self._repairs: dict[str, str] = {}
        """For each sequence and materialized view the statement that puts it back."""
        with _connection(self._engine) as connection:
            self._replica = _may_be_replica(connection)
            relations = connection.execute(RELATIONS, [0]).fetchall()
            for _, name, kind in relations:
                self._remember(connection, name, kind)
            self._newest = _newest(connection)
            names = {oid: name for oid, name, _ in relations}
            self._references: dict[str, set[str]] = {name: set() for name in self._seeded}
            for table, referenced in connection.execute(FOREIGN_KEYS):
                if table in names and referenced in names:
                    self._references[names[table]].add(names[referenced])

    def close(self) -> None:
        for engine in filter(None, (self._engine, self._original)):
            engine.dispose()

    def restore(self) -> list[str]:
        """Put back what the test committed.

        Transactions and advisory locks that are still there are ended first.
        Returns the last statement of each.
        """
        try:
            return self._restore()
        except LockNotAvailable:
            raise
        except OperationalError:
            # Tests may end all connections, and this one too.
            return self._restore()

    def _restore(self) -> list[str]:
        with _connection(self._engine) as connection:
            left = self._end_left(connection)
            # Triggers may write when rows are put back, so look again, but not for ever.
            for _ in range(3 if self.committed or left else 0):
                if not self._put_back(connection):
                    break
        return left

    def _remember(self, connection: Any, name: str, kind: str) -> None:
        """Take the present state of a relation for the one to put back."""
        if kind == "S":
            last, called = connection.execute(
                f"SELECT last_value, is_called FROM {name}"
            ).fetchone()
            different = f"FROM {name} WHERE (last_value, is_called) <> ({last}, {called})"
            self._repairs[name] = f"SELECT setval({_quoted(name)}, {last}, {called})"
        else:
            rows, writers = connection.execute(
                f"SELECT count(*), string_agg(DISTINCT quote_literal(xmin::text), ',') FROM ONLY {name}"
            ).fetchone()
            different = _has_rows(name)
            if rows:
                same = f"count(*) FILTER (WHERE xmin IN ({writers}))"
                different = f"FROM ONLY {name} HAVING count(*) <> {rows} OR {same} <> {rows}"
            if kind == "m":
                self._repairs[name] = f"REFRESH MATERIALIZED VIEW {name}"
            else:
                self._seeded[name] = bool(rows)
        self._checks[name] = f"SELECT {_quoted(name)} {different}"

    def _end_left(self, connection: Any) -> list[str]:
        """End the connections that hold locks for too long, and return their last statements."""
        deadline = time.monotonic() + LEFT_SECONDS
        while connection.execute(LOCKS).rowcount and connection.execute(f"SELECT {LEFT}").rowcount:
            if time.monotonic() > deadline:
                ended = connection.execute(f"SELECT query, pg_terminate_backend(pid, 5000) {LEFT}")
                return [query for query, _ in ended]
            time.sleep(0.005)
        return []

    def _put_back(self, connection: Any) -> bool:
        """Put back what differs. Returns whether rows of the migrations were written."""
        different = self._different(connection)
        tables = different & self._seeded.keys()
        statements = ["BEGIN"]
        if self._replica:
            # Without foreign keys and triggers to look after, DELETE is many times faster than TRUNCATE.
            statements.append("SET LOCAL session_replication_role = replica")
            statements += [f"DELETE FROM ONLY {name}" for name in tables]
        elif tables:
            # The tables that refer to one of them have to be emptied with it.
            while more := {name for name, to in self._references.items() if to & tables} - tables:
                tables |= more
            statements.append(f"TRUNCATE {', '.join(f'ONLY {name}' for name in tables)}")
        # Each after those that it refers to.
        ordered = tables if self._replica else TopologicalSorter(self._references).static_order()
        seeded = [name for name in ordered if name in tables and self._seeded[name]]
        if seeded:
            connection.execute("; ".join(statements))
            statements = []
            self._copy(connection, seeded)
        if different:
            statements += [self._repairs.get(name, name) for name in different - tables]
            connection.execute("; ".join([*statements, "COMMIT"]))
        for name in seeded:
            self._remember(connection, name, "r")
        return bool(seeded)

    def _different(self, connection: Any) -> set[str]:
        """Names of the relations that are not as they were, and statements for the rest."""
        new = f"SELECT '' WHERE EXISTS (SELECT FROM pg_class WHERE oid > {self._newest})"
        query = "\nUNION ALL ".join([new, SETTINGS, *self._checks.values()])
        try:
            different = {name for (name,) in connection.execute(query, prepare=True)}
        except UndefinedTable:
            there = {name for _, name, _ in connection.execute(RELATIONS, [0])}
            for known in (self._checks, self._seeded, self._references):
                for name in known.keys() - there:
                    del known[name]
            return self._different(connection)
        if "" not in different:
            return different
        for _, name, kind in connection.execute(RELATIONS, [self._newest]):
            if kind == "r":  # a new table stays, and is emptied
                self._seeded[name] = False
                self._references[name] = set()
                self._checks[name] = f"SELECT {_quoted(name)} {_has_rows(name)}"
        self._newest = _newest(connection)
        return self._different(connection)

    def _copy(self, connection: Any, tables: list[str]) -> None:
        if self._original is None:
            self._original = _engine(self._clone())
        with _connection(self._original) as original:
            for name in tables:
                with (
                    original.cursor().copy(f"COPY {name} TO STDOUT") as rows,
                    connection.cursor().copy(f"COPY {name} FROM STDIN") as table,
                ):
                    for data in rows:
                        table.write(data)


def _engine(url: str) -> Engine:
    options = {"options": "-c lock_timeout=5s"}
    return create_engine(url, connect_args=options, isolation_level="AUTOCOMMIT")


@contextmanager
def _connection(engine: Engine) -> Iterator[Any]:
    """A connection of psycopg."""
    connection = engine.raw_connection()
    try:
        yield connection.driver_connection
    finally:
        connection.close()


def _newest(connection: Any) -> int:
    """The highest number that a relation has, whatever its kind."""
    [newest] = connection.execute("SELECT max(oid)::bigint FROM pg_class").fetchone()
    return int(newest)


def _may_be_replica(connection: Any) -> bool:
    """Whether this user may switch off foreign keys and triggers for itself, as superusers may."""
    try:
        connection.execute("SET session_replication_role = replica; RESET session_replication_role")
    except InsufficientPrivilege:
        return False
    return True


def _has_rows(name: str) -> str:
    return f"WHERE EXISTS (SELECT FROM ONLY {name})"


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
