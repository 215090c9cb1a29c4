"""What each command on a staff member would do, shown before it is done."""

from admin_app.context import Ctx
from admin_app.policies.permissions import Permission, require
from admin_app.services.core.plans import Plan, PlanLine
from admin_app.services.staff import sign_in_limits, staff_members, staff_sessions
from admin_app.services.staff.staff_sessions import session_key, staff_key
from models import Role, StaffMember

A_NEW_ONE = "a new one"


def plan_disable(ctx: Ctx, *, staff_id: int) -> Plan:
    """The plan of disabling; it refuses the last administrator. Raises StaffNotFound, Forbidden."""
    member = _member(ctx, staff_id)
    refusal = _last_admin(ctx, member)
    if member.disabled_at is not None:
        refusal = "This account is disabled already."
    lines = (_line(member, "disabled_at", member.disabled_at, ctx.now, "time of the act"), *_ending(ctx, member))
    consequences = (f"{member.name} cannot sign in any more.", _sessions_end(ctx, member))
    return _plan(member, f"Disable {member.email}", "disabled", lines, consequences, refusal)


def plan_enable(ctx: Ctx, *, staff_id: int) -> Plan:
    """The plan of enabling, which ends a wait after failed sign-ins too. Raises StaffNotFound, Forbidden."""
    member = _member(ctx, staff_id)
    waiting = sign_in_limits.is_on(member, ctx.now)
    refusal = None if waiting or member.disabled_at else "This account is open already, and nothing makes it wait."
    lines = (
        _line(member, "disabled_at", member.disabled_at, None, "emptied"),
        *_released(member),
    )
    consequences = (f"{member.name} may sign in again with the password from before.",)
    return _plan(member, f"Enable {member.email}", "enabled", lines, consequences, refusal)


def plan_role(ctx: Ctx, *, staff_id: int, role: Role) -> Plan:
    """The plan of another role; it refuses the last administrator and the same role. Raises as `plan_disable` does."""
    member = _member(ctx, staff_id)
    refusal = _last_admin(ctx, member)
    if member.role is role:
        refusal = f"{member.name} has the role {role.value} already."
    lines = (_line(member, "role", member.role, role, "chosen"), *_ending(ctx, member))
    consequences = (f"{member.name} may do what {role.value} may.", _sessions_end(ctx, member))
    return _plan(member, f"Make {member.email} {role.value}", "role", lines, consequences, refusal, role)


def plan_password(ctx: Ctx, *, staff_id: int) -> Plan:
    """The plan of a new password; the password itself is made by the act. Raises StaffNotFound, Forbidden."""
    member = _member(ctx, staff_id)
    consequences = (
        "A new password is made up and shown to you once. Hand it over by a safe way.",
        "The old password works no more, and a wait after failed sign-ins ends.",
        _sessions_end(ctx, member),
    )
    # The password itself is shown once, to whoever hands it over.
    lines = (_line(member, "password", "the old one", A_NEW_ONE, "made up"), *_released(member))
    lines += _ending(ctx, member)
    return _plan(member, f"Reset the password of {member.email}", "password", lines, consequences, None)


def plan_sign_out(ctx: Ctx, *, staff_id: int) -> Plan:
    """The plan of ending all sessions; it refuses when there is none. Raises StaffNotFound, Forbidden."""
    member = _member(ctx, staff_id)
    lines = _ending(ctx, member)
    refusal = None if lines else f"{member.name} is signed in nowhere."
    consequences = (_sessions_end(ctx, member), "Account and password stay as they are.")
    return _plan(member, f"Sign {member.email} out everywhere", "signed_out", lines, consequences, refusal)


def _member(ctx: Ctx, staff_id: int) -> StaffMember:
    require(ctx, Permission.STAFF_MANAGE)
    return staff_members.get_staff(ctx, staff_id=staff_id)


def _last_admin(ctx: Ctx, member: StaffMember) -> str | None:
    return staff_members.LastAdmin.sentence if staff_members.is_last_admin(ctx, member) else None


def _line(member: StaffMember, field: str, now: object, after: object, source: str) -> PlanLine:
    return PlanLine(staff_key(member.id), field, now, after, source)


def _ending(ctx: Ctx, member: StaffMember) -> tuple[PlanLine, ...]:
    """The sessions that end with it."""
    ending = staff_sessions.to_end(ctx, staff_id=member.id)
    return tuple(PlanLine(session_key(number), "revoked_at", None, ctx.now, "signed out") for number in ending)


def _released(member: StaffMember) -> tuple[PlanLine, ...]:
    """That failed sign-ins are forgotten, and nobody waits because of them."""
    return tuple(
        _line(member, name, getattr(member, name), value, "emptied") for name, value in sign_in_limits.RELEASED.items()
    )


def _sessions_end(ctx: Ctx, member: StaffMember) -> str:
    return f"Open sessions that end at once: {len(staff_sessions.to_end(ctx, staff_id=member.id))}."


def _plan(
    member: StaffMember,
    title: str,
    outcome: str,
    lines: tuple[PlanLine, ...],
    consequences: tuple[str, ...],
    refusal: str | None,
    role: Role | None = None,
) -> Plan:
    return Plan(title, outcome, lines, consequences, staff_members.state_of(member, role), refusal)
