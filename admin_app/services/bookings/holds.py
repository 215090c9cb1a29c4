"""A practitioner's time is held while somebody pays for it, and free again when they do not.

The practitioner's name is locked by whoever takes time; for bookings the exclusion constraint stands behind that lock.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import column, exists, func, literal_column, select, table
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import InvalidInput, NotFound, SlotTaken
from admin_app.policies.permissions import Permission, require
from admin_app.services import appointments, bookings
from admin_app.services.appointments import Appointment
from admin_app.services.core import audit
from admin_app.services.core.email_fields import clean_email
from admin_app.services.core.records import lock_names, practitioner_key
from admin_app.services.core.time_zones import time_zone
from models.bookings import Booking, BookingStatus, CanceledBecause, Meeting
from models.schedule import Practitioner, SessionType

# Stripe lets a checkout stay open for half an hour at least; the minute is for the way there. No hold runs beyond the
# time that it is for.
HOLD_FOR = timedelta(minutes=31)
FURTHEST = timedelta(days=366)
LONGEST_NAME = 200

_JOBS = table("procrastinate_jobs", column("status"), column("queueing_lock"))

Held = TypeVar("Held", Booking, Meeting)


class NoSuchSession(NotFound):
    """The session type is not there or not active, or its practitioner is not: 404."""

    code = "session_type_not_found"
    sentence = "This practitioner does not offer such a session. Choose another one."


class NotOffered(InvalidInput):
    """The time is free and yet none of those that the practitioner offers: 422."""

    code = "not_offered"
    sentence = "This time is not offered. Choose one of the free times."


@dataclass(frozen=True)
class Offer:
    """What a practitioner sells."""

    practitioner: Practitioner
    session_type: SessionType

    def ends_after(self, starts_at: datetime) -> datetime:
        return starts_at + timedelta(minutes=self.session_type.minutes)


def offer(session: Session, *, practitioner_id: int, session_type_id: int) -> Offer:
    """The session type of this practitioner; refused unless both are there, active, and belong together."""
    practitioner = session.get(Practitioner, practitioner_id)
    session_type = session.get(SessionType, session_type_id)
    if practitioner is None or session_type is None or session_type.practitioner_id != practitioner.id:
        raise NoSuchSession
    if not (practitioner.active and session_type.active):
        raise NoSuchSession
    return Offer(practitioner, session_type)


def require_coming(ctx: Ctx, starts_at: datetime) -> None:
    """Refuse a time that has begun, or one so far away that nobody means it."""
    if not ctx.now < starts_at <= ctx.now + FURTHEST:
        sentence = "Choose a time that is still to come, within a year."
        raise InvalidInput(sentence, code=NotOffered.code, fields={"starts_at": sentence})


def held_until(ctx: Ctx, starts_at: datetime) -> datetime:
    """Until when a time is held that begins then."""
    return min(ctx.now + HOLD_FOR, starts_at)


def known_zone(name: str | None) -> str | None:
    """The time zone as it is kept; refused when nobody knows it."""
    return None if name is None else time_zone(name, "timezone").key


def hold(
    ctx: Ctx,
    *,
    practitioner_id: int,
    session_type_id: int,
    starts_at: datetime,
    client_name: str,
    client_email: str,
    client_time_zone: str | None = None,
) -> Appointment:
    """Take the time for this client: confirmed at once when it costs nothing, else held until it is paid or lapses."""
    require(ctx, Permission.BOOKINGS_MAKE)
    sold = offer(ctx.session, practitioner_id=practitioner_id, session_type_id=session_type_id)
    require_coming(ctx, starts_at)
    name, email, zone = clean_name(client_name), clean_email(client_email), known_zone(client_time_zone)
    ends_at = sold.ends_after(starts_at)
    take_time(ctx, practitioner_id=practitioner_id, starts_at=starts_at, ends_at=ends_at)
    booking = Booking(
        practitioner_id=practitioner_id,
        session_type_id=session_type_id,
        client_name=name,
        client_email=email,
        client_time_zone=zone,
        starts_at=starts_at,
        ends_at=ends_at,
        status=BookingStatus.PENDING,
        hold_expires_at=held_until(ctx, starts_at),
        price_amount=sold.session_type.price_amount,
        price_currency=sold.session_type.price_currency,
        created_at=ctx.now,
        updated_at=ctx.now,
    )
    insert(ctx, booking)
    return held(ctx, appointments.of(ctx.session, booking))


def held(ctx: Ctx, appointment: Appointment) -> Appointment:
    """Note that a fresh row holds its time, and confirm it when nothing is to be paid."""
    audit.record(
        ctx,
        "booking.held",
        records=[appointment.subject, practitioner_key(appointment.practitioner.id)],
        facts={**appointment.facts, "email": appointment.email},
    )
    if not appointment.costs:
        bookings.confirm(ctx, appointment)
    return appointment


def insert(ctx: Ctx, booking: Booking) -> None:
    """Add the row; a time that somebody took past every lock is refused like any other."""
    try:
        with ctx.session.begin_nested():
            ctx.session.add(booking)
            ctx.session.flush()  # the constraint speaks here, where it can be heard
    except IntegrityError as refused:
        if "ex_bookings_no_overlap" not in str(refused.orig):
            raise
        raise SlotTaken from None
    ctx.session.refresh(booking)


def take_time(
    ctx: Ctx, *, practitioner_id: int, starts_at: datetime, ends_at: datetime, except_: str | None = None
) -> None:
    """Lock the practitioner's time and make sure that this part of it is free; refused when it is not."""
    lock_names(ctx.session, practitioner_key(practitioner_id))
    for row in appointments.lapsed_within(ctx.session, practitioner_id, starts_at, ends_at, ctx.now):
        appointment = appointments.of(ctx.session, row)
        if appointment.subject != except_:
            bookings.cancel_unpaid(ctx, appointment, CanceledBecause.NEVER_PAID)
    if appointments.taken(ctx.session, practitioner_id, starts_at, ends_at, except_=except_, now=ctx.now):
        raise SlotTaken


