"""Where a booking came from, why it ended, and which events and mails it had.

Locks: per table, ACCESS EXCLUSIVE for one change of the catalogue; SHARE ROW EXCLUSIVE on bookings and meetings for
the moments in which the foreign keys are noted. Indexes are built concurrently.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

ENDED = (
    Column("canceled_because", "varchar(32)"),
    Column("canceled_at", "timestamptz"),
    Column("reminded_at", "timestamptz"),
)
ABOUT = (Column("booking_id", "bigint"), Column("meeting_id", "bigint"))
ADDED = {
    "bookings": (
        Column("source", "varchar(32)", "'website'", required=True),
        Column("client_time_zone", "varchar"),
        *ENDED,
    ),
    "meetings": (Column("hold_expires_at", "timestamptz"), Column("guest_time_zone", "varchar"), *ENDED),
    "webhook_events": ABOUT,
    "sent_emails": (*ABOUT, Column("calendar_body", "varchar"), Column("once_key", "varchar")),
}
REASONS = "canceled_because IN ('never_paid', 'payment_failed', 'by_staff', 'by_client', 'by_practitioner')"
HELD = "status = 'pending'"


def upgrade() -> None:
    for table, columns in ADDED.items():
        retired.add_columns(table, revision, *columns)
    ops.add_check("bookings", "source", "source IN ('website', 'calendly', 'calcom')")
    for table in ("bookings", "meetings"):
        ops.add_check(table, "canceled_because", REASONS)
        ops.create_index(f"ix_{table}_hold_expires_at", table, "hold_expires_at", where=HELD)
    for table in ("webhook_events", "sent_emails"):
        ops.add_foreign_key(table, "booking_id", "bookings", on_delete="SET NULL")
        ops.add_foreign_key(table, "meeting_id", "meetings", on_delete="SET NULL")
    for column in ("booking_id", "meeting_id"):
        ops.create_index(f"ix_sent_emails_{column}", "sent_emails", column)
        ops.create_index(f"ix_webhook_events_{column}", "webhook_events", column, where=f"{column} IS NOT NULL")
    ops.add_unique("sent_emails", "once_key")


def downgrade() -> None:
    ops.drop_index("ix_bookings_hold_expires_at")
    for table, columns in ADDED.items():
        retired.retire_columns(table, revision, [column.name for column in columns])
