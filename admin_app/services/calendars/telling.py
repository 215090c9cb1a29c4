"""Who tells the client of a change when the calendar, which was to do it, refused it."""

from admin_app.context import Ctx
from admin_app.integrations import job_queue
from admin_app.services import appointments
from admin_app.services.appointments import Appointment
from models.bookings import BookingSource


def tell_instead(ctx: Ctx, appointment: Appointment, kind: str) -> None:
    """The calendar, which was to tell the client, refused the change: we write to them, unless nobody should."""
    row = appointment.row
    if appointment.source is BookingSource.WEBSITE or row.told_version != row.version:
        return
    once = f"{appointments.at(row.starts_at)}-{row.version}" if kind == "rescheduled" else str(row.version)
    job_queue.defer(ctx.session, "send_appointment_mail", subject=appointment.subject, kind=kind, once=once)
