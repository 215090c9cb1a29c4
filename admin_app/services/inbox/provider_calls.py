"""The journal of calls that change something at a provider: transaction, network, transaction.

`intend` notes the call with its idempotency key before it leaves; `finish` notes what came back. A call that stays
`intended` because its process died, or that is `unknown`, is settled by asking the provider, never by sending it
blindly again.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from admin_app.context import Ctx
from admin_app.errors import DomainError, OutcomeUnknown, ProviderRefused, ProviderUnavailable
from models.inbox import CallState, ProviderCall

Work = Callable[[], AbstractContextManager[Ctx]]
Answer = TypeVar("Answer")
OPEN = (CallState.INTENDED, CallState.UNKNOWN)
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=5), timedelta(hours=6)
# Tries that did not help before a person is to know; the job's own come first, and take minutes.
SEEN_AFTER = 5
STUCK_AFTER = timedelta(hours=1)
ASKED_BY_THEMSELVES = ("calcom", "calendly")


def intend(ctx: Ctx, *, provider: str, operation: str, subject: str, key: str) -> ProviderCall:
    """Note that this call is about to leave; the same key again is the same call, tried once more."""
    ctx.session.execute(
        insert(ProviderCall)
        .values(provider=provider, operation=operation, subject=subject, idempotency_key=key, created_at=ctx.now)
        .on_conflict_do_nothing()
    )
    call = ctx.session.scalars(select(ProviderCall).where(ProviderCall.idempotency_key == key).with_for_update()).one()
    call.attempts += 1
    if call.state is not CallState.SUCCEEDED:
        call.state, call.finished_at, call.next_try_at = CallState.INTENDED, None, None
    return call


def finish(
    ctx: Ctx,
    *,
    key: str,
    state: CallState,
    external_id: str | None = None,
    error_code: str | None = None,
    again: bool = False,
    attention: bool = False,
) -> ProviderCall:
    """Note what became of the call. One that succeeded stays so: another try under its key may have heard less.

    With `again` it is tried again by itself, after a wait that grows, and waits for a person too once that has not
    helped for a while; with `attention` it waits for a person from now on. Any other end that is known is an end.
    """
    call = ctx.session.scalars(select(ProviderCall).where(ProviderCall.idempotency_key == key).with_for_update()).one()
    if call.state is CallState.SUCCEEDED and state is not CallState.SUCCEEDED:
        return call
    call.state, call.error_code = state, error_code
    call.external_id = external_id or call.external_id
    call.finished_at = None if state is CallState.UNKNOWN else ctx.now
    call.next_try_at = ctx.now + wait_after(call.attempts) if again else None
    if attention or (again and call.attempts >= SEEN_AFTER):
        call.attention_since = call.attention_since or ctx.now
    elif state is not CallState.UNKNOWN and not again:
        call.attention_since = None
    return call


def end_attempt(ctx: Ctx, key: str) -> ProviderCall:
    """Count that one attempt of the call has ended; the call as it is, locked."""
    query = select(ProviderCall).where(ProviderCall.idempotency_key == key).with_for_update()
    call = ctx.session.scalars(query.execution_options(populate_existing=True)).one()
    call.attempts_ended = min(call.attempts_ended + 1, call.attempts)
    return call


def wait_after(tries: int) -> timedelta:
    """How long to wait before what failed so often is tried again: 5 minutes, 10, 20, … 6 hours."""
    return min(FIRST_WAIT * (1 << min(max(tries, 1) - 1, 10)), LONGEST_WAIT)


def is_passing(error: DomainError) -> bool:
    """Whether the same call may be taken later."""
    return error.passing if isinstance(error, ProviderRefused) else isinstance(error, ProviderUnavailable)


def postpone(ctx: Ctx, calls: Iterable[ProviderCall]) -> None:
    """These are being asked about: until they may be again, the others come first, whatever becomes of these."""
    for call in calls:
        call.next_try_at = ctx.now + wait_after(call.attempts)


def note_stuck(ctx: Ctx, *, limit: int) -> int:
    """Have a person look at calls whose answer stays unknown, or whose process died; returns how many are new.

    Calendars see to their own, and an unknown refund is on a list as such.
    """
    stuck = ctx.session.scalars(
        select(ProviderCall)
        .where(
            ProviderCall.state.in_(OPEN),
            ProviderCall.finished_at.is_(None),
            ProviderCall.attention_since.is_(None),
            ProviderCall.created_at < ctx.now - STUCK_AFTER,
            ProviderCall.provider.not_in(ASKED_BY_THEMSELVES),
            ProviderCall.operation != "refund.create",
        )
        .order_by(ProviderCall.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for call in stuck:
        call.attention_since = ctx.now
    return len(stuck)


def state_after(error: DomainError) -> CallState:
    """What a call's failure says about its effect."""
    return CallState.UNKNOWN if isinstance(error, OutcomeUnknown) else CallState.FAILED


def code_after(error: DomainError) -> str:
    """The code under which a failed call is noted: the provider's reason for its no, else the error's own."""
    return error.reason if isinstance(error, ProviderRefused) else error.code


def send(
    work: Work,
    *,
    provider: str,
    operation: str,
    subject: str,
    key: str,
    call: Callable[[], Answer],
    name: Callable[[Answer], str | None],
    attention: bool = False,
) -> Answer:
    """Note the intent, make the call outside of any transaction, note the outcome; `name` is the answer's id there.

    With `attention` one that fails waits for a person, until it is tried again under its key and succeeds. Raises what
    the port raises, after noting it.
    """
    with work() as ctx:
        intend(ctx, provider=provider, operation=operation, subject=subject, key=key)
    try:
        answer = call()
    except DomainError as error:
        with work() as ctx:
            state, code = state_after(error), code_after(error)
            finish(ctx, key=key, state=state, error_code=code, attention=attention)
        raise
    with work() as ctx:
        finish(ctx, key=key, state=CallState.SUCCEEDED, external_id=name(answer))
    return answer
