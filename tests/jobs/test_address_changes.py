"""A person's address is corrected, made the primary one or unlinked at Clerk: as planned, and once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import select, text

from admin_app.context import Staff
from admin_app.errors import Conflict, Forbidden, InvalidInput, OutcomeUnknown, PlanMoved, ProviderUnavailable
from admin_app.integrations.registry import Providers
from admin_app.jobs import checkouts, people
from admin_app.services import address_changes, address_sending, call_settling
from admin_app.services.address_wishes import Change, Told, Wish, ask_for_plan
from admin_app.services.plans import Plan
from admin_app.simulator import control
from models import AuditEntry, CallState, Membership, PendingProfile, PersonAddress, Profile, ProviderCall, Role
from tests.house import House
from tests.services.factories import AUDITOR, OPERATOR, SUPPORT, buy

FINANCE = Staff(3, "finance@demo.test", Role.FINANCE)
OPS = Staff(4, "ops@demo.test", Role.OPS)
numbers = count(1)


@contextmanager
def refused(because: str) -> Iterator[None]:
    with pytest.raises(Conflict) as raised:
        yield
    assert because in raised.value.sentence


@dataclass
class Person:
    """Somebody with an account at the simulated Clerk, known here as they are there."""

    house: House
    user_id: str
    name: str

    def email(self, word: str) -> str:
        return f"{word}-{self.name}@example.com"

    @property
    def here(self) -> list[tuple[str, bool]]:
        """The verified addresses that are kept here, without the person's own part; the primary one first."""
        mine = select(PersonAddress).where(PersonAddress.user_id == self.user_id, PersonAddress.given_up_at.is_(None))
        rows = self.house.rows(mine.order_by(PersonAddress.is_primary.desc(), PersonAddress.id))
        return [(row.email.partition("-")[0], row.is_primary) for row in rows]

    @property
    def there(self) -> list[tuple[str, bool, bool]]:
        """What Clerk has: the address, whether it is verified, whether it is the primary one."""
        person = control.person(self.house.simulator, self.user_id)
        return sorted(
            (
                one["email_address"].partition("-")[0],
                (one["verification"] or {}).get("status") == "verified",
                one["id"] == person["primary_email_address_id"],
            )
            for one in person["email_addresses"]
        )

    @property
    def profile(self) -> Profile:
        with self.house.db.read_only() as session:
            return session.get_one(Profile, self.user_id)

    @property
    def calls(self) -> list[ProviderCall]:
        mine = select(ProviderCall).where(ProviderCall.subject == f"profile:{self.user_id}")
        return self.house.rows(mine.order_by(ProviderCall.id))

    def told(self) -> Told:
        return ask_for_plan(self.house.bench.providers, self.user_id)

    def about(self, word: str, wish: Wish) -> Change:
        return Change(wish, self.user_id, self.email(word))

    def right_one(self, word: str, *, wrong: str | None = None, verified: bool = True) -> Change:
        with self.house.db.read_only() as session:
            wrong_id = None
            if wrong is not None:
                mine = (PersonAddress.email == self.email(wrong), PersonAddress.given_up_at.is_(None))
                wrong_id = session.scalars(select(PersonAddress.id).where(*mine)).one()
            email = self.email(word)
            return address_changes.right_one(
                session, self.told(), user_id=self.user_id, email=email, verified=verified, wrong_id=wrong_id
            )

    def plan(self, change: Change, told: Told | None = None) -> Plan:
        told = told or self.told()
        with self.house.db.unit_of_work(SUPPORT) as ctx:
            return address_changes.plan(ctx, change=change, told=told)

    def begin(
        self, change: Change, *, shown: Plan | None = None, told: Told | None = None, actor: Any = SUPPORT
    ) -> None:
        told = told or self.told()
        plan = shown or self.plan(change, told)
        with self.house.db.unit_of_work(actor) as ctx:
            address_changes.begin(ctx, change=change, told=told, reason="she wrote", shown=plan.fingerprint)

    def act(self, change: Change) -> None:
        self.begin(change)
        self.house.work()


def person(house: House, *more: str, linked: bool = False) -> Person:
    """With the verified primary address `main` and these besides."""
    name = f"p{next(numbers)}"
    user_id, _ = house.customer(f"main-{name}@example.com")
    made = Person(house, user_id, name)
    for word in more:
        control.add_address(house.simulator, user_id, made.email(word), linked=linked)
    people.ask(house.bench, user_id)
    assert made.here == [("main", True), *((word, False) for word in sorted(more))]
    return made


