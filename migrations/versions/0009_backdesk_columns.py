"""What Backdesk adds to the tables that people edit: versions, names, holds, working hours, event times.

Locks: per table, ACCESS EXCLUSIVE for one change of the catalogue; SHARE ROW EXCLUSIVE on meetings and
session_types for the moment in which the foreign key is noted.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

VERSION = Column("version", "integer", "1", required=True)
ENTITLEMENT = (
    Column("name", "varchar"),
    Column("cancel_at_period_end", "boolean", "false", required=True),
    Column("provider_event_at", "timestamptz"),
    VERSION,
)
ADDED = {
    "profiles": ENTITLEMENT,
    "pending_profiles": (
        *ENTITLEMENT,
        Column("token_expires_at", "timestamptz"),
        Column("likely_owners", "integer"),
        Column("owners_checked_at", "timestamptz"),
    ),
    "clients": (VERSION,),
    "practitioners": (Column("working_hours", "jsonb", "'{}'::jsonb", required=True), VERSION),
    "session_types": (Column("active", "boolean", "true", required=True), VERSION),
    "bookings": (Column("hold_expires_at", "timestamptz"), VERSION),
    "meetings": (Column("session_type_id", "bigint"), VERSION),
}


def upgrade() -> None:
    for table, columns in ADDED.items():
        retired.add_columns(table, revision, *columns, key=key_of(table))
    ops.add_foreign_key("meetings", "session_type_id", "session_types")


def downgrade() -> None:
    for table, columns in ADDED.items():
        retired.retire_columns(table, revision, [column.name for column in columns], key=key_of(table))


def key_of(table: str) -> str:
    return "user_id" if table == "profiles" else "id"
