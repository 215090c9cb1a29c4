"""What each command on a staff member would do, shown before it is done."""

from sqlalchemy import func, select

from admin_app.context import Ctx
from admin_app.policies.permissions import Permission, require
from admin_app.services import sign_in_brake, staff
from admin_app.services.plans import Plan, PlanLine
from admin_app.services.staff_sessions import staff_key
from models import Role, StaffMember, StaffSession


def plan_disable(ctx: Ctx, *, staff_id: int) -> Plan:
    member = _member(ctx, staff_id)
    refusal = _last_admin(ctx, member)
    if member.disabled_at is not None:
        refusal = "This account is disabled already."
    lines = (_line(member, "disabled_at", member.disabled_at, ctx.now, "time of the act"),)
    consequences = (f"{member.name} cannot sign in any more.", _sessions_end(ctx, member))
    return _plan(member, f"Disable {member.email}", "disabled", lines, consequences, refusal)


def plan_enable(ctx: Ctx, *, staff_id: int) -> Plan:
    member = _member(ctx, staff_id)
    waiting = sign_in_brake.is_on(member, ctx.now)
    refusal = None if waiting or member.disabled_at else "This account is open already, and nothing makes it wait."
    lines = (
        _line(member, "disabled_at", member.disabled_at, None, "emptied"),
        _line(member, "locked_until", member.locked_until, None, "emptied"),
    )
    consequences = (f"{member.name} may sign in again with the password from before.",)
    return _plan(member, f"Enable {member.email}", "enabled", lines, consequences, refusal)


def plan_role(ctx: Ctx, *, staff_id: int, role: Role) -> Plan:
    member = _member(ctx, staff_id)
    refusal = _last_admin(ctx, member)
    if member.role is role:
        refusal = f"{member.name} has the role {role.value} already."
    lines = (_line(member, "role", member.role, role, "chosen"),)
    consequences = (f"{member.name} may do what {role.value} may.", _sessions_end(ctx, member))
    return _plan(member, f"Make {member.email} {role.value}", "role", lines, consequences, refusal, role)


def plan_password(ctx: Ctx, *, staff_id: int) -> Plan:
    member = _member(ctx, staff_id)
    consequences = (
        "A new password is made up and shown to you once. Hand it over by a safe way.",
        "The old password works no more, and a wait after failed sign-ins ends.",
        _sessions_end(ctx, member),
    )
    return _plan(member, f"Reset the password of {member.email}", "password", (), consequences, None)


def plan_sign_out(ctx: Ctx, *, staff_id: int) -> Plan:
    member = _member(ctx, staff_id)
    refusal = None if _open_sessions(ctx, member) else f"{member.name} is signed in nowhere."
    consequences = (_sessions_end(ctx, member), "Account and password stay as they are.")
    return _plan(member, f"Sign {member.email} out everywhere", "signed_out", (), consequences, refusal)


def _member(ctx: Ctx, staff_id: int) -> StaffMember:
    require(ctx, Permission.STAFF_MANAGE)
    return staff.get_staff(ctx, staff_id=staff_id)


def _last_admin(ctx: Ctx, member: StaffMember) -> str | None:
    return staff.LastAdmin.sentence if staff.is_last_admin(ctx, member) else None


def _line(member: StaffMember, field: str, now: object, after: object, source: str) -> PlanLine:
    return PlanLine(staff_key(member.id), field, now, after, source)


def _open_sessions(ctx: Ctx, member: StaffMember) -> int:
    count = select(func.count()).where(
        StaffSession.staff_id == member.id, StaffSession.revoked_at.is_(None), StaffSession.expires_at > ctx.now
    )
    return ctx.session.scalar(count) or 0


def _sessions_end(ctx: Ctx, member: StaffMember) -> str:
    count = _open_sessions(ctx, member)
    return f"Open sessions that end at once: {count}."


def _plan(
    member: StaffMember,
    title: str,
    outcome: str,
    lines: tuple[PlanLine, ...],
    consequences: tuple[str, ...],
    refusal: str | None,
    role: Role | None = None,
) -> Plan:
    return Plan(title, outcome, lines, consequences, staff.state_of(member, role), refusal)
