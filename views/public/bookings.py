"""Booking a time, and its state for the one who returns from paying; open to anyone."""

from flask import Blueprint, request

from admin_app.bounds import BIGGEST
from admin_app.context import Guest
from admin_app.services.checkout import website_bookings
from views.backdesk import backdesk, request_id
from views.public.endpoints import Endpoint, Parameter, endpoint
from views.public.shapes import BookingAnswer, BookingMade, BookingRequest, BookingShape

doors = Blueprint("booking", __name__)

LONGEST_SESSION_ID = 200


@endpoint(
    doors,
    Endpoint(
        "POST",
        "/api/bookings",
        id="book",
        summary="Hold a free time and get the page on which it is paid",
        body=BookingRequest,
        answers={201: ("The booking, held or confirmed", BookingMade)},
        refuses=(400, 404, 409, 413, 415, 422, 429, 502, 503),
    ),
)
def book(wanted: BookingRequest) -> BookingMade:
    house = backdesk()
    reference = request_id()
    made = website_bookings.book(
        lambda: house.db.unit_of_work(Guest(), request_id=reference),
        house.db.read_only,
        house.providers,
        website_bookings.BookingRequest(
            practitioner_id=wanted.practitioner_id,
            session_type_id=wanted.session_type_id,
            starts_at=wanted.starts_at,
            client_name=wanted.client_name,
            client_email=wanted.client_email,
            time_zone=wanted.timezone,
        ),
        ip=request.remote_addr,
        return_url=house.settings.payer_return_url,
    )
    return BookingMade(booking=BookingShape.of(made.appointment.row), checkout_url=made.checkout_url)


@endpoint(
    doors,
    Endpoint(
        "GET",
        f"/api/bookings/<int(max={BIGGEST}):booking_id>",
        id="showBooking",
        summary="The state of a booking, for the one who returns from the checkout",
        query=(
            Parameter("session_id", "The checkout session, as Stripe puts it into the address that it leads back to"),
        ),
        answers={200: ("The booking", BookingAnswer)},
        refuses=(404, 503),
    ),
)
def show(booking_id: int) -> BookingAnswer:
    with backdesk().db.read_only() as session:
        found = website_bookings.returned(session, booking_id=booking_id, session_id=session_id())
        return BookingAnswer(booking=BookingShape.of(found))


def session_id() -> str:
    """The checkout session of the query, or nothing when it cannot be one."""
    stated = request.args.get("session_id", "")
    plain = stated.isascii() and stated.isprintable() and len(stated) <= LONGEST_SESSION_ID
    return stated if plain else ""