def asked(house: House) -> list[AuditEntry]:
    decided = select(AuditEntry).where(AuditEntry.event == "person.address_change_asked")
    return house.rows(decided.order_by(AuditEntry.id))


def later(house: House, by: timedelta) -> None:
    now = house.db.clock()
    house.db.clock = lambda: now + by  # type: ignore[method-assign]


def forget_jobs(house: House) -> None:
    """As when the queue lost them."""
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(text("DELETE FROM procrastinate_jobs"))


# -- unlinking ---------------------------------------------------------------------------------------------------------


def test_one_is_unlinked_and_does_not_come_back(house: House) -> None:
    one = person(house, "old")
    plan = one.plan(one.about("old", Wish.UNLINK))
    assert plan.refusal is None
    (line,) = [line for line in plan.lines if line.field == "verified_addresses"]
    assert (line.now, line.after) == (f"{one.email('main')}, {one.email('old')}", one.email("main"))
    one.act(one.about("old", Wish.UNLINK))
    assert one.there == [("main", True, True)]
    assert one.here == [("main", True)]
    assert [(call.operation, call.state, call.attempts) for call in one.calls] == [
        ("address.unlink", CallState.SUCCEEDED, 1)
    ]
    (entry,) = asked(house)
    assert (entry.reason, entry.facts["wish"]) == ("she wrote", "unlink an address")
    assert entry.facts["email"] == one.email("old")
    people.ask(house.bench, one.user_id)
    assert one.here == [("main", True)]
    assert "nothing is left to do" in (one.plan(one.about("old", Wish.UNLINK)).refusal or "")


def test_the_only_one_and_the_primary_one_stay(house: House) -> None:
    one = person(house)
    assert "the only verified address" in (one.plan(one.about("main", Wish.UNLINK)).refusal or "")
    control.add_address(house.simulator, one.user_id, one.email("unproven"), verified=False)
    with refused("the only verified address"):
        one.begin(one.about("main", Wish.UNLINK))
    two = person(house, "other")
    with refused(f"Make another one the primary one first: {two.email('other')}."):
        two.begin(two.about("main", Wish.UNLINK))
    two.act(two.about("other", Wish.PRIMARY))
    two.act(two.about("main", Wish.UNLINK))
    assert two.here == [("other", True)]
    assert two.profile.email == two.email("other")


def test_one_of_a_connected_account_would_come_back(house: House) -> None:
    one = person(house, "google", linked=True)
    with refused("would come back with it at the next sign-in. Disconnect that at Clerk first."):
        one.begin(one.about("google", Wish.UNLINK))


def test_what_waits_under_an_unlinked_address_is_for_its_next_owner(house: House) -> None:
    one, two = person(house, "shared"), person(house)
    one.act(one.about("shared", Wish.UNLINK))
    buy(house.db, one.email("shared"))
    two.act(Change(Wish.ADD, two.user_id, one.email("shared"), verified=True, primary=True))
    assert two.profile.membership is Membership.PRO
    assert one.profile.membership is Membership.FREE


def test_one_that_is_gone_there_is_taken_over_here(house: House) -> None:
    one = person(house, "old")
    with house.db.unit_of_work(OPERATOR) as ctx:
        row = PersonAddress(user_id=one.user_id, email=one.email("ghost"), verified_at=ctx.now)
        ctx.session.add(row)
    plan = one.plan(one.about("ghost", Wish.UNLINK))
    assert (plan.refusal, plan.consequences[0]) == (None, "Nothing is sent to Clerk: what it says is taken over here.")
    one.act(one.about("ghost", Wish.UNLINK))
    assert one.here == [("main", True), ("old", False)]
    assert [(call.state, call.attempts) for call in one.calls] == [(CallState.SUCCEEDED, 0)]


# -- the primary one, and the right one --------------------------------------------------------------------------------


def test_what_waits_under_the_new_primary_address_comes_at_once(house: House) -> None:
    one = person(house)
    pending = buy(house.db, one.email("work"))
    control.add_address(house.simulator, one.user_id, one.email("work"))
    people.ask(house.bench, one.user_id)
    assert one.profile.membership is Membership.FREE  # not before they sign in by it, or it is the primary one
    change = one.about("work", Wish.PRIMARY)
    said = f"Purchase {pending.id}, which waits under it (pro), goes to this account at once."
    assert said in one.plan(change).consequences
    one.act(change)
    assert one.there == [("main", True, False), ("work", True, True)]
    assert one.here == [("work", True), ("main", False)]
    assert (one.profile.membership, one.profile.email) == (Membership.PRO, one.email("work"))
    assert "the primary address at Clerk already" in (one.plan(change).refusal or "")


