"""What is brought over from earlier systems: the runs, and each row with the record that it became.

Locks: none; the tables are new.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ops.create_table(
        "move_runs",
        Column("system", "varchar", required=True),
        Column("source", "varchar", required=True),
        Column("mapping", "varchar", required=True),
        Column("progress", "jsonb", "'{}'::jsonb", required=True),
        Column("started_at", "timestamptz", "now()", required=True),
        Column("finished_at", "timestamptz"),
    )
    ops.create_index("uq_move_runs_unfinished", "move_runs", "system", unique=True, where="finished_at IS NULL")
    ops.create_table(
        "moved_rows",
        Column("source_table", "varchar", required=True),
        Column("system", "varchar", required=True),
        Column("table_name", "varchar", required=True),
        Column("record", "varchar"),
        Column("told", "uuid", required=True),
        Column("kept", "uuid"),
        Column("left_because", "varchar"),
        Column("run_id", "bigint", required=True),
        key="source_key varchar",
        key_columns="source_key, table_name, system",
    )
    ops.add_check("moved_rows", "moved_or_left", "(record IS NULL) = (left_because IS NOT NULL)")
    ops.create_index("ix_moved_rows_record", "moved_rows", "table_name, record")
    ops.create_index("ix_moved_rows_left", "moved_rows", "system, table_name", where="left_because IS NOT NULL")
    ops.add_foreign_key("moved_rows", "run_id", "move_runs")


def downgrade() -> None:
    retired.retire_table("moved_rows")
    retired.retire_table("move_runs")
