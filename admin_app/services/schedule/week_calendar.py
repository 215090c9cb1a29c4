"""What is booked and met with a practitioner in some days, for the calendar."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Row, Select, select
from sqlalchemy.orm import Session

from models import Booking, BookingStatus, Meeting, SessionType

# Nothing that is sold takes longer, so what reaches into the week began within this time before it.
LONGEST = timedelta(days=1)
MOST_ENTRIES = 500
Kind = Literal["booking", "meeting"]


@dataclass(frozen=True)
class Entry:
    """A booking or meeting of the week; `lapsed` is a hold whose time is over."""

    kind: Kind
    number: int
    starts_at: datetime
    ends_at: datetime
    status: BookingStatus
    lapsed: bool
    who: str
    what: str

    @property
    def takes_time(self) -> bool:
        """Whether its time is, or was, not free for anybody else."""
        return not self.lapsed and self.status not in (BookingStatus.CANCELED, BookingStatus.REFUNDED)


def entries(
    session: Session, practitioner_id: int, start: datetime, end: datetime, now: datetime, *, meetings: bool
) -> list[Entry]:
    """Everything that touches start to end, in order of time: one query for bookings and one for meetings."""
    found = list(_entries(session, "booking", _bookings(practitioner_id), start, end, now))
    if meetings:
        found += _entries(session, "meeting", _meetings(practitioner_id), start, end, now)
    return sorted(found, key=lambda entry: (entry.starts_at, entry.ends_at, entry.kind, entry.number))


def _entries(
    session: Session, kind: Kind, query: Select[*tuple[Any, ...]], start: datetime, end: datetime, now: datetime
) -> Iterator[Entry]:
    table = Booking if kind == "booking" else Meeting
    within = query.where(table.starts_at > start - LONGEST, table.starts_at < end, table.ends_at > start)
    rows = session.execute(within.order_by(table.starts_at, table.id).limit(MOST_ENTRIES))
    return (_entry(kind, row, now) for row in rows)


def _entry(kind: Kind, row: Row[*tuple[Any, ...]], now: datetime) -> Entry:
    number, starts_at, ends_at, status, hold_expires_at, who, what = row
    lapsed = status is BookingStatus.PENDING and hold_expires_at is not None and hold_expires_at <= now
    return Entry(kind, number, starts_at, ends_at, status, lapsed, who or "Unknown guest", what or "Meeting")


def _bookings(practitioner_id: int) -> Select[*tuple[Any, ...]]:
    b = Booking
    return (
        select(b.id, b.starts_at, b.ends_at, b.status, b.hold_expires_at, b.client_name, SessionType.title)
        .join(SessionType, SessionType.id == b.session_type_id)
        .where(b.practitioner_id == practitioner_id)
    )


def _meetings(practitioner_id: int) -> Select[*tuple[Any, ...]]:
    m = Meeting
    return (
        select(m.id, m.starts_at, m.ends_at, m.status, m.hold_expires_at, m.guest_name, SessionType.title)
        .outerjoin(SessionType, SessionType.id == m.session_type_id)
        .where(m.practitioner_id == practitioner_id)
    )
