"""When a client's trial ends, and since when each step of onboarding holds.

Locks: clients and onboarding_states, ACCESS EXCLUSIVE for one change of the catalogue each. Indexes are built
concurrently.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

TRIAL = (Column("trial_ends_at", "timestamptz"), Column("trial_granted_until", "timestamptz"))
STEPS = (
    Column("forwarding_enabled_at", "timestamptz"),
    Column("test_call_detected_at", "timestamptz"),
    Column("completed_at", "timestamptz"),
    Column("overridden_by", "varchar"),
    Column("overridden_because", "varchar"),
    Column("version", "integer", "1", required=True),
)


def upgrade() -> None:
    retired.add_columns("clients", revision, *TRIAL)
    retired.add_columns("onboarding_states", revision, *STEPS)
    ops.create_index("ix_clients_trial_ends_at", "clients", "trial_ends_at, id")
    ops.create_index(
        "ix_clients_pending_cancellation", "clients", "cancellation_requested_at, id", where="pending_cancellation"
    )
    ops.create_index("ix_onboarding_states_open", "onboarding_states", "id", where="completed_at IS NULL")
    ops.create_index("ix_onboarding_states_overridden", "onboarding_states", "id", where="overridden_by IS NOT NULL")


def downgrade() -> None:
    ops.drop_index("ix_onboarding_states_overridden")
    ops.drop_index("ix_onboarding_states_open")
    ops.drop_index("ix_clients_pending_cancellation")
    ops.drop_index("ix_clients_trial_ends_at")
    retired.retire_columns("onboarding_states", revision, [column.name for column in STEPS])
    retired.retire_columns("clients", revision, [column.name for column in TRIAL])
