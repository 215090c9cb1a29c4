"""Tells Cal.com and Calendly what became of a booking here."""

from admin_app.context import Job
from admin_app.integrations import deadline
from admin_app.jobs.bench import Bench
from admin_app.jobs.one_by_one import each_step
from admin_app.services import calendar_sync
from admin_app.services.calendars import calendar_calls

AT_ONCE = 200


@deadline.short_task
def sync_calendar(bench: Bench, booking_id: int) -> None:
    calendar_sync.sync(lambda: bench.db.unit_of_work(Job("sync_calendar")), bench.providers, booking_id=booking_id)


def settle_calendars(bench: Bench) -> int:
    """What is next comes first, and what is past ends; neither waits for the other. How many are tried again."""

    def what_is_next() -> int:
        with bench.db.unit_of_work(Job("settle_calendars")) as ctx:
            return calendar_calls.queue_unsettled(ctx, limit=AT_ONCE)

    def what_is_past() -> int:
        with bench.db.unit_of_work(Job("settle_calendars")) as ctx:
            return calendar_calls.end_past(ctx, limit=AT_ONCE)

    queued, _ = each_step("settle_calendars", what_is_next, what_is_past)
    return queued
