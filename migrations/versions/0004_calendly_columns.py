"""Session types and bookings know their counterparts at Calendly.

Locks: session_types and bookings, ACCESS EXCLUSIVE, changes of the catalogue (columns, then each constraint on an
index that was built beside the traffic).
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ADDED = {
    "session_types": ("calendly_event_type_id", "calendly_event_type_uri"),
    "bookings": ("calendly_event_id", "calendly_event_uri", "calendly_invitee_uri"),
}


def upgrade() -> None:
    for table, names in ADDED.items():
        retired.add_columns(table, revision, *(Column(name, "varchar") for name in names))
        for name in names:
            ops.add_unique(table, name)


def downgrade() -> None:
    for table, names in ADDED.items():
        retired.retire_columns(table, revision, names)
