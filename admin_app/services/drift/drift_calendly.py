"""The comparison with Calendly: everybody who booked there, by the chain of what their appointment was and became."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.integrations.calendar_ports import CalendlyInvitee, CalendlyPort
from admin_app.services.calendar_deliveries import calendly_events
from admin_app.services.drift import Ours, Taken, Thing, Values, drift_calendars
from admin_app.services.inbox.handling import Parked
from admin_app.services.inbox.provider_calls import Work
from models.bookings import BookingSource, BookingStatus

_SOURCE = BookingSource.CALENDLY


@dataclass(frozen=True)
class CalendlyThing:
    """The chain of one appointment, the oldest first; the last says where it is."""

    chain: tuple[CalendlyInvitee, ...]
    asked_at: datetime
    company: tuple[CalendlyInvitee, ...] = ()

    @property
    def _together(self) -> Sequence[CalendlyInvitee]:
        """Everybody in the last event, whoever leads first; the last of the chain where nobody shares it."""
        last = self.chain[-1]
        company = [one for one in self.company if one.event_uri == last.event_uri]
        return calendly_events.in_order_of_coming(company or [last], self.asked_at)

    @property
    def external_id(self) -> str:
        return self._together[0].uri

    @property
    def ids(self) -> Sequence[str]:
        mine = [] if self.company else [invitee.uri for invitee in self.chain]
        return [*dict.fromkeys([*(one.uri for one in self._together), *mine])]

    @property
    def theirs(self) -> Values:
        lead = self._together[0]
        status = BookingStatus.CANCELED if lead.canceled else BookingStatus.CONFIRMED
        host = lead.host.email or lead.host.id if lead.host else None
        return drift_calendars.values(status.value, lead.starts_at, lead.email, lead.uri, host)

    def take_in(self, ctx: Ctx) -> Taken:
        became = calendly_events.apply_chain(
            ctx, self.chain, self.company, told_at=self.asked_at, asked_at=self.asked_at
        )
        return Taken(became.because) if isinstance(became, Parked) else Taken()


class CalendlySide:
    """Calendly's side of a comparison: invitees, each with the chain of reschedulings it came from."""

    provider = "calendly"

    def __init__(self, port: CalendlyPort, clock: Callable[[], datetime]) -> None:
        self._port, self._clock = port, clock

    def listed(self, since: datetime) -> Iterator[Thing]:
        return (CalendlyThing((invitee,), self._clock()) for invitee in self._port.invitees_from(since))

    def whole(self, listed: Thing, work: Work) -> Thing:
        if not isinstance(listed, CalendlyThing):
            raise TypeError("only what this side listed")
        return self._whole(listed.chain[-1], self._clock())

    def ask(self, external_id: str) -> Thing | None:
        asked_at, found = self._clock(), self._port.invitee(external_id)
        return None if found is None else self._whole(found, asked_at)

    def _whole(self, found: CalendlyInvitee, asked_at: datetime) -> CalendlyThing:
        chain = calendly_events.chain_of(self._port, found)
        return CalendlyThing(chain, asked_at, calendly_events.company_of(self._port, chain))

    def held(self, session: Session, since: datetime, after: str | None, limit: int) -> Sequence[tuple[str, str]]:
        return drift_calendars.held(session, _SOURCE, since, after, limit)

    def ours(self, session: Session, ids: Sequence[str]) -> Ours | None:
        booking = drift_calendars.booking_of(session, _SOURCE, ids)
        return drift_calendars.ours(session, booking, _SOURCE) if booking else None

    def differing(self, ours: Ours, theirs: Values, now: datetime) -> Sequence[str]:
        return drift_calendars.differing(ours.values, theirs, now)
