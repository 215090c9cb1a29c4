"""Calls that are asked about and never sent again blindly: which of them are open, and which are due to be brought on.

Somebody may have decided otherwise at the provider meanwhile, or the provider knows no key that makes two calls one.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import ColumnElement, and_, or_, select

from admin_app.context import Ctx
from admin_app.services.inbox.provider_calls import FIRST_WAIT, OPEN
from models.inbox import CallState, ProviderCall

# A call that has not shown there by then never arrived.
LATE_ENOUGH = FIRST_WAIT


def is_open(operations: Sequence[str]) -> ColumnElement[bool]:
    """Calls of these kinds that may still change something: without an answer, or tried again by themselves."""
    unanswered = and_(ProviderCall.state.in_(OPEN), ProviderCall.finished_at.is_(None))
    again = and_(ProviderCall.state == CallState.FAILED, ProviderCall.next_try_at.is_not(None))
    return and_(ProviderCall.operation.in_(operations), or_(unanswered, again))


def _due(ctx: Ctx, operations: Sequence[str], *, limit: int) -> Sequence[int]:
    """The open calls that no job has brought to an end: never left, never answered, or to be tried again."""
    waited = or_(
        ProviderCall.next_try_at <= ctx.now,
        and_(ProviderCall.next_try_at.is_(None), ProviderCall.created_at < ctx.now - LATE_ENOUGH),
    )
    oldest = select(ProviderCall.id).where(is_open(operations), waited).order_by(ProviderCall.next_try_at.nulls_first())
    return ctx.session.scalars(oldest.order_by(ProviderCall.id).limit(limit)).all()


def queue_due(ctx: Ctx, operations: Sequence[str], queue: Callable[[Ctx, int], None], *, limit: int) -> int:
    """Queue the calls that no job has brought to an end; how many."""
    found = _due(ctx, operations, limit=limit)
    for call_id in found:
        queue(ctx, call_id)
    return len(found)


def locked(ctx: Ctx, call_id: int, operations: Sequence[str], *, attempts: int | None = None) -> ProviderCall | None:
    """The call while it is open, and, with `attempts`, unless another job tried it since it was looked at."""
    found = select(ProviderCall).where(ProviderCall.id == call_id, is_open(operations)).with_for_update()
    if attempts is not None:
        found = found.where(ProviderCall.attempts == attempts)
    return ctx.session.scalar(found.execution_options(populate_existing=True))
