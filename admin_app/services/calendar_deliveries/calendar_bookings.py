"""Bookings that are made, moved and called off in Calendly or Cal.com.

A reschedule gives a booking a new id there; `booking_links` leads from each of them to the booking, so that X → Y → Z
is one booking whatever is told first, and however often. Only the last id of a chain says where the booking is.

What the calendar answered counts; an answer that is older than the last one of the same id changes nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from sqlalchemy import ColumnElement, exists, select, union

from admin_app.context import Ctx
from admin_app.errors import SlotTaken
from admin_app.integrations import job_queue
from admin_app.integrations.calendar_ports import CalcomAccounts
from admin_app.services import appointments, bookings
from admin_app.services.appointments import OCCUPYING, Appointment
from admin_app.services.bookings import holds
from admin_app.services.calendar_deliveries import absences
from admin_app.services.calendars import attendees, booking_links, calendar_calls, hosts
from admin_app.services.calendars.booking_links import called_off_there, current_id
from admin_app.services.calendars.calendar_entries import SPOKEN, Entry, Waits
from admin_app.services.core import audit
from admin_app.services.core.records import booking_key, lock_names, practitioner_key
from admin_app.services.inbox.handling import Parked, Settled, release_waiting
from admin_app.services.payments import held_money
from admin_app.services.refunds import called_off
from models.bookings import Booking, BookingSource, BookingStatus, CanceledBecause
from models.calendars import BookingLink
from models.inbox import CallState, EventState, ProviderCall
from models.schedule import SessionType

RESCHEDULE_UNSEEN, TIME_TAKEN = "reschedule_unseen", "time_taken"
# What ends with time given up in a calendar, where a call of ours may have been refused because of it.
GIVES_UP_TIME = frozenset(("canceled", "moved", "handed over"))
# What the next news of the same ids may end.
WAITING_FOR_NEWS = (RESCHEDULE_UNSEEN, TIME_TAKEN, "two_bookings", "attendee_missing", "details_missing")
Sold = Callable[[Ctx, Entry], SessionType]
NOBODY = CalcomAccounts()


def apply(ctx: Ctx, entries: Sequence[Entry], *, sold: Sold, accounts: CalcomAccounts = NOBODY) -> Settled | Parked:
    """Bring the booking in line with these entries of one chain, the oldest first.

    `sold` finds what was booked, for a booking that is not known yet; it may raise Waits.
    """
    provider = entries[0].source.value
    ids = {identity for entry in entries for identity in entry.ids}
    lock_names(ctx.session, *(f"{provider}:{name}" for name in {name for entry in entries for name in entry.locks}))
    applied = _attempt(ctx, entries, sold, accounts)
    if isinstance(applied, Waits) and applied.waits_for is not None:
        # What a savepoint locked is free again with it. Under the lock that stays, nothing is moved unseen.
        lock_names(ctx.session, applied.waits_for)
        applied = _attempt(ctx, entries, sold, accounts)
    if isinstance(applied, Waits):
        return Parked(applied.because, applied.waits_for, applied.again_at)
    release_waiting(ctx, provider, WAITING_FOR_NEWS, subjects=ids)
    booking_id = applied[-1][0]
    outcomes = dict.fromkeys(outcome for _, outcome in applied if outcome)
    if outcomes and (entries[-1].ended_at is not None or not GIVES_UP_TIME.isdisjoint(outcomes)):
        calendar_calls.queue_refused(ctx)
    if not outcomes:
        return Settled(EventState.SUPERSEDED, "nothing that was not known already", booking_id=booking_id)
    return Settled.done(", ".join(outcomes), booking_id=booking_id)


def _attempt(
    ctx: Ctx, entries: Sequence[Entry], sold: Sold, accounts: CalcomAccounts
) -> list[tuple[int, str | None]] | Waits:
    try:
        with ctx.session.begin_nested():
            # The latest first: it says where the booking is, and the earlier ones find it by their links.
            return [_apply_entry(ctx, entry, sold, accounts) for entry in reversed(entries)]
    except Waits as waits:
        return waits


def _apply_entry(ctx: Ctx, entry: Entry, sold: Sold, accounts: CalcomAccounts) -> tuple[int, str | None]:
    having = {practitioner_key(one.id) for one in hosts.named(ctx, accounts, entry.host, entry.source)}
    found = _bookings(ctx, entry, having)
    if not found:
        if entry.moved:
            raise Waits(RESCHEDULE_UNSEEN)
        booking = _create(ctx, entry, sold(ctx, entry))
        booking_links.note(ctx, booking, entry)
        _note_people(ctx, booking, entry)
        return booking.id, "brought in"
    booking = booking_links.joined(ctx, found, entry)
    outcome = "joined" if len(found) > 1 else None
    known = booking_links.known(ctx, booking, entry)
    if known.is_outdated:
        return booking.id, outcome
    own = booking_links.note(ctx, booking, entry)
    if own.superseded_by is not None or entry.moved or (not entry.shared and _is_older(booking, entry)):
        return booking.id, outcome
    followed = _follow(ctx, booking, entry, own, known.starts_at, accounts)
    return booking.id, followed or outcome


def _note_people(ctx: Ctx, booking: Booking, entry: Entry) -> None:
    attendees.note(ctx, booking, entry)
    hosts.note(ctx, booking, entry)


def _bookings(ctx: Ctx, entry: Entry, having: set[str]) -> list[Booking]:
    """Every booking that one of the entry's ids leads to, its practitioner's time and its row locked.

    With them the times of those whose calendar it is in, by their keys: it may be put there.
    """
    ways = booking_links.known_as(entry.source, entry.ids)
    if entry.our_id is not None:
        ways.append(select(Booking.id).where(Booking.id == entry.our_id, _was_sent_there(entry)))
    found = ctx.session.execute(select(Booking.id, Booking.practitioner_id).where(Booking.id.in_(union(*ways)))).all()
    lock_names(ctx.session, *{practitioner_key(row.practitioner_id) for row in found} | having)
    rows = select(Booking).where(Booking.id.in_([row.id for row in found])).order_by(Booking.id).with_for_update()
    return list(ctx.session.scalars(rows, execution_options={"populate_existing": True}))


def _was_sent_there(entry: Entry) -> ColumnElement[bool]:
    """Our call to make it there has left: anybody who books there may write a number into the metadata."""
    return exists().where(
        Booking.source == BookingSource.WEBSITE,
        ProviderCall.subject == booking_key(entry.our_id or 0),
        ProviderCall.provider == entry.source.value,
    )


def _is_older(booking: Booking, entry: Entry) -> bool:
    """What followed nothing was the first: whatever else is known of the booking came later."""
    return entry.previous is None and current_id(booking, entry.source) not in (None, entry.id)


def _create(ctx: Ctx, entry: Entry, sold: SessionType) -> Booking:
    """A booking that was made there, whose client hears of it from there."""
    booking = Booking(
        practitioner_id=sold.practitioner_id,
        session_type_id=sold.id,
        client_name=entry.name,
        client_email=entry.email,
        client_time_zone=entry.time_zone,
        starts_at=entry.starts_at,
        ends_at=entry.ends_at,
        status=entry.status,
        canceled_at=entry.ended_at,
        canceled_because=entry.canceled_because if entry.ended_at else None,
        price_amount=sold.price_amount,
        price_currency=sold.price_currency,
        source=entry.source,
        created_at=ctx.now,
        updated_at=ctx.now,
        **entry.columns,
    )
    with _in_the_way(ctx, sold.practitioner_id, entry.starts_at, entry.ends_at):
        if entry.ended_at is None:
            holds.take_time(ctx, practitioner_id=sold.practitioner_id, starts_at=entry.starts_at, ends_at=entry.ends_at)
        holds.insert(ctx, booking)
    bookings.remind_later(ctx, appointments.of(ctx.session, booking))
    audit.record(
        ctx,
        "booking.brought_in",
        records=[booking_key(booking.id), practitioner_key(booking.practitioner_id)],
        facts={"number": str(booking.id), "email": entry.email or entry.name, "provider": SPOKEN[entry.source]},
    )
    return booking


def _follow(
    ctx: Ctx,
    booking: Booking,
    entry: Entry,
    own: BookingLink,
    stood_at: datetime | None,
    accounts: CalcomAccounts,
) -> str | None:
    """The entry is the last of its chain: the booking is where, with whom and what it says.

    `stood_at` is when it began there as far as was known before.
    """
    said = entry if entry.has_places else replace(entry, canceled_at=own.canceled_at)
    led_by = _lead(ctx, booking, entry)
    with_ = booking.practitioner_id if said.canceled_at else hosts.of_known(ctx, accounts, booking, entry)
    attendees.note(ctx, booking, said)
    ended_at = attendees.last_gone(ctx, booking, entry.source) if entry.has_places else own.canceled_at
    outcome = None
    if entry.shared or current_id(booking, entry.source) == entry.id:
        outcome = _keep_up(ctx, booking, entry, stood_at, with_, ended_at)
    else:
        outcome = _follow_to(ctx, booking, entry, with_)
    hosts.note(ctx, booking, entry)
    _lead_by(ctx, booking, entry, led_by)
    appointment = appointments.of(ctx.session, booking)
    if ended_at is not None and booking.status in OCCUPYING:
        _call_off(ctx, appointment, entry, ended_at)
        return "canceled"
    confirms = ended_at is None and not entry.awaits_host and booking.status is BookingStatus.PENDING
    if confirms and booking.source is entry.source:
        bookings.confirm(ctx, appointment)
        return "confirmed"
    return absences.follow(ctx, appointment, entry.source) or outcome


def _follow_to(ctx: Ctx, booking: Booking, entry: Entry, with_: int) -> str:
    """It has another id there."""
    known_there = current_id(booking, entry.source) is not None
    for column, value in entry.columns.items():
        setattr(booking, column, value)
    if booking.source is BookingSource.WEBSITE:
        return _follow_ours(ctx, booking, entry, known_there, with_)
    return _follow_theirs(ctx, booking, entry, with_)


def _keep_up(
    ctx: Ctx, booking: Booking, entry: Entry, stood_at: datetime | None, with_: int, ended_at: datetime | None
) -> str | None:
    """It has the id that it had. Somebody else may host it, at another time; or somebody comes again."""
    moves = stood_at is not None and stood_at != entry.starts_at and not _is_unsettled(ctx, booking)
    revived = (moves and _is_put_off(ctx, booking, entry)) or (
        ended_at is None and entry.has_places and called_off_there(ctx, booking)
    )
    if ended_at is not None or not (booking.status in OCCUPYING or revived):
        return None
    starts_at = entry.starts_at if moves or revived else booking.starts_at
    length = booking.ends_at - booking.starts_at
    ends_at = entry.ends_at if booking.source is entry.source and moves else starts_at + length
    if revived:
        _revive(ctx, booking, entry.status, starts_at, ends_at, with_)
        return "on again"
    return _place(ctx, booking, starts_at, ends_at, with_)


def _is_put_off(ctx: Ctx, booking: Booking, entry: Entry) -> bool:
    """Whether what is over here, for it took place or nobody came, was put at a time there that is still to come."""
    is_coming = entry.ended_at is None and entry.starts_at > ctx.now
    return is_coming and booking.status in (BookingStatus.COMPLETED, BookingStatus.NO_SHOW)


def _follow_theirs(ctx: Ctx, booking: Booking, entry: Entry, with_: int) -> str:
    if not (booking.status in OCCUPYING or called_off_there(ctx, booking) or _is_put_off(ctx, booking, entry)):
        bookings.sync_calendar(ctx, appointments.of(ctx.session, booking))  # it was ended here, so it ends there
        return "ended here before"
    booking.client_name, booking.client_email = entry.name, entry.email
    booking.client_time_zone = entry.time_zone or booking.client_time_zone
    if entry.canceled_at is not None:
        _call_off(ctx, appointments.of(ctx.session, booking), entry, entry.canceled_at)
        booking.starts_at, booking.ends_at = entry.starts_at, entry.ends_at
        return "canceled"
    _revive(ctx, booking, entry.status, entry.starts_at, entry.ends_at, with_)
    return "moved"


def _revive(
    ctx: Ctx, booking: Booking, status: BookingStatus, starts_at: datetime, ends_at: datetime, with_: int
) -> None:
    """Put it there, on whether it was or not."""
    _take_time(ctx, booking, starts_at, ends_at, with_)
    booking.status, booking.canceled_at, booking.canceled_because = status, None, None
    booking.attendance_by = None
    held_money.on_again(ctx, booking_key(booking.id))
    _put(ctx, booking, starts_at, ends_at, with_, anew=True)


def _call_off(ctx: Ctx, appointment: Appointment, entry: Entry, canceled_at: datetime) -> None:
    booking, because = _row(appointment), entry.canceled_because or CanceledBecause.BY_PRACTITIONER
    if booking.status in OCCUPYING:
        called_off.call_off(ctx, appointment, because)
    booking.canceled_at, booking.canceled_because = canceled_at, because


def _follow_ours(ctx: Ctx, booking: Booking, entry: Entry, known_there: bool, with_: int) -> str:
    """A booking that was sold here: moved by its client or host in the calendar, or an echo of what we did there.

    An echo may be late, and the booking moved on here meanwhile. While a call of ours is not settled it counts as one;
    then the calendar is brought in line with the booking, and not the other way.
    """
    revived = called_off_there(ctx, booking) or _is_put_off(ctx, booking, entry)
    stays = booking.status in OCCUPYING or revived
    if not known_there or not stays or _call_is_open(ctx, booking) or entry.canceled_at is not None:
        if booking.status in OCCUPYING and entry.canceled_at is None:
            _place(ctx, booking, booking.starts_at, booking.ends_at, with_)  # its time is ours, its host theirs
        bookings.sync_calendar(ctx, appointments.of(ctx.session, booking))
        return "known by its number here"
    ends_at = entry.starts_at + (booking.ends_at - booking.starts_at)
    if revived:
        _take_time(ctx, booking, entry.starts_at, ends_at, with_)
        booking.attendance_by = None
        _put(ctx, booking, entry.starts_at, ends_at, with_, anew=True)
        bookings.confirm(ctx, appointments.of(ctx.session, booking))
    else:
        _place(ctx, booking, entry.starts_at, ends_at, with_)
    return "moved"


def _call_is_open(ctx: Ctx, booking: Booking) -> bool:
    unsettled = exists().where(
        ProviderCall.subject == booking_key(booking.id),
        ProviderCall.provider == BookingSource.CALCOM.value,
        ProviderCall.state.in_((CallState.INTENDED, CallState.UNKNOWN)),
    )
    return bool(ctx.session.scalar(select(unsettled)))


def _is_unsettled(ctx: Ctx, booking: Booking) -> bool:
    """Whether the calendar is still to be told something about it."""
    return (
        _call_is_open(ctx, booking)
        or calendar_calls.is_waiting(ctx, booking.id)
        or job_queue.waits(ctx.session, f"sync_calendar:{booking.id}")
    )


def _place(ctx: Ctx, booking: Booking, starts_at: datetime, ends_at: datetime, with_: int) -> str | None:
    """Have it there at that time with that practitioner, where it is not."""
    if (booking.starts_at, booking.ends_at, booking.practitioner_id) == (starts_at, ends_at, with_):
        return None
    handed_over = with_ != booking.practitioner_id
    _take_time(ctx, booking, starts_at, ends_at, with_)
    _put(ctx, booking, starts_at, ends_at, with_)
    return "handed over" if handed_over else "moved"


def _put(ctx: Ctx, booking: Booking, starts_at: datetime, ends_at: datetime, with_: int, *, anew: bool = False) -> None:
    appointment = appointments.of(ctx.session, booking)
    if with_ != booking.practitioner_id:
        session_type_id = hosts.session_type_with(ctx, booking, with_)
        bookings.hand_over(ctx, appointment, with_, session_type_id, starts_at, ends_at)
    elif anew or (booking.starts_at, booking.ends_at) != (starts_at, ends_at):
        bookings.move(ctx, appointment, starts_at, ends_at)


def _take_time(ctx: Ctx, booking: Booking, starts_at: datetime, ends_at: datetime, with_: int) -> None:
    with _in_the_way(ctx, with_, starts_at, ends_at, booking):
        holds.take_time(
            ctx, practitioner_id=with_, starts_at=starts_at, ends_at=ends_at, except_=booking_key(booking.id)
        )


@contextmanager
def _in_the_way(
    ctx: Ctx, practitioner_id: int, starts_at: datetime, ends_at: datetime, booking: Booking | None = None
) -> Iterator[None]:
    """A time that is taken is waited for: until something else of theirs moves or ends, or a hold lapses."""
    try:
        yield
    except SlotTaken:
        but = booking_key(booking.id) if booking is not None and booking.id is not None else None
        again_at = holds.next_lapse(ctx.session, practitioner_id, starts_at, ends_at, except_=but, now=ctx.now)
        raise Waits(TIME_TAKEN, practitioner_key(practitioner_id), again_at) from None


def _lead(ctx: Ctx, booking: Booking, entry: Entry) -> str | None:
    """Who came first of those who come, and so is the client of a booking that was made there."""
    coming = attendees.present(ctx, booking, entry.source)
    return coming[0].external_id if coming else None


def _lead_by(ctx: Ctx, booking: Booking, entry: Entry, led_by: str | None) -> None:
    """When another one comes first, that one is the client."""
    coming = attendees.present(ctx, booking, entry.source) if entry.has_places else ()
    if booking.source is not entry.source or not coming or coming[0].external_id == led_by:
        return
    lead = coming[0]
    booking.client_name, booking.client_email = lead.name, lead.email
    booking.client_time_zone = lead.time_zone or booking.client_time_zone
    if entry.shared:
        booking.calendly_invitee_uri = lead.external_id


def _row(appointment: Appointment) -> Booking:
    if not isinstance(appointment.row, Booking):
        raise TypeError("only bookings are kept in calendars")
    return appointment.row
