"""Refunds: money that goes back, by whose decision, and what that ends.

Owns `approvals`. The rows of refunds are the room `payments`' own.
Others call what is named here, of a payment for an appointment; `membership_refunds` is the same for a membership.
`refund_people` says whom a refund is for, `refund_endings` what ends with it, `approvals` the second person,
`refund_sending` the calls, `returned` what came back, `keeping` what stays here; `cancellations` and `called_off`
cancel an appointment with its money.
"""

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
