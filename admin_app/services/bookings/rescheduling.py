"""Putting a booking or meeting at another time of the same practitioner."""

from datetime import datetime

from admin_app.context import Ctx
from admin_app.errors import Conflict, SlotTaken
from admin_app.policies.permissions import Permission, require
from admin_app.services import appointments, bookings
from admin_app.services.appointments import Appointment
from admin_app.services.bookings import holds, step_plans
from admin_app.services.calendars.calendar_entries import SPOKEN
from admin_app.services.core.plans import Plan, fingerprint, require_reason, require_same
from models.bookings import BookingSource, BookingStatus

REFUSED = {
    BookingStatus.PENDING: "It is not paid yet, and the page on which it is paid names this time. Wait, or cancel it.",
    BookingStatus.CANCELED: "It is canceled, so it has no time to be moved. Make a new one.",
    BookingStatus.COMPLETED: "It took place, so it cannot be moved.",
    BookingStatus.NO_SHOW: "Its time is over. Make a new one.",
    BookingStatus.REFUNDED: "All of its money went back, and with that it ended. Make a new one.",
}


def plan_reschedule(ctx: Ctx, *, subject: str, starts_at: datetime, tell: bool = True) -> Plan:
    """What would move, who would be told, and whether the new time is free; it lasts as long as before."""
    require(ctx, Permission.BOOKINGS_READ)
    return _plan(ctx, appointments.get(ctx.session, subject), starts_at, tell)


def reschedule(
    ctx: Ctx, *, subject: str, starts_at: datetime, reason: str, shown: str, tell: bool = True
) -> Appointment:
    """Move it as its plan was shown; refused when somebody took the time meanwhile."""
    require(ctx, Permission.BOOKINGS_MANAGE)
    reason = require_reason(reason)
    appointment = appointments.locked(ctx, subject)
    plan = _plan(ctx, appointment, starts_at, tell)
    if plan.refusal:
        raise Conflict(plan.refusal)
    require_same(shown, plan.fingerprint)
    row = appointment.row
    ends_at = starts_at + (row.ends_at - row.starts_at)
    holds.take_time(
        ctx, practitioner_id=row.practitioner_id, starts_at=starts_at, ends_at=ends_at, except_=appointment.subject
    )
    bookings.carry_out(ctx, appointment, bookings.moving(starts_at, ends_at, tell=tell), reason=reason)
    return appointment


def _plan(ctx: Ctx, appointment: Appointment, starts_at: datetime, tell: bool) -> Plan:
    holds.require_coming(ctx, starts_at)
    row = appointment.row
    ends_at = starts_at + (row.ends_at - row.starts_at)
    meaning = step_plans.of_step(
        ctx,
        appointment,
        bookings.moving(starts_at, ends_at, tell=tell),
        sources={"starts_at": "what you chose", "ends_at": "as long as before"},
    )
    return Plan(
        title=f"Reschedule {appointment.kind} {appointment.number}",
        outcome="rescheduled",
        lines=meaning.lines,
        consequences=("The old time is free for others at once.", *meaning.sentences, "No money moves."),
        fingerprint=fingerprint(row, starts_at, tell, meaning.told),
        refusal=_refusal(ctx, appointment, starts_at, ends_at),
        mails=meaning.mails,
        calls=meaning.calls,
    )


def _refusal(ctx: Ctx, appointment: Appointment, starts_at: datetime, ends_at: datetime) -> str | None:
    row = appointment.row
    if row.status in REFUSED:
        return REFUSED[row.status]
    if appointment.source is BookingSource.CALENDLY:
        return f"It was made in {SPOKEN[BookingSource.CALENDLY]}, where only the client or the host can move it."
    if starts_at == row.starts_at:
        return "It is at this time already. Choose another one."
    taken = appointments.taken(
        ctx.session, row.practitioner_id, starts_at, ends_at, except_=appointment.subject, now=ctx.now
    )
    return SlotTaken.sentence if taken else None
