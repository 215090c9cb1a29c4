"""Meetings of registered guests."""

from admin_app.policies.permissions import Permission
from models import BookingStatus, Meeting, Practitioner, SessionType
from views.console.base import ConsoleModelView, reads
from views.console.columns import Column
from views.console.filters import Choice, Days, Exactly
from views.console.listing import ListSpec, Sort
from views.console.records import Group, RecordSpec, Related
from views.console.searching import Search, part_of

STATUS = Column("Status", Meeting.status, "badge")
PRICE = Column("Price", Meeting.price_amount, "money", currency=Meeting.price_currency)
PRACTITIONER = Column(
    "Practitioner",
    Practitioner.name,
    through=Meeting.practitioner_id,
    link=("practitioners", Meeting.practitioner_id),
)


class MeetingsView(ConsoleModelView):
    permissions = reads(Permission.MEETINGS_READ)
    listing = ListSpec(
        section="meetings",
        title="Meetings",
        one="meeting",
        model=Meeting,
        columns=(
            Column("Number", Meeting.id, link=("meetings", Meeting.id)),
            Column("Guest", Meeting.guest_name),
            Column("E-mail", Meeting.guest_email),
            Column("Starts", Meeting.starts_at, "time", sort="starts"),
            PRACTITIONER,
            STATUS,
            PRICE,
        ),
        sorts={
            "starts": Sort("Start", Meeting.starts_at, descending=True),
            "id": Sort("Order of arrival", Meeting.id, descending=True),
        },
        filters=(
            Choice.of("status", "Status", Meeting.status, BookingStatus),
            Days("starts", "Starts", Meeting.starts_at),
            Exactly("practitioner", "Practitioner", Meeting.practitioner_id),
            Exactly("email", "E-mail", Meeting.guest_email),
            Exactly("organization", "Organization", Meeting.guest_org_id),
            Exactly("guest", "Guest", Meeting.guest_workos_user_id),
        ),
        search=Search(
            hint="E-mail or part of it, WorkOS user or organization, number",
            emails=(Meeting.guest_email,),
            parts=(part_of(Meeting.guest_email),),
            exact=(Meeting.guest_workos_user_id, Meeting.guest_org_id),
            key=Meeting.id,
        ),
        empty="Meetings appear here as soon as a guest books the first one.",
    )
    record = RecordSpec(
        title=Meeting.guest_email,
        badge=STATUS,
        groups=(
            Group(
                "Appointment",
                (
                    Column("Starts", Meeting.starts_at, "time"),
                    Column("Ends", Meeting.ends_at, "time"),
                    PRACTITIONER,
                    Column(
                        "Session type",
                        SessionType.title,
                        through=Meeting.session_type_id,
                        link=("session-types", Meeting.session_type_id),
                    ),
                    PRICE,
                ),
            ),
            Group(
                "Guest",
                (
                    Column("Name", Meeting.guest_name),
                    Column("E-mail", Meeting.guest_email),
                    Column("WorkOS user", Meeting.guest_workos_user_id, "code"),
                    Column("WorkOS organization", Meeting.guest_org_id, "code"),
                ),
            ),
            Group(
                "Record",
                (Column("Made", Meeting.created_at, "time"), Column("Last changed", Meeting.updated_at, "time")),
            ),
        ),
        related=(
            Related("Meetings with this e-mail", "meetings", "email", Meeting.guest_email),
            Related("Organization", "organizations", "workos_id", Meeting.guest_org_id),
        ),
    )
