"""Who comes to a booking that a calendar keeps, and in whose calendar it is, are rows.

Filled once with what the bookings say: one attendee, and the practitioner as the host whose id there is not known yet.
The links know when the provider was asked about an id, and when it began there.

Locks: ACCESS EXCLUSIVE on booking_links for the moment in which columns without a default are added; SHARE ROW
EXCLUSIVE on bookings and practitioners for the moments in which foreign keys are noted. Rows are filled in batches.
"""

from migrations import batches, ops, retired
from migrations.ops import Column

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None

ASKED = (Column("asked_at", "timestamptz"), Column("starts_at", "timestamptz"))
KNOWN = {
    "calendly": ("calendly_invitee_uri", "b.calendly_invitee_uri"),
    "calcom": ("calcom_booking_uid", "lower(b.client_email::text)"),
}
# Whoever has rows already is left as they are, so that this can be run again.
ATTENDEES = """
INSERT INTO booking_attendees (booking_id, provider, external_id, name, email, time_zone, since, gone_at)
SELECT b.id, '{provider}', {identity}, b.client_name, b.client_email, b.client_time_zone, b.created_at,
       CASE WHEN b.status = 'canceled' THEN coalesce(b.canceled_at, b.updated_at) END
  FROM bookings b
 WHERE {batch} AND b.{column} IS NOT NULL AND {identity} IS NOT NULL
   AND NOT EXISTS (SELECT FROM booking_attendees a WHERE a.booking_id = b.id AND a.provider = '{provider}')
"""
HOSTS = """
INSERT INTO booking_hosts (booking_id, practitioner_id, provider, since)
SELECT b.id, b.practitioner_id, '{provider}', b.created_at
  FROM bookings b
 WHERE {batch} AND b.{column} IS NOT NULL
   AND NOT EXISTS (SELECT FROM booking_hosts h WHERE h.booking_id = b.id AND h.provider = '{provider}')
"""


def upgrade() -> None:
    attendees()
    hosts()
    retired.add_columns("booking_links", revision, *ASKED)
    fill()


def attendees() -> None:
    ops.create_table(
        "booking_attendees",
        Column("booking_id", "bigint", required=True),
        Column("provider", "varchar", required=True),
        Column("external_id", "varchar", required=True),
        Column("name", "varchar", required=True),
        Column("email", "citext"),
        Column("time_zone", "varchar"),
        Column("since", "timestamptz", "now()", required=True),
        Column("gone_at", "timestamptz"),
        Column("absent_at", "timestamptz"),
        Column("paid_amount", "bigint"),
        Column("paid_currency", "varchar"),
        Column("paid_through", "varchar"),
    )
    ops.add_check("booking_attendees", "paid_together", "(paid_amount IS NULL) = (paid_currency IS NULL)")
    ops.add_foreign_key("booking_attendees", "booking_id", "bookings", on_delete="CASCADE")
    ops.create_index(
        "uq_booking_attendees_present",
        "booking_attendees",
        "booking_id, provider, external_id",
        unique=True,
        where="gone_at IS NULL",
    )
    ops.create_index("ix_booking_attendees_booking_id", "booking_attendees", "booking_id, id")
    ops.create_index("ix_booking_attendees_email", "booking_attendees", "email")


def hosts() -> None:
    ops.create_table(
        "booking_hosts",
        Column("booking_id", "bigint", required=True),
        Column("practitioner_id", "bigint", required=True),
        Column("provider", "varchar", required=True),
        Column("external_id", "varchar"),
        Column("email", "citext"),
        Column("since", "timestamptz", "now()", required=True),
        Column("gone_at", "timestamptz"),
    )
    ops.add_foreign_key("booking_hosts", "booking_id", "bookings", on_delete="CASCADE")
    ops.add_foreign_key("booking_hosts", "practitioner_id", "practitioners")
    ops.create_index(
        "uq_booking_hosts_now", "booking_hosts", "booking_id, provider", unique=True, where="gone_at IS NULL"
    )
    ops.create_index("ix_booking_hosts_booking_id", "booking_hosts", "booking_id, id")
    ops.create_index("ix_booking_hosts_practitioner_id", "booking_hosts", "practitioner_id")


def fill() -> None:
    for provider, (column, identity) in KNOWN.items():
        known = {"rows": f"{column} IS NOT NULL", "called": "b"}
        of = {"provider": provider, "column": column, "batch": batches.BATCH}
        batches.fill(ATTENDEES.format(identity=identity, **of), "bookings", "id", **known)
        batches.fill(HOSTS.format(**of), "bookings", "id", **known)


def downgrade() -> None:
    retired.retire_columns("booking_links", revision, ["asked_at", "starts_at"])
    retired.retire_table("booking_hosts")
    retired.retire_table("booking_attendees")
