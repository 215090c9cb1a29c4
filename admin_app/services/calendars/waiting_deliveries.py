"""Deliveries that wait until practitioners and session types say what they are about."""

from admin_app.context import Ctx
from admin_app.services.calendars import calendar_calls, hosts
from admin_app.services.calendars.calendar_entries import SPOKEN
from admin_app.services.inbox.handling import release_waiting

WAITING_FOR_SCHEDULE = ("event_type_unknown", "practitioner_unknown", "session_type_unclear", hosts.HOST_UNKNOWN)


def release_waiting_for_schedule(ctx: Ctx) -> None:
    """Practitioners or session types changed: what could not be told apart before may be now."""
    for provider in SPOKEN:
        release_waiting(ctx, provider.value, WAITING_FOR_SCHEDULE)
    calendar_calls.queue_refused(ctx)
