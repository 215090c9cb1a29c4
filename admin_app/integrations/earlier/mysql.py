"""An earlier system in MySQL or MariaDB."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import SplitResult, unquote

import pymysql
from pymysql.cursors import SSCursor

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
READ_SECONDS = 600
# Fewer, and reading is mostly calls; more, and memory grows without a gain.
AT_ONCE = 2000
COLUMNS = """
SELECT t.table_name, c.column_name, c.column_type, c.is_nullable = 'YES', c.column_key = 'PRI',
       coalesce(t.table_rows, 0)
  FROM information_schema.tables t JOIN information_schema.columns c USING (table_schema, table_name)
 WHERE t.table_schema = database() AND t.table_type = 'BASE TABLE' ORDER BY t.table_name, c.ordinal_position
"""
# A TIMESTAMP is told in the session's zone; PIPES_AS_CONCAT and the like must not change what our statements mean.
# A table is read by one statement, which may wait for whoever takes its rows, and takes its time.
PATIENTLY = "net_write_timeout = 3600"
SESSION = (
    "SET SESSION time_zone = '+00:00', sql_mode = 'NO_BACKSLASH_ESCAPES', transaction_read_only = 1, "
    f"max_execution_time = 0, {PATIENTLY}"
)
SESSION_MARIADB = (
    "SET SESSION time_zone = '+00:00', sql_mode = 'NO_BACKSLASH_ESCAPES', tx_read_only = 1, "
    f"max_statement_time = 0, {PATIENTLY}"
)
# What means something in COPY's text form, as SQL says it under NO_BACKSLASH_ESCAPES, and how it is written there.
SPECIAL = (("'\\'", r"'\\'"), ("CHAR(9)", r"'\t'"), ("CHAR(10)", r"'\n'"), ("CHAR(13)", r"'\r'"))
PLAIN = ("int", "bigint", "smallint", "tinyint", "mediumint", "decimal", "date", "timestamp")
# PostgreSQL keeps no character zero; this is read in its place, and looked for.
ZERO_SHOWN = "␀"
ACCESS_DENIED = frozenset({1044, 1045, 1142, 1143, 1698})
UNKNOWN_DATABASE = 1049


class MySqlSource:
    """Reads one database; the server itself refuses to write in this session."""

    family = Family.MYSQL

    def __init__(self, parts: SplitResult, *, options: Mapping[str, str]) -> None:
        if unknown := set(options) - {"charset", "unix_socket"}:
            raise SourceRefused(
                f"The address of the earlier system has parts that mean nothing here: {sorted(unknown)}."
            )
        name = unquote(parts.path.lstrip("/"))
        if not name:
            raise SourceRefused("The address of the earlier system names no database: mysql://…/name.")
        self.where = f"mysql://{parts.hostname or 'localhost'}{f':{parts.port}' if parts.port else ''}/{name}"
        arguments: dict[str, Any] = {
            "host": parts.hostname or "localhost",
            "port": parts.port or 3306,
            "user": unquote(parts.username or "") or None,
            "password": unquote(parts.password or ""),
            "database": name,
            "charset": "utf8mb4",
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "autocommit": True,
        }
        with _failures():
            self._connection: Any = pymysql.connect(**(arguments | dict(options)))
            is_mariadb = "MariaDB" in str(self._connection.get_server_info())
            self._ask(SESSION_MARIADB if is_mariadb else SESSION)

    def tables(self) -> Sequence[SourceTable]:
        columns: dict[str, list[SourceColumn]] = {}
        keys: dict[str, list[str]] = {}
        rows: dict[str, int] = {}
        for table, name, kind, nullable, in_key, estimate in self._ask(COLUMNS):
            columns.setdefault(table, []).append(SourceColumn(name, kind, bool(nullable), _labels(kind)))
            keys.setdefault(table, []).extend([name] if in_key else [])
            rows[table] = int(estimate)
        return [SourceTable(name, tuple(there), tuple(keys[name]), rows[name]) for name, there in columns.items()]

    def count(self, table: str) -> int:
        ((number,),) = self._ask(f"SELECT count(*) FROM {_quoted(table)}")
        return int(number)

    def copy(
        self, table: SourceTable, columns: Sequence[str], write: Write, *, after: str | None = None, limit: int
    ) -> int:
        # The server puts a row together as one line: taking columns apart one by one in Python costs twice the time.
        line = f"CONCAT_WS(CHAR(9), {', '.join(_as_text(table, name) for name in columns)})"
        key = _column(table, columns[0])
        begin = f"WHERE {key} > %s" if after is not None else ""
        statement = f"SELECT {line} FROM {_reading(table)} {begin} ORDER BY {key} LIMIT {limit:d}"
        number = 0
        with _failures(), self._connection.cursor(SSCursor) as cursor:
            cursor.execute(statement, [] if after is None else [after])
            while rows := cursor.fetchmany(AT_ONCE):
                write("".join(f"{row[0]}\n" for row in rows).encode())
                number += len(rows)
        return number

    def totals(self, table: SourceTable, *, sums: Sequence[str], spans: Sequence[str]) -> Totals:
        asked = ["count(*)"]
        asked += [f"CAST(SUM({_column(table, name)}) AS CHAR)" for name in sums]
        for name in spans:
            # A zero date is no moment; it would be the first of all.
            told = f"NULLIF(CAST({_column(table, name)} AS CHAR), '0000-00-00 00:00:00')"
            asked += [f"CAST({end}({told}) AS CHAR)" for end in ("MIN", "MAX")]
        ((rows, *rest),) = self._ask(f"SELECT {', '.join(asked)} FROM {_reading(table)}")
        ends: Iterator[str | None] = iter(rest[len(sums) :])
        return Totals(
            int(rows), dict(zip(sums, rest, strict=False)), {name: (next(ends), next(ends)) for name in spans}
        )

    def close(self) -> None:
        self._connection.close()

    def _ask(self, statement: str) -> Sequence[Any]:
        with _failures(), self._connection.cursor() as cursor:
            cursor.execute(statement, [])
            found: Sequence[Any] = cursor.fetchall()
            return found


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``').replace('%', '%%')}`"


def _column(table: SourceTable, name: str) -> str:
    return joins.column(table, name, quoted=_quoted)


def _reading(table: SourceTable) -> str:
    return joins.reading(table, named=_quoted, quoted=_quoted)


def _as_text(table: SourceTable, name: str) -> str:
    """A value as COPY reads it: what it means specially is escaped, and NULL is told apart from an empty text."""
    column = table.column(name)
    kind = column.type if column else ""
    read = _column(table, name)
    told = f"CAST({read} AS CHAR CHARACTER SET utf8mb4)"
    if kind.startswith("bit"):
        told = f"CAST({read} + 0 AS CHAR CHARACTER SET utf8mb4)"
    elif kind.startswith(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")):
        told = f"HEX({read})"
    elif not kind.startswith(PLAIN) and not _has_plain_labels(kind):
        told = f"REPLACE({told}, CHAR(0), '{ZERO_SHOWN}')"
        for special, escaped in SPECIAL:
            told = f"REPLACE({told}, {special}, {escaped})"
    return rf"COALESCE({told}, '\N')"


def _has_plain_labels(kind: str) -> bool:
    """Whether a column can only say labels in which nothing has to be escaped."""
    return kind.startswith("enum(") and not any(sign in kind for sign in "\\\t\n\r\0")


def _labels(kind: str) -> tuple[str, ...]:
    if not kind.startswith("enum("):
        return ()
    return tuple(label.replace("''", "'") for label in kind[6:-2].split("','"))


@contextmanager
def _failures() -> Iterator[None]:
    """The driver's errors as sentences; none of them quotes a row."""
    try:
        yield
    except pymysql.Error as failed:
        number = failed.args[0] if failed.args else None
        if number in ACCESS_DENIED:
            raise SourceRefused(
                "The earlier system's database does not accept this user or password, or does not let it read."
            ) from failed
        if number == UNKNOWN_DATABASE:
            raise SourceRefused("The server has no database of that name.") from failed
        raise SourceFailed(
            "The earlier system's database does not answer. Check the address, and whether it runs and can be reached."
        ) from failed
