"""Meetings know their guest: e-mail, name, and the person and organization at WorkOS.

Locks: meetings, ACCESS EXCLUSIVE, one change of the catalogue; the indexes are built beside the traffic.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

GUEST = (
    Column("guest_email", "text"),
    Column("guest_name", "varchar"),
    Column("guest_workos_user_id", "varchar"),
    Column("guest_org_id", "varchar"),
)


def upgrade() -> None:
    retired.add_columns("meetings", revision, *GUEST)
    ops.create_index("ix_meetings_guest_workos_user_id", "meetings", "guest_workos_user_id")
    ops.create_index("ix_meetings_guest_org_id", "meetings", "guest_org_id")


def downgrade() -> None:
    ops.drop_index("ix_meetings_guest_workos_user_id")
    ops.drop_index("ix_meetings_guest_org_id")
    retired.retire_columns("meetings", revision, [column.name for column in GUEST])
