"""The indexes of a table that is filled for the first time: taken away and made again within one transaction.

Nobody ever sees the table without them: whatever ends the transaction, its indexes are there. A million rows sorted
once take a fraction of a million rows put in their place one by one.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from admin_app.context import Ctx
from admin_app.services.move_in import sql
from admin_app.services.move_in.staging import driver, number, run

# The server's own memory, for each index while it is made.
MEMORY = "128MB"
# What other tables' foreign keys stand on stays, and what says more than its definition does.
_FOUND = """
SELECT 'ALTER TABLE {table} DROP CONSTRAINT ' || quote_ident(c.conname),
       'ALTER TABLE {table} ADD CONSTRAINT ' || quote_ident(c.conname) || ' ' || pg_get_constraintdef(c.oid),
       c.contype = 'f' AS is_reference, c.conname AS name
  FROM pg_constraint c LEFT JOIN pg_index i ON i.indexrelid = c.conindid AND c.contype <> 'f'
 WHERE c.conrelid = '{table}'::regclass AND c.contype IN ('p', 'u', 'x', 'f') AND c.convalidated
   AND NOT (c.contype = 'p' AND '{table}' <> 'moved_rows')
   AND NOT EXISTS (SELECT FROM pg_constraint f
                    WHERE f.contype = 'f' AND f.confrelid = c.conrelid AND f.conindid = c.conindid)
   AND obj_description(c.oid, 'pg_constraint') IS NULL
   AND (i.indexrelid IS NULL OR (i.indisvalid AND NOT i.indisclustered AND NOT i.indisreplident
        AND obj_description(i.indexrelid, 'pg_class') IS NULL))
UNION ALL
SELECT 'DROP INDEX ' || i.indexrelid::regclass, pg_get_indexdef(i.indexrelid), false, i.indexrelid::regclass::text
  FROM pg_index i
 WHERE i.indrelid = '{table}'::regclass AND i.indisvalid AND NOT i.indisclustered AND NOT i.indisreplident
   AND obj_description(i.indexrelid, 'pg_class') IS NULL
   AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
 ORDER BY 3, 4
"""
_OTHERS = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL
   AND coalesce(backend_type, 'client backend') = 'client backend' AND application_name <> 'backdesk-legacy'
"""


def is_alone(ctx: Ctx) -> bool:
    """Whether nobody else is at this database: no web server, worker or person."""
    return not number(ctx, _OTHERS)


def may_be_set_aside(ctx: Ctx, table: str) -> bool:
    """Whether the table is empty, ours to change, and nobody else is at this database: they would have to wait."""
    allowed = (
        f"SELECT (pg_has_role(relowner, 'USAGE') AND has_schema_privilege(relnamespace, 'CREATE'))::int "
        f"FROM pg_class WHERE oid = '{table}'::regclass"
    )
    return (
        bool(number(ctx, allowed))
        and is_alone(ctx)
        and not number(ctx, f"SELECT count(*) FROM (SELECT FROM {table} LIMIT 1) t")
    )


def locked_to_set_aside(ctx: Ctx, table: str) -> bool:
    """The same, with the table locked until the transaction's end; never waits for anybody."""
    try:
        with driver(ctx.session).transaction():
            run(ctx, f"LOCK TABLE {table}, moved_rows IN ACCESS EXCLUSIVE MODE NOWAIT")
    except psycopg.errors.LockNotAvailable:
        return False
    return may_be_set_aside(ctx, table)


@contextmanager
def set_aside(ctx: Ctx, table: str) -> Iterator[None]:
    """For the time of the block the table has no indexes, unique or other, and refers to nothing, but for its key."""
    found = run(ctx, _FOUND.format(table=table)).fetchall()
    for drop, _, _, _ in reversed(found):
        run(ctx, drop)
    yield
    run(ctx, f"SET LOCAL maintenance_work_mem = {sql.value(MEMORY)}")
    for _, make, _, _ in found:
        run(ctx, make)
