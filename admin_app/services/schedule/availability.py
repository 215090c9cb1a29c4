"""When a practitioner can be booked: what Cal.com offers, else their working hours, without what is taken here.

Read, ask, combine: Cal.com is asked outside of any transaction, and what is taken meanwhile is refused by whoever
takes it (`appointments.taken`, and the database itself).
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.errors import DomainError, InvalidInput, NotFound
from admin_app.integrations.calendar_ports import Slot
from admin_app.integrations.registry import Providers
from admin_app.services import appointments
from admin_app.services.calendars import calcom_mapping
from admin_app.services.schedule.working_time import Span, spans, united
from models import Practitioner, SessionType

Read = Callable[[], AbstractContextManager[Session]]
Source = Literal["calcom", "cache", "fallback"]

# The longest month, whatever the clocks do in it.
LONGEST = timedelta(days=31)
MINUTES_WITHOUT_SESSION_TYPE = 30


@dataclass(frozen=True)
class Offer:
    """Free slots in order, and where they come from."""

    source: Source
    time_zone: str
    slots: tuple[Slot, ...]


@dataclass(frozen=True)
class Practice:
    """What the database knows of a practitioner's time."""

    time_zone: ZoneInfo
    working_hours: dict[str, Any]
    calcom_event_type: str | None
    length: timedelta
    steps: tuple[timedelta, ...]
    busy: list[Span]


def list_practitioners(session: Session) -> list[tuple[Practitioner, list[SessionType]]]:
    """Everybody who can be booked, with what they offer."""
    people = session.scalars(select(Practitioner).where(Practitioner.active).order_by(Practitioner.name)).all()
    types = session.scalars(
        select(SessionType).where(SessionType.active).order_by(SessionType.minutes, SessionType.title, SessionType.id)
    ).all()
    return [(person, [kind for kind in types if kind.practitioner_id == person.id]) for person in people]


def zone_of(session: Session, practitioner_id: int) -> ZoneInfo:
    """The zone that the practitioner works in."""
    return ZoneInfo(_practitioner(session, practitioner_id).time_zone)


def find(
    read: Read,
    providers: Providers,
    *,
    practitioner_id: int,
    session_type_id: int | None,
    since: datetime,
    until: datetime,
    now: datetime,
    clocks: tzinfo = UTC,
    lasts: timedelta | None = None,
) -> Offer:
    """The free slots that begin from since to before until and are still to come. `read` opens a reading session.

    The two may be 31 days apart, as time passes or as the `clocks` that they were asked by show it. What takes another
    time than a session type says `lasts`: it may begin with any slot, and at every step of its own length.
    """
    if not since < until:
        raise InvalidInput(fields={"to": "The end must be after the start."})
    if until - since > LONGEST and _shown(until, clocks) - _shown(since, clocks) > LONGEST:
        raise InvalidInput(fields={"to": f"Ask for at most {LONGEST.days} days at once."})
    with read() as session:
        practice = _practice(session, providers, practitioner_id, session_type_id, since, until, now, lasts)
    source, possible = _possible(providers, practice, since, until)
    # What begins at this very moment cannot be held any more (`holds.require_coming`).
    slots = [slot for slot in possible if since <= slot.starts_at < until and now < slot.starts_at]
    return Offer(source, practice.time_zone.key, tuple(without(slots, practice.busy)))


def _shown(moment: datetime, clocks: tzinfo) -> datetime:
    return moment.astimezone(clocks).replace(tzinfo=None)


def offered(
    read: Read,
    providers: Providers,
    *,
    practitioner_id: int,
    session_type_id: int | None,
    starts_at: datetime,
    now: datetime,
    lasts: timedelta | None = None,
) -> bool:
    """Whether a slot that begins at this very moment is free; `lasts` as in `find`."""
    moment = timedelta(seconds=1)
    offer = find(
        read,
        providers,
        practitioner_id=practitioner_id,
        session_type_id=session_type_id,
        since=starts_at,
        until=starts_at + moment,
        now=now,
        lasts=lasts,
    )
    return any(slot.starts_at == starts_at for slot in offer.slots)


