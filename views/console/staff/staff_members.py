"""The people who work in the console."""

from collections.abc import Mapping
from typing import Any

from admin_app.db import utc_now
from admin_app.policies.permissions import Permission
from models import Role, StaffMember
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Choice, YesNo
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Command, Group, RecordSpec, Related
from views.console.framework.searching import Search, part_of

ROLE = Column("Role", StaffMember.role, "badge")


def _command(label: str, word: str, **more: Any) -> Command:
    return Command(
        label=label, permission=Permission.STAFF_MANAGE, address=lambda key: f"/admin/staff/{key}/{word}", **more
    )


def _waits(values: Mapping[str, Any]) -> bool:
    return values["locked_until"] is not None and values["locked_until"] > utc_now()


class StaffMembersView(ConsoleModelView):
    in_menu = Menu("Oversight", "Staff", "shield-check", 490)
    permissions = reads(Permission.STAFF_READ)
    listing = ListSpec(
        section="staff",
        title="Staff",
        one="staff member",
        many="staff members",
        model=StaffMember,
        columns=(
            Column("Name", StaffMember.name, link=("staff", StaffMember.id)),
            Column("E-mail", StaffMember.email, sort="email"),
            ROLE,
            Column("Last signed in", StaffMember.last_signed_in_at, "time"),
            Column("Disabled", StaffMember.disabled_at, "time"),
        ),
        sorts={"email": Sort("E-mail", StaffMember.email), "id": Sort("Number", StaffMember.id)},
        filters=(
            Choice.of("role", "Role", StaffMember.role, Role),
            YesNo("disabled", "Disabled", StaffMember.disabled_at.is_not(None)),
        ),
        search=Search(
            hint="Name or e-mail or part of it, number",
            emails=(StaffMember.email,),
            parts=(part_of(StaffMember.name), part_of(StaffMember.email)),
            key=StaffMember.id,
        ),
        add=("Add someone", "/admin/staff/new", Permission.STAFF_MANAGE),
    )
    record = RecordSpec(
        title=StaffMember.name,
        badge=ROLE,
        groups=(
            Group(
                "Person",
                (
                    Column("Name", StaffMember.name),
                    Column("E-mail", StaffMember.email),
                    ROLE,
                    Column("Time zone", StaffMember.time_zone),
                ),
            ),
            Group(
                "Access",
                (
                    Column("Last signed in", StaffMember.last_signed_in_at, "time"),
                    Column("Failed sign-ins", StaffMember.failed_sign_ins, "number"),
                    Column("Locked until", StaffMember.locked_until, "time"),
                    Column("Disabled", StaffMember.disabled_at, "time"),
                    Column("Since", StaffMember.created_at, "time"),
                ),
            ),
        ),
        related=(
            Related("Sessions", "staff-sessions", "staff", StaffMember.id),
            Related("What they did", "audit-entries", "actor", StaffMember.id),
        ),
        audited_as="staff",
        commands=(
            _command("Give another role", "role"),
            _command("Reset password", "password"),
            _command("Sign out everywhere", "sign-out"),
            _command("Lift the wait", "enable", when=lambda values: _waits(values) and not values["disabled_at"]),
            _command("Enable", "enable", when=lambda values: bool(values["disabled_at"])),
            _command("Disable", "disable", when=lambda values: not values["disabled_at"], tone="danger"),
        ),
    )
