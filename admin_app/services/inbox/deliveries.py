"""The inbox: a provider's delivery is stored raw, then applied by a job, parked for a person, or superseded."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from admin_app.context import Ctx, Statement
from admin_app.errors import Conflict, NotFound
from admin_app.integrations import job_queue
from admin_app.integrations.registry import Providers
from admin_app.policies.permissions import Permission, require
from admin_app.services.core import audit
from admin_app.services.core.email_fields import clean_email
from admin_app.services.core.plans import require_reason
from admin_app.services.core.records import event_key
from admin_app.services.inbox.handling import Parked, Question, Settled, handler_of, release_waiting_for, requeue
from models.inbox import EventState, WebhookEvent

SETTLED = frozenset({EventState.PROCESSED, EventState.IGNORED, EventState.SUPERSEDED})
PARKED_SENTENCES = {
    "email_missing": "The event names no e-mail, and Whop does not tell it either. Attach the buyer's address.",
    "clerk_not_asked": "Clerk could not be asked who this person is now. It goes on by itself once Clerk answers.",
    "stripe_not_asked": "Stripe could not be asked what became of this. It goes on by itself once Stripe answers.",
    "unreadable_at_stripe": "What Stripe says of this cannot be read. Look at it there; release it once it can be.",
    "unknown_at_stripe": "Stripe knows nothing of what this is about. Its key may belong to another account.",
    "customer_unknown": "Nobody here is the customer who subscribed. The list of Stripe customers has what is known "
    "of them there. Say which client it is, or write the client's number into the customer's or the subscription's "
    "metadata at Stripe, as clientId; then it goes on by itself.",
    "payment_unknown": "It says that somebody paid for a booking or meeting here, but no such payment is known. "
    "Look at Stripe, and give the money back there if nothing was booked.",
    "event_type_unknown": "No session type has this Calendly event type yet. Set it at the session type, or run "
    "`flask calendly sync`, and the event goes on by itself.",
    "practitioner_unknown": "No practitioner, or more than one, has this Cal.com event type, user or e-mail. Set it at "
    "the practitioner, and the event goes on by itself.",
    "session_type_unclear": "The practitioner has no session type, or several, of this length. Add the one that is "
    "booked at Cal.com, and the event goes on by itself.",
    "time_taken": "Another booking or meeting has this time here. Move or cancel one of them, and the event goes on by "
    "itself.",
    "reschedule_unseen": "It was moved, and neither the old nor the new appointment is known yet. It goes on by itself "
    "once the new one arrives.",
    "host_unknown": "It was given to another host, and nobody here has that calendar. Set the Cal.com user or the "
    "e-mail at the practitioner, and the event goes on by itself.",
    "two_bookings": "Two bookings that were both sold here are one appointment there. Cancel the wrong one there.",
    "details_missing": "It does not say when, and Calendly was not asked. It goes on by itself once Calendly answers "
    "again; without CALENDLY_TOKEN, set that first and release it.",
    "attendee_missing": "It names nobody who comes. Look at Cal.com.",
    "membership_unknown": "No purchase of this membership is known yet. It goes on by itself once one arrives.",
}

# For the rest of the transaction. A backlog changes both tables faster than anything counts their rows.
BY_INDEX = text("SET LOCAL enable_seqscan = off")
# Nothing is joined: a set is taken from a set, which costs the sum of both and never their product, whatever the
# planner believes. What waits in a backlog is seen in full each time, so that it never hides what is lost behind it.
UNFINISHED = text(
    """
    SELECT lost.id FROM (
        SELECT e.id FROM webhook_events e WHERE e.state IN ('received', 'failed') AND e.received_at < :before
        EXCEPT
        SELECT (j.args ->> 'event_id')::bigint FROM procrastinate_jobs j
        WHERE j.status IN ('todo', 'doing') AND j.task_name = 'process_event'
    ) lost
    ORDER BY lost.id LIMIT :limit
    """
)


_QUEUE, _JOB = job_queue.insert_from("stored", "process_event", "jsonb_build_object('event_id', id)")
# Event and job stand or fall together, because they are one statement; no row comes back for what was known before.
_RECEIVE = f"""
WITH stored AS (
    INSERT INTO webhook_events (provider, external_id, type, body, received_at, occurred_at, subject)
    VALUES (%(provider)s, %(external_id)s, %(type)s, %(body)b, %(received_at)s, %(occurred_at)s, %(subject)s)
    ON CONFLICT DO NOTHING RETURNING id
), queued AS ({_QUEUE})
SELECT id FROM stored
"""  # noqa: S608 - constants only


def receipt(
    *,
    provider: str,
    external_id: str,
    type: str,
    body: bytes,
    received_at: datetime,
    occurred_at: datetime | None,
    subject: str | None,
) -> Statement:
    """What stores a verified delivery and queues its processing; answers the event's id, or no row when it is known."""
    values = {
        "provider": provider,
        "external_id": external_id,
        "type": type,
        "body": body,
        "received_at": received_at,
        "occurred_at": occurred_at,
        "subject": subject,
    }
    return Statement(_RECEIVE, {**values, **_JOB})


def receive(
    ctx: Ctx,
    *,
    provider: str,
    external_id: str,
    type: str,
    body: bytes,
    occurred_at: datetime | None,
    subject: str | None,
) -> int | None:
    """Store a delivery within a greater change and queue its processing; None when it was stored before."""
    statement = receipt(
        provider=provider,
        external_id=external_id,
        type=type,
        body=body,
        received_at=ctx.now,
        occurred_at=occurred_at,
        subject=subject,
    )
    stored = ctx.session.connection().exec_driver_sql(statement.sql, dict(statement.values)).first()
    return None if stored is None else stored.id


