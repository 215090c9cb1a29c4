"""Correcting and unlinking a person's address from its page and its account's: the plan, who may, and what is shown."""

from itertools import count
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.config import Settings
from admin_app.db import Database
from admin_app.integrations import registry
from admin_app.jobs import people
from admin_app.jobs.bench import Bench
from admin_app.simulator import control
from models import CallState, PersonAddress, ProviderCall, Role
from tests.console.purchases.test_purchases import post
from tests.house import settings_for, simulator
from tests.services.factories import OPERATOR, buy

__all__ = ["simulator"]
numbers = count(1)


@pytest.fixture
def settings(simulator: str) -> Settings:
    return settings_for(simulator)


@pytest.fixture
def bench(db: Database, settings: Settings) -> Bench:
    return Bench(db, settings, registry.from_settings(settings))


@pytest.fixture
def user_id(bench: Bench, simulator: str) -> str:
    """Somebody with two verified addresses."""
    number = next(numbers)
    made = control.create_user(simulator, name="Ada", email=f"main{number}@console.example.com")
    control.add_address(simulator, made["id"], f"old{number}@console.example.com")
    people.ask(bench, made["id"])
    return str(made["id"])


def rows(db: Database, user_id: str) -> list[PersonAddress]:
    mine = select(PersonAddress).where(PersonAddress.user_id == user_id, PersonAddress.given_up_at.is_(None))
    with db.read_only() as session:
        return list(session.scalars(mine.order_by(PersonAddress.is_primary.desc(), PersonAddress.id)))


def work(db: Database, bench: Bench) -> ProviderCall:
    """The last call, after the jobs of all that are open."""
    for _ in range(3):
        with db.read_only() as session:
            waiting = select(ProviderCall.id).where(ProviderCall.finished_at.is_(None)).order_by(ProviderCall.id)
            call_id = session.scalars(waiting.limit(1)).first()
        if call_id is None:
            break
        people.change_address(bench, call_id)
    with db.read_only() as session:
        return session.scalars(select(ProviderCall).order_by(ProviderCall.id.desc()).limit(1)).one()


def test_one_is_unlinked_from_its_page(db: Database, bench: Bench, client_for: Any, user_id: str) -> None:
    support, (main, old) = client_for(Role.SUPPORT), rows(db, user_id)
    page = f"/admin/person-addresses/{old.id}"
    shown = support.get(page).text
    for words in ("Correct this address", "Make it the primary one", "Unlink this address"):
        assert words in shown
    assert "Make it the primary one" not in support.get(f"/admin/person-addresses/{main.id}").text
    plan = support.get(f"{page}/unlink").text
    assert f"The person cannot sign in by this address any more; the primary one is {main.email}." in plan
    assert post(support, f"{page}/unlink", reason="not hers").status_code == 303
    waits = "Clerk is being asked to unlink an address. Its answer is not here yet."
    assert waits in support.get(page).text
    assert waits in support.get(f"/admin/profiles/{user_id}").text
    assert "Wait for its answer" in support.get(f"{page}/make-primary").text
    assert work(db, bench).state is CallState.SUCCEEDED
    assert [row.id for row in rows(db, user_id)] == [main.id]
    shown = support.get(page).text
    assert "Given up" in shown
    assert "Unlink this address" not in shown
    assert "not hers" in shown
    assert "unlink an address" in support.get(f"/admin/profiles/{user_id}").text


def test_the_primary_one_cannot_be_unlinked_and_the_page_says_what_to_do(
    db: Database, client_for: Any, user_id: str
) -> None:
    support, (main, old) = client_for(Role.SUPPORT), rows(db, user_id)
    page = support.get(f"/admin/person-addresses/{main.id}/unlink").text
    assert f"Make another one the primary one first: {old.email}." in page
    assert 'name="reason"' not in page


