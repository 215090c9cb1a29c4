"""A person's address is corrected, made the primary one or unlinked at Clerk: as planned."""

import pytest
from sqlalchemy import select

from admin_app.errors import InvalidInput, PlanMoved
from admin_app.jobs import people
from admin_app.services.purchases import address_changes
from admin_app.services.purchases.address_actions import AddressAction, Change
from admin_app.simulator import control
from models import CallState, ExtraPurchase, Membership, PendingProfile, PersonAddress, Profile
from tests.house import House
from tests.jobs.addresses_changed import asked, person
from tests.jobs.deciding import refused
from tests.services.factories import OPERATOR, add_profile, buy

# -- unlinking ---------------------------------------------------------------------------------------------------------


def test_one_is_unlinked_and_does_not_come_back(house: House) -> None:
    one = person(house, "old")
    plan = one.plan(one.about("old", AddressAction.UNLINK))
    assert plan.refusal is None
    (line,) = [line for line in plan.lines if line.field == "verified_addresses"]
    assert (line.now, line.after) == (f"{one.email('main')}, {one.email('old')}", one.email("main"))
    one.act(one.about("old", AddressAction.UNLINK))
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
    assert "nothing is left to do" in (one.plan(one.about("old", AddressAction.UNLINK)).refusal or "")


def test_the_only_one_and_the_primary_one_stay(house: House) -> None:
    one = person(house)
    assert "the only verified address" in (one.plan(one.about("main", AddressAction.UNLINK)).refusal or "")
    control.add_address(house.simulator, one.user_id, one.email("unproven"), verified=False)
    with refused("the only verified address"):
        one.begin(one.about("main", AddressAction.UNLINK))
    two = person(house, "other")
    with refused(f"Make another one the primary one first: {two.email('other')}."):
        two.begin(two.about("main", AddressAction.UNLINK))
    two.act(two.about("other", AddressAction.PRIMARY))
    two.act(two.about("main", AddressAction.UNLINK))
    assert two.here == [("other", True)]
    assert two.profile.email == two.email("other")


def test_one_of_a_connected_account_would_come_back(house: House) -> None:
    one = person(house, "google", linked=True)
    with refused("would come back with it at the next sign-in. Disconnect that at Clerk first."):
        one.begin(one.about("google", AddressAction.UNLINK))


def test_what_waits_under_an_unlinked_address_is_for_its_next_owner(house: House) -> None:
    one, two = person(house, "shared"), person(house)
    one.act(one.about("shared", AddressAction.UNLINK))
    buy(house.db, one.email("shared"))
    two.act(Change(AddressAction.ADD, two.user_id, one.email("shared"), verified=True, primary=True))
    assert two.profile.membership is Membership.PRO
    assert one.profile.membership is Membership.FREE


def test_one_that_is_gone_there_is_taken_over_here(house: House) -> None:
    one = person(house, "old")
    with house.db.unit_of_work(OPERATOR) as ctx:
        row = PersonAddress(user_id=one.user_id, email=one.email("ghost"), verified_at=ctx.now)
        ctx.session.add(row)
    plan = one.plan(one.about("ghost", AddressAction.UNLINK))
    assert (plan.refusal, plan.consequences[0]) == (None, "Nothing is sent to Clerk: what it says is taken over here.")
    one.act(one.about("ghost", AddressAction.UNLINK))
    assert one.here == [("main", True), ("old", False)]
    assert [(call.state, call.attempts) for call in one.calls] == [(CallState.SUCCEEDED, 0)]


# -- the primary one, and the right one --------------------------------------------------------------------------------


def test_what_waits_under_the_new_primary_address_comes_at_once(house: House) -> None:
    one = person(house)
    pending = buy(house.db, one.email("work"))
    control.add_address(house.simulator, one.user_id, one.email("work"))
    people.ask(house.bench, one.user_id)
    assert one.profile.membership is Membership.FREE  # not before they sign in by it, or it is the primary one
    change = one.about("work", AddressAction.PRIMARY)
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


def test_a_legacy_row_under_the_right_address_comes_and_the_plan_says_so(house: House) -> None:
    one = person(house)
    add_profile(house.db, "temp_1", email=one.email("right"), membership=Membership.PRO, whop_membership_id="mem_old")
    change, snapshot = one.right_one("right", wrong="main"), one.snapshot()
    plan = one.plan(change, snapshot)
    said = "Legacy row temp_1, which waits under it (pro), goes to this account at once."
    assert said in plan.consequences
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(Profile, "temp_1").membership = Membership.FREE
    with pytest.raises(PlanMoved):
        one.begin(change, shown=plan, snapshot=snapshot)
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(Profile, "temp_1").membership = Membership.PRO
    one.act(change)
    assert one.profile.membership is Membership.PRO


def test_who_pays_already_gets_no_second_one_and_the_plan_says_so(house: House) -> None:
    one = person(house)
    buy(house.db, one.email("first"), membership_id="mem_first")
    one.act(one.right_one("first", wrong="main"))
    assert one.profile.membership is Membership.PRO
    pending = buy(house.db, one.email("right"), membership_id="mem_right")
    control.add_address(house.simulator, one.user_id, one.email("right"))
    people.ask(house.bench, one.user_id)
    waits = f"Purchase {pending.id}, which waits under it (pro), stays there and goes to the worklist"
    change = one.about("right", AddressAction.PRIMARY)
    assert f"{waits} at once: the account is pro already." in one.plan(change).consequences
    later = one.right_one("second")
    other = buy(house.db, one.email("second"), membership_id="mem_second")
    said = f"Purchase {other.id}, which waits under it (pro), stays there and goes to the worklist"
    assert f"{said} when the person signs in next: the account is pro already." in one.plan(later).consequences
    one.act(change)
    items = house.rows(select(ExtraPurchase))
    assert [(item.pending_profile_id, item.user_id) for item in items] == [(pending.id, one.user_id)]


def test_what_waits_under_one_that_is_the_primary_one_there_already_is_named(house: House) -> None:
    """Its delivery was lost, so it is not known here; what it says is taken over with all that follows."""
    one = person(house)
    pending = buy(house.db, one.email("right"))
    control.add_address(house.simulator, one.user_id, one.email("right"))
    found, clerk = one.snapshot().entry(one.email("right")), house.bench.providers.clerk
    assert found is not None
    assert clerk is not None
    clerk.change_email(str(found.id), primary=True)
    change = one.right_one("right")
    assert one.plan(change).consequences == (
        "Nothing is sent to Clerk: what it says is taken over here.",
        f"Purchase {pending.id}, which waits under it (pro), goes to this account at once.",
    )
    one.act(change)
    assert (one.profile.membership, one.calls[0].attempts) == (Membership.PRO, 0)


def test_a_wrong_one_of_a_connected_account_stays_and_the_plan_says_so(house: House) -> None:
    one = person(house, "google", linked=True)
    change = one.right_one("right", wrong="google")
    said = " ".join(one.plan(change).consequences)
    assert f"{one.email('google')} stays: it comes with an account that the person connected at Clerk" in said
    one.act(change)
    assert one.here == [("main", True), ("google", False), ("right", False)]


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
    theirs = Change(AddressAction.ADD, one.user_id, two.email("main"), verified=True)
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
        address_changes.right_one(session, one.snapshot(), user_id=one.user_id, email="nonsense", verified=False)
