"""What was paid for memberships in the console, and giving it back: who sees what, the plan before the act."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, select

from admin_app.db import Database
from admin_app.services.core import audit
from admin_app.services.memberships import asking, paid
from admin_app.simulator import control
from models import MembershipPayment, ProviderMembership, Refund, RefundState, Role
from tests.applications import Applications
from tests.console.forms import form_on
from tests.console.page_checks import CheckedClient
from tests.console.refunds.test_money import ClientFor
from tests.house import House, lent, simulator
from tests.services.factories import OPERATOR
from tests.services.memberships.paying import member, membership, payments
from views.console.framework import estimates

__all__ = ["simulator"]
LIMIT = 4000


@pytest.fixture
def house(simulator: str, db: Database, applications: Applications) -> House:
    return lent(applications, simulator, db, refund_approval_above=LIMIT)


@pytest.fixture
def app(house: House) -> Flask:
    estimates.forget()
    house.app.testing = True
    house.app.test_client_class = CheckedClient
    return house.app


@pytest.fixture
def payment(house: House, request: pytest.FixtureRequest) -> MembershipPayment:
    """Of 49.00 USD at Whop, for the membership that `user_…` holds."""
    name = "".join(sign for sign in request.node.name if sign.isalnum())[-40:]
    member(house, name)
    return all_of(house, name)[0]


def all_of(house: House, name: str) -> list[MembershipPayment]:
    number = membership(house, f"mem_{name}").id
    asking.ask(lambda: house.db.unit_of_work(OPERATOR), house.bench.providers, membership_id=number)
    return payments(house, f"mem_{name}")


def account_of(house: House, payment: MembershipPayment) -> str:
    (user_id,) = house.rows(
        select(ProviderMembership.profile_user_id).where(ProviderMembership.id == payment.membership_id)
    )
    return str(user_id)


def ask_for(client: Any, payment: MembershipPayment, amount: str, **typed: str) -> Any:
    page = f"/admin/membership-payments/{payment.id}/refund"
    given = {"reason_code": "requested_by_customer", "note": ""} | typed
    return client.post(page, data=form_on(client, f"{page}?amount={amount}") | given)


def refunds(db: Database) -> list[Refund]:
    with db.read_only() as read:
        return list(read.scalars(select(Refund).order_by(Refund.id).execution_options(populate_existing=True)))


def test_payments_stand_on_the_pages_of_the_membership_and_the_account(
    house: House, payment: MembershipPayment, client_for: ClientFor
) -> None:
    client, account = client_for(Role.FINANCE), account_of(house, payment)
    for page in (f"/admin/memberships/{payment.membership_id}", f"/admin/profiles/{account}"):
        shown = client.get(page).text
        assert f"/admin/membership-payments/{payment.id}" in shown
        assert "49.00 USD" in shown
    assert payment.external_id in client.get(f"/admin/membership-payments/{payment.id}").text
    assert "49.00 USD" in client.get(f"/admin/membership-payments/?account={account}").text
    assert "49.00 USD" not in client.get("/admin/membership-payments/?account=user_b").text


@pytest.mark.parametrize(
    ("role", "may"),
    [(Role.SUPPORT, True), (Role.FINANCE, True), (Role.ADMIN, True), (Role.OPS, False), (Role.AUDITOR, False)],
)
def test_who_may_ask_for_a_refund(
    house: House, payment: MembershipPayment, client_for: ClientFor, role: Role, may: bool
) -> None:
    client = client_for(role)
    address = f"/admin/membership-payments/{payment.id}/refund"
    assert (f'href="{address}"' in client.get(f"/admin/membership-payments/{payment.id}").text) is may
    assert ("Refund a membership payment" in client.get(f"/admin/profiles/{account_of(house, payment)}").text) is may
    assert ("Refund a payment" in client.get(f"/admin/memberships/{payment.membership_id}").text) is may
    assert client.get(address).status_code == (200 if may else 403)


def test_it_is_looked_at_then_asked_for(
    db: Database, house: House, payment: MembershipPayment, client_for: ClientFor
) -> None:
    client = client_for(Role.SUPPORT)
    way = client.get(f"/admin/membership-payments/of-account/{account_of(house, payment)}")
    assert (way.status_code, way.location) == (302, f"/admin/membership-payments/{payment.id}/refund")
    assert 'name="reason_code"' not in client.get(way.location).text  # nothing to send before the plan was seen
    plan = client.get(f"{way.location}?amount=30").text
    assert "30.00 USD go back to what was paid with" in plan
    assert "Whop brings the membership in line with the refund" in plan
    answer = ask_for(client, payment, "30", note="Was ill")
    assert (answer.status_code, answer.location) == (303, f"/admin/membership-payments/{payment.id}")
    (refund,) = refunds(db)
    assert (refund.amount, refund.state, refund.note) == (3000, RefundState.REQUESTED, "Was ill")
    story = client.get(f"/admin/refunds/{refund.id}").text
    assert "It is about to be sent to Whop." in story
    assert f"/admin/membership-payments/{payment.id}" in story
    house.work()
    (refund,) = refunds(db)
    assert refund.state is RefundState.SUCCEEDED
    assert "Whop gave the money back." in client.get(f"/admin/refunds/{refund.id}").text


def test_what_went_back_at_whop_a_moment_ago_is_seen_and_moves_the_plan(
    db: Database, house: House, payment: MembershipPayment, client_for: ClientFor
) -> None:
    client = client_for(Role.FINANCE)
    page = f"/admin/membership-payments/{payment.id}/refund"
    assert 'value="49.00"' in client.get(page).text
    data = form_on(client, f"{page}?amount=30") | {"reason_code": "duplicate", "note": ""}
    control.refund_payment(house.simulator, payment.external_id, cents=1000, deliver=False)
    answer = client.post(page, data=data)
    assert answer.status_code == 409
    assert 'value="39.00"' in client.get(page).text
    assert [refund.origin for refund in refunds(db)] == ["provider"]


def test_a_large_one_waits_for_somebody_else(
    db: Database, house: House, payment: MembershipPayment, client_for: ClientFor
) -> None:
    finance = client_for(Role.FINANCE)
    assert "waits for a second person" in finance.get(ask_for(finance, payment, "49").location).text
    (refund,) = refunds(db)
    page = f"/admin/refunds/{refund.id}/approve"
    assert "You asked for this refund yourself" in finance.get(page).text
    other, account = client_for(Role.ADMIN).get(page).text, account_of(house, payment)
    for said in (
        "It is sent to Whop at once.",
        "Whop brings the membership in line with the refund",
        "Credits that were granted for it stay.",
        f"which account {account} holds",
        f'href="/admin/memberships/{payment.membership_id}"',
        f'href="/admin/profiles/{account}"',
        f'href="/admin/membership-payments/{payment.id}"',
    ):
        assert said in other, said


def test_a_second_click_and_a_plan_that_moved_ask_for_nothing(
    db: Database, payment: MembershipPayment, client_for: ClientFor
) -> None:
    client = client_for(Role.FINANCE)
    page = f"/admin/membership-payments/{payment.id}/refund"
    data = form_on(client, f"{page}?amount=30") | {"reason_code": "duplicate", "note": ""}
    assert [client.post(page, data=data).status_code for _ in range(2)] == [303, 409]
    assert len(refunds(db)) == 1


def test_while_whop_does_not_answer_nothing_is_proposed(
    house: House, payment: MembershipPayment, client_for: ClientFor
) -> None:
    client = client_for(Role.FINANCE)
    control.fault(house.simulator, "whop", "500", times=9)
    page = client.get(f"/admin/membership-payments/{payment.id}/refund?amount=30").text
    control.fault(house.simulator, "whop", "off")
    assert "Whop does not answer at the moment" in page
    assert 'name="reason_code"' not in page


def test_of_several_payments_one_is_chosen(house: House, payment: MembershipPayment, client_for: ClientFor) -> None:
    name = account_of(house, payment).removeprefix("user_")
    member(house, name)  # renewed
    all_of(house, name)
    way = client_for(Role.FINANCE).get(f"/admin/membership-payments/of-membership/{payment.membership_id}")
    assert way.location == f"/admin/membership-payments/?membership={payment.membership_id}&paid=yes"


def test_where_nothing_can_be_given_back_the_list_says_why(
    db: Database, house: House, payment: MembershipPayment, client_for: ClientFor
) -> None:
    client = client_for(Role.FINANCE)
    account = account_of(house, payment)
    ways = {"membership": str(payment.membership_id), "account": account}

    def said(kind: str) -> str:
        way = client.get(f"/admin/membership-payments/of-{kind}/{ways[kind]}")
        assert (way.status_code, way.location) == (302, f"/admin/membership-payments/?{kind}={ways[kind]}")
        return str(client.get(way.location).text)

    ask_for(client, payment, "30")
    house.work()
    ask_for(client, payment, "19")
    for kind in ways:
        page = said(kind)
        assert "All that was paid went back already, or is on its way." in page
        assert f'href="/admin/membership-payments/of-membership/{payment.membership_id}/ask"' in page
        assert "49.00 USD" in page


def test_one_nobody_was_asked_about_leads_to_asking(house: House, client_for: ClientFor) -> None:
    member(house, "neverasked")
    number = membership(house, "mem_neverasked").id
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(delete(MembershipPayment).where(MembershipPayment.membership_id == number))
        ctx.session.get_one(ProviderMembership, number).payments_asked_at = None
    client = client_for(Role.SUPPORT)
    way = client.get(f"/admin/membership-payments/of-membership/{number}")
    assert way.status_code == 302
    page = client.get(way.location).text
    assert "the provider was not asked yet what was paid" in page
    assert client.get(f"/admin/membership-payments/of-membership/{number}/ask").status_code == 200
    assert f'href="/admin/membership-payments/of-membership/{number}/ask"' in page


def test_an_answer_without_payments_leaves_its_time_on_the_page(house: House, client_for: ClientFor) -> None:
    member(house, "unpaid")
    row = membership(house, "mem_unpaid")
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(delete(MembershipPayment).where(MembershipPayment.membership_id == row.id))
        ctx.session.get_one(ProviderMembership, row.id).payments_asked_at = None
    page = f"/admin/memberships/{row.id}"
    before = client_for(Role.SUPPORT).get(page).text
    assert "the provider knows no payment" not in before
    with house.db.unit_of_work(OPERATOR) as ctx:
        paid.apply(ctx, row.id, [], asked_at=datetime(2026, 3, 4, 5, 6, tzinfo=UTC))
    after = client_for(Role.SUPPORT).get(page).text
    assert re.search(r"Payments last asked for</dt>\s*<dd[^>]*>\s*<time[^>]*>04 Mar 2026 \d\d:06", after)
    assert "the provider knows no payment" in after
    all_of(house, "unpaid")
    assert "the provider knows no payment" not in client_for(Role.SUPPORT).get(page).text


def test_an_account_that_is_not_there_is_not_found(client_for: ClientFor) -> None:
    for page in ("of-account/user_x", "of-membership/987654321"):
        answer = client_for(Role.FINANCE).get(f"/admin/membership-payments/{page}")
        assert answer.status_code == 404


def test_the_history_of_a_membership_is_on_its_page_whatever_the_audit_calls_it(
    house: House, payment: MembershipPayment, client_for: ClientFor
) -> None:
    client = client_for(Role.FINANCE)
    page = f"/admin/memberships/{payment.membership_id}"
    ask = f"/admin/membership-payments/of-membership/{payment.membership_id}/ask"
    assert client.post(ask, data=form_on(client, ask)).status_code == 303
    ask_for(client, payment, "30", note="Was ill")
    with house.db.unit_of_work(OPERATOR) as ctx:
        by_number = [f"membership:{payment.membership_id}"]
        audit.record(ctx, "membership.ended_by_hand", records=by_number, facts={"user_id": "user_by_number"})
    shown = client.get(page).text
    for said in (
        "had the provider asked what was paid",
        "Was ill",
        "asked for a refund of 30.00 USD",
        "user_by_number",
    ):
        assert said in shown, said
