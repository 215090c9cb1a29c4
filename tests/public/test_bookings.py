"""Booking over HTTP against the simulated Stripe: held, paid, and what is left when something fails."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.jobs import checkouts
from admin_app.services.bookings import booking_limits
from admin_app.simulator import control
from admin_app.simulator.stripe import control_stripe
from models import (
    Booking,
    BookingStatus,
    CallState,
    CanceledBecause,
    Payment,
    PaymentState,
    ProviderCall,
    SentEmail,
    SessionType,
)
from tests.house import House, build, free_port
from tests.services.diary import ALWAYS, Clock, offered, tomorrow


@pytest.fixture
def clock(house: House) -> Clock:
    return Clock(house.db)


@pytest.fixture
def kind(house: House) -> SessionType:
    return offered(house.db, minutes=60, working_hours=ALWAYS)


def wish(kind: SessionType, starts_at: datetime, **values: Any) -> dict[str, Any]:
    return {
        "practitioner_id": kind.practitioner_id,
        "session_type_id": kind.id,
        "starts_at": starts_at.isoformat(),
        "client_name": "Cleo Client",
        "client_email": "cleo@example.com",
    } | values


def book(house: House, kind: SessionType, starts_at: datetime, **values: Any) -> Any:
    return house.post("/api/bookings", json=wish(kind, starts_at, **values))


def the(house: House, table: Any) -> Any:
    (row,) = house.rows(select(table))
    return row


def test_from_the_request_to_the_confirmation(house: House, clock: Clock, kind: SessionType) -> None:
    starts = tomorrow(clock.now)
    answer = book(house, kind, starts, timezone="Europe/Berlin")
    assert answer.status_code == 201
    made = answer.json["booking"]
    assert (made["status"], datetime.fromisoformat(made["starts_at"])) == ("pending", starts)
    assert datetime.fromisoformat(made["hold_expires_at"]) == clock.now + timedelta(minutes=31)
    booking, payment = the(house, Booking), the(house, Payment)
    session_id = booking.stripe_checkout_session_id
    assert answer.json["checkout_url"] == payment.checkout_url
    assert payment.checkout_url.endswith(session_id)
    session = next(s for s in control_stripe.sessions(house.simulator) if s["id"] == session_id)
    assert session["metadata"] == {"subject": f"booking:{booking.id}", "bookingId": str(booking.id)}
    assert session["customer_email"] == "cleo@example.com"
    assert session["expires_at"] == int(booking.hold_expires_at.timestamp())
    address = f"/api/bookings/{booking.id}"
    assert house.get(f"{address}?session_id={session_id}").json == {"booking": made}
    for wrong in ("", "?session_id=", "?session_id=cs_other", f"?session_id={session_id}x", "?session_id=%00"):
        assert house.get(address + wrong).status_code == 404

    control_stripe.pay(house.simulator, session_id, deliver=False)
    for event in control_stripe.events(house.simulator, session_id):
        assert house.stripe(event).status_code == 200
    house.work()
    assert house.get(f"{address}?session_id={session_id}").json["booking"]["status"] == "confirmed"
    mail = the(house, SentEmail)
    assert (mail.template, mail.to_email, mail.booking_id) == ("confirmation", "cleo@example.com", booking.id)
    assert "Europe/Berlin" in mail.text_body


def test_what_costs_nothing_needs_no_page(house: House, clock: Clock) -> None:
    answer = book(house, offered(house.db, price=0, minutes=60, working_hours=ALWAYS), tomorrow(clock.now))
    assert (answer.status_code, answer.json["checkout_url"]) == (201, None)
    assert answer.json["booking"]["status"] == "confirmed"
    assert answer.json["booking"]["hold_expires_at"] is None
    assert house.rows(select(Payment)) == []


def test_a_time_that_is_taken(house: House, clock: Clock, kind: SessionType) -> None:
    starts = tomorrow(clock.now)
    assert book(house, kind, starts).status_code == 201
    for again in (starts, starts + timedelta(minutes=20)):
        answer = book(house, kind, again, client_email="other@example.com")
        assert (answer.status_code, answer.json["code"]) == (409, "slot_taken")
    assert len(house.rows(select(Booking))) == 1


def test_a_time_that_is_not_offered(house: House, clock: Clock) -> None:
    mornings = offered(house.db, minutes=60, working_hours={day: [["08:00", "12:00"]] for day in ALWAYS})
    starts = tomorrow(clock.now, hour=14)
    for wrong in (starts, tomorrow(clock.now, hour=8) + timedelta(minutes=7), clock.now - timedelta(hours=1)):
        answer = book(house, mornings, wrong)
        assert (answer.status_code, answer.json["code"]) == (422, "not_offered")
    assert house.rows(select(Booking)) == []


@pytest.mark.parametrize(
    ("wrong", "status", "field"),
    [
        ({"starts_at": "2030-01-01T10:00:00"}, 422, "starts_at"),
        ({"starts_at": 1_900_000_000}, 422, "starts_at"),
        ({"starts_at": "9999-12-31T23:59:59-23:59"}, 422, "starts_at"),
        ({"client_email": "cleo"}, 422, "client_email"),
        ({"client_name": " "}, 422, "client_name"),
        ({"client_name": "a\x00b"}, 422, "client_name"),
        ({"timezone": "Mars/Olympus"}, 422, "timezone"),
        ({"practitioner_id": 0}, 422, "practitioner_id"),
        ({"practitioner_id": 2**63}, 422, "practitioner_id"),
        ({"practitioner_id": "1"}, 422, "practitioner_id"),
        ({"session_type_id": 2**63 - 1}, 404, None),
        ({"practitioner_id": 2**63 - 1}, 404, None),
    ],
)
def test_what_is_refused_says_what_is_wrong(
    house: House, clock: Clock, kind: SessionType, wrong: dict[str, Any], status: int, field: str | None
) -> None:
    answer = house.post("/api/bookings", json=wish(kind, tomorrow(clock.now)) | wrong)
    assert answer.status_code == status
    assert field is None or field in answer.json["errors"]
    assert house.rows(select(Booking)) == []


def sessions_of(house: House, booking: Booking) -> list[dict[str, Any]]:
    """The pages for this booking; its number alone may be that of another test's database."""
    assert booking.hold_expires_at is not None
    wanted = (f"booking:{booking.id}", int(booking.hold_expires_at.timestamp()))
    return [
        session
        for session in control_stripe.sessions(house.simulator)
        if (session["metadata"].get("subject"), session["expires_at"]) == wanted
    ]


