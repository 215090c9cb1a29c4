"""The people who work in the console: who they are, what their role is, whether they may come in."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import and_, or_, select
from sqlalchemy.dialects.postgresql import insert

from admin_app.context import Ctx, Staff
from admin_app.errors import Conflict, DomainError, Forbidden, InvalidInput, NotFound
from admin_app.policies.permissions import Permission, require
from admin_app.services.core import audit, plans
from admin_app.services.core.time_zones import time_zones
from admin_app.services.staff import passwords, sign_in_limits, staff_sessions
from admin_app.services.staff.staff_sessions import staff_key
from models import Role, StaffMember

LONGEST_NAME = 120


class LastAdmin(Conflict):
    """The act would leave no active administrator: 409."""

    code = "last_admin"
    sentence = "This is the last active administrator. Make someone else an administrator first."


class StaffNotFound(NotFound):
    """No staff member has this id or address: 404."""

    code = "staff_not_found"
    sentence = "There is no staff member with this e-mail or number."


@dataclass(frozen=True)
class Refused:
    """A refusal that is kept: its counted failure must be committed, so it is returned and not raised."""

    error: DomainError


def create_staff(
    ctx: Ctx, *, email: str, name: str, role: Role, password: str | None = None, reason: str | None = None
) -> tuple[StaffMember, str | None]:
    """Add a person; without a password one is made up and returned, to be shown once."""
    require(ctx, Permission.STAFF_MANAGE)
    reason = _checked_reason(ctx, reason)
    address, plain_name = _checked_email(email), _checked_name(name)
    generated = passwords.generate() if password is None else None
    secret = generated or password or ""
    passwords.check_strength(secret, email=address)
    created = ctx.session.scalar(
        insert(StaffMember)
        .values(email=address, name=plain_name, role=role, password_hash=passwords.hash_password(secret))
        .on_conflict_do_nothing(index_elements=[StaffMember.email])
        .returning(StaffMember)
    )
    if created is None:
        sentence = "Someone on the staff has this e-mail already. Enable that account again or change its role."
        raise Conflict(sentence, code="staff_exists", fields={"email": sentence})
    changes = [audit.Change("email", None, address), audit.Change("name", None, plain_name)]
    changes.append(audit.Change("role", None, role))
    facts = {"email": address, "role": role}
    audit.record(ctx, "staff.created", records=[staff_key(created.id)], reason=reason, changes=changes, facts=facts)
    return created, generated


def disable_staff(ctx: Ctx, *, staff_id: int, reason: str | None = None, shown: str | None = None) -> StaffMember:
    """Close the account and end its sessions; disabling twice changes nothing."""
    member, reason = _begin(ctx, staff_id, reason, shown)
    if member.disabled_at is None:
        _keep_an_admin(ctx, member)
        member.disabled_at = ctx.now
        facts = {"email": member.email, "sessions_ended": _sign_out_everywhere(ctx, member)}
        changes = [audit.Change("disabled_at", None, ctx.now)]
        _record_change(ctx, "staff.disabled", member, facts, reason=reason, changes=changes)
    return member


def enable_staff(ctx: Ctx, *, staff_id: int, reason: str | None = None, shown: str | None = None) -> StaffMember:
    """Open the account again and lift a lock after failed sign-ins."""
    member, reason = _begin(ctx, staff_id, reason, shown)
    if member.disabled_at is not None or sign_in_limits.is_on(member, ctx.now):
        changes = [audit.Change("disabled_at", member.disabled_at, None)]
        changes.append(audit.Change("locked_until", member.locked_until, None))
        member.disabled_at = None
        sign_in_limits.release(member)
        _record_change(ctx, "staff.enabled", member, {"email": member.email}, reason=reason, changes=changes)
    return member


def set_role(
    ctx: Ctx, *, staff_id: int, role: Role, reason: str | None = None, shown: str | None = None
) -> StaffMember:
    """Give another role and end the person's sessions, so that the old role works nowhere any more."""
    member, reason = _begin(ctx, staff_id, reason, shown, role)
    if member.role is not role:
        _keep_an_admin(ctx, member)
        changes = [audit.Change("role", member.role, role)]
        member.role = role
        facts = {"email": member.email, "role": role, "sessions_ended": _sign_out_everywhere(ctx, member)}
        _record_change(ctx, "staff.role_changed", member, facts, reason=reason, changes=changes)
    return member


def reset_password(
    ctx: Ctx,
    *,
    staff_id: int,
    password: str | None = None,
    reason: str | None = None,
    shown: str | None = None,
) -> tuple[StaffMember, str | None]:
    """Set someone's password, end their sessions, lift their lock; a made-up one is returned to show once."""
    member, reason = _begin(ctx, staff_id, reason, shown)
    generated = passwords.generate() if password is None else None
    _set_password(member, generated or password or "", field="password")
    sign_in_limits.release(member)
    facts = {"email": member.email, "sessions_ended": _sign_out_everywhere(ctx, member)}
    _record_change(ctx, "staff.password_reset", member, facts, reason=reason)
    return member, generated


def change_own_password(
    ctx: Ctx, *, current: str, new: str, keep_session_id: int | None = None
) -> StaffMember | Refused:
    """Change one's own password, end one's other sessions; a wrong current one counts as a failed sign-in."""
    if not isinstance(ctx.actor, Staff):
        raise Forbidden("Only a signed-in staff member has a password to change.")
    member = _locked(ctx, ctx.actor.id)
    if sign_in_limits.is_on(member, ctx.now):
        return Refused(sign_in_limits.too_many_attempts())
    if not passwords.matches(member.password_hash, current):
        staff_sessions.count_failure(ctx, member)
        sentence = "The current password is not right."
        return Refused(InvalidInput(sentence, code="wrong_password", fields={"current_password": sentence}))
    if passwords.matches(member.password_hash, new):
        sentence = "The new password is the same as the current one. Choose another one."
        raise InvalidInput(sentence, code="weak_password", fields={"new_password": sentence})
    _set_password(member, new, field="new_password")
    sign_in_limits.release(member)
    facts = {"sessions_ended": _sign_out_everywhere(ctx, member, keep_session_id)}
    _record_change(ctx, "staff.password_changed", member, facts)
    return member


