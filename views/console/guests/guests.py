"""Guests: people who booked a meeting without an account, and how far their registration in WorkOS has come."""

from sqlalchemy import Text, cast, literal

from admin_app.policies.permissions import Permission
from models import Guest
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Days, Exactly, OneOf
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Group, RecordSpec, Related
from views.console.framework.searching import Search, part_of

CREATED = Column("Since", Guest.created_at, "time", sort="created")
USER = Column("WorkOS user", Guest.workos_user_id, "code")
CODE_SENT = Column("Latest code sent", Guest.code_sent_at, "time")


class GuestsView(ConsoleModelView):
    in_menu = Menu("Calendar", "Guests", "user", 220)
    permissions = reads(Permission.MEETINGS_READ)
    listing = ListSpec(
        section="guests",
        title="Guests",
        one="guest",
        model=Guest,
        lead="Without a WorkOS user, the registration failed and nothing was booked; the next booking tries again.",
        columns=(
            Column("E-mail", Guest.email, link=("guests", Guest.id)),
            Column("Name", Guest.name),
            USER,
            CODE_SENT,
            CREATED,
        ),
        sorts={"created": Sort("Newest", Guest.created_at, descending=True)},
        filters=(
            OneOf(
                "registration",
                "Registration",
                {
                    "failed": ("not registered", Guest.workos_user_id.is_(None)),
                    "done": ("registered", Guest.workos_user_id.is_not(None)),
                },
            ),
            Days("created", "Since", Guest.created_at),
            Exactly("organization", "Organization", Guest.workos_org_id),
            Exactly("user", "WorkOS user", Guest.workos_user_id),
        ),
        search=Search(
            hint="E-mail or part of it, WorkOS user or organization, number",
            emails=(Guest.email,),
            parts=(part_of(Guest.email),),
            exact=(Guest.workos_user_id, Guest.workos_org_id),
            key=Guest.id,
        ),
        empty="A guest appears here when somebody books the first meeting.",
    )
    record = RecordSpec(
        title=Guest.email,
        groups=(
            Group(
                "Guest",
                (Column("E-mail", Guest.email), Column("Name", Guest.name), Column("Since", Guest.created_at, "time")),
            ),
            Group(
                "In WorkOS",
                (
                    USER,
                    Column("Organization", Guest.workos_org_id, "code"),
                    Column("Made by Backdesk", Guest.created_here, "yes_no"),
                    CODE_SENT,
                ),
            ),
        ),
        related=(
            Related("Meetings", "meetings", "guest", Guest.workos_user_id),
            Related("Calls to WorkOS", "provider-calls", "about", literal("guest:", Text) + cast(Guest.id, Text)),
        ),
        audited_as="guest",
    )