def test_a_wrong_one_is_corrected(db: Database, bench: Bench, client_for: Any, user_id: str) -> None:
    support, (main, old) = client_for(Role.SUPPORT), rows(db, user_id)
    pending = buy(db, f"right{main.id}@console.example.com")
    page = f"/admin/person-addresses/{main.id}/correct"
    empty = support.get(page)
    assert empty.status_code == 200
    assert 'name="reason"' not in empty.text
    unsaid = support.get(page, query_string={"email": pending.email})
    assert "Choose whether you verified whose it is." in unsaid.text
    wish = {"email": pending.email, "verified": "yes"}
    plan = support.get(page, query_string=wish).text
    assert f"Purchase {pending.id}, which waits under it (pro), goes to this account at once." in plan
    asked = f"{page}?email={pending.email}&verified=yes"
    missing = post(support, asked, **wish, reason=" ")
    assert (missing.status_code, "Write a reason." in missing.text) == (422, True)
    assert post(support, asked, **wish, reason="misspelt").status_code == 303
    work(db, bench)
    assert [row.email for row in rows(db, user_id)] == [pending.email, old.email]
    assert pending.email in support.get(f"/admin/profiles/{user_id}").text


def test_one_is_added_from_the_page_of_the_profile(db: Database, bench: Bench, client_for: Any, user_id: str) -> None:
    support = client_for(Role.SUPPORT)
    shown = support.get(f"/admin/profiles/{user_id}").text
    page = f"/admin/person-addresses/of-account/{user_id}/add"
    assert page in shown
    wish = {"email": f"more{user_id[-6:]}@console.example.com", "verified": "no"}
    plan = support.get(page, query_string=wish).text
    assert "nobody gets anything by it until the person verifies it" in plan
    assert post(support, f"{page}?email={wish['email']}&verified=no", **wish, reason="asked").status_code == 303
    assert work(db, bench).state is CallState.SUCCEEDED
    assert len(rows(db, user_id)) == 2


def test_from_the_profile_to_the_address_that_is_meant(db: Database, client_for: Any, user_id: str) -> None:
    support = client_for(Role.SUPPORT)
    to = support.get(f"/admin/person-addresses/of-account/{user_id}/unlink")
    assert to.headers["Location"] == f"/admin/person-addresses/?account={user_id}"
    main, old = rows(db, user_id)
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(PersonAddress, old.id).given_up_at = ctx.now
    to = support.get(f"/admin/person-addresses/of-account/{user_id}/correct")
    assert to.headers["Location"] == f"/admin/person-addresses/{main.id}/correct"
    assert support.get(f"/admin/person-addresses/of-account/{user_id}/burn").status_code == 404


def test_what_failed_is_shown_with_what_to_do(db: Database, bench: Bench, client_for: Any, user_id: str) -> None:
    support, (main, old) = client_for(Role.SUPPORT), rows(db, user_id)
    page = f"/admin/person-addresses/{old.id}"
    post(support, f"{page}/unlink", reason="not hers")
    with db.unit_of_work(OPERATOR) as ctx:
        call = ctx.session.query(ProviderCall).one()
        call.state, call.attempts = CallState.UNKNOWN, 1
    assert "so nobody knows yet whether it did; Clerk is asked again by itself" in support.get(page).text
    with db.unit_of_work(OPERATOR) as ctx:
        call = ctx.session.query(ProviderCall).one()
        call.state, call.error_code, call.finished_at = CallState.FAILED, "address_is_primary", ctx.now
        call.attention_since = ctx.now
    assert "the address is the primary one there" in support.get(page).text
    shown = support.get(f"/admin/provider-calls/{call.id}").text
    assert "ask for it again on the page of the account" in shown
    assert main.email not in shown


@pytest.mark.parametrize("role", [Role.OPS, Role.AUDITOR, Role.FINANCE])
def test_who_may_not_sees_no_command_and_is_refused(db: Database, client_for: Any, user_id: str, role: Role) -> None:
    client, (_, old) = client_for(role), rows(db, user_id)
    page = f"/admin/person-addresses/{old.id}"
    shown = client.get(page).text + client.get(f"/admin/profiles/{user_id}").text
    assert "Unlink" not in shown
    assert "of-account" not in shown.replace("memberships/of-account", "").replace("membership-payments/of-account", "")
    for word in ("correct", "unlink", "make-primary"):
        assert client.get(f"{page}/{word}").status_code == 403
    for word in ("add", "correct", "unlink"):
        assert client.get(f"/admin/person-addresses/of-account/{user_id}/{word}").status_code == 403
