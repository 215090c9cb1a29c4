"""Practitioner, appointment, payment, client, audit: whoever takes these locks in another order waits crosswise."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from time import monotonic, sleep

import pytest
from sqlalchemy import select, text

from admin_app.context import Ctx
from admin_app.db import Database
from admin_app.errors import Conflict, PlanMoved
from admin_app.integrations.calendar_ports import CalcomBooking
from admin_app.integrations.registry import Providers
from admin_app.services import appointments, bookings, invariants, purchases
from admin_app.services.billing import customer_linking
from admin_app.services.bookings import holds
from admin_app.services.calendars.calendar_sync import CREATE, Calendars
from admin_app.services.clients import flag_mails, flags
from admin_app.services.core import audit
from admin_app.services.guests import guest_resolution
from admin_app.services.guests.guest_resolution import Person
from admin_app.services.inbox import provider_calls
from admin_app.services.purchases import account_deletion, claims, owners
from models import (
    BookingSource,
    BookingStatus,
    CanceledBecause,
    ClientCustomer,
    PendingProfile,
    PersonAddress,
    Profile,
    SessionType,
)
from tests.services.clients.flags import NOW, add_client, at, changes, off, on, state_of, turn
from tests.services.diary import Clock, appointment, held, meeting, offered, tomorrow
from tests.services.factories import NOON, OPERATOR, SUPPORT, WHOP, buy, customer, facts
from tests.services.money import add_person

GIL = Person("gil@example.com", "user_gil", "org_gil")


@pytest.fixture
def clock(real_db: Database) -> Clock:
    return Clock(real_db)


@pytest.fixture
def kind(real_db: Database) -> SessionType:
    return offered(real_db, price=0)


def wait_until_blocked(db: Database) -> None:
    """Until another transaction of this database waits for a lock."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type='Lock'"
    )
    until = monotonic() + 10
    while monotonic() < until:
        with db.read_only() as session:
            if session.scalar(waiting):
                return
        sleep(0.01)
    raise AssertionError("nobody waits")


def meanwhile(db: Database, first: Callable[[Ctx], object], other: Callable[[], object], rest: Callable[[Ctx], object]):
    """`rest` follows `first` in one transaction, while `other` waits for what `first` has locked."""
    with ThreadPoolExecutor(1) as crowd:
        with db.unit_of_work(OPERATOR) as ctx:
            first(ctx)
            waits = crowd.submit(other)
            wait_until_blocked(db)
            rest(ctx)
        waits.result(timeout=10)


def test_a_booking_is_called_off_while_cal_com_answers(real_db: Database, clock: Clock, kind: SessionType) -> None:
    subject = held(real_db, kind, tomorrow(clock.now))
    row = appointment(real_db, subject).row
    run = Calendars(lambda: real_db.unit_of_work(OPERATOR), Providers(whop=None, clerk=None, mail=None), row.id)
    with real_db.unit_of_work(OPERATOR) as ctx:
        wanted = run._wanted(ctx)
        key = wanted.key(BookingSource.CALCOM, CREATE)
        provider_calls.intend(ctx, provider="calcom", operation=CREATE, subject=subject, key=key)
    made = CalcomBooking(**dict.fromkeys(CalcomBooking.__dataclass_fields__) | {"uid": "X"})

    def call_off(ctx: Ctx) -> None:
        bookings.cancel(ctx, appointments.locked(ctx, subject), CanceledBecause.BY_CLIENT)

    meanwhile(real_db, lambda ctx: appointments.locked(ctx, subject), lambda: run._note(wanted, CREATE, made), call_off)
    row = appointment(real_db, subject).row
    assert (row.status, row.calcom_booking_uid) == (BookingStatus.CANCELED, "X")


