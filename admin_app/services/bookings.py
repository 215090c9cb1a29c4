"""The steps of a booking's or meeting's life: confirmed, given up, ended. Each takes a locked appointment.

What a person decides (`cancellations`, `rescheduling`, `attendance`) and what Stripe tells (`checkout`) both come here.
"""

from datetime import UTC, datetime, timedelta

from admin_app.context import Ctx
from admin_app.integrations import job_queue
from admin_app.services import audit, payments
from admin_app.services.appointments import Appointment
from admin_app.services.audit import Change
from admin_app.services.records import practitioner_key
from models.scheduling import BookingSource, BookingStatus, CanceledBecause

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
    row = appointment.row
    changes = _assign(appointment, status=BookingStatus.CONFIRMED, hold_expires_at=None, canceled_because=None)
    row.canceled_at = None
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


def cancel(
    ctx: Ctx,
    appointment: Appointment,
    because: CanceledBecause,
    *,
    reason: str | None = None,
    tell: bool = True,
) -> None:
    """Somebody called it off: the client is told unless not wished, so is the calendar, and it can be paid no more."""
    changes = end(ctx, appointment, BookingStatus.CANCELED, because)
    record(ctx, appointment, "booking.canceled", changes=changes, reason=reason, because=BECAUSE[because])
    close_checkout(ctx, appointment)
    if tell:
        send_mail(ctx, appointment, "cancellation")
    sync_calendar(ctx, appointment)


def move(
    ctx: Ctx, appointment: Appointment, starts_at: datetime, ends_at: datetime, *, reason: str | None = None
) -> None:
    """Put it at another time, which `holds.take_time` has found free; the client and the calendar are told."""
    changes = _assign(appointment, starts_at=starts_at, ends_at=ends_at)
    remind_later(ctx, appointment)
    touch(ctx, appointment)
    record(ctx, appointment, "booking.rescheduled", changes=changes, reason=reason)
    send_mail(ctx, appointment, "rescheduled", once=at(starts_at))
    sync_calendar(ctx, appointment)


def correct_email(ctx: Ctx, appointment: Appointment, email: str, *, reason: str | None = None) -> None:
    """The client of a booking is written to under another address from now on."""
    changes = _assign(appointment, client_email=email)
    touch(ctx, appointment)
    record(ctx, appointment, "booking.email_corrected", changes=changes, reason=reason)


def mark_refunded(ctx: Ctx, appointment: Appointment) -> None:
    """All of the money went back, so nothing is owed any more: a coming appointment is off."""
    told = appointment.row.status is BookingStatus.CONFIRMED and appointment.row.starts_at > ctx.now
    changes = end(ctx, appointment, BookingStatus.REFUNDED, None)
    record(ctx, appointment, "booking.refunded", changes=changes)
    if told:
        appointment.row.canceled_at = ctx.now
        send_mail(ctx, appointment, "cancellation")
        sync_calendar(ctx, appointment)


def refund_came_back(ctx: Ctx, appointment: Appointment) -> None:
    """The bank sent the money back, so it is not refunded: it is off with its money here, or took place and is paid.

    Nobody is written to: the client heard that it is off, and what becomes of the money is decided by a person.
    """
    was_off = appointment.row.canceled_at is not None or appointment.row.ends_at > ctx.now
    before = appointment.row.canceled_at
    status = BookingStatus.CANCELED if was_off else BookingStatus.COMPLETED
    changes = end(ctx, appointment, status, CanceledBecause.BY_STAFF if was_off else None)
    appointment.row.canceled_at = before or appointment.row.canceled_at
    record(ctx, appointment, "booking.refund_returned", changes=changes)


def end(ctx: Ctx, appointment: Appointment, status: BookingStatus, because: CanceledBecause | None) -> list[Change]:
    """Set the last status with its reason and time; returns what changed."""
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
    """Have the client written to; one who booked in Calendly or Cal.com hears of it from there.

    Each change is an occasion of its own, known by the appointment's version: what was asked for before and has not
    left is overtaken by it. A reminder is no change; its occasion is the time it reminds of.
    """
    if appointment.source is not BookingSource.WEBSITE:
        return
    if kind != "reminder":
        row = appointment.row
        row.told_version = row.version
        once = f"{once}-{row.version}" if once else str(row.version)
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


def at(moment: datetime) -> str:
    """A time as the keys of mails have it."""
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _assign(appointment: Appointment, **values: object) -> list[Change]:
    changes = [Change(name, getattr(appointment.row, name), value) for name, value in values.items()]
    for name, value in values.items():
        setattr(appointment.row, name, value)
    return changes
