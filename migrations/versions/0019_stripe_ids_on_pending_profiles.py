"""A legacy purchase that was paid through Stripe keeps its Stripe ids while it waits.

Locks: pending_profiles, ACCESS EXCLUSIVE for one change of the catalogue; its new index is built concurrently.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TABLE = "pending_profiles"
ADDED = (Column("stripe_customer_id", "varchar"), Column("stripe_subscription_id", "varchar"))


def upgrade() -> None:
    retired.add_columns(TABLE, revision, *ADDED, key="id")
    ops.add_unique(TABLE, "stripe_subscription_id")


def downgrade() -> None:
    retired.retire_columns(TABLE, revision, [column.name for column in ADDED], key="id")
