"""Four eyes: whoever asks for a large refund is never the one who lets it go."""

from collections.abc import Callable

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from admin_app.context import Staff
from admin_app.db import Database
from admin_app.errors import Conflict, Forbidden, InvalidInput, NotFound, PlanMoved
from admin_app.services import payments
from admin_app.services.refunds import approvals
from models import Approval, Payment, Refund, RefundState, Role, StaffMember
from tests.services.factories import OPERATOR
from tests.services.money import (
    STRIPE,
    add_paid,
    add_person,
    ask_back,
    dispute,
    payment_now,
    refund_now,
    require_reserve,
    told,
)
from tests.services.purchases.test_claim_races import at_once
from tests.services.refunds.test_refunds import jobs


@pytest.fixture
def asker(db: Database) -> Staff:
    return add_person(db)


@pytest.fixture
def payment(db: Database) -> Payment:
    return add_paid(db, amount=60_000)


@pytest.fixture
def refund(db: Database, payment: Payment, asker: Staff) -> Refund:
    return ask_back(db, payment, 30_000, by=asker, note="Practice closed")


def decide(
    db: Database,
    by: Staff,
    refund: Refund,
    how: Callable[..., Refund] = approvals.approve,
    *,
    reason: str = "Checked",
    shown: str | None = None,
) -> Refund:
    with db.unit_of_work(by) as ctx:
        plan = approvals.plan_decision(ctx, refund_id=refund.id)
    with db.unit_of_work(by) as ctx:
        return how(ctx, refund_id=refund.id, reason=reason, shown=plan.fingerprint if shown is None else shown)


def approval_of(db: Database, refund: Refund) -> Approval:
    with db.read_only() as read:
        return read.scalars(select(Approval).where(Approval.refund_id == refund.id)).one()


def test_a_large_refund_waits_and_reserves_its_money(db: Database, payment: Payment, refund: Refund) -> None:
    assert refund.state is RefundState.AWAITING_APPROVAL
    assert payment_now(db, payment.id).reserved_amount == 30_000
    assert jobs(db) == []


def test_the_second_person_sees_the_plan_that_was_shown(db: Database, refund: Refund) -> None:
    with db.unit_of_work(add_person(db)) as ctx:
        plan = approvals.plan_decision(ctx, refund_id=refund.id)
    assert [(line.field, line.after) for line in plan.lines] == [
        ("state", RefundState.REQUESTED),
        ("given_back", "300.00 EUR"),
        ("left_to_give_back", "300.00 EUR"),
    ]
    assert plan.refusal is None


def test_approved_it_is_sent(db: Database, refund: Refund) -> None:
    second = add_person(db)
    decide(db, second, refund)
    assert refund_now(db, refund.id).state is RefundState.REQUESTED
    approval = approval_of(db, refund)
    assert (approval.decision, approval.decided_by_id, approval.reason) == ("approved", second.id, "Checked")
    assert jobs(db) == ["send_refund"]
    require_reserve(db, refund.payment_id)


def test_declined_its_money_is_free_again(db: Database, payment: Payment, refund: Refund) -> None:
    decide(db, add_person(db, Role.ADMIN), refund, approvals.decline)
    assert refund_now(db, refund.id).state is RefundState.DECLINED
    assert payment_now(db, payment.id).reserved_amount == 0
    assert jobs(db) == []


@pytest.mark.parametrize("how", [approvals.approve, approvals.decline])
def test_the_one_who_asked_does_not_decide(
    db: Database, asker: Staff, refund: Refund, how: Callable[..., Refund]
) -> None:
    with db.unit_of_work(asker) as ctx:
        assert approvals.plan_decision(ctx, refund_id=refund.id).refusal == approvals.OWN
    with pytest.raises(Forbidden) as refused:
        decide(db, asker, refund, how)
    assert refused.value.sentence == approvals.OWN


def test_a_new_role_is_not_a_second_person(db: Database, payment: Payment) -> None:
    asker = add_person(db, Role.SUPPORT)
    refund = ask_back(db, payment, 30_000, by=asker)
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(StaffMember, asker.id).role = Role.ADMIN
    with pytest.raises(Forbidden):
        decide(db, Staff(asker.id, asker.email, Role.ADMIN), refund)


def test_the_table_refuses_one_person_for_two(db: Database, asker: Staff, refund: Refund) -> None:
    with pytest.raises(IntegrityError, match="two_people"), db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(
            text("UPDATE approvals SET decided_by_id = requested_by_id, decided_at = now(), decision = 'approved'")
        )


def test_only_finance_and_administrators_decide(db: Database, refund: Refund) -> None:
    for role in (Role.SUPPORT, Role.OPS, Role.AUDITOR):
        with pytest.raises(Forbidden):
            decide(db, add_person(db, role), refund)
    with db.unit_of_work(OPERATOR) as ctx:
        plan = approvals.plan_decision(ctx, refund_id=refund.id)
        with pytest.raises(Conflict):
            approvals.approve(ctx, refund_id=refund.id, reason="a job", shown=plan.fingerprint)


def test_a_decision_needs_a_reason_and_the_plan_as_shown(db: Database, refund: Refund) -> None:
    with pytest.raises(InvalidInput):
        decide(db, add_person(db), refund, reason=" ")
    with pytest.raises(PlanMoved):
        decide(db, add_person(db), refund, shown="another one")


def test_a_payment_that_is_disputed_meanwhile_is_not_let_go(db: Database, payment: Payment, refund: Refund) -> None:
    with db.unit_of_work(STRIPE) as ctx:
        payments.apply_payment(ctx, told(payment, dispute=dispute()))
    with pytest.raises(Conflict):
        decide(db, add_person(db), refund)
    decide(db, add_person(db), refund, approvals.decline)


def test_a_second_click_finds_it_decided(db: Database, refund: Refund) -> None:
    second = add_person(db)
    decide(db, second, refund)
    with pytest.raises(Conflict):
        decide(db, second, refund)
    with pytest.raises(Conflict):
        decide(db, add_person(db), refund, approvals.decline)
    assert jobs(db) == ["send_refund"]


def test_a_refund_that_waits_for_nobody_is_not_decided(db: Database, payment: Payment) -> None:
    small = ask_back(db, payment, 100, by=add_person(db))
    with pytest.raises(Conflict):
        decide(db, add_person(db), small)
    with db.unit_of_work(add_person(db)) as ctx, pytest.raises(NotFound):
        approvals.plan_decision(ctx, refund_id=10**12)


def test_two_who_decide_at_once_are_one_decision(real_db: Database) -> None:
    payment = add_paid(real_db, amount=60_000)
    asker, crowd = add_person(real_db), [add_person(real_db) for _ in range(6)]
    refund = ask_back(real_db, payment, 30_000, by=asker)

    def deciding(by: Staff, how: Callable[..., Refund]) -> Callable[[], str]:
        return lambda: decide(real_db, by, refund, how).state.value

    ways = [deciding(each, (approvals.approve, approvals.decline)[n % 2]) for n, each in enumerate(crowd)]
    answers = at_once([*ways, deciding(asker, approvals.approve)])
    decided = answers["requested"] + answers["declined"]
    assert decided == 1
    assert answers["forbidden"] + answers["conflict"] + answers["plan_moved"] == 6
    require_reserve(real_db, payment.id)
