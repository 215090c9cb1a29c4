"""The mails of an appointment: confirmed, moved, called off, and the day before.

A mail is for one occasion, which its `once_key` names with the version that the appointment had then: however often
its job runs, it goes out once. It says what holds when it leaves. One that was overtaken by a later occasion, or does
not hold any more, does not leave at all, and the mails about one appointment leave one after the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, TypeVar, get_args
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session, class_mapper

from admin_app.config import Settings
from admin_app.context import Ctx
from admin_app.errors import Conflict
from admin_app.policies.permissions import Permission, require
from admin_app.services import appointments, bookings, payments
from admin_app.services.appointments import Appointment
from admin_app.services.calendars.calendar_entries import SPOKEN
from admin_app.services.calendars.calendar_files import calendar_file
from admin_app.services.core import audit
from admin_app.services.core.amounts import money_text
from admin_app.services.core.plans import Plan, PlannedMail, fingerprint, require_reason, require_same
from admin_app.services.core.records import lock_names
from admin_app.services.core.time_zones import clock_text, time_zones
from admin_app.services.inbox import outbox
from admin_app.services.inbox.outbox import MailUnderWay, OutgoingMail
from admin_app.services.payments import held_money
from admin_app.services.payments.held_money import HeldMoney
from models.bookings import Booking, BookingSource, BookingStatus, CanceledBecause, Meeting
from models.inbox import MailState, SentEmail

Row = TypeVar("Row", Booking, Meeting)
Kind = Literal["confirmation", "rescheduled", "cancellation", "reminder"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SUBJECTS: Mapping[Kind, str] = {
    "confirmation": "Confirmed: {title} on {when}",
    "rescheduled": "Moved: {title} is now on {when}",
    "cancellation": "Canceled: {title} on {when}",
    "reminder": "Reminder: {title} on {when}",
}
ENDED = (BookingStatus.CANCELED, BookingStatus.REFUNDED)


@dataclass(frozen=True)
class Words:
    """The times of a mail as its reader's clock shows them, with the name of the zone."""

    day: str
    clock: str
    zone: str

    @classmethod
    def of(cls, appointment: Appointment) -> "Words":
        zone = zone_of(appointment)
        starts, ends = (moment.astimezone(zone) for moment in (appointment.row.starts_at, appointment.row.ends_at))
        return cls(f"{starts:%A}, {starts.day} {starts:%B %Y}", f"{clock_text(starts)} to {clock_text(ends)}", zone.key)


def zone_of(appointment: Appointment) -> ZoneInfo:
    """The reader's own zone where it is known, else the practitioner's."""
    # Calendars and earlier times may have kept what nobody knows as a zone.
    named = (appointment.time_zone, appointment.practitioner.time_zone)
    return ZoneInfo(next((name for name in named if name in time_zones()), "UTC"))


def plan_resend(ctx: Ctx, *, subject: str) -> Plan:
    """Who would get the confirmation once more."""
    require(ctx, Permission.BOOKINGS_READ)
    return _plan(ctx, appointments.get(ctx.session, subject))


def resend_confirmation(ctx: Ctx, *, subject: str, reason: str, shown: str) -> Appointment:
    """Have the confirmation sent once more, with the calendar file as it is now."""
    require(ctx, Permission.BOOKINGS_MANAGE)
    reason = require_reason(reason)
    appointment = appointments.locked(ctx, subject)
    plan = _plan(ctx, appointment)
    if plan.refusal:
        raise Conflict(plan.refusal)
    require_same(shown, plan.fingerprint)
    bookings.touch(ctx, appointment)
    bookings.record(ctx, appointment, "booking.mail_requested", reason=reason, mail="confirmation")
    bookings.send_mail(ctx, appointment, "confirmation", once="again")
    return appointment


def _plan(ctx: Ctx, appointment: Appointment) -> Plan:
    refusal = None
    if appointment.row.status is not BookingStatus.CONFIRMED:
        refusal = "Only what is confirmed has a confirmation to send."
    elif appointment.row.ends_at <= ctx.now:
        refusal = "Its time is over, so there is nothing to confirm any more."
    elif appointment.email is None:
        refusal = "There is no e-mail address to send it to."
    elif appointment.source in SPOKEN:
        refusal = f"It was made in {SPOKEN[appointment.source]}, which sends its own confirmation."
    return Plan(
        title=f"Send the confirmation of {appointment.kind} {appointment.number} again",
        outcome="sent",
        lines=(),
        consequences=(f"A mail with a calendar file goes to {appointment.email}.", "Nothing else changes."),
        fingerprint=fingerprint(appointment.row),
        refusal=refusal,
        mails=() if refusal else planned(ctx, appointment, "confirmation"),
    )


