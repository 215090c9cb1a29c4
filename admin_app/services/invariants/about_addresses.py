"""Addresses of people: each is one person's at a time, and nothing is held by an account that is gone."""

from admin_app.services.invariants.rule import Invariant, by_query

INVARIANTS = (
    Invariant(
        "address-verified-for-one-person",
        "No address is verified for two people, and nobody has two primary ones.",
        by_query("""
            SELECT 'person_address:' || max(id) FROM person_addresses WHERE given_up_at IS NULL
            GROUP BY lower(email::text) HAVING count(*) > 1
            UNION ALL
            SELECT 'person_address:' || max(id) FROM person_addresses WHERE is_primary
            GROUP BY user_id HAVING count(*) > 1
        """),
    ),
    Invariant(
        "profile-shows-no-address-of-others",
        "No profile of a person who was asked about shows an address that is verified for somebody else.",
        by_query("""
            SELECT 'profile:' || p.user_id FROM profiles p
            JOIN person_addresses a ON a.email = p.email AND a.given_up_at IS NULL AND a.user_id <> p.user_id
            JOIN users u ON u.open_id = p.user_id AND u.provider_asked_at > a.verified_at
            WHERE p.account_deleted_at IS NULL
        """),
    ),
    Invariant(
        "deleted-account-holds-nothing",
        "An account that the sign-in provider knows no more holds no membership and no address.",
        by_query("""
            SELECT 'profile:' || p.user_id FROM profiles p WHERE p.account_deleted_at IS NOT NULL
            AND (p.membership <> 'free' OR p.whop_membership_id IS NOT NULL OR p.stripe_subscription_id IS NOT NULL
              OR EXISTS (SELECT FROM person_addresses a WHERE a.user_id = p.user_id AND a.given_up_at IS NULL))
        """),
    ),
)
