"""Somebody changes the e-mail, an account is deleted and made anew: what was bought goes to whoever has the address."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from admin_app.db import Database
from admin_app.errors import NotSignedIn
from admin_app.services import inbox, invariants, memberships, purchases
from admin_app.services.core import audit
from admin_app.services.purchases import account_deletion, claims, undo
from admin_app.simulator import control
from models import (
    EventState,
    ExtraPurchase,
    Membership,
    Merge,
    PendingProfile,
    PersonAddress,
    Profile,
    WebhookEvent,
)
from tests.house import House, build
from tests.public.test_claims import SIGN_IN
from tests.public.test_clerk_tells import told
from tests.services.factories import LATER, NOON, OPERATOR, SUPPORT, WHOP, buy, customer, facts, waiting

X, Y, Z = "x@example.com", "y@example.com", "z@example.com"


def unique(email: str, test: str) -> str:
    """The tests share one simulator, where an address is one person's."""
    name, _, domain = email.partition("@")
    return f"{name}.{test}@{domain}"


def sign_in(house: House, token: str) -> dict[str, Any]:
    answer = house.post(SIGN_IN, token=token)
    assert answer.status_code == 200, answer.json
    answered: dict[str, Any] = answer.json
    return answered


def profile(house: House, user_id: str) -> Profile:
    (found,) = house.rows(select(Profile).where(Profile.user_id == user_id))
    return found  # type: ignore[no-any-return]


def purchase(house: House, pending_id: int) -> PendingProfile:
    (found,) = house.rows(select(PendingProfile).where(PendingProfile.id == pending_id))
    return found  # type: ignore[no-any-return]


def addresses(house: House, user_id: str) -> list[tuple[str, bool, bool]]:
    """Each with whether it is the primary one, and whether it was given up."""
    rows = house.rows(select(PersonAddress).where(PersonAddress.user_id == user_id).order_by(PersonAddress.id))
    return [(row.email, row.is_primary, row.given_up_at is not None) for row in rows]


def state_of(house: House, delivery: str) -> tuple[EventState, str | None]:
    (event,) = house.rows(select(WebhookEvent).where(WebhookEvent.external_id == delivery))
    return event.state, event.outcome or event.parked_because


def nothing_is_broken(house: House) -> None:
    with house.db.read_only() as session:
        assert invariants.broken(session, now=house.db.clock() + timedelta(hours=1)) == []


# -- a person changes the e-mail ----------------------------------------------------------------------------------


def test_the_old_address_gets_a_new_owner_who_buys(house: House) -> None:
    old, new = unique(X, "buys"), unique(Y, "buys")
    former, former_token = house.customer(old)
    sign_in(house, former_token)
    control.change_email(house.simulator, former, new, webhook=False)
    owner, owner_token = house.customer(old)
    sign_in(house, owner_token)
    house.work()
    with house.db.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts(old))
    assert (profile(house, owner).membership, profile(house, former).membership) == (Membership.PRO, Membership.FREE)
    assert (profile(house, owner).email, profile(house, former).email) == (old, new)
    assert addresses(house, former) == [(old, False, True), (new, True, False)]
    nothing_is_broken(house)


def test_the_new_owner_buys_before_they_have_an_account(house: House) -> None:
    """Clerk told of the change, so the former owner is nobody's buyer; the purchase they claimed stays theirs."""
    old, new = unique(X, "before"), unique(Y, "before")
    buy(house.db, old, membership_id="mem_former")
    former, former_token = house.customer(old)
    assert sign_in(house, former_token)["outcome"] == "created"
    control.change_email(house.simulator, former, new, webhook=False)
    house.clerk(told(former, new, kind="user.updated"), delivery="msg_changed")
    house.work()
    second = buy(house.db, old, membership_id="mem_second", occurred_at=NOON + LATER)
    assert (second.claimed, second.whop_membership_id, second.usage_credits) == (False, "mem_second", 1000)
    assert profile(house, former).whop_membership_id == "mem_former"
    _, owner_token = house.customer(old)
    answer = sign_in(house, owner_token)
    assert (answer["outcome"], answer["profile"]["membership"]) == ("created", "pro")
    with house.db.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts(old, membership_id="mem_former", occurred_at=NOON + 30 * LATER))
    assert profile(house, former).whop_membership_id == "mem_former"
    nothing_is_broken(house)