def test_a_wrong_address_is_corrected(house: House) -> None:
    """The right one is verified by support, becomes the primary one, and the wrong one goes."""
    one = person(house)
    pending = buy(house.db, one.email("right"))
    change = one.right_one("right", wrong="main")
    plan = one.plan(change)
    assert f"Purchase {pending.id}, which waits under it (pro), goes to this account at once." in plan.consequences
    assert f"Then {one.email('main')} is unlinked: the person cannot sign in by it any more." in plan.consequences
    (line,) = [line for line in plan.lines if line.field == "verified_addresses"]
    assert (line.now, line.after) == (one.email("main"), one.email("right"))
    one.act(change)
    assert one.there == [("right", True, True)]
    assert one.here == [("right", True)]
    assert (one.profile.membership, one.profile.email) == (Membership.PRO, one.email("right"))
    assert [(call.operation, call.state) for call in one.calls] == [
        ("address.add", CallState.SUCCEEDED),
        ("address.unlink", CallState.SUCCEEDED),
    ]
    assert [(entry.actor_kind, entry.reason) for entry in asked(house)] == [
        ("staff", "she wrote"),
        ("job", "she wrote"),
    ]


def test_one_that_nobody_verified_moves_nothing(house: House) -> None:
    one = person(house)
    buy(house.db, one.email("right"))
    change = one.right_one("right", wrong="main", verified=False)
    assert "nobody gets anything by it until the person verifies it" in " ".join(one.plan(change).consequences)
    one.act(change)
    assert one.there == [("main", True, True), ("right", False, False)]
    assert one.here == [("main", True)]
    assert one.profile.membership is Membership.FREE
    assert [row.claimed for row in house.rows(select(PendingProfile))] == [False]
    control.verify_user(house.simulator, one.user_id)
    people.ask(house.bench, one.user_id)
    assert one.here == [("main", True), ("right", False)]


def test_one_that_is_there_unverified_is_called_verified(house: House) -> None:
    one = person(house)
    control.add_address(house.simulator, one.user_id, one.email("right"), verified=False)
    one.act(one.right_one("right", wrong="main"))
    assert one.there == [("right", True, True)]
    assert one.here == [("right", True)]


def test_beside_the_primary_one_it_is_added_and_claims_at_the_next_sign_in(house: House) -> None:
    one = person(house)
    pending = buy(house.db, one.email("second"))
    change = one.right_one("second")
    said = f"Purchase {pending.id}, which waits under it (pro), goes to this account when the person signs in next."
    assert said in one.plan(change).consequences
    one.act(change)
    assert one.there == [("main", True, True), ("second", True, False)]
    assert one.here == [("main", True), ("second", False)]
    assert one.profile.membership is Membership.FREE


def test_an_address_of_somebody_else_is_refused(house: House) -> None:
    one, two = person(house), person(house)
    theirs = Change(Wish.ADD, one.user_id, two.email("main"), verified=True)
    with refused(f"Account {two.user_id} has this address verified."):
        one.begin(theirs)
    stranger, _ = house.customer(f"stranger-{one.name}@example.com")  # known at Clerk alone
    one.act(one.right_one("stranger"))
    (call,) = one.calls
    assert (call.state, call.error_code) == (CallState.FAILED, "form_identifier_exists")
    assert call.attention_since is not None
    assert one.here == [("main", True)]
    assert stranger


def test_what_is_no_address_or_the_wrong_one_itself_is_refused(house: House) -> None:
    one = person(house)
    with pytest.raises(InvalidInput):
        one.right_one("main", wrong="main")
    with house.db.read_only() as session, pytest.raises(InvalidInput):
        address_changes.right_one(session, one.told(), user_id=one.user_id, email="nonsense", verified=False)


# -- twice, at once, late, half way ------------------------------------------------------------------------------------


def test_the_second_click_waits_for_the_first_ones_answer(house: House) -> None:
    one = person(house, "old")
    change, told = one.about("old", Wish.UNLINK), one.told()
    plan = one.plan(change, told)
    one.begin(change, shown=plan, told=told)
    for other in (change, one.about("old", Wish.PRIMARY)):
        with refused("is being told something about this person’s addresses already"):
            one.begin(other, shown=plan, told=told)
    house.work()
    assert [call.attempts for call in one.calls] == [1]
    with refused("nothing is left to do"):
        one.begin(change)


