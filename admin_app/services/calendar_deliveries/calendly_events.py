"""What Calendly's deliveries ask for: bookings that were made, moved or called off there.

A delivery is a hint: where a token is set, Calendly is asked for the invitee, and for those before and after it; of an
event with room for several, for everybody who has or had a place in it. What it answers counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select

from admin_app.context import Ctx
from admin_app.integrations import calendly
from admin_app.integrations.calendar_ports import CalendarAttendee, CalendlyEvent, CalendlyInvitee, CalendlyPort
from admin_app.integrations.calendly import calendly_shapes
from admin_app.integrations.registry import Providers
from admin_app.services.calendar_deliveries import absences, calendar_bookings
from admin_app.services.calendars import hosts
from admin_app.services.calendars.calendar_entries import Entry, Waits, asked, question
from admin_app.services.core.time_zones import time_zones
from admin_app.services.inbox.handling import Parked, Reading, Settled
from models.bookings import Booking, BookingSource, CanceledBecause
from models.calendars import BookingLink
from models.inbox import WebhookEvent
from models.schedule import SessionType

MOST_MOVES = 20
_BECAUSE = {"host": CanceledBecause.BY_PRACTITIONER, "invitee": CanceledBecause.BY_CLIENT}


@dataclass(frozen=True)
class Found:
    """The chain of one invitee, the oldest first, and everybody in the events of it that have room for several.

    Nobody without a token. All of it was so at `asked_at` or later.
    """

    chain: tuple[CalendlyInvitee, ...] = ()
    company: tuple[CalendlyInvitee, ...] = ()
    asked_at: datetime | None = None


def read(ctx: Ctx, event: WebhookEvent) -> Reading:
    """What the delivery says; the invitee that it is about is to be fetched."""
    parsed = calendly.parse_event(event.body, event.received_at)
    if parsed.kind == "ignored" or parsed.invitee_uri is None:
        return Reading(parsed, None)
    return Reading(parsed, question(ctx.now, parsed.invitee_uri))


def fetch(providers: Providers, needed: str) -> Found:
    """The invitee as it is now with all that it was before and became since, and who shares its events."""
    asked_at, uri = asked(needed)
    found = None if providers.calendly is None else providers.calendly.invitee(uri)
    if providers.calendly is None or found is None:
        return Found()
    chain = chain_of(providers.calendly, found)
    return Found(chain, company_of(providers.calendly, chain), asked_at)


def company_of(port: CalendlyPort, chain: Sequence[CalendlyInvitee]) -> tuple[CalendlyInvitee, ...]:
    """Everybody in the events of the chain that have room for several; asks for them."""
    shared = dict.fromkeys(invitee.event_uri for invitee in chain if invitee.has_company)
    return tuple(invitee for event_uri in shared for invitee in port.invitees_of(event_uri))


def chain_of(port: CalendlyPort, found: CalendlyInvitee) -> tuple[CalendlyInvitee, ...]:
    """The invitee with all that it was before and became since, the oldest first; asks for the others."""
    before = _along(port, found, lambda invitee: invitee.old_invitee_uri)
    after = _along(port, found, lambda invitee: invitee.new_invitee_uri)
    return (*reversed(before), found, *after)


def _along(calendly_port: CalendlyPort, start: CalendlyInvitee, following: Any) -> list[CalendlyInvitee]:
    chain, seen = [start], {start.uri}
    while (uri := following(chain[-1])) and uri not in seen and len(chain) <= MOST_MOVES:
        found = calendly_port.invitee(uri)
        if found is None:
            break
        seen.add(uri)
        chain.append(found)
    return chain[1:]


def apply(ctx: Ctx, event: WebhookEvent, parsed: CalendlyEvent, found: Found | None) -> Settled | Parked:
    """Create the booking, or move or cancel it."""
    if parsed.kind == "ignored":
        return Settled.ignored("not about an appointment")
    answer = found or Found()
    if answer.chain:
        return apply_chain(ctx, answer.chain, answer.company, asked_at=answer.asked_at, told_at=parsed.occurred_at)
    if parsed.kind == "no_show":
        return _note_absence(ctx, parsed)
    if parsed.invitee is None:
        return Parked("details_missing")
    return apply_chain(ctx, [parsed.invitee], told_at=parsed.occurred_at)


def apply_chain(
    ctx: Ctx,
    chain: Sequence[CalendlyInvitee],
    company: Sequence[CalendlyInvitee] = (),
    *,
    told_at: datetime,
    asked_at: datetime | None = None,
) -> Settled | Parked:
    """Bring the bookings in line with the invitees of one chain, the oldest first, and with their company.

    An event with room for several is a booking of its own, in which each invitee has a place.
    """
    alone = [invitee for invitee in chain if not _is_shared(ctx, invitee)]
    together = dict.fromkeys(invitee.event_uri for invitee in chain if invitee not in alone)
    entries = [[_entry(invitee, told_at, asked_at) for invitee in alone]] if alone else []
    for event_uri in reversed(together):
        those = [one for one in company if one.event_uri == event_uri]
        those = those or [one for one in chain if one.event_uri == event_uri]
        entries.append([_shared_entry(ctx, those, told_at, asked_at)])
    kinds = {invitee.uri: invitee.event_type_uri for invitee in (*company, *chain)}
    sold = [
        calendar_bookings.apply(ctx, of_one, sold=lambda ctx, entry: _sold(ctx, entry, kinds.get(entry.id)))
        for of_one in entries
    ]
    waits = next((one for one in sold if isinstance(one, Parked)), None)
    return waits or sold[0]


def _note_absence(ctx: Ctx, event: CalendlyEvent) -> Settled:
    """What a delivery alone says of somebody who did not come."""
    known = select(BookingLink.booking_id).where(
        BookingLink.provider == BookingSource.CALENDLY.value, BookingLink.external_id == event.invitee_uri
    )
    number = ctx.session.scalar(known)
    if number is None or event.invitee_uri is None:
        return Settled.ignored("not about a booking that is known here")
    absent = event.type == "invitee_no_show.created"
    said = (CalendarAttendee(event.invitee_uri, "", None, absent=absent),)
    return absences.note(ctx, number, BookingSource.CALENDLY, said)


def _is_shared(ctx: Ctx, invitee: CalendlyInvitee) -> bool:
    """Whether others may have a place in the event: it says so, or somebody else has one here."""
    if invitee.places is not None:
        return invitee.has_company
    other = select(Booking.calendly_invitee_uri).where(
        Booking.calendly_event_uri == invitee.event_uri, Booking.calendly_invitee_uri != invitee.uri
    )
    return ctx.session.scalar(other) is not None


def _entry(invitee: CalendlyInvitee, told_at: datetime, asked_at: datetime | None) -> Entry:
    moved = invitee.canceled and (invitee.rescheduled or invitee.new_invitee_uri is not None)
    ended = invitee.canceled and not moved
    return Entry(
        source=BookingSource.CALENDLY,
        id=invitee.uri,
        previous=invitee.old_invitee_uri,
        following=invitee.new_invitee_uri,
        moved=moved,
        starts_at=invitee.starts_at,
        ends_at=invitee.ends_at,
        email=invitee.email,
        name=invitee.name,
        time_zone=invitee.time_zone if invitee.time_zone in time_zones() else None,
        awaits_host=False,
        canceled_at=(invitee.canceled_at or told_at) if ended else None,
        canceled_because=_BECAUSE[invitee.canceler or "host"] if ended else None,
        our_id=None,
        columns={
            "calendly_event_id": invitee.event_id,
            "calendly_event_uri": invitee.event_uri,
            "calendly_invitee_uri": invitee.uri,
        },
        told_at=told_at,
        asked_at=asked_at,
        attendees=(_attendee(invitee, None),),
        host=invitee.host,
    )


def _shared_entry(ctx: Ctx, invitees: Sequence[CalendlyInvitee], told_at: datetime, asked_at: datetime | None) -> Entry:
    """The event as one appointment; whoever of those who come was first is its client."""
    in_order = in_order_of_coming(invitees, told_at)
    lead, last = in_order[0], max(invitees, key=lambda one: (one.canceled_at or told_at, one.uri))
    known_as = ctx.session.scalar(
        select(Booking.calendly_invitee_uri).where(Booking.calendly_event_uri == lead.event_uri)
    )
    attendees = [_attendee(one, (one.canceled_at or told_at) if one.canceled else None) for one in in_order]
    return replace(
        _entry(lead, told_at, asked_at),
        previous=None,
        following=None,
        moved=False,
        canceled_at=None,
        canceled_because=_BECAUSE[last.canceler or "host"],
        attendees=tuple(attendees),
        complete=asked_at is not None,
        shared=True,
        known_as=(known_as,) if known_as else (),
    )


def in_order_of_coming(invitees: Sequence[CalendlyInvitee], at: datetime) -> list[CalendlyInvitee]:
    """Those who come before those who left, and whoever was first before the others."""
    return sorted(invitees, key=lambda one: (one.canceled, one.since or at, one.uri))


def _attendee(invitee: CalendlyInvitee, gone_at: datetime | None) -> CalendarAttendee:
    zone = invitee.time_zone if invitee.time_zone in time_zones() else None
    return CalendarAttendee(
        invitee.uri, invitee.name, invitee.email, zone, invitee.since, gone_at, invitee.absent, invitee.paid
    )


def _sold(ctx: Ctx, entry: Entry, event_type_uri: str | None) -> SessionType:
    """The session type of this event type, in use or not: it was booked; with its host, where that is another one."""
    if event_type_uri is not None:
        same = or_(
            SessionType.calendly_event_type_uri == event_type_uri,
            SessionType.calendly_event_type_id == calendly_shapes.last_id(event_type_uri),
        )
        found = ctx.session.scalars(select(SessionType).where(same).limit(2)).all()
        if len(found) == 1:
            return hosts.offered_by_host(ctx, entry, found[0])
    raise Waits("event_type_unknown")
