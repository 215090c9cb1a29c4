"""An index by which the few memberships that are ignored are found among all the others, the newest first.

Locks: none that readers or writers wait for.
"""

from migrations import ops

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ops.create_index("ix_memberships_ignored", "memberships", "created_at, id", where="ignored_at IS NOT NULL")


def downgrade() -> None:
    ops.drop_index("ix_memberships_ignored")