def lookup_needed(ctx: Ctx, *, event_id: int) -> Question | None:
    """What must be asked at the event's provider before it can be applied, if anything."""
    event = ctx.session.get(WebhookEvent, event_id)
    if event is None or event.state in SETTLED:
        return None
    about = handler_of(event.provider).needs(ctx, event)
    return None if about is None else Question(event.provider, about)


def fetch(providers: Providers, question: Question) -> Any:
    """Ask the provider, outside of any transaction; raises ProviderUnavailable."""
    return handler_of(question.provider).fetch(providers, question.about)


def apply(ctx: Ctx, *, event_id: int, looked_up: Any = None, lookup_failed: bool = False) -> EventState:
    """Do what the event asks, once: an event that is settled already stays as it is."""
    event = _locked(ctx, event_id)
    if event.state in SETTLED:
        return event.state
    event.attempts += 1
    event.last_error = "lookup_failed" if lookup_failed else None
    match handler_of(event.provider).apply(ctx, event, looked_up):
        case Settled() as settled:
            _settle(ctx, event, settled)
        case Parked() as parked:
            silent = lookup_failed and parked.waits_for is None
            _park(ctx, event, replace(parked, waits_for=_answer_of(event.provider)) if silent else parked)
    event.version += 1
    if looked_up is not None and not lookup_failed:
        release_waiting_for(ctx, _answer_of(event.provider))
    return event.state


def _answer_of(provider: str) -> str:
    """What an event waits for that nobody could be asked about: the provider's next answer to anything."""
    return f"answer:{provider}"


def _settle(ctx: Ctx, event: WebhookEvent, settled: Settled) -> None:
    event.state, event.outcome, event.processed_at, event.parked_because = settled.state, settled.outcome, ctx.now, None
    event.waits_for = event.again_at = None
    event.booking_id = settled.booking_id or event.booking_id
    event.meeting_id = settled.meeting_id or event.meeting_id


def _park(ctx: Ctx, event: WebhookEvent, parked: Parked) -> None:
    because, event.waits_for = parked.because, parked.waits_for
    if parked.again_at is not None and parked.again_at != event.again_at:
        event.again_at = parked.again_at
        once = f"process_event:{event.id}"
        job_queue.defer(ctx.session, "process_event", once_key=once, at=parked.again_at, event_id=event.id)
    if event.state is EventState.PARKED and event.parked_because == because:
        return
    event.state, event.parked_because = EventState.PARKED, because
    audit.record(
        ctx,
        "inbox.parked",
        records=[event_key(event.id)],
        facts={"provider": event.provider, "because": because},
    )


def fail(ctx: Ctx, *, event_id: int, error_code: str) -> None:
    """Processing broke for a reason of ours: shown in the inbox, tried again by release or the sweeper."""
    event = _locked(ctx, event_id)
    if event.state not in SETTLED:
        event.state, event.last_error = EventState.FAILED, error_code
        event.attempts += 1
        event.version += 1


def attach_email(ctx: Ctx, *, event_id: int, email: str, reason: str) -> WebhookEvent:
    """Support names the buyer's address of a parked event, and it goes on."""
    require(ctx, Permission.INBOX_RELEASE)
    reason = require_reason(reason)
    address = clean_email(email)
    event = _open_for_release(ctx, event_id)
    event.attached_email = address
    requeue(ctx, event)
    audit.record(
        ctx,
        "inbox.email_attached",
        records=[event_key(event.id)],
        reason=reason,
        facts={"email": address},
    )
    return event


def release(ctx: Ctx, *, event_id: int, reason: str) -> WebhookEvent:
    """Try a parked or failed event again as it is."""
    require(ctx, Permission.INBOX_RELEASE)
    reason = require_reason(reason)
    event = _open_for_release(ctx, event_id)
    requeue(ctx, event)
    audit.record(ctx, "inbox.released", records=[event_key(event.id)], reason=reason)
    return event


def _open_for_release(ctx: Ctx, event_id: int) -> WebhookEvent:
    event = _locked(ctx, event_id)
    if event.state not in (EventState.PARKED, EventState.FAILED):
        raise Conflict("This event is not waiting for anyone: someone released it, or it was processed.")
    return event


def _locked(ctx: Ctx, event_id: int) -> WebhookEvent:
    event = ctx.session.get(WebhookEvent, event_id, with_for_update=True, populate_existing=True)
    if event is None:
        raise NotFound("There is no such event in the inbox.")
    return event


def parked_because(session: Session, provider: str, subject: str) -> str | None:
    """What the newest event about this object waits for, if it waits."""
    newest = select(WebhookEvent.parked_because).where(
        WebhookEvent.provider == provider, WebhookEvent.subject == subject
    )
    return session.scalar(newest.order_by(WebhookEvent.id.desc()).limit(1))


def unfinished(session: Session, *, older_than: timedelta, now: datetime | None = None, limit: int = 200) -> list[int]:
    """Events that should have been processed by now and that no live job is going to process, the oldest first."""
    session.execute(BY_INDEX)
    before = (now or datetime.now(UTC)) - older_than
    return list(session.scalars(UNFINISHED, {"before": before, "limit": limit}))


def requeue_unfinished(ctx: Ctx, *, event_id: int) -> None:
    """The sweeper's way to give a lost event its job back."""
    event = _locked(ctx, event_id)
    if event.state in (EventState.RECEIVED, EventState.FAILED):
        requeue(ctx, event)
