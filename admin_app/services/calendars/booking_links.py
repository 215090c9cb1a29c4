"""The ids that a booking has and had at Calendly and Cal.com, and what becomes of two bookings that are one.

What is known of an id only grows: it belongs to a booking, another one followed it, it was called off there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import InstrumentedAttribute

from admin_app.context import Ctx
from admin_app.services import appointments
from admin_app.services.calendars.calendar_entries import SPOKEN, Entry, Waits
from admin_app.services.core import audit
from admin_app.services.core.records import booking_key, practitioner_key
from admin_app.services.inbox.handling import release_waiting_for
from models.bookings import Booking, BookingSource, BookingStatus
from models.calendars import BookingAttendee, BookingHost, BookingLink
from models.inbox import SentEmail, WebhookEvent

_PLACE = ("starts_at", "ends_at")
_WHO = ("client_name", "client_email", "client_time_zone")
_STATE = ("status", "canceled_because", "canceled_at", "hold_expires_at", "reminded_at")
_IDS = {
    BookingSource.CALENDLY: ("calendly_event_id", "calendly_event_uri", "calendly_invitee_uri"),
    BookingSource.CALCOM: ("calcom_booking_uid",),
}


def current_column(source: BookingSource) -> InstrumentedAttribute[str | None]:
    """Where a booking keeps the id that it has at the provider now."""
    return Booking.calcom_booking_uid if source is BookingSource.CALCOM else Booking.calendly_invitee_uri


def current_id(booking: Booking, source: BookingSource) -> str | None:
    """The calendar's id of the booking as it stands now: a Cal.com uid or a Calendly invitee URI. None: not there."""
    return booking.calcom_booking_uid if source is BookingSource.CALCOM else booking.calendly_invitee_uri


def known_as(source: BookingSource, ids: Sequence[str]) -> list[Select[int]]:
    """Two queries for the numbers of the bookings that one of these ids leads or led to.

    To be put together by UNION: each has an index of its own, and no index serves both at once.
    """
    linked = select(BookingLink.booking_id).where(
        BookingLink.provider == source.value, BookingLink.external_id.in_(ids)
    )
    return [linked, select(Booking.id).where(current_column(source).in_(ids))]


@dataclass(frozen=True)
class Known:
    """What was known before: whether the provider was asked later than the entry, and when it began there."""

    is_outdated: bool
    starts_at: datetime | None


def known(ctx: Ctx, booking: Booking, entry: Entry) -> Known:
    """What the links of this booking say of the entry before it is noted."""
    ids = entry.ids if entry.shared else [entry.id]
    rows = ctx.session.scalars(
        select(BookingLink).where(
            BookingLink.booking_id == booking.id,
            BookingLink.provider == entry.source.value,
            BookingLink.external_id.in_(ids),
        )
    ).all()
    asked = [row.asked_at for row in rows if row.asked_at is not None]
    newest = max(rows, key=lambda row: (row.asked_at is not None, row.asked_at or row.created_at), default=None)
    is_outdated = bool(asked) and entry.at is not None and entry.at < max(asked)
    return Known(is_outdated, newest.starts_at if newest else None)


def note(ctx: Ctx, booking: Booking, entry: Entry) -> BookingLink:
    """Remember what the entry says of its ids; answers the link of its own."""
    own = link(ctx, booking, entry.source, entry.id)
    for identity in entry.ids if entry.shared else ():
        _stands(link(ctx, booking, entry.source, identity), entry)
    _stands(own, entry)
    if entry.previous:
        before = link(ctx, booking, entry.source, entry.previous)
        before.superseded_by = before.superseded_by or entry.id
    if entry.following:
        link(ctx, booking, entry.source, entry.following)
        own.superseded_by = own.superseded_by or entry.following
    own.canceled_at = own.canceled_at or entry.canceled_at
    return own


def _stands(own: BookingLink, entry: Entry) -> None:
    own.starts_at = entry.starts_at
    if entry.asked_at is not None:
        own.asked_at = max(entry.asked_at, own.asked_at or entry.asked_at)


def link(ctx: Ctx, booking: Booking, source: BookingSource, external_id: str) -> BookingLink:
    """The link of this id; it may lead to another booking."""
    values = {"booking_id": booking.id, "provider": source.value, "external_id": external_id, "created_at": ctx.now}
    ctx.session.execute(insert(BookingLink).values(**values).on_conflict_do_nothing())
    this = (BookingLink.provider == source.value) & (BookingLink.external_id == external_id)
    return ctx.session.scalars(select(BookingLink).where(this)).one()


