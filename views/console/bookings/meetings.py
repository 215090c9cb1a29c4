"""Meetings of registered guests."""

from collections.abc import Mapping
from typing import Any

from flask.typing import ResponseReturnValue

from admin_app.policies.permissions import Permission
from admin_app.services.bookings import BECAUSE
from models import BookingStatus, Meeting, Payment, Practitioner, SessionType
from views.console.bookings.links import APPOINTMENT_DATES, commands_of, holds_money, latest_payment
from views.console.bookings.page import appointment_page
from views.console.framework.base import ConsoleModelView, page, reads
from views.console.framework.columns import Column
from views.console.framework.current_staff import viewer
from views.console.framework.filters import Choice, Days, Exactly
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Command, Group, RecordSpec, Related, show_record
from views.console.framework.searching import Search, part_of
from views.reading import read_session

STATUS = Column("Status", Meeting.status, "badge")
PRICE = Column("Price", Meeting.price_amount, "money", currency=Meeting.price_currency)
PAID = Column("Payment", latest_payment(Payment.meeting_id, Meeting.id), "badge")
PRACTITIONER = Column(
    "Practitioner",
    Practitioner.name,
    through=Meeting.practitioner_id,
    link=("practitioners", Meeting.practitioner_id),
)


def _guest_command(label: str, word: str, **more: Any) -> Command:
    return Command(
        label=label,
        permission=Permission.GUESTS_RESOLVE,
        address=lambda key: f"/admin/meetings/{key}/{word}",
        **more,
    )


def _is_unregistered(values: Mapping[str, Any]) -> bool:
    return values["guest_workos_user_id"] is None and values["guest_email"] is not None


class MeetingsView(ConsoleModelView):
    in_menu = Menu("Calendar", "Meetings", "video", 210)
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
            PAID,
        ),
        sorts={
            "starts": Sort("Start", Meeting.starts_at, descending=True),
            "id": Sort("Order of arrival", Meeting.id, descending=True),
        },
        date_presets=APPOINTMENT_DATES,
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
    record_template = "console/bookings/appointment.html"
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
                    Column("Their time zone", Practitioner.time_zone, through=Meeting.practitioner_id),
                    Column(
                        "Session type",
                        SessionType.title,
                        through=Meeting.session_type_id,
                        link=("session-types", Meeting.session_type_id),
                    ),
                    Column("Slot held until", Meeting.hold_expires_at, "time"),
                    PRICE,
                ),
            ),
            holds_money(Payment.meeting_id, Meeting.id),
            Group(
                "Guest",
                (
                    Column("Name", Meeting.guest_name),
                    Column("E-mail", Meeting.guest_email),
                    Column("Time zone", Meeting.guest_time_zone),
                    Column("WorkOS user", Meeting.guest_workos_user_id, "code"),
                    Column("WorkOS organization", Meeting.guest_org_id, "code"),
                ),
            ),
            Group(
                "Record",
                (
                    Column("Made", Meeting.created_at, "time"),
                    Column("Last changed", Meeting.updated_at, "time"),
                    Column("Canceled", Meeting.canceled_at, "time"),
                    Column("Canceled because", Meeting.canceled_because, text=BECAUSE.get),
                ),
            ),
        ),
        related=(
            Related("Guest", "guests", "user", Meeting.guest_workos_user_id),
            Related("Organization", "organizations", "workos_id", Meeting.guest_org_id),
        ),
        commands=(
            *commands_of("meetings"),
            _guest_command("Link the guest", "link-guest"),
            _guest_command("Register the guest", "register-guest", when=_is_unregistered),
        ),
    )

    @page("/<record_id>")
    def details_view(self, record_id: str) -> ResponseReturnValue:
        shown = show_record(read_session(), self, record_id, viewer())
        more = appointment_page(read_session(), "meeting", int(record_id), shown["values"], viewer())
        return self.render(self.record_template, **shown, **more)
