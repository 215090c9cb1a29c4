"""What a provider refused or never answered is tried again while it can succeed, else it stands on a list."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from admin_app.db import Database
from admin_app.errors import Conflict, DomainError, Forbidden
from admin_app.jobs import billing, calendars, checkouts, client_flags
from admin_app.services import checkout, schedule
from admin_app.services.attention import call_settling, worklists
from admin_app.services.bookings import holds
from admin_app.services.calendars import calendar_calls
from admin_app.services.calendars.calendar_sync import CANCEL, CREATE, LOOK, MOVE
from admin_app.services.inbox import provider_calls
from admin_app.services.payments import refund_states
from admin_app.services.refunds import refund_sending
from admin_app.simulator import control
from admin_app.simulator.calcom import control_calcom
from models import (
    BillingStatus,
    Booking,
    BookingStatus,
    CallState,
    Client,
    Practitioner,
    ProviderCall,
    Refund,
    RefundState,
    SentEmail,
)
from tests.faults.test_calendars import (
    NUMBERS,
    a_time,
    active,
    booking,
    cancel,
    event_type,
    house,
    later,
    move,
    sync,
)
from tests.house import House, build
from tests.services.calendar_answers import calcom_told
from tests.services.client_rows import add_client
from tests.services.clients.flags import on, turn
from tests.services.diary import Clock, held, jobs, offered, tomorrow
from tests.services.factories import AUDITOR, OPERATOR, SUPPORT
from tests.services.money import add_paid, ask_back
from tests.services.schedule_rows import add_practitioner, add_session_type

__all__ = ["booking", "event_type", "house"]

WAIT = timedelta(minutes=11)


def only(house: House, operation: str) -> ProviderCall:
    (call,) = house.rows(select(ProviderCall).where(ProviderCall.operation == operation))
    return call


def listed(house: House) -> int:
    with house.db.read_only() as session:
        return worklists.waiting(session).calls


def wrong(house: House) -> House:
    """The same house whose key Cal.com does not know."""
    return build(house.simulator, house.db, calcom_api_key="cal_wrong")


class TestCalendars:
    def test_a_creation_refused_for_the_key_is_made_once_the_key_is_right(self, house, booking):
        for _ in range(5):
            sync(wrong(house), booking)
            later(house, WAIT)
        call = only(house, CREATE)
        assert (call.state, call.error_code) == (CallState.FAILED, "UnauthorizedException")
        assert listed(house) == 1, "after a while a person is to know"
        later(house, timedelta(hours=3))
        assert calendars.settle_calendars(house.bench) == 1
        house.work()
        assert len(active(house, booking)) == 1
        assert only(house, CREATE).state is CallState.SUCCEEDED
        assert listed(house) == 0

    @pytest.mark.parametrize("why", ["key", "away"])
    def test_a_cancellation_that_failed_ten_times_is_made_once_it_can_be(self, house, booking, why):
        sync(house, booking)
        cancel(house, booking)
        with house.db.unit_of_work(OPERATOR) as ctx:
            ctx.session.execute(text("DELETE FROM procrastinate_jobs"))
        bad = wrong(house)
        for _ in range(10):
            if why == "away":
                bad = build(house.simulator, house.db)  # another worker, whose circuit is closed
                control.fault(house.simulator, "calcom", "500", times=3)
            try:
                sync(bad, booking)
            except DomainError:
                continue
        control.fault(house.simulator, "calcom", "off")
        assert only(house, LOOK).attempts == 10
        assert (len(active(house, booking)), listed(house)) == (1, 1)
        assert calendars.settle_calendars(house.bench) == 0, "not at once"
        later(house, provider_calls.LONGEST_WAIT)
        good = build(house.simulator, house.db)
        assert calendars.settle_calendars(good.bench) == 1
        good.work()
        assert (active(house, booking), listed(house)) == ([], 0)
        later(house, provider_calls.LONGEST_WAIT)
        assert calendars.settle_calendars(house.bench) == 0

    def test_a_time_that_is_taken_there_waits_for_a_person(self, house, booking, event_type):
        take(house, booking, event_type)
        sync(house, booking)
        later(house, timedelta(days=1))
        assert calendars.settle_calendars(house.bench) == 0
        assert listed(house) == 1
        call = only(house, CREATE)
        plan = planned(house, call)
        assert "nobody is free there at that time (no_available_users_found_error)" in plan.consequences[0]
        with house.db.unit_of_work(SUPPORT) as ctx:
            call_settling.retry(ctx, call_id=call.id, reason="freed there", shown=plan.fingerprint)
        house.work()
        assert (only(house, CREATE).attempts, listed(house)) == (2, 1), "it is taken still"
        shown = planned(house, call).fingerprint
        with pytest.raises(Forbidden), house.db.unit_of_work(AUDITOR) as ctx:
            call_settling.settle(ctx, call_id=call.id, reason="made there by hand", shown=shown)
        with house.db.unit_of_work(SUPPORT) as ctx:
            call_settling.settle(ctx, call_id=call.id, reason="made there by hand", shown=shown)
        assert listed(house) == 0
        with pytest.raises(Conflict), house.db.unit_of_work(SUPPORT) as ctx:
            call_settling.retry(ctx, call_id=call.id, reason="once more", shown=shown)

    def test_what_is_not_wanted_any_more_waits_for_nobody(self, house, booking, event_type):
        take(house, booking, event_type)
        sync(house, booking)
        cancel(house, booking)
        sync(house, booking)
        assert listed(house) == 0

    def test_the_next_appointment_comes_first_and_the_past_ends(self, house, booking):
        """More calls of past bookings than are looked at in one go, and of later ones too."""
        clock = house.db.clock()
        with house.db.unit_of_work(OPERATOR) as ctx:
            row = ctx.session.get_one(Booking, booking.id)
            kind_id, practitioner_id = row.session_type_id, row.practitioner_id
            for days in (-5, -4, -3, 40, 41, 42):
                other = Booking(
                    practitioner_id=practitioner_id,
                    session_type_id=kind_id,
                    client_name="Cleo",
                    client_email="cleo@example.com",
                    starts_at=clock + timedelta(days=days),
                    ends_at=clock + timedelta(days=days, hours=1),
                    status=BookingStatus.CONFIRMED,
                )
                ctx.session.add(other)
                ctx.session.flush()
                unanswered(ctx, f"booking:{other.id}", CREATE)
            unanswered(ctx, "booking:999999", CANCEL)
            unanswered(ctx, f"booking:{booking.id}", CREATE)
        later(house, WAIT)
        first, *_ = queued(house, limit=2)
        assert first == booking.id
        assert len(queued(house, limit=2)) == 2, "then those that were not queued yet"
        assert queued(house, limit=9) == []
        for _ in range(2):
            with house.db.unit_of_work(OPERATOR) as ctx:
                calendar_calls.end_past(ctx, limit=2)
        ended = house.rows(select(ProviderCall).where(ProviderCall.error_code == "past"))
        assert len(ended) == 4
        assert {call.finished_at is not None for call in ended} == {True}
        with house.db.unit_of_work(OPERATOR) as ctx:
            assert calendar_calls.end_past(ctx, limit=2) == 0

    def test_nothing_is_tried_after_the_appointments_time(self, house, booking):
        sync(wrong(house), booking)
        later(house, timedelta(days=400))
        assert calendars.settle_calendars(house.bench) == 0
        call = only(house, CREATE)
        assert (call.error_code, call.next_try_at, call.attention_since) == ("past", None, None)


def take(house: House, booking: Booking, event_type: str) -> None:
    control_calcom.make_busy(
        house.simulator, event_type=event_type, starts_at=booking.starts_at, ends_at=booking.ends_at
    )


def planned(house: House, call: ProviderCall) -> Any:
    with house.db.unit_of_work(SUPPORT) as ctx:
        plan = call_settling.plan_retry(ctx, call_id=call.id)
        assert plan.refusal is None
        return plan


def unanswered(ctx: Any, subject: str, operation: str, *, provider: str = "calcom", key: str = "") -> ProviderCall:
    call = ProviderCall(
        provider=provider,
        operation=operation,
        subject=subject,
        idempotency_key=key or f"{operation}-{subject}",
        state=CallState.UNKNOWN,
        created_at=ctx.now,
        attempts=1,
    )
    ctx.session.add(call)
    ctx.session.flush()
    return call


def queued(house: House, *, limit: int) -> list[int]:
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(text("DELETE FROM procrastinate_jobs"))
        calendar_calls.queue_unsettled(ctx, limit=limit)
    return [job["booking_id"] for job in jobs(house.db, "sync_calendar")]


class TestCheckout:
    def test_a_page_whose_closing_was_not_answered_is_closed_by_asking(self, house):
        clock = Clock(house.db)
        house.db.clock = lambda: clock.now
        subject = held(house.db, offered(house.db), tomorrow(clock.now))
        work = lambda: house.db.unit_of_work(OPERATOR)  # noqa: E731
        checkout.start(work, house.bench.providers.stripe, subject=subject, return_url="http://127.0.0.1:1/x")
        clock.forward(minutes=31)
        control.fault(house.simulator, "stripe", "apply-then-drop", times=3)
        with pytest.raises(DomainError):
            checkouts.expire_checkout(house.bench, subject)
        assert only(house, "checkout.expire").state is CallState.UNKNOWN
        assert checkouts.settle_calls(house.bench) == 1
        house.work()
        assert only(house, "checkout.expire").state is CallState.SUCCEEDED
        assert checkouts.settle_calls(house.bench) == 0

    def test_what_is_never_answered_keeps_nobody_waiting_and_is_seen(self, house):
        clock = Clock(house.db)
        with house.db.unit_of_work(OPERATOR) as ctx:
            numbers = [unanswered(ctx, f"booking:{n}", "checkout.create", provider="stripe").id for n in range(5)]
        seen: list[int] = []
        for _ in range(3):
            with house.db.unit_of_work(OPERATOR) as ctx:
                ctx.session.execute(text("DELETE FROM procrastinate_jobs"))
                checkout.queue_unanswered(ctx, limit=2)
            seen += [job["call_id"] for job in jobs(house.db, "settle_call")]
            clock.forward(minutes=5)
        assert set(seen) == set(numbers)
        clock.forward(hours=1)
        with house.db.unit_of_work(OPERATOR) as ctx:
            assert [provider_calls.note_stuck(ctx, limit=3) for _ in range(3)] == [3, 2, 0]
        assert listed(house) == 5

    def test_holds_that_cannot_end_keep_nobody_waiting(self, house):
        clock = Clock(house.db)
        kind = offered(house.db)
        subjects = [held(house.db, kind, tomorrow(clock.now, days=days)) for days in range(3, 8)]
        clock.forward(minutes=32)
        for _ in range(3):
            with house.db.unit_of_work(OPERATOR) as ctx:
                for subject in holds.lapsed(ctx.session, ctx.now, limit=2):
                    holds.end_lapsed(ctx, subject=subject)
        assert sorted(job["subject"] for job in jobs(house.db, "expire_checkout")) == sorted(subjects)


def test_refunds_that_are_never_answered_keep_nobody_waiting(db: Database) -> None:
    clock = Clock(db)
    refunds = [ask_back(db, add_paid(db), 100) for _ in range(5)]
    with db.unit_of_work(OPERATOR) as ctx:
        for refund in refunds:
            row = ctx.session.get_one(Refund, refund.id)
            row.state, row.sent_at = RefundState.UNKNOWN, ctx.now
            key = refund_states.sending_key(row)
            unanswered(ctx, f"refund:{row.id}", "refund.create", provider="stripe", key=key)
    asked: set[int] = set()
    for _ in range(3):
        clock.forward(minutes=3)
        with db.unit_of_work(OPERATOR) as ctx:
            ctx.session.execute(text("DELETE FROM procrastinate_jobs"))
            refund_sending.queue_unfinished(ctx, limit=2)
        asked |= {job["refund_id"] for job in jobs(db, "ask_about_refund")}
    assert asked == {refund.id for refund in refunds}


def test_clients_that_cannot_be_followed_keep_nobody_waiting(house: House) -> None:
    """A rule of the database refuses the first ones; the last one follows the clock all the same."""
    clock = Clock(house.db)
    clients = [add_client(house.db) for _ in range(5)]
    ended = clock.now + timedelta(hours=1)
    for client_id in clients:
        turn(house.db, client_id, on(until=ended))
    with house.db.unit_of_work(OPERATOR) as ctx:
        for client_id in clients:
            row = ctx.session.get_one(Client, client_id)
            row.billing_status, row.trial_ends_at, row.trial_granted_until = BillingStatus.TRIAL, ended, ended
        refused = f"ALTER TABLE clients ADD CONSTRAINT never CHECK (id >= {clients[-1]}) NOT VALID"
        ctx.session.execute(text(refused))
    clock.forward(hours=2)
    client_flags.follow_all(house.bench, limit=2)
    billing.refresh_due(house.bench, limit=2)
    (last,) = house.rows(select(Client).where(Client.id == clients[-1]))
    (first,) = house.rows(select(Client).where(Client.id == clients[0]))
    assert (first.outbound_paused, last.outbound_paused) == (True, False)
    assert first.billing_status is BillingStatus.TRIAL
    assert last.billing_status is not BillingStatus.TRIAL


class TestRefusedForGood:
    """What Cal.com refuses is tried again when it can succeed, and whoever was to hear of it from there hears of it."""

    def test_a_creation_is_made_once_a_time_is_given_up_there(self, house, booking, event_type):
        in_the_way = control_calcom.book(
            house.simulator, event_type=event_type, starts_at=booking.starts_at, email="own@example.com", deliver=False
        )
        sync(house, booking)
        assert (only(house, CREATE).state, listed(house)) == (CallState.FAILED, 1)
        control_calcom.act(house.simulator, in_the_way["id"], "cancel", deliver=False)
        said = calcom_told("CANCELLED", in_the_way["id"], at=booking.starts_at, event_type=event_type)
        assert house.calcom(said.body).status_code == 200
        house.work()
        assert (len(active(house, booking)), listed(house)) == (1, 0)

    def test_a_creation_is_made_once_the_practitioner_is_mapped_right(self, house, booking):
        free = str(next(NUMBERS))
        control_calcom.seed_event_types(house.simulator, [{"id": free, "minutes": 60, "host_id": int(free)}])
        with house.db.unit_of_work(OPERATOR) as ctx:
            ctx.session.get_one(Practitioner, booking.practitioner_id).calcom_event_type_id = "404404"
        sync(house, booking)
        assert (only(house, CREATE).state, listed(house)) == (CallState.FAILED, 1)
        with house.db.unit_of_work(OPERATOR) as ctx:
            practitioner = ctx.session.get_one(Practitioner, booking.practitioner_id)
            schedule.change_practitioner(
                ctx,
                practitioner_id=practitioner.id,
                values={"calcom_event_type_id": free},
                version=practitioner.version,
            )
        house.work()
        assert (len(active(house, booking)), listed(house)) == (1, 0)

    def test_a_move_of_what_was_canceled_there_is_seen(self, house, booking):
        """Its delivery was lost, so nobody here knew it when the time was changed."""
        sync(house, booking)
        (made,) = active(house, booking)
        control_calcom.act(house.simulator, made["id"], "cancel", deliver=False)
        move(house, booking)
        sync(house, booking)
        assert (only(house, MOVE).state, listed(house)) == (CallState.FAILED, 1)

    @pytest.mark.parametrize(("what", "why"), [(MOVE, "taken"), (MOVE, "key"), (CANCEL, "key")])
    def test_a_client_of_cal_com_hears_of_it_from_us(self, house, event_type, what, why):
        add_session_type(house.db, add_practitioner(house.db, calcom_event_type_id=event_type))
        at, email = a_time(), f"client{next(NUMBERS)}@example.com"
        made = control_calcom.book(house.simulator, event_type=event_type, starts_at=at, email=email, deliver=False)
        assert house.calcom(calcom_told("CREATED", made["id"], at=at, event_type=event_type).body).status_code == 200
        house.work()
        (booking,) = house.rows(select(Booking))
        if what == MOVE:
            take(house, Booking(starts_at=(to := move(house, booking)), ends_at=to + timedelta(hours=1)), event_type)
        else:
            cancel(house, booking)
        with house.db.unit_of_work(OPERATOR) as ctx:
            ctx.session.execute(text("DELETE FROM procrastinate_jobs"))
        for _ in range(provider_calls.SEEN_AFTER if why == "key" else 1):
            sync(wrong(house) if why == "key" else house, booking)
        house.work()
        mails = house.rows(select(SentEmail).where(SentEmail.to_email == email))
        assert [mail.template for mail in mails] == ["rescheduled" if what == MOVE else "cancellation"]
