"""A membership is canceled at its provider, now or with its period, and that taken back: as planned, and once."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import select, text

from admin_app.context import Staff
from admin_app.errors import Conflict, Forbidden, InvalidInput, OutcomeUnknown, PlanMoved, ProviderUnavailable
from admin_app.integrations.registry import Providers
from admin_app.jobs import billing, checkouts, memberships
from admin_app.services import call_settling, claims
from admin_app.services.memberships import cancel_sending, canceling
from admin_app.services.memberships.cancel_wishes import Told, Wish, ask_for_plan
from admin_app.services.plans import Plan
from admin_app.simulator import control, control_stripe
from models import (
    AuditEntry,
    CallState,
    Membership,
    MembershipStatus,
    PaymentProvider,
    Profile,
    ProviderCall,
    ProviderMembership,
    Role,
)
from tests.house import House
from tests.services.factories import AUDITOR, OPERATOR, SUPPORT, add_profile, customer

FINANCE = Staff(3, "finance@demo.test", Role.FINANCE)
OPS = Staff(4, "ops@demo.test", Role.OPS)
BOTH = pytest.mark.parametrize("provider", ["whop", "stripe"])
numbers = count(1)


@contextmanager
def refused(because: str) -> Iterator[None]:
    with pytest.raises(Conflict) as raised:
        yield
    assert because in raised.value.sentence


@dataclass
class Member:
    """Somebody whose membership is at one of the simulated providers, known here as it is there."""

    house: House
    user_id: str
    provider: str
    external_id: str

    @property
    def row(self) -> ProviderMembership:
        with self.house.db.read_only() as session:
            return session.query(ProviderMembership).filter_by(external_id=self.external_id).one()

    @property
    def profile(self) -> Profile:
        with self.house.db.read_only() as session:
            return session.get_one(Profile, self.user_id)

    @property
    def access(self) -> tuple[Membership, MembershipStatus, bool]:
        profile = self.profile
        return profile.membership, self.row.status, self.row.cancel_at_period_end

    @property
    def calls(self) -> list[ProviderCall]:
        return self.house.rows(select(ProviderCall).order_by(ProviderCall.id))

    def told(self) -> Told:
        return ask_for_plan(self.house.bench.providers, self.row)

    def plan(self, wish: Wish, told: Told | None = None) -> Plan:
        told = told or self.told()
        with self.house.db.unit_of_work(SUPPORT) as ctx:
            return canceling.plan(ctx, membership_id=self.row.id, wish=wish, told=told)

    def begin(self, wish: Wish, *, shown: Plan | None = None, told: Told | None = None, actor: Any = SUPPORT) -> None:
        told = told or self.told()
        plan = shown or self.plan(wish, told)
        with self.house.db.unit_of_work(actor) as ctx:
            canceling.begin(
                ctx, membership_id=self.row.id, wish=wish, told=told, reason="asked for it", shown=plan.fingerprint
            )

    def act(self, wish: Wish) -> None:
        self.begin(wish)
        self.house.work()

    def there(self, *, cancels: bool | None = None, deliver: bool = False) -> None:
        """What the buyer does at the provider themselves: it ends now, or with its period, or not after all."""
        house, identity = self.house, self.external_id
        if self.provider == "whop":
            if cancels is None:
                control.deactivate(house.simulator, identity, deliver=deliver)
            else:
                control.cancel_at_period_end(house.simulator, identity, cancels=cancels, deliver=deliver)
        elif cancels is False:
            control_stripe.uncancel(house.simulator, identity, deliver=deliver)
        else:
            control_stripe.cancel(house.simulator, identity, at_period_end=cancels is True, deliver=deliver)

    def is_there(self) -> tuple[bool, bool]:
        told = self.told()
        return told.is_live, told.is_live and told.ends_with_period


def member(house: House, provider: str, *, plan: str = "monthly") -> Member:
    number = next(numbers)
    email, user_id = f"cancels{number}-{plan}@example.com", f"user_cancels{number}"
    if provider == "whop":
        bought = control.purchase(house.simulator, email=email, plan=plan, deliver=False)["membership_id"]
        memberships.compare(house.bench, bought)
        with house.db.unit_of_work(customer(user_id, email)) as ctx:
            claims.sign_in(ctx)
        made = Member(house, user_id, provider, bought)
    else:
        begun = control_stripe.subscribe(house.simulator, email=email, deliver=False)
        add_profile(
            house.db,
            user_id,
            email=email,
            membership="pro",
            payment_provider="stripe",
            stripe_subscription_id=str(begun["id"]),
            stripe_customer_id=str(begun["customer"]),
        )
        billing.ask_about_one(house.bench, str(begun["id"]))
        made = Member(house, user_id, provider, str(begun["id"]))
    assert made.access[:2] == (Membership.PRO, MembershipStatus.ACTIVE)
    house.work()
    return made


def later(house: House, by: timedelta) -> None:
    now = house.db.clock()
    house.db.clock = lambda: now + by  # type: ignore[method-assign]


PRO, FREE = Membership.PRO, Membership.FREE
ACTIVE, INACTIVE = MembershipStatus.ACTIVE, MembershipStatus.INACTIVE


@BOTH
def test_at_the_end_of_its_period_and_back(house: House, provider: str) -> None:
    one = member(house, provider)
    one.act(Wish.AT_END)
    assert one.access == (PRO, ACTIVE, True)
    assert one.profile.cancel_at_period_end
    assert one.is_there() == (True, True)
    one.act(Wish.BACK)
    assert one.access == (PRO, ACTIVE, False)
    assert one.is_there() == (True, False)
    assert [(call.operation, call.state, call.attempts) for call in one.calls] == [
        ("membership.cancel_at_period_end", CallState.SUCCEEDED, 1),
        ("membership.uncancel", CallState.SUCCEEDED, 1),
    ]
    entries = house.rows(
        select(AuditEntry).where(AuditEntry.event == "membership.cancel_asked").order_by(AuditEntry.id)
    )
    assert [(entry.reason, entry.facts["wish"]) for entry in entries] == [
        ("asked for it", "cancel it at the end of its period"),
        ("asked for it", "take its cancellation back"),
    ]


@BOTH
def test_now_and_what_the_plan_says_of_it(house: House, provider: str) -> None:
    one = member(house, provider)
    plan = one.plan(Wish.NOW)
    name = provider.capitalize()
    assert "Pro access ends at once, also for what is paid already." in plan.consequences
    forever = f"{name} cannot take this back: whoever wants it again has to buy it again."
    assert forever in plan.consequences
    assert plan.consequences[0].startswith(f"Account {one.user_id} holds it")
    assert "renewed then" in plan.consequences[1]
    one.act(Wish.NOW)
    assert one.access == (FREE, INACTIVE, False)
    assert one.is_there() == (False, False)
    refused = one.plan(Wish.BACK).refusal
    assert (
        refused
        == f"It is over at {name}, and {name} does not bring it back. Whoever wants it again has to buy it again."
    )
    assert "nothing is left to do" in (one.plan(Wish.NOW).refusal or "")
    assert "nothing is left to do" in (one.plan(Wish.AT_END).refusal or "")


@BOTH
@pytest.mark.parametrize("wish", [Wish.NOW, Wish.AT_END, Wish.BACK])
def test_the_plan_says_what_comes_of_it(house: House, provider: str, wish: Wish) -> None:
    one = member(house, provider)
    if wish is Wish.BACK:
        one.act(Wish.AT_END)
    plan = one.plan(wish)
    one.act(wish)
    planned = {(line.record, line.field): line.after for line in plan.lines}
    assert {key for key, _ in planned} == {f"membership:{one.row.id}", f"profile:{one.user_id}"}
    for (record, field), after in planned.items():
        assert getattr(one.row if record.startswith("membership") else one.profile, field) == after, field


@BOTH
def test_one_that_ends_at_its_period_can_be_canceled_now(house: House, provider: str) -> None:
    one = member(house, provider)
    one.act(Wish.AT_END)
    one.act(Wish.NOW)
    assert one.access == (FREE, INACTIVE, False)


def test_what_was_paid_once_has_no_period_and_can_be_given_back(house: House) -> None:
    one = member(house, "whop", plan="lifetime")
    assert "can only be canceled now" in (one.plan(Wish.AT_END).refusal or "")
    one.act(Wish.NOW)
    assert one.access == (FREE, INACTIVE, False)
    assert "Access comes back for good; nothing is charged for it." in one.plan(Wish.BACK).consequences
    one.act(Wish.BACK)
    assert one.access == (PRO, ACTIVE, False)
    assert one.row.provider_status == "completed"


@BOTH
def test_done_at_the_provider_already_there_is_nothing_left_to_do(house: House, provider: str) -> None:
    one = member(house, provider)
    one.there(cancels=True)
    house.work()
    plan = one.plan(Wish.AT_END)  # its delivery was lost: here it is not known yet
    assert plan.refusal is None
    assert f"Nothing is sent to {provider.capitalize()}: what it says is taken over here." in plan.consequences
    one.act(Wish.AT_END)
    assert one.access == (PRO, ACTIVE, True)
    assert [(call.state, call.attempts) for call in one.calls] == [(CallState.SUCCEEDED, 0)]
    assert "nothing is left to do" in (one.plan(Wish.AT_END).refusal or "")
    with refused("nothing is left to do"):
        one.begin(Wish.AT_END)


@BOTH
def test_the_second_click_waits_for_the_first_ones_answer(house: House, provider: str) -> None:
    one = member(house, provider)
    told = one.told()
    plan = one.plan(Wish.AT_END, told)
    one.begin(Wish.AT_END, shown=plan, told=told)
    for wish in Wish:
        with refused("is being told something about this membership already"):
            one.begin(wish, shown=plan, told=told)
    house.work()
    assert [call.attempts for call in one.calls] == [1]
    with refused("nothing is left to do"):
        one.begin(Wish.AT_END)


@BOTH
def test_two_staff_at_once_are_told_apart(real_house: House, provider: str) -> None:
    """One cancels now, the other takes the cancellation back: one of them is told to look again."""
    one = member(real_house, provider)
    one.act(Wish.AT_END)
    told = one.told()
    plans = {wish: one.plan(wish, told) for wish in (Wish.NOW, Wish.BACK)}
    ready, outcomes = threading.Barrier(2), []

    def decide(wish: Wish) -> None:
        ready.wait()
        try:
            one.begin(wish, shown=plans[wish], told=told)
            outcomes.append("begun")
        except Conflict as refused:
            outcomes.append(refused.sentence)

    threads = [threading.Thread(target=decide, args=(wish,)) for wish in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    provider_name = provider.capitalize()
    waits = f"{provider_name} is being told something about this membership already. Wait for its answer."
    assert sorted(outcomes) == sorted(["begun", waits])
    real_house.work()
    assert one.is_there() in ((False, False), (True, False))
    assert (one.row.status is ACTIVE, one.row.cancel_at_period_end) == one.is_there()


@BOTH
def test_the_plan_moves_with_what_the_provider_says(house: House, provider: str) -> None:
    one = member(house, provider)
    shown = one.plan(Wish.NOW)
    one.there(cancels=True)
    with pytest.raises(PlanMoved):
        one.begin(Wish.NOW, shown=shown)
    assert one.calls == []


@BOTH
@pytest.mark.parametrize("mode", ["apply-then-drop", "apply-then-garbage"])
@pytest.mark.parametrize("wish", [Wish.NOW, Wish.AT_END])
def test_a_lost_answer_of_what_was_done_is_learned_by_asking(
    house: House, provider: str, mode: str, wish: Wish
) -> None:
    one = member(house, provider)
    one.begin(wish)
    control.fault(house.simulator, provider, mode, after=asks(provider))
    house.work()
    assert one.is_there() == ((False, False) if wish is Wish.NOW else (True, True))
    assert [call.state for call in one.calls] == [CallState.SUCCEEDED]
    assert one.access[1:] == ((INACTIVE, False) if wish is Wish.NOW else (ACTIVE, True))


def asks(provider: str) -> int:
    """Requests of one question before the change: Whop tells the buyer's address only when asked for it."""
    return 2 if provider == "whop" else 1


