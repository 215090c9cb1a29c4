"""The comparison with Calendly: everybody who booked there, by the chain of what their appointment was and became."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.integrations.calendar_ports import CalendlyInvitee, CalendlyPort
from admin_app.services import calendly_events, drift_calendars
from admin_app.services.drift import Ours, Taken, Thing, Values
from admin_app.services.event_handling import Parked
from admin_app.services.provider_calls import Work
from models.scheduling import BookingSource, BookingStatus

_SOURCE = BookingSource.CALENDLY


@dataclass(frozen=True)
class CalendlyThing:
    """The chain of one appointment, the oldest first; the last says where it is."""

    chain: tuple[CalendlyInvitee, ...]
    asked_at: datetime

    @property
    def external_id(self) -> str:
        return self.chain[-1].uri

    @property
    def ids(self) -> Sequence[str]:
        return [invitee.uri for invitee in self.chain]

    @property
    def theirs(self) -> Values:
        last = self.chain[-1]
        status = BookingStatus.CANCELED if last.canceled else BookingStatus.CONFIRMED
        return drift_calendars.values(status.value, last.starts_at, last.email, last.uri)

    def take_in(self, ctx: Ctx) -> Taken:
        became = calendly_events.take_in(ctx, self.chain, told_at=self.asked_at)
        return Taken(became.because) if isinstance(became, Parked) else Taken()


class CalendlySide:
    provider = "calendly"

    def __init__(self, port: CalendlyPort, clock: Callable[[], datetime]) -> None:
        self._port, self._clock = port, clock

    def listed(self, since: datetime) -> Iterator[Thing]:
        return (CalendlyThing((invitee,), self._clock()) for invitee in self._port.invitees_from(since))

    def whole(self, listed: Thing, work: Work) -> Thing:
        if not isinstance(listed, CalendlyThing):
            raise TypeError("only what this side listed")
        return CalendlyThing(calendly_events.chain_of(self._port, listed.chain[-1]), self._clock())

    def ask(self, external_id: str) -> Thing | None:
        found = self._port.invitee(external_id)
        return None if found is None else CalendlyThing(calendly_events.chain_of(self._port, found), self._clock())

    def held(self, session: Session, since: datetime, after: str | None, limit: int) -> Sequence[tuple[str, str]]:
        return drift_calendars.held(session, _SOURCE, since, after, limit)

    def ours(self, session: Session, ids: Sequence[str]) -> Ours | None:
        booking = drift_calendars.booking_of(session, _SOURCE, ids)
        return drift_calendars.ours(session, booking, _SOURCE) if booking else None

    def differing(self, ours: Ours, theirs: Values, now: datetime) -> Sequence[str]:
        return drift_calendars.differing(ours.values, theirs, now)
