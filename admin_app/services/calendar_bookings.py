"""Bookings that are made, moved and called off in Calendly or Cal.com.

A reschedule gives a booking a new id there; `booking_links` leads from each of them to the booking, so that X → Y → Z
is one booking whatever is told first, and however often. Only the last id of a chain says where the booking is.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, exists, or_, select

from admin_app.context import Ctx
from admin_app.errors import SlotTaken
from admin_app.services import appointments, audit, booking_links, bookings, called_off, holds
from admin_app.services.appointments import OCCUPYING, Appointment
from admin_app.services.booking_links import called_off_there, current_column, current_id
from admin_app.services.calendar_entries import SPOKEN, Entry, Waits
from admin_app.services.event_handling import Parked, Settled, release_waiting
from admin_app.services.records import booking_key, lock_names, practitioner_key
from models.inbox import EventState
from models.money import CallState, ProviderCall
from models.scheduling import Booking, BookingLink, BookingSource, BookingStatus, CanceledBecause, SessionType

RESCHEDULE_UNSEEN, TIME_TAKEN = "reschedule_unseen", "time_taken"
GIVES_UP_TIME = ("canceled", "moved")
WAITING_FOR_SCHEDULE = ("event_type_unknown", "practitioner_unknown", "session_type_unclear")
Sold = Callable[[Ctx, Entry], SessionType]


def take_in(ctx: Ctx, entries: Sequence[Entry], *, sold: Sold) -> Settled | Parked:
    """Bring the booking in line with these entries of one chain, the oldest first.

    `sold` finds what was booked, for a booking that is not known yet; it may raise Waits.
    """
    provider = entries[0].source.value
    ids = {identity for entry in entries for identity in entry.ids}
    lock_names(ctx.session, *(f"{provider}:{identity}" for identity in ids))
    try:
        with ctx.session.begin_nested():
            # The latest first: it says where the booking is, and the earlier ones find it by their links.
            taken = [_take_in(ctx, entry, sold) for entry in reversed(entries)]
    except Waits as waits:
        return Parked(waits.because)
    except SlotTaken:
        return Parked(TIME_TAKEN)
    release_waiting(ctx, provider, (RESCHEDULE_UNSEEN, TIME_TAKEN), subjects=ids)
    booking_id = taken[-1][0]
    outcomes = dict.fromkeys(outcome for _, outcome in taken if outcome)
    if not outcomes.keys().isdisjoint(GIVES_UP_TIME):
        _release_waiting_for_time(ctx)
    if not outcomes:
        return Settled(EventState.SUPERSEDED, "nothing that was not known already", booking_id=booking_id)
    return Settled.done(", ".join(outcomes), booking_id=booking_id)


def _release_waiting_for_time(ctx: Ctx) -> None:
    """Time was given up: what was made in its place may have been told first."""
    for provider in SPOKEN:
        release_waiting(ctx, provider.value, (TIME_TAKEN,))


def release_waiting_for_schedule(ctx: Ctx) -> None:
    """Practitioners or session types changed: what could not be told apart before may be now."""
    for provider in SPOKEN:
        release_waiting(ctx, provider.value, WAITING_FOR_SCHEDULE)


def _take_in(ctx: Ctx, entry: Entry, sold: Sold) -> tuple[int, str | None]:
    found = _bookings(ctx, entry)
    if not found:
        if entry.moved:
            raise Waits(RESCHEDULE_UNSEEN)
        booking = _bring_in(ctx, entry, sold(ctx, entry))
        booking_links.note(ctx, booking, entry)
        return booking.id, "brought in"
    booking = booking_links.joined(ctx, found, entry)
    own = booking_links.note(ctx, booking, entry)
    if own.superseded_by is not None or entry.moved or _is_older(booking, entry):
        return booking.id, "joined" if len(found) > 1 else None
    return booking.id, _follow(ctx, booking, entry, own)


def _bookings(ctx: Ctx, entry: Entry) -> list[Booking]:
    """Every booking that one of the entry's ids leads to, its practitioner's time and its row locked."""
    linked = select(BookingLink.booking_id).where(
        BookingLink.provider == entry.source.value, BookingLink.external_id.in_(entry.ids)
    )
    conditions: list[ColumnElement[bool]] = [Booking.id.in_(linked), current_column(entry.source).in_(entry.ids)]
    if entry.our_id is not None:
        conditions.append((Booking.id == entry.our_id) & _told_there(entry))
    found = ctx.session.execute(select(Booking.id, Booking.practitioner_id).where(or_(*conditions))).all()
    lock_names(ctx.session, *{practitioner_key(row.practitioner_id) for row in found})
    rows = select(Booking).where(Booking.id.in_([row.id for row in found])).order_by(Booking.id).with_for_update()
    return list(ctx.session.scalars(rows, execution_options={"populate_existing": True}))


def _told_there(entry: Entry) -> ColumnElement[bool]:
    """Our call to make it there has left: anybody who books there may write a number into the metadata."""
    return exists().where(
        Booking.source == BookingSource.WEBSITE,
        ProviderCall.subject == booking_key(entry.our_id or 0),
        ProviderCall.provider == entry.source.value,
    )


def _is_older(booking: Booking, entry: Entry) -> bool:
    """What followed nothing was the first: whatever else is known of the booking came later."""
    return entry.previous is None and current_id(booking, entry.source) not in (None, entry.id)


def _bring_in(ctx: Ctx, entry: Entry, sold: SessionType) -> Booking:
    """A booking that was made there, whose client hears of it from there."""
    if entry.canceled_at is None:
        holds.take_time(ctx, practitioner_id=sold.practitioner_id, starts_at=entry.starts_at, ends_at=entry.ends_at)
    _require_own(ctx, entry, None)
    booking = Booking(
        practitioner_id=sold.practitioner_id,
        session_type_id=sold.id,
        client_name=entry.name,
        client_email=entry.email,
        client_time_zone=entry.time_zone,
        starts_at=entry.starts_at,
        ends_at=entry.ends_at,
        status=entry.status,
        canceled_at=entry.canceled_at,
        canceled_because=entry.canceled_because,
        price_amount=sold.price_amount,
        price_currency=sold.price_currency,
        source=entry.source,
        created_at=ctx.now,
        updated_at=ctx.now,
        **entry.columns,
    )
    holds.insert(ctx, booking)
    bookings.remind_later(ctx, appointments.of(ctx.session, booking))
    audit.record(
        ctx,
        "booking.brought_in",
        records=[booking_key(booking.id), practitioner_key(booking.practitioner_id)],
        facts={"number": str(booking.id), "email": entry.email, "provider": SPOKEN[entry.source]},
    )
    return booking


def _follow(ctx: Ctx, booking: Booking, entry: Entry, own: BookingLink) -> str | None:
    """The entry is the last of its chain: the booking is where and what it says."""
    appointment = appointments.of(ctx.session, booking)
    outcome = None
    if current_id(booking, entry.source) != entry.id:
        _require_own(ctx, entry, booking)
        known_there = current_id(booking, entry.source) is not None
        for column, value in entry.columns.items():
            setattr(booking, column, value)
        if booking.source is BookingSource.WEBSITE:
            outcome = _follow_ours(ctx, appointment, entry, known_there)
        else:
            outcome = _follow_theirs(ctx, appointment, entry)
    if own.canceled_at is not None and booking.status in OCCUPYING:
        _call_off(ctx, appointment, entry, own.canceled_at)
        return "canceled"
    confirms = own.canceled_at is None and not entry.awaits_host and booking.status is BookingStatus.PENDING
    if confirms and booking.source is entry.source:
        bookings.confirm(ctx, appointment)
        return "confirmed"
    return outcome


def _follow_theirs(ctx: Ctx, appointment: Appointment, entry: Entry) -> str:
    booking = _row(appointment)
    if not (booking.status in OCCUPYING or called_off_there(ctx, booking)):
        bookings.sync_calendar(ctx, appointment)  # it was ended here, so it ends there
        return "ended here before"
    booking.client_name, booking.client_email = entry.name, entry.email
    booking.client_time_zone = entry.time_zone or booking.client_time_zone
    if entry.canceled_at is not None:
        _call_off(ctx, appointment, entry, entry.canceled_at)
        booking.starts_at, booking.ends_at = entry.starts_at, entry.ends_at
        return "canceled"
    _take_time(ctx, booking, entry.starts_at, entry.ends_at)
    booking.status, booking.canceled_at, booking.canceled_because = entry.status, None, None
    bookings.move(ctx, appointment, entry.starts_at, entry.ends_at)
    return "moved"


def _call_off(ctx: Ctx, appointment: Appointment, entry: Entry, canceled_at: datetime) -> None:
    booking, because = _row(appointment), entry.canceled_because or CanceledBecause.BY_PRACTITIONER
    if booking.status in OCCUPYING:
        called_off.call_off(ctx, appointment, because)
    booking.canceled_at, booking.canceled_because = canceled_at, because


def _follow_ours(ctx: Ctx, appointment: Appointment, entry: Entry, known_there: bool) -> str:
    """A booking that was sold here: moved by its client or host in the calendar, or an echo of what we did there.

    An echo may be late, and the booking moved on here meanwhile. While a call of ours is not settled it counts as one;
    then the calendar is brought in line with the booking, and not the other way.
    """
    booking = _row(appointment)
    revived = called_off_there(ctx, booking)
    stays = booking.status in OCCUPYING or revived
    if not known_there or not stays or _call_is_open(ctx, appointment) or entry.canceled_at is not None:
        bookings.sync_calendar(ctx, appointment)
        return "known by its number here"
    ends_at = entry.starts_at + (booking.ends_at - booking.starts_at)
    if entry.starts_at != booking.starts_at or revived:
        _take_time(ctx, booking, entry.starts_at, ends_at)
        bookings.move(ctx, appointment, entry.starts_at, ends_at)
    if revived:
        bookings.confirm(ctx, appointment)
    return "moved"


def _call_is_open(ctx: Ctx, appointment: Appointment) -> bool:
    unsettled = exists().where(
        ProviderCall.subject == appointment.subject,
        ProviderCall.provider == BookingSource.CALCOM.value,
        ProviderCall.state.in_((CallState.INTENDED, CallState.UNKNOWN)),
    )
    return bool(ctx.session.scalar(select(unsettled)))


def _take_time(ctx: Ctx, booking: Booking, starts_at: datetime, ends_at: datetime) -> None:
    holds.take_time(
        ctx,
        practitioner_id=booking.practitioner_id,
        starts_at=starts_at,
        ends_at=ends_at,
        except_=booking_key(booking.id),
    )


def _require_own(ctx: Ctx, entry: Entry, booking: Booking | None) -> None:
    """Calendly's group events have several invitees and one event, of which only one can be a booking here."""
    uri = entry.columns.get("calendly_event_uri")
    if uri is None:
        return
    other = ctx.session.scalar(select(Booking.id).where(Booking.calendly_event_uri == uri))
    if other is not None and (booking is None or other != booking.id):
        raise Waits("event_shared")


def _row(appointment: Appointment) -> Booking:
    if not isinstance(appointment.row, Booking):
        raise TypeError("only bookings are kept in calendars")
    return appointment.row
