"""Stripe: its deliveries and their signature, its API through its SDK, and the shapes of its objects."""

from admin_app.integrations.stripe.stripe_client import (
    client,
    parse_event,
    require_own_mode,
    verify,
)

__all__ = [
    "client",
    "parse_event",
    "require_own_mode",
    "verify",
]
