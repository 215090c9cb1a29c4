"""Somebody books on the web site: the time must be offered, then it is held, then it is paid at Stripe's page."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import SlotTaken
from admin_app.integrations.registry import Providers
from admin_app.policies.permissions import Permission, require
from admin_app.services import appointments
from admin_app.services.appointments import Appointment, NoSuchAppointment
from admin_app.services.bookings import booking_limits, holds
from admin_app.services.bookings.holds import NotOffered
from admin_app.services.checkout import checkout_pages
from admin_app.services.inbox.provider_calls import Work
from admin_app.services.schedule import availability
from admin_app.services.schedule.availability import Read
from models.bookings import Booking, BookingStatus
from models.payments import Payment


@dataclass(frozen=True)
class BookingRequest:
    """What a client asks for."""

    practitioner_id: int
    session_type_id: int
    starts_at: datetime
    client_name: str
    client_email: str
    time_zone: str | None = None


@dataclass(frozen=True)
class Booked:
    """The booking as it stands, and the page on which it is paid, if it is to be paid."""

    appointment: Appointment
    checkout_url: str | None


def book(
    work: Work, read: Read, providers: Providers, wanted: BookingRequest, *, ip: str | None, return_url: str
) -> Booked:
    """Hold the time and have the page made on which it is paid; what costs nothing is confirmed at once.

    Raises SlotTaken when somebody has the time, and what Stripe's port raises, with nothing held.
    """
    with work() as ctx:
        _require_offered(ctx, wanted)
        now = ctx.now
    offered = availability.offered(
        read,
        providers,
        practitioner_id=wanted.practitioner_id,
        session_type_id=wanted.session_type_id,
        starts_at=wanted.starts_at,
        now=now,
    )
    with work() as ctx:
        if not offered:
            raise _why_not(ctx, wanted)
        booking_limits.enforce(ctx, ip=ip)
        appointment = holds.hold(
            ctx,
            practitioner_id=wanted.practitioner_id,
            session_type_id=wanted.session_type_id,
            starts_at=wanted.starts_at,
            client_name=wanted.client_name,
            client_email=wanted.client_email,
            client_time_zone=wanted.time_zone,
        )
    if appointment.row.status is not BookingStatus.PENDING:
        return Booked(appointment, None)
    url = checkout_pages.start(work, providers.stripe, subject=appointment.subject, return_url=return_url)
    return Booked(appointment, url)


def returned(session: Session, *, booking_id: int, session_id: str) -> Booking:
    """The booking, for the one who knows the checkout session that it is paid by; not found for anybody else."""
    found = session.scalar(
        select(Booking).where(Booking.id == booking_id, Booking.stripe_checkout_session_id == session_id)
    )
    if found is None:
        raise NoSuchAppointment
    return found


def paid_by(session: Session, *, session_id: str) -> tuple[Appointment, Payment]:
    """What this checkout session is for, with its payment; not found for a session that is not ours."""
    payment = session.scalar(select(Payment).where(Payment.stripe_checkout_session_id == session_id))
    if payment is None:
        raise NoSuchAppointment
    kind, number = ("booking", payment.booking_id) if payment.booking_id else ("meeting", payment.meeting_id)
    return appointments.get(session, f"{kind}:{number}"), payment


def _require_offered(ctx: Ctx, wanted: BookingRequest) -> None:
    require(ctx, Permission.BOOKINGS_MAKE)
    holds.offer(ctx.session, practitioner_id=wanted.practitioner_id, session_type_id=wanted.session_type_id)
    holds.require_coming(ctx, wanted.starts_at)


def _why_not(ctx: Ctx, wanted: BookingRequest) -> SlotTaken | NotOffered:
    """A time that is not free was offered to somebody else, or to nobody."""
    offer = holds.offer(ctx.session, practitioner_id=wanted.practitioner_id, session_type_id=wanted.session_type_id)
    ends_at = offer.ends_after(wanted.starts_at)
    if appointments.taken(ctx.session, wanted.practitioner_id, wanted.starts_at, ends_at, now=ctx.now):
        return SlotTaken()
    return NotOffered(fields={"starts_at": NotOffered.sentence})
