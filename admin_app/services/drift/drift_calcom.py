"""The comparison with Cal.com: every booking there, ours among them, by the chain of what each was and became."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.integrations.calendar_ports import CalcomAccounts, CalcomBooking, CalcomPort
from admin_app.services.calendar_deliveries import calcom_events
from admin_app.services.drift import Ours, Taken, Thing, Values, drift_calendars
from admin_app.services.inbox.handling import Parked
from admin_app.services.inbox.provider_calls import Work
from models.bookings import BookingSource, BookingStatus

_SOURCE = BookingSource.CALCOM


@dataclass(frozen=True)
class CalcomThing:
    """The chain of one booking there, the oldest first; the last says where it is."""

    chain: tuple[CalcomBooking, ...]
    accounts: CalcomAccounts
    asked_at: datetime

    @property
    def external_id(self) -> str:
        return self.chain[-1].uid

    @property
    def ids(self) -> Sequence[str]:
        return [booking.uid for booking in self.chain]

    @property
    def theirs(self) -> Values:
        last = self.chain[-1]
        awaits = BookingStatus.PENDING if last.status == "pending" else BookingStatus.CONFIRMED
        status = awaits if last.active else BookingStatus.CANCELED
        host = last.host_email or last.host_id
        return drift_calendars.values(status.value, last.starts_at, last.attendee_email, last.uid, host)

    def take_in(self, ctx: Ctx) -> Taken:
        became = calcom_events.apply_chain(ctx, self.chain, accounts=self.accounts, told_at=self.asked_at)
        return Taken(became.because) if isinstance(became, Parked) else Taken()


class CalcomSide:
    """Cal.com's side of a comparison: bookings, each with the chain of reschedulings it came from."""

    provider = "calcom"

    def __init__(self, port: CalcomPort, accounts: CalcomAccounts, clock: Callable[[], datetime]) -> None:
        self._port, self._accounts, self._clock = port, accounts, clock

    def listed(self, since: datetime) -> Iterator[Thing]:
        return (self._thing((booking,), self._clock()) for booking in self._port.bookings_from(since))

    def whole(self, listed: Thing, work: Work) -> Thing:
        if not isinstance(listed, CalcomThing):
            raise TypeError("only what this side listed")
        asked_at = self._clock()
        return self._thing(calcom_events.chain_of(self._port, listed.chain[-1]), asked_at)

    def ask(self, external_id: str) -> Thing | None:
        if drift_calendars.is_unmade(external_id):
            return None
        asked_at, found = self._clock(), self._port.booking(external_id)
        return None if found is None else self._thing(calcom_events.chain_of(self._port, found), asked_at)

    def held(self, session: Session, since: datetime, after: str | None, limit: int) -> Sequence[tuple[str, str]]:
        mapped = drift_calendars.made_there(self._accounts, self._clock())
        return drift_calendars.held(session, _SOURCE, since, after, limit, mapped)

    def ours(self, session: Session, ids: Sequence[str]) -> Ours | None:
        if any(map(drift_calendars.is_unmade, ids)):
            return drift_calendars.unmade(session, ids[0], self._clock())
        booking = drift_calendars.booking_of(session, _SOURCE, ids)
        return drift_calendars.ours(session, booking, _SOURCE) if booking else None

    def differing(self, ours: Ours, theirs: Values, now: datetime) -> Sequence[str]:
        return drift_calendars.differing(ours.values, theirs, now)

    def _thing(self, chain: tuple[CalcomBooking, ...], asked_at: datetime) -> CalcomThing:
        return CalcomThing(chain, self._accounts, asked_at)
