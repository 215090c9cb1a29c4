"""Trigram indexes: search by any part of a name, an e-mail or a Whop id.

Locks: none that readers or writers wait for.
"""

from migrations import ops

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

SEARCHED = {
    "ix_users_email_trgm": ("users", "email::text"),
    "ix_users_name_trgm": ("users", "name"),
    "ix_profiles_email_trgm": ("profiles", "email::text"),
    "ix_pending_profiles_email_trgm": ("pending_profiles", "email::text"),
    "ix_pending_profiles_whop_ids_trgm": (
        "pending_profiles",
        "coalesce(whop_user_id, '') || ' ' || coalesce(whop_membership_id, '')",
    ),
    "ix_clients_name_trgm": ("clients", "name"),
    "ix_clients_email_trgm": ("clients", "email::text"),
    "ix_bookings_client_email_trgm": ("bookings", "client_email::text"),
    "ix_meetings_guest_email_trgm": ("meetings", "guest_email::text"),
}


def upgrade() -> None:
    for name, (table, searched) in SEARCHED.items():
        ops.create_index(name, table, f"lower({searched}) gin_trgm_ops", using="gin")


def downgrade() -> None:
    for name in SEARCHED:
        ops.drop_index(name)
