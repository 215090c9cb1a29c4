"""Whether an index or constraint that has the right name is the right one.

PostgreSQL writes a definition in its own way, which depends on the types of the columns. So what we need is made on an
empty copy of the table, in the session's temporary schema, and the two texts are compared. Casts and single brackets
do not count: a check made while the column was `text` says the same after it became `varchar(32)`.
"""

import re
from typing import Any

from migrations.running import MigrationRefused, found, rows, run_once

PROBE = "backdesk_probe"
INDEX = """
SELECT i.indrelid::regclass::text AS of_table, pg_get_indexdef(i.indexrelid) AS definition, i.indisvalid AS valid,
       EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x')) AS bound
  FROM pg_index i WHERE i.indexrelid = to_regclass(:name)
"""
CONSTRAINT = """
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = to_regclass(:table) AND conname = :name
"""


def index_fits(name: str, table: str, kind: str, rest: str) -> bool:
    """Whether a valid index of this name is there; one that says something else is to be built anew."""
    there: Any = next(iter(rows(INDEX, name=f"public.{name}")), None)
    if there is None:
        return False
    if there.of_table not in {table, f"public.{table}"} or there.bound:
        raise MigrationRefused(
            f"The name {name} is taken by what Backdesk does not need: {there.definition}. Rename it and run again."
        )
    if not there.valid:
        return False
    wanted = _made_on_a_copy(
        table, f"CREATE {kind} {PROBE}_1 ON pg_temp.{PROBE} {rest}", INDEX, 1, name=f"pg_temp.{PROBE}_1"
    )
    return _plain(_without_names(there.definition)) == _plain(_without_names(wanted))


def constraint_fits(table: str, name: str, definition: str) -> bool:
    """Whether the constraint is there; one of the name that says something else is refused."""
    there = constraint(table, name)
    if there is None:
        return False
    wanted = _made_on_a_copy(
        table,
        f"ALTER TABLE pg_temp.{PROBE} ADD CONSTRAINT {PROBE}_1 {definition}",
        CONSTRAINT,
        table=f"pg_temp.{PROBE}",
        name=f"{PROBE}_1",
    )
    refuse_unlike(table, name, there, wanted)
    return True


def constraint(table: str, name: str) -> str | None:
    """As PostgreSQL writes it, whether validated or not."""
    there = rows(CONSTRAINT, table=f"public.{table}", name=name)
    return str(there[0][0]).removesuffix(" NOT VALID") if there else None


def refuse_unlike(table: str, name: str, there: str, wanted: str) -> None:
    if _plain(there) != _plain(wanted):
        raise MigrationRefused(
            f"The constraint {name} of {table} says {there}, and Backdesk needs {wanted}. "
            "Drop it or give it another name, and run again."
        )


def _made_on_a_copy(table: str, statement: str, asked: str, column: int = 0, /, **values: str) -> str:
    if found("SELECT WHERE to_regclass(:name) IS NOT NULL", name=f"pg_temp.{PROBE}"):
        run_once(f"DROP TABLE pg_temp.{PROBE}")
    run_once(f"CREATE TEMPORARY TABLE {PROBE} (LIKE public.{table}); {statement}")
    (made,) = rows(asked, **values)
    run_once(f"DROP TABLE pg_temp.{PROBE}")
    return str(made[column])


def _without_names(index: str) -> str:
    return re.sub(r"INDEX \S+ ON (?:ONLY )?\S+ USING", "INDEX ON USING", index)


def _plain(definition: str) -> str:
    plain = re.sub(r"::[a-z_ ]+(?:\([\d,]+\))?(?:\[\])?", "", definition)
    before = ""
    while plain != before:
        before = plain
        plain = re.sub(r"(?<!\w)\(([\w.]+)\)", r"\1", re.sub(r"\(\(([^()]*)\)\)", r"(\1)", plain))
    return re.sub(r"\s+", "", plain)
