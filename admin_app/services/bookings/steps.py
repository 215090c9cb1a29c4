"""The steps of a booking's or meeting's life: confirmed, given up, ended. Each takes a locked appointment.

What a person decides (`cancellations`, `rescheduling`, `attendance`) and what Stripe tells (`checkout`) both come here.
A step that a plan announces is written down as a `Step`: the plan reads it, and `carry_out` does what it says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from admin_app.context import Ctx
from admin_app.integrations import job_queue
from admin_app.services import appointments, payments
from admin_app.services.appointments import Appointment
from admin_app.services.core import audit
from admin_app.services.core.audit import Change
from admin_app.services.core.records import practitioner_key
from admin_app.services.inbox.handling import release_waiting_for
from admin_app.services.payments import held_money
from models.bookings import BookingSource, BookingStatus, CanceledBecause

# Who said whether somebody came, where it was no calendar: that stays so.
STAFF = "staff"
REMIND_BEFORE = timedelta(hours=24)
# What nobody decided: a payment that comes after all may bring the appointment back.
UNPAID_ENDS = (CanceledBecause.NEVER_PAID, CanceledBecause.PAYMENT_FAILED)
BECAUSE = {
    CanceledBecause.NEVER_PAID: "it was not paid in time",
    CanceledBecause.PAYMENT_FAILED: "the payment failed",
    CanceledBecause.BY_STAFF: "the business called it off",
    CanceledBecause.BY_CLIENT: "the client called it off",
    CanceledBecause.BY_PRACTITIONER: "the practitioner called it off",
}


def confirm(ctx: Ctx, appointment: Appointment) -> None:
    """The time is the client's: they get the mail with the calendar file, and the calendar is told."""
    row, was = appointment.row, appointment.row.status
    changes = _assign(appointment, status=BookingStatus.CONFIRMED, hold_expires_at=None, canceled_because=None)
    row.canceled_at = None
    if was is BookingStatus.CANCELED:
        held_money.on_again(ctx, appointment.subject)
    remind_later(ctx, appointment)
    touch(ctx, appointment)
    record(ctx, appointment, "booking.confirmed", changes=changes)
    send_mail(ctx, appointment, "confirmation")
    sync_calendar(ctx, appointment)


def cancel_unpaid(ctx: Ctx, appointment: Appointment, because: CanceledBecause) -> None:
    """The held time is free again. Only one who paid, and whose bank said no or nothing yet, is told: they had reason
    to count on it.
    """
    changes = end(ctx, appointment, BookingStatus.CANCELED, because)
    record(ctx, appointment, "booking.canceled", changes=changes, because=BECAUSE[because])
    close_checkout(ctx, appointment)
    if because is CanceledBecause.PAYMENT_FAILED or payments.is_processing(ctx.session, appointment.subject):
        send_mail(ctx, appointment, "cancellation")


@dataclass(frozen=True)
class Step:
    """One step as it is planned and carried out: the fields after it, and who hears of it.

    `mail` is the kind of the mail to the client, None where none is to go; `once` distinguishes occasions of one kind.
    """

    event: str
    values: Mapping[str, object]
    mail: str | None = None
    once: str = ""
    tells_calendar: bool = False
    closes_page: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)


def canceling(appointment: Appointment, because: CanceledBecause, *, tell: bool = True) -> Step:
    """Somebody called it off: its time is free, the calendar is told, and it can be paid no more."""
    return Step(
        "booking.canceled",
        {"status": BookingStatus.CANCELED, "canceled_because": because},
        mail="cancellation" if tell else None,
        tells_calendar=True,
        closes_page=appointment.costs,
        facts={"because": BECAUSE[because]},
    )


def refunding(*, tell: bool = True) -> Step:
    """All of the money went back, and a coming appointment ends with it."""
    values = {"status": BookingStatus.REFUNDED, "canceled_because": None}
    return Step("booking.refunded", values, mail="cancellation" if tell else None, tells_calendar=True)


