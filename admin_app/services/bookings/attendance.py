"""What became of an appointment whose time has come: it took place, or nobody came."""

from dataclasses import dataclass

from admin_app.context import Ctx
from admin_app.errors import Conflict
from admin_app.policies.permissions import Permission, require
from admin_app.services import appointments, bookings
from admin_app.services.appointments import Appointment
from admin_app.services.bookings import step_plans
from admin_app.services.core.plans import Plan, fingerprint, require_reason, require_same
from models.bookings import BookingStatus


@dataclass(frozen=True)
class _Step:
    """One of the two ends; each can be put right by the other."""

    status: BookingStatus
    event: str
    title: str
    already: str


_COMPLETED = _Step(
    BookingStatus.COMPLETED, "booking.completed", "Mark {} as completed", "It is marked as completed already."
)
_NO_SHOW = _Step(
    BookingStatus.NO_SHOW, "booking.no_show", "Note that nobody came to {}", "It is noted already that nobody came."
)
_REFUSED = {
    BookingStatus.PENDING: "It is not paid yet, so it was never agreed on.",
    BookingStatus.CANCELED: "It is canceled, so nobody was expected.",
    BookingStatus.REFUNDED: "All of its money went back, and with that it ended.",
}


def plan_complete(ctx: Ctx, *, subject: str) -> Plan:
    """What marking it as completed changes."""
    require(ctx, Permission.BOOKINGS_READ)
    return _plan(ctx, appointments.get(ctx.session, subject), _COMPLETED)


def complete(ctx: Ctx, *, subject: str, reason: str, shown: str) -> Appointment:
    """It took place."""
    return _take(ctx, subject, _COMPLETED, reason, shown)


def plan_no_show(ctx: Ctx, *, subject: str) -> Plan:
    """What noting that nobody came changes."""
    require(ctx, Permission.BOOKINGS_READ)
    return _plan(ctx, appointments.get(ctx.session, subject), _NO_SHOW)


def no_show(ctx: Ctx, *, subject: str, reason: str, shown: str) -> Appointment:
    """Nobody came."""
    return _take(ctx, subject, _NO_SHOW, reason, shown)


def _take(ctx: Ctx, subject: str, step: _Step, reason: str, shown: str) -> Appointment:
    require(ctx, Permission.BOOKINGS_MANAGE)
    reason = require_reason(reason)
    appointment = appointments.locked(ctx, subject)
    plan = _plan(ctx, appointment, step)
    if plan.refusal:
        raise Conflict(plan.refusal)
    require_same(shown, plan.fingerprint)
    taken = bookings.attending(appointment, step.status, step.event)
    bookings.carry_out(ctx, appointment, taken, reason=reason)
    return appointment


def _plan(ctx: Ctx, appointment: Appointment, step: _Step) -> Plan:
    row = appointment.row
    meaning = step_plans.of_step(ctx, appointment, bookings.attending(appointment, step.status, step.event))
    return Plan(
        title=step.title.format(f"{appointment.kind} {appointment.number}"),
        outcome=step.status.value,
        lines=meaning.lines,
        consequences=("Nobody is written to.", "No money moves: a refund is a command of its own."),
        fingerprint=fingerprint(row, step.status.value),
        refusal=_refusal(ctx, appointment, step),
        mails=meaning.mails,
        calls=meaning.calls,
    )


def _refusal(ctx: Ctx, appointment: Appointment, step: _Step) -> str | None:
    row = appointment.row
    if row.status is step.status:
        return step.already
    if row.status in _REFUSED:
        return _REFUSED[row.status]
    return "It has not begun yet. Come back once its time has come." if row.starts_at > ctx.now else None
