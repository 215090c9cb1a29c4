"""What a maker says about the system that it made, and what makers share."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit
from zoneinfo import ZoneInfo

import psycopg
import pymysql
from pymysql.connections import Connection as MySQL

Postgres = psycopg.Connection[tuple[Any, ...]]
Ugly = bool | Collection[str]

# Minor units; whole in major ones too, so that only what is ugly has a fraction.
PRICES = (9000, 12000, 0, 4500)
# Local, whatever the zone.
FIRST_DAY = datetime.fromisoformat("2023-01-02")
SLOTS_A_DAY = 8
MINUTES = 50


# All that a way from one database to another may stumble over, and may keep: none of it is amiss.
ODD_TEXT = 'Tab\there, a\nsecond line, back\\slash and \\N, "quoted", O\'Neill & <b>Ærø</b> 漢字 😀'


class Spot(NamedTuple):
    """Where something is amiss: a column of one row by its key, or of a whole table (no key)."""

    table: str
    column: str
    key: Any = None


@dataclass(frozen=True)
class Made:
    """What stands in the source now.

    `counts`: rows by table. `sums`: by `table.column`, money in minor units; of a flag, how many rows have it set.
    `records`: single rows by a name of the maker's, with what a reader should find. `ugly`: by kind, the spots.
    `zone`: what times without a zone mean, as an IANA name. `address`: where it is.
    """

    system: str
    address: str
    zone: str
    counts: Mapping[str, int]
    sums: Mapping[str, int]
    records: Mapping[str, Mapping[str, Any]]
    ugly: Mapping[str, tuple[Spot, ...]]


class Blemishes:
    """Which kinds of ugliness are wanted, and where each was put."""

    def __init__(self, wanted: Ugly, possible: Collection[str]) -> None:
        chosen = set(possible if wanted is True else wanted or ())
        if unknown := chosen - set(possible):
            raise ValueError(f"This system has no {sorted(unknown)}; it has {sorted(possible)}.")
        self._chosen = chosen
        self._spots: dict[str, list[Spot]] = {}

    def __contains__(self, kind: str) -> bool:
        return kind in self._chosen

    def note(self, kind: str, table: str, column: str, *keys: Any) -> None:
        self._spots.setdefault(kind, []).extend(Spot(table, column, key) for key in keys or (None,))

    def all(self) -> dict[str, tuple[Spot, ...]]:
        return {kind: tuple(spots) for kind, spots in self._spots.items()}


class ClockChange(NamedTuple):
    """A local time that never was, and one that was twice."""

    skipped: datetime
    doubled: datetime


def clock_change(zone: str, year: int = 2024) -> ClockChange | None:
    """The zone's own of a year; None where the clocks are left alone."""
    place, skipped, doubled = ZoneInfo(zone), None, None
    local = datetime.fromisoformat(f"{year}-01-01")
    while local.year == year and not (skipped and doubled):
        if at(local, zone).astimezone(place).replace(tzinfo=None) != local:
            skipped = skipped or local
        elif at(local, zone) != at(local.replace(fold=1), zone):
            doubled = doubled or local
        local += timedelta(minutes=30)
    return ClockChange(skipped, doubled) if skipped and doubled else None


