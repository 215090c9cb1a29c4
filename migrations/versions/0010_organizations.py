"""The organizations that guests belong to at WorkOS.

Locks: none on what exists.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ops.create_table(
        "organizations",
        Column("workos_id", "varchar", required=True),
        Column("name", "varchar", required=True),
        Column("kind", "varchar(32)", "'personal'", required=True),
        Column("created_at", "timestamptz", "now()", required=True),
    )
    ops.add_unique("organizations", "workos_id")
    ops.add_check("organizations", "kind", "kind IN ('personal', 'team')")


def downgrade() -> None:
    retired.retire_table("organizations")
