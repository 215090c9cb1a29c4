"""Session types: what can be booked, for how long and for how much."""

from typing import Any

from admin_app.policies.permissions import Permission
from models import Practitioner, SessionType
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Exactly, YesNo
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Command, Group, RecordSpec, Related
from views.console.framework.searching import Search, part_of

PRACTITIONER = Column(
    "Practitioner",
    Practitioner.name,
    through=SessionType.practitioner_id,
    link=("practitioners", SessionType.practitioner_id),
)
TERMS = (
    PRACTITIONER,
    Column("Minutes", SessionType.minutes, "number"),
    Column("Price", SessionType.price_amount, "money", currency=SessionType.price_currency),
    Column("Active", SessionType.active, "yes_no"),
)


def _command(label: str, word: str, **more: Any) -> Command:
    return Command(
        label=label,
        permission=Permission.SCHEDULE_MANAGE,
        address=lambda key: f"/admin/session-types/{key}/{word}",
        **more,
    )


class SessionTypesView(ConsoleModelView):
    in_menu = Menu("Calendar", "Session types", "clock", 240)
    permissions = reads(Permission.BOOKINGS_READ)
    listing = ListSpec(
        section="session-types",
        title="Session types",
        one="session type",
        model=SessionType,
        columns=(Column("Title", SessionType.title, link=("session-types", SessionType.id)), *TERMS),
        sorts={"id": Sort("Number", SessionType.id)},
        filters=(
            YesNo("active", "Active", SessionType.active),
            Exactly("practitioner", "Practitioner", SessionType.practitioner_id),
        ),
        search=Search(
            hint="Title or part of it, Calendly id, number",
            parts=(part_of(SessionType.title),),
            exact=(SessionType.calendly_event_type_id, SessionType.calendly_event_type_uri),
            key=SessionType.id,
        ),
        add=("Add a session type", "/admin/session-types/new", Permission.SCHEDULE_MANAGE),
        empty="No session type was set up yet.",
    )
    record = RecordSpec(
        title=SessionType.title,
        groups=(
            Group("Terms", TERMS),
            Group(
                "Calendly and record",
                (
                    Column("Calendly event type", SessionType.calendly_event_type_id, "code"),
                    Column("Calendly address", SessionType.calendly_event_type_uri, "code"),
                    Column("Since", SessionType.created_at, "time"),
                ),
            ),
        ),
        related=(Related("Bookings", "bookings", "session_type", SessionType.id),),
        audited_as="session_type",
        commands=(
            _command("Change", "edit"),
            _command("Take out of use", "deactivate", when=lambda values: values["active"], tone="danger"),
            _command("Put back into use", "activate", when=lambda values: not values["active"]),
        ),
    )
