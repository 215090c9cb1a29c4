"""Who did not come, as the calendar has it: when nobody came, the booking is a no-show here too."""

from admin_app.context import Ctx
from admin_app.services import bookings
from admin_app.services.appointments import Appointment
from admin_app.services.calendars import attendees
from models.scheduling import Booking, BookingSource, BookingStatus

_MAY_BE_ABSENT = (BookingStatus.CONFIRMED, BookingStatus.COMPLETED)


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
