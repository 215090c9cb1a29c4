"""What a step of an appointment's life means, for the plan of the command that takes it: its fields, mails and calls.

It reads the same `bookings.Step` that is carried out, the mails are written by the code that sends them, and the calls
are those that the calendar's job will make.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import select

from admin_app.context import Ctx
from admin_app.services.appointments import Appointment
from admin_app.services.bookings import Step, appointment_mails
from admin_app.services.bookings.appointment_mails import Kind
from admin_app.services.calendars import planned_calls
from admin_app.services.calendars.calendar_entries import SPOKEN
from admin_app.services.core.plans import PlanLine, PlannedCall, PlannedMail
from admin_app.services.core.records import payment_key
from admin_app.services.payments import held_money
from admin_app.services.payments.held_money import HeldMoney
from models.payments import Payment, PaymentState

CLOSES_PAGE = "checkout.expire"


@dataclass(frozen=True)
class Meaning:
    """What one step changes, sends and calls, and the sentences that say so."""

    lines: tuple[PlanLine, ...] = ()
    mails: tuple[PlannedMail, ...] = ()
    calls: tuple[PlannedCall, ...] = ()
    sentences: tuple[str, ...] = ()

    @property
    def told(self) -> list[str]:
        """What others are told, for the fingerprint of a plan: as time passes, it is another plan."""
        return [mail.text for mail in self.mails] + [call.sentence for call in self.calls]


def of_step(
    ctx: Ctx,
    appointment: Appointment,
    step: Step,
    *,
    sources: dict[str, str] | None = None,
    money: HeldMoney | None = None,
    when: str = "at once",
    later: bool = False,
) -> Meaning:
    """What the step means for this appointment; `sources` says where a field's value comes from."""
    row, key = appointment.row, appointment.subject
    lines = tuple(
        PlanLine(key, name, getattr(row, name), value, (sources or {}).get(name, "this command"), later=later)
        for name, value in step.values.items()
    )
    mails: tuple[PlannedMail, ...] = ()
    if step.mail is not None:
        kind = cast(Kind, step.mail)
        mails = appointment_mails.planned(
            ctx, appointment, kind, values=step.values, money=money, when=when, later=later
        )
    calls = planned_calls.planned(ctx, row, step.values, later=later) if step.tells_calendar else ()
    for payment in _open_pages(ctx, appointment) if step.closes_page else ():
        there = "when Stripe has closed the page"
        lines = (*lines, PlanLine(payment_key(payment.id), "state", payment.state, PaymentState.EXPIRED, there))
        page = "The page on which it could be paid is closed at Stripe."
        calls = (*calls, PlannedCall("stripe", CLOSES_PAGE, page, later))
    told = _told(appointment, step, mails, calls)
    return Meaning(lines, mails, calls, (*told, *(call.sentence for call in calls)))


def _told(
    appointment: Appointment, step: Step, mails: tuple[PlannedMail, ...], calls: tuple[PlannedCall, ...]
) -> tuple[str, ...]:
    """Who writes to the client, if anybody does."""
    if mails:
        when = "" if mails[0].when == "at once" else f" {mails[0].when}"
        return (f"A mail about it goes to {mails[0].to}{when}.",)
    calendar = SPOKEN.get(appointment.source)
    if calendar is None:
        return ("Nobody is written to.",)
    if any(call.provider == appointment.source.value for call in calls):
        stands_in = step.mail is not None and appointment.email is not None
        return (f"Should {calendar} refuse that, a mail about it goes to {appointment.email}.",) if stands_in else ()
    return (f"{calendar} is not told of it, so nobody writes to the client.",)


def _open_pages(ctx: Ctx, appointment: Appointment) -> Sequence[Payment]:
    """The payments that could still be made on a page at Stripe; what is with the bank is not paid there again."""
    is_open = Payment.state == PaymentState.OPEN, Payment.stripe_checkout_session_id.is_not(None)
    return ctx.session.scalars(select(Payment).where(held_money.is_for(appointment.subject), *is_open)).all()
