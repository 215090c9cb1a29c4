"""Staff sessions in the database: signing in and out, recognising a browser, ending a session from afar."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, bindparam, literal_column, or_, select, update
from sqlalchemy.orm import Session

from admin_app.addresses import is_one_of
from admin_app.config import Settings
from admin_app.context import Ctx, Staff
from admin_app.errors import DomainError, Forbidden, NotFound
from admin_app.policies.permissions import Permission, allows, require
from admin_app.services.core import audit, plans
from admin_app.services.staff import passwords, sign_in_limits
from models import FlagChange, SignInBrake, StaffMember, StaffSession

TOUCH_EVERY = timedelta(minutes=1)
LONGEST_USER_AGENT = 300
LONGEST_ADDRESS = 254


class WrongCredentials(DomainError):
    """Address or password is wrong, and it is not told which: 401."""

    code = "wrong_credentials"
    status = 401
    sentence = "E-mail or password is not right."


@dataclass(frozen=True)
class Limits:
    """How long a session lives: without being used, and at all."""

    idle: timedelta
    absolute: timedelta

    @classmethod
    def from_settings(cls, settings: Settings) -> "Limits":
        return cls(
            idle=timedelta(minutes=settings.staff_session_idle_minutes),
            absolute=timedelta(hours=settings.staff_session_hours),
        )


@dataclass(frozen=True)
class SignedIn:
    """A new session with the token for its cookie: the only time that it is known, as its digest alone is stored."""

    token: str
    session: StaffSession
    actor: Staff


@dataclass(frozen=True)
class SignInRefused:
    """Returned, never raised: raising would roll back the counted failure and the rate limit with it."""

    error: DomainError


@dataclass(frozen=True)
class StopInForce:
    """The emergency stop that is on: it stands on every page, so it is looked up with whose page it is."""

    reason: str
    by: str
    until: datetime | None


# Asked on every request, so it is built once.
_LIVE_SESSION = (
    select(
        StaffSession.id,
        StaffSession.last_seen_at,
        StaffMember.id.label("staff_id"),
        StaffMember.email,
        StaffMember.role,
        StaffMember.name,
        StaffMember.time_zone,
        FlagChange.id.label("stop_id"),
        FlagChange.reason.label("stop_reason"),
        FlagChange.by.label("stop_by"),
        FlagChange.until.label("stop_until"),
    )
    .join(StaffMember, StaffMember.id == StaffSession.staff_id)
    .outerjoin(
        FlagChange,
        and_(
            # As in the index of open periods; the table has at most one that is in force.
            FlagChange.flag == literal_column("'emergency_stop'"),
            FlagChange.lifted_at.is_(None),
            FlagChange.value,
            FlagChange.since <= bindparam("now"),
            or_(FlagChange.until.is_(None), FlagChange.until > bindparam("now")),
        ),
    )
    .where(
        StaffSession.token_hash == bindparam("token_hash"),
        StaffSession.revoked_at.is_(None),
        StaffSession.expires_at > bindparam("now"),
        StaffSession.last_seen_at > bindparam("seen_after"),
        StaffMember.disabled_at.is_(None),
    )
)


@dataclass(frozen=True)
class Recognised:
    """Whose browser a token belongs to."""

    actor: Staff
    name: str
    time_zone: str
    session_id: int
    touch_due: bool
    stop: StopInForce | None = None


def sign_in(
    ctx: Ctx, *, email: str, password: str, ip: str | None, user_agent: str | None, limits: Limits
) -> SignedIn | SignInRefused:
    """Check e-mail and password and open a new session; the same work and answer for every kind of wrong."""
    network = sign_in_limits.of_network(ip)
    if network and sign_in_limits.is_on(sign_in_limits.find(ctx.session, network), ctx.now):
        return SignInRefused(sign_in_limits.too_many_attempts())
    member = _locked_member(ctx, email)
    counter = member or sign_in_limits.hold(ctx, sign_in_limits.of_address(email.strip()))
    if sign_in_limits.is_on(counter, ctx.now):
        return SignInRefused(sign_in_limits.too_many_attempts())
    fits = passwords.matches(member.password_hash if member else None, password)
    if member is None or not fits or member.disabled_at is not None:
        _count_attempt(ctx, counter, network)
        _record_refused(ctx, member, fits)
        return SignInRefused(WrongCredentials())
    if passwords.needs_rehash(member.password_hash):
        member.password_hash = passwords.hash_password(password)
    sign_in_limits.release(member)
    member.last_signed_in_at = ctx.now
    return _open(ctx, member, ip, user_agent, limits)


def authenticate(session: Session, token: str, *, now: datetime, limits: Limits) -> Recognised | None:
    """Whose token this is, in one indexed query, or nobody's: unknown, ended, idle, expired, disabled."""
    wanted = {"token_hash": _digest(token), "now": now, "seen_after": now - limits.idle}
    row = session.connection().execute(_LIVE_SESSION, wanted).one_or_none()
    if row is None:
        return None
    return Recognised(
        actor=Staff(row.staff_id, row.email, row.role),
        name=row.name,
        time_zone=row.time_zone,
        session_id=row.id,
        touch_due=row.last_seen_at <= now - min(TOUCH_EVERY, limits.idle / 4),
        stop=StopInForce(row.stop_reason, row.stop_by, row.stop_until) if row.stop_id is not None else None,
    )


