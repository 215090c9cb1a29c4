"""Whether a membership ends with its period, and its state, by what a provider says, in whatever way it comes."""

from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from admin_app.context import Job
from admin_app.db import Database
from admin_app.integrations.ports import WhopMembership
from admin_app.services import purchases
from admin_app.services.purchases import reconcile
from models import CreditPeriod, EventState, MembershipStatus, ProviderMembership
from tests.services.billing.test_subscription_events import apply, receive
from tests.services.client_rows import DAY, NOW, subscription
from tests.services.factories import LATER, NOON, WHOP, add_profile, buy, facts, profile_of, waiting

deliveries = count(1)
ACTIVE, INACTIVE = MembershipStatus.ACTIVE, MembershipStatus.INACTIVE
START, END = NOW - 20 * DAY, NOW + 10 * DAY


def row_of(db: Database, external_id: str = "mem_1") -> ProviderMembership:
    with db.read_only() as session:
        return session.query(ProviderMembership).filter_by(external_id=external_id).one()


def ends(db: Database) -> tuple[bool, bool]:
    """By the membership, and by its holder's columns."""
    profile = profile_of(db, "user_a")
    assert profile is not None
    return row_of(db, "sub_1").cancel_at_period_end, profile.cancel_at_period_end


def paying(db: Database) -> None:
    ids = {"stripe_subscription_id": "sub_1", "stripe_customer_id": "cus_1"}
    cycle = {"billing_cycle_start": START, "billing_cycle_end": END, "next_credit_renewal": START + 28 * DAY}
    add_profile(
        db,
        "user_a",
        email="a@example.com",
        membership="pro",
        payment_provider="stripe",
        usage_credits=1000,
        **ids,
        **cycle,
    )


def told(db: Database, at: Any = NOW, **said: Any) -> None:
    found = replace(subscription(), current_period_start=START, current_period_end=END)
    event = apply(db, receive(db, "customer.subscription.updated", next(deliveries)), replace(found, **said), at)
    assert event.state is EventState.PROCESSED


def test_stripes_own_page_names_the_day_and_takes_it_back(db: Database) -> None:
    paying(db)
    told(db, cancel_at=END)
    assert ends(db) == (True, True)
    told(db, NOW + timedelta(minutes=1))
    assert ends(db) == (False, False)
    told(db, NOW + timedelta(minutes=2), cancel_at=END + 30 * DAY)  # renewed once more before
    assert ends(db) == (False, False)
    told(db, NOW + timedelta(minutes=3), cancel_at_period_end=True)
    assert ends(db) == (True, True)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("active", ACTIVE),
        ("trialing", ACTIVE),
        ("past_due", ACTIVE),
        ("unpaid", INACTIVE),
        ("paused", INACTIVE),
        ("incomplete", INACTIVE),
        ("canceled", INACTIVE),
        ("a word of another day", INACTIVE),
    ],
)
def test_each_word_of_stripe_is_a_state_and_kept(db: Database, word: str, status: MembershipStatus) -> None:
    paying(db)
    told(db, status=word, cancel_at_period_end=True)
    row = row_of(db, "sub_1")
    assert (row.status, row.provider_status) == (status, word)
    assert row.cancel_at_period_end is (status is ACTIVE)  # what is over does not end any more
    told(db, NOW + timedelta(minutes=1), status="active")
    assert (row_of(db, "sub_1").status, row_of(db, "sub_1").provider_status) == (ACTIVE, "active")


def test_a_late_payer_is_served_and_gets_the_credits_when_it_is_paid(db: Database) -> None:
    """Stripe begins the next period before it is paid."""
    paying(db)
    following = {"current_period_start": END, "current_period_end": END + 30 * DAY}
    told(db, END + timedelta(hours=1), status="past_due", **following)
    row = row_of(db, "sub_1")
    assert (row.status, row.provider_status, row.period_end) == (ACTIVE, "past_due", END)
    with db.read_only() as session:
        late = session.query(CreditPeriod).filter(CreditPeriod.starts_at >= END).count()
    assert late == 0
    told(db, END + timedelta(days=3), status="active", **following)
    row = row_of(db, "sub_1")
    assert (row.provider_status, row.period_start, row.period_end) == ("active", END, END + 30 * DAY)


def whop(**said: Any) -> WhopMembership:
    values: dict[str, Any] = {
        "id": "mem_1",
        "user_id": "user_whop1",
        "member_id": None,
        "email": "buyer@example.com",
        "name": None,
        "status": "active",
        "plan_duration": "monthly",
        "period_start": NOON,
        "period_end": NOON + 30 * LATER,
        "cancel_at_period_end": False,
        "created_at": NOON,
        "updated_at": NOON,
    }
    return WhopMembership(**(values | said))


def compared(db: Database, after: timedelta, **said: Any) -> None:
    with db.unit_of_work(Job("reconcile_whop")) as ctx:
        reconcile.bring_in(ctx, membership=whop(**said), as_of=NOON + after)


def test_a_comparison_keeps_whops_word_and_end(db: Database) -> None:
    buy(db, period_start=NOON, period_end=NOON + 30 * LATER)
    compared(db, LATER, cancel_at_period_end=True, provider_status="canceling")
    row = row_of(db)
    assert (row.cancel_at_period_end, row.provider_status, row.status) == (True, "canceling", ACTIVE)
    compared(db, 2 * LATER, provider_status="active")
    assert (row_of(db).cancel_at_period_end, row_of(db).provider_status) == (False, "active")
    compared(db, 3 * LATER, provider_status="past_due")
    row = row_of(db)
    assert (row.status, row.provider_status) == (ACTIVE, "past_due")
    tell(db, purchases.record, 4 * LATER, provider_status="active", period_start=NOON, period_end=NOON + 30 * LATER)
    compared(db, 3 * LATER, provider_status="past_due")  # an answer that is older than that
    assert row_of(db).provider_status == "active"


