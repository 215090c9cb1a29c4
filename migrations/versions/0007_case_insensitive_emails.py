"""E-mails compare without regard to case: text becomes citext.

Locks: ACCESS EXCLUSIVE on each table for a change of the catalogue. The two types are stored alike, so that no
row is rewritten; only indexes on the column are built again under the lock, and of those the earlier schema has
one, on practitioners, of which there are few. An index made by hand on a large table's e-mail: drop it first.
"""

from migrations import ops
from migrations.ops import Column

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

EMAILS = {
    "users": "email",
    "profiles": "email",
    "clients": "email",
    "practitioners": "email",
    "bookings": "client_email",
    "meetings": "guest_email",
}


def upgrade() -> None:
    ops.refuse_rows(
        "lower(email) IN (SELECT lower(email) FROM practitioners GROUP BY 1 HAVING count(*) > 1)",
        "practitioners",
        "Each practitioner needs an e-mail of their own, whatever its case",
    )
    for table, column in EMAILS.items():
        ops.convert(table, Column(column, "citext"))


def downgrade() -> None:
    for table, column in EMAILS.items():
        ops.convert(table, Column(column, "text"))