def test_an_old_delivery_applied_late_claims_nothing_for_whoever_owned_the_address_then(house: House) -> None:
    old, new = unique(X, "late"), unique(Y, "late")
    former, _ = house.customer(old)
    control.change_email(house.simulator, former, new, webhook=False)
    waits = buy(house.db, old)
    house.clerk(told(former, old), delivery="msg_late")
    house.work()
    assert state_of(house, "msg_late") == (EventState.PROCESSED, "none")
    assert purchase(house, waits.id).claimed is False
    assert addresses(house, former) == [(new, True, False)]


def test_a_delivery_of_which_clerk_could_not_be_asked_waits_for_a_release(house: House) -> None:
    email = unique(X, "away")
    person, _ = house.customer(email)
    waits = buy(house.db, email)
    control.fault(house.simulator, "clerk", "500", times=20)
    house.clerk(told(person, email), delivery="msg_away")
    house.work(last_try=True)
    control.fault(house.simulator, "clerk", "off")
    assert state_of(house, "msg_away") == (EventState.PARKED, "clerk_not_asked")
    assert not purchase(house, waits.id).claimed
    with house.db.unit_of_work(SUPPORT) as ctx:
        (event,) = ctx.session.scalars(select(WebhookEvent).where(WebhookEvent.external_id == "msg_away"))
        inbox.release(ctx, event_id=event.id, reason="Clerk answers again")
    house.work()
    assert purchase(house, waits.id).claimed_by_user_id == person


def test_where_nobody_can_be_asked_the_newest_delivery_counts(simulator: str, db: Database) -> None:
    house = build(simulator, db, clerk_secret_key="")
    newer, older = at(told("user_untold", Y, kind="user.updated"), 2000), at(told("user_untold", X), 1000)
    house.clerk(newer, delivery="msg_newer")
    house.work()
    waits = buy(db, X)
    house.clerk(older, delivery="msg_older")
    house.work()
    assert state_of(house, "msg_older")[0] is EventState.SUPERSEDED
    assert not purchase(house, waits.id).claimed
    assert profile(house, "user_untold").email == Y


def at(body: bytes, milliseconds: int) -> bytes:
    event = json.loads(body)
    event["data"]["updated_at"] = 1_793_698_200_000 + milliseconds
    return json.dumps(event).encode()


def test_two_accounts_that_clerk_calls_owners_of_one_address_do_not_take_turns(house: House) -> None:
    email = unique(X, "both")
    first, first_token = house.customer(email)
    second = f"{first}_twin"
    control.seed_users(house.simulator, [{"id": second, "name": "Twin", "email": email, "verified": True}])
    sign_in(house, first_token)
    sign_in(house, control.token(house.simulator, second))
    assert house.work() < 5
    assert addresses(house, second) == [(email, True, False)]
    assert addresses(house, first) == [(email, False, True)]
    nothing_is_broken(house)


def test_a_profile_shows_the_primary_address_and_no_address_that_was_claimed_beside_it(db: Database) -> None:
    buy(db, Y)
    with db.unit_of_work(customer("user_a", X, Y)) as ctx:
        assert claims.sign_in(ctx).profile.email == X
    with db.unit_of_work(customer("user_a", Z, Y)) as ctx:
        assert claims.sign_in(ctx).profile.email == Z
    with db.read_only() as session:
        assert session.scalars(select(PersonAddress.email).where(PersonAddress.given_up_at.is_(None))).all() == [Y, Z]


