"""Bookings: what was sold to whom, when, and what became of it."""

from admin_app.policies.permissions import Permission
from models import Booking, BookingStatus, Practitioner, SessionType
from views.console.base import ConsoleModelView, reads
from views.console.columns import Column
from views.console.filters import Choice, Days, Exactly
from views.console.listing import ListSpec, Sort
from views.console.records import Group, RecordSpec, Related
from views.console.searching import Search, part_of

STATUS = Column(label="Status", value=Booking.status, kind="badge")
PRACTITIONER = Column(
    label="Practitioner",
    value=Practitioner.name,
    through=Booking.practitioner_id,
    link=("practitioners", Booking.practitioner_id),
)
PRICE = Column(label="Price", value=Booking.price_amount, kind="money", currency=Booking.price_currency)


class BookingsView(ConsoleModelView):
    permissions = reads(Permission.BOOKINGS_READ)
    listing = ListSpec(
        section="bookings",
        title="Bookings",
        one="booking",
        model=Booking,
        columns=(
            Column(label="Client", value=Booking.client_name, link=("bookings", Booking.id)),
            Column(label="E-mail", value=Booking.client_email),
            Column(label="Starts", value=Booking.starts_at, kind="time", sort="starts"),
            PRACTITIONER,
            Column(label="Session", value=SessionType.title, through=Booking.session_type_id),
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
                    Column(label="Starts", value=Booking.starts_at, kind="time"),
                    Column(label="Ends", value=Booking.ends_at, kind="time"),
                    PRACTITIONER,
                    Column(
                        label="Session type",
                        value=SessionType.title,
                        through=Booking.session_type_id,
                        link=("session-types", Booking.session_type_id),
                    ),
                    Column(label="Slot held until", value=Booking.hold_expires_at, kind="time"),
                ),
            ),
            Group(
                "Client",
                (
                    Column(label="Name", value=Booking.client_name),
                    Column(label="E-mail", value=Booking.client_email),
                ),
            ),
            Group(
                "Money",
                (
                    PRICE,
                    Column(label="Checkout session", value=Booking.stripe_checkout_session_id, kind="code"),
                    Column(label="Payment", value=Booking.stripe_payment_intent_id, kind="code"),
                ),
            ),
            Group(
                "Calendars and record",
                (
                    Column(label="Calendly event", value=Booking.calendly_event_uri, kind="code"),
                    Column(label="Calendly invitee", value=Booking.calendly_invitee_uri, kind="code"),
                    Column(label="Cal.com booking", value=Booking.calcom_booking_uid, kind="code"),
                    Column(label="Made", value=Booking.created_at, kind="time"),
                    Column(label="Last changed", value=Booking.updated_at, kind="time"),
                ),
            ),
        ),
        related=(
            Related(title="Same e-mail", section="bookings", argument="email", value=Booking.client_email),
        ),
        audited_as="booking",
    )