class Silent:
    """A provider of which nothing is heard once a change has left."""

    def __init__(self, port: Any, *, acts: bool, hears: bool = False) -> None:
        self.port, self.acts, self.hears, self.sent = port, acts, hears, 0
        self.trouble: BaseException = OutcomeUnknown("whop")

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.port, name)
        if name in ("membership", "subscription"):
            return self._asked(method)
        return self._changed(method)

    def _asked(self, method: Any) -> Any:
        def ask(*given: Any, **named: Any) -> Any:
            if self.sent and not self.hears:
                raise ProviderUnavailable("whop")
            return method(*given, **named)

        return ask

    def _changed(self, method: Any) -> Any:
        def change(*given: Any, **named: Any) -> Any:
            self.sent += 1
            if self.acts:
                method(*given, **named)
            raise self.trouble

        return change


def through(house: House, provider: str, silent: Silent) -> Providers:
    return replace(house.bench.providers, **{provider: silent})


def send(one: Member, providers: Providers) -> None:
    (call,) = one.calls
    cancel_sending.send(lambda: one.house.db.unit_of_work(OPERATOR), providers, call_id=call.id)


@BOTH
@pytest.mark.parametrize("acts", [True, False], ids=["it was done", "it was not done"])
def test_an_unknown_one_is_asked_about_and_never_sent_twice(house: House, provider: str, acts: bool) -> None:
    one = member(house, provider)
    one.begin(Wish.AT_END)
    silent = Silent(getattr(house.bench.providers, provider), acts=acts)
    with pytest.raises(ProviderUnavailable):
        send(one, through(house, provider, silent))
    (call,) = one.calls
    assert (call.state, call.finished_at) == (CallState.UNKNOWN, None)
    with refused("Wait for its answer"):
        one.begin(Wish.BACK)
    later(house, timedelta(minutes=6))
    forget_jobs(house)
    assert checkouts.settle_calls(house.bench) == 0
    house.work()
    (call,) = one.calls
    assert (call.attempts, silent.sent) == (1, 1)
    if acts:
        assert (call.state, call.attention_since) == (CallState.SUCCEEDED, None)
        assert one.access == (PRO, ACTIVE, True)
    else:
        assert (call.state, call.error_code) == (CallState.FAILED, "not_done")
        assert call.attention_since is not None
        assert one.access == (PRO, ACTIVE, False)
        one.act(Wish.AT_END)  # a person decides again
        assert one.access == (PRO, ACTIVE, True)


