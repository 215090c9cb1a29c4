"""How PostgreSQL reads the tables that grow for a statement: its plan, and how many rows each step read."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from tests.plans.grown import GROWING
from tests.plans.recorder import Statement

# A page of a sweep and what surrounds it. Whatever reads more of a table reads ever more as it grows.
MOST_ROWS = 1_000
CHANGES = ("INSERT ", "UPDATE ", "DELETE ")


def complaints(
    connection: sa.Connection,
    statement: Statement,
    *,
    growing: frozenset[str] = GROWING,
    most_rows: float = MOST_ROWS,
) -> list[str]:
    """What is wrong with how the statement reads these tables, for any of its values; nothing is changed."""
    found: list[str] = []
    for values in statement.values:
        with connection.begin() as transaction:
            for name, value in statement.settings.items():
                connection.execute(sa.select(sa.func.set_config(name, value, True)))
            steps = _steps(_plan(connection, statement.text, values))
            found += [_sentence(step) for step in steps if _reads_all(step, growing, most_rows)]
            transaction.rollback()
    return sorted(set(found))


def _plan(connection: sa.Connection, text: str, values: Any) -> dict[str, Any]:
    """What only reads is carried out, so that the rows are counted and not guessed."""
    options = "FORMAT JSON" if any(word in text.upper() for word in CHANGES) else "ANALYZE, TIMING OFF, FORMAT JSON"
    answer = connection.exec_driver_sql(f"EXPLAIN ({options}) {text}", values or None).scalar_one()
    plan: dict[str, Any] = answer[0]["Plan"]
    return plan


def _steps(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield step
    for inner in step.get("Plans", ()):
        yield from _steps(inner)


def _reads_all(step: dict[str, Any], growing: frozenset[str], most_rows: float) -> bool:
    if step.get("Relation Name") not in growing:
        return False
    return (step["Node Type"] == "Seq Scan" and step.get("Actual Loops") != 0) or rows_read(step) > most_rows


def rows_read(step: dict[str, Any]) -> int:
    """As many as were looked at, or as the planner believes there are where nothing was carried out."""
    if "Actual Rows" not in step:
        return int(step["Plan Rows"])
    left_out = sum(step.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck"))
    return int((step["Actual Rows"] + left_out) * step["Actual Loops"])


def _sentence(step: dict[str, Any]) -> str:
    where = step.get("Index Cond") or step.get("Recheck Cond") or step.get("Filter") or "no condition"
    return f"{step['Node Type']} on {step['Relation Name']} reads {rows_read(step):,} rows: {where}"
