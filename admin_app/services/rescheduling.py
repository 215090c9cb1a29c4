"""Putting a booking or meeting at another time of the same practitioner."""

from datetime import datetime

from admin_app.context import Ctx
from admin_app.errors import Conflict, SlotTaken
from admin_app.policies.permissions import Permission, require
from admin_app.services import appointments, bookings, holds
from admin_app.services.appointments import Appointment
from admin_app.services.cancellations import TOLD_BY
from admin_app.services.plans import Plan, PlanLine, fingerprint, require_reason, require_same
from models.scheduling import Booking, BookingSource, BookingStatus

REFUSED = {
    BookingStatus.PENDING: "It is not paid yet, and the page on which it is paid names this time. Wait, or cancel it.",
    BookingStatus.CANCELED: "It is canceled, so it has no time to be moved. Make a new one.",
    BookingStatus.COMPLETED: "It took place, so it cannot be moved.",
    BookingStatus.NO_SHOW: "Its time is over. Make a new one.",
    BookingStatus.REFUNDED: "All of its money went back, and with that it ended. Make a new one.",
}


def plan_reschedule(ctx: Ctx, *, subject: str, starts_at: datetime) -> Plan:
    """What would move, who would be told, and whether the new time is free; it lasts as long as before."""
    require(ctx, Permission.BOOKINGS_READ)
    return _plan(ctx, appointments.get(ctx.session, subject), starts_at)


def reschedule(ctx: Ctx, *, subject: str, starts_at: datetime, reason: str, shown: str) -> Appointment:
    """Move it as its plan was shown; refused when somebody took the time meanwhile."""
    require(ctx, Permission.BOOKINGS_MANAGE)
    reason = require_reason(reason)
    appointment = appointments.locked(ctx, subject)
    plan = _plan(ctx, appointment, starts_at)
    if plan.refusal:
        raise Conflict(plan.refusal)
    require_same(shown, plan.fingerprint)
    row = appointment.row
    ends_at = starts_at + (row.ends_at - row.starts_at)
    holds.take_time(
        ctx, practitioner_id=row.practitioner_id, starts_at=starts_at, ends_at=ends_at, except_=appointment.subject
    )
    bookings.move(ctx, appointment, starts_at, ends_at, reason=reason)
    return appointment


def _plan(ctx: Ctx, appointment: Appointment, starts_at: datetime) -> Plan:
    holds.require_coming(ctx, starts_at)
    row, key = appointment.row, appointment.subject
    ends_at = starts_at + (row.ends_at - row.starts_at)
    return Plan(
        title=f"Reschedule {appointment.kind} {appointment.number}",
        outcome="rescheduled",
        lines=(
            PlanLine(key, "starts_at", row.starts_at, starts_at, "what you chose"),
            PlanLine(key, "ends_at", row.ends_at, ends_at, "as long as before"),
        ),
        consequences=_consequences(appointment),
        fingerprint=fingerprint(row, starts_at),
        refusal=_refusal(ctx, appointment, starts_at, ends_at),
    )


def _consequences(appointment: Appointment) -> tuple[str, ...]:
    said = ["The old time is free for others at once."]
    if appointment.source is BookingSource.CALCOM:
        said.append("It is moved in Cal.com, which tells the client.")
        if appointment.email:
            said.append(f"Should Cal.com refuse that, a mail with the new time goes to {appointment.email}.")
    else:
        said.append(
            f"A mail with the new time goes to {appointment.email}." if appointment.email else "Nobody is written to."
        )
        if isinstance(appointment.row, Booking) and appointment.row.calcom_booking_uid:
            said.append("It is moved in Cal.com too.")
    return (*said, "No money moves.")


def _refusal(ctx: Ctx, appointment: Appointment, starts_at: datetime, ends_at: datetime) -> str | None:
    row = appointment.row
    if row.status in REFUSED:
        return REFUSED[row.status]
    if appointment.source is BookingSource.CALENDLY:
        return f"It was made in {TOLD_BY[BookingSource.CALENDLY]}, where only the client or the host can move it."
    if starts_at == row.starts_at:
        return "It is at this time already. Choose another one."
    taken = appointments.taken(
        ctx.session, row.practitioner_id, starts_at, ends_at, except_=appointment.subject, now=ctx.now
    )
    return SlotTaken.sentence if taken else None
