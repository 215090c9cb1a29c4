"""Canceling a membership at its provider from its page and its holder's: the plan, who may, and what is shown after."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from admin_app.config import Settings
from admin_app.db import Database
from admin_app.integrations import registry
from admin_app.jobs import memberships
from admin_app.jobs.bench import Bench
from admin_app.services.purchases import claims
from admin_app.simulator import control
from models import CallState, ProviderCall, ProviderMembership, Role
from tests.console.purchases.test_purchases import hidden, post
from tests.house import settings_for, simulator
from tests.services.factories import OPERATOR, add_profile, customer

__all__ = ["simulator"]
BUYER = "cancels-in-the-console@example.com"


@pytest.fixture
def settings(simulator: str) -> Settings:
    return settings_for(simulator)


@pytest.fixture
def bench(db: Database, settings: Settings) -> Bench:
    return Bench(db, settings, registry.from_settings(settings))


@pytest.fixture
def number(db: Database, bench: Bench, simulator: str) -> Iterator[int]:
    bought = control.purchase(simulator, email=BUYER, deliver=False)["membership_id"]
    memberships.compare(bench, bought)
    with db.unit_of_work(customer("user_a", BUYER)) as ctx:
        claims.sign_in(ctx)
        found = ctx.session.query(ProviderMembership).filter_by(external_id=bought).one()
        assert found.profile_user_id == "user_a"
    yield found.id
    control.fault(simulator, "whop", "off")


def answered(db: Database, bench: Bench) -> ProviderCall:
    """The last call, after its job."""
    with db.read_only() as session:
        call = session.query(ProviderCall).order_by(ProviderCall.id.desc()).first()
    assert call is not None
    memberships.change(bench, call.id)
    with db.read_only() as session:
        return session.get_one(ProviderCall, call.id)


def test_from_the_page_of_the_membership_and_back(db: Database, bench: Bench, client_for: Any, number: int) -> None:
    support, page = client_for(Role.SUPPORT), f"/admin/memberships/{number}"
    shown = support.get(page).text
    assert ("Cancel at period end" in shown, "Cancel now" in shown) == (True, True)
    assert f"{page}/take-back" not in shown
    plan = support.get(f"{page}/cancel-at-period-end").text
    assert "Whop says now: active, paid until" in plan
    assert "Account user_a holds it" in plan
    assert post(support, f"{page}/cancel-at-period-end", reason="she wrote").status_code == 303
    shown = support.get(page).text
    assert "Whop is being asked to cancel the membership at the end of its period." in shown
    assert answered(db, bench).state is CallState.SUCCEEDED
    shown = support.get(page).text
    assert "is being asked" not in shown
    ends = re.search(r"Ends on, not renewed</dt>\s*<dd[^>]*>(.*?)</dd>", shown, re.DOTALL)
    assert ends
    assert "<time" in ends[1]
    assert f"{page}/cancel-at-period-end" not in shown
    assert post(support, f"{page}/take-back", reason="she stays").status_code == 303
    answered(db, bench)
    shown = support.get(page).text
    assert f"{page}/take-back" not in shown
    assert "membership.uncancel" in client_for(Role.FINANCE).get(page).text


def test_an_unknown_answer_is_shown_with_the_membership(
    db: Database, bench: Bench, simulator: str, client_for: Any, number: int
) -> None:
    finance, page = client_for(Role.FINANCE), f"/admin/memberships/{number}"
    post(finance, f"{page}/cancel-now", reason="chargeback")
    with db.unit_of_work(OPERATOR) as ctx:
        call = ctx.session.query(ProviderCall).one()
        call.state, call.attempts = CallState.UNKNOWN, 1
    assert "so nobody knows yet whether it did; Whop is asked again by itself" in finance.get(page).text
    assert "Membership" in finance.get("/admin/provider-calls/?state=unknown").text
    refused = finance.get(f"{page}/take-back").text
    assert "Wait for its answer" in refused
    with db.unit_of_work(OPERATOR) as ctx:
        call = ctx.session.query(ProviderCall).one()
        call.state, call.error_code, call.finished_at, call.attention_since = (
            CallState.FAILED,
            "not_done",
            ctx.now,
            ctx.now,
        )
    shown = finance.get(page).text
    assert "it was asked, and it had not done it" in shown
    number_of_call = call.id
    to_do = "ask for it again on the page of the membership"
    assert to_do in finance.get(f"/admin/provider-calls/{number_of_call}").text
    post(finance, f"{page}/cancel-now", reason="once more")
    assert answered(db, bench).state is CallState.SUCCEEDED
    assert "had not done it" not in finance.get(page).text


def test_a_plan_that_moved_at_the_provider_is_shown_anew(
    simulator: str, client_for: Any, number: int, db: Database
) -> None:
    support, address = client_for(Role.SUPPORT), f"/admin/memberships/{number}/cancel-now"
    page = support.get(address).text
    with db.read_only() as session:
        external_id = session.get_one(ProviderMembership, number).external_id
    control.cancel_at_period_end(simulator, str(external_id), deliver=False)
    form = {name: hidden(page, name) for name in ("csrf_token", "fingerprint")}
    answer = support.post(address, data=form | {"reason": "double"})
    assert answer.status_code == 409
    assert "and is not renewed." in answer.text
    with db.read_only() as session:
        assert session.query(ProviderCall).count() == 0


def test_a_provider_that_does_not_answer_is_said_and_nothing_can_be_sent(
    simulator: str, client_for: Any, number: int
) -> None:
    control.fault(simulator, "whop", "500", times=20)
    page = client_for(Role.SUPPORT).get(f"/admin/memberships/{number}/cancel-now")
    assert page.status_code == 200
    assert "Whop does not answer, so nobody knows how the membership is there now." in page.text
    assert 'name="reason"' not in page.text


@pytest.mark.parametrize("role", [Role.OPS, Role.AUDITOR])
def test_who_may_not_sees_no_command_and_is_refused(client_for: Any, number: int, role: Role) -> None:
    client = client_for(role)
    shown = client.get(f"/admin/memberships/{number}").text + client.get("/admin/profiles/user_a").text
    assert "ancel now" not in shown
    for word in ("cancel-now", "cancel-at-period-end", "take-back"):
        assert client.get(f"/admin/memberships/{number}/{word}").status_code == 403
        assert client.get(f"/admin/memberships/of-account/user_a/{word}").status_code == 403


def test_from_the_page_of_the_profile(db: Database, client_for: Any, number: int) -> None:
    support = client_for(Role.SUPPORT)
    shown = support.get("/admin/profiles/user_a").text
    assert "/admin/memberships/of-account/user_a/cancel-now" in shown
    assert "of-account/user_a/take-back" not in shown
    to = support.get("/admin/memberships/of-account/user_a/cancel-now")
    assert (to.status_code, to.headers["Location"]) == (302, f"/admin/memberships/{number}/cancel-now")
    add_profile(db, "user_free", email="free@example.com")
    assert "/admin/memberships/of-account" not in support.get("/admin/profiles/user_free").text
    with db.unit_of_work(OPERATOR) as ctx:
        mine = {"profile_user_id": "user_a", "cancel_at_period_end": False, "created_at": ctx.now}
        ctx.session.add(ProviderMembership(provider="stripe", external_id="sub_beside", **mine))
    to = support.get("/admin/memberships/of-account/user_a/cancel-now")
    assert to.headers["Location"] == "/admin/memberships/?account=user_a"
