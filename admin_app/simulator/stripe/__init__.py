"""The simulated Stripe: payments, subscriptions, its API, its pay page, and its controls."""
