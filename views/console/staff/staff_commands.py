"""The commands on a staff member, each on its own page: the plan, a reason, the act."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from admin_app.context import Ctx
from admin_app.errors import Conflict, InvalidInput
from admin_app.policies.permissions import Permission
from admin_app.services import staff
from admin_app.services.core.plans import Plan
from admin_app.services.staff import staff_plans, staff_sessions
from models import Role, StaffMember
from views.console.framework.base import ConsoleView, command, console_unit_of_work
from views.console.framework.columns import record_address
from views.console.framework.plan_pages import CommandPage, form_text

# Larger numbers would not fit the column, and the database would refuse the query.
PERSON = "/<int(max=9223372036854775807):staff_id>"
COMMANDS = ("create", "disable", "enable", "role", "password", "sign_out")


@dataclass(frozen=True, kw_only=True)
class HandOverPage(CommandPage):
    """A command that makes a secret: its answer shows it once, instead of going on to where it could be kept."""

    hand_over: str = "console/staff/password.html"

    def respond(self) -> ResponseReturnValue:
        if request.method != "POST":
            return self._show()
        try:
            with console_unit_of_work() as ctx:
                secret = self.act(ctx)
        except (InvalidInput, Conflict) as error:
            return self._show(error), error.status
        return self.view.render(self.hand_over, title=self.title, secret=secret, done=self.done)


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
            plan=lambda ctx: None,
            act=act,
            button="Add to the staff",
            cancel="/admin/staff/",
            done="/admin/staff/",
            title="Add someone to the staff",
            subtitle="A password is made up and shown to you once.",
            template="console/staff/new.html",
            more={"roles": list(Role)},
        ).respond()

    @command(f"{PERSON}/disable")
    def disable(self, staff_id: int) -> ResponseReturnValue:
        def act(ctx: Ctx) -> str:
            member = staff.disable_staff(
                ctx, staff_id=staff_id, reason=form_text("reason"), shown=form_text("fingerprint")
            )
            return f"{member.name} is disabled and signed out everywhere."

        return self._page(
            staff_id,
            lambda ctx: staff_plans.plan_disable(ctx, staff_id=staff_id),
            act,
            button="Disable the account",
            title="Disable the account",
            danger=True,
        ).respond()

    @command(f"{PERSON}/enable")
    def enable(self, staff_id: int) -> ResponseReturnValue:
        def act(ctx: Ctx) -> str:
            member = staff.enable_staff(
                ctx, staff_id=staff_id, reason=form_text("reason"), shown=form_text("fingerprint")
            )
            return f"{member.name} may sign in again."

        return self._page(
            staff_id,
            lambda ctx: staff_plans.plan_enable(ctx, staff_id=staff_id),
            act,
            button="Enable the account",
            title="Enable the account",
        ).respond()

    @command(f"{PERSON}/role")
    def role(self, staff_id: int) -> ResponseReturnValue:
        def plan(ctx: Ctx) -> Plan | None:
            chosen = request.values.get("role")
            return staff_plans.plan_role(ctx, staff_id=staff_id, role=_role()) if chosen else None

        def act(ctx: Ctx) -> str:
            member = staff.set_role(
                ctx, staff_id=staff_id, role=_role(), reason=form_text("reason"), shown=form_text("fingerprint")
            )
            return f"{member.name} has the role {member.role.value} now, from the next sign-in on."

        return self._page(
            staff_id,
            plan,
            act,
            button="Give this role",
            title="Give another role",
            template="console/staff/role.html",
            more={"roles": list(Role), "role": request.values.get("role", "")},
        ).respond()

    @command(f"{PERSON}/password")
    def password(self, staff_id: int) -> ResponseReturnValue:
        def act(ctx: Ctx) -> str:
            _, password = staff.reset_password(
                ctx, staff_id=staff_id, reason=form_text("reason"), shown=form_text("fingerprint")
            )
            return password or ""

        return self._page(
            staff_id,
            lambda ctx: staff_plans.plan_password(ctx, staff_id=staff_id),
            act,
            kind=HandOverPage,
            button="Reset the password",
            title="Reset the password",
            danger=True,
        ).respond()

    @command(f"{PERSON}/sign-out")
    def sign_out(self, staff_id: int) -> ResponseReturnValue:
        def act(ctx: Ctx) -> str:
            count = staff_sessions.revoke_all(ctx, staff_id=staff_id, reason=form_text("reason"))
            return f"Sessions ended: {count}."

        return self._page(
            staff_id,
            lambda ctx: staff_plans.plan_sign_out(ctx, staff_id=staff_id),
            act,
            button="End the sessions",
            title="Sign out everywhere",
        ).respond()

    def _page(
        self, staff_id: int, plan: Any, act: Any, *, kind: type[CommandPage] = CommandPage, **parts: Any
    ) -> CommandPage:
        address = record_address("staff", staff_id)
        subtitle = f"{_member(staff_id).name}, {_member(staff_id).email}"
        return kind(view=self, plan=plan, act=act, cancel=address, done=address, subtitle=subtitle, **parts)


def _member(staff_id: int) -> StaffMember:
    with console_unit_of_work() as ctx:
        return staff.get_staff(ctx, staff_id=staff_id)


def _role() -> Role:
    wanted = request.values.get("role", "")
    if wanted not in set(Role):
        sentence = "Choose one of the roles."
        raise InvalidInput(sentence, fields={"role": sentence})
    return Role(wanted)
