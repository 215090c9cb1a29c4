"""Whatever happens to refunds in whatever order: never more than was captured, and each is carried out at most once.

Every step is done by the real services on PostgreSQL, with Stripe's part played in memory; its calls may be refused,
lost before or after their effect, and its words may be heard late, twice or never. At the end Stripe behaves, time
passes, and everything must agree with it.
"""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, select

from admin_app.context import Job
from admin_app.integrations.money_ports import StripeRefund
from admin_app.services import payments
from admin_app.services.payments import refund_states
from admin_app.services.payments.refund_tills import Tills
from admin_app.services.refunds import approvals, refund_sending, returned
from models import RESERVING, Approval, Payment, ProviderCall, Refund, RefundOrigin, RefundState
from tests.machines import OnDatabase, often
from tests.services.factories import NOON
from tests.services.money import LIMIT, STRIPE, add_paid, add_person, ask_back
from tests.services.payments.stripe_twin import StripeTwin, outcome

OFTEN = often((16, 1500), (25, 60))
CAPTURED = 60_000
S = RefundState

amounts = st.sampled_from([1, 9_999, 18_000, LIMIT, LIMIT + 1, 30_000, CAPTURED, CAPTURED + 1])
numbers = st.integers(0, 5)
faults = st.sampled_from([None, "refused", "busy", "lost", "applied_then_lost"])
DECIDING = (approvals.approve, approvals.decline)