def set_own_time_zone(ctx: Ctx, *, time_zone: str) -> StaffMember:
    """Choose the zone in which one is shown times."""
    if not isinstance(ctx.actor, Staff):
        raise Forbidden("Only a signed-in staff member is shown times.")
    if time_zone not in time_zones():
        sentence = "Choose one of the time zones in the list."
        raise InvalidInput(sentence, fields={"time_zone": sentence})
    member = _locked(ctx, ctx.actor.id)
    if member.time_zone != time_zone:
        changes = [audit.Change("time_zone", member.time_zone, time_zone)]
        member.time_zone = time_zone
        _record_change(ctx, "staff.time_zone_changed", member, {"time_zone": time_zone}, changes=changes)
    return member


def list_staff(ctx: Ctx) -> list[StaffMember]:
    """All staff, disabled ones too, by address. Raises Forbidden without `staff:read`."""
    require(ctx, Permission.STAFF_READ)
    return list(ctx.session.scalars(select(StaffMember).order_by(StaffMember.email)))


def find_by_email(ctx: Ctx, *, email: str) -> StaffMember:
    """The member with this address, whatever its case."""
    require(ctx, Permission.STAFF_READ)
    wanted = email.strip()
    member = None
    if wanted.isprintable():
        member = ctx.session.scalar(select(StaffMember).where(StaffMember.email == wanted))
    if member is None:
        raise StaffNotFound
    return member


def get_staff(ctx: Ctx, *, staff_id: int) -> StaffMember:
    """The staff member, not locked. Raises StaffNotFound, and Forbidden without `staff:read`."""
    require(ctx, Permission.STAFF_READ)
    member = ctx.session.get(StaffMember, staff_id)
    if member is None:
        raise StaffNotFound
    return member


def state_of(member: StaffMember, role: Role | None = None) -> str:
    """What a plan about this person was made from; `role` is the one it would give."""
    return plans.fingerprint(member.id, member.version, role)


def is_last_admin(ctx: Ctx, member: StaffMember) -> bool:
    """Whether nobody else could administer the staff."""
    if member.role is not Role.ADMIN or member.disabled_at is not None:
        return False
    another = select(StaffMember.id).where(
        StaffMember.role == Role.ADMIN, StaffMember.disabled_at.is_(None), StaffMember.id != member.id
    )
    return ctx.session.scalar(another.limit(1)) is None


def _locked(ctx: Ctx, staff_id: int) -> StaffMember:
    # Every change that could take the last administrator away locks all active ones, in one order: two admins
    # who disable each other at once wait for one another, and the second sees what the first did.
    active_admin = and_(StaffMember.role == Role.ADMIN, StaffMember.disabled_at.is_(None))
    rows = ctx.session.scalars(
        select(StaffMember)
        .where(or_(StaffMember.id == staff_id, active_admin))
        .order_by(StaffMember.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    for row in rows:
        if row.id == staff_id:
            return row
    raise StaffNotFound


def _begin(
    ctx: Ctx, staff_id: int, reason: str | None, shown: str | None, role: Role | None = None
) -> tuple[StaffMember, str | None]:
    require(ctx, Permission.STAFF_MANAGE)
    why = _checked_reason(ctx, reason)
    member = _locked(ctx, staff_id)
    if shown is not None:
        plans.require_same(shown, state_of(member, role))
    return member, why


def _checked_reason(ctx: Ctx, reason: str | None) -> str | None:
    # A person says why; an operator's command may, and stands in the audit under its own name.
    return plans.require_reason(reason) if isinstance(ctx.actor, Staff) or reason is not None else None


def _keep_an_admin(ctx: Ctx, member: StaffMember) -> None:
    if is_last_admin(ctx, member):
        raise LastAdmin


def _sign_out_everywhere(ctx: Ctx, member: StaffMember, but_session_id: int | None = None) -> int:
    return len(staff_sessions.end_all(ctx, staff_id=member.id, except_id=but_session_id))


def _set_password(member: StaffMember, password: str, *, field: str) -> None:
    passwords.check_strength(password, email=member.email, field=field)
    member.password_hash = passwords.hash_password(password)


def _record_change(
    ctx: Ctx,
    event: str,
    member: StaffMember,
    facts: dict[str, Any],
    *,
    reason: str | None = None,
    changes: Sequence[audit.Change] = (),
) -> None:
    member.version += 1
    audit.record(ctx, event, records=[staff_key(member.id)], reason=reason, changes=changes, facts=facts)


def _checked_email(email: str) -> str:
    try:
        # `test_environment` lets the reserved `.test` domain of the demo in; everything else stays checked.
        found = validate_email(email.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError as refused:
        sentence = "This is not an e-mail address. Write it like name@example.com."
        raise InvalidInput(sentence, fields={"email": sentence}) from refused
    return found.normalized.lower()


def _checked_name(name: str) -> str:
    plain = " ".join(name.split())
    unprintable = any(unicodedata.category(character) in {"Cc", "Cs"} for character in plain)
    if not plain or len(plain) > LONGEST_NAME or unprintable:
        sentence = f"Give the person's name, in at most {LONGEST_NAME} characters."
        raise InvalidInput(sentence, fields={"name": sentence})
    return plain
