"""What Clerk is told about an address: twice, two people at once, late, half way; once in the end."""

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from admin_app.errors import Conflict, Forbidden, InvalidInput, OutcomeUnknown, PlanMoved, ProviderUnavailable
from admin_app.integrations.registry import Providers
from admin_app.jobs import checkouts
from admin_app.services.attention import call_settling
from admin_app.services.purchases import address_changes, address_sending
from admin_app.services.purchases.address_actions import AddressAction, Change, ask_for_plan
from admin_app.simulator import control
from models import CallState, ProviderCall
from tests.house import House
from tests.jobs.addresses_changed import Person, person
from tests.jobs.deciding import FINANCE, OPS, forget_jobs, later, refused
from tests.services.factories import AUDITOR, OPERATOR, SUPPORT
from tests.services.memberships.test_look_ups import Plans

OTHER_ENTRIES = """
INSERT INTO audit_entries (at, event, actor_kind, actor_id, actor_label, records, facts, request_id, prev_hash, hash)
SELECT now(), 'person.address_change_asked', 'staff', '1', 'support@demo.test',
       ARRAY['profile:of_others_' || n, 'provider_call:' || -n], '{}', '', '', convert_to('other ' || n, 'UTF8')
  FROM generate_series(1, 20000) n
"""


def test_the_second_click_waits_for_the_first_ones_answer(house: House) -> None:
    one = person(house, "old")
    change, snapshot = one.about("old", AddressAction.UNLINK), one.snapshot()
    plan = one.plan(change, snapshot)
    one.begin(change, shown=plan, snapshot=snapshot)
    for other in (change, one.about("old", AddressAction.PRIMARY)):
        with refused("is being told something about this person’s addresses already"):
            one.begin(other, shown=plan, snapshot=snapshot)
    house.work()
    assert [call.attempts for call in one.calls] == [1]
    with refused("nothing is left to do"):
        one.begin(change)


def test_two_staff_at_once_are_told_apart(real_house: House) -> None:
    """One unlinks an address, the other makes it the primary one: one of them is told to look again."""
    one = person(real_house, "old")
    snapshot = one.snapshot()
    plans = {wish: one.plan(one.about("old", wish), snapshot) for wish in (AddressAction.UNLINK, AddressAction.PRIMARY)}
    ready, outcomes = threading.Barrier(2), []

    def decide(wish: AddressAction) -> None:
        ready.wait()
        try:
            one.begin(one.about("old", wish), shown=plans[wish], snapshot=snapshot)
            outcomes.append("begun")
        except Conflict as refused:
            outcomes.append(refused.sentence)

    threads = [threading.Thread(target=decide, args=(wish,)) for wish in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    waits = "Clerk is being told something about this person’s addresses already. Wait for its answer."
    assert sorted(outcomes) == sorted(["begun", waits])
    real_house.work()
    assert [call.state for call in one.calls] == [CallState.SUCCEEDED]
    assert [(word, is_primary) for word, _, is_primary in one.there] == sorted(one.here)


def test_the_plan_moves_with_what_clerk_says(house: House) -> None:
    one = person(house, "old")
    shown = one.plan(one.about("old", AddressAction.UNLINK))
    control.add_address(house.simulator, one.user_id, one.email("more"))
    with pytest.raises(PlanMoved):
        one.begin(one.about("old", AddressAction.UNLINK), shown=shown)
    assert one.calls == []


class Silent:
    """Clerk, of which nothing is heard once a change has left."""

    knows_people = True

    def __init__(self, port: Any, *, acts: bool, hears: bool = False) -> None:
        self.port, self.acts, self.hears, self.sent = port, acts, hears, 0
        self.trouble: BaseException = OutcomeUnknown("clerk")

    def user(self, user_id: str, *, fresh: bool = False) -> Any:
        if self.sent and not self.hears:
            raise ProviderUnavailable("clerk")
        return self.port.user(user_id, fresh=fresh)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.port, name)

        def change(*given: Any, **named: Any) -> Any:
            self.sent += 1
            if self.acts:
                method(*given, **named)
            raise self.trouble

        return change


def send(one: Person, silent: Silent) -> None:
    providers: Providers = replace(one.house.bench.providers, clerk=silent)
    address_sending.send(lambda: one.house.db.unit_of_work(OPERATOR), providers, call_id=one.calls[-1].id)


