"""The page that a payer comes back to says how it stands, in every state, and nothing to a stranger."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.services import appointments, bookings
from admin_app.simulator.stripe import control_stripe
from models import Booking, CanceledBecause, SessionType
from tests.console.page_checks import check_page
from tests.house import House
from tests.public.test_bookings import ALWAYS, book
from tests.services.diary import Clock, offered, tomorrow
from tests.services.factories import OPERATOR


@pytest.fixture
def clock(house: House) -> Iterator[Clock]:
    return Clock(house.db)


@pytest.fixture
def kind(house: House) -> SessionType:
    return offered(house.db, minutes=60, working_hours=ALWAYS)


@pytest.fixture
def session_id(house: House, clock: Clock, kind: SessionType) -> str:
    assert book(house, kind, tomorrow(clock.now), timezone="Asia/Tokyo").status_code == 201
    (booking,) = house.rows(select(Booking))
    return str(booking.stripe_checkout_session_id)


def page(house: House, session_id: str, status: int = 200) -> str:
    answer = house.get(f"/booking?session_id={session_id}")
    assert answer.status_code == status
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    check_page(answer)
    return answer.text


def tell(house: House, session_id: str) -> None:
    for event in control_stripe.events(house.simulator, session_id):
        house.stripe(event)
    house.work()


def test_before_and_after_paying(house: House, session_id: str) -> None:
    waiting = page(house, session_id)
    assert "We are waiting for your payment" in waiting
    assert 'http-equiv="refresh"' in waiting
    assert "Asia/Tokyo" in waiting
    control_stripe.pay(house.simulator, session_id, deliver=False)
    tell(house, session_id)
    confirmed = page(house, session_id)
    assert "Your appointment is confirmed" in confirmed
    assert "c•••@e•••.com" in confirmed
    assert 'http-equiv="refresh"' not in confirmed
    assert "cleo@example.com" not in confirmed


def test_a_bank_takes_its_time(house: House, session_id: str) -> None:
    control_stripe.pay_later(house.simulator, session_id, deliver=False)
    tell(house, session_id)
    assert "Your bank has not confirmed the payment yet" in page(house, session_id)
    control_stripe.settle_async(house.simulator, session_id, succeeds=False, deliver=False)
    tell(house, session_id)
    assert "did not go through" in page(house, session_id)


def test_too_late(house: House, session_id: str) -> None:
    control_stripe.expire(house.simulator, session_id, deliver=False)
    tell(house, session_id)
    assert "It was not paid in time" in page(house, session_id)


def test_called_off_while_it_was_paid(house: House, session_id: str) -> None:
    (booking,) = house.rows(select(Booking))
    with house.db.unit_of_work(OPERATOR) as ctx:
        appointment: Any = appointments.locked(ctx, f"booking:{booking.id}")
        bookings.cancel(ctx, appointment, CanceledBecause.BY_STAFF)
    control_stripe.pay(house.simulator, session_id, deliver=False)
    tell(house, session_id)
    assert "Your money goes back to you" in page(house, session_id)


@pytest.mark.parametrize("wrong", ["cs_unknown", "%00", "x" * 300, "%F0%9F%98%80"])
def test_a_stranger_learns_nothing(house: House, wrong: str) -> None:
    answer = house.get(f"/booking?session_id={wrong}")
    assert answer.status_code in (200, 404)
    assert "Dr Day" not in answer.text


def test_who_leaves_without_paying_is_told_what_happens(house: House) -> None:
    answer = house.get("/booking?left=booking:1")
    check_page(answer)
    assert "You have not paid yet" in answer.text
