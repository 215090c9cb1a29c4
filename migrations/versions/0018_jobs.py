"""The queue: procrastinate 3.10's own schema, kept beside this revision so that it never changes under it.

Locks: none on what exists. The statements are procrastinate's, made repeatable (IF NOT EXISTS, OR REPLACE).
"""

from pathlib import Path

from migrations import ops, retired

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

SCHEMA = Path(__file__).with_suffix(".sql")
TABLES = ("procrastinate_jobs", "procrastinate_workers", "procrastinate_periodic_defers", "procrastinate_events")


def upgrade() -> None:
    for table in TABLES:
        if ops.has_table(table, "retired"):
            ops.execute(f"ALTER TABLE retired.{table} SET SCHEMA public")
    ops.execute(SCHEMA.read_text())


def downgrade() -> None:
    for table in TABLES:
        retired.retire_table(table)
