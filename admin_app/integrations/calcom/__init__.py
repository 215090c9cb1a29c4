"""Cal.com: its deliveries and their signature, and its API."""

from admin_app.integrations.calcom.calcom_client import (
    client,
    parse_event,
    verify,
)

__all__ = [
    "client",
    "parse_event",
    "verify",
]
