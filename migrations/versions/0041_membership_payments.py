"""What was paid for a membership gets a row per payment, and a refund may be of one of those.

Nothing is filled: the provider is asked about each membership once, by a job and in turns.

Locks: ACCESS EXCLUSIVE on memberships and refunds for changes of the catalogue; SHARE ROW EXCLUSIVE on memberships for
the moment in which a foreign key is noted. Indexes are built concurrently.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

ASKED = (Column("payments_asked_at", "timestamptz"),)
OF_MEMBERSHIPS = (Column("membership_payment_id", "bigint"), Column("whop_refund_id", "varchar"))
MONEY = ("amount", "captured_amount", "refunded_amount", "reserved_amount")
CHECKS = {
    "provider": "provider IN ('whop', 'stripe')",
    "not_negative": "captured_amount >= 0 AND reserved_amount >= 0 AND refunded_amount >= 0",
    "never_more_than_captured": "reserved_amount <= captured_amount",
}
INDEXES = {
    "membership_id": ("membership_id, id", None),
    "external_id": ("external_id", None),
    "invoice_id": ("invoice_id", "invoice_id IS NOT NULL"),
    "created_at": ("created_at, id", None),
    "paid_at": ("paid_at, id", "paid_at IS NOT NULL"),
}
# What an earlier release cannot read: refunds that are of no payment it knows, with who decided about them.
SET_ASIDE = f"""
{retired.MAKE_SCHEMA}LOCK TABLE refunds, approvals IN SHARE ROW EXCLUSIVE MODE;
CREATE TABLE retired.approvals_{revision} AS
    SELECT a.* FROM approvals a JOIN refunds r ON r.id = a.refund_id WHERE r.payment_id IS NULL;
CREATE TABLE retired.refunds_{revision} AS SELECT * FROM refunds WHERE payment_id IS NULL;
DELETE FROM approvals WHERE id IN (SELECT id FROM retired.approvals_{revision});
DELETE FROM refunds WHERE payment_id IS NULL
"""


def upgrade() -> None:
    retired.add_columns("memberships", revision, *ASKED)
    ops.create_index(
        "ix_memberships_payments_never_asked",
        "memberships",
        "id",
        where="payments_asked_at IS NULL AND external_id IS NOT NULL",
    )
    _membership_payments()
    _refunds()


def _membership_payments() -> None:
    ops.create_table(
        "membership_payments",
        Column("membership_id", "bigint", required=True),
        Column("provider", "varchar(32)", required=True),
        Column("external_id", "varchar", required=True),
        Column("invoice_id", "varchar"),
        Column("provider_status", "varchar", required=True),
        *(Column(name, "bigint", "0", required=True) for name in MONEY),
        Column("currency", "varchar", required=True),
        Column("refundable", "boolean", "false", required=True),
        Column("fee_amount", "bigint"),
        Column("dispute_status", "varchar"),
        Column("paid_at", "timestamptz"),
        Column("period_start", "timestamptz"),
        Column("period_end", "timestamptz"),
        Column("asked_at", "timestamptz", required=True),
        Column("created_at", "timestamptz", "now()", required=True),
        Column("updated_at", "timestamptz", "now()", required=True),
        Column("version", "integer", "1", required=True),
    )
    ops.add_unique("membership_payments", "provider", "external_id")
    ops.add_foreign_key("membership_payments", "membership_id", "memberships")
    for name, rule in CHECKS.items():
        ops.add_check("membership_payments", name, rule)
    for name, (columns, where) in INDEXES.items():
        ops.create_index(f"ix_membership_payments_{name}", "membership_payments", columns, where=where)


def _refunds() -> None:
    ops.ensure_columns("refunds", Column("payment_id", "bigint"), *OF_MEMBERSHIPS)
    for table in ("refunds", "approvals"):
        kept = f"{table}_{revision}"
        if ops.has_table(kept, "retired"):
            names = ", ".join(ops.columns_of(kept, "retired"))
            ops.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM retired.{kept}; DROP TABLE retired.{kept}")
    ops.add_foreign_key("refunds", "membership_payment_id", "membership_payments")
    ops.add_check("refunds", "of_one_payment", "num_nonnulls(payment_id, membership_payment_id) = 1")
    ops.add_unique("refunds", "whop_refund_id")
    ops.create_index(
        "ix_refunds_membership_payment_id",
        "refunds",
        "membership_payment_id",
        where="membership_payment_id IS NOT NULL",
    )


def downgrade() -> None:
    if ops.offline() or "membership_payment_id" in ops.columns_of("refunds"):
        with ops.unhurried():
            ops.execute(SET_ASIDE)
        dropped = ", ".join(f"DROP COLUMN {column.name}" for column in OF_MEMBERSHIPS)
        ops.drop_constraint("refunds", "ck_refunds_of_one_payment")
        ops.execute(f"ALTER TABLE refunds {dropped}")
        ops.set_required("refunds", "payment_id")
    retired.retire_table("membership_payments")
    retired.retire_columns("memberships", revision, [column.name for column in ASKED])
