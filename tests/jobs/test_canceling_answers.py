"""What becomes of a canceling whose answer is lost, late, of another state, or settled by a person."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from admin_app.errors import OutcomeUnknown, ProviderUnavailable
from admin_app.integrations.registry import Providers
from admin_app.jobs import checkouts, memberships
from admin_app.services.attention import call_settling
from admin_app.services.purchases import cancel_sending
from admin_app.services.purchases.cancel_actions import CancelAction, ask_for_plan
from admin_app.simulator import control
from admin_app.simulator.stripe import control_stripe
from models import (
    CallState,
    PaymentProvider,
    ProviderCall,
    ProviderMembership,
)
from tests.house import House
from tests.jobs.deciding import forget_jobs, later, refused
from tests.jobs.members_canceled import ACTIVE, BOTH, FREE, INACTIVE, PRO, Member, member
from tests.services.factories import OPERATOR, SUPPORT


@BOTH
@pytest.mark.parametrize("mode", ["apply-then-drop", "apply-then-garbage"])
@pytest.mark.parametrize("action", [CancelAction.NOW, CancelAction.AT_END])
def test_a_lost_answer_of_what_was_done_is_learned_by_asking(
    house: House, provider: str, mode: str, action: CancelAction
) -> None:
    one = member(house, provider)
    one.begin(action)
    control.fault(house.simulator, provider, mode, after=asks(provider))
    house.work()
    assert one.is_there() == ((False, False) if action is CancelAction.NOW else (True, True))
    assert [call.state for call in one.calls] == [CallState.SUCCEEDED]
    assert one.access[1:] == ((INACTIVE, False) if action is CancelAction.NOW else (ACTIVE, True))


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
    one.begin(CancelAction.AT_END)
    silent = Silent(getattr(house.bench.providers, provider), acts=acts)
    with pytest.raises(ProviderUnavailable):
        send(one, through(house, provider, silent))
    (call,) = one.calls
    assert (call.state, call.finished_at) == (CallState.UNKNOWN, None)
    with refused("Wait for its answer"):
        one.begin(CancelAction.BACK)
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
        one.act(CancelAction.AT_END)  # a person decides again
        assert one.access == (PRO, ACTIVE, True)


@BOTH
def test_unknown_too_early_to_tell_stays_unknown(house: House, provider: str) -> None:
    one = member(house, provider)
    one.begin(CancelAction.AT_END)
    silent = Silent(getattr(house.bench.providers, provider), acts=False, hears=True)
    send(one, through(house, provider, silent))
    send(one, through(house, provider, silent))  # a person has it asked about at once
    (call,) = one.calls
    assert (call.state, silent.sent) == (CallState.UNKNOWN, 1)


@BOTH
@pytest.mark.parametrize("left", [False, True], ids=["before it left", "after it was done"])
def test_a_worker_that_dies_leaves_nothing_behind(house: House, provider: str, left: bool) -> None:
    one = member(house, provider)
    one.begin(CancelAction.NOW)
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
    one.begin(CancelAction.AT_END)
    control.fault(house.simulator, provider, "429", times=3, after=asks(provider))
    with pytest.raises(ProviderUnavailable):
        house.work()
    control.fault(house.simulator, provider, "off")
    (call,) = one.calls
    assert (call.state, call.next_try_at is not None) == (CallState.FAILED, True)
    with refused("Wait for its answer"):
        one.begin(CancelAction.BACK)
    later(house, timedelta(minutes=6))
    checkouts.settle_calls(house.bench)
    house.work()
    assert [call.state for call in one.calls] == [CallState.SUCCEEDED]
    assert one.access == (PRO, ACTIVE, True)


@BOTH
def test_the_buyer_decides_otherwise_before_it_is_sent(house: House, provider: str) -> None:
    """Taking back what has ended for good meanwhile is not sent, and a person is told."""
    one = member(house, provider)
    one.act(CancelAction.AT_END)
    one.begin(CancelAction.BACK)
    one.there()
    house.work()
    call = one.calls[-1]
    assert (call.state, call.error_code, call.attempts) == (CallState.FAILED, "over_there", 0)
    assert call.attention_since is not None
    assert one.access == (FREE, INACTIVE, False)


def test_a_delivery_that_is_faster_than_the_answer_changes_nothing(house: House) -> None:
    one = member(house, "stripe")
    one.begin(CancelAction.AT_END)
    one.there(cancels=True)
    for event in control_stripe.events(house.simulator, one.external_id):
        house.stripe(event)
    house.work()
    assert one.access == (PRO, ACTIVE, True)
    assert [call.state for call in one.calls] == [CallState.SUCCEEDED]
    # and the same deliveries once more, late
    one.act(CancelAction.BACK)
    for event in control_stripe.events(house.simulator, one.external_id)[::-1]:
        house.stripe(event | {"id": f"{event['id']}_again"})
    house.work()
    assert one.access == (PRO, ACTIVE, False)


def test_late_deliveries_of_whop_do_not_undo_what_it_says_now(house: House) -> None:
    one = member(house, "whop")
    one.act(CancelAction.AT_END)
    one.act(CancelAction.BACK)
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
    for action in CancelAction:
        assert gone.plan(action).refusal == (
            f"{name} does not know {gone.external_id} any more: there is nothing to cancel or to take back there."
        )
    assert gone.access[1:] == (ACTIVE, False)


@BOTH
def test_deleted_there_between_the_plan_and_the_call(house: House, provider: str) -> None:
    one = member(house, provider)
    one.begin(CancelAction.NOW)
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(ProviderMembership, one.row.id).external_id = f"gone_{one.row.id}"
    house.work()
    (call,) = one.calls
    assert (call.state, call.error_code, call.attempts) == (CallState.FAILED, "not_there", 0)
    assert call.attention_since is not None


def test_a_provider_that_is_silent_or_not_configured_is_said(house: House) -> None:
    one = member(house, "whop")
    control.fault(house.simulator, "whop", "500", times=6)
    silent = one.plan(CancelAction.NOW).refusal
    control.fault(house.simulator, "whop", "off")
    assert silent == "Whop does not answer, so nobody knows how the membership is there now. Try again in a minute."
    snapshot = ask_for_plan(replace(house.bench.providers, whop=None), one.row)
    assert one.plan(CancelAction.NOW, snapshot).refusal == "Whop is not configured here, so nothing can be asked of it."
    nameless = ProviderMembership(provider=PaymentProvider.WHOP, external_id=None)
    assert "can only be canceled there" in (ask_for_plan(house.bench.providers, nameless).trouble or "")


def test_a_person_who_settled_the_call_is_not_overruled(house: House) -> None:
    one = member(house, "whop")
    one.begin(CancelAction.NOW)
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
    one.begin(CancelAction.AT_END)
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
