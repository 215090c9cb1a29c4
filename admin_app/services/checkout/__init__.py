"""Taking an appointment and paying for it: the time first, then Stripe's page, then what Stripe says.

Owns no table.
Others call what is named here; `website_bookings` and `meetings` are the two doors, `settlement` applies what Stripe
says, and `outcomes` decides what follows from it for the appointment.
"""

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