def planned(
    ctx: Ctx,
    appointment: Appointment,
    kind: Kind,
    *,
    values: Mapping[str, object] | None = None,
    money: HeldMoney | None = None,
    when: str = "at once",
    later: bool = False,
) -> tuple[PlannedMail, ...]:
    """The mail of this kind as it will read once the appointment has these values; none where nobody is written to.

    `money` is what will have become of its money by then, if that differs from now.
    """
    if appointment.source is not BookingSource.WEBSITE or not appointment.email:
        return ()
    model = type(appointment.row)
    names = [column.key for column in class_mapper(model).column_attrs]
    fields = {name: getattr(appointment.row, name) for name in names}
    after = replace(appointment, row=model(**(fields | dict(values or {}))))
    subject, text, _ = _composed(ctx, after, kind, money)
    return (PlannedMail(appointment.email, subject, text, when, later),)


def planned_again(ctx: Ctx, *, subject: str, kind: Kind, once: str) -> tuple[PlannedMail, ...]:
    """The mail of one occasion as `prepare` would write it now; none where it does not hold any more."""
    appointment = appointments.find(ctx.session, subject)
    if appointment is None or appointment.email is None or not _holds(ctx, appointment, kind, once):
        return ()
    mail_subject, text, _ = _composed(ctx, appointment, kind)
    return (PlannedMail(appointment.email, mail_subject, text),)


def prepare(ctx: Ctx, *, subject: str, kind: Kind, once: str, settings: Settings) -> OutgoingMail | None:
    """The mail, written and noted as being handed over.

    None when it went out already or may have, was overtaken, or does not hold any more. Raises MailUnderWay while a
    mail about the same appointment is being handed over.
    """
    key = ":".join(filter(None, (kind, subject, once)))
    lock_names(ctx.session, f"mail:{subject}")
    query = select(SentEmail).where(SentEmail.once_key == key).with_for_update()
    kept = ctx.session.scalar(query.execution_options(populate_existing=True))
    appointment = appointments.find(ctx.session, subject)
    if appointment is None or appointment.email is None or not _holds(ctx, appointment, kind, once):
        outbox.supersede(ctx, "overtaken", SentEmail.once_key == key)
        return None
    if kept is not None and not outbox.may_leave(ctx, kept):
        return None
    _wait_for_others(ctx, appointment)
    mail = _write(ctx, appointment, kind, kept or SentEmail(once_key=key, created_at=ctx.now), settings)
    message_id = outbox.hand_over(ctx, mail)
    if kind != "reminder":
        outbox.supersede(ctx, "overtaken", _about(appointment), SentEmail.id != mail.id)
    return OutgoingMail(
        mail.id, mail.to_email, mail.subject, mail.text_body, mail.html_body, message_id, calendar=mail.calendar_body
    )


def _about(appointment: Appointment) -> ColumnElement[bool]:
    column = SentEmail.booking_id if appointment.kind == "booking" else SentEmail.meeting_id
    return column == appointment.number


def _wait_for_others(ctx: Ctx, appointment: Appointment) -> None:
    """So that what is told later comes later."""
    busy = select(SentEmail).where(_about(appointment), SentEmail.state == MailState.SENDING)
    if any(outbox.is_under_way(ctx, mail) for mail in ctx.session.scalars(busy)):
        raise MailUnderWay


def to_remind(session: Session, now: datetime, *, limit: int) -> list[str]:
    """Subjects of what begins within a day and had no reminder, so many of each kind, the next first."""
    found: list[str] = []
    for kind, model in appointments.MODELS.items():
        next_first = select(model.id).where(_is_due(model, now)).order_by(model.starts_at, model.id)
        found += [f"{kind}:{number}" for number in session.scalars(next_first.limit(limit))]
    return found


def remind(ctx: Ctx, *, subject: str) -> bool:
    """Queue the reminder of this appointment; False when none is due, or when somebody is working on it."""
    kind, number = appointments.subject_parts(subject)
    row = _due(ctx, Booking, number) if kind == "booking" else _due(ctx, Meeting, number)
    if row is None:
        return False
    row.reminded_at = ctx.now
    appointment = appointments.of(ctx.session, row)
    bookings.send_mail(ctx, appointment, "reminder", once=appointments.at(row.starts_at))
    return True


def _due(ctx: Ctx, model: type[Row], number: int) -> Row | None:
    due = select(model).where(model.id == number, _is_due(model, ctx.now)).with_for_update(skip_locked=True)
    return ctx.session.scalar(due.execution_options(populate_existing=True))


def _is_due(model: appointments.Model, now: datetime) -> ColumnElement[bool]:
    return and_(
        model.status == BookingStatus.CONFIRMED,
        model.starts_at > now,
        model.starts_at <= now + bookings.REMIND_BEFORE,
        model.reminded_at.is_(None),
    )


def mark_sent(ctx: Ctx, *, sent_email_id: int, subject: str, kept: bool) -> None:
    """The mail was handed over, or only kept because no mail server is configured."""
    mail = outbox.mark_sent(ctx, sent_email_id=sent_email_id, kept=kept)
    appointment = appointments.get(ctx.session, subject)
    audit.record(
        ctx,
        "booking.mail_sent",
        records=[appointment.subject, f"sent_email:{mail.id}"],
        facts={**appointment.facts, "mail": mail.template},
    )