def at(local: datetime, zone: str) -> datetime:
    """The instant of a time without a zone."""
    return local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def hexes(text: str) -> str:
    """As md5() of either database: ids that are the same at every run."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def cuid(kind: str, number: int | str) -> str:
    """An id as Prisma gives it: a `c` and 24 small letters and digits. In SQL: `cuid_sql`."""
    return "c" + hexes(f"{kind}{number}")[:24]


def cuid_sql(kind: str, number: str) -> str:
    return f"'c' || left(md5('{kind}' || {number}), 24)"


def price_sum(rows: int, *, first: int = 1) -> int:
    """The prices of the regular rows from `first` to `rows`, each `PRICES[number % 4]`."""
    return sum(price * _how_many(rows, first, rest) for rest, price in enumerate(PRICES))


def _how_many(rows: int, first: int, rest: int) -> int:
    return len(range(first + (rest - first) % len(PRICES), rows + 1, len(PRICES)))


def choice_sql(number: str, values: Iterable[str | int]) -> str:
    """One of the values by a number, in the SQL of both servers."""
    values = list(values)
    cases = " ".join(f"WHEN {place} THEN {value}" for place, value in enumerate(values))
    return f"CASE {number} % {len(values)} {cases} END"


def postgres(address: str) -> Postgres:
    """As the system's own program connects: sessions in UTC, in the schema of `?schema=`, which is made."""
    parts = urlsplit(address)
    schema = dict(parse_qsl(parts.query)).get("schema", "public")
    connection = psycopg.connect(
        parts._replace(query="").geturl(),
        autocommit=True,
        options=f"-c timezone=UTC -c client_min_messages=warning -c search_path={schema}",
    )
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}".encode())
    return connection


def mysql(address: str) -> MySQL:
    """As the system's own program connects: no strict mode, so zero dates and empty labels are taken."""
    parts = urlsplit(address)
    return pymysql.connect(
        host=parts.hostname or "127.0.0.1", port=parts.port or 3306, user=unquote(parts.username or ""),
        password=unquote(parts.password or ""), database=parts.path.strip("/"), charset="utf8mb4", autocommit=True,
        init_command="SET SESSION sql_mode = '', time_zone = '+00:00'",
    )  # fmt: skip


def run(connection: Postgres, *statements: str) -> None:
    for statement in statements:
        connection.execute(statement.encode())


def insert(connection: Postgres, table: str, rows: list[dict[str, Any]], *, overriding: bool = False) -> None:
    """Rows by column name, each with its own columns; quoted as Prisma and Drizzle quote."""
    for row in rows:
        columns = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join(["%s"] * len(row))
        over = "OVERRIDING SYSTEM VALUE " if overriding else ""
        connection.execute(f'INSERT INTO "{table}" ({columns}) {over}VALUES ({marks})'.encode(), list(row.values()))


def catch_up(connection: Postgres, *tables: str) -> None:
    """Have the keys of tables with numbers go on after those that were given."""
    for table in tables:
        connection.execute(
            f"SELECT setval(pg_get_serial_sequence('\"{table}\"', 'id'), (SELECT max(id) FROM \"{table}\"))".encode()
        )


PRISMA_MIGRATIONS = """
CREATE TABLE "_prisma_migrations" (
    id varchar(36) PRIMARY KEY NOT NULL, checksum varchar(64) NOT NULL, finished_at timestamptz,
    migration_name varchar(255) NOT NULL, logs text, rolled_back_at timestamptz,
    started_at timestamptz NOT NULL DEFAULT now(), applied_steps_count integer NOT NULL DEFAULT 0
)
"""
DRIZZLE_MIGRATIONS = (
    "CREATE SCHEMA IF NOT EXISTS drizzle",
    "CREATE TABLE drizzle.__drizzle_migrations (id serial PRIMARY KEY, hash text NOT NULL, created_at bigint)",
)


def note_prisma_migrations(connection: Postgres, *names: str) -> None:
    run(connection, PRISMA_MIGRATIONS)
    for name in names:
        connection.execute(
            'INSERT INTO "_prisma_migrations" (id, checksum, finished_at, migration_name, started_at, '
            "applied_steps_count) VALUES (md5(%(name)s)::uuid::text, md5(%(name)s) || md5(%(name)s), "
            "'2023-01-01 10:00+00', %(name)s, '2023-01-01 09:59+00', 1)",
            {"name": name},
        )


def note_drizzle_migrations(connection: Postgres, *names: str) -> None:
    run(connection, *DRIZZLE_MIGRATIONS)
    for number, name in enumerate(names):
        connection.execute(
            "INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES (repeat(md5(%s), 2), %s)",
            [name, 1_672_531_200_000 + number * 86_400_000],
        )
