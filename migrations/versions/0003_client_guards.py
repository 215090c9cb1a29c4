"""Guards on clients (every flag off, billing `none`), and onboarding states that call their client `client_id`.

The name changes without a moment in which earlier code breaks: `client_id` is added beside `customer_id` and a
trigger keeps the two alike. A late revision drops `customer_id`; run that one when the earlier code is gone.

Locks: clients and onboarding_states, ACCESS EXCLUSIVE, changes of the catalogue; SHARE ROW EXCLUSIVE on both for
the moment in which the foreign key is noted. Filling, index and validation run beside the traffic.
"""

from migrations import found_before, ops, retired
from migrations.ops import Column

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

GUARDS = (
    Column("onboarding_complete", "boolean", "false", required=True),
    Column("outbound_paused", "boolean", "false", required=True),
    Column("ai_disabled", "boolean", "false", required=True),
    Column("billing_status", "billing_status", "'none'", required=True),
    Column("payment_active", "boolean", "false", required=True),
    Column("trial_used_at", "timestamptz"),
    Column("pending_cancellation", "boolean", "false", required=True),
    Column("cancellation_requested_at", "timestamptz"),
    Column("stripe_customer_id", "varchar"),
    Column("stripe_subscription_id", "varchar"),
)
SAME_CLIENT = """
CREATE OR REPLACE FUNCTION onboarding_states_same_client() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.client_id := coalesce(NEW.client_id, NEW.customer_id);
        NEW.customer_id := NEW.client_id;
    ELSIF NEW.client_id IS DISTINCT FROM OLD.client_id THEN
        NEW.customer_id := NEW.client_id;
    ELSE
        NEW.client_id := NEW.customer_id;
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER onboarding_states_same_client BEFORE INSERT OR UPDATE ON onboarding_states
    FOR EACH ROW EXECUTE FUNCTION onboarding_states_same_client();
"""


def upgrade() -> None:
    ops.create_enum("billing_status", "none", "trial", "active", "canceled", "past_due")
    retired.add_columns("clients", revision, *GUARDS)
    ops.ensure_columns("onboarding_states", Column("client_id", "bigint"))
    if ops.offline() or "customer_id" in ops.columns_of("onboarding_states"):
        ops.execute(SAME_CLIENT)
        ops.fill("onboarding_states", "client_id", "customer_id")
    ops.set_required("onboarding_states", "client_id")
    ops.add_unique("onboarding_states", "client_id")
    ops.add_foreign_key("onboarding_states", "client_id", "clients", on_delete="CASCADE")


def downgrade() -> None:
    if ops.offline() or "customer_id" in ops.columns_of("onboarding_states"):
        ops.execute(
            "DROP TRIGGER IF EXISTS onboarding_states_same_client ON onboarding_states;"
            "DROP FUNCTION IF EXISTS onboarding_states_same_client();"
        )
        if "client_id" not in found_before.columns("onboarding_states"):
            ops.execute("ALTER TABLE onboarding_states DROP COLUMN IF EXISTS client_id")
    else:
        ops.execute("ALTER TABLE onboarding_states RENAME COLUMN client_id TO customer_id")
    retired.retire_columns("clients", revision, [column.name for column in GUARDS])
    retired.retire_type("billing_status")
