"""The demo's bookings and their money: each case that the desk meets is there, adds up, and Stripe agrees with it."""

from collections import Counter
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from admin_app.context import Job
from admin_app.db import Database
from admin_app.demo import simulated, simulated_calendars, simulated_money
from admin_app.integrations import registry
from admin_app.services import refunds
from admin_app.services.appointments import timeline
from admin_app.services.calendars.calendar_sync import CREATE
from admin_app.services.memberships import asking
from admin_app.services.schedule import working_hours
from models import (
    RESERVING,
    Approval,
    AuditEntry,
    Booking,
    BookingSource,
    BookingStatus,
    CanceledBecause,
    MembershipPayment,
    Payment,
    PaymentState,
    Practitioner,
    ProviderCall,
    ProviderMembership,
    Refund,
    RefundOrigin,
    RefundState,
    SentEmail,
    SessionType,
    WebhookEvent,
)
from tests.demo.conftest import NOW
from tests.house import settings_for


@pytest.fixture
def session(demo: Database) -> Iterator[Session]:
    with demo.read_only() as session:
        yield session


def counted(session: Session, column: object) -> Counter[object]:
    return Counter(dict(session.execute(select(column, func.count()).group_by(column)).all()))  # type: ignore


def test_every_state_of_money_is_there(session: Session) -> None:
    payments, every = counted(session, Payment.state), counted(session, Refund.state)
    assert set(PaymentState) == set(payments)
    assert {state for state in RefundState if not every[state]} == {RefundState.REQUESTED}
    assert every[RefundState.AWAITING_APPROVAL] == 2
    assert every[RefundState.UNKNOWN] == 1
    disputes = counted(session, Payment.dispute_status)
    assert (disputes["needs_response"], disputes["won"], disputes["lost"]) == (2, 1, 1)
    assert session.scalar(select(func.count()).where(Refund.origin == RefundOrigin.BACKDESK)) == 1
    assert session.scalar(select(func.count()).select_from(Approval)) == 4


def test_every_payment_reserves_what_its_refunds_take(session: Session) -> None:
    taken = (
        select(func.coalesce(func.sum(Refund.amount), 0))
        .where(Refund.payment_id == Payment.id, Refund.state.in_(RESERVING))
        .scalar_subquery()
    )
    assert session.scalars(select(Payment.id).where(Payment.reserved_amount != taken)).all() == []


def test_every_end_and_every_source_is_there(session: Session) -> None:
    assert set(CanceledBecause) < set(counted(session, Booking.canceled_because))
    assert set(BookingSource) == set(counted(session, Booking.source))
    assert set(BookingStatus) == set(counted(session, Booking.status))
    held = select(func.count()).where(Booking.status == BookingStatus.PENDING, Booking.hold_expires_at > NOW)
    assert (session.scalar(held) or 0) >= 4


def test_what_is_booked_lies_within_the_working_hours(session: Session) -> None:
    people = {person.id: person for person in session.scalars(select(Practitioner))}
    for practitioner_id, starts_at in session.execute(select(Booking.practitioner_id, Booking.starts_at)):
        person = people[practitioner_id]
        there = starts_at.astimezone(ZoneInfo(person.time_zone))
        minute = there.hour * 60 + there.minute
        spans = working_hours.of_day(person.working_hours, there.weekday())
        assert any(start <= minute < end for start, end in spans), (person.name, there)


def test_stories_are_told_from_the_booking_to_the_mails(session: Session) -> None:
    moved = session.scalars(select(AuditEntry.records).where(AuditEntry.event == "booking.rescheduled")).all()
    assert len(moved) == 2
    kind, _, number = moved[0][0].partition(":")
    booking = session.get_one(Booking, int(number))
    assert kind == "booking"
    told = [
        moment.title for moment in timeline.read(session, "booking", booking.id, made_at=booking.created_at).moments
    ]
    beginnings = (
        "Made, and its time held",
        "A page to pay on was opened",
        "Stripe told about checkout.session.completed",
        "Paid 95.00 USD",
        "Confirmed",
        "The mail “Confirmed: First consultation",
        "Moved to another time",
        "The mail “Moved: First consultation",
    )
    places = [next(i for i, title in enumerate(reversed(told)) if title.startswith(begin)) for begin in beginnings]
    assert places == sorted(places), told


def test_mails_calls_and_events_are_those_of_the_stories(session: Session) -> None:
    templates = counted(session, SentEmail.template)
    assert all(templates[name] for name in ("confirmation", "cancellation", "rescheduled"))
    assert all(
        mail.calendar_body for mail in session.scalars(select(SentEmail).where(SentEmail.booking_id.is_not(None)))
    )
    assert counted(session, ProviderCall.operation)[CREATE] > 10
    assert (session.scalar(select(func.count()).where(WebhookEvent.booking_id.is_not(None))) or 0) > 30


