"""Stripe delivers in any order, more than once, late or not at all: the end is the same."""

from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.services import inbox
from admin_app.simulator.stripe import control_stripe
from models import (
    Booking,
    BookingStatus,
    EventState,
    Payment,
    PaymentState,
    Refund,
    SentEmail,
    SessionType,
    WebhookEvent,
)
from tests.house import House, build, free_port
from tests.public.test_bookings import ALWAYS, book, the
from tests.services.diary import Clock, held, offered, tomorrow
from tests.services.factories import OPERATOR

Act = Callable[[House, str], Any]
MOST_ORDERS = 24


def _pay(house: House, session_id: str) -> None:
    control_stripe.pay(house.simulator, session_id, deliver=False)


def _decline(house: House, session_id: str) -> None:
    control_stripe.decline(house.simulator, session_id, deliver=False)


def _promise(house: House, session_id: str) -> None:
    control_stripe.pay_later(house.simulator, session_id, deliver=False)


def _bank_says_yes(house: House, session_id: str) -> None:
    control_stripe.settle_async(house.simulator, session_id, deliver=False)


def _bank_says_no(house: House, session_id: str) -> None:
    control_stripe.settle_async(house.simulator, session_id, succeeds=False, deliver=False)


def _expire(house: House, session_id: str) -> None:
    control_stripe.expire(house.simulator, session_id, deliver=False)


def _refund_a_part(house: House, session_id: str) -> None:
    control_stripe.refund(house.simulator, _intent(house, session_id), amount=2_000, deliver=False)


def _refund_the_rest(house: House, session_id: str) -> None:
    control_stripe.refund(house.simulator, _intent(house, session_id), deliver=False)


def _dispute(house: House, session_id: str) -> None:
    control_stripe.dispute(house.simulator, _intent(house, session_id), deliver=False)


def _intent(house: House, session_id: str) -> str:
    session = next(s for s in control_stripe.sessions(house.simulator) if s["id"] == session_id)
    return str(session["payment_intent"] or "")


STORIES: dict[str, tuple[tuple[Act, ...], tuple[BookingStatus, PaymentState, list[int]]]] = {
    "paid": ((_pay,), (BookingStatus.CONFIRMED, PaymentState.PAID, [])),
    "declined, then paid": ((_decline, _pay), (BookingStatus.CONFIRMED, PaymentState.PAID, [])),
    "promised, then paid": ((_promise, _bank_says_yes), (BookingStatus.CONFIRMED, PaymentState.PAID, [])),
    "promised, then refused": ((_promise, _bank_says_no), (BookingStatus.CANCELED, PaymentState.FAILED, [])),
    "expired": ((_expire,), (BookingStatus.CANCELED, PaymentState.EXPIRED, [])),
    "declined, then expired": ((_decline, _expire), (BookingStatus.CANCELED, PaymentState.EXPIRED, [])),
    "a part given back": ((_pay, _refund_a_part), (BookingStatus.CONFIRMED, PaymentState.PAID, [2_000])),
    "all given back": (
        (_pay, _refund_a_part, _refund_the_rest),
        (BookingStatus.REFUNDED, PaymentState.PAID, [2_000, 10_000]),
    ),
    "disputed": ((_pay, _dispute), (BookingStatus.CONFIRMED, PaymentState.PAID, [])),
}


@pytest.fixture
def clock(house: House) -> Clock:
    return Clock(house.db)


@pytest.fixture
def kind(house: House) -> SessionType:
    return offered(house.db, minutes=60, working_hours=ALWAYS)


def bought(house: House, kind: SessionType, clock: Clock, days: int = 3) -> Booking:
    clock.catch_up()
    answer = book(house, kind, tomorrow(clock.now, days=days))
    assert answer.status_code == 201
    return booking_of(house, answer.json["booking"]["id"])


def booking_of(house: House, number: int) -> Booking:
    (booking,) = house.rows(select(Booking).where(Booking.id == number))
    assert isinstance(booking, Booking)
    return booking


