"""Clerk: session tokens, people with their verified addresses, deliveries, and files of its people."""

from admin_app.integrations.clerk.clerk_client import (
    ClerkApi,
    client,
    parse_event,
    session_tokens,
    verify_webhook,
)

__all__ = [
    "ClerkApi",
    "client",
    "parse_event",
    "session_tokens",
    "verify_webhook",
]
