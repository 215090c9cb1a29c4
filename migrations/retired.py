"""A downgrade takes away, but throws nothing away.

What it removes moves to the schema `retired`, where earlier code does not see it; the upgrade brings it back.
Whoever is sure not to come back says `DROP SCHEMA retired CASCADE`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.exc import DBAPIError

from migrations import found_before, ops, refusing, running
from migrations.ops import Column

MAKE_SCHEMA = "CREATE SCHEMA IF NOT EXISTS retired; "


def retire_table(table: str) -> None:
    if ops.offline() or ops.has_table(table):
        ops.execute(f"{MAKE_SCHEMA}ALTER TABLE {table} SET SCHEMA retired")


def retire_type(name: str) -> None:
    if ops.offline() or ops.found("SELECT WHERE to_regtype(:name) IS NOT NULL", name=f"public.{name}"):
        ops.execute(f"{MAKE_SCHEMA}ALTER TYPE {name} SET SCHEMA retired")


def add_columns(table: str, revision: str, *columns: Column, key: str = "id") -> None:
    """Make sure of the columns, and bring back what a downgrade of this revision kept of them."""
    ops.ensure_columns(table, *columns)
    bring_back(table, revision, key=key)


def bring_back(table: str, revision: str, *, key: str = "id") -> None:
    """What a downgrade of this revision kept, into columns that are there again."""
    kept = f"{table}_{revision}"
    if ops.has_table(kept, "retired"):
        # A name that was only there for earlier code does not come back where the table has the other one.
        names = [name for name in ops.columns_of(kept, "retired") if name != key and name in ops.columns_of(table)]
        filled = ", ".join(f"{name} = back.{name}" for name in names) or f"{key} = back.{key}"
        # What is back is kept no more, so that a run that was cut off brings nothing back twice.
        batch = (
            f"WITH back AS (DELETE FROM retired.{kept} WHERE ctid = ANY (ARRAY("
            f"SELECT ctid FROM retired.{kept} LIMIT {ops.BATCH})) RETURNING *) "
            f"UPDATE {table} SET {filled} "
            f"FROM back WHERE back.{key} = {table}.{key}"
        )
        while ops.found(f"SELECT FROM retired.{kept} LIMIT 1"):
            ops.execute(batch)
        ops.execute(f"DROP TABLE retired.{kept}")


def retire_columns(table: str, revision: str, names: Sequence[str], *, key: str = "id") -> None:
    """Copy the columns away and drop them, but those that were there before us; they lose our rules alone.

    Writers wait while this copies: a downgrade is no daily work.
    """
    before = found_before.columns(table)
    for name in [name for name in names if name in before]:
        ops.drop_constraint(table, f"uq_{table}_{name}")
    there = [name for name in names if ops.offline() or (name in ops.columns_of(table) and name not in before)]
    if not there:
        return
    dropped = ", ".join(f"DROP COLUMN {name}" for name in there)
    with ops.unhurried():
        ops.execute(
            f"{MAKE_SCHEMA}LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE; "
            f"CREATE TABLE retired.{table}_{revision} AS SELECT {', '.join([key, *there])} FROM {table}; "
            f"ALTER TABLE {table} {dropped}"
        )


def give_back(table: str, columns: found_before.Columns, *, key: str) -> None:
    """The table as it was found; what cannot be so again without a loss stays as it is, and that is said."""
    retire_columns(table, "0001", [name for name in ops.columns_of(table) if name not in columns], key=key)
    for name, there in ops.columns_of(table).items():
        was = columns[name]
        try:
            _as_it_was(table, name, there, was)
        except (DBAPIError, running.MigrationRefused) as problem:
            reason = str(getattr(problem, "orig", problem)).partition("\n")[0]
            running.log.warning("  %s.%s stays %s and was %s: %s", table, name, there.type, was["type"], reason)


def _as_it_was(table: str, name: str, there: Any, was: Mapping[str, Any]) -> None:
    if there.generated:
        return
    if there.type != was["type"]:
        ops.convert(table, Column(name, was["type"], was["default"]))
    elif there.default != was["default"]:
        ops.set_default(table, name, was["default"])
    if was["required"] and not there.required:
        ops.set_required(table, name)
    elif there.required and not was["required"] and not refusing.is_key(table, name):
        running.execute(f"ALTER TABLE {table} ALTER COLUMN {name} DROP NOT NULL")