def _practice(
    session: Session,
    providers: Providers,
    practitioner_id: int,
    session_type_id: int | None,
    since: datetime,
    until: datetime,
    now: datetime,
    lasts: timedelta | None,
) -> Practice:
    practitioner = _practitioner(session, practitioner_id)
    step = _length(session, practitioner_id, session_type_id)
    length = lasts or step
    return Practice(
        time_zone=ZoneInfo(practitioner.time_zone),
        working_hours=practitioner.working_hours,
        calcom_event_type=calcom_mapping.event_type_of(practitioner, providers.calcom_accounts),
        length=length,
        steps=(step,) if lasts is None else (step, lasts),
        busy=appointments.busy(session, practitioner_id, since, until + length, now=now),
    )


def _practitioner(session: Session, practitioner_id: int) -> Practitioner:
    practitioner = session.get(Practitioner, practitioner_id)
    if practitioner is None or not practitioner.active:
        raise NotFound("There is no such practitioner, or they take no bookings at present.")
    return practitioner


def _length(session: Session, practitioner_id: int, session_type_id: int | None) -> timedelta:
    """Of the wished session type, else of the shortest."""
    offers = select(SessionType).where(SessionType.practitioner_id == practitioner_id, SessionType.active)
    if session_type_id is not None:
        chosen = session.scalar(offers.where(SessionType.id == session_type_id))
        if chosen is None:
            raise InvalidInput(fields={"session_type_id": "This practitioner does not offer this session type."})
        return timedelta(minutes=chosen.minutes)
    shortest = session.scalar(offers.order_by(SessionType.minutes).limit(1))
    return timedelta(minutes=shortest.minutes if shortest else MINUTES_WITHOUT_SESSION_TYPE)


def _possible(
    providers: Providers, practice: Practice, since: datetime, until: datetime
) -> tuple[Source, Iterable[Slot]]:
    if providers.calcom is not None and practice.calcom_event_type is not None:
        try:
            free = providers.calcom.slots(practice.calcom_event_type, since, until + practice.length)
        except DomainError:
            pass  # whatever Cal.com's trouble is, the working hours are known here
        else:
            return "cache" if free.remembered else "calcom", within_offers(free.slots, practice.length)
    working = spans(practice.working_hours, practice.time_zone, since, until)
    found = {slot for step in practice.steps for slot in within_hours(working, practice.length, step)}
    return "fallback", sorted(found, key=lambda slot: slot.starts_at)


def within_hours(working: Sequence[Span], length: timedelta, step: timedelta | None = None) -> Iterable[Slot]:
    """One slot after the other from the beginning of each span; `step` where they do not begin when one ends."""
    for begins, end in working:
        start = begins
        while start + length <= end:
            yield Slot(start, start + length)
            start += step or length


def within_offers(offers: Sequence[Slot], length: timedelta) -> Iterable[Slot]:
    """A slot at each offered start for which time enough is offered in a row: ours may be longer than Cal.com's."""
    free = united([(offer.starts_at, offer.ends_at) for offer in offers], touching=True)
    position = 0
    for starts_at in sorted({offer.starts_at for offer in offers}):
        while free[position][1] <= starts_at:
            position += 1
        if starts_at + length <= free[position][1]:
            yield Slot(starts_at, starts_at + length)


def without(slots: Iterable[Slot], busy: Sequence[Span]) -> Iterable[Slot]:
    """The slots, which are in order, that touch nothing that is taken."""
    taken, position = united(list(busy)), 0
    for slot in slots:
        while position < len(taken) and taken[position][1] <= slot.starts_at:
            position += 1
        if position == len(taken) or slot.ends_at <= taken[position][0]:
            yield slot
