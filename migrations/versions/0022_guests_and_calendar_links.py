"""Guests as WorkOS knows them, and every id that a calendar provider ever gave a booking.

Locks: SHARE ROW EXCLUSIVE on bookings for the moment in which the foreign key is noted.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ops.create_table(
        "guests",
        Column("email", "citext", required=True),
        Column("name", "varchar"),
        Column("workos_user_id", "varchar", required=True),
        Column("workos_org_id", "varchar"),
        Column("created_here", "boolean", "false", required=True),
        Column("code_sent_at", "timestamptz"),
        Column("created_at", "timestamptz", "now()", required=True),
        Column("updated_at", "timestamptz", "now()", required=True),
        Column("version", "integer", "1", required=True),
    )
    for column in ("email", "workos_user_id", "workos_org_id"):
        ops.add_unique("guests", column)
    ops.create_index("ix_guests_created_at", "guests", "created_at, id")
    ops.create_table(
        "booking_links",
        Column("booking_id", "bigint", required=True),
        Column("provider", "varchar", required=True),
        Column("external_id", "varchar", required=True),
        Column("superseded_by", "varchar"),
        Column("canceled_at", "timestamptz"),
        Column("created_at", "timestamptz", "now()", required=True),
    )
    ops.add_foreign_key("booking_links", "booking_id", "bookings", on_delete="CASCADE")
    ops.add_unique("booking_links", "provider", "external_id")
    ops.create_index("ix_booking_links_booking_id", "booking_links", "booking_id")


def downgrade() -> None:
    retired.retire_table("booking_links")
    retired.retire_table("guests")
