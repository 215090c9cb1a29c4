"""Subscriptions, what finance decided, the steps of recurring revenue, credit renewals and closed months.

What a closed month holds is never changed: PostgreSQL itself refuses it.

Locks: SHARE ROW EXCLUSIVE on clients for the moments in which a foreign key is noted; payments, ACCESS EXCLUSIVE for
one change of the catalogue. Indexes are built concurrently.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

RENEWABLE = "membership = 'pro' AND status = 'active' AND next_credit_renewal IS NOT NULL"
MOVEMENTS = "movement IN ('new', 'expansion', 'contraction', 'churn', 'none')"

DISPUTES = (Column("dispute_lost_at", "timestamptz"),)
# The one change that a closing gets is its seal, in the transaction that makes it.
APPEND_ONLY = """
CREATE OR REPLACE FUNCTION closed_months_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'month_closings' THEN
        IF OLD.digest = '' THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE OR REPLACE TRIGGER month_lines_no_change BEFORE UPDATE OR DELETE ON month_lines
    FOR EACH ROW EXECUTE FUNCTION closed_months_stay();
CREATE OR REPLACE TRIGGER month_lines_no_truncate BEFORE TRUNCATE ON month_lines
    FOR EACH STATEMENT EXECUTE FUNCTION closed_months_stay();
CREATE OR REPLACE TRIGGER month_closings_no_change BEFORE UPDATE OR DELETE ON month_closings
    FOR EACH ROW EXECUTE FUNCTION closed_months_stay();
CREATE OR REPLACE TRIGGER month_closings_no_truncate BEFORE TRUNCATE ON month_closings
    FOR EACH STATEMENT EXECUTE FUNCTION closed_months_stay();
