"""A booking or a meeting, whichever it is: found by its subject, and the same to whatever holds, moves or tells of it.

Whoever takes or changes a practitioner's time locks the practitioner's name first, then the appointment's row, then its
payment's: `locked` does the first two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import NotFound
from admin_app.services.core.records import booking_key, lock_names, meeting_key, practitioner_key
from models.bookings import Booking, BookingSource, BookingStatus, Meeting
from models.schedule import Practitioner, SessionType

Kind = Literal["booking", "meeting"]
Span = tuple[datetime, datetime]

Model = type[Booking] | type[Meeting]
MODELS: Mapping[Kind, Model] = {"booking": Booking, "meeting": Meeting}
OCCUPYING = (BookingStatus.PENDING, BookingStatus.CONFIRMED)


class NoSuchAppointment(NotFound):
    """No booking or meeting has this subject: 404, `not_found`."""

    sentence = "There is no such booking or meeting."


@dataclass(frozen=True)
class Appointment:
    """One row with what it was sold from; everything that bookings and meetings call differently has one name here.

    `subject` is how the audit, Stripe and the journal of calls name it: `booking:12`, `meeting:3`; `source` is where it
    was made, `facts` how the audit's sentences name it.
    """

    row: Booking | Meeting
    practitioner: Practitioner
    session_type: SessionType | None
    kind: Kind
    number: int
    subject: str
    source: BookingSource
    facts: Mapping[str, str]

    @property
    def email(self) -> str | None:
        return self.row.client_email if isinstance(self.row, Booking) else self.row.guest_email

    @property
    def name(self) -> str | None:
        return self.row.client_name if isinstance(self.row, Booking) else self.row.guest_name

    @property
    def time_zone(self) -> str | None:
        """The zone of the one who comes, where it is known."""
        return self.row.client_time_zone if isinstance(self.row, Booking) else self.row.guest_time_zone

    @property
    def title(self) -> str:
        return self.session_type.title if self.session_type else "Meeting"

    @property
    def costs(self) -> bool:
        return self.row.price_amount > 0


def subject_parts(subject: str) -> tuple[Kind, int]:
    """Kind and number of a subject; refused as not found when it names neither a booking nor a meeting."""
    kind, _, number = subject.partition(":")
    if kind not in MODELS or not (number.isascii() and number.isdigit() and len(number) <= 18):
        raise NoSuchAppointment
    return kind, int(number)  # type: ignore[return-value]  # a key of MODELS


def find(session: Session, subject: str) -> Appointment | None:
    """The appointment of this subject, if there is one."""
    kind, number = subject_parts(subject)
    row = session.get(Booking, number) if kind == "booking" else session.get(Meeting, number)
    return None if row is None else of(session, row)


def get(session: Session, subject: str) -> Appointment:
    """The appointment of this subject; refused when there is none."""
    found = find(session, subject)
    if found is None:
        raise NoSuchAppointment
    return found


def locked(ctx: Ctx, subject: str) -> Appointment:
    """The appointment as it is now, its practitioner's time and its row locked until the transaction ends."""
    found = get(ctx.session, subject)
    lock_names(ctx.session, practitioner_key(found.row.practitioner_id))
    ctx.session.refresh(found.row, with_for_update=True)
    return found


def of(session: Session, row: Booking | Meeting) -> Appointment:
    """The row, which is stored, with its practitioner and session type."""
    practitioner = session.get_one(Practitioner, row.practitioner_id)
    session_type = session.get(SessionType, row.session_type_id) if row.session_type_id else None
    kind: Kind = "booking" if isinstance(row, Booking) else "meeting"
    return Appointment(
        row,
        practitioner,
        session_type,
        kind,
        number=row.id,
        subject=booking_key(row.id) if kind == "booking" else meeting_key(row.id),
        source=row.source if isinstance(row, Booking) else BookingSource.WEBSITE,
        facts={"what": kind, "number": str(row.id)},
    )


def taken(
    session: Session,
    practitioner_id: int,
    starts_at: datetime,
    ends_at: datetime,
    *,
    except_: str | None = None,
    now: datetime | None = None,
) -> bool:
    """Whether somebody else's held or confirmed time overlaps; `except_` is the subject that asks."""
    return any(
        session.scalar(_occupied(model, practitioner_id, starts_at, ends_at, now, except_).limit(1)) is not None
        for model in MODELS.values()
    )


def busy(
    session: Session, practitioner_id: int, start: datetime, end: datetime, *, now: datetime | None = None
) -> list[Span]:
    """Held and confirmed times that touch start to end, in order; a hold that has lapsed holds nothing."""
    spans = [
        (row.starts_at, row.ends_at)
        for model in MODELS.values()
        for row in session.execute(
            _occupied(model, practitioner_id, start, end, now, None).with_only_columns(model.starts_at, model.ends_at)
        )
    ]
    return sorted(spans)


def lapsed_within(
    session: Session, practitioner_id: int, starts_at: datetime, ends_at: datetime, now: datetime
) -> list[Booking | Meeting]:
    """The rows, locked, whose hold has lapsed and whose time touches this part of the practitioner's."""
    found: list[Booking | Meeting] = []
    for model in (Booking, Meeting):
        is_over = overlapping(model, practitioner_id, starts_at, ends_at), lapsed(model, now)
        rows = select(model).where(*is_over).with_for_update().execution_options(populate_existing=True)
        found += session.scalars(rows)
    return found


def overlapping(model: Model, practitioner_id: int, start: datetime, end: datetime) -> ColumnElement[bool]:
    """The condition that a practitioner's time touches start to end, as the bookings' exclusion index has it."""
    return and_(
        model.practitioner_id == practitioner_id,
        func.tstzrange(model.starts_at, model.ends_at).op("&&")(func.tstzrange(start, end)),
        model.status.in_(OCCUPYING),
    )


def _occupied(
    model: Model,
    practitioner_id: int,
    start: datetime,
    end: datetime,
    now: datetime | None,
    except_: str | None,
) -> Select[int]:
    conditions = [overlapping(model, practitioner_id, start, end), ~lapsed(model, now)]
    if except_ is not None:
        kind, number = subject_parts(except_)
        if MODELS[kind] is model:
            conditions.append(model.id != number)
    return select(model.id).where(*conditions)


def lapsed(model: Model, now: datetime | None = None) -> ColumnElement[bool]:
    """The condition that a hold's time is over."""
    return and_(
        model.status == BookingStatus.PENDING,
        model.hold_expires_at.is_not(None),
        model.hold_expires_at <= (func.now() if now is None else now),
    )


def at(moment: datetime) -> str:
    """A time as the keys of mails have it."""
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"
