"""Billing of clients: Stripe's subscriptions and customers as last fetched, and the status that follows from them.

Owns `subscriptions` and `client_customers`, and derives the billing columns of `clients`. Others call what is exported
here; `owners` says whose a subscription or customer is, `customer_linking` is finance's command that says so by hand.
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