def test_the_simulated_stripe_has_the_same_money(own_demo: Database, own_simulator: str) -> None:
    with own_demo.read_only() as session:
        simulated_money.seed(session, own_simulator)
        simulated_money.seed(session, own_simulator)
        payments = {
            state: session.scalars(select(Payment).where(Payment.state == state).order_by(Payment.id.desc())).first()
            for state in PaymentState
        }
        disputed = session.scalars(select(Payment).where(Payment.dispute_status == "needs_response")).first()
        quotes = {payment.id: refunds.quote(session, payment.id) for payment in payments.values() if payment}
        part = session.scalars(select(Refund).where(Refund.state == RefundState.SENT)).first()
    stripe = registry.from_settings(settings_for(own_simulator)).stripe
    assert stripe is not None
    paid, opened = payments[PaymentState.PAID], payments[PaymentState.OPEN]
    assert paid
    assert opened
    assert disputed
    assert part
    assert paid.stripe_payment_intent_id
    assert opened.stripe_checkout_session_id
    told = stripe.payment(paid.stripe_payment_intent_id)
    assert told
    assert (told.captured, told.fee, told.charge_id) == (paid.captured_amount, paid.fee_amount, paid.stripe_charge_id)
    assert told.subject == f"booking:{paid.booking_id}"
    made = stripe.create_refund(
        paid.stripe_payment_intent_id, amount=100, reason="other", refund_id=999_999, idempotency_key="refund-999999"
    )
    assert made.status == "succeeded"
    assert quotes[paid.id].refundable >= 100
    page = stripe.checkout(opened.stripe_checkout_session_id)
    assert page
    # By the clock of the simulator, which is today's, its time is over.
    assert (page.status, page.subject, page.amount) == ("expired", f"booking:{opened.booking_id}", opened.amount)
    dispute = stripe.payment(disputed.stripe_payment_intent_id or "")
    assert dispute
    assert dispute.dispute
    assert dispute.dispute.status == "needs_response"
    waiting = stripe.refund(part.stripe_refund_id or "")
    assert waiting
    assert (waiting.status, waiting.our_id) == ("pending", part.id)


def test_the_simulated_calendars_know_what_is_coming(own_demo: Database, own_simulator: str) -> None:
    with own_demo.read_only() as session:
        simulated_calendars.seed(session, own_simulator)
        coming = select(Booking).where(Booking.status == BookingStatus.CONFIRMED, Booking.starts_at > NOW)
        soonest = coming.order_by(Booking.starts_at)
        ours = session.scalars(
            soonest.where(Booking.calcom_booking_uid.is_not(None), Booking.source == BookingSource.WEBSITE)
        ).first()
        theirs = session.scalars(soonest.where(Booking.source == BookingSource.CALENDLY)).first()
        titles = set(session.scalars(select(SessionType.title)))
    providers = registry.from_settings(settings_for(own_simulator))
    assert providers.calcom
    assert providers.calendly
    assert ours
    assert theirs
    kept = providers.calcom.booking(ours.calcom_booking_uid or "")
    assert kept
    assert (kept.our_id, kept.starts_at, kept.active) == (ours.id, ours.starts_at, True)
    invitee = providers.calendly.invitee(theirs.calendly_invitee_uri or "")
    assert invitee
    assert (invitee.email, invitee.starts_at) == (theirs.client_email, theirs.starts_at)
    assert {kind.name for kind in providers.calendly.event_types()} == titles


def test_what_members_paid_is_there_and_at_the_simulated_whop(own_demo: Database, own_simulator: str) -> None:
    with own_demo.read_only() as session:
        simulated.seed(session, own_simulator)
        refund = session.scalars(select(Refund).where(Refund.membership_payment_id.is_not(None))).one()
        paid = session.get_one(MembershipPayment, refund.membership_payment_id)
        row = session.get_one(ProviderMembership, paid.membership_id)
        several = session.scalar(select(func.count()).select_from(MembershipPayment)) or 0
    assert several > 100
    assert 0 < paid.refunded_amount == paid.reserved_amount == refund.amount < paid.captured_amount
    assert (row.paid_amount, row.payments_asked_at is not None) == (paid.captured_amount, True)
    before = (paid.version, paid.refunded_amount, paid.reserved_amount)
    providers = registry.from_settings(settings_for(own_simulator))
    asking.ask(lambda: own_demo.unit_of_work(Job("test")), providers, membership_id=row.id)
    with own_demo.read_only() as session:
        asked = session.get_one(MembershipPayment, paid.id)
        assert asked.asked_at > paid.asked_at
        assert (asked.version, asked.refunded_amount, asked.reserved_amount) == before
        assert session.scalar(select(func.count()).where(Refund.membership_payment_id == paid.id)) == 1
