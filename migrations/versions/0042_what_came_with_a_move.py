"""Who got a membership by its last move, and what came along of its credits, stand on its row.

Filled once from the audit, which alone remembered it. What came counts only while whoever it came to holds it.

Locks: ACCESS EXCLUSIVE on memberships for changes of the catalogue. Rows are filled in batches.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

COLUMNS = (Column("moved_to", "varchar"), Column("came_credits", "integer"), Column("came_withheld", "integer"))
CHECKS = {
    "came_together": "(came_credits IS NULL) = (came_withheld IS NULL)",
    "came_not_negative": "came_credits >= 0 AND came_withheld >= 0",
    "came_by_a_move": "came_credits IS NULL OR (moved_to IS NOT NULL AND moved_at IS NOT NULL)",
}
NOT_FILLED = "moved_at IS NOT NULL AND moved_to IS NULL"
# Of two moves in the same moment the later one counts. One that had no id of its provider yet was told by our number.
FROM_THE_AUDIT = f"""
UPDATE memberships m
   SET moved_to = told.target, came_credits = CASE WHEN told.target = concat('profile:' || m.profile_user_id,
           'pending_profile:' || m.pending_profile_id) THEN told.credits END,
       came_withheld = CASE WHEN told.target = concat('profile:' || m.profile_user_id,
           'pending_profile:' || m.pending_profile_id) AND told.credits IS NOT NULL THEN told.withheld END
  FROM (SELECT DISTINCT ON (h.id) h.id, h.moved_at, a.facts ->> 'target' AS target,
               CAST(a.facts ->> 'credits' AS integer) AS credits,
               coalesce(CAST(a.facts ->> 'withheld' AS integer), 0) AS withheld
          FROM (SELECT * FROM memberships WHERE {NOT_FILLED} AND %s) h
          JOIN audit_entries a ON a.event = 'membership.moved' AND a.at = h.moved_at
           AND a.facts ->> 'membership' IN (h.external_id, 'membership ' || h.id)
         ORDER BY h.id, a.id DESC) told
 WHERE m.id = told.id AND m.moved_at = told.moved_at AND m.moved_to IS NULL
"""
KEEP = f"""
{retired.MAKE_SCHEMA}LOCK TABLE memberships IN SHARE ROW EXCLUSIVE MODE;
CREATE TABLE retired.memberships_{revision} AS
    SELECT id, profile_user_id, pending_profile_id, moved_at, moved_to, came_credits, came_withheld
      FROM memberships WHERE moved_to IS NOT NULL;
ALTER TABLE memberships {", ".join(f"DROP COLUMN {column.name}" for column in COLUMNS)}
"""
# One that was moved meanwhile is told by the audit; one that another got otherwise did not come to that one by a move.
BRING_BACK = f"""
UPDATE memberships m
   SET moved_to = k.moved_to, came_credits = CASE WHEN k.is_same THEN k.came_credits END,
       came_withheld = CASE WHEN k.is_same THEN k.came_withheld END
  FROM (SELECT o.*, (o.profile_user_id, o.pending_profile_id)
               IS NOT DISTINCT FROM (h.profile_user_id, h.pending_profile_id) AS is_same
          FROM retired.memberships_{revision} o JOIN memberships h ON h.id = o.id) k
 WHERE k.id = m.id AND k.moved_at = m.moved_at;
DROP TABLE retired.memberships_{revision}
"""


def upgrade() -> None:
    ops.ensure_columns("memberships", *COLUMNS)
    if ops.has_table(f"memberships_{revision}", "retired"):
        ops.execute(BRING_BACK)
    fill()
    for name, rule in CHECKS.items():
        ops.add_check("memberships", name, rule)


def fill() -> None:
    """What is filled stays as it is, so that this can be run again."""
    if ops.offline():
        ops.execute(FROM_THE_AUDIT % "true")
        return
    after = 0
    while True:
        ((last,),) = ops.rows(
            f"SELECT max(id) FROM (SELECT id FROM memberships WHERE {NOT_FILLED} AND id > :after"
            f" ORDER BY id LIMIT {ops.BATCH}) AS batch",
            after=after,
        )
        if last is None:
            return
        ops.execute(FROM_THE_AUDIT % f"id > {after} AND id <= {last}")
        after = last


def downgrade() -> None:
    if ops.offline() or "moved_to" in ops.columns_of("memberships"):
        with ops.unhurried():
            ops.execute(KEEP)
