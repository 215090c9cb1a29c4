"""One spelling of an address: a domain in letters and the same in its ASCII form are one, in rows of before too."""

import pytest
from sqlalchemy import select

from admin_app import addresses
from admin_app.db import Database
from admin_app.integrations.http import fields
from admin_app.services import purchases
from admin_app.services.people import people_search
from admin_app.services.purchases import Applied, claims, merge_fields
from models import PendingProfile, Profile
from tests.services.factories import NOON, OPERATOR, WHOP, add_profile, customer, facts, profile_of

LETTERS, ASCII = "x@b\u00fccher.example", "x@xn--bcher-kva.example"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (ASCII, LETTERS),
        ("X@XN--BCHER-KVA.Example", "X@b\u00fccher.Example"),
        ("x@b\u00fccher.example", LETTERS),
        ("x@B\u00dcCHER.example", LETTERS),
        ("x@bu\u0308cher.example", LETTERS),
        ("x@xn--strae-oqa.example", "x@stra\u00dfe.example"),
        ("x@mail.xn--bcher-kva.xn--p1ai", "x@mail.b\u00fccher.\u0440\u0444"),
        ("Plain@Example.com", "Plain@Example.com"),
        # no valid ASCII form of anything
        ("x@xn--a.example", "x@xn--a.example"),
        ("x@xn--example-.example", "x@xn--example-.example"),
        ("xn--bcher-kva@example.com", "xn--bcher-kva@example.com"),
        ("x@strasse.example", "x@strasse.example"),
    ],
)
def test_an_address_from_outside_is_kept_in_letters(written: str, kept: str) -> None:
    assert fields.email(written) == kept
    assert fields.email(kept) == kept
    assert addresses.comparable(written) == kept.lower()


def test_both_spellings_are_looked_for() -> None:
    assert addresses.spellings(ASCII) == addresses.spellings(LETTERS) == [LETTERS, ASCII]
    assert addresses.spellings("Buyer@Example.com") == ["buyer@example.com"]
    assert addresses.spellings("x@xn--a.example") == ["x@xn--a.example"]
    assert merge_fields.same("email", ASCII, LETTERS)


@pytest.mark.parametrize("before", [LETTERS, ASCII])
@pytest.mark.parametrize("now", [LETTERS, ASCII])
def test_a_row_of_before_is_found_in_whatever_spelling(db: Database, before: str, now: str) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.add(PendingProfile(email=before, whop_membership_id="mem_1", provider_event_at=NOON))
    with db.unit_of_work(WHOP) as ctx:
        later = facts(now, membership_id="mem_1", occurred_at=NOON.replace(hour=13))
        assert purchases.record(ctx, later) is Applied.DONE
    with db.unit_of_work(customer("user_a", now)) as ctx:
        assert claims.sign_in(ctx).outcome == "created"
    with db.read_only() as session:
        assert [row.claimed_by_user_id for row in session.scalars(select(PendingProfile))] == ["user_a"]


@pytest.mark.parametrize("known", ["user_a", "temp_1"])
def test_a_profile_of_before_is_the_buyers(db: Database, known: str) -> None:
    add_profile(db, known, email=ASCII)
    buy_in_letters(db)
    with db.unit_of_work(customer("user_a", LETTERS)) as ctx:
        claims.sign_in(ctx)
    with db.read_only() as session:
        assert [row.membership.value for row in session.scalars(select(Profile))] == ["pro"]
        assert people_search.find_accounts(session, ASCII)[0].user_id == "user_a"
        assert people_search.find_accounts(session, LETTERS)[0].user_id == "user_a"


def buy_in_letters(db: Database) -> None:
    with db.unit_of_work(WHOP) as ctx:
        assert purchases.record(ctx, facts(LETTERS)) is Applied.DONE


def test_two_purchases_of_before_are_both_the_persons(db: Database) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.add_all([PendingProfile(email=LETTERS), PendingProfile(email=ASCII)])
    for outcome in ("created", "already_pro"):
        with db.unit_of_work(customer("user_a", ASCII)) as ctx:
            assert claims.sign_in(ctx).outcome == outcome
    assert profile_of(db, "user_a") is not None
