"""Onboarding states are known by `client_id` alone.

Run this one when no earlier code writes `customer_id` any more; `alembic upgrade 0019` stops before it.

Locks: onboarding_states, ACCESS EXCLUSIVE, a change of the catalogue.
"""

from migrations import ops

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

# As revision 0003 made it.
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
    ops.execute(
        "DROP TRIGGER IF EXISTS onboarding_states_same_client ON onboarding_states;"
        "DROP FUNCTION IF EXISTS onboarding_states_same_client();"
        "ALTER TABLE onboarding_states DROP COLUMN IF EXISTS customer_id"
    )


def downgrade() -> None:
    ops.ensure_columns("onboarding_states", ops.Column("customer_id", "bigint"))
    ops.fill("onboarding_states", "customer_id", "client_id")
    ops.execute(SAME_CLIENT)
    ops.fill("onboarding_states", "customer_id", "client_id")
    ops.set_required("onboarding_states", "customer_id")
    ops.add_unique("onboarding_states", "customer_id")
    ops.add_foreign_key("onboarding_states", "customer_id", "clients")
