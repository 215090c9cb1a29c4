"""TODO."""

from admin_app.services.inbox.deliveries import (
    BY_INDEX,
    PARKED_SENTENCES,
    UNFINISHED,
    apply,
    attach_email,
    fail,
    fetch,
    lookup_needed,
    parked_because,
    receipt,
    receive,
    release,
    requeue_unfinished,
    unfinished,
)

__all__ = [
    "BY_INDEX",
    "PARKED_SENTENCES",
    "UNFINISHED",
    "apply",
    "attach_email",
    "fail",
    "fetch",
    "lookup_needed",
    "parked_because",
    "receipt",
    "receive",
    "release",
    "requeue_unfinished",
    "unfinished",
]
