"""Deliveries, jobs, mails and calls: nothing is half done for ever, and nothing waits where nobody looks."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from admin_app.services.core import audit
from admin_app.services.invariants.rule import Invariant, Moments, by_query


def _audit_chain(session: Session, _moments: Moments) -> Sequence[str]:
    entry = audit.first_broken_link(session)
    return [] if entry is None else [f"audit_entry:{entry}"]


INVARIANTS = (
    Invariant(
        "settled-event-has-outcome",
        "A delivery that is done with says what became of it, and when.",
        by_query("""
            SELECT 'webhook_event:' || id FROM webhook_events WHERE state IN ('processed', 'ignored', 'superseded')
            AND (outcome IS NULL OR processed_at IS NULL OR parked_because IS NOT NULL)
        """),
    ),
    Invariant(
        "settled-event-has-no-job",
        "No job goes on waiting to process a delivery that is done with.",
        by_query("""
            SELECT 'webhook_event:' || e.id FROM procrastinate_jobs j
            JOIN webhook_events e ON e.id = (j.args ->> 'event_id')::bigint
            WHERE j.task_name = 'process_event' AND j.status = 'todo'
            AND e.state IN ('processed', 'ignored', 'superseded') AND e.processed_at < :late
            AND coalesce(j.scheduled_at, :late) <= :late
        """),
    ),
    Invariant(
        "received-event-has-job",
        "A delivery that is not done with has a job, or stands in the inbox as parked or failed.",
        by_query("""
            SELECT 'webhook_event:' || e.id FROM webhook_events e
            WHERE e.state = 'received' AND e.received_at < :late AND NOT EXISTS (
              SELECT FROM procrastinate_jobs j
              WHERE j.task_name = 'process_event' AND j.status IN ('todo', 'doing')
              AND (j.args ->> 'event_id')::bigint = e.id)
        """),
    ),
    Invariant(
        "parked-event-says-why",
        "A delivery that waits for a person says what it waits for.",
        by_query("SELECT 'webhook_event:' || id FROM webhook_events WHERE state = 'parked' AND parked_because IS NULL"),
    ),
    Invariant(
        "running-job-has-living-worker",
        "No job is at work whose worker has not been heard of for 90 seconds.",
        by_query("""
            SELECT 'job:' || j.id || ' ' || j.task_name FROM procrastinate_jobs j
            LEFT JOIN procrastinate_workers w ON w.id = j.worker_id
            WHERE j.status = 'doing' AND (w.id IS NULL OR w.last_heartbeat < :gone)
            AND (SELECT max(e.at) FROM procrastinate_events e WHERE e.job_id = j.id AND e.type = 'started') < :gone
        """),
    ),
    Invariant(
        "paid-period-has-credits",
        "Each 28 days of a membership that are paid have had their credits when they begin.",
        by_query("""
            SELECT 'membership:' || id FROM memberships
            WHERE status = 'active' AND ignored_at IS NULL AND profile_user_id IS NOT NULL
            AND next_credits_at <= :late AND (period_end IS NULL OR next_credits_at < period_end)
        """),
    ),
    Invariant(
        "one-mail-per-occasion",
        "A mail about an appointment names its occasion, and no occasion has two mails.",
        by_query("""
            SELECT 'sent_email:' || id FROM sent_emails
            WHERE once_key IS NULL AND (booking_id IS NOT NULL OR meeting_id IS NOT NULL)
            UNION ALL
            SELECT 'sent_email:' || max(id) FROM sent_emails WHERE once_key IS NOT NULL
            GROUP BY once_key HAVING count(*) > 1
        """),
    ),
    Invariant(
        "queued-mail-has-job",
        "A mail that was written and not handed over has a job.",
        by_query("""
            SELECT 'sent_email:' || m.id FROM sent_emails m
            WHERE CASE m.state WHEN 'queued' THEN m.created_at < :late WHEN 'sending' THEN
              coalesce(m.handed_over_at, m.created_at)
                < LEAST(:late, CAST(:now AS timestamptz) - interval '10 minutes') END
            AND NOT EXISTS (
              SELECT FROM procrastinate_jobs j WHERE j.status IN ('todo', 'doing') AND CASE j.task_name
                WHEN 'send_claim_mail' THEN (j.args ->> 'pending_profile_id')::bigint = m.pending_profile_id
                WHEN 'send_appointment_mail' THEN j.args ->> 'subject' IN
                  ('booking:' || m.booking_id, 'meeting:' || m.meeting_id)
                WHEN 'send_switch_mail' THEN m.once_key LIKE '%:' || (j.args ->> 'change_id')
                ELSE false END)
        """),
    ),
    Invariant(
        "unanswered-call-has-job",
        "A call that was not answered is being asked about by a job, or needs attention in the list of calls.",
        by_query("""
            SELECT 'provider_call:' || c.id || ' ' || c.operation || ' about ' || c.subject FROM provider_calls c
            WHERE c.state = 'intended' AND c.finished_at IS NULL AND c.attention_since IS NULL
            AND c.created_at < LEAST(:late, CAST(:now AS timestamptz) - interval '75 minutes')
            AND coalesce(c.next_try_at, :late) <= :late AND NOT EXISTS (
              SELECT FROM procrastinate_jobs j WHERE j.status IN ('todo', 'doing') AND (
                (j.args ->> 'call_id')::bigint = c.id OR j.args ->> 'subject' = c.subject
                OR c.subject = 'booking:' || (j.args ->> 'booking_id')
                OR c.subject = 'meeting:' || (j.args ->> 'meeting_id')
                OR c.subject = 'refund:' || (j.args ->> 'refund_id')
                OR c.subject = 'guest:' || (j.args ->> 'guest_id')
                OR c.idempotency_key = j.args ->> 'key'))
        """),
    ),
    Invariant(
        "unknown-call-is-on-a-list",
        "A call of which nobody knows for an hour whether it was done needs attention, is asked about, or its refund "
        "stands as unknown.",
        by_query("""
            SELECT 'provider_call:' || c.id || ' ' || c.operation || ' about ' || c.subject FROM provider_calls c
            WHERE c.state = 'unknown' AND c.attention_since IS NULL
            AND c.created_at < LEAST(:late, CAST(:now AS timestamptz) - interval '75 minutes')
            AND coalesce(c.next_try_at, :late) <= :late
            AND NOT EXISTS (SELECT FROM refunds r WHERE c.operation = 'refund.create'
              AND c.subject = 'refund:' || r.id AND r.state IN ('requested', 'sent', 'unknown', 'succeeded', 'failed'))
            AND NOT EXISTS (
              SELECT FROM procrastinate_jobs j WHERE j.status IN ('todo', 'doing') AND (
                (j.args ->> 'call_id')::bigint = c.id OR j.args ->> 'subject' = c.subject
                OR c.idempotency_key = j.args ->> 'key'))
        """),
    ),
    Invariant(
        "audit-chain-unbroken",
        "No entry of the audit was changed or removed.",
        _audit_chain,
    ),
)
