"""Every task by name, each a few lines over a service, and when the recurring ones run."""

from asyncio import to_thread

from procrastinate import App, JobContext
from procrastinate.exceptions import JobAborted

from admin_app.context import Job
from admin_app.jobs import (
    billing,
    bulk_runs,
    calendars,
    checkouts,
    comparisons,
    events,
    exports,
    guests,
    mails,
    memberships,
    refunds,
    sweeper,
    switches,
)
from admin_app.jobs.bench import Bench
from admin_app.jobs.retry import BackOff, failing_by_code, is_last_try
from admin_app.services import owners
from admin_app.services.appointment_mails import Kind

FAILED_JOBS_KEPT_HOURS = 24 * 30
OWNERS_AT_ONCE = 100


def _stop_when_asked(context: JobContext) -> None:
    if context.should_abort():
        raise JobAborted


def register(queue: App, bench: Bench, back_off: BackOff) -> None:
    """Put all tasks on the queue."""
    _deferred(queue, bench, back_off)
    _deferred_about_appointments(queue, bench, back_off)
    _recurring(queue, bench)
    _recurring_about_appointments(queue, bench)
    _about_switches(queue, bench, back_off)
    _about_billing(queue, bench, back_off)


def _deferred(queue: App, bench: Bench, back_off: BackOff) -> None:
    """Tasks that a service defers; tried again until they succeed or patience ends."""

    @queue.task(name="process_event", pass_context=True, retry=back_off)
    @failing_by_code
    def process_event(context: JobContext, event_id: int) -> None:
        events.process(bench, event_id, last_try=is_last_try(context.job))

    @queue.task(name="send_claim_mail", retry=back_off)
    @failing_by_code
    def send_claim_mail(pending_profile_id: int) -> None:
        mails.send_claim_mail(bench, pending_profile_id)

    @queue.task(name="compare_membership", retry=back_off)
    @failing_by_code
    def compare_membership(membership_id: str) -> None:
        memberships.compare(bench, membership_id)

    @queue.task(name="send_refund", retry=back_off)
    @failing_by_code
    def send_refund(refund_id: int) -> None:
        refunds.send(bench, refund_id)

    @queue.task(name="settle_finding", pass_context=True, retry=back_off)
    @failing_by_code
    def settle_finding(context: JobContext, provider: str, finding_id: int) -> None:
        comparisons.settle_finding(bench, provider, finding_id, last_try=is_last_try(context.job))

    # Not tried again by the queue: a run that did not end is gone on with, and the next one is never far.
    @queue.task(name="compare_with", pass_context=True)
    @failing_by_code
    def compare_with(context: JobContext, provider: str) -> None:
        comparisons.compare(bench, provider, seen=lambda _: _stop_when_asked(context))

    @queue.task(name="make_export", pass_context=True, retry=back_off)
    @failing_by_code
    def make_export(context: JobContext, export_id: int) -> None:
        exports.make(bench, export_id, last_try=is_last_try(context.job))

    # Not tried again by the queue: whatever is still unknown is asked about at the next tick.
    @queue.task(name="ask_about_refund")
    @failing_by_code
    def ask_about_refund(refund_id: int) -> None:
        refunds.ask(bench, refund_id)


def _deferred_about_appointments(queue: App, bench: Bench, back_off: BackOff) -> None:
    """The same, for bookings and meetings."""

    @queue.task(name="send_appointment_mail", retry=back_off)
    @failing_by_code
    def send_appointment_mail(subject: str, kind: Kind, once: str = "") -> None:
        mails.send_appointment_mail(bench, subject, kind, once)

    # Not tried again: whoever waits in vain asks again, and a code that comes an hour later helps nobody.
    @queue.task(name="send_guest_code")
    @failing_by_code
    def send_guest_code(guest_id: int, asking: str) -> None:
        guests.send_code(bench, guest_id, asking)

    @queue.task(name="register_guest", retry=back_off)
    @failing_by_code
    def register_guest(meeting_id: int) -> None:
        guests.register(bench, meeting_id)

    @queue.task(name="sync_calendar", retry=back_off)
    @failing_by_code
    def sync_calendar(booking_id: int) -> None:
        calendars.sync_calendar(bench, booking_id)

    @queue.task(name="expire_checkout", retry=back_off)
    @failing_by_code
    def expire_checkout(subject: str) -> None:
        checkouts.expire_checkout(bench, subject)

    # Not tried again by the queue: whatever is still unknown is asked about at the next tick.
    @queue.task(name="settle_call")
    @failing_by_code
    def settle_call(call_id: int) -> None:
        checkouts.settle_call(bench, call_id)

    @queue.task(name="follow_refunds", retry=back_off)
    @failing_by_code
    def follow_refunds(subject: str) -> None:
        checkouts.follow_refunds(bench, subject)


