"""The tables of the earlier system as revision 0001 found them, so that the way back ends where it began.

What is noted before the first change stays with Alembic's own table, as its comment: which of our tables were there,
and their columns. A downgrade to base leaves those in their place, with their types, defaults and requirements; what
Backdesk added goes to `retired` as everything else does, and tables that it made go there whole.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.exc import DBAPIError

from migrations import ops, refusing, retired, running
from migrations.needs import Column

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


def forget() -> None:
    if not running.offline():
        running.execute("COMMENT ON TABLE public.alembic_version IS NULL")


def give_back(table: str, columns: Columns, *, key: str) -> None:
    """The table as it was found; what cannot be so again without a loss stays as it is, and that is said."""
    retired.retire_columns(table, "0001", [name for name in ops.columns_of(table) if name not in columns], key=key)
    for name, there in ops.columns_of(table).items():
        was = columns[name]
        try:
            _as_it_was(table, name, there, was)
        except (DBAPIError, running.MigrationRefused) as problem:
            reason = str(getattr(problem, "orig", problem)).partition("\n")[0]
            running.log.warning("  %s.%s stays %s and was %s: %s", table, name, there.type, was["type"], reason)


def _columns(table: str) -> dict[str, dict[str, Any]]:
    return {
        name: {"type": each.type, "default": each.default, "required": each.required}
        for name, each in ops.columns_of(table).items()
    }


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