def test_an_answer_that_is_older_than_the_one_that_counts_changes_no_address(db: Database) -> None:
    now = datetime.now(UTC)
    for emails, asked_at in (((Y,), now), ((X,), now - timedelta(seconds=20))):
        who = customer("user_a", *emails)
        with db.unit_of_work(type(who)(who.user_id, who.verified_emails, who.email, asked_at=asked_at)) as ctx:
            claims.sign_in(ctx)
    with db.read_only() as session:
        assert [(row.email, row.given_up_at) for row in session.scalars(select(PersonAddress))] == [(Y, None)]
        assert session.get_one(Profile, "user_a").email == Y


# -- an account is deleted ------------------------------------------------------------------------------------------


def deleted(user_id: str) -> bytes:
    data = {"deleted": True, "id": user_id, "object": "user"}
    return json.dumps({"data": data, "object": "event", "type": "user.deleted"}).encode()


def test_the_person_comes_back_with_a_new_account_and_the_same_address(house: House) -> None:
    email = unique(X, "back")
    buy(house.db, email)
    former, token = house.customer(email)
    sign_in(house, token)
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(update(Profile).where(Profile.user_id == former).values(used_credits=120))
    control.delete_user(house.simulator, former, webhook=False)
    for delivery in ("msg_deleted", "msg_deleted_again"):
        house.clerk(deleted(former), delivery=delivery)
        house.work()
        assert state_of(house, delivery) == (EventState.PROCESSED, "account_deleted")
    gone = profile(house, former)
    assert (gone.membership, gone.whop_membership_id, gone.usage_credits) == (Membership.FREE, None, 0)
    assert gone.account_deleted_at is not None
    with house.db.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts(None, occurred_at=NOON + 20 * LATER, period_end=NOON + 60 * LATER))
        assert waiting(ctx, email).billing_cycle_end == NOON + 60 * LATER
    _, new_token = house.customer(email)
    answer = sign_in(house, new_token)
    assert (answer["outcome"], answer["profile"]["membership"]) == ("created", "pro")
    assert (answer["profile"]["usage_credits"], answer["profile"]["used_credits"]) == (1000, 120)
    nothing_is_broken(house)
    with house.db.read_only() as session:
        assert "purchase.let_go" in {entry.event for entry in audit.history(session, f"profile:{former}")}


def test_the_deletion_was_never_told(house: House) -> None:
    """The new account of the address has Clerk asked about the former one, and gets what that one lets go of."""
    email = unique(X, "never")
    buy(house.db, email)
    former, token = house.customer(email)
    sign_in(house, token)
    control.delete_user(house.simulator, former, webhook=False)
    new, new_token = house.customer(email)
    assert sign_in(house, new_token)["outcome"] == "none"
    house.work()
    assert profile(house, former).account_deleted_at is not None
    assert profile(house, new).membership is Membership.PRO
    nothing_is_broken(house)


def test_what_was_credited_without_a_claim_waits_as_well(house: House) -> None:
    email = unique(X, "credited")
    former, token = house.customer(email)
    sign_in(house, token)
    with house.db.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts(email))
    assert profile(house, former).membership is Membership.PRO
    house.clerk(deleted(former))
    house.work()
    with house.db.read_only() as session:
        pending = session.scalars(select(PendingProfile)).one()
        assert (pending.email, pending.whop_membership_id, pending.usage_credits) == (email, "mem_1", 1000)
        assert not pending.claimed
    nothing_is_broken(house)