def moving(starts_at: datetime, ends_at: datetime, *, tell: bool = True) -> Step:
    """It takes place at another time."""
    values = {"starts_at": starts_at, "ends_at": ends_at}
    mail = "rescheduled" if tell else None
    return Step("booking.rescheduled", values, mail=mail, once=appointments.at(starts_at), tells_calendar=True)


def attending(appointment: Appointment, status: BookingStatus, event: str) -> Step:
    """Its time has come: it took place, or nobody came, and staff's word on that stands against a calendar's."""
    by = {"attendance_by": STAFF} if appointment.kind == "booking" else {}
    return Step(event, {"status": status, **by})


def carry_out(ctx: Ctx, appointment: Appointment, step: Step, *, reason: str | None = None) -> None:
    """Do what the step says, once for the row's fields and with a job for everything that is told to others."""
    gives_way(ctx, appointment)
    changes = _assign(appointment, **step.values)
    if step.values.get("status") in (BookingStatus.CANCELED, BookingStatus.REFUNDED):
        appointment.row.canceled_at = ctx.now
    if "starts_at" in step.values:
        remind_later(ctx, appointment)
    touch(ctx, appointment)
    record(ctx, appointment, step.event, changes=changes, reason=reason, **step.facts)
    if step.closes_page:
        close_checkout(ctx, appointment)
    if step.mail is not None:
        send_mail(ctx, appointment, step.mail, once=step.once)
    if step.tells_calendar:
        sync_calendar(ctx, appointment)


def cancel(
    ctx: Ctx,
    appointment: Appointment,
    because: CanceledBecause,
    *,
    reason: str | None = None,
    tell: bool = True,
) -> None:
    """Somebody called it off: the client is told unless not wished, so is the calendar, and it can be paid no more."""
    carry_out(ctx, appointment, canceling(appointment, because, tell=tell), reason=reason)


def move(
    ctx: Ctx, appointment: Appointment, starts_at: datetime, ends_at: datetime, *, reason: str | None = None
) -> None:
    """Put it at another time, which `holds.take_time` has found free; the client and the calendar are told."""
    carry_out(ctx, appointment, moving(starts_at, ends_at), reason=reason)


def hand_over(
    ctx: Ctx,
    appointment: Appointment,
    practitioner_id: int,
    session_type_id: int,
    starts_at: datetime,
    ends_at: datetime,
) -> None:
    """Give it to another practitioner, whose time `holds.take_time` has found free; told like `move`."""
    gives_way(ctx, appointment)
    former, moves = appointment.practitioner, appointment.row.starts_at != starts_at
    changes = _assign(
        appointment,
        practitioner_id=practitioner_id,
        session_type_id=session_type_id,
        starts_at=starts_at,
        ends_at=ends_at,
    )
    remind_later(ctx, appointment)
    touch(ctx, appointment)
    now = appointments.of(ctx.session, appointment.row)
    ctx.session.flush()  # as `record` has it
    audit.record(
        ctx,
        "booking.handed_over",
        records=[now.subject, practitioner_key(now.practitioner.id), practitioner_key(former.id)],
        changes=changes,
        facts={**now.facts, "former": former.name, "practitioner": now.practitioner.name},
    )
    send_mail(ctx, now, "rescheduled" if moves else "confirmation", once=appointments.at(starts_at))
    sync_calendar(ctx, now)


def gives_way(ctx: Ctx, appointment: Appointment) -> None:
    """Its time is free for others: what calendars have in its place and could not be taken in is tried again."""
    if appointment.row.status in appointments.OCCUPYING:
        release_waiting_for(ctx, practitioner_key(appointment.practitioner.id))


def correct_email(ctx: Ctx, appointment: Appointment, email: str, *, reason: str | None = None) -> None:
    """The client of a booking is written to under another address from now on."""
    changes = _assign(appointment, client_email=email)
    touch(ctx, appointment)
    record(ctx, appointment, "booking.email_corrected", changes=changes, reason=reason)


