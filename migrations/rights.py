"""Whether the user who migrates may do what the revisions need, asked before the first of them."""

import re
from collections.abc import Iterator, Sequence

from migrations import running
from migrations.needs import Columns, Need, Retyped, Statement, Table

EXTENSION = re.compile(r"CREATE EXTENSION IF NOT EXISTS (\w+)")
OTHERS_TABLES = """
SELECT c.relname AS name, pg_get_userbyid(c.relowner) AS owner FROM pg_class c
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname = ANY (:names)
   AND NOT pg_has_role(c.relowner, 'USAGE') ORDER BY 1
"""
# Row level security that binds the owner too: rows that nobody sees are neither looked at nor filled.
HIDDEN = """
SELECT c.relname AS name FROM pg_class c, pg_roles r
 WHERE c.relnamespace = 'public'::regnamespace AND c.relforcerowsecurity AND c.relname = ANY (:names)
   AND r.rolname = current_user AND NOT r.rolsuper AND NOT r.rolbypassrls ORDER BY 1
"""
MAY_CREATE = """
SELECT current_user AS user, has_schema_privilege('public', 'CREATE') AS tables,
       has_database_privilege(current_database(), 'CREATE') AS extensions, current_database() AS database
"""
EXTENSIONS = """
SELECT a.name, x.extname IS NOT NULL AS there, n.nspname = ANY (current_schemas(true)) AS seen, n.nspname AS schema
  FROM unnest(CAST(:names AS text[])) wanted (name) LEFT JOIN pg_available_extensions a ON a.name = wanted.name
  LEFT JOIN pg_extension x ON x.extname = wanted.name LEFT JOIN pg_namespace n ON n.oid = x.extnamespace
 WHERE wanted.name = :name
"""


def missing(noted: Sequence[Need]) -> Iterator[str]:
    """A sentence for each right that the user lacks."""
    (may,) = running.rows(MAY_CREATE)
    if not may.tables and any(isinstance(need, Table) for need in noted):
        yield f"{may.user} may not make tables: GRANT CREATE ON SCHEMA public TO {may.user}, as an administrator."
    names = {need.name if isinstance(need, Table) else need.table for need in noted
             if isinstance(need, Table | Columns | Retyped)}  # fmt: skip
    for table in running.rows(OTHERS_TABLES, names=[*names]):
        yield f"The table {table.name} belongs to {table.owner}, not to {may.user}: migrate as its owner."
    for table in running.rows(HIDDEN, names=[*names]):
        yield (
            f"{table.name} may hide rows from {may.user} (FORCE ROW LEVEL SECURITY): ALTER TABLE {table.name} "
            "NO FORCE ROW LEVEL SECURITY, for the time of the migration."
        )
    wanted = [name for need in noted if isinstance(need, Statement) for name in EXTENSION.findall(need.sql)]
    for name in dict.fromkeys(wanted):
        found = running.rows(EXTENSIONS, names=wanted, name=name)
        there = found[0] if found else None
        if there is None or (there.name is None and not there.there):
            yield f"The server does not have the extension {name}: install PostgreSQL's contrib package there."
        elif not there.there and not may.extensions:
            yield (
                f"{may.user} may not make the extension {name}: GRANT CREATE ON DATABASE {may.database} TO {may.user}, "
                "as an administrator."
            )
        elif there.there and not there.seen:
            yield (
                f"The extension {name} is in the schema {there.schema}, outside the search path: "
                f"ALTER EXTENSION {name} SET SCHEMA public, or put {there.schema} into the search path after public."
            )
