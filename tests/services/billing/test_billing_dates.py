"""When a step in a client's billing happened, whatever was told late, early or again."""

from datetime import datetime, timedelta

import pytest

from admin_app.db import Database
from admin_app.services import billing
from admin_app.services.subscriptions import billing_mapping
from models import BillingStatus
from tests.services.client_rows import DAY, NOW, add_client, apply, steps_of, subscription
from tests.services.money import STRIPE

S = BillingStatus


def test_a_step_is_never_dated_before_the_one_it_follows(db: Database) -> None:
    client_id = add_client(db, stripe_customer_id="cus_1")
    apply(db, subscription(started_at=NOW - DAY), at=NOW)
    apply(db, subscription(id="sub_2", started_at=NOW - 9 * DAY), at=NOW)
    apply(db, subscription("canceled", ended_at=NOW + 9 * DAY), at=NOW + DAY)
    assert [step.at for step in steps_of(db, client_id)] == [NOW - DAY, NOW - DAY, NOW + DAY]


def test_a_free_month_is_dated_when_it_was_given(db: Database) -> None:
    """A subscription that is paid for since long becomes a trial: what was paid until then stays as it was."""
    client_id = add_client(db, stripe_customer_id="cus_1")
    apply(db, subscription(started_at=NOW - 90 * DAY), at=NOW)
    given = NOW + 5 * DAY
    apply(db, subscription("trialing", started_at=NOW - 90 * DAY, trial_end=NOW + 35 * DAY), at=given, told_at=given)
    apply(db, subscription(started_at=NOW - 90 * DAY, trial_end=NOW + 35 * DAY), at=NOW + 36 * DAY)
    assert [(step.at, step.status_after, step.monthly_after) for step in steps_of(db, client_id)] == [
        (NOW - 90 * DAY, S.ACTIVE, 9_900),
        (given, S.TRIAL, 0),
        (NOW + 35 * DAY, S.ACTIVE, 9_900),
    ]


@pytest.mark.parametrize(
    ("former", "status"),
    [
        ("active", "trialing"),
        ("past_due", "trialing"),
        ("past_due", "unpaid"),
        ("unpaid", "past_due"),
        ("past_due", "paused"),
        ("past_due", "active"),
        ("unpaid", "active"),
        ("brand_new", "active"),
        ("brand_new", "trialing"),
    ],
)
@pytest.mark.parametrize("is_told", [True, False])
def test_a_step_from_what_was_seen_is_dated_when_it_happened(
    db: Database, former: str, status: str, is_told: bool
) -> None:
    """By the event that told of it, or by when it was found: never by the beginning of what was before it."""
    client_id = add_client(db, stripe_customer_id="cus_1")
    since = {"started_at": NOW - 90 * DAY, "past_due_since": NOW - 20 * DAY}
    apply(db, subscription(former, **since), at=NOW)
    trial_end = NOW + 40 * DAY if status == "trialing" else None
    found = subscription(status, trial_end=trial_end, monthly_amount=4_900, **since)
    apply(db, found, at=NOW + 10 * DAY, told_at=NOW + 9 * DAY if is_told else None)
    _, *later = steps_of(db, client_id)
    revenue_moves = billing_mapping.is_paying(former) or billing_mapping.is_paying(status)
    status_moves = billing_mapping.meaning(former)[0] is not billing_mapping.meaning(status)[0]
    assert bool(later) == (revenue_moves or status_moves)
    assert {step.at for step in later} <= {NOW + (9 if is_told else 10) * DAY}


@pytest.mark.parametrize(
    ("status", "at"),
    [
        ("trialing", NOW - 40 * DAY),
        ("active", NOW - 40 * DAY),
        ("unpaid", NOW - 20 * DAY),
        ("past_due", NOW - 20 * DAY),
    ],
)
def test_what_is_seen_for_the_first_time_is_dated_from_its_beginning(db: Database, status: str, at: datetime) -> None:
    client_id = add_client(db, stripe_customer_id="cus_1")
    since = NOW - 20 * DAY if status in ("unpaid", "past_due") else None
    apply(db, subscription(status, past_due_since=since), told_at=NOW - DAY)
    assert [step.at for step in steps_of(db, client_id)] == [at]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("past_due", {"past_due_since": NOW - 60 * DAY}),  # of an invoice that was open long before
        ("canceled", {"ended_at": NOW - 60 * DAY}),
    ],
)
def test_nothing_is_dated_before_an_answer_that_did_not_have_it(
    db: Database, status: str, said: dict[str, datetime]
) -> None:
    client_id = add_client(db, stripe_customer_id="cus_1")
    apply(db, subscription(started_at=NOW - 90 * DAY), at=NOW)
    apply(db, subscription(status, started_at=NOW - 90 * DAY, **said), at=NOW + DAY)
    assert [step.at for step in steps_of(db, client_id)][1:] == [NOW]


def test_a_change_is_not_dated_before_the_last_answer_that_did_not_have_it(db: Database) -> None:
    """An event of long ago that is replayed finds the price of today, which is not of that day."""
    client_id = add_client(db, stripe_customer_id="cus_1")
    apply(db, subscription(), at=NOW)
    apply(db, subscription(monthly_amount=12_900), at=NOW + 40 * DAY, told_at=NOW - 30 * DAY)
    apply(db, subscription(monthly_amount=9_900), at=NOW + 42 * DAY, told_at=NOW + 41 * DAY)
    assert [step.at for step in steps_of(db, client_id)][1:] == [NOW, NOW + 41 * DAY]


def test_who_waited_for_the_client_still_comes_after_the_step_before(db: Database) -> None:
    client_id = add_client(db, stripe_customer_id="cus_1")
    apply(db, subscription(started_at=NOW))
    db.clock = lambda: NOW - timedelta(seconds=1)
    with db.unit_of_work(STRIPE) as ctx:
        billing.apply_subscription(
            ctx, subscription(monthly_amount=1), cause="stripe", fetched_at=NOW + timedelta(seconds=1)
        )
    assert [step.at for step in steps_of(db, client_id)] == [NOW, NOW]
