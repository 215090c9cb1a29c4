"""A row per membership of a provider, with its holder, and a row per period of its credits; filled from what is there.

The columns of profiles and purchases stay as they are: from here on they follow from these rows. The audit is read
once, for memberships that gave way to another and for purchases that staff deleted. The rows of profiles and
purchases are read in batches and not locked; run again it adds what is missing.

Locks: SHARE ROW EXCLUSIVE on profiles and pending_profiles for the moments in which the foreign keys are noted.
"""

from migrations import batches, ops, retired
from migrations.ops import Column

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

CHECKS = {
    "provider": "provider IN ('whop', 'stripe')",
    "rhythm": "rhythm IN ('recurring', 'one_time', 'lifetime')",
    "interval_unit": "interval_unit IN ('day', 'week', 'month', 'year')",
    "status": "status IN ('active', 'inactive')",
    "one_holder": "profile_user_id IS NULL OR pending_profile_id IS NULL",
    "ignored_with_reason": "(ignored_because IS NULL) = (ignored_at IS NULL)",
    "whole_interval": "(interval_unit IS NULL) = (interval_count IS NULL)",
}
INDEXES = {
    "profile_user_id": ("profile_user_id", None),
    "pending_profile_id": ("pending_profile_id", None),
    "external_id": ("external_id", None),
    "provider_user_id": ("provider_user_id", None),
    "provider_customer_id": ("provider_customer_id", "provider_customer_id IS NOT NULL"),
    "email": ("email", None),
    "created_at": ("created_at, id", None),
    "next_credits_at": ("next_credits_at, id", "status = 'active' AND profile_user_id IS NOT NULL"),
    "held_by_nobody": ("id", "profile_user_id IS NULL AND pending_profile_id IS NULL"),
}
# Each event of a Stripe subscription looks for the account that names it.
OF_STRIPE = "ix_profiles_stripe_subscription_id"
NAMED, BY_WHOP = r"user_id NOT LIKE 'temp\_%'", "whop_membership_id IS NOT NULL"
BY_STRIPE = "stripe_subscription_id IS NOT NULL"
IS_ACCOUNT = "h.user_id NOT LIKE 'temp\\_%'"
INTO = """
INSERT INTO memberships (provider, external_id, rhythm, interval_unit, interval_count, status, period_start, period_end,
    cancel_at_period_end, next_credits_at, provider_user_id, provider_customer_id, email, name, profile_user_id,
    pending_profile_id, provider_event_at, created_at, updated_at)
"""
# The one that the columns tell of: by the provider that they name where its id is there, else by the id that is.
COUNTS = """
    CROSS JOIN LATERAL (SELECT CASE
        WHEN h.stripe_subscription_id IS NULL AND h.whop_membership_id IS NULL THEN coalesce(h.payment_provider, 'whop')
        WHEN h.stripe_subscription_id IS NULL THEN 'whop' WHEN h.whop_membership_id IS NULL THEN 'stripe'
        ELSE coalesce(h.payment_provider, 'whop') END AS provider) AS c
    CROSS JOIN LATERAL (SELECT CASE c.provider WHEN 'whop' THEN h.whop_membership_id ELSE h.stripe_subscription_id END
        AS external_id) AS e
"""
COLUMNS = """
    c.provider, e.external_id, CASE WHEN h.plan_duration IS NOT NULL THEN 'recurring' END,
    CASE h.plan_duration WHEN 'monthly' THEN 'month' WHEN 'yearly' THEN 'year' END,
    CASE WHEN h.plan_duration IS NOT NULL THEN 1 END,
    CASE WHEN h.membership = 'pro' AND h.status = 'active' THEN 'active' ELSE 'inactive' END,
    h.billing_cycle_start, h.billing_cycle_end, h.cancel_at_period_end, h.next_credit_renewal,
    CASE c.provider WHEN 'whop' THEN h.whop_user_id END, CASE c.provider WHEN 'stripe' THEN h.stripe_customer_id END
"""
OF_PROFILES = f"""{INTO}
SELECT {COLUMNS}, NULL, NULL, h.user_id, NULL, h.provider_event_at, h.created_at, h.updated_at
  FROM profiles h {COUNTS}
 WHERE {IS_ACCOUNT} AND (h.membership = 'pro' OR e.external_id IS NOT NULL) AND ({{batch}})
   AND NOT EXISTS (SELECT FROM memberships m WHERE m.profile_user_id = h.user_id)
   AND NOT EXISTS (SELECT FROM profiles o WHERE o.whop_membership_id = e.external_id AND c.provider = 'whop'
       AND o.user_id NOT LIKE 'temp\\_%' AND (o.updated_at, o.user_id) > (h.updated_at, h.user_id))
 ORDER BY h.user_id
    ON CONFLICT DO NOTHING
"""
OF_PURCHASES = f"""{INTO}
SELECT {COLUMNS}, CASE WHEN h.legacy_user_id IS NULL THEN h.email END, h.name, NULL, h.id, h.provider_event_at,
    h.created_at, h.updated_at
  FROM pending_profiles h {COUNTS}
 WHERE NOT h.claimed AND (h.membership = 'pro' OR e.external_id IS NOT NULL) AND ({{batch}})
   AND NOT EXISTS (SELECT FROM memberships m WHERE m.pending_profile_id = h.id)
 ORDER BY h.id
    ON CONFLICT DO NOTHING
"""
# A claim that kept the account's own membership left the purchase's with nobody, and perhaps still charged. A claimed
# purchase shows what it was when it was claimed: nothing follows for an account that is free now, or after its cycle.
OF_LONG_AGO = COLUMNS.replace(
    "h.membership = 'pro' AND h.status = 'active'",
    "h.membership = 'pro' AND h.status = 'active' AND a.membership = 'pro' AND a.status = 'active'\n"
    "        AND coalesce(h.billing_cycle_end > now(), true)",
)
OF_CLAIMS = f"""{INTO}
SELECT {OF_LONG_AGO}, h.email, h.name, a.user_id, NULL, h.provider_event_at, h.created_at, h.updated_at
  FROM pending_profiles h {COUNTS} JOIN profiles a ON a.user_id = h.claimed_by_user_id
 WHERE h.claimed AND e.external_id IS NOT NULL AND ({{batch}})
 ORDER BY h.id
    ON CONFLICT DO NOTHING
"""
# Memberships that gave way to another: on support's list, or only in the audit, which does not say whether they are
# still paid: the next comparison with Whop does.
ON_THE_LIST = """
INSERT INTO memberships (provider, external_id, status, profile_user_id, created_at, updated_at)
SELECT CASE WHEN x.replaced_membership_id LIKE 'sub\\_%' THEN 'stripe' ELSE 'whop' END, x.replaced_membership_id,
       CASE WHEN x.resolution = 'the provider ended it' THEN 'inactive' ELSE 'active' END, p.user_id,
       x.noted_at, x.noted_at
  FROM extra_purchases x JOIN profiles p ON p.user_id = x.user_id
 WHERE x.replaced_membership_id IS NOT NULL
    ON CONFLICT DO NOTHING
"""
PUT_ASIDE = """
INSERT INTO memberships (provider, external_id, status, pending_profile_id, profile_user_id, created_at, updated_at)
SELECT DISTINCT ON (a.facts ->> 'membership_id') 'whop', a.facts ->> 'membership_id', 'inactive',
       CASE WHEN NOT w.claimed THEN w.id END, p.user_id, a.at, a.at
  FROM audit_entries a CROSS JOIN LATERAL unnest(a.records) AS record
  JOIN pending_profiles w ON record = 'pending_profile:' || w.id
  LEFT JOIN profiles p ON w.claimed AND p.user_id = w.claimed_by_user_id
 WHERE a.event = 'purchase.put_aside' AND a.facts ->> 'membership_id' IS NOT NULL
   AND (NOT w.claimed OR p.user_id IS NOT NULL)
 ORDER BY a.facts ->> 'membership_id', a.at DESC
    ON CONFLICT DO NOTHING
"""
DELETED = """
INSERT INTO memberships (provider, external_id, status, email, ignored_because, ignored_at, created_at, updated_at)
SELECT DISTINCT ON (facts ->> 'membership_id') 'whop', facts ->> 'membership_id', 'inactive', facts ->> 'email',
       'deleted by staff', at, at, at
  FROM audit_entries WHERE event = 'purchase.deleted' AND facts ->> 'membership_id' IS NOT NULL
 ORDER BY facts ->> 'membership_id', at DESC
    ON CONFLICT DO NOTHING
"""
# The other provider's id on a row that names both: nothing says that it is still paid.
OTHERS = f"""
INSERT INTO memberships
    (provider, external_id, status, provider_customer_id, profile_user_id, created_at, updated_at)
SELECT 'stripe', h.stripe_subscription_id, 'inactive', h.stripe_customer_id, h.user_id, h.created_at, h.updated_at
  FROM profiles h WHERE {IS_ACCOUNT} AND h.stripe_subscription_id IS NOT NULL AND h.whop_membership_id IS NOT NULL
   AND coalesce(h.payment_provider, 'whop') = 'whop' AND ({{batch}})
UNION ALL
SELECT 'whop', h.whop_membership_id, 'inactive', NULL, h.user_id, h.created_at, h.updated_at
  FROM profiles h WHERE {IS_ACCOUNT} AND h.stripe_subscription_id IS NOT NULL AND h.whop_membership_id IS NOT NULL
   AND h.payment_provider = 'stripe' AND ({{batch}})
    ON CONFLICT DO NOTHING
"""
# Earlier code wrote the columns after the rows were there: while this revision was taken back.
CAUGHT_UP = f"""
UPDATE memberships m SET status = CASE WHEN h.membership = 'pro' AND h.status = 'active' THEN 'active'
        ELSE 'inactive' END, period_start = h.billing_cycle_start, period_end = h.billing_cycle_end,
    cancel_at_period_end = h.cancel_at_period_end, next_credits_at = h.next_credit_renewal,
    provider_event_at = h.provider_event_at, updated_at = h.updated_at
  FROM profiles h WHERE {IS_ACCOUNT} AND m.profile_user_id = h.user_id AND m.provider = 'whop'
   AND m.external_id = h.whop_membership_id AND coalesce(h.payment_provider, 'whop') = 'whop'
   AND h.updated_at > m.updated_at AND (m.provider_event_at IS DISTINCT FROM h.provider_event_at) AND ({{batch}})
"""
# Claimed by the columns alone, while this revision was taken back.
CLAIMED = """
UPDATE memberships m SET profile_user_id = h.claimed_by_user_id, pending_profile_id = NULL
  FROM pending_profiles h JOIN profiles a ON a.user_id = h.claimed_by_user_id
 WHERE m.pending_profile_id = h.id AND h.claimed AND ({batch})
"""
# Given by periods of an account so far: they are the periods of what it held.
PERIODS = """
INSERT INTO credit_periods (membership_id, user_id, starts_at, credits, used_before, granted_at)
SELECT DISTINCT ON (h.user_id, h.due_at) m.id, h.user_id, h.due_at, h.credits, h.used_before, h.renewed_at
  FROM credit_renewals h JOIN memberships m ON m.profile_user_id = h.user_id
 WHERE ({batch})
 ORDER BY h.user_id, h.due_at, m.status, m.id
    ON CONFLICT DO NOTHING
"""
DECIDED = """
UPDATE extra_purchases x SET decided_about = (
    SELECT string_agg(m.id::text, ',' ORDER BY m.id) FROM memberships m
     WHERE m.profile_user_id = x.user_id AND m.status = 'active')
 WHERE resolved_at IS NOT NULL AND pending_profile_id IS NULL AND decided_about IS NULL
   AND resolution <> 'the provider ended it'
"""
# Which live memberships an account holds beside the one that counts, as the product orders them.
BESIDE = """
    SELECT profile_user_id, coalesce(external_id, 'membership ' || id) AS called, live_ones FROM (
        SELECT m.*, row_number() OVER (PARTITION BY profile_user_id ORDER BY (status = 'active') DESC,
            preferred_at DESC NULLS LAST, coalesce(period_end, CASE WHEN rhythm IN ('one_time', 'lifetime')
                THEN CAST('infinity' AS timestamptz) ELSE CAST('-infinity' AS timestamptz) END) DESC,
            provider_event_at DESC NULLS LAST, id DESC) AS place,
            (SELECT string_agg(o.id::text, ',' ORDER BY o.id) FROM memberships o
              WHERE o.profile_user_id = m.profile_user_id AND o.status = 'active') AS live_ones
          FROM memberships m WHERE profile_user_id IN (SELECT profile_user_id FROM memberships
              WHERE profile_user_id IS NOT NULL AND status = 'active' GROUP BY 1 HAVING count(*) > 1)) AS ranked
     WHERE status = 'active' AND place > 1
"""
# What support decided stands where the account holds no other live ones; where it does, all are asked about.
ASKED_AGAIN = f"""
UPDATE extra_purchases x
   SET resolved_at = NULL, resolved_by = NULL, resolution = NULL, decided_about = NULL
  FROM ({BESIDE}) AS b
 WHERE b.profile_user_id = x.user_id AND b.called = x.replaced_membership_id AND x.resolved_at IS NOT NULL
   AND x.decided_about IS DISTINCT FROM b.live_ones
"""
LISTED = f"""
INSERT INTO extra_purchases (user_id, replaced_membership_id)
SELECT profile_user_id, called FROM ({BESIDE}) AS b
 WHERE NOT EXISTS (SELECT FROM extra_purchases d
     WHERE d.user_id = b.profile_user_id AND d.decided_about = b.live_ones)
    ON CONFLICT DO NOTHING
"""
NOT_SO = f"""
UPDATE extra_purchases x
   SET resolved_at = now(), resolved_by = 'migration', resolution = 'it is not held beside another any more'
 WHERE resolved_at IS NULL AND replaced_membership_id IS NOT NULL AND NOT EXISTS (
     SELECT FROM ({BESIDE}) AS b WHERE b.profile_user_id = x.user_id AND b.called = x.replaced_membership_id)
"""


