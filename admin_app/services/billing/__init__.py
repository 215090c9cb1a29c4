"""Billing of clients: Stripe's subscriptions and customers as last fetched, and the status that follows from them.

Owns `subscriptions`, `client_customers`, `billing_overrides` and `billing_changes`. It derives the billing columns of
`clients`.
Others call what is named here; `stripe_events` is the handler of the inbox, `billing_asking` asks because a person
wants to know, `billing_history` tells the steps, `billing_overrides`, `trials`, `trial_sending` and
`customer_linking` are commands, `planned` their plan.
"""

from admin_app.services.billing.subscriptions import (
    FETCHED,
    IN_FORCE,
    Meaning,
    apply_customer,
    apply_subscription,
    due,
    follow_at,
    gave_way,
    live,
    locked,
    open_override,
    refresh,
    refresh_by_the_clock,
    subscriptions_of,
    without,
    without_override,
    worked_out,
)

__all__ = [
    "FETCHED",
    "IN_FORCE",
    "Meaning",
    "apply_customer",
    "apply_subscription",
    "due",
    "follow_at",
    "gave_way",
    "live",
    "locked",
    "open_override",
    "refresh",
    "refresh_by_the_clock",
    "subscriptions_of",
    "without",
    "without_override",
    "worked_out",
]
