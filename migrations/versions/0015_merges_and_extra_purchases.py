"""The journal that makes a claim reversible, and the purchases of people who are pro already.

Locks: SHARE ROW EXCLUSIVE on pending_profiles for the moments in which the foreign keys are noted.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    merges()
    extra_purchases()


def merges() -> None:
    ops.create_table(
        "merges",
        Column("kind", "varchar(32)", required=True),
        Column("pending_profile_id", "bigint"),
        Column("user_id", "varchar", required=True),
        Column("before", "jsonb"),
        Column("after", "jsonb", required=True),
        Column("choices", "jsonb", "'{}'::jsonb", required=True),
        Column("by_staff", "boolean", "false", required=True),
        Column("made_by", "varchar", required=True),
        Column("reason", "varchar"),
        Column("made_at", "timestamptz", "now()", required=True),
        Column("undone_at", "timestamptz"),
        Column("undone_by", "varchar"),
        Column("undo_reason", "varchar"),
    )
    ops.add_check("merges", "kind", "kind IN ('created', 'merged')")
    ops.add_check("merges", "undone_by_someone", "(undone_at IS NULL) = (undone_by IS NULL)")
    ops.add_check("merges", "merged_has_before", "kind <> 'merged' OR before IS NOT NULL")
    ops.add_foreign_key("merges", "pending_profile_id", "pending_profiles", on_delete="SET NULL")
    ops.create_index("ix_merges_pending_profile_id", "merges", "pending_profile_id")
    ops.create_index(
        "uq_merges_pending_profile_in_force", "merges", "pending_profile_id", unique=True, where="undone_at IS NULL"
    )
    ops.create_index("ix_merges_user_id", "merges", "user_id, id")
    ops.create_index("ix_merges_made_at", "merges", "made_at, id")


def extra_purchases() -> None:
    ops.create_table(
        "extra_purchases",
        Column("pending_profile_id", "bigint"),
        Column("replaced_membership_id", "varchar"),
        Column("user_id", "varchar", required=True),
        Column("noted_at", "timestamptz", "now()", required=True),
        Column("resolved_at", "timestamptz"),
        Column("resolved_by", "varchar"),
        Column("resolution", "varchar"),
        Column("version", "integer", "1", required=True),
    )
    ops.add_unique("extra_purchases", "pending_profile_id")
    ops.add_unique("extra_purchases", "replaced_membership_id")
    ops.add_check(
        "extra_purchases",
        "says_which_purchase",
        "pending_profile_id IS NOT NULL OR replaced_membership_id IS NOT NULL",
    )
    ops.add_check("extra_purchases", "resolved_by_someone", "(resolved_at IS NULL) = (resolved_by IS NULL)")
    ops.add_foreign_key("extra_purchases", "pending_profile_id", "pending_profiles", on_delete="CASCADE")
    ops.create_index("ix_extra_purchases_user_id", "extra_purchases", "user_id")
    ops.create_index("ix_extra_purchases_noted_at", "extra_purchases", "noted_at, id")
    ops.create_index("ix_extra_purchases_open", "extra_purchases", "noted_at, id", where="resolved_at IS NULL")


def downgrade() -> None:
    retired.retire_table("extra_purchases")
    retired.retire_table("merges")