WISHES = pytest.mark.parametrize("wish", ["unlink", "primary", "correct"])


def wanted(one: Person, wish: str) -> Change:
    if wish == "correct":
        return one.right_one("right", wrong="main")
    return one.about("old", AddressAction.UNLINK if wish == "unlink" else AddressAction.PRIMARY)


AFTER = {
    "unlink": [("main", True)],
    "primary": [("old", True), ("main", False)],
    "correct": [("right", True), ("old", False)],
}


@WISHES
@pytest.mark.parametrize("mode", ["apply-then-drop", "apply-then-garbage", "apply-then-500"])
def test_a_lost_answer_of_what_was_done_is_learned_by_asking(house: House, wish: str, mode: str) -> None:
    one = person(house, "old")
    one.begin(wanted(one, wish))
    control.fault(house.simulator, "clerk", mode, after=1)
    house.work()
    assert one.here == AFTER[wish]
    assert {call.state for call in one.calls} == {CallState.SUCCEEDED}


@WISHES
@pytest.mark.parametrize("acts", [True, False], ids=["it was done", "it was not done"])
def test_an_unknown_one_is_asked_about_and_never_sent_twice(house: House, wish: str, acts: bool) -> None:
    one = person(house, "old")
    one.begin(wanted(one, wish))
    silent = Silent(house.bench.providers.clerk, acts=acts)
    with pytest.raises(ProviderUnavailable):
        send(one, silent)
    (call,) = one.calls
    assert (call.state, call.finished_at) == (CallState.UNKNOWN, None)
    with refused("Wait for its answer"):
        one.begin(one.about("old", AddressAction.PRIMARY))
    later(house, timedelta(minutes=6))
    forget_jobs(house)
    checkouts.settle_calls(house.bench)
    house.work()
    call = one.calls[0]
    assert (call.attempts, silent.sent) == (1, 1)
    if acts:
        assert (call.state, call.attention_since) == (CallState.SUCCEEDED, None)
        assert one.here == AFTER[wish]
    else:
        assert (call.state, call.error_code) == (CallState.FAILED, "not_done")
        assert call.attention_since is not None
        assert one.here == [("main", True), ("old", False)]
        one.act(wanted(one, wish))  # a person decides again
        assert one.here == AFTER[wish]


def test_unknown_too_early_to_tell_stays_unknown_and_may_be_asked_about(house: House) -> None:
    one = person(house, "old")
    one.begin(one.about("old", AddressAction.UNLINK))
    silent = Silent(house.bench.providers.clerk, acts=False, hears=True)
    send(one, silent)
    send(one, silent)  # a person has it asked about at once
    (call,) = one.calls
    assert (call.state, silent.sent) == (CallState.UNKNOWN, 1)
    assert call_settling.may_be_retried(call.provider, call.operation, call.state)


@pytest.mark.parametrize("left", [False, True], ids=["before it left", "after it was done"])
@WISHES
def test_a_worker_that_dies_leaves_nothing_behind(house: House, wish: str, left: bool) -> None:
    one = person(house, "old")
    one.begin(wanted(one, wish))
    if left:
        dies = Silent(house.bench.providers.clerk, acts=True)
        dies.trouble = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            send(one, dies)
    forget_jobs(house)
    later(house, timedelta(minutes=6))
    checkouts.settle_calls(house.bench)
    checkouts.settle_calls(house.bench)
    house.work()
    assert {(call.state, call.attempts) for call in one.calls} == {(CallState.SUCCEEDED, 1)}
    assert one.here == AFTER[wish]


def test_clerk_that_is_away_is_tried_again_by_itself(house: House) -> None:
    one = person(house, "old")
    one.begin(one.about("old", AddressAction.UNLINK))
    control.fault(house.simulator, "clerk", "429", times=3, after=1)
    with pytest.raises(ProviderUnavailable):
        house.work()
    control.fault(house.simulator, "clerk", "off")
    (call,) = one.calls
    assert (call.state, call.next_try_at is not None) == (CallState.FAILED, True)
    later(house, timedelta(minutes=6))
    checkouts.settle_calls(house.bench)
    house.work()
    assert [call.state for call in one.calls] == [CallState.SUCCEEDED]
    assert one.here == [("main", True)]


