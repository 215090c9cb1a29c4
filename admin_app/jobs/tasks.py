"""Every task by name, each a few lines over a service, and when the recurring ones run."""

from collections.abc import Callable
from typing import Any

from procrastinate import App, JobContext
from procrastinate.exceptions import JobAborted

from admin_app.integrations.job_order import place_of
from admin_app.jobs import (
    billing,
    bulk_runs,
    calendars,
    checkouts,
    client_flags,
    comparisons,
    events,
    exports,
    guests,
    invariants,
    mails,
    memberships,
    people,
    purchases,
    refunds,
    sweeper,
)
from admin_app.jobs.bench import Bench
from admin_app.jobs.retry import BackOff, failing_by_code, is_last_try
from admin_app.services.bookings.appointment_mails import Kind

FAILED_JOBS_KEPT_HOURS = 24 * 30


def _stop_when_asked(context: JobContext) -> None:
    if context.should_abort():
        raise JobAborted


def _every(cron: str, queue: App, name: str, **options: Any) -> Callable[[Callable[..., Any]], object]:
    """Register a task on a schedule, at its place; it waits once at most."""
    place = place_of(name)

    def register(do: Callable[..., Any]) -> object:
        # The key differs from the one of earlier releases, whose waiting twin may be in another queue.
        key = f"recurring:{name}"
        task: Any = queue.task(name=name, queue=place.queue, priority=place.priority, queueing_lock=key, **options)
        return queue.periodic(cron=cron)(task(do))

    return register


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

    @queue.task(name="ask_about_person", retry=back_off)
    @failing_by_code
    def ask_about_person(user_id: str) -> None:
        people.ask(bench, user_id)

    @queue.task(name="change_membership", retry=back_off)
    @failing_by_code
    def change_membership(call_id: int) -> None:
        memberships.change(bench, call_id)

    @queue.task(name="change_address", retry=back_off)
    @failing_by_code
    def change_address(call_id: int) -> None:
        people.change_address(bench, call_id)

    @queue.task(name="ask_what_was_paid", retry=back_off)
    @failing_by_code
    def ask_what_was_paid(membership_id: int) -> None:
        memberships.ask_what_was_paid(bench, membership_id)

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

    @queue.task(name="settle_canceled", retry=back_off)
    @failing_by_code
    def settle_canceled(subject: str) -> None:
        checkouts.settle_canceled(bench, subject)


def _recurring(queue: App, bench: Bench) -> None:
    """Tasks on a schedule: never tried again, because the next tick is the next try."""

    @_every("* * * * *", queue, "sweep")
    async def sweep(timestamp: int) -> None:
        await sweeper.sweep(queue, bench)

    @_every("17 * * * *", queue, "reconcile_whop", pass_context=True)
    @failing_by_code
    def reconcile_whop(context: JobContext, timestamp: int) -> None:
        comparisons.compare(bench, "whop", seen=lambda _: _stop_when_asked(context))

    @_every("37 */6 * * *", queue, "queue_comparisons")
    @failing_by_code
    def queue_comparisons(timestamp: int) -> None:
        comparisons.queue_all(bench)

    @_every("*/5 * * * *", queue, "queue_unfinished_comparisons")
    @failing_by_code
    def queue_unfinished_comparisons(timestamp: int) -> None:
        comparisons.queue_unfinished(bench)

    @_every("*/10 * * * *", queue, "refresh_owners")
    @failing_by_code
    def refresh_owners(timestamp: int) -> None:
        purchases.refresh_owners(bench)

    @_every("*/2 * * * *", queue, "queue_unfinished_refunds")
    @failing_by_code
    def queue_unfinished_refunds(timestamp: int) -> None:
        refunds.queue_unfinished(bench)

    @_every("23 * * * *", queue, "queue_pending_refunds")
    @failing_by_code
    def queue_pending_refunds(timestamp: int) -> None:
        refunds.queue_pending(bench)

    @_every("*/10 * * * *", queue, "ask_about_never_asked")
    @failing_by_code
    def ask_about_never_asked(timestamp: int) -> None:
        memberships.ask_about_never_asked(bench)

    @_every("29 * * * *", queue, "expire_exports")
    @failing_by_code
    def expire_exports(timestamp: int) -> None:
        exports.expire(bench)

    # At a quiet hour, and never twice at once.
    @_every("11 3 * * *", queue, "check_invariants", lock="check_invariants")
    @failing_by_code
    def check_invariants(timestamp: int) -> None:
        invariants.check(bench)

    @_every("41 3 * * *", queue, "forget_failed_jobs")
    async def forget_failed_jobs(timestamp: int) -> None:
        await queue.job_manager.delete_old_jobs(
            nb_hours=FAILED_JOBS_KEPT_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
        )