def refund_came_back(ctx: Ctx, appointment: Appointment, because: CanceledBecause) -> None:
    """The bank sent the money back, so it is not refunded: it is off with its money here, or took place and is paid.

    Nobody is written to: the client heard that it is off, and what becomes of the money is decided by a person.
    """
    was_off = appointment.row.canceled_at is not None or appointment.row.ends_at > ctx.now
    before = appointment.row.canceled_at
    status = BookingStatus.CANCELED if was_off else BookingStatus.COMPLETED
    changes = end(ctx, appointment, status, because if was_off else None)
    appointment.row.canceled_at = before or appointment.row.canceled_at
    record(ctx, appointment, "booking.refund_returned", changes=changes)


def end(ctx: Ctx, appointment: Appointment, status: BookingStatus, because: CanceledBecause | None) -> list[Change]:
    """Set the last status with its reason and time, and have its time free; returns what changed."""
    gives_way(ctx, appointment)
    changes = _assign(appointment, status=status, canceled_because=because)
    if status is BookingStatus.CANCELED:
        appointment.row.canceled_at = ctx.now
    touch(ctx, appointment)
    return changes


def remind_later(ctx: Ctx, appointment: Appointment) -> None:
    """Have the day before bring a reminder; what begins sooner than that needs none beside the mail sent now."""
    soon = appointment.row.starts_at - ctx.now <= REMIND_BEFORE
    appointment.row.reminded_at = ctx.now if soon else None


def touch(ctx: Ctx, appointment: Appointment) -> None:
    """Count the row's version up, so that an edit begun before is refused. The row is locked; nothing is flushed."""
    appointment.row.version += 1
    appointment.row.updated_at = ctx.now


def record(
    ctx: Ctx,
    appointment: Appointment,
    event: str,
    *,
    changes: list[Change] | None = None,
    reason: str | None = None,
    **facts: str,
) -> None:
    """An entry in the audit about this appointment, found at its practitioner too."""
    ctx.session.flush()  # a constraint that refuses speaks before the audit's one lock, which everyone waits for
    audit.record(
        ctx,
        event,
        records=[appointment.subject, practitioner_key(appointment.practitioner.id)],
        reason=reason,
        changes=changes or (),
        facts={**appointment.facts, **facts},
    )


def send_mail(ctx: Ctx, appointment: Appointment, kind: str, *, once: str = "") -> None:
    """Have the client written to; one who booked in Calendly or Cal.com hears of it from there, unless that refuses.

    Each change is an occasion of its own, known by the appointment's version: what was asked for before and has not
    left is overtaken by it. A reminder is no change; its occasion is the time it reminds of.
    """
    if kind != "reminder":
        row = appointment.row
        row.told_version = row.version
        once = f"{once}-{row.version}" if once else str(row.version)
    if appointment.source is BookingSource.WEBSITE:
        job_queue.defer(ctx.session, "send_appointment_mail", subject=appointment.subject, kind=kind, once=once)


def sync_calendar(ctx: Ctx, appointment: Appointment) -> None:
    """Have Cal.com or Calendly brought in line with a booking; meetings are kept here alone."""
    if appointment.kind == "booking":
        job_queue.defer(
            ctx.session, "sync_calendar", once_key=f"sync_calendar:{appointment.number}", booking_id=appointment.number
        )


def close_checkout(ctx: Ctx, appointment: Appointment) -> None:
    """Have a page on which it could still be paid closed at Stripe."""
    if appointment.costs:
        subject = appointment.subject
        job_queue.defer(ctx.session, "expire_checkout", once_key=closing_key(subject), subject=subject)


def closing_key(subject: str) -> str:
    """By which the job that closes the pages of this appointment is queued once."""
    return f"expire_checkout:{subject}"


def _assign(appointment: Appointment, **values: object) -> list[Change]:
    changes = [Change(name, getattr(appointment.row, name), value) for name, value in values.items()]
    for name, value in values.items():
        setattr(appointment.row, name, value)
    return changes
