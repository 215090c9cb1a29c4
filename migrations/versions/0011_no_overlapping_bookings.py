"""No two held or confirmed bookings of one practitioner overlap.

Locks: bookings, ACCESS EXCLUSIVE while the index is built. PostgreSQL has no NOT VALID for this constraint and
cannot make one from an index built beforehand. Only held and confirmed rows are indexed, but all are read once.
"""

from migrations import ops

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

NAME = "ex_bookings_no_overlap"
OVERLAPS = """
SELECT a.id AS earlier, b.id AS later FROM bookings a
  JOIN bookings b ON b.practitioner_id = a.practitioner_id AND b.id > a.id
   AND tstzrange(a.starts_at, a.ends_at) && tstzrange(b.starts_at, b.ends_at)
 WHERE a.status IN ('pending', 'confirmed') AND b.status IN ('pending', 'confirmed')
 ORDER BY 1, 2 LIMIT 20
"""


def upgrade() -> None:
    if ops.has_constraint("bookings", NAME):
        return
    pairs = ops.rows(OVERLAPS)
    if pairs:
        named = ", ".join(f"{pair.earlier} and {pair.later}" for pair in pairs)
        raise ops.MigrationRefused(
            f"These held or confirmed bookings overlap: {named}. Cancel or move one of each pair and run again."
        )
    ops.execute(
        f"ALTER TABLE bookings ADD CONSTRAINT {NAME} EXCLUDE USING gist "
        "(practitioner_id WITH =, tstzrange(starts_at, ends_at) WITH &&) WHERE (status IN ('pending', 'confirmed'))"
    )


def downgrade() -> None:
    ops.drop_constraint("bookings", NAME)