def test_the_person_decides_otherwise_before_it_is_sent(house: House) -> None:
    """What became the primary address meanwhile is not unlinked, and a person is told."""
    one = person(house, "old")
    one.begin(one.about("old", AddressAction.UNLINK))
    clerk = house.bench.providers.clerk
    assert clerk is not None
    found = one.snapshot().entry(one.email("old"))
    assert found is not None
    clerk.change_email(str(found.id), primary=True)
    house.work()
    (call,) = one.calls
    assert (call.state, call.error_code, call.attempts) == (CallState.FAILED, "address_is_primary", 0)
    assert call.attention_since is not None
    assert one.here == [("old", True), ("main", False)]


def test_an_account_that_is_deleted_meanwhile(house: House) -> None:
    one = person(house, "old")
    change = one.about("old", AddressAction.UNLINK)
    one.begin(change)
    control.delete_user(house.simulator, one.user_id, webhook=False)
    house.work()
    (call,) = one.calls
    assert (call.state, call.error_code, call.attempts) == (CallState.FAILED, "account_gone", 0)
    assert one.here == []
    assert one.profile.account_deleted_at is not None
    for asked in (change, Change(AddressAction.ADD, one.user_id, one.email("new"))):
        assert "deleted at the sign-in provider" in (one.plan(asked).refusal or "")


def test_an_account_that_clerk_does_not_know(house: House) -> None:
    one = person(house, "old")
    control.delete_user(house.simulator, one.user_id, webhook=False)
    with refused("Clerk does not know this account any more"):
        one.begin(one.about("old", AddressAction.UNLINK))


def test_clerk_that_is_silent_or_not_configured_is_said(house: House) -> None:
    one = person(house, "old")
    control.fault(house.simulator, "clerk", "500", times=4)
    silent = one.plan(one.about("old", AddressAction.UNLINK)).refusal
    control.fault(house.simulator, "clerk", "off")
    assert silent == "Clerk does not answer, so nobody knows the person’s addresses now. Try again in a minute."
    snapshot = ask_for_plan(replace(house.bench.providers, clerk=None), one.user_id)
    refusal = one.plan(one.about("old", AddressAction.UNLINK), snapshot).refusal
    assert refusal == "Clerk is not configured here, so nothing can be asked of it."


def test_who_may_and_that_a_reason_is_needed(house: House) -> None:
    one = person(house, "old")
    change = one.about("old", AddressAction.UNLINK)
    for actor in (AUDITOR, OPS, FINANCE):
        with pytest.raises(Forbidden):
            one.begin(change, actor=actor)
    snapshot = one.snapshot()
    shown = one.plan(change, snapshot).fingerprint
    with pytest.raises(InvalidInput), house.db.unit_of_work(SUPPORT) as ctx:
        address_changes.begin(ctx, change=change, snapshot=snapshot, reason=" ", shown=shown)
    one.begin(change)


def test_a_person_who_settled_the_call_is_not_overruled(house: House) -> None:
    one = person(house, "old")
    one.begin(one.about("old", AddressAction.UNLINK))
    with house.db.unit_of_work(OPERATOR) as ctx:
        call = ctx.session.get_one(ProviderCall, one.calls[0].id)
        call.state, call.finished_at = CallState.FAILED, ctx.now
    house.work()
    assert one.there == [("main", True, True), ("old", True, False)]


def test_the_decision_is_found_by_an_index_however_long_the_audit_is(house: House) -> None:
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(text(OTHER_ENTRIES))
        ctx.session.execute(text("ANALYZE audit_entries"))
    one = person(house, "old")
    one.begin(one.about("old", AddressAction.UNLINK))
    plans = Plans()
    event.listen(house.db.engine, "before_cursor_execute", plans.explain)
    try:
        house.work()
    finally:
        event.remove(house.db.engine, "before_cursor_execute", plans.explain)
    assert [call.state for call in one.calls] == [CallState.SUCCEEDED]
    (decided,) = [plan for plan in plans if "on audit_entries" in plan and "provider_call:" in plan]
    assert "ix_audit_entries_records" in decided