def next_lapse(
    session: Session,
    practitioner_id: int,
    starts_at: datetime,
    ends_at: datetime,
    *,
    except_: str | None,
    now: datetime,
) -> datetime | None:
    """When the next hold lapses that takes this part of the practitioner's time; None when no hold does."""
    found = []
    for kind, model in appointments.MODELS.items():
        held = select(func.min(model.hold_expires_at)).where(
            appointments.overlapping(model, practitioner_id, starts_at, ends_at),
            model.status == BookingStatus.PENDING,
            model.hold_expires_at > now,
        )
        if except_ is not None and appointments.subject_parts(except_)[0] == kind:
            held = held.where(model.id != appointments.subject_parts(except_)[1])
        found.append(session.scalar(held))
    return min((moment for moment in found if moment is not None), default=None)


def release(ctx: Ctx, *, subject: str, only_lapsed: bool = False) -> None:
    """Give a held time up because it cannot be paid for; one that is not held any more stays as it is."""
    appointment = appointments.locked(ctx, subject)
    row = appointment.row
    lapsed = row.hold_expires_at is not None and row.hold_expires_at <= ctx.now
    if row.status is BookingStatus.PENDING and (lapsed or not only_lapsed):
        bookings.cancel_unpaid(ctx, appointment, CanceledBecause.NEVER_PAID)


def lapsed(session: Session, now: datetime, *, limit: int) -> list[str]:
    """Subjects of holds whose time is over, so many of each kind, the oldest first."""
    found: list[str] = []
    for kind, model in appointments.MODELS.items():
        # Whose page is being closed has its job: it takes nobody's place here, however long Stripe does not answer.
        key = func.concat(bookings.closing_key(f"{kind}:"), model.id)
        is_closed = exists().where(_JOBS.c.status == literal_column("'todo'"), _JOBS.c.queueing_lock == key)
        over = select(model.id).where(appointments.lapsed(model, now), ~is_closed)
        found += [f"{kind}:{number}" for number in session.scalars(over.order_by(model.hold_expires_at).limit(limit))]
    return found


def end_lapsed(ctx: Ctx, *, subject: str) -> bool:
    """Have a hold ended whose time is over; what could be paid is asked about at Stripe first. False when it is not."""
    kind, number = appointments.subject_parts(subject)
    row = _lapsed(ctx, Booking, number) if kind == "booking" else _lapsed(ctx, Meeting, number)
    if row is None:
        return False
    appointment = appointments.of(ctx.session, row)
    if appointment.costs:
        bookings.close_checkout(ctx, appointment)
    else:
        release(ctx, subject=subject, only_lapsed=True)
    return True


def _lapsed(ctx: Ctx, model: type[Held], number: int) -> Held | None:
    return ctx.session.scalar(select(model).where(model.id == number, appointments.lapsed(model, ctx.now)))


def clean_name(text: str, *, field: str = "client_name") -> str:
    """The name in one line; refused when there is none or when it is overlong."""
    name = " ".join(text.split())
    if not 0 < len(name) <= LONGEST_NAME:
        sentence = f"Write the name, in at most {LONGEST_NAME} characters."
        raise InvalidInput(sentence, fields={field: sentence})
    return name