def calls(house: House, operation: str = "checkout.create") -> list[ProviderCall]:
    return house.rows(select(ProviderCall).where(ProviderCall.operation == operation).order_by(ProviderCall.id))


@pytest.mark.parametrize("trouble", ["off", "429"])
def test_nothing_is_left_when_stripe_certainly_did_nothing(
    simulator: str, house: House, clock: Clock, kind: SessionType, trouble: str
) -> None:
    starts = tomorrow(clock.now)
    if trouble == "429":
        control.fault(simulator, "stripe", "429", times=3)
        answer = book(house, kind, starts)
    else:
        answer = book(build(simulator, house.db, stripe_api_base=f"http://127.0.0.1:{free_port()}"), kind, starts)
    assert (answer.status_code, answer.json["code"]) == (503, "provider_unavailable")
    booking, payment = the(house, Booking), the(house, Payment)
    assert (booking.status, booking.canceled_because) == (BookingStatus.CANCELED, CanceledBecause.NEVER_PAID)
    assert (payment.state, calls(house)[0].state) == (PaymentState.FAILED, CallState.FAILED)
    assert sessions_of(house, booking) == []
    house.work()
    assert book(house, kind, starts).status_code == 201


@pytest.mark.parametrize("fault", ["apply-then-drop", "apply-then-500"])
def test_a_lost_answer_is_asked_for_again_under_the_same_key(
    house: House, clock: Clock, kind: SessionType, fault: str
) -> None:
    control.fault(house.simulator, "stripe", fault)
    answer = book(house, kind, tomorrow(clock.now))
    booking = the(house, Booking)
    if answer.status_code == 503:
        # Stripe keeps an answer of 500 under the key as well: the page stays unseen, and is looked for below.
        assert booking.status is BookingStatus.CANCELED
    else:
        assert (answer.status_code, booking.status) == (201, BookingStatus.PENDING)
    assert len(sessions_of(house, booking)) == 1


@pytest.mark.parametrize("fault", ["apply-then-drop", "apply-then-500"])
def test_an_answer_that_never_comes_frees_the_time_and_the_page_is_closed(
    house: House, clock: Clock, kind: SessionType, fault: str
) -> None:
    starts = tomorrow(clock.now)
    control.fault(house.simulator, "stripe", fault, times=3)
    answer = book(house, kind, starts)
    assert (answer.status_code, answer.json["code"]) == (503, "outcome_unknown")
    first = the(house, Booking)
    assert (first.status, calls(house)[0].state) == (BookingStatus.CANCELED, CallState.UNKNOWN)
    assert book(house, kind, starts).status_code == 201
    control.fault(house.simulator, "stripe", "off")
    for _ in range(2):
        checkouts.settle_calls(house.bench)
        house.work()
    (session,) = sessions_of(house, first)
    assert (session["status"], calls(house)[0].state) == ("expired", CallState.SUCCEEDED)
    payment = house.rows(select(Payment).order_by(Payment.id))[0]
    assert payment.state is PaymentState.EXPIRED


def test_a_slow_answer_is_waited_for(house: House, clock: Clock, kind: SessionType) -> None:
    control.fault(house.simulator, "stripe", "slow", seconds=1)
    assert book(house, kind, tomorrow(clock.now)).status_code == 201
    assert len(sessions_of(house, the(house, Booking))) == 1


def test_without_a_key_nothing_can_be_paid(simulator: str, house: House, clock: Clock, kind: SessionType) -> None:
    closed = build(simulator, house.db, stripe_secret_key="")
    answer = book(closed, kind, tomorrow(clock.now))
    assert (answer.status_code, answer.json["code"]) == (503, "provider_unavailable")
    assert the(house, Booking).status is BookingStatus.CANCELED


def test_a_network_that_books_without_end_is_slowed_down(house: House, clock: Clock, kind: SessionType) -> None:
    """What is refused is not counted, callers on this machine are not, and time forgives."""

    def book_from(ip: str, number: int) -> int:
        wanted = wish(kind, tomorrow(clock.now, hour=0, days=3) + timedelta(hours=number))
        return house.post("/api/bookings", json=wanted, environ_base={"REMOTE_ADDR": ip}).status_code

    stranger = "203.0.113.7"
    assert [book_from(stranger, number) for number in range(booking_limits.FREE + 1)] == [201] * 31
    assert book_from(stranger, 0) == 409
    assert book_from(stranger, 40) == 429
    assert book_from("127.0.0.1", 40) == 201
    assert book_from("203.0.113.8", 41) == 201
    clock.forward(minutes=20)
    assert book_from(stranger, 42) == 201
