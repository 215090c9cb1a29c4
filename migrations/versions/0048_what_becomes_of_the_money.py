"""A refund says whether its appointment ends with it; money of a canceled one waits for a decision, or was kept.

Locks: ACCESS EXCLUSIVE on refunds and payments for changes of the catalogue. Indexes are built beside the traffic.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

OF = {
    "refunds": (Column("ends_appointment", "boolean"), Column("tells_client", "boolean")),
    "payments": (
        Column("undecided_since", "timestamptz"),
        Column("kept_amount", "bigint"),
        Column("kept_at", "timestamptz"),
        Column("kept_by", "varchar"),
        Column("kept_reason", "varchar"),
    ),
}
UNDECIDED = "ix_payments_undecided_since"
# Nobody was asked before: whatever still lies here of what was canceled is put on the list.
SO_FAR = """
UPDATE payments p SET undecided_since = coalesce(off.canceled_at, p.updated_at)
  FROM (SELECT 'booking' AS kind, id, canceled_at FROM bookings WHERE status = 'canceled'
        UNION ALL SELECT 'meeting', id, canceled_at FROM meetings WHERE status = 'canceled') off
 WHERE off.id = CASE off.kind WHEN 'booking' THEN p.booking_id ELSE p.meeting_id END
   AND p.captured_amount > p.reserved_amount AND p.undecided_since IS NULL AND p.kept_at IS NULL AND {rows}
"""


def upgrade() -> None:
    for table, columns in OF.items():
        retired.add_columns(table, revision, *columns)
    ops.add_check("payments", "kept_together", "num_nulls(kept_amount, kept_at, kept_by, kept_reason) IN (0, 4)")
    ops.create_index(UNDECIDED, "payments", "undecided_since, id", where="undecided_since IS NOT NULL")
    ops.create_index("ix_payments_kept", "payments", "created_at, id", where="kept_at IS NOT NULL")
    fill()


def fill() -> None:
    """What is decided stays as it is, so that this can be run again."""
    if ops.offline():
        ops.execute(SO_FAR.format(rows="true"))
        return
    after = 0
    while True:
        ((last,),) = ops.rows(
            f"SELECT max(id) FROM (SELECT id FROM payments WHERE id > :after ORDER BY id LIMIT {ops.BATCH}) AS batch",
            after=after,
        )
        if last is None:
            return
        ops.execute(SO_FAR.format(rows=f"p.id > {after} AND p.id <= {last}"))
        after = last


def downgrade() -> None:
    for table, columns in OF.items():
        retired.retire_columns(table, revision, [column.name for column in columns])
