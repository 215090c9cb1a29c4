"""Tells a provider to cancel a membership, or not to after all, and applies what the provider says then.

The provider is asked first: what is so already is not sent. A call without an answer is never sent again by itself,
for somebody may have decided otherwise at the provider meanwhile: it is asked about, and where it was not done a person
decides again. One of which certainly nothing arrived is tried again.
"""

from dataclasses import dataclass
from functools import partial

from sqlalchemy import ColumnElement, select

from admin_app.context import Ctx
from admin_app.errors import OutcomeUnknown, ProviderRefused, ProviderUnavailable
from admin_app.integrations import job_queue
from admin_app.integrations.money_ports import StripeSubscription
from admin_app.integrations.ports import WhopMembership
from admin_app.integrations.registry import Providers
from admin_app.services.inbox import asked_calls, provider_calls
from admin_app.services.inbox.asked_calls import LATE_ENOUGH
from admin_app.services.inbox.provider_calls import OPEN, Work
from admin_app.services.memberships.order import ENDLESS
from admin_app.services.memberships.rows import seller_of
from admin_app.services.purchases import reconcile, stripe_subscriptions
from admin_app.services.purchases.cancel_actions import OPERATIONS, CancelAction, Snapshot, ask
from models.inbox import CallState, ProviderCall
from models.memberships import PaymentProvider, ProviderMembership

NOT_THERE, NOT_DONE, OVER_THERE = "not_there", "not_done", "over_there"


@dataclass(frozen=True)
class Leaving:
    """A call on its way, so that no transaction is open while it travels; `unanswered`: it left before."""

    call_id: int
    key: str
    action: CancelAction
    provider: PaymentProvider
    external_id: str
    once: bool
    attempts: int
    unanswered: bool
    is_late: bool


def subject_of(row: ProviderMembership) -> str:
    """The membership as the journal of calls names it: `membership:12`, by its number here."""
    return f"membership:{row.id}"


def is_open() -> ColumnElement[bool]:
    """Calls of this kind that may still change something."""
    return asked_calls.is_open(OPERATIONS)


def queue_unanswered(ctx: Ctx, *, limit: int) -> int:
    """Queue the calls that no job has brought to an end: never left, never answered, or to be tried again; how many."""
    return asked_calls.queue_due(ctx, OPERATIONS, partial(queue, anew=False), limit=limit)


def queue(ctx: Ctx, call_id: int, *, anew: bool = True) -> None:
    """Have a job carry the call out after the commit; with `anew` false one that waits keeps its time and tries."""
    once = f"change_membership:{call_id}"
    job_queue.defer(ctx.session, "change_membership", once_key=once, anew=anew, call_id=call_id)


def send(work: Work, providers: Providers, *, call_id: int) -> None:
    """Bring one call to its end; once, however often this is tried.

    Raises ProviderUnavailable when the provider does not answer.
    """
    with work() as ctx:
        leaving = _leaving(ctx, call_id)
    if leaving is None:
        return
    try:
        snapshot = _ask(providers, leaving)
    except ProviderUnavailable:
        with work() as ctx:
            _postpone(ctx, leaving)
        raise
    with work() as ctx:
        travels = _decide(ctx, leaving, snapshot)
    if travels:
        _travel(work, providers, leaving, is_over=snapshot.is_over)


def _ask(providers: Providers, leaving: Leaving) -> Snapshot:
    return ask(providers, leaving.provider, leaving.external_id, once=leaving.once)


def _leaving(ctx: Ctx, call_id: int) -> Leaving | None:
    """The call as it is to be brought on; None when it has its end, or a person settled it."""
    call = ctx.session.scalar(select(ProviderCall).where(ProviderCall.id == call_id, is_open()))
    if call is None:
        return None
    row = ctx.session.get(ProviderMembership, int(call.subject.partition(":")[2]))
    if row is None or row.external_id is None:
        provider_calls.finish(
            ctx, key=call.idempotency_key, state=CallState.FAILED, error_code=NOT_THERE, attention=True
        )
        return None
    return Leaving(
        call_id=call.id,
        key=call.idempotency_key,
        action=CancelAction(call.operation),
        provider=seller_of(row),
        external_id=row.external_id,
        once=row.rhythm in ENDLESS,
        attempts=call.attempts,
        unanswered=call.state in OPEN and call.attempts > 0,
        is_late=call.next_try_at is None or call.next_try_at <= ctx.now,
    )


