"""Registers guests in WorkOS: found there, or made with an organization of their own and sent one code.

No lock is held while WorkOS is asked. What keeps two requests, or a request and its repetition after a time-out, from
making anything twice: WorkOS gives an address and an external id to one only, and the intent of every call lies in the
journal before it leaves, under a key of this guest's registration. So a user who is found may turn out to be our own,
and a code whose fate is unknown is not sent again. Whoever was a guest before there was WorkOS is registered too, and
is sent none.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import structlog
from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import DomainError, GuestUserCreationError, OutcomeUnknown, ProviderUnavailable
from admin_app.integrations.guest_ports import WorkosPort, WorkosUser
from admin_app.policies.permissions import Permission, require
from admin_app.services.core import audit
from admin_app.services.core.records import guest_key, lock_names
from admin_app.services.inbox import provider_calls
from admin_app.services.inbox.provider_calls import Work
from models.guests import Guest, Organization, OrganizationKind
from models.inbox import CallState, ProviderCall

PROVIDER = "workos"
Outcome = Literal["found", "created"]
Answer = TypeVar("Answer")

log = structlog.get_logger("backdesk.guests")


@dataclass(frozen=True)
class Registered:
    """Who the guest is at WorkOS; without an organization for somebody whom others brought there."""

    guest_id: int
    user_id: str
    organization_id: str | None
    outcome: Outcome


@dataclass(frozen=True)
class _Attempt:
    """One try to register a guest, and what is known of them from before."""

    guest_id: int
    email: str
    name: str
    keys: str
    known_as: str | None
    known_organization: str | None
    came_before: bool = False
    verified: bool = False

    @property
    def subject(self) -> str:
        return guest_key(self.guest_id)

    def key(self, operation: str) -> str:
        return f"{self.keys}-{operation}"


def register(
    work: Work,
    workos: WorkosPort | None,
    *,
    email: str,
    name: str,
    allowed_by: Permission = Permission.BOOKINGS_MAKE,
) -> Registered:
    """The guest of this address, registered in WorkOS; raises GuestUserCreationError when that cannot be had."""
    with work() as ctx:
        require(ctx, allowed_by)
        attempt = _begin(ctx, email, name)
    try:
        if workos is None:
            raise ProviderUnavailable(PROVIDER)
        registered = _register(work, workos, attempt)
    except DomainError as error:
        log.warning("guest failed", guest_id=attempt.guest_id, code=provider_calls.code_after(error))
        raise GuestUserCreationError from None
    log.info(f"guest {registered.outcome}", guest_id=attempt.guest_id)
    return registered


def register_existing(work: Work, workos: WorkosPort, *, email: str, name: str, verified: bool = False) -> Registered:
    """Somebody who was a guest before, registered in WorkOS; nobody is written to.

    Unlike a visitor they get an organization of their own also when WorkOS knew them without one: their meetings are to
    lie in it. `verified`: another sign-in provider says that the address is theirs. Raises what the port raises; the
    same once more goes on where this ended.
    """
    with work() as ctx:
        require(ctx, Permission.GUESTS_RESOLVE)
        attempt = replace(_begin(ctx, email, name), came_before=True, verified=verified)
    return _register(work, workos, attempt)


def _begin(ctx: Ctx, email: str, name: str) -> _Attempt:
    """The guest's row is there before WorkOS is asked: calls are noted under its number, and support sees it."""
    ctx.session.execute(
        insert(Guest)
        .values(email=email, name=name, created_at=ctx.now, updated_at=ctx.now)
        .on_conflict_do_nothing(index_elements=["email"])
    )
    guest = ctx.session.scalars(select(Guest).where(Guest.email == email)).one()
    # The time sets it apart from the guest of this number in another database, the version from earlier registrations.
    return _Attempt(
        guest_id=guest.id,
        email=email,
        name=name,
        keys=f"guest-{guest.id}-{int(guest.created_at.timestamp())}-{guest.version}",
        known_as=guest.workos_user_id,
        known_organization=guest.workos_org_id,
    )


def _may_have_happened(session: Session, key: str) -> bool:
    state = session.scalar(select(ProviderCall.state).where(ProviderCall.idempotency_key == key))
    return state is not None and state is not CallState.FAILED


def _register(work: Work, workos: WorkosPort, attempt: _Attempt) -> Registered:
    user = workos.find_user(attempt.email)
    if user is not None and not _is_ours(work, attempt, user.id):
        found_in = _organization_of(workos, attempt, user.id)
        if found_in is None and attempt.came_before:
            found_in = _complete(work, workos, attempt, user.id)
        return _settle(work, attempt, user.id, found_in, outcome="found")
    if user is None:
        user = _create_user(work, workos, attempt)
    organization_id = _complete(work, workos, attempt, user.id)
    if not attempt.came_before:
        send_code_once(work, workos, guest_id=attempt.guest_id, email=attempt.email, key=attempt.key("code.send"))
    return _settle(work, attempt, user.id, organization_id, outcome="created")


def _is_ours(work: Work, attempt: _Attempt, user_id: str) -> bool:
    """Whether this very registration has made the user, in an earlier or concurrent try, and is not finished.

    Looked up after the user was found: the intent was in the journal before the user was there.
    """
    if attempt.known_as == user_id:
        return False
    with work() as ctx:
        return _may_have_happened(ctx.session, attempt.key("user.create"))


