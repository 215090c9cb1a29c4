"""What comparisons with Calendly and Cal.com share: which booking an appointment there is, and what must agree."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, false, or_, select, tuple_, union, union_all
from sqlalchemy.orm import Session

from admin_app.integrations import job_queue
from admin_app.integrations.calendar_ports import CalcomAccounts
from admin_app.services.calendars.booking_links import current_column, current_id, known_as
from admin_app.services.core.records import booking_key
from admin_app.services.drift import Ours, Values, text_of
from models.bookings import Booking, BookingSource, BookingStatus
from models.calendars import BookingHost
from models.schedule import Practitioner

# Before our number, where a calendar has none of its own for a booking.
UNMADE = "booking:"
OFF = (BookingStatus.CANCELED.value, BookingStatus.REFUNDED.value)
ON = (BookingStatus.PENDING.value, BookingStatus.CONFIRMED.value)


def booking_of(session: Session, source: BookingSource, ids: Sequence[str]) -> Booking | None:
    """The booking that one of these ids leads to; the one that has it now before one that had it."""
    now = current_column(source).in_(ids)
    found = session.scalars(
        select(Booking)
        .where(Booking.id.in_(union(*known_as(source, ids))))
        .order_by(now.desc().nulls_last(), Booking.id)
        .limit(1)
        .execution_options(populate_existing=True)
    )
    return found.first()


def ours(session: Session, booking: Booking, source: BookingSource) -> Ours:
    """The booking as it stands here; `settling` while a job still has to tell the calendar about it."""
    return Ours(
        booking_key(booking.id),
        values(
            booking.status.value,
            booking.starts_at,
            booking.client_email,
            current_id(booking, source),
            _host(session, booking, source),
        ),
        settling=job_queue.waits(session, f"sync_calendar:{booking.id}"),
    )


def _host(session: Session, booking: Booking, source: BookingSource) -> str | None:
    """Who has it there, as far as is known here."""
    now = select(BookingHost.email, BookingHost.external_id).where(
        BookingHost.booking_id == booking.id, BookingHost.provider == source.value, BookingHost.gone_at.is_(None)
    )
    row = session.execute(now).first()
    return None if row is None else row.email or row.external_id


def values(status: str, starts_at: datetime, email: str | None, external_id: str | None, host: str | None) -> Values:
    """The compared fields as text: addresses in lower case, moments in UTC, and None for what is not there."""
    return {
        "status": status,
        "starts_at": text_of(starts_at),
        "client_email": email.lower() if email else None,
        "external_id": external_id or None,
        "host": host.lower() if host else None,
    }


def differing(ours: Values, theirs: Values, now: datetime) -> list[str]:
    """What is over here may be called off nowhere any more, and is not to come there; what is on must be so, then and
    for whom both say.
    """
    is_on, off_there = ours["status"] in ON, theirs["status"] == BookingStatus.CANCELED.value
    if off_there:
        return [] if ours["status"] in OFF else ["status"]
    if ours["status"] in OFF:
        return ["status"] if _is_coming(theirs, now) else []
    if not is_on:  # it took place, or nobody came; but not before its time
        return ["starts_at"] if _is_coming(theirs, now) else []
    differ = [name for name in ("starts_at", "client_email", "external_id") if ours.get(name) != theirs.get(name)]
    other_host = ours.get("host") and theirs.get("host") and ours["host"] != theirs["host"]
    return [*differ, *(["host"] if other_host else [])]


def _is_coming(theirs: Mapping[str, str | None], now: datetime) -> bool:
    return datetime.fromisoformat(theirs["starts_at"] or "") > now


def is_unmade(external_id: str) -> bool:
    """Whether this names a booking of ours that a calendar should have and does not."""
    return external_id.startswith(UNMADE)


def made_there(accounts: CalcomAccounts, now: datetime) -> ColumnElement[bool]:
    """Bookings that are sold here and to come, whose practitioner is booked at Cal.com: it should have them."""
    mapped = or_(Practitioner.calcom_event_type_id.is_not(None), Practitioner.id.in_(accounts.event_types))
    return and_(
        Booking.source == BookingSource.WEBSITE,
        Booking.status == BookingStatus.CONFIRMED,
        Booking.starts_at > now,
        Booking.practitioner_id.in_(select(Practitioner.id).where(mapped)),
    )


def unmade(session: Session, external_id: str, now: datetime) -> Ours | None:
    """A booking that Cal.com should have; nothing where it has it by now, or need not any more."""
    booking = session.get(Booking, int(external_id.removeprefix(UNMADE)), populate_existing=True)
    if booking is None or booking.status is not BookingStatus.CONFIRMED or booking.calcom_booking_uid is not None:
        return None
    return ours(session, booking, BookingSource.CALCOM) if booking.starts_at > now else None


def held(
    session: Session,
    source: BookingSource,
    since: datetime,
    after: str | None,
    limit: int,
    unmade: ColumnElement[bool] = false(),  # noqa: B008 - a constant
) -> list[tuple[str, str]]:
    """Bookings that are on and known there, from `since` on, by their time; and those that should be, by our number."""
    external_id = current_column(source)
    conditions: list[ColumnElement[bool]] = [Booking.starts_at >= since, or_(external_id.is_not(None), unmade)]
    if after is not None:
        moment, _, number = after.partition("|")
        conditions.append(tuple_(Booking.starts_at, Booking.id) > (datetime.fromisoformat(moment), int(number)))
    query = select(Booking.starts_at, Booking.id, external_id).where(*conditions)
    query = query.order_by(Booking.starts_at, Booking.id).limit(limit)
    # Each state has its own order in the index; for both at once all that is over since then would be read.
    each = union_all(*(query.where(Booking.status == state) for state in ON)).subquery()
    rows = session.execute(select(each).order_by(each.c.starts_at, each.c.id).limit(limit))
    return [(f"{text_of(starts_at)}|{number}", uri or f"{UNMADE}{number}") for starts_at, number, uri in rows]
