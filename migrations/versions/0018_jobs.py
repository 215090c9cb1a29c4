"""The queue: procrastinate 3.10's own schema, kept beside this revision so that it never changes under it.

Locks: none on what exists. The statements are procrastinate's, made repeatable (IF NOT EXISTS, OR REPLACE).
"""

from pathlib import Path

from migrations import ops

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

SCHEMA = Path(__file__).with_suffix(".sql")
# Every table, function and type of the queue from one schema to the other; a table takes its triggers along.
MOVE = r"""
CREATE SCHEMA IF NOT EXISTS retired;
DO $$
DECLARE change text;
BEGIN
    FOR change IN
        SELECT format('ALTER TABLE %s SET SCHEMA {target}', oid::regclass) FROM pg_class
         WHERE relnamespace = to_regnamespace('{source}') AND relkind = 'r' AND relname LIKE 'procrastinate\_%'
        UNION ALL
        SELECT format('ALTER FUNCTION %s SET SCHEMA {target}', oid::regprocedure) FROM pg_proc
         WHERE pronamespace = to_regnamespace('{source}') AND proname LIKE 'procrastinate\_%'
        UNION ALL
        SELECT format('ALTER TYPE %s SET SCHEMA {target}', t.oid::regtype) FROM pg_type t
          LEFT JOIN pg_class c ON c.oid = t.typrelid
         WHERE typnamespace = to_regnamespace('{source}') AND typname LIKE 'procrastinate\_%'
           AND (typtype = 'e' OR c.relkind = 'c')
    LOOP
        EXECUTE change;
    END LOOP;
END $$;
"""


def upgrade() -> None:
    if ops.has_table("procrastinate_jobs", "retired"):
        ops.execute(MOVE.format(source="retired", target="public"))
    ops.execute(SCHEMA.read_text())


def downgrade() -> None:
    ops.execute(MOVE.format(source="public", target="retired"))