def _organization_of(workos: WorkosPort, attempt: _Attempt, user_id: str) -> str | None:
    if attempt.known_as == user_id and attempt.known_organization:
        return attempt.known_organization
    return workos.find_organization(user_id)


def _create_user(work: Work, workos: WorkosPort, attempt: _Attempt) -> WorkosUser:
    try:
        return _send(
            work,
            attempt,
            "user.create",
            lambda key: workos.create_user(attempt.email, attempt.name, verified=attempt.verified, idempotency_key=key),
            lambda user: user.id,
        )
    except OutcomeUnknown:
        user = workos.find_user(attempt.email)
        if user is None:
            raise
    _note(work, attempt.key("user.create"), CallState.SUCCEEDED, external_id=user.id)
    return user


def _complete(work: Work, workos: WorkosPort, attempt: _Attempt, user_id: str) -> str:
    """The user's own organization, and the user a member of it; each is asked for before it is made."""
    organization_id = _insisting(
        lambda: _send(
            work,
            attempt,
            "organization.create",
            lambda key: workos.ensure_organization(user_id, idempotency_key=key),
            lambda found: found,
        )
    )
    _insisting(
        lambda: _send(
            work,
            attempt,
            "membership.create",
            lambda key: workos.ensure_membership(user_id, organization_id, idempotency_key=key),
            lambda _: None,
        )
    )
    return organization_id


def _insisting(ensure: Callable[[], Answer]) -> Answer:
    """What makes sure of something may be repeated when no answer came."""
    try:
        return ensure()
    except OutcomeUnknown:
        return ensure()


def _send(
    work: Work,
    attempt: _Attempt,
    operation: str,
    call: Callable[[str], Answer],
    name: Callable[[Answer], str | None],
) -> Answer:
    key = attempt.key(operation)
    return provider_calls.send(
        work,
        provider=PROVIDER,
        operation=operation,
        subject=attempt.subject,
        key=key,
        call=lambda: call(key),
        name=name,
        # A user without the rest is half a guest, whoever asked for it.
        attention=operation != "user.create",
    )


def send_code_once(work: Work, workos: WorkosPort, *, guest_id: int, email: str, key: str) -> None:
    """One code in all under this key: not when an earlier or concurrent try has sent it, or may have."""
    subject = guest_key(guest_id)
    with work() as ctx:
        lock_names(ctx.session, subject)
        if _may_have_happened(ctx.session, key):
            return
        provider_calls.intend(ctx, provider=PROVIDER, operation="code.send", subject=subject, key=key)
    try:
        workos.send_magic_code(email)
    except DomainError as error:
        state = provider_calls.state_after(error)
        _note(work, key, state, error_code=provider_calls.code_after(error))
        if state is CallState.FAILED:
            raise
    else:
        _note(work, key, CallState.SUCCEEDED)


def _note(
    work: Work, key: str, state: CallState, *, external_id: str | None = None, error_code: str | None = None
) -> None:
    with work() as ctx:
        provider_calls.finish(ctx, key=key, state=state, external_id=external_id, error_code=error_code)


def _settle(
    work: Work, attempt: _Attempt, user_id: str, organization_id: str | None, *, outcome: Outcome
) -> Registered:
    """Note who the guest is; nothing is written when that is known already."""
    registered = Registered(attempt.guest_id, user_id, organization_id, outcome)
    if (attempt.known_as, attempt.known_organization) == (user_id, organization_id):
        return registered
    with work() as ctx:
        guest = ctx.session.get_one(Guest, attempt.guest_id, with_for_update=True)
        if (guest.workos_user_id, guest.workos_org_id) == (user_id, organization_id):
            return registered
        identify(ctx, guest, user_id, organization_id)
        guest.name = attempt.name or guest.name
        guest.created_here = outcome == "created"
        guest.code_sent_at = ctx.now if guest.created_here and not attempt.came_before else None
        facts = {"email": guest.email, "outcome": outcome}
        audit.record(ctx, "guest.registered", records=[guest_key(guest.id)], facts=facts)
    return registered


def identify(ctx: Ctx, guest: Guest, user_id: str, organization_id: str | None) -> None:
    """WorkOS says who has this address. Another row that says the same user is out of date and is asked about anew."""
    same = Guest.workos_user_id == user_id
    if organization_id is not None:
        same = or_(same, Guest.workos_org_id == organization_id)
    ctx.session.execute(
        update(Guest)
        .where(Guest.id != guest.id, same)
        .values(workos_user_id=None, workos_org_id=None, version=Guest.version + 1, updated_at=ctx.now)
    )
    guest.workos_user_id, guest.workos_org_id = user_id, organization_id
    guest.version += 1
    guest.updated_at = ctx.now
    if organization_id is not None:
        ctx.session.execute(
            insert(Organization)
            .values(
                workos_id=organization_id,
                name=f"user-{user_id}",
                kind=OrganizationKind.PERSONAL,
                created_at=ctx.now,
            )
            .on_conflict_do_nothing(index_elements=["workos_id"])
        )
