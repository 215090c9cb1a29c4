"""Memberships that staff gave and nobody sold, and what staff gave or took by hand, a row each.

A downgrade keeps the complimentary memberships and their credits aside: earlier code knows only what was sold, and
reads the columns of whoever has one. What it made of those columns gives way when the row comes back.

Locks: ACCESS EXCLUSIVE on memberships for one change of the catalogue. Indexes are built concurrently.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

KINDS = "'given', 'end_changed', 'ended', 'credits_added', 'credits_taken', 'renewed_early'"
CHECKS = {
    "kind": f"kind IN ({KINDS})",
    "undone_by_someone": "(undone_at IS NULL) = (undone_by IS NULL)",
    "credits_are_the_difference": "credits = (usage_after - used_after) - (usage_before - used_before)",
    "takes_what_is_left": "kind <> 'credits_taken' OR usage_after >= used_after",
}
UNTIL = "ix_memberships_given_until"
KEEP = f"""
{retired.MAKE_SCHEMA}LOCK TABLE memberships IN SHARE ROW EXCLUSIVE MODE;
CREATE TABLE retired.memberships_{revision} AS SELECT * FROM memberships WHERE provider IS NULL;
CREATE TABLE retired.credit_periods_{revision} AS SELECT p.* FROM credit_periods p
    JOIN memberships m ON m.id = p.membership_id WHERE m.provider IS NULL;
DELETE FROM memberships WHERE provider IS NULL
"""
# An account, or a purchase that waits, may have gone meanwhile; what was made of its columns says the same once more.
BRING_BACK = f"""
UPDATE retired.memberships_{revision} k SET profile_user_id = NULL,
       ignored_because = coalesce(ignored_because, 'its account is gone'), ignored_at = coalesce(ignored_at, now())
 WHERE profile_user_id IS NOT NULL AND NOT EXISTS (SELECT FROM profiles p WHERE p.user_id = k.profile_user_id);
UPDATE retired.memberships_{revision} k SET pending_profile_id = NULL,
       ignored_because = coalesce(ignored_because, 'its purchase is gone'), ignored_at = coalesce(ignored_at, now())
 WHERE pending_profile_id IS NOT NULL
   AND NOT EXISTS (SELECT FROM pending_profiles p WHERE p.id = k.pending_profile_id);
DELETE FROM memberships m USING retired.memberships_{revision} k
 WHERE (m.profile_user_id = k.profile_user_id OR m.pending_profile_id = k.pending_profile_id)
   AND m.external_id IS NULL AND m.provider = 'whop' AND k.status = 'active'
   AND m.period_end IS NOT DISTINCT FROM k.period_end
"""


def upgrade() -> None:
    ops.ensure_columns("memberships", Column("provider", "varchar(32)"))
    ops.add_check("memberships", "sold_or_given", "provider IS NOT NULL OR external_id IS NULL")
    ops.create_index(UNTIL, "memberships", "period_end, id", where="provider IS NULL AND status = 'active'")
    _bring_back()
    ops.create_table(
        "adjustments",
        Column("user_id", "varchar", required=True),
        Column("kind", "varchar(32)", required=True),
        Column("membership_id", "bigint"),
        Column("credits", "integer", required=True),
        Column("usage_before", "integer", required=True),
        Column("used_before", "integer", required=True),
        Column("usage_after", "integer", required=True),
        Column("used_after", "integer", required=True),
        Column("date_before", "timestamptz"),
        Column("date_after", "timestamptz"),
        Column("reason", "varchar", required=True),
        Column("made_by", "varchar", required=True),
        Column("made_at", "timestamptz", required=True),
        Column("undone_at", "timestamptz"),
        Column("undone_by", "varchar"),
        Column("undo_reason", "varchar"),
    )
    for name, rule in CHECKS.items():
        ops.add_check("adjustments", name, rule)
    ops.create_index("ix_adjustments_user_id", "adjustments", "user_id, id")
    ops.create_index("ix_adjustments_membership_id", "adjustments", "membership_id")
    ops.create_index("ix_adjustments_made_at", "adjustments", "made_at, id")


def _bring_back() -> None:
    if ops.offline() or not ops.has_table(f"memberships_{revision}", "retired"):
        return
    statements = [BRING_BACK]
    for table in ("memberships", "credit_periods"):
        kept = f"{table}_{revision}"
        names = ", ".join(ops.columns_of(kept, "retired"))
        statements.append(
            f"INSERT INTO {table} ({names}) SELECT {names} FROM retired.{kept}; DROP TABLE retired.{kept}"
        )
    ops.execute("; ".join(statements))


def downgrade() -> None:
    retired.retire_table("adjustments")
    ops.drop_constraint("memberships", "ck_memberships_sold_or_given")
    ops.drop_index(UNTIL)
    if ops.offline() or not ops.has_table(f"memberships_{revision}", "retired"):
        with ops.unhurried():
            ops.execute(KEEP)
    ops.set_required("memberships", "provider")
