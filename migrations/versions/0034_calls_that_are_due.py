"""An index by which the calls that are to be made or asked about again are found among all the others.

Locks: none that readers or writers wait for.
"""

from migrations import ops

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ops.create_index(
        "ix_provider_calls_next_try_at", "provider_calls", "next_try_at, id", where="next_try_at IS NOT NULL"
    )


def downgrade() -> None:
    ops.drop_index("ix_provider_calls_next_try_at")