def _decide(ctx: Ctx, leaving: Leaving, snapshot: Snapshot) -> bool:
    """Whether the call leaves now; otherwise what the answer means for it, and the answer applied."""
    call = _locked(ctx, leaving)
    if call is None:
        return False
    may_come_back = leaving.action is not CancelAction.BACK or not snapshot.is_over or snapshot.may_come_back(ctx.now)
    if snapshot.found is None:
        _finish(ctx, leaving, CallState.FAILED, NOT_THERE)
    elif snapshot.is_so(leaving.action):
        _finish(ctx, leaving, CallState.SUCCEEDED)
    elif leaving.unanswered and not leaving.is_late:
        call.state = CallState.UNKNOWN
    elif leaving.unanswered:
        _finish(ctx, leaving, CallState.FAILED, NOT_DONE)
    elif not may_come_back:
        _finish(ctx, leaving, CallState.FAILED, OVER_THERE)
    else:
        provider_calls.intend(
            ctx, provider=call.provider, operation=call.operation, subject=call.subject, key=leaving.key
        )
        call.next_try_at = ctx.now + LATE_ENOUGH  # from when on it is asked what became of it
        return True
    _apply(ctx, snapshot)
    return False


def _locked(ctx: Ctx, leaving: Leaving) -> ProviderCall | None:
    """The call, unless another job or a person brought it on since it was looked at."""
    return asked_calls.locked(ctx, leaving.call_id, OPERATIONS, attempts=leaving.attempts)


def _travel(work: Work, providers: Providers, leaving: Leaving, *, is_over: bool) -> None:
    """Make the call and note what came back; then ask, and apply what the provider says."""
    is_done = False
    try:
        _call(providers, leaving, is_over=is_over)
        is_done = True
    except OutcomeUnknown as error:
        _note(work, leaving, CallState.UNKNOWN, error.code, again=True)
    except ProviderUnavailable as error:
        _note(work, leaving, CallState.FAILED, error.code, again=True)
        raise  # certainly nothing happened there: the job tries again
    except ProviderRefused as error:
        _note(work, leaving, CallState.FAILED, error.reason, again=error.passing)
    # Done or not, the call stays open until the answer that is shown here is there: a job that dies asks again.
    snapshot = _ask(providers, leaving)
    with work() as ctx:
        if is_done or snapshot.is_so(leaving.action):
            _finish(ctx, leaving, CallState.SUCCEEDED)
        _apply(ctx, snapshot)


def _call(providers: Providers, leaving: Leaving, *, is_over: bool) -> WhopMembership | StripeSubscription:
    identity, action, key = leaving.external_id, leaving.action, leaving.key
    if leaving.provider is PaymentProvider.STRIPE:
        if providers.stripe is None:
            raise ProviderUnavailable("stripe")
        if action is CancelAction.NOW:
            return providers.stripe.cancel_subscription(identity)
        return providers.stripe.set_cancel_at_period_end(identity, action is CancelAction.AT_END, idempotency_key=key)
    if providers.whop is None:
        raise ProviderUnavailable("whop")
    if action is not CancelAction.BACK:
        return providers.whop.cancel(identity, at_period_end=action is CancelAction.AT_END, idempotency_key=key)
    return providers.whop.reactivate(identity) if is_over else providers.whop.uncancel(identity)


def _note(work: Work, leaving: Leaving, state: CallState, code: str, *, again: bool) -> None:
    """What failed is on the list of what waits for a person, also while it is tried again by itself."""
    with work() as ctx:
        attention = state is CallState.FAILED and code != ProviderUnavailable.code
        provider_calls.finish(ctx, key=leaving.key, state=state, error_code=code, again=again, attention=attention)


def _finish(ctx: Ctx, leaving: Leaving, state: CallState, code: str | None = None) -> None:
    """Whoever asked for it counts on it: where it did not come to be, a person is to look."""
    failed = state is not CallState.SUCCEEDED
    provider_calls.finish(
        ctx, key=leaving.key, state=state, external_id=None if failed else leaving.external_id, error_code=code,
        attention=failed,
    )  # fmt: skip


def _postpone(ctx: Ctx, leaving: Leaving) -> None:
    call = _locked(ctx, leaving)
    if call is not None and leaving.unanswered:
        provider_calls.postpone(ctx, [call])


def _apply(ctx: Ctx, snapshot: Snapshot) -> None:
    """What the provider says, by the way that its deliveries and comparisons go."""
    if isinstance(snapshot.found, WhopMembership):
        reconcile.bring_in(ctx, membership=snapshot.found, as_of=snapshot.asked_at)
    elif snapshot.found is not None:
        stripe_subscriptions.apply(ctx, snapshot.found, asked_at=snapshot.asked_at)
