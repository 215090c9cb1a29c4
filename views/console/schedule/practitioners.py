"""Practitioners: whose time is sold."""

from collections.abc import Callable
from typing import Any

from admin_app.policies.permissions import Permission
from admin_app.services.schedule.working_hours import shown
from models import Practitioner
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import YesNo
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Command, Group, RecordSpec, Related
from views.console.framework.searching import Search, part_of


def _command(label: str, address: Callable[[int], str], **more: Any) -> Command:
    return Command(label=label, permission=Permission.SCHEDULE_MANAGE, address=address, **more)


class PractitionersView(ConsoleModelView):
    in_menu = Menu("Calendar", "Practitioners", "stethoscope", 230)
    permissions = reads(Permission.BOOKINGS_READ)
    listing = ListSpec(
        section="practitioners",
        title="Practitioners",
        one="practitioner",
        model=Practitioner,
        columns=(
            Column("Name", Practitioner.name, link=("practitioners", Practitioner.id)),
            Column("E-mail", Practitioner.email, sort="email"),
            Column("Time zone", Practitioner.time_zone),
            Column("Active", Practitioner.active, "yes_no"),
            Column("Since", Practitioner.created_at, "time"),
        ),
        sorts={
            "id": Sort("Number", Practitioner.id),
            "email": Sort("E-mail", Practitioner.email),
        },
        filters=(YesNo("active", "Active", Practitioner.active),),
        search=Search(
            hint="Name or e-mail or part of it, number",
            emails=(Practitioner.email,),
            parts=(part_of(Practitioner.name), part_of(Practitioner.email)),
            key=Practitioner.id,
        ),
        add=("Add a practitioner", "/admin/practitioners/new", Permission.SCHEDULE_MANAGE),
        empty="No practitioner was set up yet.",
    )
    record = RecordSpec(
        title=Practitioner.name,
        groups=(
            Group(
                "Person",
                (
                    Column("Name", Practitioner.name),
                    Column("E-mail", Practitioner.email),
                    Column("Time zone", Practitioner.time_zone),
                    Column("Active", Practitioner.active, "yes_no"),
                    Column("Working hours", Practitioner.working_hours, "fields", text=shown),
                    Column("Free meetings", Practitioner.free_meetings, "yes_no"),
                ),
            ),
            Group(
                "Cal.com and record",
                (
                    Column("Cal.com user", Practitioner.calcom_user_id, "code"),
                    Column("Cal.com event type", Practitioner.calcom_event_type_id, "code"),
                    Column("Since", Practitioner.created_at, "time"),
                ),
            ),
        ),
        related=(
            Related("Session types", "session-types", "practitioner", Practitioner.id),
            Related("Bookings", "bookings", "practitioner", Practitioner.id),
            Related("Meetings", "meetings", "practitioner", Practitioner.id),
        ),
        audited_as="practitioner",
        commands=(
            Command(
                label="Week calendar",
                permission=Permission.BOOKINGS_READ,
                address=lambda key: f"/admin/calendar/?practitioner={key}",
            ),
            _command("Change", lambda key: f"/admin/practitioners/{key}/edit"),
            _command("Add a session type", lambda key: f"/admin/session-types/new?practitioner_id={key}"),
            _command(
                "Take out of use",
                lambda key: f"/admin/practitioners/{key}/deactivate",
                when=lambda values: values["active"],
                tone="danger",
            ),
            _command(
                "Put back into use",
                lambda key: f"/admin/practitioners/{key}/activate",
                when=lambda values: not values["active"],
            ),
        ),
    )