def forget_jobs(house: House) -> None:
    """As when the queue lost them."""
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(text("DELETE FROM procrastinate_jobs"))


@BOTH
def test_unknown_too_early_to_tell_stays_unknown(house: House, provider: str) -> None:
    one = member(house, provider)
    one.begin(Wish.AT_END)
    silent = Silent(getattr(house.bench.providers, provider), acts=False, hears=True)
    send(one, through(house, provider, silent))
    send(one, through(house, provider, silent))  # a person has it asked about at once
    (call,) = one.calls
    assert (call.state, silent.sent) == (CallState.UNKNOWN, 1)


@BOTH
@pytest.mark.parametrize("left", [False, True], ids=["before it left", "after it was done"])
def test_a_worker_that_dies_leaves_nothing_behind(house: House, provider: str, left: bool) -> None:
    one = member(house, provider)
    one.begin(Wish.NOW)
    if left:
        dies = Silent(getattr(house.bench.providers, provider), acts=True)
        dies.trouble = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            send(one, through(house, provider, dies))
    forget_jobs(house)
    later(house, timedelta(minutes=6))
    checkouts.settle_calls(house.bench)
    house.work()
    assert [(call.state, call.attempts) for call in one.calls] == [(CallState.SUCCEEDED, 1)]
    assert one.access == (FREE, INACTIVE, False)


