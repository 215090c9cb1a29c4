"""Purchases that wait for their owner get a table of their own, and the `temp_` rows of profiles move there.

Per e-mail, whatever its case, the newest row moves with every fact of the purchase and leaves profiles in the
same statement. A row stays where it is, and is read from there, when it cannot move without losing something:
no e-mail; the e-mail or the membership is taken; Stripe ids or values that the new table has no place for.
Earlier code that looks for `temp_` rows does not see the moved ones: deploy code that reads both places first.

Locks: profiles, row locks on the `temp_` rows while they move. Nothing else that exists.
"""

from migrations import ops, retired, running
from migrations.ops import Column

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BATCH = 500

FACTS = (
    "whop_user_id, whop_membership_id, plan_duration, billing_cycle_start, billing_cycle_end, next_credit_renewal, "
    "usage_credits, used_credits"
)
CHECKS = {
    "membership": "membership IN ('free', 'pro')",
    "payment_provider": "payment_provider IN ('whop', 'stripe')",
    "plan_duration": "plan_duration IN ('monthly', 'yearly')",
    "status": "status IN ('active', 'inactive')",
    "claimed_by_someone": "claimed = (claimed_by_user_id IS NOT NULL)",
}
# Where nobody noted when it was made: the earliest that is known of it. Now is the last resort, and is said.
MADE_AT = "coalesce(created_at, billing_cycle_start, updated_at, now())"
UNDATED = """
SELECT user_id FROM profiles WHERE user_id LIKE 'temp\\_%' AND btrim(email) <> ''
   AND coalesce(created_at, billing_cycle_start, updated_at) IS NULL ORDER BY 1
"""
NEWEST = """
    SELECT DISTINCT ON (lower(btrim(email))) user_id
      FROM profiles
     WHERE user_id LIKE 'temp\\_%' AND {which}
       AND btrim(email) <> ''
       AND stripe_customer_id IS NULL AND stripe_subscription_id IS NULL
       AND coalesce(membership, 'pro') IN ('free', 'pro')
       AND coalesce(payment_provider, 'whop') IN ('whop', 'stripe')
       AND coalesce(plan_duration, 'yearly') IN ('monthly', 'yearly')
       AND coalesce(status, 'active') IN ('active', 'inactive')
     ORDER BY lower(btrim(email)), created_at DESC NULLS LAST, user_id DESC
"""
IN_ORDER = f"""
SELECT user_id FROM ({NEWEST.format(which="true")}) newest JOIN profiles p USING (user_id)
 ORDER BY p.created_at DESC NULLS LAST, p.user_id DESC
"""
MOVE = f"""
WITH newest AS ({NEWEST}), held AS (
    -- A claim by earlier code that is under way is waited for, then the row as it left it counts.
    SELECT p.* FROM profiles p JOIN newest USING (user_id)
     ORDER BY p.created_at DESC NULLS LAST, p.user_id DESC
       FOR UPDATE OF p
), moved AS (
    INSERT INTO pending_profiles
        (legacy_user_id, email, membership, payment_provider, status, {FACTS}, created_at, updated_at)
    SELECT user_id, btrim(email), coalesce(membership, 'pro'), coalesce(payment_provider, 'whop'),
           coalesce(status, 'active'), {FACTS}, {MADE_AT}, coalesce(updated_at, {MADE_AT})
      FROM held
    ON CONFLICT DO NOTHING
    RETURNING legacy_user_id
)
DELETE FROM profiles USING moved WHERE profiles.user_id = moved.legacy_user_id
"""
# Whoever waits gets a `temp_` row again. The table itself is only put aside, so that ids and claim tokens outlive
# a downgrade, and what has been claimed (copied to its owner's profile then) stays on record.
GO_BACK = f"""
UPDATE pending_profiles SET legacy_user_id = 'temp_pending_' || id WHERE NOT claimed AND legacy_user_id IS NULL;
INSERT INTO profiles (user_id, email, membership, payment_provider, status, {FACTS}, created_at, updated_at)
SELECT legacy_user_id, email, membership, payment_provider, status, {FACTS}, created_at, updated_at
  FROM pending_profiles WHERE NOT claimed
    ON CONFLICT (user_id) DO NOTHING
"""
COME_AGAIN = """
ALTER TABLE retired.pending_profiles SET SCHEMA public;
UPDATE pending_profiles w
   SET claimed = true, claimed_at = now(), claimed_by_user_id = coalesce(
       (SELECT min(p.user_id) FROM profiles p WHERE p.whop_membership_id = w.whop_membership_id), 'unknown')
 WHERE NOT claimed AND NOT EXISTS (SELECT FROM profiles p WHERE p.user_id = w.legacy_user_id);
WITH back AS (
    DELETE FROM profiles p USING pending_profiles w WHERE NOT w.claimed AND p.user_id = w.legacy_user_id RETURNING p.*
)
UPDATE pending_profiles w
   SET membership = coalesce(back.membership, 'pro'), status = coalesce(back.status, 'active'),
       whop_user_id = back.whop_user_id, plan_duration = back.plan_duration,
       billing_cycle_start = back.billing_cycle_start, billing_cycle_end = back.billing_cycle_end,
       next_credit_renewal = back.next_credit_renewal, usage_credits = back.usage_credits,
       used_credits = back.used_credits, updated_at = coalesce(back.updated_at, now()),
       legacy_user_id = nullif(w.legacy_user_id, 'temp_pending_' || w.id)
  FROM back WHERE w.legacy_user_id = back.user_id AND NOT w.claimed
"""


