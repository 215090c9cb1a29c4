"""One paid booking through everything at once: seats, hosts and moves at Cal.com, what staff do here, refunds that
wait, go, and come back, disputes, others who want its time, and months that are closed meanwhile.

Stripe and Cal.com are played in memory; what they say is heard late, twice, in another order, or with an old answer.
After each step the rules about appointments and money hold, and a decision about the appointment is kept. In the end
everything is heard, and both sides agree.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine
from sqlalchemy import Engine, select

from admin_app.errors import DomainError, SlotTaken
from admin_app.integrations.stripe.checkout_snapshots import CheckoutSnapshot
from admin_app.services import refunds
from admin_app.services.bookings import attendance, rescheduling
from admin_app.services.checkout import settlement
from admin_app.services.core.utc_months import month_of
from admin_app.services.finance import months
from admin_app.services.invariants import about_bookings, about_money
from admin_app.services.invariants.rule import PATIENCE, Moments
from admin_app.services.refunds import approvals, cancellations, keeping, refund_sending, returned
from models import BookingStatus, Dispute, Refund, RefundState
from models.payments import RESERVING
from tests.machines import often
from tests.services import money
from tests.services.bookings.booking_life import CAPTURED, HOUR, LIMIT, OURS, SLOTS, BookingLife
from tests.services.calendars.calcom_twin import attendee
from tests.services.diary import held
from tests.services.money import STRIPE
from tests.services.payments.stripe_twin import outcome

WHO = (OURS, "bea@example.com")
UNPAID = ("never_paid", "payment_failed")
# Of jobs that a rule of the machine does, and of what is not here.
ELSEWHERE = ("lapsed-hold", "requested-refund", "member", "running-", "waiting-", "price-")
RULES = [rule for rule in (*about_bookings.INVARIANTS, *about_money.INVARIANTS) if not rule.name.startswith(ELSEWHERE)]
NEXT = {"warning_needs_response": ("warning_closed", "needs_response"), "needs_response": ("won", "lost")}
numbers, slots = st.integers(0, 5), st.sampled_from(SLOTS)
hosts, people = st.sampled_from(["1", "2"]), st.sampled_from(WHO)
amounts = st.sampled_from([1, 18_000, 30_000, CAPTURED])


class Life(BookingLife):
    @initialize(
        so_far=st.sampled_from(["on again", "came back", "given back", "called off", "two come", "disputed", "sold"]),
        gives_back=st.booleans(),
    )
    def something_happened(self, so_far: str, gives_back: bool) -> None:
        """Where the ways begin that few steps lead to."""
        self.gives_back = gives_back
        self.begin()
        if so_far in ("given back", "came back"):
            self.somebody_asks_for_a_refund(CAPTURED, 0, ends=so_far == "given back", tell=True)
            self.somebody_decides(0, 1, yes=True)
            self.work()
        if so_far == "came back":
            self.the_bank_decides(0, "failed")
            self.stripe_tells()
        if so_far in ("called off", "on again", "two come"):
            ours = self.calcom.active()[0]
            off = replace(ours, status="cancelled", canceled_by=OURS)
            two = replace(ours, attendees=(*ours.attendees, attendee(WHO[1])))
            for there in {"called off": (off,), "on again": (off, ours), "two come": (two,)}[so_far]:
                self.calcom.put(there)
                self.a_delivery_comes(len(self.calcom.undelivered) - 1, again=False, late=False)
        if so_far == "disputed":
            self.the_payer_disputes_it("needs_response", CAPTURED)
            self.stripe_tells()

    def in_the_end(self) -> None:
        if hasattr(self, "status"):
            self.all_is_heard()

    # -- what people do here ------------------------------------------------------------------------------------------

    @rule(amount=amounts, who=numbers, ends=st.booleans(), tell=st.booleans())
    def somebody_asks_for_a_refund(self, amount: int, who: int, ends: bool, tell: bool) -> None:
        given: dict[str, Any] = {"payment_id": self.payment_id, "amount": amount, "approval_above": LIMIT}
        given |= {"ends": ends, "tell": tell}

        def call(ctx: Any) -> Refund:
            shown = refunds.plan_request(ctx, **given).fingerprint
            return refunds.request(ctx, **given, reason_code="requested_by_customer", note="", shown=shown)

        made = self.try_to(call, who)
        if made is not None and self.payment().reserved_amount == CAPTURED and self.is_coming():
            self.stays[made.id] = not ends

    @rule(which=numbers, who=numbers, yes=st.booleans())
    def somebody_decides(self, which: int, who: int, yes: bool) -> None:
        refund = self.pick(which)
        if refund is None:
            return

        def call(ctx: Any) -> None:
            shown = approvals.plan_decision(ctx, refund_id=refund.id, approve=yes).fingerprint
            decide = approvals.approve if yes else approvals.decline
            decide(ctx, refund_id=refund.id, reason="seen", shown=shown)

        self.try_to(call, who)

    @rule(which=numbers, who=numbers, how=st.sampled_from(returned.HOW))
    def somebody_puts_right(self, which: int, who: int, how: str) -> None:
        refund = self.pick(which)
        if refund is None:
            return

        def call(ctx: Any) -> Refund:
            given: dict[str, Any] = {"refund_id": refund.id, "how": how, "approval_above": LIMIT}
            shown = returned.plan(ctx, **given).fingerprint
            return returned.put_right(ctx, **given, reason="seen", shown=shown)

        made = self.try_to(call, who)
        if made is not None and made.id != refund.id and refund.id in self.stays:
            self.stays[made.id] = self.stays[refund.id]

    @rule(who=numbers)
    def somebody_keeps_the_rest(self, who: int) -> None:
        def call(ctx: Any) -> None:
            shown = keeping.plan_keep(ctx, payment_id=self.payment_id).fingerprint
            keeping.keep(ctx, payment_id=self.payment_id, reason="seen", shown=shown)

        self.try_to(call, who)

    @rule(because=st.sampled_from(cancellations.CHOICES), amount=st.sampled_from([None, 18_000, CAPTURED]))
    def it_is_canceled_here(self, because: Any, amount: int | None) -> None:
        given: dict[str, Any] = {"because": because, "refund_amount": amount, "approval_above": LIMIT}

        def call(ctx: Any) -> None:
            shown = cancellations.plan_cancel(ctx, subject=self.subject, **given).fingerprint
            cancellations.cancel(ctx, subject=self.subject, **given, reason="seen", shown=shown)

        self.try_to(call)

    @rule(at=slots)
    def it_is_moved_here(self, at: datetime) -> None:
        def call(ctx: Any) -> None:
            shown = rescheduling.plan_reschedule(ctx, subject=self.subject, starts_at=at).fingerprint
            rescheduling.reschedule(ctx, subject=self.subject, starts_at=at, reason="seen", shown=shown)

        self.try_to(call)

    @rule(came=st.booleans())
    def somebody_says_who_came(self, came: bool) -> None:
        plan, act = (
            (attendance.plan_complete, attendance.complete) if came else (attendance.plan_no_show, attendance.no_show)
        )
        self.try_to(
            lambda ctx: act(ctx, subject=self.subject, reason="x", shown=plan(ctx, subject=self.subject).fingerprint)
        )

    @rule(host=hosts, at=slots)
    def somebody_else_holds_a_time(self, host: str, at: datetime) -> None:
        try:
            held(self.db, self.kinds[host], at, client_email="guest@example.com")
        except (SlotTaken, DomainError):
            return

    @rule()
    def the_month_is_closed(self) -> None:
        month = month_of(self.now - timedelta(days=31))

        def call(ctx: Any) -> None:
            shown = months.plan_close(ctx, month=month).fingerprint
            months.close(ctx, month=month, note=None, shown=shown)

        self.try_to(call)

    @rule(minutes=st.sampled_from([5, 40, 24 * 60, 9 * 24 * 60]))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    # -- what happens at Stripe ---------------------------------------------------------------------------------------

    @rule(amount=amounts)
    def a_refund_is_made_at_the_dashboard(self, amount: int) -> None:
        outcome(lambda: self.stripe.make(self.intent, amount))

    @precondition(lambda self: self.stripe.made)
    @rule(which=numbers, status=st.sampled_from(["succeeded", "failed"]))
    def the_bank_decides(self, which: int, status: Any) -> None:
        made = self.stripe.made[which % len(self.stripe.made)]
        if made.status == "pending" or (made.status == "succeeded" and status == "failed"):
            self.stripe.become(made.id, status)

    @rule(status=st.sampled_from(["pending", "succeeded"]), fault=st.sampled_from([None, "refused", "lost"]))
    def refunds_are(self, status: Any, fault: Any) -> None:
        self.stripe.status, self.stripe.faults = status, [fault] if fault else []

    @precondition(lambda self: len(self.disputes) < 2)
    @rule(status=st.sampled_from(list(NEXT)), amount=st.sampled_from([20_000, CAPTURED]))
    def the_payer_disputes_it(self, status: str, amount: int) -> None:
        self.disputes.append(money.dispute(id=f"du_{len(self.disputes)}", status=status, amount=amount))

    @precondition(lambda self: self.disputes)
    @rule(which=numbers, way=numbers)
    def a_dispute_goes_on(self, which: int, way: int) -> None:
        place = which % len(self.disputes)
        before = self.disputes[place]
        ways = NEXT.get(before.status)
        if ways:
            status = ways[way % len(ways)]
            self.disputes[place] = money.dispute(id=before.id, amount=before.amount, status=status)

    @rule()
    def stripe_tells(self) -> None:
        self.stripe_is_asked()
        self.an_answer_of_stripe_is_applied(len(self.answers) - 1)
        self.work()

    def stripe_is_asked(self) -> None:
        self.now += timedelta(seconds=1)
        disputes = tuple(reversed(self.disputes))
        latest: dict[str, Any] = {"dispute": disputes[0] if disputes else None, "disputes": disputes}
        told = money.told(self.payment(), asked_at=self.now, **latest)
        self.answers.append(CheckoutSnapshot(None, told, tuple(self.stripe.refunds_of(self.intent))))

    @precondition(lambda self: self.answers)
    @rule(which=numbers)
    def an_answer_of_stripe_is_applied(self, which: int) -> None:
        told = self.answers[which % len(self.answers)]

        def call() -> None:
            with self.db.unit_of_work(STRIPE) as ctx:
                settlement.apply(ctx, told)

        outcome(call)

    # -- what happens at Cal.com --------------------------------------------------------------------------------------

    @precondition(lambda self: self.calcom.active())
    @rule(data=st.data(), who=people)
    def a_seat_is_taken_or_given_up(self, data: st.DataObject, who: str) -> None:
        booking = data.draw(st.sampled_from(self.calcom.active()))
        staying = tuple(one for one in booking.attendees if one.id != who)
        if len(staying) == len(booking.attendees):
            self.calcom.put(replace(booking, attendees=(*staying, attendee(who))))
        elif staying:
            self.calcom.put(replace(booking, attendees=staying))
        else:
            self.calcom.put(replace(booking, status="cancelled", canceled_by=who))

    @precondition(lambda self: self.calcom.active())
    @rule(data=st.data(), by=st.sampled_from([OURS, "host1@practice.example"]))
    def it_is_called_off_there(self, data: st.DataObject, by: str) -> None:
        booking = data.draw(st.sampled_from(self.calcom.active()))
        self.calcom.put(replace(booking, status="cancelled", canceled_by=by))

    @precondition(lambda self: self.calcom.active())
    @rule(data=st.data(), host=hosts, at=slots, how=st.sampled_from(["given", "moved", "moved on"]))
    def it_changes_there(self, data: st.DataObject, host: str, at: datetime, how: str) -> None:
        booking = data.draw(st.sampled_from(self.calcom.active()))
        at = booking.starts_at if how == "given" else at
        host = host if how == "given" else booking.host_id or ""
        if not self.calcom.is_free(host, at, booking.uid):
            return
        if how == "moved":
            self.calcom.move(booking, at)
        else:
            self.calcom.give_to(booking, host, starts_at=at, ends_at=at + HOUR)

    @rule(host=hosts, at=slots)
    def somebody_books_there(self, host: str, at: datetime) -> None:
        if self.calcom.is_free(host, at) and len(self.calcom.bookings) < 6:
            self.calcom.book(host, at, "cleo@example.com")

    @rule(fault=st.sampled_from(["refused", "busy"]))
    def our_next_call_there_fails(self, fault: str) -> None:
        self.calcom.faults = [fault]

    @precondition(lambda self: self.calcom.undelivered)
    @rule(which=numbers, again=st.booleans(), late=st.booleans())
    def a_delivery_comes(self, which: int, again: bool, late: bool) -> None:
        place = which % len(self.calcom.undelivered)
        uid = self.calcom.undelivered[place] if again else self.calcom.undelivered.pop(place)
        event_id = self.receive(uid)
        if event_id is not None and late:
            answer = self.answer(uid)
            self.late.append(lambda: self.apply(event_id, answer))
        else:
            self.work()

    @precondition(lambda self: self.late)
    @rule(which=numbers)
    def a_late_answer_is_applied(self, which: int) -> None:
        self.late.pop(which % len(self.late))()
        self.work()

    # -- what must be so ----------------------------------------------------------------------------------------------

    @invariant()
    def every_rule_holds(self) -> None:
        with self.db.read_only() as session:
            for rule in RULES:
                assert list(rule.find(session, Moments.at(self.now, PATIENCE))) == [], rule.sentence

    @invariant()
    def money_of_what_is_off_is_back_or_kept_or_waits(self) -> None:
        row, payment = self.row(), self.payment()
        open_ = payment.captured_amount - payment.reserved_amount - (payment.kept_amount or 0)
        lost = sum(each.amount for each in self.lost())
        is_off = row.status is BookingStatus.CANCELED and row.canceled_because not in UNPAID
        assert (payment.undecided_since is not None) is (is_off and open_ > 0 and open_ > lost)

    @invariant()
    def what_was_to_stay_does_not_end_by_its_money(self) -> None:
        before, self.status = self.status, self.row().status
        if self.status is not BookingStatus.REFUNDED or before is BookingStatus.REFUNDED:
            return
        decided = [refund.id for refund in self.rows() if refund.state in RESERVING and refund.id in self.stays]
        assert not decided or not self.stays[max(decided)]

    def lost(self) -> list[Any]:
        with self.db.read_only() as session:
            return [each for each in session.scalars(select(Dispute)) if each.lost_at and not each.regained_at]

    def all_is_heard(self) -> None:
        """The latest news first, and old answers last: neither may matter."""
        self.stripe.faults, self.calcom.faults = [], []
        for uid in reversed(self.calcom.undelivered):
            self.receive(uid)
            self.work()
        for late in self.late:
            late()
            self.work()
        for _ in range(3):
            self.now += timedelta(minutes=6)
            self.stripe_tells()
            with self.unit() as ctx:
                refund_sending.queue_unfinished(ctx)
            self.work()
        self.every_rule_holds()
        self.money_of_what_is_off_is_back_or_kept_or_waits()
        self.both_sides_agree()

    def both_sides_agree(self) -> None:
        by_hand = sum(refund.amount for refund in self.rows() if refund.made_good_how == "by_hand")
        waiting = sum(each.amount for each in self.rows() if each.state is RefundState.AWAITING_APPROVAL)
        assert self.payment().reserved_amount == self.stripe.given_back(self.intent) + waiting + by_hand
        row = self.row()
        there = self.calcom.bookings.get(row.calcom_booking_uid or "")
        if row.starts_at <= self.now or there is None or there.starts_at <= self.now or self.is_refused():
            return
        assert there.active is (row.status is BookingStatus.CONFIRMED)


@pytest.fixture
def machine(_shared_engine: Engine) -> type[Life]:
    return type("LifeHere", (Life,), {"engine": _shared_engine})


def test_a_booking_and_its_money_end_right_whatever_meets(machine: type[Life]) -> None:
    run_machine(machine, settings=often((16, 500), (30, 60)))
