"""Whether a practitioner gives meetings that are no session type and cost nothing is a setting of theirs.

Who is there already goes on giving them, because web sites book meetings without a session type.

Locks: ACCESS EXCLUSIVE on practitioners for one change of the catalogue.
"""

from migrations import retired
from migrations.ops import Column

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None


def upgrade() -> None:
    retired.add_columns("practitioners", revision, Column("free_meetings", "boolean", "true", required=True))


def downgrade() -> None:
    retired.retire_columns("practitioners", revision, ["free_meetings"])
