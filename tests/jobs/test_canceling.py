"""A membership is canceled at its provider, now or with its period, and that taken back: as planned, and once."""

import threading

import pytest
from sqlalchemy import select

from admin_app.errors import Conflict, Forbidden, InvalidInput, PlanMoved
from admin_app.services.purchases import canceling
from admin_app.services.purchases.cancel_actions import CancelAction
from models import (
    AuditEntry,
    CallState,
    ProviderMembership,
)
from tests.house import House
from tests.jobs.deciding import FINANCE, OPS, refused
from tests.jobs.members_canceled import ACTIVE, BOTH, FREE, INACTIVE, PRO, member
from tests.services.factories import AUDITOR, OPERATOR, SUPPORT


@BOTH
def test_at_the_end_of_its_period_and_back(house: House, provider: str) -> None:
    one = member(house, provider)
    one.act(CancelAction.AT_END)
    assert one.access == (PRO, ACTIVE, True)
    assert one.profile.cancel_at_period_end
    assert one.is_there() == (True, True)
    one.act(CancelAction.BACK)
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
    plan = one.plan(CancelAction.NOW)
    name = provider.capitalize()
    assert "Pro access ends at once, also for what is paid already." in plan.consequences
    forever = f"{name} cannot take this back: whoever wants it again has to buy it again."
    assert forever in plan.consequences
    assert plan.consequences[0].startswith(f"Account {one.user_id} holds it")
    assert "renewed then" in plan.consequences[1]
    one.act(CancelAction.NOW)
    assert one.access == (FREE, INACTIVE, False)
    assert one.is_there() == (False, False)
    refused = one.plan(CancelAction.BACK).refusal
    assert (
        refused
        == f"It is over at {name}, and {name} does not bring it back. Whoever wants it again has to buy it again."
    )
    assert "nothing is left to do" in (one.plan(CancelAction.NOW).refusal or "")
    assert "nothing is left to do" in (one.plan(CancelAction.AT_END).refusal or "")


@BOTH
@pytest.mark.parametrize("action", [CancelAction.NOW, CancelAction.AT_END, CancelAction.BACK])
def test_the_plan_says_what_comes_of_it(house: House, provider: str, action: CancelAction) -> None:
    one = member(house, provider)
    if action is CancelAction.BACK:
        one.act(CancelAction.AT_END)
    plan = one.plan(action)
    one.act(action)
    planned = {(line.record, line.field): line.after for line in plan.lines}
    assert {key for key, _ in planned} == {f"membership:{one.row.id}", f"profile:{one.user_id}"}
    for (record, field), after in planned.items():
        assert getattr(one.row if record.startswith("membership") else one.profile, field) == after, field


@BOTH
def test_one_that_ends_at_its_period_can_be_canceled_now(house: House, provider: str) -> None:
    one = member(house, provider)
    one.act(CancelAction.AT_END)
    one.act(CancelAction.NOW)
    assert one.access == (FREE, INACTIVE, False)


def test_what_was_paid_once_has_no_period_and_can_be_given_back(house: House) -> None:
    one = member(house, "whop", plan="lifetime")
    assert "can only be canceled now" in (one.plan(CancelAction.AT_END).refusal or "")
    one.act(CancelAction.NOW)
    assert one.access == (FREE, INACTIVE, False)
    assert "Access comes back for good; nothing is charged for it." in one.plan(CancelAction.BACK).consequences
    one.act(CancelAction.BACK)
    assert one.access == (PRO, ACTIVE, False)
    assert one.row.provider_status == "completed"


@BOTH
def test_done_at_the_provider_already_there_is_nothing_left_to_do(house: House, provider: str) -> None:
    one = member(house, provider)
    one.there(cancels=True)
    house.work()
    plan = one.plan(CancelAction.AT_END)  # its delivery was lost: here it is not known yet
    assert plan.refusal is None
    assert f"Nothing is sent to {provider.capitalize()}: what it says is taken over here." in plan.consequences
    one.act(CancelAction.AT_END)
    assert one.access == (PRO, ACTIVE, True)
    assert [(call.state, call.attempts) for call in one.calls] == [(CallState.SUCCEEDED, 0)]
    assert "nothing is left to do" in (one.plan(CancelAction.AT_END).refusal or "")
    with refused("nothing is left to do"):
        one.begin(CancelAction.AT_END)


@BOTH
def test_the_second_click_waits_for_the_first_ones_answer(house: House, provider: str) -> None:
    one = member(house, provider)
    snapshot = one.snapshot()
    plan = one.plan(CancelAction.AT_END, snapshot)
    one.begin(CancelAction.AT_END, shown=plan, snapshot=snapshot)
    for action in CancelAction:
        with refused("is being told something about this membership already"):
            one.begin(action, shown=plan, snapshot=snapshot)
    house.work()
    assert [call.attempts for call in one.calls] == [1]
    with refused("nothing is left to do"):
        one.begin(CancelAction.AT_END)


@BOTH
def test_two_staff_at_once_are_told_apart(real_house: House, provider: str) -> None:
    """One cancels now, the other takes the cancellation back: one of them is told to look again."""
    one = member(real_house, provider)
    one.act(CancelAction.AT_END)
    snapshot = one.snapshot()
    plans = {action: one.plan(action, snapshot) for action in (CancelAction.NOW, CancelAction.BACK)}
    ready, outcomes = threading.Barrier(2), []

    def decide(action: CancelAction) -> None:
        ready.wait()
        try:
            one.begin(action, shown=plans[action], snapshot=snapshot)
            outcomes.append("begun")
        except Conflict as refused:
            outcomes.append(refused.sentence)

    threads = [threading.Thread(target=decide, args=(action,)) for action in plans]
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
    shown = one.plan(CancelAction.NOW)
    one.there(cancels=True)
    with pytest.raises(PlanMoved):
        one.begin(CancelAction.NOW, shown=shown)
    assert one.calls == []


def test_what_nobody_holds_is_canceled_and_shown_as_it_is_there(house: House) -> None:
    """Staff deleted the purchase; the buyer goes on paying at the provider."""
    for provider in ("whop", "stripe"):
        one = member(house, provider)
        with house.db.unit_of_work(OPERATOR) as ctx:
            row = ctx.session.get_one(ProviderMembership, one.row.id)
            row.profile_user_id, row.ignored_because, row.ignored_at = None, "deleted by staff", ctx.now
        assert one.plan(CancelAction.AT_END).consequences[0] == "Nobody holds it here."
        one.act(CancelAction.AT_END)
        assert (one.row.status, one.row.cancel_at_period_end) == (ACTIVE, True)
        one.act(CancelAction.NOW)
        assert (one.row.status, one.row.cancel_at_period_end) == (INACTIVE, False)
        assert one.row.profile_user_id is None


def test_who_may_and_that_a_reason_is_needed(house: House) -> None:
    one = member(house, "stripe")
    for actor in (AUDITOR, OPS):
        with pytest.raises(Forbidden):
            one.begin(CancelAction.AT_END, actor=actor)
    snapshot = one.snapshot()
    shown = one.plan(CancelAction.AT_END, snapshot).fingerprint
    with pytest.raises(InvalidInput), house.db.unit_of_work(SUPPORT) as ctx:
        canceling.begin(
            ctx, membership_id=one.row.id, action=CancelAction.AT_END, snapshot=snapshot, reason=" ", shown=shown
        )
    one.begin(CancelAction.AT_END, actor=FINANCE)
