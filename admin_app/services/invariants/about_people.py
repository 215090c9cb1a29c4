"""Purchases, claims and credits: each purchase is somebody's once, and each credit is given once."""

from admin_app.services.invariants.rule import Invariant, by_query

# As `memberships.order` has it.
_RANKED = """
    SELECT m.*, row_number() OVER (PARTITION BY profile_user_id, pending_profile_id ORDER BY
        (status = 'active' AND ignored_at IS NULL) DESC, (provider IS NOT NULL) DESC, preferred_at DESC NULLS LAST,
        coalesce(period_end, CASE WHEN rhythm IN ('one_time', 'lifetime') OR provider IS NULL
            THEN CAST('infinity' AS timestamptz) ELSE CAST('-infinity' AS timestamptz) END) DESC,
        provider_event_at DESC NULLS LAST, id DESC) AS place,
        count(*) FILTER (WHERE status = 'active' AND ignored_at IS NULL)
            OVER (PARTITION BY profile_user_id, pending_profile_id) AS live
    FROM memberships m WHERE profile_user_id IS NOT NULL OR pending_profile_id IS NOT NULL
"""
_COUNTS = f"(SELECT * FROM ({_RANKED}) AS ranked WHERE place = 1) AS m"  # noqa: S608 - our own names
_DIFFERS = """
    (h.membership = 'pro') <> (m.live > 0) OR (h.status = 'active') <> (m.live > 0)
    OR (h.payment_provider, h.billing_cycle_start, h.billing_cycle_end, h.next_credit_renewal, h.provider_event_at,
        h.cancel_at_period_end,
        CASE m.provider WHEN 'whop' THEN h.whop_membership_id WHEN 'stripe' THEN h.stripe_subscription_id END)
    IS DISTINCT FROM (%s, m.period_start, m.period_end, m.next_credits_at, m.provider_event_at,
        m.cancel_at_period_end, m.external_id)
"""
# A purchase says always where it was made.
_ACCOUNT_DIFFERS, _PURCHASE_DIFFERS = _DIFFERS % "m.provider", _DIFFERS % "coalesce(m.provider, h.payment_provider)"
_BESIDE = f"""
    SELECT r.*, coalesce(r.external_id, 'membership ' || r.id) AS called,
        (SELECT string_agg(CAST(o.id AS text), ',' ORDER BY o.id) FROM memberships o WHERE o.status = 'active'
         AND o.ignored_at IS NULL AND o.provider IS NOT NULL AND o.profile_user_id = r.profile_user_id) AS live_ones
    FROM ({_RANKED}) AS r
    WHERE r.profile_user_id IS NOT NULL AND r.status = 'active' AND r.ignored_at IS NULL AND r.provider IS NOT NULL
        AND r.place > 1
"""  # noqa: S608 - our own names

