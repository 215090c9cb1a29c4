"""What is called off in a calendar, and its money: by the host, by the client, by a rejection, found by comparison."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.context import Staff
from admin_app.db import Database
from admin_app.errors import Conflict, Forbidden, InvalidInput
from admin_app.integrations.stripe.checkout_snapshots import CheckoutSnapshot
from admin_app.jobs import checkouts
from admin_app.jobs.bench import Bench
from admin_app.services import appointments, inbox, invariants
from admin_app.services.attention import worklists
from admin_app.services.bookings import holds
from admin_app.services.drift import drift_settling
from admin_app.services.payments import held_money
from admin_app.services.refunds import called_off, keeping
from models import (
    Booking,
    BookingStatus,
    CanceledBecause,
    DriftFinding,
    Payment,
    Refund,
    RefundReason,
    Role,
    SessionType,
)
from tests.house import settings_for
from tests.services import money
from tests.services.bookings.test_appointment_mails import prepare
from tests.services.calendar_answers import calcom_told, calendly_told, invitee_uri, receive
from tests.services.checkout.test_settlement import hear, paid, pay_page
from tests.services.diary import PRICE, Clock, appointment, held, jobs, offered, tomorrow
from tests.services.factories import OPERATOR
from tests.services.payments.test_payments import hear_payment

HOST, CLIENT = "host@example.com", "ada@example.com"


@pytest.fixture
def clock(db: Database) -> Clock:
    return Clock(db)


@pytest.fixture
def kind(db: Database) -> SessionType:
    return offered(db)


@pytest.fixture
def payment(db: Database, clock: Clock, kind: SessionType) -> Payment:
    """Of a booking that was sold here, is paid, and lies in both calendars."""
    subject = held(db, kind, tomorrow(clock.now), client_email=CLIENT)
    payment = pay_page(db, subject)
    hear(db, paid(payment))
    with db.unit_of_work(OPERATOR) as ctx:
        booking = ctx.session.get_one(Booking, payment.booking_id)
        booking.calcom_booking_uid, booking.calendly_invitee_uri = "U1", invitee_uri("E1")
    return payment


def canceled_in_calcom(db: Database, payment: Payment, trigger: str = "CANCELLED", **told: Any) -> None:
    starts = row_of(db, payment).starts_at
    deliver(db, calcom_told(trigger, "U1", at=starts, minutes=50, **told))


def deliver(db: Database, told: Any) -> None:
    """As the door and the worker take it in; the jobs that it leaves stay."""
    event_id = receive(db, told)
    assert event_id is not None
    with db.unit_of_work(OPERATOR) as ctx:
        inbox.apply(ctx, event_id=event_id, looked_up=None)


def row_of(db: Database, payment: Payment) -> Any:
    return appointment(db, subject_of(payment)).row


def subject_of(payment: Payment) -> str:
    return f"booking:{payment.booking_id}"


def now(db: Database, payment: Payment) -> Payment:
    return money.payment_now(db, payment.id)


def refunds_of(db: Database) -> list[tuple[int, RefundReason]]:
    with db.read_only() as session:
        return [(refund.amount, refund.reason) for refund in session.scalars(select(Refund).order_by(Refund.id))]


def settle(db: Database, payment: Payment, **settings: bool) -> None:
    """What the worker does with the job that a client's cancellation leaves."""
    (job,) = jobs(db, "settle_canceled")
    bench = Bench(db, settings_for("http://127.0.0.1:1", **settings), None)  # type: ignore[arg-type]
    checkouts.settle_canceled(bench, **job)


def mail_of(db: Database, payment: Payment) -> str:
    (job,) = [job for job in jobs(db, "send_appointment_mail") if job["kind"] == "cancellation"]
    mail = prepare(db, subject_of(payment), "cancellation", job["once"])
    assert mail is not None
    return mail.text


def broken(db: Database, clock: Clock) -> list[str]:
    with db.read_only() as session:
        found = invariants.look(session, invariants.BY_NAME["canceled-holds-no-money"], now=clock.now)
    return [] if found is None else list(found.records)


def undecided(db: Database, clock: Clock) -> int:
    with db.read_only() as session:
        return worklists.money_waiting(session, clock.now).undecided


@pytest.mark.parametrize(
    "told", [{"by": HOST}, {"trigger": "REJECTED"}, {"provider": "calendly"}, {"by": None}], ids=str
)
def test_what_the_business_calls_off_goes_back_by_itself(
    db: Database, clock: Clock, payment: Payment, told: dict[str, Any]
) -> None:
    if told.pop("provider", None):
        deliver(db, calendly_told("canceled", "E1", at=row_of(db, payment).starts_at, by="host"))
    else:
        canceled_in_calcom(db, payment, **told)
    row = row_of(db, payment)
    assert (row.status, row.canceled_because) == (BookingStatus.CANCELED, CanceledBecause.BY_PRACTITIONER)
    assert refunds_of(db) == [(PRICE, RefundReason.CANCELED_BY_US)]
    assert "120.00 EUR go back to what you paid with." in mail_of(db, payment)
    assert undecided(db, clock) == 0
    clock.forward(days=30)
    assert broken(db, clock) == []


