"""TODO."""

from admin_app.services.checkout.checkout_pages import (
    SETTLED_BY_ASKING,
    close,
    key_of,
    queue_unanswered,
    settle,
    start,
)

__all__ = [
    "SETTLED_BY_ASKING",
    "close",
    "key_of",
    "queue_unanswered",
    "settle",
    "start",
]
