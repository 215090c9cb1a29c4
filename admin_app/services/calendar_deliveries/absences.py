"""Who did not come, as the calendar has it: when nobody came, the booking is a no-show here too."""

from collections.abc import Iterable

from admin_app.context import Ctx
from admin_app.integrations.calendar_ports import CalendarAttendee
from admin_app.services import appointments, bookings
from admin_app.services.appointments import Appointment
from admin_app.services.calendars import attendees
from admin_app.services.core.records import booking_key
from admin_app.services.inbox.handling import Settled
from models.bookings import Booking, BookingSource, BookingStatus

_MAY_BE_ABSENT = (BookingStatus.CONFIRMED, BookingStatus.COMPLETED)


def note(ctx: Ctx, booking_id: int, source: BookingSource, said: Iterable[CalendarAttendee]) -> Settled:
    """Keep what a delivery says of who came, where nobody can be asked, and what follows from it."""
    appointment = appointments.locked(ctx, booking_key(booking_id))
    if isinstance(appointment.row, Booking):
        attendees.note_absence(ctx, appointment.row, source, said)
    outcome = follow(ctx, appointment, source)
    return Settled.done(outcome or "who came was noted", booking_id=booking_id)


def follow(ctx: Ctx, appointment: Appointment, source: BookingSource) -> str | None:
    """End a booking whose time has come as a no-show, or take that back; nothing where the calendar says neither."""
    row = appointment.row
    if not isinstance(row, Booking) or row.starts_at > ctx.now or row.attendance_by == bookings.STAFF:
        return None
    coming = attendees.present(ctx, row, source)
    nobody_came = bool(coming) and all(one.absent_at is not None for one in coming)
    if nobody_came and row.status in _MAY_BE_ABSENT:
        row.attendance_by = source.value
        changes = bookings.end(ctx, appointment, BookingStatus.NO_SHOW, None)
        bookings.record(ctx, appointment, "booking.no_show", changes=changes)
        return "nobody came"
    if not nobody_came and row.status is BookingStatus.NO_SHOW and row.attendance_by == source.value:
        changes = bookings.end(ctx, appointment, BookingStatus.COMPLETED, None)
        bookings.record(ctx, appointment, "booking.completed", changes=changes)
        return "somebody came after all"
    return None
