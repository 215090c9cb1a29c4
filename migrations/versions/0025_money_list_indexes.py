"""Indexes for the lists of refunds by origin and of provider calls with the unknown ones first.

Locks: none that readers or writers wait for.
"""

from migrations import ops

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ops.create_index("ix_refunds_origin", "refunds", "origin, created_at, id")
    ops.create_index("ix_provider_calls_state_id", "provider_calls", "state, id")


def downgrade() -> None:
    ops.drop_index("ix_refunds_origin")
    ops.drop_index("ix_provider_calls_state_id")
