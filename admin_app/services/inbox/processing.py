"""A stored event is read once, applied once, and settled, parked or superseded: transaction, network, transaction."""

from dataclasses import dataclass, replace
from typing import Any

from admin_app.context import Ctx
from admin_app.errors import NotFound
from admin_app.services.inbox.handling import (
    Handler,
    Parked,
    Reading,
    Settled,
    answer_of,
    park,
    release_waiting_for,
    settle,
)
from models.inbox import EventState, WebhookEvent

SETTLED = frozenset({EventState.PROCESSED, EventState.IGNORED, EventState.SUPERSEDED})

_HANDLERS: dict[str, Handler] = {}


def register(provider: str, handler: Handler) -> None:
    """Where things are wired, each provider's handler is named once; the inbox itself knows none of them."""
    _HANDLERS[provider] = handler


def _handler_of(provider: str) -> Handler:
    try:
        return _HANDLERS[provider]
    except KeyError:
        raise LookupError(
            f"Nothing handles events of {provider}; importing admin_app.jobs wires the handlers"
        ) from None


@dataclass(frozen=True)
class OpenEvent:
    """An event that is still to be applied: who handles its provider's, and what it says, read once."""

    handler: Handler
    reading: Reading


def open_event(ctx: Ctx, *, event_id: int) -> OpenEvent | None:
    """Read the event; None when it is settled already.

    Raises NotFound when there is no such event, MalformedEvent when it cannot be read, and LookupError when no handler
    of its provider was wired.
    """
    event = ctx.session.get(WebhookEvent, event_id)
    if event is None:
        raise NotFound("There is no such event in the inbox.")
    if event.state in SETTLED:
        return None
    handler = _handler_of(event.provider)
    return OpenEvent(handler, handler.read(ctx, event))


def apply(
    ctx: Ctx,
    *,
    event_id: int,
    opened: OpenEvent | None = None,
    looked_up: Any = None,
    lookup_failed: bool = False,
) -> EventState:
    """Do what the event asks, once: an event that is settled already stays as it is. What became of it.

    `opened` is the event as it was read before, where something had to be asked; `looked_up` the provider's answer,
    and `lookup_failed` says that it gave none. Raises as `open_event`.
    """
    event = locked(ctx, event_id)
    if event.state in SETTLED:
        return event.state
    event.attempts += 1
    event.last_error = "lookup_failed" if lookup_failed else None
    handler = _handler_of(event.provider) if opened is None else opened.handler
    reading = handler.read(ctx, event) if opened is None else opened.reading
    match handler.apply(ctx, event, reading.snapshot, looked_up):
        case Settled() as settled:
            settle(ctx, event, settled)
        case Parked() as parked:
            silent = lookup_failed and parked.waits_for is None
            park(ctx, event, replace(parked, waits_for=answer_of(event.provider)) if silent else parked)
    event.version += 1
    if looked_up is not None and not lookup_failed:
        release_waiting_for(ctx, answer_of(event.provider))
    return event.state


def fail(ctx: Ctx, *, event_id: int, error_code: str) -> None:
    """Processing broke for a reason of ours: shown in the inbox, tried again by release or the sweeper."""
    event = locked(ctx, event_id)
    if event.state not in SETTLED:
        event.state, event.last_error = EventState.FAILED, error_code
        event.attempts += 1
        event.version += 1


def locked(ctx: Ctx, event_id: int) -> WebhookEvent:
    """The event, locked and as it is now. Raises NotFound."""
    event = ctx.session.get(WebhookEvent, event_id, with_for_update=True, populate_existing=True)
    if event is None:
        raise NotFound("There is no such event in the inbox.")
    return event
