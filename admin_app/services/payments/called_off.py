"""Appointments that are called off outside of the console: what becomes of their money, and the mail that says so.

Where the business called it off, what was paid goes back by itself. Where the client did, a setting decides, which
only the worker's job knows; what does not go back then waits on a list until somebody decides.
"""

from admin_app.context import Ctx
from admin_app.integrations import job_queue
from admin_app.services import appointments, bookings, refunds
from admin_app.services.appointments import Appointment
from admin_app.services.payments import held_money
from models.money import RefundReason
from models.scheduling import BookingStatus, CanceledBecause


def call_off(ctx: Ctx, appointment: Appointment, because: CanceledBecause, *, reason: str | None = None) -> None:
    """End it as a calendar tells; the client's mail goes when it is known what becomes of the money."""
    subject, by_client = appointment.subject, because is CanceledBecause.BY_CLIENT
    held = held_money.of_appointment(ctx.session, subject, appointment.row.price_currency)
    to_decide = by_client and held.left > 0
    bookings.carry_out(ctx, appointment, bookings.canceling(appointment, because, tell=not to_decide), reason=reason)
    if to_decide:
        held_money.review_all(ctx, subject)
        job_queue.defer(ctx.session, "settle_canceled", once_key=f"settle_canceled:{subject}", subject=subject)
    elif not by_client:
        _give_back(ctx, subject, RefundReason.CANCELED_BY_US)


def settle(ctx: Ctx, *, subject: str, gives_back: bool) -> None:
    """What the client called off: give the money back where that is the rule, and write to them; twice is once."""
    appointment = appointments.locked(ctx, subject)
    row = appointment.row
    if row.status is not BookingStatus.CANCELED or row.canceled_because is not CanceledBecause.BY_CLIENT:
        return
    if gives_back:
        _give_back(ctx, subject, RefundReason.REQUESTED_BY_CUSTOMER)
    bookings.send_mail(ctx, appointment, "cancellation")


def _give_back(ctx: Ctx, subject: str, reason: RefundReason) -> None:
    """Whatever cannot go back, because it is disputed or a refund has no answer yet, stays on the list."""
    for payment in held_money.review_all(ctx, subject):
        refunds.request_by_backdesk(ctx, payment, payment.captured_amount, reason)
