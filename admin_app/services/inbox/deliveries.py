"""Stored deliveries that wait: why, and how a person or the sweeper lets them go on."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import Conflict
from admin_app.policies.permissions import Permission, require
from admin_app.services.core import audit
from admin_app.services.core.email_fields import clean_email
from admin_app.services.core.plans import require_reason
from admin_app.services.core.records import event_key
from admin_app.services.inbox.handling import requeue
from admin_app.services.inbox.processing import locked
from models.inbox import EventState, WebhookEvent

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
    event = locked(ctx, event_id)
    if event.state not in (EventState.PARKED, EventState.FAILED):
        raise Conflict("This event is not waiting for anyone: someone released it, or it was processed.")
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
    event = locked(ctx, event_id)
    if event.state in (EventState.RECEIVED, EventState.FAILED):
        requeue(ctx, event)