def test_a_late_payment_at_whop_begins_no_cycle(db: Database) -> None:
    buy(db, period_start=NOON, period_end=NOON + 30 * LATER)
    following = {"period_start": NOON + 30 * LATER, "period_end": NOON + 60 * LATER}
    compared(db, 31 * LATER, provider_status="past_due", **following)
    row = row_of(db)
    assert (row.status, row.provider_status, row.period_end) == (ACTIVE, "past_due", NOON + 30 * LATER)
    compared(db, 32 * LATER, provider_status="active", **following)
    assert row_of(db).period_end == NOON + 60 * LATER


def tell(db: Database, what: Any, after: timedelta, **said: Any) -> None:
    with db.unit_of_work(WHOP) as ctx:
        what(ctx, facts(occurred_at=NOON + after, **said))


def test_what_is_renewed_does_not_end_any_more(db: Database) -> None:
    """The delivery that it was taken back was lost; the payment of the next period says so."""
    buy(db, period_start=NOON, period_end=NOON + 30 * LATER)
    tell(db, purchases.set_cancellation, LATER, cancel_at_period_end=True)
    tell(db, purchases.record, 2 * LATER, period_start=NOON, period_end=NOON + 30 * LATER)  # the payment of this one
    assert row_of(db).cancel_at_period_end
    tell(db, purchases.record, 30 * LATER)
    assert not row_of(db).cancel_at_period_end


def test_news_that_do_not_say_whether_it_ends_leave_that(db: Database) -> None:
    buy(db, period_start=NOON, period_end=NOON + 30 * LATER)
    tell(db, purchases.set_cancellation, LATER, cancel_at_period_end=True)
    tell(db, purchases.set_cancellation, 2 * LATER)
    assert row_of(db).cancel_at_period_end


def test_what_nobody_holds_and_ends_with_its_period_is_still_brought_in(db: Database) -> None:
    with db.unit_of_work(WHOP) as ctx:
        ids = {"provider": "whop", "external_id": "mem_1", "cancel_at_period_end": False}
        ctx.session.add(ProviderMembership(**ids, created_at=NOON, updated_at=NOON, provider_event_at=NOON - LATER))
    compared(db, LATER, cancel_at_period_end=True)
    row = row_of(db)
    assert (row.pending_profile_id is not None, row.cancel_at_period_end) == (True, True)


def test_what_makes_nobody_pro_is_kept_right_too(db: Database) -> None:
    free = {"ignored_because": "its plan costs nothing", "product_id": "prod_1", "plan_id": "plan_1"}
    tell(db, purchases.record, timedelta(), cancel_at_period_end=True, **free)
    assert (row_of(db).ignored_because, row_of(db).cancel_at_period_end) == ("its plan costs nothing", True)
    compared(db, LATER, price=0, provider_status="active")
    assert not row_of(db).cancel_at_period_end
    compared(db, 2 * LATER, price=0, status="inactive", provider_status="canceled")
    row = row_of(db)
    assert (row.status, row.provider_status) == (INACTIVE, "canceled")
    assert row.ignored_because is not None


def test_a_further_one_that_is_late_when_it_is_first_seen_gives_credits_once_it_is_paid(db: Database) -> None:
    """And only then, however often Stripe says that it is late, whichever period is paid in the end."""
    paying(db)
    following = {"id": "sub_2", "current_period_start": START + DAY, "current_period_end": END + DAY}
    for hour in (1, 2):
        told(db, START + 2 * DAY + timedelta(hours=hour), status="past_due", **following)
        row = row_of(db, "sub_2")
        assert (row.status, row.provider_status, row.period_start) == (ACTIVE, "past_due", None)
        assert (row.period_end, granted_of(db, "sub_2")) == (START + DAY, [])
    for day in (3, 4):
        told(db, START + day * DAY, status="active", **following)
        row = row_of(db, "sub_2")
        assert (row.period_start, row.period_end) == (START + DAY, END + DAY)
        assert granted_of(db, "sub_2") == [START + DAY]


@pytest.mark.parametrize("dates", [{}, {"period_start": NOON - 3 * LATER, "period_end": NOON + 27 * LATER}])
def test_one_of_whop_that_is_late_when_it_is_first_seen_gives_credits_once_it_is_paid(
    db: Database, dates: dict[str, Any]
) -> None:
    pending = buy(db, provider_status="past_due", **dates)
    assert (pending.membership, pending.usage_credits, granted_of(db, "mem_1")) == ("pro", 0, [])
    paid = {"period_start": NOON - 3 * LATER, "period_end": NOON + 27 * LATER}
    tell(db, purchases.record, LATER, provider_status="active", **paid)
    assert granted_of(db, "mem_1") == [NOON - 3 * LATER]
    with db.unit_of_work(Job("test")) as ctx:
        assert waiting(ctx, "buyer@example.com").usage_credits == 1000


def granted_of(db: Database, external_id: str) -> list[Any]:
    with db.read_only() as session:
        found = session.query(CreditPeriod.starts_at).join(
            ProviderMembership, ProviderMembership.id == CreditPeriod.membership_id
        )
        return [at for (at,) in found.filter(ProviderMembership.external_id == external_id, CreditPeriod.credits > 0)]
