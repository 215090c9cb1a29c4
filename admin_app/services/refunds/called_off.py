"""Appointments that are called off outside of the console: what becomes of their money, and the mail that says so.

Where the business called it off, what was paid goes back by itself. Where the client did, a setting decides, which
only the worker's job knows; what does not go back then waits on a list until somebody decides.
"""

from dataclasses import dataclass

from admin_app.context import Ctx
from admin_app.integrations import job_queue
from admin_app.services import appointments, bookings
from admin_app.services.appointments import Appointment
from admin_app.services.bookings import step_plans
from admin_app.services.core.plans import PlanLine, PlannedCall, PlannedMail
from admin_app.services.payments import held_money
from admin_app.services.refunds import keeping, refund_requests
from admin_app.services.refunds.refund_requests import Quote
from models.bookings import BookingStatus, CanceledBecause
from models.payments import Payment, RefundReason


@dataclass(frozen=True)
class Planned:
    """What calling off changes, sends, calls and adds, for the plan of a command that has it done."""

    lines: tuple[PlanLine, ...] = ()
    mails: tuple[PlannedMail, ...] = ()
    calls: tuple[PlannedCall, ...] = ()
    adds: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()


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


def planned(ctx: Ctx, appointment: Appointment, because: CanceledBecause, *, unknown_to: str = "") -> Planned:
    """What `call_off` would do now, where it is the business that calls off.

    A calendar that does not know the appointment any more is asked about it and not told.
    """
    step = bookings.canceling(appointment, because)
    held = held_money.of_appointment(ctx.session, appointment.subject, appointment.row.price_currency)
    going = _goes_back(ctx, appointment.subject)
    money = held.giving_back(sum(amount for _, _, amount in going))
    lines = [
        line
        for _, quoted, amount in going
        for line in refund_requests.lines(quoted, amount, source="it goes back by itself")
    ]
    meaning = step_plans.of_step(ctx, appointment, step, money=money)
    untold = {call.sentence for call in meaning.calls if call.provider == unknown_to}
    told = tuple(call for call in meaning.calls if call.provider != unknown_to)
    return Planned(
        lines=(*meaning.lines, *lines),
        mails=meaning.mails,
        calls=(*told, *(call for payment, _, _ in going for call in refund_requests.calls(payment))),
        adds=refund_requests.ADDS * len(going),
        sentences=(*(each for each in meaning.sentences if each not in untold), *_money_said(len(going))),
    )


def _money_said(refunds_going: int) -> tuple[str, ...]:
    return ("What was paid for it goes back by itself.",) if refunds_going else ()


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
        refund_requests.request_by_backdesk(ctx, payment, payment.captured_amount, reason)


def _goes_back(ctx: Ctx, subject: str) -> list[tuple[Payment, Quote, int]]:
    """What `_give_back` would give back now."""
    found = []
    for payment, _ in keeping.left_of(ctx.session, subject):
        quoted = refund_requests.quote(ctx.session, payment.id)
        if quoted.refusal is None and quoted.refundable > 0:
            found.append((payment, quoted, min(payment.captured_amount, quoted.refundable)))
    return found