def test_a_guest_is_linked_while_the_time_of_their_lapsed_meeting_is_taken(
    real_db: Database, clock: Clock, kind: SessionType
) -> None:
    """As when a payment comes late: it is told in the audit before its time is taken back."""
    starts = tomorrow(clock.now)
    lapsed = meeting(real_db, kind, starts, status="pending", hold_expires_at=clock.now - timedelta(minutes=1))
    late = held(real_db, kind, starts + timedelta(hours=2))
    number = int(lapsed.removeprefix("meeting:"))
    with real_db.unit_of_work(SUPPORT) as ctx:
        shown = guest_resolution.plan_link(ctx, meeting_id=number, person=GIL).fingerprint

    def link() -> None:
        with real_db.unit_of_work(SUPPORT) as ctx:
            guest_resolution.link(ctx, meeting_id=number, person=GIL, reason="It is them.", shown=shown)

    def paid(ctx: Ctx) -> None:
        bookings.record(ctx, appointments.locked(ctx, late), "booking.refunded")

    def take_back(ctx: Ctx) -> None:
        holds.take_time(
            ctx, practitioner_id=kind.practitioner_id, starts_at=starts, ends_at=starts + timedelta(hours=1)
        )

    with pytest.raises(PlanMoved):
        meanwhile(real_db, paid, link, take_back)
    assert appointment(real_db, lapsed).row.status is BookingStatus.CANCELED


def test_somebody_signs_in_with_two_waiting_addresses_while_likely_owners_are_looked_for(real_db: Database) -> None:
    first, second = (buy(real_db, f"{name}@example.com", membership_id=f"mem_{name}").id for name in ("a", "b"))
    outcomes: list[str] = []

    def sign_in() -> None:
        with real_db.unit_of_work(customer("user_gil", "b@example.com", "a@example.com")) as ctx:
            outcomes.append(claims.sign_in(ctx).outcome)

    def look_again(ctx: Ctx) -> None:
        assert not owners.refresh_one(ctx, pending_profile_id=first), "the sign-in has it"

    meanwhile(real_db, lambda ctx: owners.refresh_one(ctx, pending_profile_id=second), sign_in, look_again)
    assert outcomes == ["created"]


def test_two_people_take_each_others_address_at_once(real_db: Database) -> None:
    def take(who: str, emails: tuple[str, ...], together: Barrier) -> None:
        together.wait()
        with real_db.unit_of_work(customer(who, *emails)) as ctx:
            claims.sign_in(ctx)

    buy(real_db, "a@example.com", membership_id="mem_a")
    with ThreadPoolExecutor(2) as crowd:
        for turn_ in range(20):
            held = ("a@example.com", "b@example.com") if turn_ % 2 else ("b@example.com", "a@example.com")
            together = Barrier(2)
            moves = [
                crowd.submit(take, who, (email,), together)
                for who, email in zip(("user_1", "user_2"), held, strict=True)
            ]
            for move in moves:
                move.result(timeout=20)
    with real_db.read_only() as session:
        now = session.scalars(select(PersonAddress).where(PersonAddress.given_up_at.is_(None))).all()
        assert {row.email: row.user_id for row in now} == {"a@example.com": "user_1", "b@example.com": "user_2"}
        assert invariants.broken(session, now=real_db.clock()) == []


def test_an_account_is_deleted_while_it_claims_and_the_purchase_waits_again(real_db: Database) -> None:
    pending = buy(real_db, "gil@example.com")

    def delete() -> None:
        with real_db.unit_of_work(OPERATOR) as ctx:
            assert account_deletion.let_go(ctx, user_id="user_gil")

    with ThreadPoolExecutor(1) as crowd:
        with real_db.unit_of_work(customer("user_gil", "gil@example.com")) as ctx:
            assert claims.sign_in(ctx).outcome == "created"
            deletion = crowd.submit(delete)
            wait_until_blocked(real_db)
        deletion.result(timeout=10)
    with real_db.read_only() as session:
        assert not session.get_one(PendingProfile, pending.id).claimed
        assert session.get_one(Profile, "user_gil").account_deleted_at is not None


