"""The people who work in the console, their sessions, and the brake on sign-ins that fail.

Locks: none on what exists.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ops.create_table(
        "staff",
        Column("email", "citext", required=True),
        Column("name", "varchar", required=True),
        Column("role", "varchar(32)", required=True),
        Column("password_hash", "varchar", required=True),
        Column("time_zone", "varchar", "'UTC'", required=True),
        Column("failed_sign_ins", "integer", "0", required=True),
        Column("locked_until", "timestamptz"),
        Column("disabled_at", "timestamptz"),
        Column("last_signed_in_at", "timestamptz"),
        Column("created_at", "timestamptz", "now()", required=True),
        Column("version", "integer", "1", required=True),
    )
    ops.add_unique("staff", "email")
    ops.add_check("staff", "role", "role IN ('support', 'ops', 'finance', 'admin', 'auditor')")
    ops.create_table(
        "staff_sessions",
        Column("staff_id", "bigint", required=True),
        Column("token_hash", "bytea", required=True),
        Column("created_at", "timestamptz", "now()", required=True),
        Column("last_seen_at", "timestamptz", "now()", required=True),
        Column("expires_at", "timestamptz", required=True),
        Column("revoked_at", "timestamptz"),
        Column("ip", "varchar"),
        Column("user_agent", "varchar"),
    )
    ops.add_unique("staff_sessions", "token_hash")
    ops.add_foreign_key("staff_sessions", "staff_id", "staff", on_delete="CASCADE")
    ops.create_index("ix_staff_sessions_staff_id_created_at", "staff_sessions", "staff_id, created_at")
    ops.create_table(
        "sign_in_brakes",
        Column("failed_sign_ins", "integer", "0", required=True),
        Column("locked_until", "timestamptz"),
        Column("last_failed_at", "timestamptz", "now()", required=True),
        key="key_hash bytea",
    )
    ops.create_index("ix_sign_in_brakes_last_failed_at", "sign_in_brakes", "last_failed_at")


def downgrade() -> None:
    retired.retire_table("sign_in_brakes")
    retired.retire_table("staff_sessions")
    retired.retire_table("staff")
