"""TODO."""

from admin_app.services.refunds.refund_requests import (
    NOTHING_LEFT,
    Quote,
    plan_request,
    quote,
    request,
    request_by_backdesk,
    request_within,
    write,
)

__all__ = [
    "NOTHING_LEFT",
    "Quote",
    "plan_request",
    "quote",
    "request",
    "request_by_backdesk",
    "request_within",
    "write",
]
