"""The inbox: a provider's delivery is stored raw, then applied by a job, parked for a person, or superseded."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from admin_app.context import Ctx, Customer
from admin_app.errors import AlreadyClaimed, Conflict, NotFound
from admin_app.integrations import clerk, job_queue, whop
from admin_app.integrations.ports import ClerkUser, WhopEvent, WhopMembership
from admin_app.policies.permissions import Permission, require
from admin_app.services import audit, claims, holders, purchases
from admin_app.services.pending_profiles import clean_email
from admin_app.services.plans import require_reason
from admin_app.services.purchases import Applied, PurchaseFacts
from admin_app.services.records import event_key
from models.inbox import EventState, WebhookEvent

SETTLED = frozenset({EventState.PROCESSED, EventState.IGNORED, EventState.SUPERSEDED})
CLAIMING_EVENTS = frozenset({"user.created", "user.updated"})
# The first needs the purchase, the second its buyer's address: both are there once the membership is held.
RELEASED_WHEN_KNOWN = ("membership_unknown", "email_missing")
PARKED_SENTENCES = {
    "email_missing": "The event names no e-mail, and Whop does not tell it either. Attach the buyer's address.",
    "membership_unknown": "No purchase of this membership is known yet. It goes on by itself once one arrives.",
}


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
    """Store a verified delivery and queue its processing; None when it was stored before."""
    event_id = ctx.session.scalar(
        insert(WebhookEvent)
        .values(
            provider=provider,
            external_id=external_id,
            type=type,
            body=body,
            received_at=ctx.now,
            occurred_at=occurred_at,
            subject=subject,
        )
        .on_conflict_do_nothing()
        .returning(WebhookEvent.id)
    )
    if event_id is not None:
        job_queue.defer(ctx.session, "process_event", event_id=event_id)
    return event_id


def lookup_needed(ctx: Ctx, *, event_id: int) -> str | None:
    """The Whop membership whose buyer must be asked for by the API before this event can be applied, if any."""
    event = ctx.session.get(WebhookEvent, event_id)
    if event is None or event.provider != "whop" or event.state in SETTLED or event.attached_email:
        return None
    parsed = _parsed(event)
    if parsed.kind != "purchase" or parsed.email or parsed.membership_id is None:
        return None
    return None if holders.is_held(ctx.session, parsed.membership_id) else parsed.membership_id


def apply(
    ctx: Ctx, *, event_id: int, looked_up: WhopMembership | None = None, lookup_failed: bool = False
) -> EventState:
    """Do what the event asks, once: an event that is settled already stays as it is."""
    event = _locked(ctx, event_id)
    if event.state in SETTLED:
        return event.state
    event.attempts += 1
    event.last_error = "lookup_failed" if lookup_failed else None
    if event.provider == "clerk":
        _apply_clerk(ctx, event)
    else:
        _apply_whop(ctx, event, looked_up)
    event.version += 1
    return event.state


def _apply_whop(ctx: Ctx, event: WebhookEvent, looked_up: WhopMembership | None) -> None:
    parsed = _parsed(event)
    email = event.attached_email or parsed.email or (looked_up.email if looked_up else None)
    facts = PurchaseFacts.of(parsed, occurred_at=event.occurred_at or event.received_at, email=email)
    match parsed.kind:
        case "purchase":
            applied = purchases.record(ctx, facts)
        case "ended":
            applied = purchases.end(ctx, facts)
        case "cancellation":
            applied = purchases.set_cancellation(ctx, facts)
        case _:
            _settle(ctx, event, EventState.IGNORED, "not about a purchase")
            return
    match applied:
        case Applied.DONE:
            _settle(ctx, event, EventState.PROCESSED, parsed.kind)
        case Applied.SUPERSEDED:
            _settle(ctx, event, EventState.SUPERSEDED, "something newer was applied before")
        case _:
            _park(ctx, event, applied.value)
            return
    if parsed.kind == "purchase" and parsed.membership_id:
        _release_waiting(ctx, parsed.membership_id)


def _apply_clerk(ctx: Ctx, event: WebhookEvent) -> None:
    parsed = clerk.parse_event(event.body, {"svix-id": event.external_id})
    customer = _primary_customer(parsed.user) if parsed.type in CLAIMING_EVENTS and parsed.user else None
    if customer is None:
        _settle(ctx, event, EventState.IGNORED, "no verified primary address")
        return
    try:
        with ctx.session.begin_nested():
            outcome = claims.sign_in_from_provider(ctx, customer).outcome
    except AlreadyClaimed as refused:
        outcome = refused.code
    _settle(ctx, event, EventState.PROCESSED, outcome)


def _primary_customer(user: ClerkUser) -> Customer | None:
    """Only the primary address, and only when verified: anything else could be someone else's."""
    primary = next((email.address.lower() for email in user.emails if email.primary and email.verified), None)
    return Customer(user.id, frozenset({primary}), primary, user.name) if primary else None


def _parsed(event: WebhookEvent) -> WhopEvent:
    return whop.parse_event(event.body, {"webhook-id": event.external_id}, event.received_at)


def _settle(ctx: Ctx, event: WebhookEvent, state: EventState, outcome: str) -> None:
    event.state, event.outcome, event.processed_at, event.parked_because = state, outcome, ctx.now, None


def _park(ctx: Ctx, event: WebhookEvent, because: str) -> None:
    if event.state is EventState.PARKED and event.parked_because == because:
        return
    event.state, event.parked_because = EventState.PARKED, because
    audit.record(
        ctx,
        "inbox.parked",
        records=[event_key(event.id)],
        facts={"provider": event.provider, "because": because},
    )


def _release_waiting(ctx: Ctx, membership_id: str) -> None:
    """Events that waited for this membership to be known go on now, the oldest first."""
    waiting = ctx.session.scalars(
        select(WebhookEvent)
        .where(
            WebhookEvent.provider == "whop",
            WebhookEvent.subject == membership_id,
            WebhookEvent.parked_because.in_(RELEASED_WHEN_KNOWN),
        )
        .order_by(WebhookEvent.occurred_at, WebhookEvent.id)
        .with_for_update(skip_locked=True)
    )
    for event in waiting:
        _requeue(ctx, event)


def _requeue(ctx: Ctx, event: WebhookEvent) -> None:
    event.state, event.parked_because, event.last_error = EventState.RECEIVED, None, None
    event.version += 1
    job_queue.defer(ctx.session, "process_event", event_id=event.id)


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
    _requeue(ctx, event)
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
    _requeue(ctx, event)
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


def unfinished(session: Session, *, older_than: timedelta, now: datetime | None = None, limit: int = 200) -> list[int]:
    """Events that should have been processed by now and that no live job is going to process."""
    query = text(
        """
        SELECT e.id FROM webhook_events e
        WHERE e.state IN ('received', 'failed') AND e.received_at < :before
          AND NOT EXISTS (
            SELECT 1 FROM procrastinate_jobs j
            WHERE j.task_name = 'process_event' AND j.status IN ('todo', 'doing')
              AND (j.args ->> 'event_id')::bigint = e.id)
        ORDER BY e.received_at LIMIT :limit
        """
    )
    before = (now or datetime.now(UTC)) - older_than
    return list(session.scalars(query, {"before": before, "limit": limit}))


def requeue_unfinished(ctx: Ctx, *, event_id: int) -> None:
    """The sweeper's way to give a lost event its job back."""
    event = _locked(ctx, event_id)
    if event.state in (EventState.RECEIVED, EventState.FAILED):
        _requeue(ctx, event)