def test_a_renewal_arrives_while_the_account_that_has_it_is_deleted(real_db: Database) -> None:
    pending = buy(real_db, "gil@example.com")
    with real_db.unit_of_work(customer("user_gil", "gil@example.com")) as ctx:
        claims.sign_in(ctx)

    def renew() -> None:
        with real_db.unit_of_work(WHOP) as ctx:
            purchases.record(ctx, facts("gil@example.com", occurred_at=NOON + timedelta(days=30)))

    with ThreadPoolExecutor(1) as crowd:
        with real_db.unit_of_work(OPERATOR) as ctx:
            account_deletion.let_go(ctx, user_id="user_gil")
            renewal = crowd.submit(renew)
            wait_until_blocked(real_db)
        renewal.result(timeout=10)
    with real_db.read_only() as session:
        waits = session.get_one(PendingProfile, pending.id)
        assert (waits.claimed, waits.provider_event_at) == (False, NOON + timedelta(days=30))
        assert invariants.broken(session, now=real_db.clock()) == []


def test_a_look_for_likely_owners_waits_for_no_claim(real_db: Database) -> None:
    pending = buy(real_db, "a@example.com")
    with real_db.unit_of_work(customer("user_gil", "a@example.com")) as ctx:
        claims.sign_in(ctx)
        with real_db.unit_of_work(OPERATOR) as look:
            look.session.execute(text("SET LOCAL lock_timeout = '1ms'"))
            assert not owners.refresh_one(look, pending_profile_id=pending.id)
    with real_db.unit_of_work(OPERATOR) as ctx:
        assert not owners.refresh_one(ctx, pending_profile_id=pending.id), "it is claimed"


def test_a_switch_is_turned_while_its_mail_is_noted(real_db: Database) -> None:
    """As by a run over many clients, which audits the first ones before it writes the periods of the next."""
    client = add_client(at(real_db, NOW))
    hour = timedelta(hours=1)
    turn(real_db, client, on(until=NOW + 3 * hour, tell_email="desk@example.com", tell_at=NOW + hour))
    (period,) = changes(at(real_db, NOW + 2 * hour), client)
    shown = state_of(real_db, client).fingerprint
    with real_db.unit_of_work(OPERATOR) as ctx:
        mail = flag_mails.prepare(ctx, change_id=period.id, base_url="https://desk.example.com")
    assert mail is not None

    def told() -> None:
        with real_db.unit_of_work(OPERATOR) as ctx:
            flag_mails.mark_sent(ctx, sent_email_id=mail.sent_email_id, change_id=period.id, kept=True)

    def hold(ctx: Ctx) -> None:
        audit_lock = text("SELECT pg_advisory_xact_lock(:number)")
        flags.locked(ctx, client)
        ctx.session.execute(audit_lock, {"number": audit.CHAIN_LOCK})

    meanwhile(
        real_db,
        hold,
        told,
        lambda ctx: flags.set_flag(ctx, client_id=client, asked=off("It was asked for"), shown=shown),
    )
    (period,) = changes(real_db, client)
    assert period.told_at == period.lifted_at == NOW + 2 * hour


def test_two_link_one_customer_to_two_clients_and_the_second_is_told(real_db: Database) -> None:
    one, other = add_client(real_db, name="One"), add_client(real_db, name="Other")
    finance = add_person(real_db)
    with real_db.unit_of_work(finance) as ctx:
        row = ClientCustomer(stripe_customer_id="cus_1")
        ctx.session.add(row)
        ctx.session.flush()
        number = row.id
        plans = {
            each: customer_linking.plan_link(ctx, customer_id=number, client_id=each).fingerprint
            for each in (one, other)
        }

    def link(ctx: Ctx, client_id: int) -> None:
        customer_linking.link(
            ctx, customer_id=number, client_id=client_id, reason="It is them.", shown=plans[client_id]
        )

    def link_other() -> None:
        with real_db.unit_of_work(finance) as ctx:
            link(ctx, other)

    with ThreadPoolExecutor(1) as crowd:
        with real_db.unit_of_work(finance) as ctx:
            link(ctx, one)
            waits = crowd.submit(link_other)
            wait_until_blocked(real_db)
        with pytest.raises(Conflict) as refused:
            waits.result(timeout=10)
    assert refused.value.sentence == customer_linking.KNOWN
    with real_db.read_only() as session:
        assert session.get_one(ClientCustomer, number).client_id == one
