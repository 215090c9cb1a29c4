"""Tells Cal.com and Calendly what became of a booking here."""

from admin_app.context import Job
from admin_app.integrations.http import deadline
from admin_app.jobs.bench import Bench
from admin_app.jobs.one_by_one import each_service
from admin_app.services.calendars import calendar_calls, calendar_sync

AT_ONCE = 200


@deadline.short_task
def sync_calendar(bench: Bench, booking_id: int) -> None:
    """Tell the calendars what they do not know yet of a booking. Raises what the job is tried again for."""
    calendar_sync.sync(lambda: bench.db.unit_of_work(Job("sync_calendar")), bench.providers, booking_id=booking_id)


def settle_calendars(bench: Bench) -> int:
    """What is next comes first, and what is past ends; neither waits for the other. How many are tried again."""
    services = (calendar_calls.queue_unsettled, calendar_calls.end_past)
    queued, _ = each_service(bench, "settle_calendars", *services, limit=AT_ONCE)
    return queued
