"""Who comes to a booking that a calendar keeps: a row each, with when they came in and when they gave their place up.

What a calendar answered names everybody; what a delivery says names those whom it is about.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select

from admin_app.context import Ctx
from admin_app.integrations.calendar_ports import CalendarAttendee
from admin_app.services.calendars.calendar_entries import SPOKEN, Entry
from admin_app.services.core import audit
from admin_app.services.core.records import booking_key, practitioner_key
from models.bookings import Booking, BookingSource
from models.calendars import BookingAttendee


def present(ctx: Ctx, booking: Booking, source: BookingSource) -> Sequence[BookingAttendee]:
    """Who comes now, whoever was first before the others."""
    rows = select(BookingAttendee).where(
        BookingAttendee.booking_id == booking.id,
        BookingAttendee.provider == source.value,
        BookingAttendee.gone_at.is_(None),
    )
    return ctx.session.scalars(rows.order_by(BookingAttendee.since, BookingAttendee.id)).all()


def note(ctx: Ctx, booking: Booking, entry: Entry) -> None:
    """Keep whom the entry names, and where it names everybody, that the others have left."""
    known = _rows(ctx, booking, entry.source)
    here = {row.external_id: row for row in known if row.gone_at is None}
    if entry.previous in here and entry.id not in here:
        here[entry.id] = here.pop(entry.previous)  # a reschedule gave the same person another id
        here[entry.id].external_id = entry.id
    left = {row.external_id: row for row in known if row.gone_at is not None}
    came, gone = 0, 0
    for attendee in entry.attendees:
        row, former = here.pop(attendee.id, None), left.get(attendee.id)
        if row is None and former is not None and not entry.has_places:
            row = former  # the whole appointment was off, and is on again
        if row is None and _is_over(former, entry):
            continue
        gone_at = attendee.gone_at or entry.canceled_at
        if row is None:
            row = _new(ctx, booking, entry, attendee)
            came += gone_at is None
        elif gone_at is not None and row.gone_at is None:
            gone += 1
        row.gone_at = gone_at
        _describe(ctx, row, attendee)
    for row in here.values():
        if entry.canceled_at is not None or entry.complete:
            row.gone_at = entry.canceled_at or entry.at or ctx.now
            gone += 1
    ctx.session.flush()
    if known and (came or (gone and entry.canceled_at is None)):
        _record(ctx, booking, entry.source, came, gone)


def note_absence(ctx: Ctx, booking: Booking, source: BookingSource, said: Iterable[CalendarAttendee]) -> None:
    """Keep of those who are known whether they came."""
    rows = {row.external_id: row for row in present(ctx, booking, source)}
    for attendee in said:
        row = rows.get(attendee.id)
        if row is not None and attendee.absent is not None:
            row.absent_at = (row.absent_at or ctx.now) if attendee.absent else None
    ctx.session.flush()


def _rows(ctx: Ctx, booking: Booking, source: BookingSource) -> Sequence[BookingAttendee]:
    rows = select(BookingAttendee).where(
        BookingAttendee.booking_id == booking.id, BookingAttendee.provider == source.value
    )
    return ctx.session.scalars(rows.order_by(BookingAttendee.id).execution_options(populate_existing=True)).all()


def _is_over(row: BookingAttendee | None, entry: Entry) -> bool:
    """Whether this is old news of somebody who left; Calendly gives whoever comes again another id."""
    if row is None or row.gone_at is None or (entry.complete and not entry.shared):
        return False
    return entry.shared or entry.at is None or entry.at <= row.gone_at


def _new(ctx: Ctx, booking: Booking, entry: Entry, attendee: CalendarAttendee) -> BookingAttendee:
    row = BookingAttendee(
        booking_id=booking.id,
        provider=entry.source.value,
        external_id=attendee.id,
        name=attendee.name,
        since=attendee.since or entry.at or ctx.now,
    )
    ctx.session.add(row)
    return row


def _describe(ctx: Ctx, row: BookingAttendee, attendee: CalendarAttendee) -> None:
    row.name, row.email = attendee.name, attendee.email
    row.time_zone = attendee.time_zone or row.time_zone
    if attendee.absent is not None:
        row.absent_at = (row.absent_at or ctx.now) if attendee.absent else None
    if attendee.paid is not None:
        row.paid_amount, row.paid_currency = attendee.paid.amount, attendee.paid.currency
        row.paid_through = attendee.paid.through


def last_gone(ctx: Ctx, booking: Booking, source: BookingSource) -> datetime | None:
    """When the last of them left, where nobody comes any more; None while somebody does, or nobody is known."""
    rows = _rows(ctx, booking, source)
    moments = [row.gone_at for row in rows if row.gone_at is not None]
    return max(moments) if moments and len(moments) == len(rows) else None


def _record(ctx: Ctx, booking: Booking, source: BookingSource, came: int, gone: int) -> None:
    audit.record(
        ctx,
        "booking.attendees",
        records=[booking_key(booking.id), practitioner_key(booking.practitioner_id)],
        facts={"number": str(booking.id), "provider": SPOKEN[source], "came": str(came), "gone": str(gone)},
    )