def upgrade() -> None:
    ops.create_extension("citext")
    if ops.has_table("pending_profiles", "retired"):
        ops.execute(COME_AGAIN)
    ops.create_table(
        "pending_profiles",
        Column("email", "citext", required=True),
        Column("token", "varchar"),
        Column("membership", "varchar(32)", "'pro'", required=True),
        Column("payment_provider", "varchar(32)", "'whop'", required=True),
        Column("whop_user_id", "varchar"),
        Column("whop_membership_id", "varchar"),
        Column("plan_duration", "varchar(32)"),
        Column("billing_cycle_start", "timestamptz"),
        Column("billing_cycle_end", "timestamptz"),
        Column("next_credit_renewal", "timestamptz"),
        Column("usage_credits", "integer"),
        Column("used_credits", "integer"),
        Column("status", "varchar(32)", "'active'", required=True),
        Column("legacy_user_id", "varchar"),
        Column("claimed", "boolean", "false", required=True),
        Column("claimed_by_user_id", "varchar"),
        Column("claimed_at", "timestamptz"),
        Column("created_at", "timestamptz", "now()", required=True),
        Column("updated_at", "timestamptz", "now()", required=True),
    )
    ops.name_primary_key("pending_profiles", "id")
    for column in ("email", "token", "whop_membership_id", "legacy_user_id"):
        ops.add_unique("pending_profiles", column)
    for name, rule in CHECKS.items():
        ops.add_check("pending_profiles", name, rule)
    with ops.unhurried():
        undated = [row[0] for row in ops.rows(UNDATED)]
        if undated:
            running.log.warning("  nothing says when these were made, they get this moment: %s", ", ".join(undated))
        move()


def move() -> None:
    """The newest first, and so many at a time: whoever uses one of them waits until its batch is there."""
    if ops.offline():
        ops.execute(MOVE.format(which="true"))
        return
    waiting = [row[0] for row in ops.rows(IN_ORDER)]
    for first in range(0, len(waiting), BATCH):
        named = ", ".join("'" + user_id.replace("'", "''") + "'" for user_id in waiting[first : first + BATCH])
        ops.execute(MOVE.replace("{which}", f"user_id IN ({named})"))


def downgrade() -> None:
    with ops.unhurried():
        ops.execute(f"{GO_BACK}; {retired.MAKE_SCHEMA}ALTER TABLE pending_profiles SET SCHEMA retired")