@BOTH
def test_a_provider_that_is_away_is_tried_again_by_itself(house: House, provider: str) -> None:
    one = member(house, provider)
    one.begin(Wish.AT_END)
    control.fault(house.simulator, provider, "429", times=3, after=asks(provider))
    with pytest.raises(ProviderUnavailable):
        house.work()
    control.fault(house.simulator, provider, "off")
    (call,) = one.calls
    assert (call.state, call.next_try_at is not None) == (CallState.FAILED, True)
    with refused("Wait for its answer"):
        one.begin(Wish.BACK)
    later(house, timedelta(minutes=6))
    checkouts.settle_calls(house.bench)
    house.work()
    assert [call.state for call in one.calls] == [CallState.SUCCEEDED]
    assert one.access == (PRO, ACTIVE, True)


@BOTH
def test_the_buyer_decides_otherwise_before_it_is_sent(house: House, provider: str) -> None:
    """Taking back what has ended for good meanwhile is not sent, and a person is told."""
    one = member(house, provider)
    one.act(Wish.AT_END)
    one.begin(Wish.BACK)
    one.there()
    house.work()
    call = one.calls[-1]
    assert (call.state, call.error_code, call.attempts) == (CallState.FAILED, "over_there", 0)
    assert call.attention_since is not None
    assert one.access == (FREE, INACTIVE, False)


