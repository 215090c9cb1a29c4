"""What a person does about a call at a provider that failed for good or stays unknown: try it again, or settle it."""

from collections.abc import Callable, Mapping
from datetime import datetime

from sqlalchemy import select

from admin_app.context import Ctx
from admin_app.errors import Conflict, NotFound
from admin_app.integrations import job_queue
from admin_app.policies.permissions import Permission, require
from admin_app.services import checkout
from admin_app.services.appointments import subject_parts
from admin_app.services.calendars import calendar_calls, calendar_sync
from admin_app.services.core import audit
from admin_app.services.core.plans import Plan, PlanLine, PlannedCall, fingerprint, require_reason, require_same
from admin_app.services.core.timeline_words import provider_name, why
from admin_app.services.inbox.provider_calls import OPEN
from admin_app.services.purchases import address_actions, address_sending, cancel_actions, cancel_sending
from models.bookings import Booking
from models.inbox import CallState, ProviderCall

NOTHING_OPEN = "It needs no attention any more: it succeeded, is tried again by itself, or was settled."
ONLY_SETTLED = "It cannot be tried again from here. Look at the record that it is about."


def plan_retry(ctx: Ctx, *, call_id: int) -> Plan:
    """What trying a call again does."""
    require(ctx, Permission.PAYMENTS_READ)
    call = _found(ctx, call_id)
    return Plan(
        title="What happened, and what comes next",
        outcome="tried",
        lines=(),
        consequences=(
            _what_happened(call),
            f"{provider_name(call.provider)} is asked in a moment what became of it."
            if call.state in OPEN
            else "It is tried in a moment, with the record as it is then; what is not wanted any more is not done.",
            "It needs attention until that succeeds.",
        ),
        fingerprint=_fingerprint(call),
        refusal=_refusal(call) or (None if _again(call) else ONLY_SETTLED),
        calls=_calls_again(ctx, call),
    )


def retry(ctx: Ctx, *, call_id: int, reason: str, shown: str) -> ProviderCall:
    """Have a call that waits for a person tried again, or asked about; it stays on the list until that helped."""
    call, reason = _open(ctx, call_id, reason, shown)
    again = _again(call)
    if again is None:
        raise Conflict(ONLY_SETTLED)
    again(ctx, call)
    _record(ctx, call, "provider_call.retried", reason)
    return call


def plan_settle(ctx: Ctx, *, call_id: int) -> Plan:
    """What it means to mark a call as settled."""
    require(ctx, Permission.PAYMENTS_READ)
    call = _found(ctx, call_id)
    return Plan(
        title="What happened, and what comes next",
        outcome="settled",
        lines=tuple(
            PlanLine(f"provider_call:{call.id}", name, getattr(call, name), value, "this command")
            for name, value in _settled(ctx, call).items()
        ),
        consequences=(
            _what_happened(call),
            f"It needs no attention and is not tried again; nothing changes at {provider_name(call.provider)}.",
        ),
        fingerprint=_fingerprint(call),
        refusal=_refusal(call),
    )


def settle(ctx: Ctx, *, call_id: int, reason: str, shown: str) -> ProviderCall:
    """Note that nothing is left to do about a call: it was done by hand, or is not wanted."""
    call, reason = _open(ctx, call_id, reason, shown)
    for name, value in _settled(ctx, call).items():
        setattr(call, name, value)
    _record(ctx, call, "provider_call.settled", reason)
    return call


def _calls_again(ctx: Ctx, call: ProviderCall) -> tuple[PlannedCall, ...]:
    """The change that is made there once more; none where it is only asked about, or not wanted any more."""
    if call.state in OPEN or call.provider not in CALENDARS:
        return ()
    _, number = subject_parts(call.subject)
    booking = ctx.session.get(Booking, number)
    if booking is None or not calendar_sync.is_wanted(booking, call.operation, ctx.now):
        return ()
    return (PlannedCall(call.provider, call.operation, f"{provider_name(call.provider)} is told once more."),)


def _settled(ctx: Ctx, call: ProviderCall) -> dict[str, datetime | None]:
    return {"attention_since": None, "next_try_at": None, "finished_at": call.finished_at or ctx.now}


