"""The commands on a staff member, each on its own page: the plan, a reason, the act."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from admin_app.context import Ctx
from admin_app.errors import InvalidInput
from admin_app.policies.permissions import Permission
from admin_app.services import staff
from admin_app.services.core.plans import Plan
from admin_app.services.staff import staff_plans, staff_sessions
from models import Role, StaffMember
from views.console.framework.base import ConsoleView, command, console_unit_of_work
from views.console.framework.columns import record_address
from views.console.framework.plan_pages import CommandPage, confirmed, form_text

# Larger numbers would not fit the column, and the database would refuse the query.
PERSON = "/<int(max=9223372036854775807):staff_id>"
COMMANDS = ("create", "disable", "enable", "role", "password", "sign_out")


@dataclass(frozen=True, kw_only=True)
class HandOverPage(CommandPage):
    """A command whose act makes a secret: its answer shows it once, instead of going on to where it could be kept."""

    hand_over: str = "console/staff/password.html"

    def _answer(self, result: Any, said: str) -> ResponseReturnValue:
        return self.view.render(self.hand_over, title=self.title, secret=result, done=self.cancel)


class StaffCommandsView(ConsoleView):
    """Create, disable, enable, give a role or a password, sign out."""

    permissions = MappingProxyType(dict.fromkeys(COMMANDS, Permission.STAFF_MANAGE))

    def __init__(self) -> None:
        super().__init__(name="Staff commands", endpoint="staff-commands", url="/admin/staff")

    @command("/new")
    def create(self) -> ResponseReturnValue:
        def act(ctx: Ctx) -> str:
            _, password = staff.create_staff(
                ctx, email=form_text("email"), name=form_text("name"), role=_role(), reason=form_text("reason")
            )
            return password or ""

        return HandOverPage(
            view=self,
            act=act,
            button="Add to the staff",
            cancel="/admin/staff/",
            title="Add someone to the staff",
            subtitle="A password is made up and shown to you once.",
            template="console/staff/new.html",
            more={"roles": list(Role)},
        ).respond()

    @command(f"{PERSON}/disable")
    def disable(self, staff_id: int) -> ResponseReturnValue:
        return self._page(
            staff_id,
            plan=lambda ctx: staff_plans.plan_disable(ctx, staff_id=staff_id),
            act=lambda ctx: staff.disable_staff(ctx, staff_id=staff_id, **confirmed()),
            said=lambda member: f"{member.name} is disabled and signed out everywhere.",
            button="Disable the account",
            title="Disable the account",
            danger=True,
        )

    @command(f"{PERSON}/enable")
    def enable(self, staff_id: int) -> ResponseReturnValue:
        return self._page(
            staff_id,
            plan=lambda ctx: staff_plans.plan_enable(ctx, staff_id=staff_id),
            act=lambda ctx: staff.enable_staff(ctx, staff_id=staff_id, **confirmed()),
            said=lambda member: f"{member.name} may sign in again.",
            button="Enable the account",
            title="Enable the account",
        )

    @command(f"{PERSON}/role")
    def role(self, staff_id: int) -> ResponseReturnValue:
        def plan(ctx: Ctx) -> Plan | None:
            chosen = request.values.get("role")
            return staff_plans.plan_role(ctx, staff_id=staff_id, role=_role()) if chosen else None

        return self._page(
            staff_id,
            plan=plan,
            act=lambda ctx: staff.set_role(ctx, staff_id=staff_id, role=_role(), **confirmed()),
            said=lambda member: f"{member.name} has the role {member.role.value} now, from the next sign-in on.",
            button="Give this role",
            title="Give another role",
            template="console/staff/role.html",
            more={"roles": list(Role), "role": request.values.get("role", "")},
        )

    @command(f"{PERSON}/password")
    def password(self, staff_id: int) -> ResponseReturnValue:
        def act(ctx: Ctx) -> str:
            _, password = staff.reset_password(ctx, staff_id=staff_id, **confirmed())
            return password or ""

        return self._page(
            staff_id,
            plan=lambda ctx: staff_plans.plan_password(ctx, staff_id=staff_id),
            act=act,
            kind=HandOverPage,
            button="Reset the password",
            title="Reset the password",
            danger=True,
        )

    @command(f"{PERSON}/sign-out")
    def sign_out(self, staff_id: int) -> ResponseReturnValue:
        return self._page(
            staff_id,
            plan=lambda ctx: staff_plans.plan_sign_out(ctx, staff_id=staff_id),
            act=lambda ctx: staff_sessions.revoke_all(ctx, staff_id=staff_id, reason=form_text("reason")),
            said=lambda count: f"Sessions ended: {count}.",
            button="End the sessions",
            title="Sign out everywhere",
        )

    def _page(self, staff_id: int, *, kind: type[CommandPage] = CommandPage, **parts: Any) -> ResponseReturnValue:
        address = record_address("staff", staff_id)
        member = _member(staff_id)
        subtitle = f"{member.name}, {member.email}"
        return kind(view=self, cancel=address, subtitle=subtitle, **parts).respond()


def _member(staff_id: int) -> StaffMember:
    with console_unit_of_work() as ctx:
        return staff.get_staff(ctx, staff_id=staff_id)


def _role() -> Role:
    wanted = request.values.get("role", "")
    if wanted not in set(Role):
        sentence = "Choose one of the roles."
        raise InvalidInput(sentence, fields={"role": sentence})
    return Role(wanted)
