"""Indexes for the list of guests: by part of the address, and those whose registration failed.

Locks: none that readers or writers wait for.
"""

from migrations import ops

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ops.create_index("ix_guests_unregistered", "guests", "created_at, id", where="workos_user_id IS NULL")
    ops.create_index("ix_guests_email_trgm", "guests", "lower(email::text) gin_trgm_ops", using="gin")


def downgrade() -> None:
    ops.drop_index("ix_guests_email_trgm")
    ops.drop_index("ix_guests_unregistered")
