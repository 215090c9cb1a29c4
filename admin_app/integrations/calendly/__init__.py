"""Calendly: its deliveries and their signature, its API, and the shapes of what it tells."""

from admin_app.integrations.calendly.calendly_client import (
    client,
    parse_event,
    verify,
)

__all__ = [
    "client",
    "parse_event",
    "verify",
]