DROP FUNCTION IF EXISTS retired.closed_months_stay();
"""


def upgrade() -> None:
    _subscriptions()
    _overrides()
    _changes()
    _renewals()
    _months()
    _days_of_money()


def _subscriptions() -> None:
    ops.create_table(
        "subscriptions",
        Column("client_id", "bigint"),
        Column("stripe_subscription_id", "varchar", required=True),
        Column("stripe_customer_id", "varchar", required=True),
        Column("status", "varchar", required=True),
        Column("collection_paused", "boolean", "false", required=True),
        Column("currency", "varchar"),
        Column("monthly_amount", "integer", "0", required=True),
        Column("price_id", "varchar"),
        Column("trial_end", "timestamptz"),
        Column("current_period_start", "timestamptz"),
        Column("current_period_end", "timestamptz"),
        Column("cancel_at_period_end", "boolean", "false", required=True),
        Column("cancel_at", "timestamptz"),
        Column("canceled_at", "timestamptz"),
        Column("ended_at", "timestamptz"),
        Column("started_at", "timestamptz"),
        Column("amount_due", "integer", "0", required=True),
        Column("past_due_since", "timestamptz"),
        Column("next_payment_attempt", "timestamptz"),
        Column("fetched_at", "timestamptz", required=True),
        Column("created_at", "timestamptz", "now()", required=True),
        Column("updated_at", "timestamptz", "now()", required=True),
        Column("version", "integer", "1", required=True),
    )
    ops.add_foreign_key("subscriptions", "client_id", "clients", on_delete="SET NULL")
    ops.add_unique("subscriptions", "stripe_subscription_id")
    ops.create_index("ix_subscriptions_client_id", "subscriptions", "client_id")
    ops.create_index("ix_subscriptions_stripe_customer_id", "subscriptions", "stripe_customer_id")
    ops.create_index("ix_subscriptions_status", "subscriptions", "status, id")
    ops.create_index("ix_subscriptions_created_at", "subscriptions", "created_at, id")
    ops.create_index(
        "ix_subscriptions_canceling", "subscriptions", "current_period_end, id", where="cancel_at_period_end"
    )
    ops.create_index(
        "ix_subscriptions_past_due_since", "subscriptions", "past_due_since, id", where="past_due_since IS NOT NULL"
    )


def _overrides() -> None:
    ops.create_table(
        "billing_overrides",
        Column("client_id", "bigint", required=True),
        Column("status", "billing_status", required=True),
        Column("reason", "varchar", required=True),
        Column("by", "varchar", required=True),
        Column("since", "timestamptz", required=True),
        Column("until", "timestamptz", required=True),
        Column("lifted_at", "timestamptz"),
        Column("lifted_by", "varchar"),
        Column("lift_reason", "varchar"),
        Column("status_without", "billing_status", "'none'", required=True),
        Column("payment_active_without", "boolean", "false", required=True),
        Column("created_at", "timestamptz", "now()", required=True),
        Column("version", "integer", "1", required=True),
    )
    ops.add_foreign_key("billing_overrides", "client_id", "clients", on_delete="CASCADE")
    ops.add_check("billing_overrides", "until_after_since", "until > since")
    ops.add_check("billing_overrides", "lifted_by_somebody", "(lifted_at IS NULL) = (lifted_by IS NULL)")
    ops.create_index("ix_billing_overrides_client_id", "billing_overrides", "client_id, id")
    ops.create_index("ix_billing_overrides_since", "billing_overrides", "since, id")
    ops.create_index(
        "uq_billing_overrides_open", "billing_overrides", "client_id", unique=True, where="lifted_at IS NULL"
    )
    ops.create_index("ix_billing_overrides_ending", "billing_overrides", "until, id", where="lifted_at IS NULL")


def _changes() -> None:
    ops.create_table(
        "billing_changes",
        Column("client_id", "bigint", required=True),
        Column("at", "timestamptz", required=True),
        Column("recorded_at", "timestamptz", "now()", required=True),
        Column("status_before", "billing_status", required=True),
        Column("status_after", "billing_status", required=True),
        Column("currency", "varchar"),
        Column("monthly_before", "integer", "0", required=True),
        Column("monthly_after", "integer", "0", required=True),
        Column("movement", "varchar(32)", "'none'", required=True),
        Column("cause", "varchar", required=True),
    )
    ops.add_foreign_key("billing_changes", "client_id", "clients", on_delete="CASCADE")
    ops.add_check("billing_changes", "movement", MOVEMENTS)
    ops.create_index("ix_billing_changes_client_id", "billing_changes", "client_id, at, id")
    ops.create_index("ix_billing_changes_at", "billing_changes", "at, id")
    ops.create_index("ix_billing_changes_status", "billing_changes", "status_after, at, id")
    ops.create_index("ix_billing_changes_movement", "billing_changes", "movement, at, id")


def _renewals() -> None:
    ops.create_table(
        "credit_renewals",
        Column("user_id", "varchar", required=True),
        Column("due_at", "timestamptz", required=True),
        Column("renewed_at", "timestamptz", required=True),
        Column("credits", "integer", required=True),
        Column("used_before", "integer", required=True),
    )
    ops.add_unique("credit_renewals", "user_id", "due_at")
    ops.create_index("ix_credit_renewals_renewed_at", "credit_renewals", "renewed_at, id")
    ops.create_index("ix_profiles_next_credit_renewal", "profiles", "next_credit_renewal, user_id", where=RENEWABLE)


def _months() -> None:
    ops.create_table(
        "month_closings",
        Column("month", "date", required=True),
        Column("closed_at", "timestamptz", required=True),
        Column("closed_by", "varchar", required=True),
        Column("note", "varchar"),
        Column("lines", "integer", "0", required=True),
        Column("totals", "jsonb", required=True),
        Column("digest", "varchar", required=True),
    )
    ops.add_unique("month_closings", "month")
    ops.create_table(
        "month_lines",
        Column("closing_id", "bigint", required=True),
        Column("line_key", "varchar", required=True),
        Column("kind", "varchar", required=True),
        Column("at", "timestamptz", required=True),
        Column("currency", "varchar", required=True),
        Column("amount", "integer", required=True),
        Column("about", "varchar", required=True),
    )
    ops.add_foreign_key("month_lines", "closing_id", "month_closings", on_delete="CASCADE")
    ops.add_unique("month_lines", "closing_id", "line_key")
    ops.create_index("ix_month_lines_closing_id", "month_lines", "closing_id, id")
    ops.execute(APPEND_ONLY)


def _days_of_money() -> None:
    """When money moved, for the lines of a month."""
    retired.add_columns("payments", revision, *DISPUTES)
    ops.create_index("ix_payments_paid_at", "payments", "paid_at, id", where="paid_at IS NOT NULL")
    ops.create_index(
        "ix_payments_dispute_lost_at", "payments", "dispute_lost_at, id", where="dispute_lost_at IS NOT NULL"
    )
    ops.create_index("ix_refunds_settled_at", "refunds", "settled_at, id", where="settled_at IS NOT NULL")


def downgrade() -> None:
    ops.drop_index("ix_profiles_next_credit_renewal")
    ops.drop_index("ix_refunds_settled_at")
    ops.drop_index("ix_payments_dispute_lost_at")
    ops.drop_index("ix_payments_paid_at")
    retired.retire_columns("payments", revision, [column.name for column in DISPUTES])
    for table in (
        *("month_lines", "month_closings", "credit_renewals"),
        *("billing_changes", "billing_overrides", "subscriptions"),
    ):
        retired.retire_table(table)
    ops.execute("ALTER FUNCTION closed_months_stay() SET SCHEMA retired")