def upgrade() -> None:
    _memberships()
    _credit_periods()
    subscription = "stripe_subscription_id"
    ops.create_index(OF_STRIPE, "profiles", subscription, where=f"{subscription} IS NOT NULL")
    retired.add_columns("extra_purchases", revision, Column("decided_about", "varchar"))
    retired.add_columns("merges", revision, Column("memberships", "jsonb", "'[]'::jsonb", required=True))
    _fill()


def _memberships() -> None:
    ops.create_table(
        "memberships",
        Column("provider", "varchar(32)", required=True),
        Column("external_id", "varchar"),
        Column("product_id", "varchar"),
        Column("plan_id", "varchar"),
        Column("rhythm", "varchar(32)"),
        Column("interval_unit", "varchar(32)"),
        Column("interval_count", "integer"),
        Column("provider_status", "varchar"),
        Column("status", "varchar(32)", "'active'", required=True),
        Column("period_start", "timestamptz"),
        Column("period_end", "timestamptz"),
        Column("cancel_at_period_end", "boolean", "false", required=True),
        Column("next_credits_at", "timestamptz"),
        Column("provider_user_id", "varchar"),
        Column("provider_customer_id", "varchar"),
        Column("email", "citext"),
        Column("name", "varchar"),
        Column("paid_amount", "bigint"),
        Column("paid_currency", "varchar"),
        Column("profile_user_id", "varchar"),
        Column("pending_profile_id", "bigint"),
        Column("preferred_at", "timestamptz"),
        Column("moved_from", "varchar"),
        Column("moved_at", "timestamptz"),
        Column("ignored_because", "varchar"),
        Column("ignored_at", "timestamptz"),
        Column("provider_event_at", "timestamptz"),
        Column("created_at", "timestamptz", "now()", required=True),
        Column("updated_at", "timestamptz", "now()", required=True),
        Column("version", "integer", "1", required=True),
        rest=(
            "CONSTRAINT fk_memberships_profile_user_id_profiles FOREIGN KEY (profile_user_id) "
            "REFERENCES profiles (user_id) ON DELETE SET NULL",
            "CONSTRAINT fk_memberships_pending_profile_id_pending_profiles FOREIGN KEY (pending_profile_id) "
            "REFERENCES pending_profiles (id) ON DELETE SET NULL",
        ),
    )
    ops.add_unique("memberships", "provider", "external_id")
    for name, rule in CHECKS.items():
        ops.add_check("memberships", name, rule)
    for name, (columns, where) in INDEXES.items():
        ops.create_index(f"ix_memberships_{name}", "memberships", columns, where=where)


