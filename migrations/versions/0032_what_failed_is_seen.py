"""What became of a mail, the last change that a client was told of, and calls that wait: by themselves or for a person.

A mail that is `queued` now was perhaps handed over by a worker that died before it noted that: nobody knows.

Locks: per table, ACCESS EXCLUSIVE for one change of the catalogue; the mails that are marked, until the commit. Indexes
are built concurrently.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

ADDED = {
    "sent_emails": (Column("handed_over_at", "timestamptz"),),
    "bookings": (Column("told_version", "integer"),),
    "meetings": (Column("told_version", "integer"),),
    "provider_calls": (Column("next_try_at", "timestamptz"), Column("attention_since", "timestamptz")),
}


def upgrade() -> None:
    for table, columns in ADDED.items():
        retired.add_columns(table, revision, *columns)
    ops.execute(
        "UPDATE sent_emails SET state = 'unknown', last_error = 'never_noted' "
        "WHERE state = 'queued' AND handed_over_at IS NULL"
    )
    # These were tried again every ten minutes; from now on only what says when.
    ops.execute(
        "UPDATE provider_calls SET next_try_at = now() WHERE state = 'failed' AND error_code = 'provider_unavailable' "
        "AND provider IN ('calendly', 'calcom') AND created_at > now() - interval '7 days' AND next_try_at IS NULL"
    )
    ops.create_index(
        "ix_sent_emails_open", "sent_emails", "state, id", where="state IN ('queued', 'sending', 'failed', 'unknown')"
    )
    ops.create_index(
        "ix_provider_calls_attention_since",
        "provider_calls",
        "attention_since, id",
        where="attention_since IS NOT NULL",
    )


def downgrade() -> None:
    ops.drop_index("ix_sent_emails_open")
    ops.drop_index("ix_provider_calls_attention_since")
    ops.execute(
        "UPDATE sent_emails SET state = 'queued', last_error = NULL "
        "WHERE state = 'unknown' AND last_error = 'never_noted'"
    )
    for table, columns in ADDED.items():
        retired.retire_columns(table, revision, [column.name for column in columns])