INVARIANTS = (
    Invariant(
        "live-membership-has-holder",
        "Every membership that is paid is held by an account or waits with a purchase, or says why it is ignored.",
        by_query("""
            SELECT 'membership:' || id FROM memberships
            WHERE profile_user_id IS NULL AND pending_profile_id IS NULL AND ignored_at IS NULL AND status = 'active'
        """),
    ),
    Invariant(
        "columns-follow-memberships",
        "What a profile or a purchase says about its membership is what the memberships that it holds say.",
        by_query(f"""
            SELECT 'profile:' || h.user_id FROM profiles h JOIN {_COUNTS} ON m.profile_user_id = h.user_id
            WHERE {_ACCOUNT_DIFFERS}
            UNION ALL
            SELECT 'pending_profile:' || h.id FROM pending_profiles h JOIN {_COUNTS} ON m.pending_profile_id = h.id
            WHERE {_PURCHASE_DIFFERS}
        """),  # noqa: S608 - our own names
    ),
    Invariant(
        "extra-purchases-listed",
        "Who holds more than one membership that is paid is on support's list, or support decided on just these.",
        by_query(f"""
            SELECT 'profile:' || b.profile_user_id FROM ({_BESIDE}) AS b WHERE NOT EXISTS (
              SELECT FROM extra_purchases x WHERE x.user_id = b.profile_user_id AND
              CASE WHEN x.resolved_at IS NULL THEN x.replaced_membership_id = b.called
                   ELSE x.decided_about = b.live_ones END)
            UNION ALL
            SELECT 'extra_purchase:' || x.id FROM extra_purchases x
            WHERE x.resolved_at IS NULL AND x.replaced_membership_id IS NOT NULL AND NOT EXISTS (
              SELECT FROM ({_BESIDE}) AS b
              WHERE b.profile_user_id = x.user_id AND b.called = x.replaced_membership_id)
        """),  # noqa: S608 - our own names
    ),
    Invariant(
        "one-purchase-per-address",
        "One address has one waiting purchase, and one membership is held by one of them.",
        by_query("""
            SELECT 'pending_profile:' || max(id) FROM pending_profiles
            GROUP BY lower(email::text) HAVING count(*) > 1
            UNION ALL
            SELECT 'pending_profile:' || max(id) FROM pending_profiles WHERE whop_membership_id IS NOT NULL
            GROUP BY whop_membership_id HAVING count(*) > 1
        """),
    ),
    Invariant(
        "claimed-purchase-has-record",
        "A purchase that is claimed has one claim in force that gave it to that account, unless an earlier system did;"
        " one that is not has none.",
        by_query("""
            SELECT 'pending_profile:' || p.id FROM pending_profiles p
            LEFT JOIN merges m ON m.pending_profile_id = p.id AND m.undone_at IS NULL
            WHERE (p.claimed <> (m.id IS NOT NULL) OR m.user_id <> p.claimed_by_user_id)
            AND (m.id IS NOT NULL OR NOT EXISTS (SELECT FROM moved_rows b
              WHERE b.table_name = 'pending_profiles' AND b.record = CAST(p.id AS text)))
        """),
    ),
    Invariant(
        "claimed-by-existing-profile",
        "A claim that is in force leads to a profile that is there.",
        by_query("""
            SELECT 'merge:' || m.id FROM merges m WHERE m.undone_at IS NULL
            AND NOT EXISTS (SELECT FROM profiles p WHERE p.user_id = m.user_id)
        """),
    ),
    Invariant(
        "no-membership-with-claimed-purchase",
        "No membership is left with a purchase that an account has claimed.",
        by_query("""
            SELECT 'membership:' || m.id FROM memberships m JOIN pending_profiles w ON w.id = m.pending_profile_id
            JOIN profiles p ON p.user_id = w.claimed_by_user_id WHERE w.claimed AND w.updated_at <= :late
        """),
    ),
    Invariant(
        "member-has-membership",
        "Whoever is pro holds a membership that says so.",
        by_query("""
            SELECT 'profile:' || p.user_id FROM profiles p WHERE p.membership = 'pro' AND p.updated_at <= :late
            AND p.user_id NOT LIKE 'temp\\_%'
            AND NOT EXISTS (SELECT FROM memberships m WHERE m.profile_user_id = p.user_id)
            AND NOT EXISTS (SELECT FROM memberships m JOIN pending_profiles w ON w.id = m.pending_profile_id
              WHERE w.claimed_by_user_id = p.user_id)
        """),
    ),
    Invariant(
        "complimentary-ends-on-time",
        "A complimentary membership that has an end is over after it.",
        by_query("""
            SELECT 'membership:' || id FROM memberships
            WHERE provider IS NULL AND status = 'active' AND ignored_at IS NULL AND period_end <= :late
        """),
    ),
    Invariant(
        "early-renewal-is-a-period",
        "Credits that staff renewed early are those of one period of a membership, unless that was undone.",
        by_query("""
            SELECT 'adjustment:' || a.id FROM adjustments a
            WHERE a.kind = 'renewed_early' AND a.undone_at IS NULL AND NOT EXISTS (
              SELECT FROM credit_periods p WHERE p.membership_id = a.membership_id AND p.starts_at = a.date_before)
        """),
    ),
    Invariant(
        "credits-once-per-period",
        "Credits are granted at most once for each 28 days of a membership.",
        by_query("""
            SELECT 'credit_period:' || id FROM (
              SELECT id, starts_at - lag(starts_at) OVER (PARTITION BY membership_id ORDER BY starts_at) AS apart
              FROM credit_periods WHERE credits > 0) AS granted
            WHERE apart < interval '27 days'
        """),
    ),
)