def _recurring_about_appointments(queue: App, bench: Bench) -> None:
    @_every("* * * * *", queue, "expire_holds")
    @failing_by_code
    def expire_holds(timestamp: int) -> None:
        checkouts.expire_holds(bench)

    @_every("*/5 * * * *", queue, "send_reminders")
    @failing_by_code
    def send_reminders(timestamp: int) -> None:
        mails.send_reminders(bench)

    @_every("*/2 * * * *", queue, "settle_mails")
    @failing_by_code
    def settle_mails(timestamp: int) -> None:
        mails.settle(bench)

    @_every("*/10 * * * *", queue, "settle_calendars")
    @failing_by_code
    def settle_calendars(timestamp: int) -> None:
        calendars.settle_calendars(bench)

    @_every("*/5 * * * *", queue, "settle_calls")
    @failing_by_code
    def settle_calls(timestamp: int) -> None:
        checkouts.settle_calls(bench)


def _about_switches(queue: App, bench: Bench, back_off: BackOff) -> None:
    @queue.task(name="follow_switch", retry=back_off)
    @failing_by_code
    def follow_switch(change_id: int) -> None:
        client_flags.follow(bench, change_id)

    @queue.task(name="run_bulk", retry=back_off)
    @failing_by_code
    def run_bulk(run_id: int) -> None:
        bulk_runs.run(bench, run_id)

    @_every("*/5 * * * *", queue, "continue_bulk_runs")
    @failing_by_code
    def continue_bulk_runs(timestamp: int) -> None:
        bulk_runs.continue_forgotten(bench)

    @queue.task(name="send_switch_mail", retry=back_off)
    @failing_by_code
    def send_switch_mail(change_id: int) -> None:
        mails.send_switch_mail(bench, change_id)

    @_every("* * * * *", queue, "follow_switches")
    @failing_by_code
    def follow_switches(timestamp: int) -> None:
        client_flags.follow_all(bench)


def _about_billing(queue: App, bench: Bench, back_off: BackOff) -> None:
    @queue.task(name="refresh_billing", retry=back_off)
    @failing_by_code
    def refresh_billing(client_id: int) -> None:
        billing.refresh(bench, client_id)

    @queue.task(name="ask_about_billing", retry=back_off)
    @failing_by_code
    def ask_about_billing(client_id: int) -> None:
        billing.ask(bench, client_id)

    @queue.task(name="ask_about_subscription", retry=back_off)
    @failing_by_code
    def ask_about_subscription(subscription_id: str) -> None:
        billing.ask_about_one(bench, subscription_id)

    @_every("*/2 * * * *", queue, "queue_waiting_subscriptions")
    @failing_by_code
    def queue_waiting_subscriptions(timestamp: int) -> None:
        billing.queue_waiting(bench)

    @queue.task(name="extend_trial", retry=back_off)
    @failing_by_code
    def extend_trial(subscription_id: str, until: str, key: str) -> None:
        billing.extend_trial(bench, subscription_id, until, key)

    @_every("* * * * *", queue, "refresh_billing_due")
    @failing_by_code
    def refresh_billing_due(timestamp: int) -> None:
        billing.refresh_due(bench)

    @_every("* * * * *", queue, "end_memberships")
    @failing_by_code
    def end_memberships(timestamp: int) -> None:
        memberships.end_due(bench)

    @_every("*/5 * * * *", queue, "renew_credits")
    @failing_by_code
    def renew_credits(timestamp: int) -> None:
        billing.renew_credits(bench)