class Refunds(OnDatabase):
    @initialize()
    def begin(self) -> None:
        self.now = NOON
        self.payment = add_paid(self.db, amount=CAPTURED)
        self.intent = self.payment.stripe_payment_intent_id or ""
        self.people = [add_person(self.db) for _ in range(3)]
        self.stripe = StripeTwin({self.intent: CAPTURED}, clock=lambda: self.now)
        self.heard: list[list[StripeRefund]] = [[]]

    def in_the_end(self) -> None:
        if hasattr(self, "payment"):
            self.settle_everything()

    # -- what people do -----------------------------------------------------------------------------------------------

    @rule(amount=amounts, who=numbers)
    def ask_for_a_refund(self, amount: int, who: int) -> None:
        asker = self.people[who % 3]
        waited = self.unseconded() + amount > LIMIT
        said = outcome(lambda: ask_back(self.db, self.payment, amount, by=asker))
        room = CAPTURED - self.reserved()
        if said == "done":
            newest = self.rows()[-1]
            assert (newest.state is RefundState.AWAITING_APPROVAL) is waited
        else:
            unknown = any(each.state is RefundState.UNKNOWN for each in self.rows())
            assert said == "not_refundable"
            assert amount > room or unknown

    @rule(which=numbers, who=numbers, how=st.sampled_from(DECIDING))
    def decide(self, which: int, who: int, how: Any) -> None:
        refund, person = self.pick(which), self.people[who % 3]
        if refund is None:
            return
        was, asked_by = refund.state, refund.requested_by

        def call() -> None:
            with self.db.unit_of_work(person) as ctx:
                shown = approvals.plan_decision(ctx, refund_id=refund.id).fingerprint
            with self.db.unit_of_work(person) as ctx:
                how(ctx, refund_id=refund.id, reason="seen", shown=shown)

        if outcome(call) == "done":
            assert was is RefundState.AWAITING_APPROVAL
            assert asked_by != person.email

    @rule(which=numbers, who=numbers, how=st.sampled_from(returned.HOW))
    def put_right(self, which: int, who: int, how: str) -> None:
        refund, person = self.pick(which), self.people[who % 3]
        if refund is None:
            return
        was_open, room = returned.is_open(refund), CAPTURED - self.reserved()
        given: Any = {"refund_id": refund.id, "how": how, "approval_above": LIMIT}

        def call() -> None:
            with self.db.unit_of_work(person) as ctx:
                shown = returned.plan(ctx, **given).fingerprint
            with self.db.unit_of_work(person) as ctx:
                returned.put_right(ctx, reason="seen", shown=shown, **given)

        if outcome(call) == "done":
            assert was_open
            assert how == "nothing_owed" or refund.amount <= room

    # -- what the jobs do ---------------------------------------------------------------------------------------------

    @rule(which=numbers, fault=faults)
    def send(self, which: int, fault: Any) -> None:
        refund = self.pick(which)
        if refund is not None:
            leaves = refund.state is RefundState.REQUESTED and refund.sent_at is None
            self.stripe.faults = [fault] if fault else []
            outcome(lambda: refund_sending.send(self.work, Tills(self.stripe), refund_id=refund.id))
            if leaves and fault in ("lost", "applied_then_lost"):
                after = next(row.state for row in self.rows() if row.id == refund.id)
                refused = fault == "applied_then_lost" and after is RefundState.FAILED  # it had no room there
                assert after is RefundState.UNKNOWN or refused

    @rule(which=numbers, fault=faults, silent=st.booleans())
    def ask_stripe(self, which: int, fault: Any, silent: bool) -> None:
        refund = self.pick(which)
        if refund is not None:
            self.stripe.faults, self.stripe.silent = [fault] if fault else [], silent
            outcome(lambda: refund_sending.ask(self.work, Tills(self.stripe), refund_id=refund.id))
            self.stripe.silent = False

    @rule(minutes=st.sampled_from([1, 3, 60]))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    # -- what happens at Stripe, and when it is heard ----------------------------------------------------------------

    @rule(amount=amounts)
    def refund_at_the_dashboard(self, amount: int) -> None:
        outcome(lambda: self.stripe.make(self.intent, amount))

    @rule(status=st.sampled_from(["pending", "succeeded"]))
    def the_bank_is(self, status: Any) -> None:
        self.stripe.status = status

    @precondition(lambda self: self.stripe.made)
    @rule(which=numbers, status=st.sampled_from(["succeeded", "failed", "canceled"]))
    def the_bank_decides(self, which: int, status: Any) -> None:
        made = self.stripe.made[which % len(self.stripe.made)]
        if made.status == "pending" or (made.status == "succeeded" and status == "failed"):
            self.stripe.become(made.id, status)

    @rule()
    def look(self) -> None:
        self.heard.append(self.stripe.refunds_of(self.intent))

    @rule(which=numbers)
    def hear(self, which: int) -> None:
        """What was fetched at some time is applied now, in whatever order."""
        self.take_in(self.heard[which % len(self.heard)])

    # -- what holds always --------------------------------------------------------------------------------------------

    @invariant()
    def the_reserve_is_the_sum_and_never_more_than_was_captured(self) -> None:
        payment = self.payment_now()
        assert payment.captured_amount == CAPTURED
        assert payment.reserved_amount == self.reserved() <= CAPTURED

    @invariant()
    def each_refund_was_carried_out_at_most_once(self) -> None:
        ours = [made.our_id for made in self.stripe.made if made.our_id is not None]
        assert len(ours) == len(set(ours))
        sent = {refund_states.sending_key(refund) for refund in self.rows() if refund.sent_at is not None}
        assert set(self.stripe.keys) <= sent | {refund_states.sending_key(row) for row in self.rows()}

    @invariant()
    def nothing_leaves_that_waits_or_was_declined(self) -> None:
        made = {each.our_id for each in self.stripe.made}
        for refund in self.rows():
            if refund.state in (RefundState.AWAITING_APPROVAL, RefundState.DECLINED):
                assert refund.id not in made
                assert refund.sent_at is None

    @invariant()
    def every_call_has_its_refund(self) -> None:
        with self.db.read_only() as read:
            keys = set(read.scalars(select(ProviderCall.idempotency_key)))
        assert set(self.stripe.keys) <= keys

    @invariant()
    def what_came_back_is_open_while_its_money_is_here(self) -> None:
        missing = sum(refund.amount for refund in self.rows() if returned.is_open(refund))
        assert missing <= CAPTURED - self.reserved()
        for refund in self.rows():
            if refund.state is RefundState.FAILED and refund.stripe_refund_id is not None:
                failed = [
                    made.status in ("failed", "canceled")
                    for made in self.stripe.made
                    if made.id == refund.stripe_refund_id
                ]
                assert failed == [True]

    # -- the end ------------------------------------------------------------------------------------------------------

    def settle_everything(self) -> None:
        """Stripe behaves, time passes, and what it has is heard: nothing is open, and both sides agree."""
        self.stripe.faults, self.stripe.silent = [], False
        for _ in range(3):
            self.now += timedelta(minutes=5)
            self.take_in(self.stripe.refunds_of(self.intent))
            for refund in self.rows():
                outcome(lambda refund=refund: refund_sending.send(self.work, Tills(self.stripe), refund_id=refund.id))
                outcome(lambda refund=refund: refund_sending.ask(self.work, Tills(self.stripe), refund_id=refund.id))
        assert self.take_in(self.stripe.refunds_of(self.intent)) == "done"
        there = {made.id: refund_states.STATE_BY_STATUS[made.status] for made in self.stripe.made}
        here = {refund.stripe_refund_id: refund.state for refund in self.rows() if refund.stripe_refund_id}
        by_hand = {refund.stripe_refund_id for refund in self.rows() if refund.made_good_how == "by_hand"}
        assert here == {name: S.SUCCEEDED if name in by_hand else state for name, state in there.items()}
        open_still = [r.state for r in self.rows() if r.state in (RefundState.REQUESTED, RefundState.UNKNOWN)]
        assert open_still == []
        self.the_reserve_is_the_sum_and_never_more_than_was_captured()
        waiting = sum(r.amount for r in self.rows() if r.state is RefundState.AWAITING_APPROVAL)
        paid_out = sum(refund.amount for refund in self.rows() if refund.stripe_refund_id in by_hand)
        assert self.payment_now().reserved_amount == self.stripe.given_back(self.intent) + waiting + paid_out

    def take_in(self, told: list[StripeRefund]) -> str:
        def call() -> None:
            with self.db.unit_of_work(STRIPE) as ctx:
                refund_states.apply(ctx, payments.locked(ctx, self.payment.id), told)

        return outcome(call)

    def work(self) -> Any:
        return self.db.unit_of_work(Job("send_refund"))

    def payment_now(self) -> Payment:
        with self.db.read_only() as read:
            return read.get_one(Payment, self.payment.id)

    def rows(self) -> list[Refund]:
        with self.db.read_only() as read:
            return list(read.scalars(select(Refund).order_by(Refund.id)))

    def pick(self, which: int) -> Refund | None:
        rows = self.rows()
        return rows[which % len(rows)] if rows else None

    def reserved(self) -> int:
        return sum(refund.amount for refund in self.rows() if refund.state in RESERVING)

    def unseconded(self) -> int:
        with self.db.read_only() as read:
            seconded = set(read.scalars(select(Approval.refund_id)))
        held = [r for r in self.rows() if r.state in RESERVING and r.origin is RefundOrigin.STAFF]
        return sum(refund.amount for refund in held if refund.id not in seconded)


@pytest.fixture
def machine(_shared_engine: Engine) -> type[Refunds]:
    return type("RefundsHere", (Refunds,), {"engine": _shared_engine})


def test_no_refund_is_lost_or_doubled_whatever_happens(machine: type[Refunds]) -> None:
    run_state_machine_as_test(machine, settings=OFTEN)
