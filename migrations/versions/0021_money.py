"""Payments, refunds with their approvals, and the calls that change something at a provider.

Locks: SHARE ROW EXCLUSIVE on bookings, meetings and staff for the moment in which a foreign key is noted.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _payments()
    _refunds()
    _approvals()
    _provider_calls()


def _payments() -> None:
    ops.create_table(
        "payments",
        Column("booking_id", "bigint"),
        Column("meeting_id", "bigint"),
        Column("state", "varchar(32)", "'open'", required=True),
        Column("amount", "integer", required=True),
        Column("currency", "varchar", required=True),
        Column("captured_amount", "integer", "0", required=True),
        Column("reserved_amount", "integer", "0", required=True),
        Column("fee_amount", "integer"),
        Column("stripe_checkout_session_id", "varchar"),
        Column("stripe_payment_intent_id", "varchar"),
        Column("stripe_charge_id", "varchar"),
        Column("checkout_url", "varchar"),
        Column("failure_code", "varchar"),
        Column("dispute_id", "varchar"),
        Column("dispute_status", "varchar"),
        Column("dispute_reason", "varchar"),
        Column("dispute_amount", "integer"),
        Column("dispute_due_by", "timestamptz"),
        Column("paid_at", "timestamptz"),
        Column("created_at", "timestamptz", "now()", required=True),
        Column("updated_at", "timestamptz", "now()", required=True),
        Column("version", "integer", "1", required=True),
    )
    ops.add_foreign_key("payments", "booking_id", "bookings")
    ops.add_foreign_key("payments", "meeting_id", "meetings")
    ops.add_check("payments", "for_one_thing", "num_nonnulls(booking_id, meeting_id) = 1")
    ops.add_check("payments", "amount_positive", "amount > 0")
    ops.add_check("payments", "not_negative", "captured_amount >= 0 AND reserved_amount >= 0")
    ops.add_check("payments", "never_more_than_captured", "reserved_amount <= captured_amount")
    ops.add_check("payments", "state", "state IN ('open', 'processing', 'paid', 'expired', 'failed')")
    for column in ("stripe_checkout_session_id", "stripe_payment_intent_id", "stripe_charge_id", "dispute_id"):
        ops.add_unique("payments", column)
    ops.create_index("ix_payments_booking_id", "payments", "booking_id")
    ops.create_index("ix_payments_meeting_id", "payments", "meeting_id")
    ops.create_index("ix_payments_created_at", "payments", "created_at, id")
    ops.create_index("ix_payments_state", "payments", "state, created_at, id")
    ops.create_index("ix_payments_dispute_due_by", "payments", "dispute_due_by, id", where="dispute_id IS NOT NULL")


def _refunds() -> None:
    ops.create_table(
        "refunds",
        Column("payment_id", "bigint", required=True),
        Column("amount", "integer", required=True),
        Column("currency", "varchar", required=True),
        Column("state", "varchar(32)", "'requested'", required=True),
        Column("origin", "varchar(32)", "'staff'", required=True),
        Column("reason", "varchar(32)", required=True),
        Column("note", "varchar"),
        Column("requested_by", "varchar", required=True),
        Column("stripe_refund_id", "varchar"),
        Column("failure_code", "varchar"),
        Column("sent_at", "timestamptz"),
        Column("settled_at", "timestamptz"),
        Column("created_at", "timestamptz", "now()", required=True),
        Column("updated_at", "timestamptz", "now()", required=True),
        Column("version", "integer", "1", required=True),
    )
    ops.add_foreign_key("refunds", "payment_id", "payments")
    ops.add_check("refunds", "amount_positive", "amount > 0")
    ops.add_check(
        "refunds",
        "state",
        "state IN ('awaiting_approval', 'declined', 'requested', 'sent', 'succeeded', 'failed', 'unknown')",
    )
    ops.add_check("refunds", "origin", "origin IN ('staff', 'backdesk', 'provider')")
    ops.add_check(
        "refunds",
        "reason",
        "reason IN ('requested_by_customer', 'duplicate', 'fraudulent', 'canceled_by_us', 'slot_lost', 'other')",
    )
    ops.add_unique("refunds", "stripe_refund_id")
    ops.create_index("ix_refunds_payment_id", "refunds", "payment_id")
    ops.create_index("ix_refunds_created_at", "refunds", "created_at, id")
    ops.create_index("ix_refunds_state", "refunds", "state, created_at, id")


def _approvals() -> None:
    ops.create_table(
        "approvals",
        Column("refund_id", "bigint", required=True),
        Column("requested_by_id", "bigint", required=True),
        Column("requested_at", "timestamptz", "now()", required=True),
        Column("decided_by_id", "bigint"),
        Column("decided_at", "timestamptz"),
        Column("decision", "varchar"),
        Column("reason", "varchar"),
    )
    ops.add_foreign_key("approvals", "refund_id", "refunds")
    ops.add_foreign_key("approvals", "requested_by_id", "staff")
    ops.add_foreign_key("approvals", "decided_by_id", "staff")
    ops.add_unique("approvals", "refund_id")
    ops.add_check("approvals", "two_people", "decided_by_id <> requested_by_id")
    ops.add_check("approvals", "decided_somehow", "(decided_at IS NULL) = (decision IS NULL)")
    ops.add_check("approvals", "decision", "decision IN ('approved', 'declined')")
    ops.create_index("ix_approvals_requested_by_id", "approvals", "requested_by_id")
    ops.create_index("ix_approvals_decided_by_id", "approvals", "decided_by_id")
    ops.create_index("ix_approvals_open", "approvals", "requested_at, id", where="decided_at IS NULL")
    ops.create_index("ix_approvals_requested_at", "approvals", "requested_at, id")


def _provider_calls() -> None:
    ops.create_table(
        "provider_calls",
        Column("provider", "varchar", required=True),
        Column("operation", "varchar", required=True),
        Column("idempotency_key", "varchar", required=True),
        Column("subject", "varchar", required=True),
        Column("state", "varchar(32)", "'intended'", required=True),
        Column("external_id", "varchar"),
        Column("error_code", "varchar"),
        Column("attempts", "integer", "0", required=True),
        Column("created_at", "timestamptz", "now()", required=True),
        Column("finished_at", "timestamptz"),
    )
    ops.add_check("provider_calls", "state", "state IN ('intended', 'succeeded', 'failed', 'unknown')")
    ops.add_unique("provider_calls", "idempotency_key")
    ops.create_index("ix_provider_calls_created_at", "provider_calls", "created_at, id")
    ops.create_index("ix_provider_calls_state", "provider_calls", "state, created_at, id")
    ops.create_index("ix_provider_calls_subject", "provider_calls", "subject, id")


def downgrade() -> None:
    for table in ("provider_calls", "approvals", "refunds", "payments"):
        retired.retire_table(table)
