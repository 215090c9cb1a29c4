"""Extensions for search (pg_trgm), for bookings that may not overlap (btree_gist), for e-mails (citext).

Locks: none on any table. A downgrade leaves them: an extension takes nothing away from earlier code, and a kept
column may be of its type.
"""

from migrations import ops

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("pg_trgm", "btree_gist", "citext"):
        ops.create_extension(name)


def downgrade() -> None:
    pass