def test_one_that_is_gone_there_gives_its_money_back(db: Database, clock: Clock, payment: Payment) -> None:
    about = {"provider": "calcom", "external_id": "U1", "subject": subject_of(payment)}
    finding = DriftFinding(**about, field="record", reason="gone")
    with db.unit_of_work(OPERATOR) as ctx:
        drift_settling._end_ours(ctx, finding)
    assert refunds_of(db) == [(PRICE, RefundReason.CANCELED_BY_US)]


@pytest.mark.parametrize("there", ["calcom", "calendly"])
def test_what_the_client_calls_off_goes_back_by_the_setting(
    db: Database, clock: Clock, payment: Payment, there: str
) -> None:
    if there == "calcom":
        canceled_in_calcom(db, payment, by=CLIENT)
    else:
        deliver(db, calendly_told("canceled", "E1", at=row_of(db, payment).starts_at))
    assert row_of(db, payment).canceled_because is CanceledBecause.BY_CLIENT
    settle(db, payment, refund_canceled_by_client=True)
    assert refunds_of(db) == [(PRICE, RefundReason.REQUESTED_BY_CUSTOMER)]
    text = mail_of(db, payment)
    assert "It is canceled, as you wished." in text
    assert "120.00 EUR go back to what you paid with." in text
    with db.unit_of_work(OPERATOR) as ctx:
        called_off.settle(ctx, subject=subject_of(payment), gives_back=True)
    assert len(refunds_of(db)) == 1
    assert undecided(db, clock) == 0


def test_otherwise_it_waits_until_somebody_decides(db: Database, clock: Clock, payment: Payment) -> None:
    canceled_in_calcom(db, payment, by=CLIENT)
    assert undecided(db, clock) == 1, "before the job has run as well"
    settle(db, payment)
    assert refunds_of(db) == []
    assert "What becomes of the 120.00 EUR that you paid is decided separately." in mail_of(db, payment)
    assert (undecided(db, clock), now(db, payment).undecided_since) == (1, clock.now)
    assert broken(db, clock) == []
    clock.forward(days=8)
    assert broken(db, clock) == [f"payment:{payment.id}"]


def decide(db: Database, by: Staff, payment: Payment, reason: str = "An hour before") -> None:
    with db.unit_of_work(by) as ctx:
        plan = keeping.plan_keep(ctx, payment_id=payment.id)
        keeping.keep(ctx, payment_id=payment.id, reason=reason, shown=plan.fingerprint)


def test_kept_by_decision_it_waits_no_more(db: Database, clock: Clock, payment: Payment) -> None:
    finance = money.add_person(db)
    with pytest.raises(Conflict):
        decide(db, finance, payment)
    canceled_in_calcom(db, payment, by=CLIENT)
    with pytest.raises(Forbidden):
        decide(db, money.add_person(db, Role.OPS), payment)
    with pytest.raises(InvalidInput):
        decide(db, finance, payment, reason=" ")
    decide(db, finance, payment)
    kept = now(db, payment)
    assert (kept.kept_amount, kept.kept_by, kept.kept_reason) == (PRICE, finance.email, "An hour before")
    assert undecided(db, clock) == 0
    settle(db, payment)
    assert "120.00 EUR of what you paid are not given back." in mail_of(db, payment)
    clock.forward(days=30)
    assert broken(db, clock) == []


def test_given_back_by_hand_it_waits_no_more_and_waits_again_when_that_fails(
    db: Database, clock: Clock, payment: Payment
) -> None:
    canceled_in_calcom(db, payment, by=CLIENT)
    refund = money.ask_back(db, now(db, payment), PRICE)
    assert undecided(db, clock) == 0
    failed = money.refund_at_stripe(now(db, payment), PRICE, status="failed", our_id=refund.id)
    hear(db, CheckoutSnapshot(None, money.told(payment), (failed,)))
    assert undecided(db, clock) == 1


def test_what_cannot_go_back_now_is_on_the_list(db: Database, clock: Clock, payment: Payment) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(Payment, payment.id).dispute_status = "needs_response"
    canceled_in_calcom(db, payment, by=HOST)
    assert refunds_of(db) == []
    assert undecided(db, clock) == 1
    assert "is decided separately" in mail_of(db, payment)


def test_what_comes_back_on_in_the_calendar_is_left_alone(db: Database, clock: Clock, payment: Payment) -> None:
    canceled_in_calcom(db, payment, by=CLIENT)
    with db.unit_of_work(OPERATOR) as ctx:
        row = ctx.session.get_one(Booking, payment.booking_id)
        row.status, row.canceled_because, row.canceled_at = BookingStatus.CONFIRMED, None, None
    settle(db, payment, refund_canceled_by_client=True)
    assert refunds_of(db) == []


