"""An event that is parked says which record of ours, or moment, it waits for; who said whether anybody came is kept.

A client may be known by a telephone number alone.

What was parked because several people share one Calendly event goes on now: each of them is an attendee.

Locks: ACCESS EXCLUSIVE on webhook_events and bookings for changes of the catalogue.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None

WAITS_FOR = (Column("waits_for", "varchar"), Column("again_at", "timestamptz"))
ATTENDANCE_BY = Column("attendance_by", "varchar")
# Received and without a job: whoever looks for lost events gives them one.
RELEASE = """
UPDATE webhook_events SET state = 'received', parked_because = NULL, version = version + 1
 WHERE state = 'parked' AND provider = 'calendly' AND parked_because = 'event_shared'
"""
NO_ADDRESS = "''"


def upgrade() -> None:
    retired.add_columns("webhook_events", revision, *WAITS_FOR)
    ops.create_index(
        "ix_webhook_events_waits_for",
        "webhook_events",
        "waits_for, id",
        where="waits_for IS NOT NULL AND state = 'parked'",
    )
    ops.execute(RELEASE)
    retired.add_columns("bookings", revision, ATTENDANCE_BY)
    ops.ensure_columns("bookings", Column("client_email", "citext"))
    ops.execute(f"UPDATE bookings SET client_email = NULL WHERE client_email = {NO_ADDRESS}")


def downgrade() -> None:
    """Earlier code knows no booking without an address: it gets an empty one, to which nothing can be sent."""
    retired.retire_columns("bookings", revision, ["attendance_by"])
    ops.set_required("bookings", "client_email", NO_ADDRESS)
    ops.drop_index("ix_webhook_events_waits_for")
    retired.retire_columns("webhook_events", revision, ["waits_for", "again_at"])
