"""A guest books a meeting: registered in WorkOS first, then the time is theirs, at once or when it is paid."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import InvalidInput, NotFound, SlotTaken
from admin_app.integrations.registry import Providers
from admin_app.policies.permissions import Permission, require
from admin_app.services import appointments, guests
from admin_app.services.bookings import booking_limits, holds
from admin_app.services.bookings.holds import NotOffered
from admin_app.services.checkout import checkout_pages
from admin_app.services.core.email_fields import clean_email
from admin_app.services.core.records import lock_names, meeting_key, practitioner_key
from admin_app.services.guests import Registered
from admin_app.services.inbox.provider_calls import Work
from admin_app.services.schedule import availability
from admin_app.services.schedule.availability import Read
from models.bookings import BookingStatus, Meeting
from models.schedule import Practitioner

# Of a meeting that is no session type.
LASTS = timedelta(minutes=30)
CURRENCY = "usd"


class NoSuchPractitioner(NotFound):
    """No active practitioner has this number."""

    code = "practitioner_not_found"
    sentence = "There is no such practitioner. Choose another one."


class NoFreeMeetings(InvalidInput):
    """A meeting without a session type was asked for, which this practitioner does not give."""

    code = "session_type_required"
    sentence = "This practitioner gives no free meetings. Choose one of their session types."


@dataclass(frozen=True)
class MeetingRequest:
    """What a guest asks for."""

    practitioner_id: int
    session_type_id: int | None
    starts_at: datetime
    guest_name: str
    guest_email: str
    time_zone: str | None = None


@dataclass(frozen=True)
class Booked:
    """The meeting as it is kept, and the page where it is paid, if it is to be paid: what is with the bank is not."""

    meeting: Meeting
    checkout_url: str | None


@dataclass(frozen=True)
class _Terms:
    ends_at: datetime
    price_amount: int
    price_currency: str


def book(
    work: Work,
    read: Read,
    providers: Providers,
    wanted: MeetingRequest,
    *,
    ip: str | None,
    return_url: str,
) -> Booked:
    """Register the guest and take the time, which must be offered; the same request again gets the same meeting.

    Raises GuestUserCreationError, with nothing booked, when the guest cannot be registered.
    """
    with work() as ctx:
        wanted, is_made, now = *_checked(ctx, wanted), ctx.now
    if not is_made:
        offered = _is_offered(read, providers, wanted, now)
        with work() as ctx:
            _require_free(ctx, wanted, offered)
            booking_limits.enforce(ctx, ip=ip)
    guest = guests.register(work, providers.workos, email=wanted.guest_email, name=wanted.guest_name)
    with work() as ctx:
        meeting = _take(ctx, wanted, guest)
    if meeting.status is not BookingStatus.PENDING:
        return Booked(meeting, None)
    return Booked(
        meeting, checkout_pages.start(work, providers.stripe, subject=meeting_key(meeting.id), return_url=return_url)
    )


def _checked(ctx: Ctx, wanted: MeetingRequest) -> tuple[MeetingRequest, bool]:
    """What can be refused is refused before anybody is registered or written to; and whether it is made already."""
    require(ctx, Permission.BOOKINGS_MAKE)
    clean = replace(
        wanted,
        guest_name=holds.clean_name(wanted.guest_name, field="guest_name"),
        guest_email=clean_email(wanted.guest_email, field="guest_email"),
        time_zone=holds.known_zone(wanted.time_zone),
    )
    is_made = _made_before(ctx, clean, Meeting.guest_email == clean.guest_email) is not None
    if not is_made:  # what was made stays so, whatever is offered since
        _terms(ctx.session, clean)
        holds.require_coming(ctx, clean.starts_at)
    return clean, is_made


def _is_offered(read: Read, providers: Providers, wanted: MeetingRequest, now: datetime) -> bool:
    return availability.offered(
        read,
        providers,
        practitioner_id=wanted.practitioner_id,
        session_type_id=wanted.session_type_id,
        starts_at=wanted.starts_at,
        now=now,
        lasts=LASTS if wanted.session_type_id is None else None,
    )


def _require_free(ctx: Ctx, wanted: MeetingRequest, offered: bool) -> None:
    """Refuse a time that is not free: it was offered to somebody else, or to nobody."""
    ends_at = _terms(ctx.session, wanted).ends_at
    is_taken = appointments.taken(ctx.session, wanted.practitioner_id, wanted.starts_at, ends_at, now=ctx.now)
    if offered and not is_taken:
        return
    if _made_before(ctx, wanted, Meeting.guest_email == wanted.guest_email) is not None:
        return  # by the same request, which came twice at once
    raise SlotTaken if is_taken else NotOffered(fields={"starts_at": NotOffered.sentence})


def _terms(session: Session, wanted: MeetingRequest) -> _Terms:
    if wanted.session_type_id is None:
        practitioner = session.get(Practitioner, wanted.practitioner_id)
        if practitioner is None or not practitioner.active:
            raise NoSuchPractitioner
        if not practitioner.free_meetings:
            raise NoFreeMeetings(fields={"session_type_id": NoFreeMeetings.sentence})
        return _Terms(wanted.starts_at + LASTS, 0, CURRENCY)
    sold = holds.offer(session, practitioner_id=wanted.practitioner_id, session_type_id=wanted.session_type_id)
    kind = sold.session_type
    return _Terms(sold.ends_after(wanted.starts_at), kind.price_amount, kind.price_currency)


def _take(ctx: Ctx, wanted: MeetingRequest, guest: Registered) -> Meeting:
    """The meeting, confirmed or held for the time that paying takes."""
    lock_names(ctx.session, practitioner_key(wanted.practitioner_id))
    if made := _made_before(ctx, wanted, Meeting.guest_workos_user_id == guest.user_id):
        return made
    terms = _terms(ctx.session, wanted)
    holds.require_coming(ctx, wanted.starts_at)
    holds.take_time(ctx, practitioner_id=wanted.practitioner_id, starts_at=wanted.starts_at, ends_at=terms.ends_at)
    meeting = Meeting(
        practitioner_id=wanted.practitioner_id,
        session_type_id=wanted.session_type_id,
        guest_email=wanted.guest_email,
        guest_name=wanted.guest_name,
        guest_time_zone=wanted.time_zone,
        guest_workos_user_id=guest.user_id,
        guest_org_id=guest.organization_id,
        starts_at=wanted.starts_at,
        ends_at=terms.ends_at,
        status=BookingStatus.PENDING,
        hold_expires_at=holds.held_until(ctx, wanted.starts_at),
        price_amount=terms.price_amount,
        price_currency=terms.price_currency,
        created_at=ctx.now,
        updated_at=ctx.now,
    )
    ctx.session.add(meeting)
    ctx.session.flush()  # its number goes into the audit
    ctx.session.refresh(meeting)
    holds.held(ctx, appointments.of(ctx.session, meeting))
    return meeting


def _made_before(ctx: Ctx, wanted: MeetingRequest, guest: ColumnElement[bool]) -> Meeting | None:
    """The meeting that this very request has made already and that still stands."""
    stands = or_(
        Meeting.status == BookingStatus.CONFIRMED,
        (Meeting.status == BookingStatus.PENDING) & ~appointments.lapsed(Meeting, ctx.now),
    )
    return ctx.session.scalars(
        select(Meeting).where(
            Meeting.practitioner_id == wanted.practitioner_id,
            Meeting.session_type_id.is_not_distinct_from(wanted.session_type_id),
            Meeting.starts_at == wanted.starts_at,
            guest,
            stands,
        )
    ).first()
