"""What follows for an appointment from the state that its payment entered: decided from its row alone."""

import pytest

from admin_app.services.checkout.outcomes import Decision, Outcome, decide
from models import Booking, BookingStatus, CanceledBecause, PaymentState

PENDING, CONFIRMED, CANCELED = BookingStatus.PENDING, BookingStatus.CONFIRMED, BookingStatus.CANCELED
NOTHING, GIVE_BACK, CONFIRM = Decision(Outcome.NOTHING), Decision(Outcome.GIVE_BACK), Decision(Outcome.CONFIRM)


@pytest.mark.parametrize(
    ("status", "because", "entered", "decision"),
    [
        (PENDING, None, PaymentState.PAID, CONFIRM),
        (CANCELED, CanceledBecause.NEVER_PAID, PaymentState.PAID, CONFIRM),
        (CANCELED, CanceledBecause.PAYMENT_FAILED, PaymentState.PAID, CONFIRM),
        (CANCELED, CanceledBecause.BY_CLIENT, PaymentState.PAID, GIVE_BACK),
        (CONFIRMED, None, PaymentState.PAID, GIVE_BACK),
        (PENDING, None, PaymentState.PROCESSING, Decision(Outcome.HOLD_ON)),
        (PENDING, None, PaymentState.EXPIRED, Decision(Outcome.CANCEL, CanceledBecause.NEVER_PAID)),
        (PENDING, None, PaymentState.FAILED, Decision(Outcome.CANCEL, CanceledBecause.PAYMENT_FAILED)),
        (CONFIRMED, None, PaymentState.FAILED, NOTHING),
        (CANCELED, CanceledBecause.NEVER_PAID, PaymentState.EXPIRED, NOTHING),
        (PENDING, None, PaymentState.OPEN, NOTHING),
        (PENDING, None, None, NOTHING),
    ],
)
def test_it_is_decided_by_the_row_and_the_state(
    status: BookingStatus, because: CanceledBecause | None, entered: PaymentState | None, decision: Decision
) -> None:
    assert decide(Booking(status=status, canceled_because=because), entered) == decision