def test_a_delivery_that_is_faster_than_the_answer_changes_nothing(house: House) -> None:
    one = member(house, "stripe")
    one.begin(Wish.AT_END)
    one.there(cancels=True)
    for event in control_stripe.events(house.simulator, one.external_id):
        house.stripe(event)
    house.work()
    assert one.access == (PRO, ACTIVE, True)
    assert [call.state for call in one.calls] == [CallState.SUCCEEDED]
    # and the same deliveries once more, late
    one.act(Wish.BACK)
    for event in control_stripe.events(house.simulator, one.external_id)[::-1]:
        house.stripe(event | {"id": f"{event['id']}_again"})
    house.work()
    assert one.access == (PRO, ACTIVE, False)


def test_late_deliveries_of_whop_do_not_undo_what_it_says_now(house: House) -> None:
    one = member(house, "whop")
    one.act(Wish.AT_END)
    one.act(Wish.BACK)
    body = {
        "id": "msg_late",
        "api_version": "v1",
        "type": "membership.cancel_at_period_end_changed",
        "timestamp": (datetime.now(UTC) - timedelta(minutes=5)).isoformat(),
        "data": {"id": one.external_id, "status": "active", "cancel_at_period_end": True},
    }
    house.whop(json.dumps(body).encode(), delivery="msg_late")
    house.work()
    assert one.access == (PRO, ACTIVE, False)


@BOTH
def test_one_that_the_provider_does_not_know_any_more(house: House, provider: str) -> None:
    one = member(house, provider)
    number = one.row.id
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(ProviderMembership, number).external_id = f"gone_{number}"
    gone = replace(one, external_id=f"gone_{number}")
    name = provider.capitalize()
    for wish in Wish:
        assert gone.plan(wish).refusal == (
            f"{name} does not know {gone.external_id} any more: there is nothing to cancel or to take back there."
        )
    assert gone.access[1:] == (ACTIVE, False)


@BOTH
def test_deleted_there_between_the_plan_and_the_call(house: House, provider: str) -> None:
    one = member(house, provider)
    one.begin(Wish.NOW)
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(ProviderMembership, one.row.id).external_id = f"gone_{one.row.id}"
    house.work()
    (call,) = one.calls
    assert (call.state, call.error_code, call.attempts) == (CallState.FAILED, "not_there", 0)
    assert call.attention_since is not None