def _credit_periods() -> None:
    ops.create_table(
        "credit_periods",
        Column("membership_id", "bigint", required=True),
        Column("user_id", "varchar"),
        Column("starts_at", "timestamptz", required=True),
        Column("credits", "integer", required=True),
        Column("used_before", "integer", required=True),
        Column("granted_at", "timestamptz", required=True),
    )
    ops.add_unique("credit_periods", "membership_id", "starts_at")
    ops.add_foreign_key("credit_periods", "membership_id", "memberships", on_delete="CASCADE")
    ops.create_index("ix_credit_periods_user_id", "credit_periods", "user_id")
    ops.create_index("ix_credit_periods_granted_at", "credit_periods", "granted_at, id")


def _fill() -> None:
    _of_purchases(CLAIMED, "false")
    _of_profiles(CAUGHT_UP, "false")
    _of_profiles(OF_PROFILES, f"{NAMED} AND (membership = 'pro' OR {BY_WHOP} OR {BY_STRIPE})")
    _of_purchases(OF_PURCHASES, f"NOT claimed AND (membership = 'pro' OR {BY_WHOP})")
    with ops.unhurried():
        for statement in (ON_THE_LIST, DECIDED, PUT_ASIDE):
            ops.execute(statement)
    _of_purchases(OF_CLAIMS, f"claimed AND {BY_WHOP}")
    _of_profiles(OTHERS, f"{NAMED} AND {BY_WHOP} AND {BY_STRIPE}")
    with ops.unhurried():
        ops.execute(DELETED)
    batches.fill(PERIODS, "credit_renewals", "id", rows="true", called="h")
    with ops.unhurried():
        for statement in (ASKED_AGAIN, LISTED, NOT_SO):
            ops.execute(statement)


def _of_profiles(statement: str, rows: str) -> None:
    batches.fill(statement, "profiles", "user_id", rows=rows, called="h")


def _of_purchases(statement: str, rows: str) -> None:
    batches.fill(statement, "pending_profiles", "id", rows=rows, called="h")


def downgrade() -> None:
    retired.retire_columns("merges", revision, ["memberships"])
    retired.retire_columns("extra_purchases", revision, ["decided_about"])
    retired.retire_table("credit_periods")
    retired.retire_table("memberships")
    ops.drop_index(OF_STRIPE)
