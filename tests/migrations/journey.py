"""A database on its way through the revisions, and what can be seen in it."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg.rows import dict_row

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


def configuration(url: str = "") -> Config:
    config = Config(MIGRATIONS / "alembic.ini", stdout=io.StringIO())
    config.attributes["database_url"] = url
    return config


SCRIPTS = ScriptDirectory.from_config(configuration())
REVISIONS = [script.revision for script in reversed(list(SCRIPTS.walk_revisions()))]

COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
"""
CONSTRAINTS = """
SELECT c.conrelid::regclass::text, pg_get_constraintdef(c.oid), c.convalidated
  FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
 WHERE t.relnamespace = 'public'::regnamespace AND c.contype <> 'n'
"""
INDEXES = """
SELECT regexp_replace(pg_get_indexdef(i.indexrelid), 'INDEX \\S+ ON', 'INDEX ON'), i.indisvalid
  FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid WHERE t.relnamespace = 'public'::regnamespace
"""
TRIGGERS = """
SELECT pg_get_triggerdef(g.oid) FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid
 WHERE NOT g.tgisinternal AND t.relnamespace = 'public'::regnamespace
"""
FUNCTIONS_AND_TYPES = """
SELECT kind, name FROM (
    SELECT 'function' AS kind, p.oid::regprocedure::text AS name, p.oid, 'pg_proc'::regclass AS of
      FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'type', t.oid::regtype::text, t.oid, 'pg_type'::regclass
      FROM pg_type t WHERE t.typnamespace = 'public'::regnamespace AND t.typtype = 'e'
) made WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = made.oid AND d.classid = made.of AND d.deptype = 'e')
"""


class Journey:
    def __init__(self, url: str) -> None:
        self.url = url
        self.config = configuration(url)

    def up(self, revision: str = "head") -> None:
        command.upgrade(self.config, revision)

    def down(self, revision: str) -> None:
        command.downgrade(self.config, revision)

    def claim_to_be_at(self, revision: str) -> None:
        """Set the note of the revision back, as if what came after it had been done by hand."""
        self.run(f"UPDATE alembic_version SET version_num = '{revision}'")

    def check_drift(self) -> None:
        command.check(self.config)

    @contextmanager
    def connection(self, **options: Any) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(self.url, row_factory=dict_row, **options) as connection:
            yield connection

    @cached_property
    def _watch(self) -> psycopg.Connection[Any]:
        """Between statements it holds no snapshot and no lock, so that no migration waits for it."""
        return psycopg.connect(self.url, row_factory=dict_row, autocommit=True, prepare_threshold=None)

    def close(self) -> None:
        self._watch.close()

    def run(self, sql: str) -> None:
        self._watch.execute(sql.encode())

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return self._watch.execute(sql.encode()).fetchall()

    def value(self, sql: str) -> Any:
        (row,) = self.rows(sql)
        (value,) = row.values()
        return value

    def schema(self) -> dict[str, set[tuple[Any, ...]]]:
        """What is defined in the public schema, but for the names of indexes and constraints and columns' order."""
        parts = {"columns": COLUMNS, "constraints": CONSTRAINTS, "indexes": INDEXES, "triggers": TRIGGERS}
        parts["functions and types"] = FUNCTIONS_AND_TYPES
        return {part: {tuple(row.values()) for row in self.rows(sql)} for part, sql in parts.items()}

    def data(self) -> dict[str, list[str]]:
        """Every row of every table, as text that does not depend on the order of rows or columns."""
        tables = self.rows(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
            "AND relname <> 'alembic_version' ORDER BY 1"
        )
        names = [table["relname"] for table in tables]
        shown = " UNION ALL ".join(
            f"SELECT '{name}' AS place, to_jsonb(t)::text AS shown FROM \"{name}\" t" for name in names
        )
        found: dict[str, list[str]] = {name: [] for name in names}
        for row in self.rows(f"{shown} ORDER BY 1, 2") if names else []:
            found[row["place"]].append(row["shown"])
        return found


def earlier(revision: str) -> str:
    place = REVISIONS.index(revision)
    return REVISIONS[place - 1] if place else "base"


def first_difference(one: dict[str, Any], other: dict[str, Any]) -> Sequence[str]:
    """For a readable failure: the parts that differ, with what only one side has."""
    return [
        f"{part}: -{sorted(map(str, set(one.get(part, [])) - set(other.get(part, []))))[:5]} "
        f"+{sorted(map(str, set(other.get(part, [])) - set(one.get(part, []))))[:5]}"
        for part in sorted(one.keys() | other.keys())
        if set(one.get(part, [])) != set(other.get(part, []))
    ]
