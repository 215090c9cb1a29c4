"""The tables of the earlier system as revision 0001 found them, so that the way back ends where it began.

What is noted before the first change stays with Alembic's own table, as its comment: which of our tables were there,
and their columns, those included that only later revisions would have added. A downgrade leaves those in their place,
at base with their types, defaults and requirements too (migrations/retired.py); what Backdesk added goes to `retired`
as everything else does, and tables that it made go there whole.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from migrations import ops, running

BEGINS = "Backdesk found: "
NOTED = "SELECT obj_description(to_regclass('public.alembic_version'), 'pg_class')"
Columns = Mapping[str, Mapping[str, Any]]


def remember(tables: Iterable[str]) -> None:
    """Once, before the first of them is made or changed; a run that comes again finds its own work and not this."""
    if running.offline() or recall() is not None:
        return
    found = {table: columns for table in tables if (columns := _columns(table))}
    noted = json.dumps(found).replace("'", "''")
    running.execute(f"COMMENT ON TABLE public.alembic_version IS '{BEGINS}{noted}'")


def recall() -> Mapping[str, Columns] | None:
    """None where nothing was noted: then everything is taken for our own."""
    noted = running.rows(NOTED)
    text = str(noted[0][0] or "") if noted else ""
    found: Mapping[str, Columns] | None = json.loads(text[len(BEGINS) :]) if text.startswith(BEGINS) else None
    return found


def columns(table: str) -> Columns:
    """The columns of a table that were there before us; none where the table was not."""
    return (recall() or {}).get(table, {})


def forget() -> None:
    if not running.offline():
        running.execute("COMMENT ON TABLE public.alembic_version IS NULL")


def _columns(table: str) -> dict[str, dict[str, Any]]:
    return {
        name: {"type": each.type, "default": each.default, "required": each.required}
        for name, each in ops.columns_of(table).items()
    }
