"""Booking a time, and its state for the one who returns from paying; open to anyone."""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from admin_app.bounds import BIGGEST
from admin_app.context import Guest
from admin_app.services.checkout import website_bookings
from views.backdesk import backdesk, request_id
from views.public import bodies
from views.public.shapes import BookingAnswer, BookingMade, BookingRequest, BookingShape

doors = Blueprint("booking", __name__)

LONGEST_SESSION_ID = 200


@doors.post("/api/bookings")
def book() -> ResponseReturnValue:
    house = backdesk()
    wanted = bodies.read(BookingRequest)
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
    answer = BookingMade(booking=BookingShape.of(made.appointment.row), checkout_url=made.checkout_url)
    return answer.model_dump(mode="json"), 201


@doors.get(f"/api/bookings/<int(max={BIGGEST}):booking_id>")
def show(booking_id: int) -> ResponseReturnValue:
    with backdesk().db.read_only() as session:
        found = website_bookings.returned(session, booking_id=booking_id, session_id=session_id())
        return BookingAnswer(booking=BookingShape.of(found)).model_dump(mode="json")


def session_id() -> str:
    """The checkout session of the query, or nothing when it cannot be one."""
    stated = request.args.get("session_id", "")
    plain = stated.isascii() and stated.isprintable() and len(stated) <= LONGEST_SESSION_ID
    return stated if plain else ""