def what_happened(
    provider: str, state: CallState, error_code: str | None, attempts: int, next_try_at: datetime | None
) -> str:
    """One sentence or two about why a call needs attention."""
    name, reason = provider_name(provider), why(error_code)
    if state in OPEN:
        return f"It went to {name}, and no answer came: nobody knows whether it had its effect."
    if next_try_at is not None:
        times = "once" if attempts == 1 else f"{attempts} times"
        return f"{name} refused it or did not answer, {times} so far: {reason}. It is tried again by itself."
    return f"{name} refused it for good: {reason}. It is not tried again by itself."


def what_to_do(provider: str, operation: str, state: CallState) -> str:
    """What helps with a call that needs attention; never a repetition by hand of what may have had its effect."""
    name, again = provider_name(provider), may_be_retried(provider, operation, state)
    if state in OPEN:
        asks = f"Try again, and {name} is asked about it. " if again else ""
        return f"{asks}Look at {name} before you repeat anything by hand; mark it as settled when it is in order."
    if operation in cancel_actions.OPERATIONS:
        return "If it is still wanted, ask for it again on the page of the membership; then mark this as settled."
    if operation in address_actions.OPERATIONS:
        return "If it is still wanted, ask for it again on the page of the account; then mark this as settled."
    by_hand = f"do it by hand at {name} and mark it as settled"
    return f"Put right what it names and try again; or {by_hand}." if again else f"If it is still wanted, {by_hand}."


def may_be_retried(provider: str, operation: str, state: CallState) -> bool:
    """Whether trying again from the list of calls is possible; what it does depends on the provider."""
    by_asking = (*checkout.SETTLED_BY_ASKING, *cancel_actions.OPERATIONS, *address_actions.OPERATIONS)
    return provider in CALENDARS or (operation in by_asking and state in OPEN)


def _what_happened(call: ProviderCall) -> str:
    return what_happened(call.provider, call.state, call.error_code, call.attempts, call.next_try_at)


def _open(ctx: Ctx, call_id: int, reason: str, shown: str) -> tuple[ProviderCall, str]:
    require(ctx, Permission.FAILURES_SETTLE)
    reason = require_reason(reason)
    locked = select(ProviderCall).where(ProviderCall.id == call_id).with_for_update()
    call = ctx.session.scalar(locked.execution_options(populate_existing=True))
    if call is None:
        raise NotFound("There is no such call.")
    if refusal := _refusal(call):
        raise Conflict(refusal)
    require_same(shown, _fingerprint(call))
    return call, reason


def _found(ctx: Ctx, call_id: int) -> ProviderCall:
    call = ctx.session.get(ProviderCall, call_id)
    if call is None:
        raise NotFound("There is no such call.")
    return call


def _refusal(call: ProviderCall) -> str | None:
    return NOTHING_OPEN if call.attention_since is None else None


def _again(call: ProviderCall) -> Callable[[Ctx, ProviderCall], None] | None:
    if not may_be_retried(call.provider, call.operation, call.state):
        return None
    if call.operation in (*cancel_actions.OPERATIONS, *address_actions.OPERATIONS):
        return _bring_on
    return _sync if call.provider in CALENDARS else _ask


def _sync(ctx: Ctx, call: ProviderCall) -> None:
    _, number = subject_parts(call.subject)
    calendar_calls.queue(ctx, number)


def _ask(ctx: Ctx, call: ProviderCall) -> None:
    job_queue.defer(ctx.session, "settle_call", once_key=f"settle_call:{call.id}", call_id=call.id)


def _bring_on(ctx: Ctx, call: ProviderCall) -> None:
    of = address_sending if call.operation in address_actions.OPERATIONS else cancel_sending
    of.queue(ctx, call.id)


def _fingerprint(call: ProviderCall) -> str:
    return fingerprint(call.id, call.state, call.attempts, call.attention_since)


def _record(ctx: Ctx, call: ProviderCall, event: str, reason: str) -> None:
    records = [f"provider_call:{call.id}", call.subject]
    facts: Mapping[str, str] = {"operation": call.operation, "provider": call.provider}
    audit.record(ctx, event, records=records, reason=reason, facts=facts)


CALENDARS = ("calcom", "calendly")
