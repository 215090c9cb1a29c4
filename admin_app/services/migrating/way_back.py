"""What going back to an earlier revision keeps aside in the schema `retired`, and what it takes away."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from alembic.script import Script
from sqlalchemy import Connection

from admin_app.services.migrating import catalogue, planning, revisions
from admin_app.services.migrating.catalogue import Catalogue
from migrations.needs import Statement

KEPT_TABLE = re.compile(r"ALTER TABLE (?:public\.)?(\w+) SET SCHEMA retired")
KEPT_TYPE = re.compile(r"ALTER TYPE (?:public\.)?(\w+) SET SCHEMA retired")
KEPT_COLUMNS = re.compile(
    r"CREATE TABLE (?:IF NOT EXISTS )?retired\.(\w+) AS SELECT (.+?) FROM (?:public\.)?(\w+)", re.DOTALL
)
DROPPED_IN = re.compile(r"ALTER TABLE (?:IF EXISTS )?(?:public\.)?(\w+)\s([^;]*)")
DROPPED_COLUMN = re.compile(r"DROP COLUMN (?:IF EXISTS )?(\w+)")
DROPPED_TABLE = re.compile(r"DROP TABLE (?:IF EXISTS )?(?:public\.)?(\w+)\b(?!\.)")
DELETED = re.compile(r"\bDELETE FROM (?:public\.)?(\w+)")
DROPPED_RULE = re.compile(r"DROP (INDEX|CONSTRAINT|TRIGGER)\b")


@dataclass(frozen=True)
class Undone:
    """One revision that is taken back: what stays in `retired`, and what goes."""

    revision: str
    idea: str
    kept: tuple[str, ...]
    gone: tuple[str, ...]


@dataclass(frozen=True)
class WayBack:
    """From where, and by which steps, newest first; `refused` is why there is no way, None when there is one."""

    place: revisions.Place
    steps: tuple[Undone, ...]
    refused: str | None


def look(connection: Connection, to: str) -> WayBack:
    """The way from where the database is; `refused` says why it is barred. Raises UnknownRevision."""
    where = revisions.place(connection)
    scripts = revisions.to_undo(where.revision, to)
    there = catalogue.read(connection)
    barred = [script.revision for script in scripts if _has_no_way(script)]
    if barred:
        last = barred[0]
        return WayBack(where, (), f"Revision {last} cannot be taken back: restore a backup to get before it.")
    steps = tuple(_undone(connection, script, there) for script in scripts)
    refused, _ = planning.asked(connection, scripts, up=False)
    return WayBack(where, steps, refused)


def _has_no_way(script: Script) -> bool:
    try:
        planning.needs(script, up=False)
    except NotImplementedError:
        return True
    return False


def _undone(connection: Connection, script: Script, there: Catalogue) -> Undone:
    statements = [need.sql for need in planning.needs(script, up=False) if isinstance(need, Statement)]
    kept = tuple(dict.fromkeys(_kept(connection, statements, there)))
    gone = tuple(dict.fromkeys(_gone(statements, there)))
    return Undone(script.revision, revisions.idea(script), kept, gone)


def _kept(connection: Connection, statements: Iterable[str], there: Catalogue) -> Iterator[str]:
    for sql in statements:
        for table in KEPT_TABLE.findall(sql):
            if table in there.tables:
                yield f"the table {table} with its {planning.rows(connection, table):,} rows"
        for name in KEPT_TYPE.findall(sql):
            if name in there.labels:
                yield f"the type {name}"
        for _, columns, table in KEPT_COLUMNS.findall(sql):
            if table in there.tables:
                # The first one is the key, by which they come back.
                named = [name for name in re.findall(r"\w+", columns)[1:] if there.has(table, name)]
                yield f"of {table}: {', '.join(named)}"


def _gone(statements: Iterable[str], there: Catalogue) -> Iterator[str]:
    for sql in statements:
        kept = {
            (table, name) for _, columns, table in KEPT_COLUMNS.findall(sql) for name in re.findall(r"\w+", columns)
        }
        for table, actions in DROPPED_IN.findall(sql):
            for name in DROPPED_COLUMN.findall(actions):
                if there.has(table, name) and (table, name) not in kept:
                    yield f"the column {table}.{name}"
        for table in DROPPED_TABLE.findall(sql):
            if table in there.tables:
                yield f"the table {table}"
        for table in DELETED.findall(sql):
            if table in there.tables:
                yield f"rows of {table}"
        for kind in DROPPED_RULE.findall(sql):
            yield {"INDEX": "indexes", "CONSTRAINT": "rules and keys", "TRIGGER": "triggers"}[kind]
