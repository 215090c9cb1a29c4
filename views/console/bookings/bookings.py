"""Bookings: what was sold to whom, when, and what became of it."""

from flask.typing import ResponseReturnValue

from admin_app.policies.permissions import Permission
from admin_app.services.bookings import BECAUSE
from models import Booking, BookingSource, BookingStatus, Payment, Practitioner, SessionType
from views.console.bookings.links import APPOINTMENT_DATES, commands_of, holds_money, latest_payment
from views.console.bookings.page import appointment_page
from views.console.framework.base import ConsoleModelView, page, reads
from views.console.framework.columns import Column
from views.console.framework.current_staff import viewer
from views.console.framework.filters import Choice, Days, Exactly
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Group, RecordSpec, show_record
from views.console.framework.searching import Search, part_of
from views.reading import read_session

STATUS = Column("Status", Booking.status, "badge")
PRACTITIONER = Column(
    "Practitioner",
    Practitioner.name,
    through=Booking.practitioner_id,
    link=("practitioners", Booking.practitioner_id),
)
SOURCES = {BookingSource.WEBSITE: "the web site", BookingSource.CALENDLY: "Calendly", BookingSource.CALCOM: "Cal.com"}
PRICE = Column("Price", Booking.price_amount, "money", currency=Booking.price_currency)
PAID = Column("Payment", latest_payment(Payment.booking_id, Booking.id), "badge")


class BookingsView(ConsoleModelView):
    in_menu = Menu("Calendar", "Bookings", "calendar-event", 200)
    permissions = reads(Permission.BOOKINGS_READ)
    listing = ListSpec(
        section="bookings",
        title="Bookings",
        one="booking",
        model=Booking,
        columns=(
            Column("Client", Booking.client_name, link=("bookings", Booking.id)),
            Column("E-mail", Booking.client_email),
            Column("Starts", Booking.starts_at, "time", sort="starts"),
            PRACTITIONER,
            Column("Session", SessionType.title, through=Booking.session_type_id),
            STATUS,
            PRICE,
            PAID,
        ),
        sorts={
            "starts": Sort("Start", Booking.starts_at, descending=True),
            "id": Sort("Order of arrival", Booking.id, descending=True),
        },
        date_presets=APPOINTMENT_DATES,
        filters=(
            Choice.of("status", "Status", Booking.status, BookingStatus),
            Days("starts", "Starts", Booking.starts_at),
            Exactly("practitioner", "Practitioner", Booking.practitioner_id),
            Exactly("session_type", "Session type", Booking.session_type_id),
            Exactly("email", "E-mail", Booking.client_email),
        ),
        search=Search(
            hint="E-mail or part of it, booking number, Stripe, Calendly or Cal.com id",
            emails=(Booking.client_email,),
            parts=(part_of(Booking.client_email),),
            exact=(
                Booking.stripe_checkout_session_id,
                Booking.stripe_payment_intent_id,
                Booking.calendly_event_id,
                Booking.calcom_booking_uid,
            ),
            key=Booking.id,
        ),
        empty="Bookings appear here as soon as the first one is made on the web site.",
    )
    record_template = "console/bookings/appointment.html"
    record = RecordSpec(
        title=Booking.client_name,
        badge=STATUS,
        groups=(
            Group(
                "Appointment",
                (
                    Column("Starts", Booking.starts_at, "time"),
                    Column("Ends", Booking.ends_at, "time"),
                    PRACTITIONER,
                    Column("Their time zone", Practitioner.time_zone, through=Booking.practitioner_id),
                    Column(
                        "Session type",
                        SessionType.title,
                        through=Booking.session_type_id,
                        link=("session-types", Booking.session_type_id),
                    ),
                    Column("Slot held until", Booking.hold_expires_at, "time"),
                ),
            ),
            Group(
                "Client",
                (
                    Column("Name", Booking.client_name),
                    Column("E-mail", Booking.client_email),
                    Column("Time zone", Booking.client_time_zone),
                    Column("Booked through", Booking.source, text=SOURCES.get),
                ),
            ),
            Group(
                "Money",
                (
                    PRICE,
                    Column("Checkout session", Booking.stripe_checkout_session_id, "code"),
                    Column("Payment at Stripe", Booking.stripe_payment_intent_id, "code"),
                ),
            ),
            holds_money(Payment.booking_id, Booking.id),
            Group(
                "Calendars and record",
                (
                    Column("Calendly event", Booking.calendly_event_uri, "code"),
                    Column("Calendly invitee", Booking.calendly_invitee_uri, "code"),
                    Column("Cal.com booking", Booking.calcom_booking_uid, "code"),
                    Column("Made", Booking.created_at, "time"),
                    Column("Last changed", Booking.updated_at, "time"),
                    Column("Canceled", Booking.canceled_at, "time"),
                    Column("Canceled because", Booking.canceled_because, text=BECAUSE.get),
                ),
            ),
        ),
        commands=commands_of("bookings"),
    )

    @page("/<record_id>")
    def details_view(self, record_id: str) -> ResponseReturnValue:
        shown = show_record(read_session(), self, record_id, viewer())
        more = appointment_page(read_session(), "booking", int(record_id), shown["values"], viewer())
        return self.render(self.record_template, **shown, **more)
