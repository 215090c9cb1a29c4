"""Whop: its deliveries and their signature, its API through its SDK, and the shapes of its objects."""

from admin_app.integrations.whop.whop_client import (
    client,
    parse_event,
    verify,
)

__all__ = [
    "client",
    "parse_event",
    "verify",
]
