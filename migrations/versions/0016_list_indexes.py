"""Indexes for lists by key and for whole e-mails and ids.

Locks: none that readers or writers wait for.
"""

from migrations import ops

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

INDEXES = {
    "users": {"email": "email", "created_at": "created_at"},
    "profiles": {
        "email": "email",
        "whop_membership_id": "whop_membership_id",
        "whop_user_id": "whop_user_id",
        "stripe_customer_id": "stripe_customer_id",
        "created_at": "created_at, user_id",
    },
    "pending_profiles": {
        "whop_user_id": "whop_user_id",
        "claimed_by_user_id": "claimed_by_user_id",
        "created_at": "created_at, id",
    },
    "clients": {"email": "email", "created_at": "created_at, id", "billing_status": "billing_status, id"},
    "session_types": {"practitioner_id": "practitioner_id"},
    "bookings": {
        "starts_at": "starts_at, id",
        "status": "status, starts_at, id",
        "practitioner_id": "practitioner_id, starts_at, id",
        "client_email": "client_email, starts_at, id",
        "session_type_id": "session_type_id",
    },
    "meetings": {
        "starts_at": "starts_at, id",
        "practitioner_id": "practitioner_id, starts_at",
        "guest_email": "guest_email",
    },
}


def upgrade() -> None:
    for table, indexes in INDEXES.items():
        for name, columns in indexes.items():
            ops.create_index(f"ix_{table}_{name}", table, columns)
    ops.create_index("ix_pending_profiles_unclaimed", "pending_profiles", "created_at, id", where="NOT claimed")


def downgrade() -> None:
    ops.drop_index("ix_pending_profiles_unclaimed")
    for table, indexes in INDEXES.items():
        for name in indexes:
            ops.drop_index(f"ix_{table}_{name}")