def test_two_staff_at_once_are_told_apart(real_house: House) -> None:
    """One unlinks an address, the other makes it the primary one: one of them is told to look again."""
    one = person(real_house, "old")
    told = one.told()
    plans = {wish: one.plan(one.about("old", wish), told) for wish in (Wish.UNLINK, Wish.PRIMARY)}
    ready, outcomes = threading.Barrier(2), []

    def decide(wish: Wish) -> None:
        ready.wait()
        try:
            one.begin(one.about("old", wish), shown=plans[wish], told=told)
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
    shown = one.plan(one.about("old", Wish.UNLINK))
    control.add_address(house.simulator, one.user_id, one.email("more"))
    with pytest.raises(PlanMoved):
        one.begin(one.about("old", Wish.UNLINK), shown=shown)
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
    return one.about("old", Wish.UNLINK if wish == "unlink" else Wish.PRIMARY)


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
        one.begin(one.about("old", Wish.PRIMARY))
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
    one.begin(one.about("old", Wish.UNLINK))
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
    one.begin(one.about("old", Wish.UNLINK))
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
    one.begin(one.about("old", Wish.UNLINK))
    clerk = house.bench.providers.clerk
    assert clerk is not None
    found = one.told().entry(one.email("old"))
    assert found is not None
    clerk.change_email(str(found.id), primary=True)
    house.work()
    (call,) = one.calls
    assert (call.state, call.error_code, call.attempts) == (CallState.FAILED, "address_is_primary", 0)
    assert call.attention_since is not None
    assert one.here == [("old", True), ("main", False)]


def test_an_account_that_is_deleted_meanwhile(house: House) -> None:
    one = person(house, "old")
    change = one.about("old", Wish.UNLINK)
    one.begin(change)
    control.delete_user(house.simulator, one.user_id, webhook=False)
    house.work()
    (call,) = one.calls
    assert (call.state, call.error_code, call.attempts) == (CallState.FAILED, "account_gone", 0)
    assert one.here == []
    assert one.profile.account_deleted_at is not None
    for asked in (change, Change(Wish.ADD, one.user_id, one.email("new"))):
        assert "deleted at the sign-in provider" in (one.plan(asked).refusal or "")


def test_an_account_that_clerk_does_not_know(house: House) -> None:
    one = person(house, "old")
    control.delete_user(house.simulator, one.user_id, webhook=False)
    with refused("Clerk does not know this account any more"):
        one.begin(one.about("old", Wish.UNLINK))


def test_clerk_that_is_silent_or_not_configured_is_said(house: House) -> None:
    one = person(house, "old")
    control.fault(house.simulator, "clerk", "500", times=4)
    silent = one.plan(one.about("old", Wish.UNLINK)).refusal
    control.fault(house.simulator, "clerk", "off")
    assert silent == "Clerk does not answer, so nobody knows the person’s addresses now. Try again in a minute."
    told = ask_for_plan(replace(house.bench.providers, clerk=None), one.user_id)
    refusal = one.plan(one.about("old", Wish.UNLINK), told).refusal
    assert refusal == "Clerk is not configured here, so nothing can be asked of it."


def test_who_may_and_that_a_reason_is_needed(house: House) -> None:
    one = person(house, "old")
    change = one.about("old", Wish.UNLINK)
    for actor in (AUDITOR, OPS, FINANCE):
        with pytest.raises(Forbidden):
            one.begin(change, actor=actor)
    told = one.told()
    shown = one.plan(change, told).fingerprint
    with pytest.raises(InvalidInput), house.db.unit_of_work(SUPPORT) as ctx:
        address_changes.begin(ctx, change=change, told=told, reason=" ", shown=shown)
    one.begin(change)


def test_a_person_who_settled_the_call_is_not_overruled(house: House) -> None:
    one = person(house, "old")
    one.begin(one.about("old", Wish.UNLINK))
    with house.db.unit_of_work(OPERATOR) as ctx:
        call = ctx.session.get_one(ProviderCall, one.calls[0].id)
        call.state, call.finished_at = CallState.FAILED, ctx.now
    house.work()
    assert one.there == [("main", True, True), ("old", True, False)]
