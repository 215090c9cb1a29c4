"""Billing of clients: subscriptions and customers at Stripe, trials, overrides, and who is past due."""