def test_a_free_one_is_told_at_once(db: Database, clock: Clock) -> None:
    subject = held(db, offered(db, price=0), clock.now + timedelta(days=3), client_email=CLIENT)
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(Booking, int(subject[8:])).calcom_booking_uid = "U1"
    deliver(db, calcom_told("CANCELLED", "U1", at=clock.now + timedelta(days=3), minutes=50, by=CLIENT))
    assert jobs(db, "settle_canceled") == []
    assert [job["kind"] for job in jobs(db, "send_appointment_mail")] == ["confirmation", "cancellation"]


def test_what_the_bank_took_back_for_good_waits_for_nobody(db: Database, clock: Clock, payment: Payment) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        row = appointments.locked(ctx, subject_of(payment)).row
        row.status, row.canceled_because, row.canceled_at = BookingStatus.CANCELED, "by_client", ctx.now
        held_money.review_all(ctx, subject_of(payment))
    assert undecided(db, clock) == 1
    hear_payment(db, payment, dispute=money.dispute(id="du_a", status="lost", amount=payment.amount))
    assert (undecided(db, clock), broken(db, clock)) == (0, [])
    hear_payment(db, payment, dispute=money.dispute(id="du_a", status="won", amount=payment.amount))
    assert undecided(db, clock) == 1


def test_the_client_of_a_lost_dispute_is_told_what_their_bank_did(db: Database, clock: Clock, payment: Payment) -> None:
    hear_payment(db, payment, dispute=money.dispute(id="du_a", status="lost", amount=payment.amount))
    canceled_in_calcom(db, payment, by=CLIENT)
    assert (undecided(db, clock), jobs(db, "settle_canceled")) == (0, [])
    text = mail_of(db, payment)
    assert "Your bank gave you 120.00 EUR of what you paid back already." in text
    assert "decided" not in text


def seat(db: Database, clock: Clock, payment: Payment, trigger: str, **told: Any) -> None:
    clock.forward(minutes=1)
    canceled_in_calcom(db, payment, trigger, seatsPerTimeSlot=3, told=clock.now, **told)


def test_what_was_decided_about_a_canceled_one_does_not_hold_once_it_is_on_again(
    db: Database, clock: Clock, payment: Payment
) -> None:
    seat(db, clock, payment, "CREATED")
    seat(db, clock, payment, "CANCELLED", by=CLIENT)
    assert undecided(db, clock) == 1
    decide(db, money.add_person(db), payment)
    seat(db, clock, payment, "CREATED")
    assert row_of(db, payment).status is BookingStatus.CONFIRMED
    assert (undecided(db, clock), now(db, payment).kept_amount) == (0, None)
    seat(db, clock, payment, "CANCELLED", by=HOST)
    assert refunds_of(db) == [(PRICE, RefundReason.CANCELED_BY_US)], "the business owes it, whatever was kept before"


def test_one_that_is_on_again_waits_for_no_decision(db: Database, clock: Clock, payment: Payment) -> None:
    for trigger in ("CREATED", "CANCELLED", "CREATED"):
        seat(db, clock, payment, trigger, **({"by": CLIENT} if trigger == "CANCELLED" else {}))
    assert row_of(db, payment).status is BookingStatus.CONFIRMED
    assert undecided(db, clock) == 0


def test_one_that_is_paid_late_and_still_free_waits_for_no_decision(
    db: Database, clock: Clock, kind: SessionType
) -> None:
    subject = held(db, kind, tomorrow(clock.now))
    late = pay_page(db, subject)
    clock.forward(minutes=40)
    with db.unit_of_work(OPERATOR) as ctx:
        holds.release(ctx, subject=subject, only_lapsed=True)
    hear(db, paid(late))
    assert row_of(db, late).status is BookingStatus.CONFIRMED
    assert undecided(db, clock) == 0


def test_what_came_too_late_and_is_disputed_waits_for_somebody(db: Database, clock: Clock, kind: SessionType) -> None:
    late = pay_page(db, held(db, kind, tomorrow(clock.now)))
    clock.forward(days=4)
    disputed = money.told(late, dispute=money.dispute(id="du_b", amount=late.amount))
    hear(db, CheckoutSnapshot(money.session(late), disputed))
    assert (row_of(db, late).status, refunds_of(db)) == (BookingStatus.CANCELED, [])
    assert undecided(db, clock) == 1


def test_what_waits_for_its_host_in_a_calendar_takes_the_time_and_breaks_no_rule(db: Database, clock: Clock) -> None:
    offered(db, minutes=60, calcom_event_type_id="78")
    deliver(db, calcom_told("REQUESTED", "U7", at=tomorrow(clock.now), event_type="78", told=clock.now))
    (row,) = [*db_rows(db)]
    assert (row.status, row.hold_expires_at) == (BookingStatus.PENDING, None)
    clock.forward(hours=3)
    with db.read_only() as session:
        rule = invariants.BY_NAME["lapsed-hold-is-ended"]
        assert invariants.look(session, rule, now=clock.now) is None


def db_rows(db: Database) -> list[Booking]:
    with db.read_only() as session:
        return list(session.scalars(select(Booking)))
