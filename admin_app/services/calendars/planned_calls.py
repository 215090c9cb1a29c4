"""What Cal.com and Calendly will be told once a booking has other values: `calendar_sync`, said beforehand."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from admin_app.context import Ctx
from admin_app.services.calendars import booking_links
from admin_app.services.calendars.calendar_entries import SPOKEN
from admin_app.services.calendars.calendar_sync import CANCEL, MOVE, OFF
from admin_app.services.core.plans import PlannedCall
from models.bookings import Booking, BookingSource, BookingStatus, Meeting

_CALCOM, _CALENDLY = BookingSource.CALCOM, BookingSource.CALENDLY


def planned(
    ctx: Ctx, row: Booking | Meeting, values: Mapping[str, Any], *, later: bool = False
) -> tuple[PlannedCall, ...]:
    """The calls that follow; none for what the calendars do not have, and none once its time has come."""
    if not isinstance(row, Booking):
        return ()
    starts_at: datetime = values.get("starts_at", row.starts_at)
    status: BookingStatus = values.get("status", row.status)
    if starts_at <= ctx.now:
        return ()
    calls = []
    if status in OFF and row.calendly_event_uri and not booking_links.ended(ctx, row, _CALENDLY):
        calls.append(_call(_CALENDLY, CANCEL, "canceled", row, later))
    if status in OFF and row.calcom_booking_uid and not booking_links.ended(ctx, row, _CALCOM):
        calls.append(_call(_CALCOM, CANCEL, "canceled", row, later))
    elif status is BookingStatus.CONFIRMED and row.calcom_booking_uid and starts_at != row.starts_at:
        calls.append(_call(_CALCOM, MOVE, "moved", row, later))
    return tuple(calls)


def _call(there: BookingSource, operation: str, done: str, row: Booking, later: bool) -> PlannedCall:
    """One call with its sentence; a calendar in which it was made writes to the client by itself."""
    tells = ", which tells the client" if row.source is there else " too"
    when = "Once that is done, it" if later else "It"
    return PlannedCall(there.value, operation, f"{when} is {done} in {SPOKEN[there]}{tells}.", later)