def events_of(house: House, booking: Booking) -> list[dict[str, Any]]:
    """Every event about the session and its payment, oldest first."""
    session_id = str(booking.stripe_checkout_session_id)
    intent = _intent(house, session_id)
    told = [*control_stripe.events(house.simulator, session_id)]
    told += control_stripe.events(house.simulator, intent) if intent else []
    return list({event["id"]: event for event in told}.values())


def happen(house: House, booking: Booking, acts: tuple[Act, ...]) -> list[dict[str, Any]]:
    for act in acts:
        act(house, str(booking.stripe_checkout_session_id))
    return events_of(house, booking)


def end_of(house: House, booking: Booking) -> tuple[Any, ...]:
    (row,) = house.rows(select(Booking).where(Booking.id == booking.id))
    (payment,) = house.rows(select(Payment).where(Payment.booking_id == booking.id))
    refunds = house.rows(select(Refund).where(Refund.payment_id == payment.id).order_by(Refund.amount))
    assert all(refund.state == "succeeded" for refund in refunds)
    return row.status, payment.state, [refund.amount for refund in refunds]


def told(house: House, booking: Booking) -> list[str]:
    mails = house.rows(select(SentEmail).where(SentEmail.booking_id == booking.id).order_by(SentEmail.id))
    return [mail.template for mail in mails]


def deliver(house: House, event: dict[str, Any]) -> None:
    at = house.db.clock().timestamp()
    assert house.stripe(event, at=at).json == {"status": "ok"}
    house.work(last_try=True)
    assert house.stripe(event, at=at).json == {"status": "duplicate"}


