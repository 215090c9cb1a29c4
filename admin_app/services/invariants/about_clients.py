"""Clients and what they are at Stripe: the columns follow from the rows, what goes on is somebody's or on a list."""

from admin_app.services.invariants.rule import Invariant, by_query

INVARIANTS = (
    Invariant(
        "client-shows-own-customer",
        "The Stripe customer that a client shows is that client's, and the subscription too.",
        by_query("""
            SELECT 'client:' || c.id FROM clients c JOIN client_customers k USING (stripe_customer_id)
            WHERE k.client_id IS DISTINCT FROM c.id AND k.updated_at < :late AND c.updated_at < :late
            UNION ALL
            SELECT 'client:' || c.id FROM clients c JOIN subscriptions s USING (stripe_subscription_id)
            WHERE s.client_id IS DISTINCT FROM c.id AND s.updated_at < :late AND c.updated_at < :late
        """),
    ),
    Invariant(
        "customer-has-row",
        "Every Stripe customer who has a subscription here has a row.",
        by_query("""
            SELECT 'subscription:' || s.id FROM subscriptions s
            LEFT JOIN client_customers k USING (stripe_customer_id) WHERE k.id IS NULL AND s.created_at < :late
        """),
    ),
    Invariant(
        "nobodys-subscription-is-on-a-list",
        "A subscription that goes on is a client's or a membership, waits in the inbox or is a difference with Stripe.",
        by_query("""
            SELECT 'subscription:' || s.id FROM subscriptions s
            WHERE s.client_id IS NULL AND s.status NOT IN ('canceled', 'incomplete_expired') AND s.updated_at < :late
            AND NOT EXISTS (SELECT FROM memberships m WHERE m.provider = 'stripe'
              AND m.external_id = s.stripe_subscription_id)
            AND (s.status IN ('active', 'trialing', 'past_due')
              OR NOT EXISTS (SELECT FROM profiles p WHERE p.stripe_customer_id = s.stripe_customer_id))
            AND NOT EXISTS (SELECT FROM pending_profiles p WHERE p.stripe_subscription_id = s.stripe_subscription_id)
            AND NOT EXISTS (SELECT FROM webhook_events e WHERE e.provider = 'stripe'
              AND e.subject = s.stripe_subscription_id AND e.state IN ('received', 'parked', 'failed'))
            AND NOT EXISTS (SELECT FROM drift_findings d WHERE d.provider = 'stripe'
              AND d.external_id = s.stripe_subscription_id)
        """),
    ),
    Invariant(
        "paying-client-has-access",
        "A client whose subscription is active or on trial has access, unless finance decided otherwise.",
        by_query("""
            SELECT 'client:' || c.id FROM clients c WHERE NOT c.payment_active AND c.updated_at < :late
            AND EXISTS (SELECT FROM subscriptions s WHERE s.client_id = c.id AND s.status IN ('active', 'trialing')
              AND NOT s.collection_paused AND s.ended_at IS NULL AND s.updated_at < :late)
            AND NOT EXISTS (SELECT FROM billing_overrides o WHERE o.client_id = c.id AND o.lifted_at IS NULL)
        """),
    ),
)