def test_a_provider_that_is_silent_or_not_configured_is_said(house: House) -> None:
    one = member(house, "whop")
    control.fault(house.simulator, "whop", "500", times=6)
    silent = one.plan(Wish.NOW).refusal
    control.fault(house.simulator, "whop", "off")
    assert silent == "Whop does not answer, so nobody knows how the membership is there now. Try again in a minute."
    told = ask_for_plan(replace(house.bench.providers, whop=None), one.row)
    assert one.plan(Wish.NOW, told).refusal == "Whop is not configured here, so nothing can be asked of it."
    nameless = ProviderMembership(provider=PaymentProvider.WHOP, external_id=None)
    assert "can only be canceled there" in (ask_for_plan(house.bench.providers, nameless).trouble or "")


def test_what_nobody_holds_is_canceled_and_shown_as_it_is_there(house: House) -> None:
    """Staff deleted the purchase; the buyer goes on paying at the provider."""
    for provider in ("whop", "stripe"):
        one = member(house, provider)
        with house.db.unit_of_work(OPERATOR) as ctx:
            row = ctx.session.get_one(ProviderMembership, one.row.id)
            row.profile_user_id, row.ignored_because, row.ignored_at = None, "deleted by staff", ctx.now
        assert one.plan(Wish.AT_END).consequences[0] == "Nobody holds it here."
        one.act(Wish.AT_END)
        assert (one.row.status, one.row.cancel_at_period_end) == (ACTIVE, True)
        one.act(Wish.NOW)
        assert (one.row.status, one.row.cancel_at_period_end) == (INACTIVE, False)
        assert one.row.profile_user_id is None


def test_who_may_and_that_a_reason_is_needed(house: House) -> None:
    one = member(house, "stripe")
    for actor in (AUDITOR, OPS):
        with pytest.raises(Forbidden):
            one.begin(Wish.AT_END, actor=actor)
    told = one.told()
    shown = one.plan(Wish.AT_END, told).fingerprint
    with pytest.raises(InvalidInput), house.db.unit_of_work(SUPPORT) as ctx:
        canceling.begin(ctx, membership_id=one.row.id, wish=Wish.AT_END, told=told, reason=" ", shown=shown)
    one.begin(Wish.AT_END, actor=FINANCE)


def test_a_person_who_settled_the_call_is_not_overruled(house: House) -> None:
    one = member(house, "whop")
    one.begin(Wish.NOW)
    later(house, timedelta(hours=2))
    forget_jobs(house)
    checkouts.settle_calls(house.bench)
    forget_jobs(house)
    (call,) = one.calls
    assert call.attention_since is not None
    with house.db.unit_of_work(SUPPORT) as ctx:
        shown = call_settling.plan_settle(ctx, call_id=call.id).fingerprint
        call_settling.settle(ctx, call_id=call.id, reason="not wanted", shown=shown)
    memberships.change(house.bench, call.id)
    assert one.is_there() == (True, False)
    assert one.calls[0].attempts == 0


def test_a_person_has_an_unknown_call_asked_about(house: House) -> None:
    one = member(house, "whop")
    one.begin(Wish.AT_END)
    silent = Silent(house.bench.providers.whop, acts=True)
    with pytest.raises(ProviderUnavailable):
        send(one, through(house, "whop", silent))
    later(house, timedelta(hours=2))
    forget_jobs(house)
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(ProviderCall, one.calls[0].id).attention_since = ctx.now
    with house.db.unit_of_work(SUPPORT) as ctx:
        plan = call_settling.plan_retry(ctx, call_id=one.calls[0].id)
        assert plan.refusal is None
        call_settling.retry(ctx, call_id=one.calls[0].id, reason="look", shown=plan.fingerprint)
    house.work()
    assert [(call.state, call.attention_since) for call in one.calls] == [(CallState.SUCCEEDED, None)]
    assert one.access == (PRO, ACTIVE, True)
