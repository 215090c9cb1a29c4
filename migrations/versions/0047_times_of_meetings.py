"""The time that a practitioner's meetings take is found by an index, as that of the bookings is.

Locks: none that readers or writers wait for.
"""

from migrations import ops

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ops.create_index(
        "ix_meetings_times",
        "meetings",
        "practitioner_id, tstzrange(starts_at, ends_at)",
        using="gist",
        where="status IN ('pending', 'confirmed')",
    )


def downgrade() -> None:
    ops.drop_index("ix_meetings_times")
