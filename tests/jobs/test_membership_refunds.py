"""Money of a membership's payment goes back once, at Whop and Stripe alike, whatever is lost, late or done twice."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from admin_app.errors import Conflict, DomainError, Forbidden, NotRefundable, PlanMoved
from admin_app.jobs import refunds as jobs
from admin_app.services import invariants
from admin_app.services.memberships import asking
from admin_app.services.refunds import approvals, membership_refunds, refund_sending
from admin_app.simulator import control
from admin_app.simulator.stripe import control_stripe
from models import (
    Approval,
    CallState,
    Membership,
    MembershipPayment,
    Profile,
    ProviderCall,
    ProviderMembership,
    Refund,
    RefundState,
)
from tests.house import House
from tests.services.factories import AUDITOR, OPERATOR, SUPPORT, add_profile
from tests.services.memberships.paying import deliver, member, membership, payments, subscriber, told
from tests.services.money import add_person

LIMIT = 10_000
Bought = Callable[[House, str], MembershipPayment]


def at_whop(house: House, name: str) -> MembershipPayment:
    member(house, name)
    ask_all(house, f"mem_{name}")
    (row,) = payments(house, f"mem_{name}")
    return row


def at_stripe(house: House, name: str) -> MembershipPayment:
    begun = subscriber(house, name)
    ask_all(house, begun["id"])
    (row,) = payments(house, begun["id"])
    ask_one(house, row)  # which also tells the fee
    return now(house, row)


def ask_one(house: House, row: MembershipPayment) -> None:
    asking.refresh_payment(lambda: house.db.unit_of_work(OPERATOR), house.bench.providers, payment_id=row.id)


def ask_all(house: House, name: str) -> None:
    number = membership(house, name).id
    asking.ask(lambda: house.db.unit_of_work(OPERATOR), house.bench.providers, membership_id=number)


def now(house: House, row: MembershipPayment) -> MembershipPayment:
    (found,) = house.rows(select(MembershipPayment).where(MembershipPayment.id == row.id))
    fresh: MembershipPayment = found
    return fresh


def wish(house: House, row: MembershipPayment, amount: int, *, limit: int = LIMIT) -> str:
    with house.db.unit_of_work(SUPPORT) as ctx:
        return membership_refunds.plan_request(ctx, payment_id=row.id, amount=amount, approval_above=limit).fingerprint


def request(
    house: House,
    row: MembershipPayment,
    amount: int,
    *,
    by: Any = SUPPORT,
    limit: int = LIMIT,
    shown: str | None = None,
) -> int:
    shown = shown or wish(house, row, amount, limit=limit)
    given = {"payment_id": row.id, "amount": amount, "approval_above": limit, "shown": shown}
    with house.db.unit_of_work(by) as ctx:
        made = membership_refunds.request(ctx, reason_code="requested_by_customer", note="", **given)  # type: ignore[arg-type]
        ctx.session.flush()
        return made.id


def refund(house: House, number: int) -> Refund:
    (found,) = house.rows(select(Refund).where(Refund.id == number))
    made: Refund = found
    return made


def there(house: House, row: MembershipPayment) -> list[Any]:
    """The refunds as the provider has them."""
    providers = house.bench.providers
    if row.provider == "whop":
        assert providers.whop is not None
        return list(providers.whop.refunds_of(row.external_id))
    assert providers.stripe is not None
    return list(providers.stripe.refunds_of(row.external_id))


def long_ago(house: House, number: int) -> None:
    """So long that the call would have arrived if it ever did."""
    with house.db.unit_of_work(OPERATOR) as ctx:
        early = ctx.now - 2 * refund_sending.LATE_ENOUGH
        ctx.session.execute(update(Refund).where(Refund.id == number).values(sent_at=early, created_at=early))


def goes_wrong(house: House, row: MembershipPayment, mode: str) -> None:
    """The call that gives back, in all of its tries; the question before it is answered."""
    control.fault(house.simulator, row.provider.value, mode, times=1 if row.provider == "whop" else 3, after=1)


BOTH = pytest.mark.parametrize("buy", [at_whop, at_stripe])


@BOTH
@pytest.mark.parametrize("amount", [1000, 4900], ids=["a part", "all"])
def test_it_goes_back_and_is_shown_as_the_provider_has_it(house: House, buy: Bought, amount: int) -> None:
    row = buy(house, f"back{amount}{buy.__name__}")
    number = request(house, row, amount)
    assert (refund(house, number).state, now(house, row).reserved_amount) == (RefundState.REQUESTED, amount)
    house.work()
    made = refund(house, number)
    assert (made.state, made.amount, made.currency) == (RefundState.SUCCEEDED, amount, row.currency)
    (found,) = there(house, row)
    assert (found.id, found.our_id) == (made.provider_refund_id, number)
    known = now(house, row)
    assert (known.refunded_amount, known.reserved_amount, known.refundable) == (amount, amount, amount < 4900)
    with house.db.read_only() as session:
        assert membership_refunds.quote(session, row.id).refundable == 4900 - amount
        assert invariants.broken(session, now=house.db.clock()) == []


def test_what_whop_does_to_access_is_asked_and_a_stripe_subscription_goes_on(house: House) -> None:
    whop, stripe = at_whop(house, "access"), at_stripe(house, "accessstripe")
    for row, said in ((whop, "Whop brings the membership in line"), (stripe, "a refund does not end it")):
        with house.db.unit_of_work(SUPPORT) as ctx:
            plan = membership_refunds.plan_request(ctx, payment_id=row.id, amount=4900, approval_above=LIMIT)
        assert any(said in sentence for sentence in plan.consequences)
        request(house, row, 4900)
    house.work()
    assert [
        profile.membership
        for profile in house.rows(
            select(Profile).where(Profile.user_id.in_(["user_access", "user_accessstripe"])).order_by(Profile.user_id)
        )
    ] == [Membership.FREE, Membership.PRO]


@BOTH
def test_a_second_click_is_not_a_second_refund(house: House, buy: Bought) -> None:
    row = buy(house, f"click{buy.__name__}")
    shown = wish(house, row, 1000)
    number = request(house, row, 1000, shown=shown)
    with pytest.raises(PlanMoved):
        request(house, row, 1000, shown=shown)
    house.work()
    jobs.send(house.bench, number)
    jobs.ask(house.bench, number)
    assert len(there(house, row)) == 1


@BOTH
def test_two_people_ask_for_all_of_it_and_one_gets_it(house: House, buy: Bought) -> None:
    row = buy(house, f"two{buy.__name__}")
    first, second = wish(house, row, 4900), wish(house, row, 4900)
    request(house, row, 4900, shown=first)
    with pytest.raises(NotRefundable):
        request(house, row, 4900, by=OPERATOR, shown=second)
    house.work()
    assert [found.our_id is not None for found in there(house, row)] == [True]


@BOTH
def test_what_was_lost_is_unknown_and_settled_by_asking(house: House, buy: Bought) -> None:
    """The call arrives, its answer does not."""
    row = buy(house, f"lost{buy.__name__}")
    number = request(house, row, 1000)
    goes_wrong(house, row, "apply-then-drop")
    jobs.send(house.bench, number)
    assert refund(house, number).state is RefundState.UNKNOWN
    with house.db.read_only() as session:
        assert "Nobody knows yet" in (membership_refunds.quote(session, row.id).refusal or "")
    jobs.ask(house.bench, number)
    assert refund(house, number).state is RefundState.SUCCEEDED
    assert len(there(house, row)) == 1
    (call,) = house.rows(select(ProviderCall).where(ProviderCall.subject == f"refund:{number}"))
    assert (call.provider, call.state) == (row.provider, CallState.SUCCEEDED)


@BOTH
def test_what_never_arrived_is_sent_again_under_the_same_key(house: House, buy: Bought) -> None:
    row = buy(house, f"never{buy.__name__}")
    number = request(house, row, 1000)
    goes_wrong(house, row, "reset")
    jobs.send(house.bench, number)
    assert (refund(house, number).state, there(house, row)) == (RefundState.UNKNOWN, [])
    jobs.ask(house.bench, number)
    assert there(house, row) == []  # it may still arrive
    long_ago(house, number)
    jobs.ask(house.bench, number)
    assert (refund(house, number).state, len(there(house, row))) == (RefundState.SUCCEEDED, 1)


def test_nothing_is_sent_again_while_whop_has_one_that_names_no_request(house: House) -> None:
    row = at_whop(house, "unnamed")
    number = request(house, row, 1000)
    goes_wrong(house, row, "reset")
    jobs.send(house.bench, number)
    control.refund_payment(house.simulator, row.external_id, cents=1000, deliver=False)
    long_ago(house, number)
    jobs.ask(house.bench, number)
    assert (refund(house, number).state, len(there(house, row))) == (RefundState.UNKNOWN, 1)


@BOTH
def test_money_that_went_back_at_the_dashboard_meanwhile_does_not_go_back_twice(house: House, buy: Bought) -> None:
    row = buy(house, f"meanwhile{buy.__name__}")
    number = request(house, row, 4900)
    if buy is at_whop:
        control.refund_payment(house.simulator, row.external_id, cents=3000, deliver=False)
    else:
        control_stripe.refund(house.simulator, row.external_id, amount=3000, deliver=False)
    house.work()
    assert (refund(house, number).state, refund(house, number).failure_code) == (
        RefundState.FAILED,
        "refunded_elsewhere",
    )
    assert [found.our_id for found in there(house, row)] == [None]
    known = now(house, row)
    assert (known.refunded_amount, known.reserved_amount) == (3000, 3000)


def test_a_refund_that_is_pending_at_the_bank_follows_it(house: House) -> None:
    row = at_whop(house, "pending")
    control.refund_payment(house.simulator, row.external_id, cents=1000, status="pending", deliver=False)
    ask_all(house, "mem_pending")
    (found,) = house.rows(select(Refund).where(Refund.membership_payment_id == row.id))
    assert found.state is RefundState.SENT
    with house.db.read_only() as session:
        quoted = membership_refunds.quote(session, row.id)
    assert (quoted.refunded, quoted.on_its_way, quoted.refundable) == (0, 1000, 3900)


@BOTH
def test_above_the_limit_a_second_person_decides(house: House, buy: Bought) -> None:
    row = buy(house, f"limit{buy.__name__}")
    asker, other = add_person(house.db), add_person(house.db)
    number = request(house, row, 4900, by=asker, limit=4000)
    house.work()
    assert (refund(house, number).state, there(house, row)) == (RefundState.AWAITING_APPROVAL, [])
    with house.db.unit_of_work(asker) as ctx:
        own = approvals.plan_decision(ctx, refund_id=number)
    assert own.refusal == approvals.OWN
    with pytest.raises(Forbidden), house.db.unit_of_work(asker) as ctx:
        approvals.approve(ctx, refund_id=number, reason="mine", shown=own.fingerprint)
    with house.db.unit_of_work(other) as ctx:
        plan = approvals.plan_decision(ctx, refund_id=number)
    at_once = f"{row.provider.value.capitalize()} at once."
    assert any(said.endswith(at_once) for said in plan.consequences)
    ask_one(house, row)  # asking alone moves no plan
    with house.db.unit_of_work(other) as ctx:
        approvals.approve(ctx, refund_id=number, reason="right", shown=plan.fingerprint)
    house.work()
    assert refund(house, number).state is RefundState.SUCCEEDED
    (decided,) = house.rows(select(Approval).where(Approval.refund_id == number))
    assert decided.decided_by_id != decided.requested_by_id


@BOTH
def test_many_small_ones_count_as_the_large_one_they_make(house: House, buy: Bought) -> None:
    row = buy(house, f"small{buy.__name__}")
    someone = add_person(house.db)
    first = request(house, row, 2000, by=someone, limit=3000)
    second = request(house, row, 2000, by=someone, limit=3000)
    states = [refund(house, each).state for each in (first, second)]
    assert states == [RefundState.REQUESTED, RefundState.AWAITING_APPROVAL]


@pytest.mark.parametrize(("amount", "expected"), [(4901, NotRefundable), (0, NotRefundable), (-1, NotRefundable)])
def test_no_more_than_was_paid(house: House, amount: int, expected: type[DomainError]) -> None:
    row = at_whop(house, f"more{amount}")
    with pytest.raises(expected):
        request(house, row, amount)


def test_whoever_may_not_is_refused(house: House) -> None:
    row = at_whop(house, "auditor")
    with pytest.raises(Forbidden):
        request(house, row, 100, by=AUDITOR)


def test_an_event_that_comes_before_the_answer_changes_nothing_twice(house: House) -> None:
    row = at_stripe(house, "early")
    number = request(house, row, 1000)
    jobs.send(house.bench, number)
    deliver(house, *told(house, row.external_id, "charge.refunded", "refund.created")[::-1])
    assert [made.id for made in house.rows(select(Refund).where(Refund.membership_payment_id == row.id))] == [number]
    assert now(house, row).refunded_amount == 1000


def test_the_conflict_of_a_nameless_membership_is_a_sentence(house: House) -> None:
    add_profile(house.db, "user_nameless", email="n@example.com", membership="pro", payment_provider="whop")
    (number,) = house.rows(select(ProviderMembership.id).where(ProviderMembership.profile_user_id == "user_nameless"))
    with pytest.raises(Conflict) as refused, house.db.unit_of_work(SUPPORT) as ctx:
        asking.ask_soon(ctx, membership_id=number)
    assert refused.value.sentence == asking.NAMELESS
