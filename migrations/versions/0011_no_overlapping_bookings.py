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
# Sorted once, and only then paired: comparing each booking with each takes minutes on a busy calendar.
OVERLAPS = """
WITH held AS (
    SELECT id, practitioner_id, starts_at, ends_at, max(ends_at) OVER (
               PARTITION BY practitioner_id ORDER BY starts_at, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
           ) AS busy_until
      FROM bookings WHERE status IN ('pending', 'confirmed')
), late AS (
    SELECT * FROM held WHERE starts_at < busy_until ORDER BY id LIMIT 20
)
SELECT DISTINCT least(late.id, other.id) AS one, greatest(late.id, other.id) AS two
  FROM late JOIN held other ON other.practitioner_id = late.practitioner_id AND other.id <> late.id
   AND other.starts_at < late.ends_at AND other.ends_at > late.starts_at
 ORDER BY 1, 2 LIMIT 20
"""


def upgrade() -> None:
    if ops.has_constraint("bookings", NAME):
        return
    with ops.unhurried():
        pairs = ops.rows(OVERLAPS)
    if pairs:
        named = ", ".join(f"{pair.one} and {pair.two}" for pair in pairs)
        raise ops.MigrationRefused(
            f"These held or confirmed bookings overlap: {named}. Cancel or move one of each pair and run again."
        )
    ops.execute(
        f"ALTER TABLE bookings ADD CONSTRAINT {NAME} EXCLUDE USING gist "
        "(practitioner_id WITH =, tstzrange(starts_at, ends_at) WITH &&) WHERE (status IN ('pending', 'confirmed'))"
    )


def downgrade() -> None:
    ops.drop_constraint("bookings", NAME)
