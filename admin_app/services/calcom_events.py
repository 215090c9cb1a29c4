"""What Cal.com's deliveries ask for: bookings that were made, moved or called off there, ours among them.

A delivery is a hint: where a key is set, Cal.com is asked for the booking, and for those before and after it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select

from admin_app.addresses import comparable
from admin_app.context import Ctx
from admin_app.integrations import calcom
from admin_app.integrations.calendar_ports import CalcomAccounts, CalcomBooking, CalcomEvent, CalcomPort
from admin_app.integrations.registry import Providers
from admin_app.services import calcom_mapping, calendar_bookings
from admin_app.services.calendar_entries import Entry, Waits
from admin_app.services.event_handling import Parked, Settled
from admin_app.services.time_zones import time_zones
from models.inbox import WebhookEvent
from models.scheduling import BookingSource, CanceledBecause, Practitioner, SessionType

MOST_MOVES = 20


@dataclass(frozen=True)
class Found:
    """Who is who at Cal.com by the settings, and the chain of bookings, the oldest first; none without a key."""

    accounts: CalcomAccounts = field(default_factory=CalcomAccounts)
    chain: tuple[CalcomBooking, ...] = ()


@dataclass(frozen=True)
class Host:
    """With whom it was booked, as Cal.com knows them."""

    event_type_id: str | None
    id: str | None
    email: str | None


def needs(ctx: Ctx, event: WebhookEvent) -> str | None:
    """The booking that the event is about."""
    parsed = _parsed(event)
    return None if parsed.kind == "ignored" else parsed.uid


def fetch(providers: Providers, needed: str) -> Any:
    """The booking as it is now, with all that it was before and became since."""
    found = providers.calcom.booking(needed) if providers.calcom else None
    if providers.calcom is None or found is None:
        return Found(providers.calcom_accounts)
    return Found(providers.calcom_accounts, chain_of(providers.calcom, found))


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


def apply(ctx: Ctx, event: WebhookEvent, found: Any) -> Settled | Parked:
    """Bring the booking in, confirm it, move it or call it off."""
    parsed = _parsed(event)
    if parsed.kind == "ignored":
        return Settled.ignored("not about an appointment")
    asked: Found = found or Found()
    told = _told(parsed)
    entries = [*([told] if told else ()), *_entries(asked.chain, parsed.occurred_at)]
    host = Host(parsed.event_type_id, parsed.organizer_id, parsed.organizer_email)
    return _take_in(ctx, entries, host, asked.accounts)


def take_in(
    ctx: Ctx, chain: Sequence[CalcomBooking], *, accounts: CalcomAccounts, told_at: datetime
) -> Settled | Parked:
    """Bring the booking in line with these of one chain, the oldest first."""
    host = Host(chain[-1].event_type_id, chain[-1].host_id, chain[-1].host_email)
    return _take_in(ctx, _entries(chain, told_at), host, accounts)


def _take_in(ctx: Ctx, entries: Sequence[Entry], host: Host, accounts: CalcomAccounts) -> Settled | Parked:
    if not entries:
        return Parked("attendee_missing")
    return calendar_bookings.take_in(ctx, entries, sold=lambda ctx, entry: _sold(ctx, host, entry, accounts))


def _parsed(event: WebhookEvent) -> CalcomEvent:
    return calcom.parse_event(event.body, event.received_at)


def _told(event: CalcomEvent) -> Entry | None:
    """What the delivery itself says."""
    ended = event.kind in ("canceled", "rejected")
    if event.uid is None or event.starts_at is None or event.ends_at is None or event.attendee_email is None:
        return None
    return _of(
        event.uid,
        event.attendee_email,
        event.attendee_name,
        event.attendee_time_zone,
        (event.starts_at, event.ends_at),
        previous=event.previous_uid,
        following=None,
        awaits_host=event.kind == "requested",
        ended=(event.occurred_at, _because(event.canceled_by, event.attendee_email)) if ended else None,
        our_id=event.our_id,
    )


def _entries(chain: Sequence[CalcomBooking], told_at: datetime) -> list[Entry]:
    return [entry for booking in chain if (entry := _entry(booking, told_at))]


def _entry(booking: CalcomBooking, told_at: datetime) -> Entry | None:
    """What Cal.com answered about one booking of the chain."""
    if booking.attendee_email is None:
        return None
    ended = not booking.active and booking.rescheduled_to_uid is None
    because = _because(booking.canceled_by, booking.attendee_email)
    return _of(
        booking.uid,
        booking.attendee_email,
        booking.attendee_name,
        booking.attendee_time_zone,
        (booking.starts_at, booking.ends_at),
        previous=booking.rescheduled_from_uid,
        following=booking.rescheduled_to_uid,
        awaits_host=booking.status == "pending",
        ended=(booking.updated_at or told_at, because) if ended else None,
        our_id=booking.our_id,
    )


def _of(
    uid: str,
    email: str,
    name: str | None,
    time_zone: str | None,
    times: tuple[datetime, datetime],
    *,
    previous: str | None,
    following: str | None,
    awaits_host: bool,
    ended: tuple[datetime, CanceledBecause] | None,
    our_id: int | None,
) -> Entry:
    return Entry(
        source=BookingSource.CALCOM,
        id=uid,
        previous=previous,
        following=following,
        moved=following is not None,
        starts_at=times[0],
        ends_at=times[1],
        email=email,
        name=name or email,
        time_zone=time_zone if time_zone in time_zones() else None,
        awaits_host=awaits_host,
        canceled_at=ended[0] if ended else None,
        canceled_because=ended[1] if ended else None,
        our_id=our_id,
        columns={"calcom_booking_uid": uid},
    )


def _because(canceled_by: str | None, attendee_email: str) -> CanceledBecause:
    by_client = canceled_by is not None and comparable(canceled_by) == comparable(attendee_email)
    return CanceledBecause.BY_CLIENT if by_client else CanceledBecause.BY_PRACTITIONER


def _sold(ctx: Ctx, host: Host, entry: Entry, accounts: CalcomAccounts) -> SessionType:
    practitioner = calcom_mapping.practitioner_of(
        ctx.session,
        accounts,
        event_type_id=host.event_type_id,
        organizer_id=host.id,
        organizer_email=host.email,
    )
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
