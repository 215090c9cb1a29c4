"""What comes in from providers, kept as the bytes that were signed, and the mails that go out.

Locks: SHARE ROW EXCLUSIVE on pending_profiles for the moment in which the foreign key is noted.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ops.create_table(
        "webhook_events",
        Column("provider", "varchar", required=True),
        Column("external_id", "varchar", required=True),
        Column("type", "varchar", required=True),
        Column("body", "bytea", required=True),
        Column("received_at", "timestamptz", "now()", required=True),
        Column("occurred_at", "timestamptz"),
        Column("subject", "varchar"),
        Column("state", "varchar(32)", "'received'", required=True),
        Column("attempts", "integer", "0", required=True),
        Column("last_error", "varchar"),
        Column("parked_because", "varchar"),
        Column("attached_email", "citext"),
        Column("outcome", "varchar"),
        Column("processed_at", "timestamptz"),
        Column("version", "integer", "1", required=True),
    )
    ops.add_unique("webhook_events", "provider", "external_id")
    ops.add_check(
        "webhook_events", "state", "state IN ('received', 'processed', 'ignored', 'superseded', 'parked', 'failed')"
    )
    ops.create_index("ix_webhook_events_received_at", "webhook_events", "received_at, id")
    ops.create_index("ix_webhook_events_state", "webhook_events", "state, received_at, id")
    ops.create_index("ix_webhook_events_subject", "webhook_events", "provider, subject")
    ops.create_table(
        "sent_emails",
        Column("template", "varchar", required=True),
        Column("to_email", "citext", required=True),
        Column("subject", "varchar", required=True),
        Column("text_body", "varchar", required=True),
        Column("html_body", "varchar", required=True),
        Column("pending_profile_id", "bigint"),
        Column("state", "varchar", "'queued'", required=True),
        Column("last_error", "varchar"),
        Column("created_at", "timestamptz", "now()", required=True),
        Column("sent_at", "timestamptz"),
    )
    ops.add_foreign_key("sent_emails", "pending_profile_id", "pending_profiles", on_delete="SET NULL")
    ops.create_index("ix_sent_emails_created_at", "sent_emails", "created_at, id")
    ops.create_index("ix_sent_emails_pending_profile_id", "sent_emails", "pending_profile_id")


def downgrade() -> None:
    retired.retire_table("sent_emails")
    retired.retire_table("webhook_events")