@pytest.mark.parametrize("name", STORIES)
def test_every_order_after_all_has_happened(house: House, clock: Clock, kind: SessionType, name: str) -> None:
    acts, wanted = STORIES[name]
    number = len(happen(house, bought(house, kind, clock), acts))
    orders = list(permutations(range(number)))
    mails = []
    for day, order in enumerate(orders[:: -(-len(orders) // MOST_ORDERS)], 4):
        booking = bought(house, kind, clock, day)
        events = happen(house, booking, acts)
        for position in order:
            deliver(house, events[position])
        assert end_of(house, booking) == wanted, order
        mails.append(told(house, booking))
    assert all(one == mails[0] for one in mails)
    states = {event.state for event in house.rows(select(WebhookEvent))}
    assert states <= {EventState.PROCESSED, EventState.IGNORED}


@pytest.mark.parametrize("name", STORIES)
def test_each_told_as_it_happens_and_all_again(house: House, clock: Clock, kind: SessionType, name: str) -> None:
    acts, wanted = STORIES[name]
    booking = bought(house, kind, clock)
    for act in acts:
        for event in happen(house, booking, (act,)):
            house.stripe(event)
        house.work(last_try=True)
    assert end_of(house, booking) == wanted
    for number, event in enumerate(events_of(house, booking)):
        deliver(house, event | {"id": f"evt_again_{booking.id}_{number}"})
    assert end_of(house, booking) == wanted
    assert len(told(house, booking)) == len(set(told(house, booking)))


def test_a_payment_that_comes_late_has_its_time_while_nobody_else_has(
    house: House, clock: Clock, kind: SessionType
) -> None:
    booking = bought(house, kind, clock)
    events = happen(house, booking, (_pay,))
    clock.forward(minutes=31)
    for event in reversed(events):
        deliver(house, event)
    assert end_of(house, booking) == (BookingStatus.CONFIRMED, PaymentState.PAID, [])
    assert told(house, booking) == ["confirmation"]


def test_a_payment_that_comes_too_late_goes_back(house: House, clock: Clock, kind: SessionType) -> None:
    booking = bought(house, kind, clock)
    events = happen(house, booking, (_pay,))
    clock.forward(minutes=31)
    held(house.db, kind, booking.starts_at, client_email="quick@example.com")
    for event in reversed(events):
        deliver(house, event)
    for event in events_of(house, booking)[len(events) :]:
        deliver(house, event)
    assert end_of(house, booking) == (BookingStatus.CANCELED, PaymentState.PAID, [12_000])
    (mail,) = house.rows(select(SentEmail).where(SentEmail.booking_id == booking.id))
    assert "somebody else has it now" in mail.text_body
    assert "120.00 EUR go back" in mail.text_body
    intent = _intent(house, str(booking.stripe_checkout_session_id))
    at_stripe = [refund for refund in control_stripe.refunds(house.simulator) if refund["payment_intent"] == intent]
    assert [refund["amount"] for refund in at_stripe] == [12_000]


def changed(house: House) -> tuple[Any, ...]:
    booking, payment = the(house, Booking), the(house, Payment)
    return booking.status, booking.version, payment.state, payment.version, house.count(WebhookEvent)


def test_forged_foreign_and_broken_deliveries_change_nothing(house: House, clock: Clock, kind: SessionType) -> None:
    booking = bought(house, kind, clock)
    event = completed(happen(house, booking, (_pay,)))
    before = changed(house)
    refused = [
        house.stripe(event, secret="whsec_other"),
        house.stripe(event, at=clock.now.timestamp() - 600),
        house.stripe(event, at=clock.now.timestamp() + 600),
        house.stripe(event | {"livemode": True}),
        house.stripe(b"{}"),
        house.stripe(b"not json"),
        house.stripe(b"\xff\xfe"),
        house.stripe(event | {"data": None}),
        house.stripe(event | {"id": None}),
        house.post("/api/webhooks/stripe", json=event),
    ]
    assert {answer.status_code for answer in refused} == {400}
    house.work(last_try=True)
    assert changed(house) == before
    deliver(house, event)
    assert end_of(house, booking)[0] is BookingStatus.CONFIRMED


def completed(events: list[dict[str, Any]]) -> dict[str, Any]:
    return next(event for event in events if event["type"] == "checkout.session.completed")


def test_what_is_signed_but_about_others_changes_nothing(house: House, clock: Clock, kind: SessionType) -> None:
    event = completed(happen(house, bought(house, kind, clock), (_pay,)))
    before = changed(house)[:4]
    unknown = {"id": "cs_test_unknown", "object": "checkout.session", "payment_status": "paid", "status": "complete"}
    deliver(house, event | {"id": "evt_unknown", "data": {"object": unknown}})
    deliver(house, event | {"id": "evt_kind", "type": "product.created"})
    assert changed(house)[:4] == before
    states = {e.external_id: (e.state, e.parked_because) for e in house.rows(select(WebhookEvent))}
    assert states["evt_unknown"] == (EventState.PARKED, "unknown_at_stripe")
    assert states["evt_kind"] == (EventState.IGNORED, None)


def test_while_stripe_cannot_be_asked_an_event_waits(house: House, clock: Clock, kind: SessionType) -> None:
    booking = bought(house, kind, clock)
    event = completed(happen(house, booking, (_pay,)))
    away = build(house.simulator, house.db, stripe_api_base=f"http://127.0.0.1:{free_port()}")
    away.stripe(event)
    away.work(last_try=True)
    (waiting,) = house.rows(select(WebhookEvent))
    assert (waiting.state, waiting.parked_because) == (EventState.PARKED, "stripe_not_asked")
    assert end_of(house, booking)[0] is BookingStatus.PENDING
    with house.db.unit_of_work(OPERATOR) as ctx:
        inbox.release(ctx, event_id=waiting.id, reason="Stripe is back")
    house.work()
    assert end_of(house, booking)[0] is BookingStatus.CONFIRMED
    (settled,) = house.rows(select(WebhookEvent))
    assert (settled.state, settled.booking_id) == (EventState.PROCESSED, booking.id)
    assert settled.outcome == f"booking {booking.id} is confirmed"
