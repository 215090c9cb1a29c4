"""What comes from providers and what goes to them: deliveries, mails and the journal of calls.

Owns `webhook_events`, `sent_emails` and `provider_calls`. It knows no provider's events: `admin_app.jobs` names the
handler of each by `register`.
Others call what is named here; `handling` is what a handler is and says, `provider_calls` notes a call before it is
made, `asked_calls` are those that are never sent again blindly, `outbox` writes every mail.
"""

from admin_app.services.inbox.deliveries import (
    BY_INDEX,
    PARKED_SENTENCES,
    UNFINISHED,
    attach_email,
    parked_because,
    release,
    requeue_unfinished,
    unfinished,
)
from admin_app.services.inbox.intake import receipt, receive
from admin_app.services.inbox.processing import OpenEvent, apply, fail, open_event, register

__all__ = [
    "BY_INDEX",
    "PARKED_SENTENCES",
    "UNFINISHED",
    "OpenEvent",
    "apply",
    "attach_email",
    "fail",
    "open_event",
    "parked_because",
    "receipt",
    "receive",
    "register",
    "release",
    "requeue_unfinished",
    "unfinished",
]