def _holds(ctx: Ctx, appointment: Appointment, kind: Kind, once: str) -> bool:
    """Whether what the mail says is still so, and nothing was told of since that makes it old."""
    row = appointment.row
    if kind != "reminder" and _is_overtaken(row, once):
        return False
    match kind:
        case "cancellation":
            return row.status in ENDED
        case "reminder":
            return (
                row.status is BookingStatus.CONFIRMED
                and row.starts_at > ctx.now
                and once == appointments.at(row.starts_at)
            )
        case "rescheduled":
            return row.status is BookingStatus.CONFIRMED and once.startswith(appointments.at(row.starts_at))
        case "confirmation":
            return row.status is BookingStatus.CONFIRMED


def _is_overtaken(row: Booking | Meeting, once: str) -> bool:
    """Whether the client is told of a later change; a mail without a version was asked for before there were any."""
    version = once.rpartition("-")[2]
    return version.isdecimal() and row.told_version is not None and int(version) < row.told_version


def _write(ctx: Ctx, appointment: Appointment, kind: Kind, mail: SentEmail, settings: Settings) -> SentEmail:
    """The mail as it reads now: one that has not left yet is written anew, or it would tell what was."""
    mail.template, mail.to_email = kind, appointment.email or ""
    mail.subject, mail.text_body, mail.html_body = _composed(ctx, appointment, kind)
    mail.calendar_body = calendar_file(
        appointment,
        now=ctx.now,
        base_url=settings.base_url,
        sender=settings.mail_from,
        called_off=kind == "cancellation",
    )
    setattr(mail, f"{appointment.kind}_id", appointment.number)
    return mail


def _composed(ctx: Ctx, appointment: Appointment, kind: Kind, money: HeldMoney | None = None) -> tuple[str, str, str]:
    """Subject, text and HTML of a mail; what the plan of a command shows is made here as well."""
    words = Words.of(appointment)
    when = f"{words.day}, {words.clock.partition(' to ')[0]} ({words.zone})"
    subject = SUBJECTS[kind].format(title=" ".join(appointment.title.split()), when=when)
    return subject, *outbox.render(kind, _facts(ctx, appointment, words, money))


def _facts(ctx: Ctx, appointment: Appointment, words: Words, money: HeldMoney | None) -> dict[str, Any]:
    row = appointment.row
    held = money or held_money.of_appointment(ctx.session, appointment.subject, row.price_currency)
    return {
        "name": appointment.name,
        "title": appointment.title,
        "practitioner": appointment.practitioner.name,
        "words": words,
        "price": money_text(row.price_amount, row.price_currency) if appointment.costs else None,
        "because": _because(ctx, appointment),
        "money": (*held.sentences, *_promised(ctx, appointment)),
    }


def _promised(ctx: Ctx, appointment: Appointment) -> tuple[str, ...]:
    """What becomes of a payment that is with the bank when the appointment is called off."""
    row = appointment.row
    told = row.status not in ENDED or row.canceled_because in bookings.UNPAID_ENDS
    if told or not payments.is_processing(ctx.session, appointment.subject):
        return ()
    return ("Your payment is still with your bank. If the money is taken, it goes back to you by itself.",)


def _because(ctx: Ctx, appointment: Appointment) -> str:
    if appointment.row.status is BookingStatus.REFUNDED:
        return "It is canceled, and you get back all that you paid for it."
    match appointment.row.canceled_because:
        case CanceledBecause.BY_CLIENT:
            return "It is canceled, as you wished."
        case CanceledBecause.PAYMENT_FAILED:
            return "Your payment did not go through, so the time is free for others again. Nothing was charged."
        case CanceledBecause.NEVER_PAID:
            return _never_paid(ctx, appointment)
        case _:
            return "It cannot take place. We are sorry."


def _never_paid(ctx: Ctx, appointment: Appointment) -> str:
    row = appointment.row
    if payments.is_processing(ctx.session, appointment.subject):
        return (
            "Your bank had not confirmed your payment when it was to begin, so it does not take place. If the money is "
            "still taken, it goes back to you by itself."
        )
    paid_at = payments.last_paid_at(ctx.session, appointment.subject)
    if paid_at is None:
        return "It was not paid in time, so the time is free for others again. Nothing was charged."
    if paid_at >= row.starts_at:
        return "Your payment came after the time at which it was to begin, so it does not take place."
    is_taken = appointments.taken(
        ctx.session, row.practitioner_id, row.starts_at, row.ends_at, except_=appointment.subject, now=ctx.now
    )
    late = "Your payment came when the time was not held for you any more"
    return f"{late}, and somebody else has it now." if is_taken else f"{late}, and it could not be had again."
