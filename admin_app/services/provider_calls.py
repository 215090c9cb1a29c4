"""The journal of calls that change something at a provider: transaction, network, transaction.

`intend` notes the call with its idempotency key before it leaves; `finish` notes what came back. A call that stays
`intended` because its process died, or that is `unknown`, is settled by asking the provider, never by sending it
blindly again.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from admin_app.context import Ctx
from admin_app.errors import DomainError, OutcomeUnknown, ProviderRefused
from models.money import CallState, ProviderCall

Work = Callable[[], AbstractContextManager[Ctx]]
Answer = TypeVar("Answer")


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
        call.state, call.finished_at = CallState.INTENDED, None
    return call


def finish(
    ctx: Ctx, *, key: str, state: CallState, external_id: str | None = None, error_code: str | None = None
) -> None:
    """Note what became of the call. One that succeeded stays so: another try under its key may have heard less."""
    call = ctx.session.scalars(select(ProviderCall).where(ProviderCall.idempotency_key == key).with_for_update()).one()
    if call.state is CallState.SUCCEEDED and state is not CallState.SUCCEEDED:
        return
    call.state, call.error_code = state, error_code
    call.external_id = external_id or call.external_id
    call.finished_at = None if state is CallState.UNKNOWN else ctx.now


def state_after(error: DomainError) -> CallState:
    """What a call's failure says about its effect."""
    return CallState.UNKNOWN if isinstance(error, OutcomeUnknown) else CallState.FAILED


def code_after(error: DomainError) -> str:
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
) -> Answer:
    """Note the intent, make the call outside of any transaction, note the outcome; `name` is the answer's id there.

    Raises what the port raises, after noting it.
    """
    with work() as ctx:
        intend(ctx, provider=provider, operation=operation, subject=subject, key=key)
    try:
        answer = call()
    except DomainError as error:
        with work() as ctx:
            finish(ctx, key=key, state=state_after(error), error_code=code_after(error))
        raise
    with work() as ctx:
        finish(ctx, key=key, state=CallState.SUCCEEDED, external_id=name(answer))
    return answer
