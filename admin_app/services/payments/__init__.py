"""Payments: what was paid and given back, for appointments and memberships, and what is disputed.

Owns `payments`, `disputes` and `refunds`. What money means for an appointment is decided in the rooms above.
Others call what is named here, of `appointment_payments`; `held_money` is what an appointment still holds, `disputes`
follows the bank, `refund_sources` says what a refund is of, `refund_states` is the state machine of a refund, and
`refund_tills` gives the money back at the provider that has it.
"""

from admin_app.services.payments.appointment_payments import (
    ORDER,
    UNPAID,
    PaymentNews,
    apply_payment,
    apply_session,
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
)

__all__ = [
    "ORDER",
    "UNPAID",
    "PaymentNews",
    "apply_payment",
    "apply_session",
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
]
