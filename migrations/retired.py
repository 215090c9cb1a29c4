"""A downgrade takes away, but throws nothing away.

What it removes moves to the schema `retired`, where earlier code does not see it; the upgrade brings it back.
Whoever is sure not to come back says `DROP SCHEMA retired CASCADE`.
"""

from collections.abc import Sequence

from migrations import ops
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
        names = [name for name in ops.columns_of(kept, "retired") if name != key]
        # What is back is kept no more, so that a run that was cut off brings nothing back twice.
        batch = (
            f"WITH back AS (DELETE FROM retired.{kept} WHERE ctid = ANY (ARRAY("
            f"SELECT ctid FROM retired.{kept} LIMIT {ops.BATCH})) RETURNING *) "
            f"UPDATE {table} SET {', '.join(f'{name} = back.{name}' for name in names)} "
            f"FROM back WHERE back.{key} = {table}.{key}"
        )
        while ops.found(f"SELECT FROM retired.{kept} LIMIT 1"):
            ops.execute(batch)
        ops.execute(f"DROP TABLE retired.{kept}")


def retire_columns(table: str, revision: str, names: Sequence[str], *, key: str = "id") -> None:
    """Copy the columns away and drop them. Writers wait while this copies: a downgrade is no daily work."""
    there = [name for name in names if ops.offline() or name in ops.columns_of(table)]
    if not there:
        return
    dropped = ", ".join(f"DROP COLUMN {name}" for name in there)
    with ops.unhurried():
        ops.execute(
            f"{MAKE_SCHEMA}LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE; "
            f"CREATE TABLE retired.{table}_{revision} AS SELECT {', '.join([key, *there])} FROM {table}; "
            f"ALTER TABLE {table} {dropped}"
        )