def test_a_late_delivery_about_a_deleted_account_gives_it_nothing(house: House) -> None:
    email = unique(X, "dead")
    person, token = house.customer(email)
    sign_in(house, token)
    control.delete_user(house.simulator, person, webhook=False)
    waits = buy(house.db, unique(Y, "dead"))
    house.clerk(told(person, waits.email, kind="user.updated"), delivery="msg_1")
    house.work()
    assert state_of(house, "msg_1") == (EventState.PROCESSED, "account_deleted")
    house.clerk(deleted("user_dead_before"), delivery="msg_2")
    house.clerk(told("user_dead_before", waits.email), delivery="msg_3")
    house.work()
    assert state_of(house, "msg_2")[0] is EventState.IGNORED
    assert state_of(house, "msg_3") == (EventState.IGNORED, "the account was deleted")
    assert not purchase(house, waits.id).claimed


def test_a_person_whom_clerk_does_not_know_yet_is_whom_the_delivery_names(house: House) -> None:
    email = unique(X, "yet")
    waits = buy(house.db, email)
    house.clerk(told("user_not_yet", email), delivery="msg_1")
    house.clerk(told("user_not_yet_either", email), delivery="msg_2")
    house.work()
    assert purchase(house, waits.id).claimed_by_user_id == "user_not_yet"
    assert addresses(house, "user_not_yet_either") == []


def test_a_claim_that_was_under_way_gives_a_deleted_account_nothing(house: House) -> None:
    email = unique(X, "underway")
    person, token = house.customer(email)
    sign_in(house, token)
    asked_at = datetime.now(UTC)
    house.clerk(deleted(person))
    house.work()
    waits = buy(house.db, email)
    who = customer(person, email)
    with (
        pytest.raises(NotSignedIn),
        house.db.unit_of_work(type(who)(person, who.verified_emails, email, asked_at=asked_at)) as ctx,
    ):
        claims.sign_in(ctx)
    assert not purchase(house, waits.id).claimed


def test_the_claim_of_an_account_that_was_deleted_since_cannot_be_undone_again(house: House) -> None:
    email = unique(X, "undo")
    buy(house.db, email)
    person, token = house.customer(email)
    sign_in(house, token)
    house.clerk(deleted(person))
    house.work()
    (merge,) = house.rows(select(Merge))
    assert (merge.undone_by, merge.undo_reason) == ("process_event", account_deletion.BECAUSE)
    with house.db.unit_of_work(SUPPORT) as ctx:
        assert undo.plan(ctx, merge_id=merge.id).refusal == (
            "This cannot be undone any more: It was undone already by process_event."
        )


def test_a_living_purchase_waits_there_already_so_both_wait(house: House) -> None:
    email = unique(X, "two")
    person, token = house.customer(email)
    sign_in(house, token)
    with house.db.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts(email, membership_id="mem_credited"))
        ctx.session.add(PendingProfile(email=email, whop_membership_id="mem_waits"))
    house.clerk(deleted(person))
    house.work()
    (pending,) = house.rows(select(PendingProfile))
    assert (pending.membership, pending.usage_credits) == (Membership.PRO, 2000)
    with house.db.read_only() as session:
        assert {one.external_id for one in memberships.held(session, pending)} == {"mem_credited", "mem_waits"}
    assert (profile(house, person).membership, house.rows(select(ExtraPurchase))) == (Membership.FREE, [])
    nothing_is_broken(house)
    _, new_token = house.customer(email)
    answer = sign_in(house, new_token)
    assert (answer["profile"]["membership"], answer["profile"]["usage_credits"]) == ("pro", 2000)
    assert [extra.resolved_at for extra in house.rows(select(ExtraPurchase))] == [None]


def test_an_account_that_clerk_knows_after_all_comes_in_again(house: House) -> None:
    email = unique(X, "again")
    buy(house.db, email)
    person, token = house.customer(email)
    sign_in(house, token)
    with house.db.unit_of_work(OPERATOR) as ctx:
        account_deletion.let_go(ctx, user_id=person)
    answer = sign_in(house, token)
    assert (answer["outcome"], answer["profile"]["membership"]) == ("merged", "pro")
    assert profile(house, person).account_deleted_at is None
    nothing_is_broken(house)
