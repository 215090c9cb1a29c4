"""What Cal.com's deliveries ask for: bookings that were made, moved or called off there, ours among them.

A delivery is a hint: where a key is set, Cal.com is asked for the booking, for those before and after it, and for the
others of its series; what it answers counts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select

from admin_app.addresses import comparable
from admin_app.context import Ctx
from admin_app.integrations import calcom
from admin_app.integrations.calendar_ports import (
    CalcomAccounts,
    CalcomBooking,
    CalcomEvent,
    CalcomPort,
    CalendarAttendee,
    CalendarHost,
)
from admin_app.integrations.registry import Providers
from admin_app.services import appointments
from admin_app.services.calendar_deliveries import absences, calendar_bookings
from admin_app.services.calendars import hosts
from admin_app.services.calendars.calendar_entries import Entry, Waits, asked, question
from admin_app.services.core.time_zones import time_zones
from admin_app.services.inbox.handling import Parked, Reading, Settled
from models.bookings import Booking, BookingSource, CanceledBecause
from models.inbox import WebhookEvent
from models.schedule import Practitioner, SessionType

MOST_MOVES = 20
_SOURCE = BookingSource.CALCOM


@dataclass(frozen=True)
class Found:
    """Who is who at Cal.com by the settings, and the chain of bookings, the oldest first; none without a key.

    `others` are the other bookings of its series. All of it was so at `asked_at` or later.
    """

    accounts: CalcomAccounts = field(default_factory=CalcomAccounts)
    chain: tuple[CalcomBooking, ...] = ()
    others: tuple[CalcomBooking, ...] = ()
    asked_at: datetime | None = None


def read(ctx: Ctx, event: WebhookEvent) -> Reading:
    """What the delivery says; the booking that it is about is to be fetched."""
    parsed = calcom.parse_event(event.body, event.received_at)
    if parsed.kind == "ignored" or parsed.uid is None:
        return Reading(parsed, None)
    return Reading(parsed, question(ctx.now, parsed.uid))


def fetch(providers: Providers, needed: str) -> Found:
    """The booking as it is now, with all that it was before and became since, and the others of its series."""
    asked_at, uid = asked(needed)
    found = providers.calcom.booking(uid) if providers.calcom else None
    if providers.calcom is None or found is None:
        return Found(providers.calcom_accounts)
    chain = chain_of(providers.calcom, found)
    others = providers.calcom.series(found.series_uid) if found.series_uid else ()
    known = {booking.uid for booking in chain}
    return Found(providers.calcom_accounts, chain, tuple(other for other in others if other.uid not in known), asked_at)


def chain_of(port: CalcomPort, found: CalcomBooking) -> tuple[CalcomBooking, ...]:
    """The booking with all that it was before and became since, the oldest first; asks for the others."""
    before = _along(port, found, lambda booking: booking.rescheduled_from_uid)
    after = _along(port, found, lambda booking: booking.rescheduled_to_uid)
    return (*reversed(before), found, *after)


def _along(
    port: CalcomPort, start: CalcomBooking, following: Callable[[CalcomBooking], str | None]
) -> list[CalcomBooking]:
    chain, seen = [start], {start.uid}
    while (uid := following(chain[-1])) and uid not in seen and len(chain) <= MOST_MOVES:
        found = port.booking(uid)
        if found is None:
            break
        seen.add(uid)
        chain.append(found)
    return chain[1:]


def apply(ctx: Ctx, event: WebhookEvent, parsed: CalcomEvent, found: Found | None) -> Settled | Parked:
    """Create the booking, or confirm, move or cancel it."""
    if parsed.kind == "ignored":
        return Settled.ignored("not about an appointment")
    answer = found or Found()
    if answer.chain and answer.asked_at is not None:
        return _apply_with_series(ctx, answer, answer.asked_at)
    if parsed.kind == "no_show":
        return _note_absence(ctx, parsed)
    entry = _delivered(parsed)
    if entry is None:
        return Parked("attendee_missing")
    return _apply_entries(ctx, [entry], answer.accounts)


def apply_chain(
    ctx: Ctx, chain: Sequence[CalcomBooking], *, accounts: CalcomAccounts, told_at: datetime
) -> Settled | Parked:
    """Bring the booking in line with these of one chain, the oldest first, as they were answered at `told_at`."""
    return _apply_entries(ctx, _entries(chain, told_at), accounts)


def _apply_with_series(ctx: Ctx, answer: Found, asked_at: datetime) -> Settled | Parked:
    """The chain, then the others of the series: one delivery tells that several ended."""
    became = [_apply_entries(ctx, _entries(answer.chain, asked_at), answer.accounts)]
    others = _news(ctx, answer.others) if answer.others else []
    became += [_apply_entries(ctx, _entries((other,), asked_at), answer.accounts) for other in others]
    waits = next((one for one in became if isinstance(one, Parked)), None)
    return waits or became[0]


def _news(ctx: Ctx, others: Sequence[CalcomBooking]) -> list[CalcomBooking]:
    """Those of a series that are on and unknown here, or known here as something else than they are."""
    uids = [other.uid for other in others]
    rows = select(Booking.calcom_booking_uid, Booking.status, Booking.starts_at).where(
        Booking.calcom_booking_uid.in_(uids)
    )
    known = {row.calcom_booking_uid: row for row in ctx.session.execute(rows)} if uids else {}
    return [other for other in others if _is_news(other, known.get(other.uid), ctx.now)]


def _is_news(other: CalcomBooking, row: Any, now: datetime) -> bool:
    if other.rescheduled_to_uid is not None:
        return False  # what it became is listed too
    if row is None:
        return other.active and other.ends_at > now
    is_on = row.status in appointments.OCCUPYING
    return other.active != is_on or (is_on and row.starts_at != other.starts_at)


def _apply_entries(ctx: Ctx, entries: Sequence[Entry], accounts: CalcomAccounts) -> Settled | Parked:
    if not entries:
        return Parked("attendee_missing")
    return calendar_bookings.apply(ctx, entries, sold=lambda ctx, entry: _sold(ctx, entry, accounts), accounts=accounts)


def _note_absence(ctx: Ctx, event: CalcomEvent) -> Settled:
    """What a delivery alone says of who did not come; it names nothing else."""
    number = ctx.session.scalar(select(Booking.id).where(Booking.calcom_booking_uid == event.uid))
    if number is None:
        return Settled.ignored("not about a booking that is known here")
    return absences.note(ctx, number, _SOURCE, event.attendees)


def _delivered(event: CalcomEvent) -> Entry | None:
    """What the delivery itself says. Of an event with seats it says who came or left, and not who else comes."""
    if event.uid is None or event.starts_at is None or event.ends_at is None or not event.attendees:
        return None
    seated = event.seats is not None and event.seats > 1
    ended = event.kind in ("canceled", "rejected")
    leave = ended and seated
    entry = _of(
        event.uid,
        tuple(replace(one, gone_at=event.occurred_at) for one in event.attendees) if leave else event.attendees,
        (event.starts_at, event.ends_at),
        host=CalendarHost(event.organizer_id, event.organizer_email),
        event_type_id=event.event_type_id,
        canceled_by=event.canceled_by,
        our_id=event.our_id,
    )
    return replace(
        entry,
        previous=None if seated else event.previous_uid,
        awaits_host=event.kind == "requested",
        canceled_at=event.occurred_at if ended and not leave else None,
        canceled_because=entry.canceled_because if ended else None,
        told_at=event.occurred_at,
        seated=seated,
    )


def _entries(chain: Sequence[CalcomBooking], asked_at: datetime) -> list[Entry]:
    """What Cal.com answered. One that goes on although another one came of it gave up a seat, and is not its past."""
    goes_on = {booking.uid for booking in chain if booking.active}
    return [_entry(booking, asked_at, goes_on) for booking in chain if booking.coming]


def _entry(booking: CalcomBooking, asked_at: datetime, goes_on: set[str]) -> Entry:
    ended = not booking.active and booking.rescheduled_to_uid is None
    entry = _of(
        booking.uid,
        booking.coming,
        (booking.starts_at, booking.ends_at),
        host=CalendarHost(booking.host_id, booking.host_email),
        event_type_id=booking.event_type_id,
        canceled_by=booking.canceled_by,
        our_id=booking.our_id,
    )
    following = None if booking.active else booking.rescheduled_to_uid
    return replace(
        entry,
        previous=None if booking.rescheduled_from_uid in goes_on else booking.rescheduled_from_uid,
        following=following,
        moved=following is not None,
        awaits_host=booking.status == "pending",
        canceled_at=(booking.updated_at or asked_at) if ended else None,
        canceled_because=entry.canceled_because if ended else None,
        asked_at=asked_at,
        complete=True,
        seated=booking.seated,
    )


def _of(
    uid: str,
    coming: tuple[CalendarAttendee, ...],
    times: tuple[datetime, datetime],
    *,
    host: CalendarHost,
    event_type_id: str | None,
    canceled_by: str | None,
    our_id: int | None,
) -> Entry:
    """What answers and deliveries have in common; the first who comes is the client."""
    client = coming[0]
    return Entry(
        source=_SOURCE,
        id=uid,
        previous=None,
        following=None,
        moved=False,
        starts_at=times[0],
        ends_at=times[1],
        email=client.email,
        name=client.name,
        time_zone=client.time_zone if client.time_zone in time_zones() else None,
        awaits_host=False,
        canceled_at=None,
        canceled_because=_because(canceled_by, coming),
        our_id=our_id,
        columns={"calcom_booking_uid": uid},
        attendees=coming,
        host=host if host.id or host.email else None,
        event_type_id=event_type_id,
    )


def _because(canceled_by: str | None, coming: Sequence[CalendarAttendee]) -> CanceledBecause:
    them = {comparable(one.email) for one in coming if one.email}
    by_client = canceled_by is not None and comparable(canceled_by) in them
    return CanceledBecause.BY_CLIENT if by_client else CanceledBecause.BY_PRACTITIONER


def _sold(ctx: Ctx, entry: Entry, accounts: CalcomAccounts) -> SessionType:
    practitioner = hosts.of_new(ctx, accounts, entry)
    if practitioner is None:
        raise Waits("practitioner_unknown")
    return _session_type(ctx, practitioner, int((entry.ends_at - entry.starts_at).total_seconds() // 60))


def _session_type(ctx: Ctx, practitioner: Practitioner, minutes: int) -> SessionType:
    """The one of this length, else the only one: Cal.com knows event types of its own."""
    offered = ctx.session.scalars(
        select(SessionType).where(SessionType.practitioner_id == practitioner.id, SessionType.active)
    ).all()
    fitting = [kind for kind in offered if kind.minutes == minutes] or offered
    if len(fitting) != 1:
        raise Waits("session_type_unclear")
    return fitting[0]
