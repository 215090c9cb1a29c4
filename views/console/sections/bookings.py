"""Bookings: what was sold to whom, when, and what became of it."""

from admin_app.policies.permissions import Permission
from models import Booking, BookingStatus, Practitioner, SessionType
from views.console.base import ConsoleModelView, reads
from views.console.columns import Column
from views.console.filters import Choice, Days, Exactly
from views.console.listing import ListSpec, Sort
from views.console.records import Group, RecordSpec, Related
from views.console.searching import Search, part_of

STATUS = Column("Status", Booking.status, "badge")
PRACTITIONER = Column(
    "Practitioner",
    Practitioner.name,
    through=Booking.practitioner_id,
    link=("practitioners", Booking.practitioner_id),
)
PRICE = Column("Price", Booking.price_amount, "money", currency=Booking.price_currency)


class BookingsView(ConsoleModelView):
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
        ),
        sorts={
            "starts": Sort("Start", Booking.starts_at, descending=True),
            "id": Sort("Order of arrival", Booking.id, descending=True),
        },
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
                ),
            ),
            Group(
                "Money",
                (
                    PRICE,
                    Column("Checkout session", Booking.stripe_checkout_session_id, "code"),
                    Column("Payment", Booking.stripe_payment_intent_id, "code"),
                ),
            ),
            Group(
                "Calendars and record",
                (
                    Column("Calendly event", Booking.calendly_event_uri, "code"),
                    Column("Calendly invitee", Booking.calendly_invitee_uri, "code"),
                    Column("Cal.com booking", Booking.calcom_booking_uid, "code"),
                    Column("Made", Booking.created_at, "time"),
                    Column("Last changed", Booking.updated_at, "time"),
                ),
            ),
        ),
        related=(Related("Same e-mail", "bookings", "email", Booking.client_email),),
    )