def touch(ctx: Ctx, *, session_id: int) -> None:
    """Note that the session is in use; one that was ended meanwhile stays ended.

    A page must not wait for whoever holds the session at this moment: the next one notes it.
    """
    free = select(StaffSession.id).where(
        StaffSession.id == session_id, StaffSession.revoked_at.is_(None), StaffSession.last_seen_at < ctx.now
    )
    ctx.session.execute(
        update(StaffSession)
        .where(StaffSession.id.in_(free.with_for_update(skip_locked=True)))
        .values(last_seen_at=ctx.now)
        .execution_options(synchronize_session=False)
    )


def sign_out(ctx: Ctx, *, token: str) -> None:
    """End the session of this token; a token of none is no error."""
    ended = ctx.session.execute(
        update(StaffSession)
        .where(StaffSession.token_hash == _digest(token), StaffSession.revoked_at.is_(None))
        .values(revoked_at=ctx.now)
        .returning(StaffSession.id, StaffSession.staff_id)
    ).one_or_none()
    if ended is not None:
        facts = {"session_id": ended.id}
        records = [staff_key(ended.staff_id), session_key(ended.id)]
        audit.record(ctx, "staff.signed_out", records=records, facts=facts)


def list_open(ctx: Ctx, *, staff_id: int, limits: Limits) -> Sequence[StaffSession]:
    """The sessions of a person that would still be let in, latest used first."""
    _require_own_or_manage(ctx, staff_id)
    return ctx.session.scalars(
        select(StaffSession)
        .where(
            StaffSession.staff_id == staff_id,
            StaffSession.revoked_at.is_(None),
            StaffSession.expires_at > ctx.now,
            StaffSession.last_seen_at > ctx.now - limits.idle,
        )
        .order_by(StaffSession.last_seen_at.desc(), StaffSession.id.desc())
    ).all()