def ended(ctx: Ctx, booking: Booking, source: BookingSource) -> bool:
    """Whether the id that the booking has there now is known to be called off."""
    this = (BookingLink.provider == source.value) & (BookingLink.external_id == current_id(booking, source))
    return bool(ctx.session.scalar(select(exists().where(this, BookingLink.canceled_at.is_not(None)))))


def stands_elsewhere(ctx: Ctx, booking: Booking, source: BookingSource) -> bool:
    """Whether the provider last had it at another time than we."""
    this = (BookingLink.provider == source.value) & (BookingLink.external_id == current_id(booking, source))
    starts_at = ctx.session.scalar(select(BookingLink.starts_at).where(this))
    return starts_at is not None and starts_at != booking.starts_at


def end(ctx: Ctx, booking: Booking, source: BookingSource, external_id: str | None) -> None:
    """Note that it was called off there by us."""
    if external_id is not None:
        own = link(ctx, booking, source, external_id)
        own.canceled_at = own.canceled_at or ctx.now


def called_off_there(ctx: Ctx, booking: Booking) -> bool:
    """Whether what ended the booking was the end of one of its ids, or of its last place, and no decision here."""
    if booking.status is not BookingStatus.CANCELED or booking.canceled_at is None:
        return False
    ended = exists().where(BookingLink.booking_id == booking.id, BookingLink.canceled_at == booking.canceled_at)
    left = exists().where(BookingAttendee.booking_id == booking.id, BookingAttendee.gone_at == booking.canceled_at)
    return bool(ctx.session.scalar(select(or_(ended, left))))


def joined(ctx: Ctx, found: Sequence[Booking], entry: Entry) -> Booking:
    """The one booking that all of these are, now that the entry tells so; the earliest row stays."""
    kept = min(found, key=lambda booking: (booking.source is not BookingSource.WEBSITE, booking.id))
    for other in found:
        if other is not kept:
            _join(ctx, kept, other, entry)
    return kept


def _join(ctx: Ctx, kept: Booking, other: Booking, entry: Entry) -> None:
    if other.source is BookingSource.WEBSITE:
        raise Waits("two_bookings")
    note(ctx, kept, entry)
    ctx.session.flush()  # the chain is read by a query
    later = _comes_later(ctx, kept, other, entry.source)
    values = _taken_over(ctx, kept, other, entry.source) if later else {}
    if later:
        for people in (BookingAttendee, BookingHost):
            of_kept = (people.booking_id == kept.id, people.provider == entry.source.value)
            ctx.session.execute(delete(people).where(*of_kept))
            ctx.session.execute(update(people).where(people.booking_id == other.id).values(booking_id=kept.id))
    for table in (BookingLink, WebhookEvent, SentEmail):
        ctx.session.execute(update(table).where(table.booking_id == other.id).values(booking_id=kept.id))
    ctx.session.expunge(other)
    freed = practitioner_key(other.practitioner_id)
    ctx.session.execute(delete(Booking).where(Booking.id == other.id))
    changes = [audit.Change(name, getattr(kept, name), value) for name, value in values.items()]
    for name, value in values.items():
        setattr(kept, name, value)
    release_waiting_for(ctx, freed)
    kept.version += 1
    kept.updated_at = ctx.now
    ctx.session.flush()  # a constraint that refuses speaks before the audit's one lock
    audit.record(
        ctx,
        "booking.joined",
        records=[booking_key(kept.id), booking_key(other.id), practitioner_key(kept.practitioner_id)],
        changes=changes,
        facts={"number": str(kept.id), "other": str(other.id), "provider": SPOKEN[entry.source]},
    )


def _taken_over(ctx: Ctx, kept: Booking, other: Booking, source: BookingSource) -> dict[str, Any]:
    """What the later of two rows says; what was ended here stays ended, and what was sold here keeps its client."""
    names = [*_IDS[source]]
    if kept.status in appointments.OCCUPYING or called_off_there(ctx, kept):
        names += _PLACE if kept.source is BookingSource.WEBSITE else (*_PLACE, *_WHO, *_STATE)
    return {name: getattr(other, name) for name in names}


def _comes_later(ctx: Ctx, kept: Booking, other: Booking, source: BookingSource) -> bool:
    """Whether the other's id follows, perhaps over several, the id of the one that is kept."""
    rows = ctx.session.execute(
        select(BookingLink.external_id, BookingLink.superseded_by).where(
            BookingLink.booking_id.in_([kept.id, other.id]), BookingLink.provider == source.value
        )
    )
    following = {row.external_id: row.superseded_by for row in rows}
    wanted, position = current_id(other, source), current_id(kept, source)
    for _ in range(len(following)):
        if position is None or position == wanted:
            break
        position = following.get(position)
    return wanted is not None and (position == wanted or current_id(kept, source) is None)
