"""An earlier system in PostgreSQL, or in another schema of one."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import SplitResult, unquote

import psycopg
from psycopg import sql

from admin_app.integrations.earlier import joins
from admin_app.integrations.earlier.source import (
    Family,
    SourceColumn,
    SourceFailed,
    SourceRefused,
    SourceTable,
    Totals,
    Write,
)

CONNECT_SECONDS = 10
COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
       coalesce((SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum e
                  WHERE e.enumtypid = a.atttypid), '{}'),
       greatest(c.reltuples, 0)::bigint
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = to_regnamespace(quote_ident(%s)) AND c.relkind IN ('r', 'p')
   AND NOT c.relispartition ORDER BY c.relname, a.attnum
"""
KEYS = """
SELECT c.relname, a.attname FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
  JOIN LATERAL unnest(i.indkey) WITH ORDINALITY k (attnum, place) ON true
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
 WHERE i.indisprimary AND c.relnamespace = to_regnamespace(quote_ident(%s)) ORDER BY c.relname, k.place
"""
SESSION = (
    "SET default_transaction_read_only = on; SET timezone = 'UTC'; SET datestyle = 'ISO'; "
    "SET extra_float_digits = 1; SET intervalstyle = 'postgres'; SET bytea_output = 'hex'; "
    # A table is read by one statement, which takes its time.
    "SET statement_timeout = 0"
)


class PostgresSource:
    """Reads one schema, in transactions that the server itself keeps from writing."""

    family = Family.POSTGRESQL

    def __init__(self, parts: SplitResult, *, schema: str, options: Mapping[str, str]) -> None:
        self._schema = schema
        name = unquote(parts.path.lstrip("/"))
        self.where = (
            f"postgresql://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}/{name}?schema={schema}"
        )
        arguments: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "backdesk-legacy",
            **options,
        }
        arguments |= {
            "host": unquote(parts.hostname or "") or None,
            "port": parts.port,
            "user": unquote(parts.username or "") or None,
            "password": unquote(parts.password or "") or None,
            "dbname": name or None,
        }
        with _failures():
            self._connection = psycopg.connect(**arguments, autocommit=True, prepare_threshold=None)
            self._connection.execute(SESSION)

    def tables(self) -> Sequence[SourceTable]:
        with _failures():
            columns = self._connection.execute(COLUMNS, [self._schema]).fetchall()
            keys = self._connection.execute(KEYS, [self._schema]).fetchall()
        found: dict[str, list[SourceColumn]] = {}
        rows = {}
        for table, name, kind, nullable, labels, estimate in columns:
            found.setdefault(table, []).append(SourceColumn(name, kind, nullable, tuple(labels)))
            rows[table] = estimate
        return [
            SourceTable(table, tuple(there), tuple(name for of, name in keys if of == table), rows[table])
            for table, there in found.items()
        ]

    def count(self, table: str) -> int:
        with _failures():
            (number,) = self._connection.execute(f"SELECT count(*) FROM {self._named(table)}".encode()).fetchone() or (
                0,
            )
        return int(number)

    def copy(
        self, table: SourceTable, columns: Sequence[str], write: Write, *, after: str | None = None, limit: int
    ) -> int:
        key = table.column(columns[0])
        begin = ""
        if after is not None:
            begin = f"WHERE {_column(table, columns[0])} > {_literal(after)}::{key.type if key else 'text'}"
        listed = ", ".join(_column(table, name) for name in columns)
        statement = (
            f"COPY (SELECT {listed} FROM {self._reading(table)} {begin} "
            f"ORDER BY {_column(table, columns[0])} LIMIT {limit:d}) TO STDOUT"
        )
        with _failures(), self._connection.cursor() as cursor:
            with cursor.copy(statement.encode()) as lines:
                for block in lines:
                    write(bytes(block))
            return max(0, cursor.rowcount)

    def totals(self, table: SourceTable, *, sums: Sequence[str], spans: Sequence[str]) -> Totals:
        asked = ["count(*)", *(f"sum({_column(table, name)}::numeric)::text" for name in sums)]
        for name in spans:
            asked += [f"{end}({_column(table, name)})::text" for end in ("min", "max")]
        with _failures():
            found = self._connection.execute(f"SELECT {', '.join(asked)} FROM {self._reading(table)}".encode())
            rows, *rest = found.fetchone() or (0,)
        ends: Iterator[str | None] = iter(rest[len(sums) :])
        told = {name: (next(ends), next(ends)) for name in spans}
        return Totals(int(rows), dict(zip(sums, rest, strict=False)), told)

    def close(self) -> None:
        self._connection.close()

    def _named(self, table: str) -> str:
        return sql.Identifier(self._schema, table).as_string()

    def _reading(self, table: SourceTable) -> str:
        return joins.reading(table, named=self._named, quoted=_quoted, casts=True)


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string()


def _column(table: SourceTable, name: str) -> str:
    return joins.column(table, name, quoted=_quoted)


def _literal(text: str) -> str:
    return sql.Literal(text).as_string()


@contextmanager
def _failures() -> Iterator[None]:
    """The driver's errors as sentences; none of them quotes a row."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as refused:
        raise SourceRefused("The earlier system's database does not let this user read: grant it SELECT.") from refused
    except psycopg.errors.InvalidCatalogName as unknown:
        raise SourceRefused("The server has no database of that name.") from unknown
    except (psycopg.errors.InvalidPassword, psycopg.errors.InvalidAuthorizationSpecification) as refused:
        raise SourceRefused("The earlier system's database does not accept this user or password.") from refused
    except psycopg.ProgrammingError as wrong:
        raise SourceRefused("The address of the earlier system has a part that PostgreSQL does not know.") from wrong
    except psycopg.Error as failed:
        raise SourceFailed(_sentence(failed)) from failed


def _sentence(failed: psycopg.Error) -> str:
    text = str(failed)
    if "authentication failed" in text or "no password supplied" in text:
        return "The earlier system's database does not accept this user or password."
    if "does not exist" in text and "database" in text:
        return "The server has no database of that name."
    return "The earlier system's database does not answer. Check the address, and whether it runs and can be reached."
