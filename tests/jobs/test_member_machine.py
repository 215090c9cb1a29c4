"""Whatever staff have both providers and Clerk do, and whatever is lost on the way, all agree in the end.

Beside the machines of people and of purchases, which are told what providers say, this one goes through the real
clients to the simulated providers: staff cancel, take that back, give money back and change addresses, buyers do the
same there at the same time, answers are lost, jobs die, deliveries come late. After each step every rule holds; at the
end each row says what its provider says, and no more was done there than was asked for.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select

from admin_app.context import Ctx
from admin_app.errors import DomainError, ProviderUnavailable
from admin_app.jobs import billing, checkouts, memberships, people, refunds
from admin_app.services import invariants
from admin_app.services.core.plans import Plan
from admin_app.services.memberships import asking
from admin_app.services.purchases.address_actions import AddressAction, Change
from admin_app.services.purchases.cancel_actions import CancelAction
from admin_app.services.refunds import approvals, membership_refunds
from admin_app.simulator import control
from admin_app.simulator.stripe import control_stripe
from models import CallState, MembershipPayment, ProviderCall, Refund, RefundState
from tests.house import House
from tests.jobs.addresses_changed import Person, person
from tests.jobs.members_canceled import Member, member
from tests.machines import often
from tests.services.factories import OPERATOR
from tests.services.money import add_person

PROVIDERS = ("whop", "stripe")
LIMIT = 3000
WORDS = ("main", "other", "third")
LOST = ("apply-then-drop", "apply-then-500", "apply-then-garbage", "500", "reset", "429")
DONE = (RefundState.SUCCEEDED, RefundState.FAILED, RefundState.DECLINED, RefundState.AWAITING_APPROVAL)
which = st.sampled_from(PROVIDERS)


class Members(RuleBasedStateMachine):
    """One member of each provider and one person with addresses, on the database of the whole test."""

    house: House

    @initialize()
    def a_member_of_each_provider(self) -> None:
        self.real_clock = self.house.db.clock
        self.passed = timedelta()
        self.house.db.clock = lambda: self.real_clock() + self.passed  # type: ignore[method-assign]
        self.members: dict[str, Member] = {name: member(self.house, name) for name in PROVIDERS}
        self.person: Person = person(self.house, "other")
        self.asker, self.decider = add_person(self.house.db), add_person(self.house.db)
        for one in self.members.values():
            self.ask_what_was_paid(one)
        self.asked_for = dict.fromkeys(PROVIDERS, 0)

    # -- staff ---------------------------------------------------------------------------------------------------

    def act(self, actor: Any, plan: Callable[[Ctx], Plan], act: Callable[[Ctx, str], Any]) -> bool:
        """Plan, then act on what was shown: refused just when the plan says so."""
        with self.house.db.unit_of_work(actor) as ctx:
            planned = plan(ctx)
        if planned.refusal is not None:
            with pytest.raises(DomainError), self.house.db.unit_of_work(actor) as ctx:
                act(ctx, planned.fingerprint)
            return False
        with self.house.db.unit_of_work(actor) as ctx:
            act(ctx, planned.fingerprint)
        return True

    @rule(name=which, action=st.sampled_from(list(CancelAction)))
    def staff_cancel(self, name: str, action: CancelAction) -> None:
        one = self.members[name]
        snapshot = one.snapshot()
        planned = one.plan(action, snapshot)
        if planned.refusal is None:
            one.begin(action, shown=planned, snapshot=snapshot)
        else:
            with pytest.raises(DomainError):
                one.begin(action, shown=planned, snapshot=snapshot)

    @rule(name=which, amount=st.sampled_from([700, 2000, 4900]))
    def staff_give_money_back(self, name: str, amount: int) -> None:
        (payment,) = self.payments(name)[:1]
        given: dict[str, Any] = {"payment_id": payment.id, "amount": amount, "approval_above": LIMIT}
        why = {"reason_code": "requested_by_customer", "note": ""}
        self.asked_for[name] += amount * self.act(
            self.asker,
            lambda ctx: membership_refunds.plan_request(ctx, **given),
            lambda ctx, shown: membership_refunds.request(ctx, shown=shown, **why, **given),
        )

    @rule(approve=st.booleans())
    def a_second_person_decides(self, approve: bool) -> None:
        decide = approvals.approve if approve else approvals.decline
        for refund in self.refunds():
            if refund.state is RefundState.AWAITING_APPROVAL:
                self.act(
                    self.decider,
                    lambda ctx, number=refund.id: approvals.plan_decision(ctx, refund_id=number, approve=approve),
                    lambda ctx, shown, number=refund.id: decide(ctx, refund_id=number, reason="seen", shown=shown),
                )

    @rule(word=st.sampled_from(WORDS), action=st.sampled_from(list(AddressAction)), verified=st.booleans())
    def staff_change_an_address(self, word: str, action: AddressAction, verified: bool) -> None:
        sure = verified and action is AddressAction.ADD
        change = Change(action, self.person.user_id, self.person.email(word), verified=sure)
        snapshot = self.person.snapshot()
        planned = self.person.plan(change, snapshot)
        if planned.refusal is None:
            self.person.begin(change, shown=planned, snapshot=snapshot)
        else:
            with pytest.raises(DomainError):
                self.person.begin(change, shown=planned, snapshot=snapshot)

    # -- buyers, at the provider ---------------------------------------------------------------------------------

    @rule(name=which, cancels=st.sampled_from([None, True, False]))
    def the_buyer_changes_it_there(self, name: str, cancels: bool | None) -> None:
        one = self.members[name]
        is_live, ends = one.is_there()
        if is_live and cancels is not ends:
            one.there(cancels=cancels)

    @rule(name=which)
    def somebody_gives_money_back_there(self, name: str) -> None:
        (payment,) = self.payments(name)[:1]
        if self.given_back_there(name) + 500 > payment.captured_amount:
            return
        if name == "whop":
            control.refund_payment(self.house.simulator, payment.external_id, cents=500, deliver=False)
        else:
            control_stripe.refund(self.house.simulator, payment.external_id, amount=500, deliver=False)
        self.asked_for[name] += 500

    # -- what goes wrong, and time ---------------------------------------------------------------------------------

    @rule(
        provider=st.sampled_from([*PROVIDERS, "clerk"]),
        mode=st.sampled_from(LOST),
        times=st.integers(1, 3),
        after=st.integers(0, 3),
    )
    def calls_will_go_wrong(self, provider: str, mode: str, times: int, after: int) -> None:
        control.fault(self.house.simulator, provider, mode, times=times, after=after)
        with suppress(ProviderUnavailable):
            self.house.work()  # and the job with it, which is never tried again
        control.fault(self.house.simulator, provider, "off")

    @rule()
    def jobs_run(self) -> None:
        self.house.work()

    @rule(minutes=st.sampled_from([1, 6, 20]))
    def minutes_go_by(self, minutes: int) -> None:
        self.passed += timedelta(minutes=minutes)
        self.the_jobs_of_each_minute_run()

    def the_jobs_of_each_minute_run(self) -> None:
        checkouts.settle_calls(self.house.bench)
        refunds.queue_unfinished(self.house.bench)
        refunds.queue_pending(self.house.bench)
        self.house.work()

    @rule(name=which)
    def a_delivery_arrives(self, name: str) -> None:
        self.ask_about(self.members[name])

    @rule()
    def clerk_delivers(self) -> None:
        people.ask(self.house.bench, self.person.user_id)

    def ask_about(self, one: Member) -> None:
        if one.provider == "whop":
            memberships.compare(self.house.bench, one.external_id)
        else:
            billing.ask_about_one(self.house.bench, one.external_id)

    def ask_what_was_paid(self, one: Member) -> None:
        asking.ask(lambda: self.house.db.unit_of_work(OPERATOR), self.house.bench.providers, membership_id=one.row.id)

    # -- looking -------------------------------------------------------------------------------------------------

    def payments(self, name: str) -> list[MembershipPayment]:
        of = MembershipPayment.membership_id == self.members[name].row.id
        return self.house.rows(select(MembershipPayment).where(of).order_by(MembershipPayment.id))

    def refunds(self) -> list[Refund]:
        ids = [payment.id for name in PROVIDERS for payment in self.payments(name)]
        mine = select(Refund).where(Refund.membership_payment_id.in_(ids))
        return self.house.rows(mine.order_by(Refund.id))

    def calls(self) -> list[ProviderCall]:
        return self.house.rows(select(ProviderCall).order_by(ProviderCall.id))

    def there(self, name: str) -> list[Any]:
        (payment,) = self.payments(name)[:1]
        return list(getattr(self.house.bench.providers, name).refunds_of(payment.external_id))

    def given_back_there(self, name: str) -> int:
        """In minor units; Whop tells major ones."""
        return sum(int(found.amount * (100 if name == "whop" else 1)) for found in self.there(name))

    @invariant()
    def every_rule_holds(self) -> None:
        with self.house.db.read_only() as session:
            assert invariants.broken(session, now=self.house.db.clock()) == []

    @invariant()
    def no_more_was_sent_than_asked_for(self) -> None:
        for name in PROVIDERS:
            assert self.given_back_there(name) <= self.asked_for[name]

    # -- in the end ----------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            self.all_agree_in_the_end()
        finally:
            self.house.db.clock = self.real_clock  # type: ignore[method-assign]

    def all_agree_in_the_end(self) -> None:
        for _ in range(4):
            self.minutes_go_by(30)
        for one in self.members.values():
            self.ask_about(one)
            self.ask_what_was_paid(one)
            is_live, ends = one.is_there()
            assert (one.row.is_live, one.row.is_live and one.row.cancel_at_period_end) == (is_live, ends)
        people.ask(self.house.bench, self.person.user_id)
        assert {word for word, _ in self.person.here} == {word for word, verified, _ in self.person.there if verified}
        assert [word for word, first in self.person.here if first] == [w for w, _, first in self.person.there if first]
        self.every_rule_holds()
        self.no_call_is_left_open()
        self.refunds_are_as_there()

    def no_call_is_left_open(self) -> None:
        """Each has its end, or a person knows of it."""
        for call in self.calls():
            assert call.attention_since or call.state in (CallState.SUCCEEDED, CallState.FAILED), call.operation

    def refunds_are_as_there(self) -> None:
        for name in PROVIDERS:
            (payment,) = self.payments(name)[:1]
            assert payment.refunded_amount == self.given_back_there(name) <= payment.captured_amount
            ours = [found.our_id for found in self.there(name) if found.our_id is not None]
            assert len(ours) == len(set(ours))
        for refund in self.refunds():
            unsure = refund.state is RefundState.UNKNOWN and any(
                call.attention_since for call in self.calls() if call.subject == f"refund:{refund.id}"
            )
            assert refund.state in DONE or unsure, refund.state


@pytest.fixture
def machine(house: House) -> type[Members]:
    return type("MembersHere", (Members,), {"house": house})


def test_all_agree_in_the_end_whatever_was_lost(machine: type[Members]) -> None:
    run_state_machine_as_test(machine, settings=often((4, 200), (25, 50)))
