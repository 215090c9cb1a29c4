"""What the inbox and the handlers of the providers' events say to each other.

A handler is a module with three functions: `read` has the integration parse the delivery and says what must be fetched
from the provider first, if anything; `fetch` asks for it, outside of any transaction; `apply` does what the event asks
and says what became of it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import select

from admin_app.context import Ctx
from admin_app.errors import ProviderUnavailable
from admin_app.integrations import job_queue
from admin_app.integrations.registry import Providers
from admin_app.services.core import audit
from admin_app.services.core.records import event_key
from models.inbox import EventState, WebhookEvent


@dataclass(frozen=True)
class Reading:
    """What a stored delivery says, read once: the integration's snapshot of it, and the provider's id of what must be
    fetched before it can be applied, if anything.
    """

    snapshot: Any
    needed: str | None


@dataclass(frozen=True)
class Settled:
    """The event is done with; the booking or meeting is what it turned out to be about."""

    state: EventState
    outcome: str
    booking_id: int | None = None
    meeting_id: int | None = None

    @classmethod
    def done(cls, outcome: str, *, booking_id: int | None = None, meeting_id: int | None = None) -> "Settled":
        return cls(EventState.PROCESSED, outcome, booking_id, meeting_id)

    @classmethod
    def ignored(cls, outcome: str) -> "Settled":
        return cls(EventState.IGNORED, outcome)


@dataclass(frozen=True)
class Parked:
    """The event waits for a person or for another event; `because` is a code of `inbox.PARKED_SENTENCES`.

    `waits_for` names the record of ours whose change may end that; at `again_at` it is tried again in any case.
    """

    because: str
    waits_for: str | None = None
    again_at: datetime | None = None


class NotConfigured(ProviderUnavailable):
    """Nobody can be asked: the provider's key is not set. Trying again does not help."""

    code = "provider_not_configured"


class Handler(Protocol):
    """What handles one provider's events: a module with these three functions."""

    def read(self, ctx: Ctx, event: WebhookEvent) -> Reading:
        """What the delivery says, and what must be fetched first. Raises MalformedEvent."""

    def fetch(self, providers: Providers, needed: str) -> Any:
        """The answer, as `apply` takes it. Raises ProviderUnavailable, or NotConfigured."""

    def apply(self, ctx: Ctx, event: WebhookEvent, snapshot: Any, found: Any) -> Settled | Parked:
        """Do what the event asks; `snapshot` is what `read` found in it, `found` what `fetch` answered: None when
        nothing had to be fetched or nobody answered.
        """


def answer_of(provider: str) -> str:
    """What an event waits for that nobody could be asked about: the provider's next answer to anything."""
    return f"answer:{provider}"


def settle(ctx: Ctx, event: WebhookEvent, settled: Settled) -> None:
    """Write down that the event is done with. It is locked."""
    event.state, event.outcome, event.processed_at, event.parked_because = settled.state, settled.outcome, ctx.now, None
    event.waits_for = event.again_at = None
    event.booking_id = settled.booking_id or event.booking_id
    event.meeting_id = settled.meeting_id or event.meeting_id


def park(ctx: Ctx, event: WebhookEvent, parked: Parked) -> None:
    """Write down what the event waits for, and have it tried again at the time that is named. It is locked."""
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


def release_waiting(
    ctx: Ctx, provider: str, because: Collection[str], *, subjects: Collection[str] | None = None
) -> None:
    """Parked events that waited for what has come now go on, the oldest first; of these subjects, or of all."""
    waiting = select(WebhookEvent).where(
        WebhookEvent.provider == provider,
        WebhookEvent.state == EventState.PARKED,
        WebhookEvent.parked_because.in_(because),
    )
    if subjects is not None:
        waiting = waiting.where(WebhookEvent.subject.in_(subjects))
    in_order = waiting.order_by(WebhookEvent.occurred_at, WebhookEvent.id)
    for event in ctx.session.scalars(in_order.with_for_update(skip_locked=True)):
        requeue(ctx, event)


def release_waiting_for(ctx: Ctx, record: str) -> None:
    """This record of ours changed: whatever is parked because of it is tried again, the oldest first."""
    waiting = select(WebhookEvent).where(WebhookEvent.waits_for == record, WebhookEvent.state == EventState.PARKED)
    in_order = waiting.order_by(WebhookEvent.occurred_at, WebhookEvent.id)
    for event in ctx.session.scalars(in_order.with_for_update(skip_locked=True)):
        requeue(ctx, event)


def requeue(ctx: Ctx, event: WebhookEvent) -> None:
    """The event goes through processing again."""
    event.state, event.parked_because, event.last_error = EventState.RECEIVED, None, None
    event.waits_for = None
    event.version += 1
    job_queue.defer(ctx.session, "process_event", event_id=event.id)
