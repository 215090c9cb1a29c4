"""Payments: what was paid, for appointments and memberships, and what a refund of it is of.

Owns `payments` and `disputes`. `refund_sources` says what a refund is of, `refund_people` whom it is for, and
`refund_tills` gives the money back at the provider that has it; the state machine of refunds is still beside this room.
"""

from admin_app.services.payments.appointment_payments import (
    ORDER,
    UNPAID,
    PaymentNews,
    give_up,
    is_processing,
    is_refused,
    last_paid_at,
    locked,
    open_payment,
    paid_for,
    records_of,
    state_by_session,
    subject_of,
    take_in_payment,
    take_in_session,
)

__all__ = [
    "ORDER",
    "UNPAID",
    "PaymentNews",
    "give_up",
    "is_processing",
    "is_refused",
    "last_paid_at",
    "locked",
    "open_payment",
    "paid_for",
    "records_of",
    "state_by_session",
    "subject_of",
    "take_in_payment",
    "take_in_session",
]