def revoke_session(ctx: Ctx, *, staff_id: int, session_id: int, reason: str | None = None) -> StaffSession:
    """End one session of this person, oneself or, as an administrator, anyone; twice changes nothing."""
    found = ctx.session.scalar(
        select(StaffSession)
        .where(StaffSession.id == session_id, StaffSession.staff_id == staff_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    # Someone else's session is not found rather than forbidden: its number must not tell that it exists.
    if found is None or not _own_or_manage(ctx, staff_id):
        raise NotFound("This session does not exist or has ended already.", code="session_not_found")
    reason = _checked_reason(ctx, staff_id, reason)
    if found.revoked_at is None:
        found.revoked_at = ctx.now
        _record_revoked(ctx, found.staff_id, [found.id], reason)
    return found


def revoke_all(ctx: Ctx, *, staff_id: int, except_id: int | None = None, reason: str | None = None) -> int:
    """End every session of a person but the one excepted; returns how many were open."""
    _require_own_or_manage(ctx, staff_id)
    reason = _checked_reason(ctx, staff_id, reason)
    ended = end_all(ctx, staff_id=staff_id, except_id=except_id)
    if ended:
        _record_revoked(ctx, staff_id, ended, reason)
    return len(ended)


def end_all(ctx: Ctx, *, staff_id: int, except_id: int | None = None) -> list[int]:
    """End sessions within a command that audits itself, such as disabling; returns their numbers."""
    ended = ctx.session.execute(
        update(StaffSession)
        .where(*_is_open(staff_id, ctx.now), StaffSession.id != (except_id or 0))
        .values(revoked_at=ctx.now)
        .returning(StaffSession.id)
    )
    return list(ended.scalars())


def to_end(ctx: Ctx, *, staff_id: int) -> list[int]:
    """The numbers of the sessions that `end_all` would end now."""
    numbers = select(StaffSession.id).where(*_is_open(staff_id, ctx.now)).order_by(StaffSession.id)
    return list(ctx.session.scalars(numbers))


def _is_open(staff_id: int, now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Sessions of this person that nobody ended, and time did not either."""
    return StaffSession.staff_id == staff_id, StaffSession.revoked_at.is_(None), StaffSession.expires_at > now


def _locked_member(ctx: Ctx, email: str) -> StaffMember | None:
    """The member, locked before the password is looked at: a burst of guesses is counted one by one."""
    address = email.strip()
    if not address.isprintable() or len(address) > LONGEST_ADDRESS:
        return None
    return ctx.session.scalar(
        select(StaffMember)
        .where(is_one_of(StaffMember.email, address))
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def count_failure(ctx: Ctx, member: StaffMember) -> None:
    """Count a wrong password and audit the lock it may lead to; the caller has locked the member's row."""
    if sign_in_limits.count_failure(member, ctx.now):
        facts = {"email": member.email, "failures": member.failed_sign_ins}
        audit.record(ctx, "staff.locked", records=[staff_key(member.id)], facts=facts)


def staff_key(staff_id: int) -> str:
    """How a staff member is named in the audit."""
    return f"staff:{staff_id}"


def session_key(session_id: int) -> str:
    """The audit's key of a staff session: its id, never the token."""
    return f"staff_session:{session_id}"


def _open(ctx: Ctx, member: StaffMember, ip: str | None, user_agent: str | None, limits: Limits) -> SignedIn:
    token = secrets.token_urlsafe(32)
    opened = StaffSession(
        staff_id=member.id,
        token_hash=_digest(token),
        created_at=ctx.now,
        last_seen_at=ctx.now,
        expires_at=ctx.now + limits.absolute,
        ip=ip,
        user_agent=(user_agent or "").replace("\0", "")[:LONGEST_USER_AGENT] or None,
    )
    ctx.session.add(opened)
    ctx.session.flush()
    actor = Staff(member.id, member.email, member.role)
    facts = {"session_id": opened.id}
    records = [staff_key(member.id), session_key(opened.id)]
    audit.record(replace(ctx, actor=actor), "staff.signed_in", records=records, facts=facts)
    return SignedIn(token, opened, actor)


def _count_attempt(ctx: Ctx, counter: StaffMember | SignInBrake, network: bytes | None) -> None:
    # The network's row is locked before anything is audited: every transaction takes the audit's lock last.
    if network:
        row = sign_in_limits.hold(ctx, network, forgives_one_every=sign_in_limits.NETWORK_FORGIVES_ONE_EVERY)
        sign_in_limits.count_failure(row, ctx.now, free=sign_in_limits.FREE_FAILURES_OF_A_NETWORK)
    if isinstance(counter, StaffMember):
        count_failure(ctx, counter)
    else:
        sign_in_limits.count_failure(counter, ctx.now)
        sign_in_limits.forget_old(ctx)


def _record_refused(ctx: Ctx, member: StaffMember | None, fits: bool) -> None:
    if member is None:
        # What a stranger typed is not kept: it may be a password in the wrong field.
        facts = {"account": "an unknown address", "because": "nobody has this e-mail"}
        audit.record(ctx, "staff.sign_in_refused", records=[], facts=facts)
        return
    because = "the account is disabled" if fits else "the password was wrong"
    facts = {"account": member.email, "because": because}
    audit.record(ctx, "staff.sign_in_refused", records=[staff_key(member.id)], facts=facts)


def _record_revoked(ctx: Ctx, staff_id: int, ended: list[int], reason: str | None) -> None:
    email = ctx.session.scalar(select(StaffMember.email).where(StaffMember.id == staff_id))
    facts = {"email": email, "sessions_ended": len(ended)}
    records = [staff_key(staff_id), *map(session_key, ended)]
    audit.record(ctx, "staff.session_revoked", records=records, reason=reason, facts=facts)


def _checked_reason(ctx: Ctx, staff_id: int, reason: str | None) -> str | None:
    # Whoever ends another person's session says why; an operator's command may.
    anothers = isinstance(ctx.actor, Staff) and ctx.actor.id != staff_id
    return plans.require_reason(reason) if anothers or reason is not None else None


def _own_or_manage(ctx: Ctx, staff_id: int) -> bool:
    own = isinstance(ctx.actor, Staff) and ctx.actor.id == staff_id
    return own or allows(ctx.actor, Permission.STAFF_MANAGE)


def _require_own_or_manage(ctx: Ctx, staff_id: int) -> None:
    if not _own_or_manage(ctx, staff_id):
        require(ctx, Permission.STAFF_MANAGE)
        raise Forbidden


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
