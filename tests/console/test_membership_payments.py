"""What was paid for memberships in the console, and giving it back: who sees what, the plan before the act."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.db import Database
from admin_app.errors import ProviderUnavailable
from models import MembershipPayment, PaymentProvider, ProviderMembership, Refund, RefundState, Role
from tests.console.forms import form_on
from tests.console.test_money import ClientFor
from tests.services.factories import NOON, OPERATOR, add_profile


@pytest.fixture
def payment(db: Database) -> MembershipPayment:
    add_profile(
        db, "user_a", email="a@example.com", membership="pro", payment_provider="whop", whop_membership_id="mem_1"
    )
    return paid(db, "pay_1")


def paid(db: Database, name: str) -> MembershipPayment:
    with db.unit_of_work(OPERATOR) as ctx:
        row = ctx.session.query(ProviderMembership).one()
        row.paid_amount, row.paid_currency = 60_000, "usd"
        made = MembershipPayment(
            membership_id=row.id,
            provider=PaymentProvider.WHOP,
            external_id=name,
            provider_status="succeeded",
            amount=60_000,
            currency="usd",
            captured_amount=60_000,
            refundable=True,
            paid_at=NOON,
            asked_at=NOON,
        )
        ctx.session.add(made)
        ctx.session.flush()
        ctx.session.refresh(made)
        return made


@pytest.fixture(autouse=True)
def whop(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Whop says what is known already; what it was asked about. Asking over HTTP is tests/jobs/test_membership_refunds."""
    asked: list[int] = []
    monkeypatch.setattr("views.console.money.membership_refunds._ask_now", lambda key: asked.append(key))
    yield asked


@contextmanager
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    sentence = str(ProviderUnavailable("whop").sentence)
    with monkeypatch.context() as patch:
        patch.setattr("views.console.money.membership_refunds._ask_now", lambda key: sentence)
        yield


def ask_for(client: Any, payment: MembershipPayment, amount: str, **typed: str) -> Any:
    page = f"/admin/membership-payments/{payment.id}/refund"
    given = {"reason_code": "requested_by_customer", "note": ""} | typed
    return client.post(page, data=form_on(client, f"{page}?amount={amount}") | given)


def refunds(db: Database) -> list[Refund]:
    with db.read_only() as read:
        return list(read.scalars(select(Refund).order_by(Refund.id).execution_options(populate_existing=True)))


def test_payments_stand_on_the_pages_of_the_membership_and_the_account(
    db: Database, payment: MembershipPayment, client_for: ClientFor
) -> None:
    client = client_for(Role.FINANCE)
    for page in (f"/admin/memberships/{payment.membership_id}", "/admin/profiles/user_a"):
        shown = client.get(page).text
        assert f"/admin/membership-payments/{payment.id}" in shown
        assert "600.00 USD" in shown
    assert "pay_1" in client.get(f"/admin/membership-payments/{payment.id}").text
    assert "600.00 USD" in client.get("/admin/membership-payments/?account=user_a").text
    assert "600.00 USD" not in client.get("/admin/membership-payments/?account=user_b").text


@pytest.mark.parametrize(
    ("role", "may"),
    [(Role.SUPPORT, True), (Role.FINANCE, True), (Role.ADMIN, True), (Role.OPS, False), (Role.AUDITOR, False)],
)
def test_who_may_ask_for_a_refund(payment: MembershipPayment, client_for: ClientFor, role: Role, may: bool) -> None:
    client = client_for(role)
    address = f"/admin/membership-payments/{payment.id}/refund"
    assert (f'href="{address}"' in client.get(f"/admin/membership-payments/{payment.id}").text) is may
    assert ("Refund a membership payment" in client.get("/admin/profiles/user_a").text) is may
    assert ("Refund a payment" in client.get(f"/admin/memberships/{payment.membership_id}").text) is may
    assert client.get(address).status_code == (200 if may else 403)


def test_it_is_looked_at_then_asked_for(
    db: Database, payment: MembershipPayment, client_for: ClientFor, whop: list[int]
) -> None:
    client = client_for(Role.SUPPORT)
    way = client.get("/admin/membership-payments/of-account/user_a")
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
    assert set(whop) == {payment.id}
    assert len(whop) >= 4  # at every look


def test_a_large_one_waits_for_somebody_else(db: Database, payment: MembershipPayment, client_for: ClientFor) -> None:
    finance = client_for(Role.FINANCE)
    assert "waits for a second person" in finance.get(ask_for(finance, payment, "600").location).text
    (refund,) = refunds(db)
    page = f"/admin/refunds/{refund.id}/approve"
    assert "You asked for this refund yourself" in finance.get(page).text
    assert "It is sent to Whop at once." in client_for(Role.ADMIN).get(page).text


def test_a_second_click_and_a_plan_that_moved_ask_for_nothing(
    db: Database, payment: MembershipPayment, client_for: ClientFor
) -> None:
    client = client_for(Role.FINANCE)
    page = f"/admin/membership-payments/{payment.id}/refund"
    data = form_on(client, f"{page}?amount=30") | {"reason_code": "duplicate", "note": ""}
    assert [client.post(page, data=data).status_code for _ in range(2)] == [303, 409]
    assert len(refunds(db)) == 1


def test_while_whop_does_not_answer_nothing_is_proposed(
    payment: MembershipPayment, client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with silent(monkeypatch):
        page = client_for(Role.FINANCE).get(f"/admin/membership-payments/{payment.id}/refund?amount=30").text
    assert "Whop does not answer at the moment" in page
    assert 'name="reason_code"' not in page


def test_of_several_payments_one_is_chosen(db: Database, payment: MembershipPayment, client_for: ClientFor) -> None:
    paid(db, "pay_2")
    way = client_for(Role.FINANCE).get(f"/admin/membership-payments/of-membership/{payment.membership_id}")
    assert way.location == f"/admin/membership-payments/?membership={payment.membership_id}&paid=yes"


def test_an_account_of_which_nothing_can_be_given_back_says_so(client_for: ClientFor) -> None:
    answer = client_for(Role.FINANCE).get("/admin/membership-payments/of-account/user_x")
    assert answer.status_code == 404
    assert "Nothing that could be given back" in answer.text
