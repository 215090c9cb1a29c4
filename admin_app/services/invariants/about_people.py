"""Purchases, claims and credits: each purchase is somebody's once, and each credit is given once."""

from admin_app.services.invariants.rule import Invariant, by_query

INVARIANTS = (
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
        "A purchase that is claimed has one claim in force that gave it to that account, and one that is not has none.",
        by_query("""
            SELECT 'pending_profile:' || p.id FROM pending_profiles p
            LEFT JOIN merges m ON m.pending_profile_id = p.id AND m.undone_at IS NULL
            WHERE p.claimed <> (m.id IS NOT NULL) OR m.user_id <> p.claimed_by_user_id
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
        "credits-once-per-period",
        "Credits are given at most once per period, and the audit tells of each period once.",
        by_query("""
            SELECT 'credit_renewal:' || max(id) FROM credit_renewals GROUP BY user_id, due_at HAVING count(*) > 1
            UNION ALL
            SELECT 'audit_entry:' || max(id) FROM audit_entries WHERE event = 'profile.credits_renewed'
            GROUP BY facts ->> 'user_id', facts ->> 'due_at' HAVING count(*) > 1
        """),
    ),
)
