"""The jobs of bookings: holds end, pages are closed, mails go out, and what a crash left is settled."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from admin_app.db import Database
from admin_app.errors import ProviderUnavailable
from admin_app.jobs import checkouts, mails
from admin_app.services import appointments, bookings, checkout, refunds
from admin_app.services.checkout import checkout_pages
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
    Refund,
    RefundReason,
    SentEmail,
    SessionType,
)
from tests.house import House, build, free_port
from tests.jobs.test_claim_mails import MailServer, mail_server
from tests.public.test_bookings import ALWAYS, book, calls, sessions_of, the
from tests.services.diary import Clock, held, meeting, offered, tomorrow
from tests.services.factories import OPERATOR

__all__ = ["mail_server"]


@pytest.fixture
def clock(house: House) -> Clock:
    return Clock(house.db)


@pytest.fixture
def kind(house: House) -> SessionType:
    return offered(house.db, minutes=60, working_hours=ALWAYS)


@pytest.fixture
def session_id(house: House, clock: Clock, kind: SessionType) -> str:
    assert book(house, kind, tomorrow(clock.now)).status_code == 201
    return str(the(house, Booking).stripe_checkout_session_id)


def lapse(house: House, clock: Clock) -> None:
    clock.forward(minutes=31)
    checkouts.expire_holds(house.bench)
    house.work()


def test_a_hold_ends_with_its_time(house: House, clock: Clock, session_id: str) -> None:
    booking = the(house, Booking)
    clock.forward(minutes=30)
    assert checkouts.expire_holds(house.bench) == 0
    lapse(house, clock)
    booking, payment = the(house, Booking), the(house, Payment)
    assert (booking.status, booking.canceled_because) == (BookingStatus.CANCELED, CanceledBecause.NEVER_PAID)
    assert payment.state is PaymentState.EXPIRED
    assert [s["status"] for s in sessions_of(house, booking)] == ["expired"]
    assert checkouts.expire_holds(house.bench) == 0
    assert house.rows(select(SentEmail)) == []


def test_who_paid_unheard_is_confirmed_instead(house: House, clock: Clock, session_id: str) -> None:
    """The events of Stripe are lost: before the hold ends, Stripe is asked."""
    control_stripe.pay(house.simulator, session_id, deliver=False)
    lapse(house, clock)
    assert the(house, Booking).status is BookingStatus.CONFIRMED
    assert the(house, Payment).state is PaymentState.PAID
    assert the(house, SentEmail).template == "confirmation"


def test_a_hold_does_not_end_while_stripe_cannot_be_asked(house: House, clock: Clock, session_id: str) -> None:
    away = build(house.simulator, house.db, stripe_api_base=f"http://127.0.0.1:{free_port()}")
    clock.forward(minutes=31)
    checkouts.expire_holds(away.bench)
    with pytest.raises(ProviderUnavailable):
        away.work()
    assert the(house, Booking).status is BookingStatus.PENDING
    lapse(house, clock)
    assert the(house, Booking).status is BookingStatus.CANCELED


def test_a_hold_without_a_page_ends_too(house: House, clock: Clock, kind: SessionType) -> None:
    """The process died before it came to the page; a meeting's hold ends the same way."""
    held(house.db, kind, tomorrow(clock.now))
    meeting(house.db, kind, tomorrow(clock.now, days=5), status="pending", hold_expires_at=clock.now, price_amount=0)
    clock.forward(minutes=31)
    assert checkouts.expire_holds(house.bench) == 2
    house.work()
    assert the(house, Booking).status is BookingStatus.CANCELED
    assert checkouts.expire_holds(house.bench) == 0


def crash(house: House, kind: SessionType, clock: Clock, *, after_the_call: bool) -> None:
    """A process that dies in the middle of making the page."""
    subject = held(house.db, kind, tomorrow(clock.now))
    with house.db.unit_of_work(OPERATOR) as ctx:
        payment, wish = checkout_pages._intended(ctx, subject, house.bench.settings.payer_return_url)
    if after_the_call:
        stripe = house.bench.providers.stripe
        assert stripe is not None
        stripe.create_checkout(wish, idempotency_key=checkout.key_of(payment, wish.expires_at))


@pytest.mark.parametrize("after_the_call", [False, True])
def test_what_a_crash_left_is_settled(house: House, clock: Clock, kind: SessionType, after_the_call: bool) -> None:
    crash(house, kind, clock, after_the_call=after_the_call)
    assert checkouts.settle_calls(house.bench) == 0, "it may still be under way"
    clock.forward(minutes=6)
    assert checkouts.settle_calls(house.bench) == 1
    house.work()
    booking, payment = the(house, Booking), the(house, Payment)
    assert booking.status is BookingStatus.CANCELED
    pages = sessions_of(house, booking)
    assert [page["status"] for page in pages] == ["expired"]
    assert payment.state is PaymentState.EXPIRED
    assert calls(house)[0].state is CallState.SUCCEEDED
    assert checkouts.settle_calls(house.bench) == 0


