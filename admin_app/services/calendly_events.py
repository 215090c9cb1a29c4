"""What Calendly's deliveries ask for: bookings that were made, moved or called off there.

A delivery is a hint: where a token is set, Calendly is asked for the invitee, and for those before and after it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select

from admin_app.context import Ctx
from admin_app.integrations import calendly, calendly_shapes
from admin_app.integrations.calendar_ports import CalendlyEvent, CalendlyInvitee, CalendlyPort
from admin_app.integrations.registry import Providers
from admin_app.services import calendar_bookings
from admin_app.services.calendar_entries import Entry, Waits
from admin_app.services.event_handling import Parked, Settled
from admin_app.services.time_zones import time_zones
from models.inbox import WebhookEvent
from models.scheduling import BookingSource, CanceledBecause, SessionType

MOST_MOVES = 20
_BECAUSE = {"host": CanceledBecause.BY_PRACTITIONER, "invitee": CanceledBecause.BY_CLIENT}


def needs(ctx: Ctx, event: WebhookEvent) -> str | None:
    """The invitee that the event is about."""
    parsed = _parsed(event)
    return None if parsed.kind == "ignored" else parsed.invitee_uri


def fetch(providers: Providers, needed: str) -> Any:
    """The invitee as it is now with all that it was before and became since, the oldest first; none without a token."""
    if providers.calendly is None:
        return ()
    found = providers.calendly.invitee(needed)
    return () if found is None else chain_of(providers.calendly, found)


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


def apply(ctx: Ctx, event: WebhookEvent, found: Any) -> Settled | Parked:
    """Bring the booking in, move it or call it off."""
    parsed = _parsed(event)
    if parsed.kind == "ignored":
        return Settled.ignored("not about an appointment")
    told = [*([parsed.invitee] if parsed.invitee else ()), *_invitees(found)]
    if not told:
        return Parked("details_missing")
    return take_in(ctx, told, told_at=parsed.occurred_at)


def take_in(ctx: Ctx, told: Sequence[CalendlyInvitee], *, told_at: datetime) -> Settled | Parked:
    """Bring the booking in line with these invitees of one chain, the oldest first."""
    kinds = {invitee.uri: invitee.event_type_uri for invitee in told}
    entries = [_entry(invitee, told_at) for invitee in told]
    return calendar_bookings.take_in(ctx, entries, sold=lambda ctx, entry: _sold(ctx, kinds[entry.id]))


def _invitees(found: Any) -> Sequence[CalendlyInvitee]:
    return found or ()


def _parsed(event: WebhookEvent) -> CalendlyEvent:
    return calendly.parse_event(event.body, event.received_at)


def _entry(invitee: CalendlyInvitee, told_at: datetime) -> Entry:
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
    )


def _sold(ctx: Ctx, event_type_uri: str | None) -> SessionType:
    """The session type of this event type, in use or not: it was booked."""
    if event_type_uri is not None:
        same = or_(
            SessionType.calendly_event_type_uri == event_type_uri,
            SessionType.calendly_event_type_id == calendly_shapes.last_id(event_type_uri),
        )
        found = ctx.session.scalars(select(SessionType).where(same).limit(2)).all()
        if len(found) == 1:
            return found[0]
    raise Waits("event_type_unknown")
