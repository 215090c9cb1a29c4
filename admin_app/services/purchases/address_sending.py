"""Tells Clerk to add an address to a person, make one the primary one, or unlink one; applies what it says then.

Clerk is asked first: what is so already is not sent. Its calls know no key that would make a second one the same, so a
call without an answer is asked about and never sent again by itself. What was decided is read from the audit's entry
of the decision, which nobody can change.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

from sqlalchemy import ColumnElement, select

from admin_app.context import Ctx
from admin_app.errors import OutcomeUnknown, ProviderRefused, ProviderUnavailable
from admin_app.integrations import job_queue
from admin_app.integrations.ports import ClerkPort
from admin_app.integrations.registry import Providers
from admin_app.services.core import audit
from admin_app.services.core.records import address_key, profile_key
from admin_app.services.inbox import asked_calls, provider_calls
from admin_app.services.inbox.asked_calls import LATE_ENOUGH
from admin_app.services.inbox.provider_calls import OPEN, Work
from admin_app.services.people import person_addresses
from admin_app.services.purchases import account_deletion, clerk_events
from admin_app.services.purchases.address_actions import (
    OPERATIONS,
    PROVIDER,
    WORDS,
    AddressAction,
    Change,
    Snapshot,
    ask,
    following,
)
from models.core import AuditEntry
from models.inbox import CallState, ProviderCall

ASKED = "person.address_change_asked"
NOT_DONE = "not_done"


@dataclass(frozen=True)
class Leaving:
    """A call on its way, so that no transaction is open while it travels; `unanswered`: it left before."""

    call_id: int
    key: str
    change: Change
    reason: str
    attempts: int
    unanswered: bool
    is_late: bool


def subject_of(user_id: str) -> str:
    """One call at a time about a person, whichever of their addresses it is about."""
    return profile_key(user_id)


def is_open() -> ColumnElement[bool]:
    """Calls of this kind that may still change something."""
    return asked_calls.is_open(OPERATIONS)


def ask_for(ctx: Ctx, change: Change, *, reason: str) -> ProviderCall:
    """Note that Clerk is to be told, and why; it is, after the commit."""
    key = f"{change.action.value}:{uuid4().hex}"
    call = provider_calls.intend(
        ctx, provider=PROVIDER, operation=change.action.value, subject=subject_of(change.user_id), key=key
    )
    call.attempts = 0  # it has not left yet
    ctx.session.flush()
    queue(ctx, call.id)
    concerned = {change.email, change.instead_of}
    rows = person_addresses.verified(ctx.session, change.user_id)
    keys = [address_key(row.id) for row in rows if row.email in concerned]
    audit.record(
        ctx,
        ASKED,
        records=[profile_key(change.user_id), *keys, f"provider_call:{call.id}"],
        reason=reason,
        facts={
            "wish": WORDS[change.action],
            "email": change.email,
            "user_id": change.user_id,
            "verified": change.verified,
            "primary": change.primary,
            "instead_of": change.instead_of,
        },
    )
    return call


def queue_unanswered(ctx: Ctx, *, limit: int) -> int:
    """Queue the calls that no job has brought to an end; how many."""
    return asked_calls.queue_due(ctx, OPERATIONS, partial(queue, anew=False), limit=limit)


def queue(ctx: Ctx, call_id: int, *, anew: bool = True) -> None:
    """Have a job carry the call out after the commit; with `anew` false one that waits keeps its time and tries."""
    job_queue.defer(ctx.session, "change_address", once_key=f"change_address:{call_id}", anew=anew, call_id=call_id)


def send(work: Work, providers: Providers, *, call_id: int) -> None:
    """Bring one call to its end; once, however often this is tried.

    Raises ProviderUnavailable when Clerk does not answer.
    """
    with work() as ctx:
        leaving = _leaving(ctx, call_id)
    if leaving is None:
        return
    try:
        snapshot = ask(providers, leaving.change.user_id)
    except ProviderUnavailable:
        with work() as ctx:
            _postpone(ctx, leaving)
        raise
    with work() as ctx:
        travels = _decide(ctx, leaving, snapshot)
    if travels:
        _travel(work, providers, leaving, snapshot)


def _leaving(ctx: Ctx, call_id: int) -> Leaving | None:
    """The call as it is to be brought on; None when it has its end, or a person settled it."""
    call = ctx.session.scalar(select(ProviderCall).where(ProviderCall.id == call_id, is_open()))
    if call is None:
        return None
    decided = select(AuditEntry).where(audit.about(f"provider_call:{call_id}"), AuditEntry.event == ASKED)
    # There is one. Told to stop at the first, PostgreSQL would read the whole audit in its order to get there.
    entry = ctx.session.scalars(decided).one()
    return Leaving(
        call_id=call.id,
        key=call.idempotency_key,
        change=Change(
            action=AddressAction(call.operation),
            user_id=entry.facts["user_id"],
            email=entry.facts["email"],
            verified=entry.facts["verified"],
            primary=entry.facts["primary"],
            instead_of=entry.facts["instead_of"],
        ),
        reason=entry.reason or "",
        attempts=call.attempts,
        unanswered=call.state in OPEN and call.attempts > 0,
        is_late=call.next_try_at is None or call.next_try_at <= ctx.now,
    )


def _decide(ctx: Ctx, leaving: Leaving, snapshot: Snapshot) -> bool:
    """Whether the call leaves now; otherwise what the answer means for it, and the answer applied."""
    call = asked_calls.locked(ctx, leaving.call_id, OPERATIONS, attempts=leaving.attempts)
    if call is None:
        return False
    obstacle = snapshot.in_the_way(leaving.change)
    if snapshot.is_so(leaving.change):
        _succeed(ctx, leaving, snapshot)
    elif leaving.unanswered and not leaving.is_late and snapshot.person is not None:
        call.state = CallState.UNKNOWN
    elif obstacle is not None:
        _fail(ctx, leaving, obstacle.code)
    elif leaving.unanswered:
        _fail(ctx, leaving, NOT_DONE)
    else:
        provider_calls.intend(ctx, provider=PROVIDER, operation=call.operation, subject=call.subject, key=leaving.key)
        call.next_try_at = ctx.now + LATE_ENOUGH  # from when on it is asked what became of it
        return True
    _apply(ctx, leaving, snapshot)
    return False


def _travel(work: Work, providers: Providers, leaving: Leaving, before: Snapshot) -> None:
    """Make the call and note what came back; then ask, and apply what Clerk says."""
    is_done = False
    try:
        _call(providers.clerk, leaving.change, before)()
        is_done = True
    except OutcomeUnknown as error:
        _note(work, leaving, CallState.UNKNOWN, error.code, again=True)
    except ProviderUnavailable as error:
        _note(work, leaving, CallState.FAILED, error.code, again=True)
        raise  # certainly nothing happened there: the job tries again
    except ProviderRefused as error:
        _note(work, leaving, CallState.FAILED, error.reason, again=error.passing)
    # Unless it was refused, the call stays open until what is shown here is Clerk's answer: a job that dies asks again.
    snapshot = ask(providers, leaving.change.user_id)
    with work() as ctx:
        if is_done or snapshot.is_so(leaving.change):
            _succeed(ctx, leaving, snapshot)
        _apply(ctx, leaving, snapshot)


def _call(clerk: ClerkPort | None, change: Change, snapshot: Snapshot) -> Callable[[], str]:
    if clerk is None:
        raise ProviderUnavailable(PROVIDER)
    found = snapshot.entry(change.email)
    identity = found.id if found is not None else None
    if identity is None and change.action is not AddressAction.ADD:
        raise ProviderRefused(PROVIDER, "address_gone")
    if identity is None:
        return lambda: clerk.add_email(change.user_id, change.email, verified=change.verified, primary=change.primary)
    if change.action is AddressAction.UNLINK:
        return lambda: clerk.remove_email(identity)
    if change.action is AddressAction.PRIMARY:
        return lambda: clerk.change_email(identity, primary=True)
    return lambda: clerk.change_email(identity, verified=change.verified, primary=change.primary)


def _note(work: Work, leaving: Leaving, state: CallState, code: str, *, again: bool) -> None:
    """What failed is on the list of what waits for a person, also while it is tried again by itself."""
    with work() as ctx:
        attention = state is CallState.FAILED and code != ProviderUnavailable.code
        provider_calls.finish(ctx, key=leaving.key, state=state, error_code=code, again=again, attention=attention)


def _succeed(ctx: Ctx, leaving: Leaving, snapshot: Snapshot) -> None:
    """Note that it is so; and where the address stands in for another one, have that unlinked next."""
    call = ctx.session.get(ProviderCall, leaving.call_id, with_for_update=True, populate_existing=True)
    was_so = call is not None and call.state is CallState.SUCCEEDED
    found = snapshot.entry(leaving.change.email)
    provider_calls.finish(
        ctx, key=leaving.key, state=CallState.SUCCEEDED, external_id=found.id if found is not None else None
    )
    after_it = following(leaving.change, snapshot)
    if after_it is not None and not was_so:
        ask_for(ctx, after_it, reason=leaving.reason)


def _fail(ctx: Ctx, leaving: Leaving, code: str) -> None:
    """Whoever asked for it counts on it: where it did not come to be, a person is to look."""
    provider_calls.finish(ctx, key=leaving.key, state=CallState.FAILED, error_code=code, attention=True)


def _postpone(ctx: Ctx, leaving: Leaving) -> None:
    call = asked_calls.locked(ctx, leaving.call_id, OPERATIONS, attempts=leaving.attempts)
    if call is not None and leaving.unanswered:
        provider_calls.postpone(ctx, [call])


def _apply(ctx: Ctx, leaving: Leaving, snapshot: Snapshot) -> None:
    """What Clerk says, by the way that its deliveries go."""
    if snapshot.person is not None:
        clerk_events.apply_person(ctx, snapshot.person, since=snapshot.person.created_at or ctx.now)
    elif person_addresses.was_asked(ctx.session, leaving.change.user_id):
        account_deletion.let_go(ctx, user_id=leaving.change.user_id)