def _recurring(queue: App, bench: Bench) -> None:
    """Tasks on a schedule: never tried again, because the next tick is the next try."""

    @queue.periodic(cron="* * * * *")
    @queue.task(name="sweep", queueing_lock="sweep")
    async def sweep(timestamp: int) -> None:
        await sweeper.requeue_stalled(queue)
        await sweeper.requeue_forgotten(queue, bench)
        await to_thread(failing_by_code(sweeper.requeue_events), bench)

    @queue.periodic(cron="17 * * * *")
    @queue.task(name="reconcile_whop", queueing_lock="reconcile_whop", pass_context=True)
    @failing_by_code
    def reconcile_whop(context: JobContext, timestamp: int) -> None:
        comparisons.compare(bench, "whop", seen=lambda _: _stop_when_asked(context))

    @queue.periodic(cron="37 */6 * * *")
    @queue.task(name="queue_comparisons", queueing_lock="queue_comparisons")
    @failing_by_code
    def queue_comparisons(timestamp: int) -> None:
        comparisons.queue_all(bench)

    @queue.periodic(cron="*/5 * * * *")
    @queue.task(name="queue_unfinished_comparisons", queueing_lock="queue_unfinished_comparisons")
    @failing_by_code
    def queue_unfinished_comparisons(timestamp: int) -> None:
        comparisons.queue_unfinished(bench)

    @queue.periodic(cron="*/10 * * * *")
    @queue.task(name="refresh_owners", queueing_lock="refresh_owners")
    @failing_by_code
    def refresh_owners(timestamp: int) -> None:
        with bench.db.unit_of_work(Job("refresh_owners")) as ctx:
            owners.refresh_stale(ctx, limit=OWNERS_AT_ONCE)

    @queue.periodic(cron="*/2 * * * *")
    @queue.task(name="queue_unfinished_refunds", queueing_lock="queue_unfinished_refunds")
    @failing_by_code
    def queue_unfinished_refunds(timestamp: int) -> None:
        refunds.queue_unfinished(bench)

    @queue.periodic(cron="23 * * * *")
    @queue.task(name="queue_pending_refunds", queueing_lock="queue_pending_refunds")
    @failing_by_code
    def queue_pending_refunds(timestamp: int) -> None:
        refunds.queue_pending(bench)

    @queue.periodic(cron="29 * * * *")
    @queue.task(name="expire_exports", queueing_lock="expire_exports")
    @failing_by_code
    def expire_exports(timestamp: int) -> None:
        exports.expire(bench)

    @queue.periodic(cron="41 3 * * *")
    @queue.task(name="forget_failed_jobs", queueing_lock="forget_failed_jobs")
    async def forget_failed_jobs(timestamp: int) -> None:
        await queue.job_manager.delete_old_jobs(
            nb_hours=FAILED_JOBS_KEPT_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
        )


def _recurring_about_appointments(queue: App, bench: Bench) -> None:
    @queue.periodic(cron="* * * * *")
    @queue.task(name="expire_holds", queueing_lock="expire_holds")
    @failing_by_code
    def expire_holds(timestamp: int) -> None:
        checkouts.expire_holds(bench)

    @queue.periodic(cron="*/5 * * * *")
    @queue.task(name="send_reminders", queueing_lock="send_reminders")
    @failing_by_code
    def send_reminders(timestamp: int) -> None:
        mails.send_reminders(bench)

    @queue.periodic(cron="*/2 * * * *")
    @queue.task(name="settle_mails", queueing_lock="settle_mails")
    @failing_by_code
    def settle_mails(timestamp: int) -> None:
        mails.settle(bench)

    @queue.periodic(cron="*/10 * * * *")
    @queue.task(name="settle_calendars", queueing_lock="settle_calendars")
    @failing_by_code
    def settle_calendars(timestamp: int) -> None:
        calendars.settle_calendars(bench)

    @queue.periodic(cron="*/5 * * * *")
    @queue.task(name="settle_calls", queueing_lock="settle_calls")
    @failing_by_code
    def settle_calls(timestamp: int) -> None:
        checkouts.settle_calls(bench)


def _about_switches(queue: App, bench: Bench, back_off: BackOff) -> None:
    @queue.task(name="follow_switch", retry=back_off)
    @failing_by_code
    def follow_switch(change_id: int) -> None:
        switches.follow(bench, change_id)

    @queue.task(name="run_bulk", retry=back_off)
    @failing_by_code
    def run_bulk(run_id: int) -> None:
        bulk_runs.run(bench, run_id)

    @queue.periodic(cron="*/5 * * * *")
    @queue.task(name="continue_bulk_runs", queueing_lock="continue_bulk_runs")
    @failing_by_code
    def continue_bulk_runs(timestamp: int) -> None:
        bulk_runs.continue_forgotten(bench)

    @queue.task(name="send_switch_mail", retry=back_off)
    @failing_by_code
    def send_switch_mail(change_id: int) -> None:
        mails.send_switch_mail(bench, change_id)

    @queue.periodic(cron="* * * * *")
    @queue.task(name="follow_switches", queueing_lock="follow_switches")
    @failing_by_code
    def follow_switches(timestamp: int) -> None:
        switches.follow_all(bench)


def _about_billing(queue: App, bench: Bench, back_off: BackOff) -> None:
    @queue.task(name="refresh_billing", retry=back_off)
    @failing_by_code
    def refresh_billing(client_id: int) -> None:
        billing.refresh(bench, client_id)

    @queue.task(name="ask_about_billing", retry=back_off)
    @failing_by_code
    def ask_about_billing(client_id: int) -> None:
        billing.ask(bench, client_id)

    @queue.task(name="extend_trial", retry=back_off)
    @failing_by_code
    def extend_trial(subscription_id: str, until: str, key: str) -> None:
        billing.extend_trial(bench, subscription_id, until, key)

    @queue.periodic(cron="* * * * *")
    @queue.task(name="refresh_billing_due", queueing_lock="refresh_billing_due")
    @failing_by_code
    def refresh_billing_due(timestamp: int) -> None:
        billing.refresh_due(bench)

    @queue.periodic(cron="*/5 * * * *")
    @queue.task(name="renew_credits", queueing_lock="renew_credits")
    @failing_by_code
    def renew_credits(timestamp: int) -> None:
        billing.renew_credits(bench)