def test_a_call_that_never_arrived_is_known_not_to_have(house: House, clock: Clock, kind: SessionType) -> None:
    """By now Stripe takes no page that would end so soon, and so says that it never made one."""
    crash(house, kind, clock, after_the_call=False)
    with house.db.unit_of_work(OPERATOR) as ctx:
        call = ctx.session.scalars(select(ProviderCall)).one()
        payment = ctx.session.scalars(select(Payment)).one()
        past = checkout.key_of(payment, clock.now - timedelta(hours=1))
        ctx.session.execute(text("UPDATE provider_calls SET idempotency_key = :key"), {"key": past})
        ctx.session.expire(call)
    clock.forward(minutes=6)
    checkouts.settle_calls(house.bench)
    house.work()
    assert the(house, Booking).status is BookingStatus.CANCELED
    assert (calls(house)[0].state, the(house, Payment).state) == (CallState.FAILED, PaymentState.FAILED)


def test_what_stays_unknown_is_seen_as_such(house: House, clock: Clock, kind: SessionType) -> None:
    control.fault(house.simulator, "stripe", "apply-then-drop", times=3)
    assert book(house, kind, tomorrow(clock.now)).status_code == 503
    control.fault(house.simulator, "stripe", "apply-then-drop", times=3)
    checkouts.settle_calls(house.bench)
    house.work()
    assert calls(house)[0].state is CallState.UNKNOWN
    clock.forward(days=4)
    assert checkouts.settle_calls(house.bench) == 0, "after days nobody asks any more; it stays visible"
    assert calls(house)[0].state is CallState.UNKNOWN


def test_a_page_is_closed_once_its_booking_is_off(house: House, clock: Clock, session_id: str) -> None:
    subject = f"booking:{the(house, Booking).id}"
    with house.db.unit_of_work(OPERATOR) as ctx:
        bookings.cancel(ctx, appointments.locked(ctx, subject), CanceledBecause.BY_CLIENT)
    house.work()
    assert [s["status"] for s in sessions_of(house, the(house, Booking))] == ["expired"]
    (call,) = calls(house, "checkout.expire")
    assert (call.state, call.external_id) == (CallState.SUCCEEDED, session_id)


def test_a_mail_goes_out_with_its_calendar_file(simulator: str, db: Database, mail_server: MailServer) -> None:
    house = build(simulator, db, smtp_url=f"smtp://127.0.0.1:{mail_server.server_address[1]}")
    clock = Clock(db)
    subject = held(db, offered(db, price=0), tomorrow(clock.now))
    for _ in range(3):
        mails.send_appointment_mail(house.bench, subject, "confirmation")
    (received,) = mail_server.received
    (file,) = received.iter_attachments()
    assert (file.get_filename(), file.get_content_type()) == ("appointment.ics", "text/calendar")
    assert file["Content-Type"].params["method"] == "REQUEST"
    assert "BEGIN:VEVENT" in file.get_content()
    assert the(house, SentEmail).state == "sent"


def test_a_mail_server_that_is_away_gets_the_same_mail_later(
    simulator: str, db: Database, mail_server: MailServer
) -> None:
    away = build(simulator, db, smtp_url=f"smtp://127.0.0.1:{free_port()}")
    clock = Clock(db)
    subject = held(db, offered(db, price=0), tomorrow(clock.now))
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            mails.send_appointment_mail(away.bench, subject, "confirmation")
    assert the(away, SentEmail).state == "failed"
    back = build(simulator, db, smtp_url=f"smtp://127.0.0.1:{mail_server.server_address[1]}")
    mails.send_appointment_mail(back.bench, subject, "confirmation")
    assert the(back, SentEmail).state == "sent"
    assert len(mail_server.received) == 1


def test_reminders_go_out_once(house: House, clock: Clock) -> None:
    held(house.db, offered(house.db, price=0), clock.now + timedelta(days=2))
    house.work()
    clock.forward(hours=30)
    assert [mails.send_reminders(house.bench) for _ in range(2)] == [1, 0]
    house.work()
    assert [mail.template for mail in house.rows(select(SentEmail).order_by(SentEmail.id))] == [
        "confirmation",
        "reminder",
    ]


def test_a_refund_of_everything_ends_the_booking_without_an_event(house: House, clock: Clock, session_id: str) -> None:
    control_stripe.pay(house.simulator, session_id, deliver=False)
    lapse(house, clock)
    with house.db.unit_of_work(OPERATOR) as ctx:
        payment = ctx.session.scalars(select(Payment)).one()
        refunds.request_by_backdesk(ctx, payment, payment.captured_amount, RefundReason.OTHER)
    house.work()
    assert [r.state for r in house.rows(select(Refund))] == ["succeeded"]
    assert the(house, Booking).status is BookingStatus.REFUNDED
