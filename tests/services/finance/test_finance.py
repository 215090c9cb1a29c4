"""What finance reads: statuses and revenue over time against their definitions, and the morning's worklists."""

import random
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from admin_app.db import Database
from admin_app.services import billing, finance
from admin_app.services.core.utc_months import begins, ends, following, month_of, month_text, read_month
from admin_app.services.finance import revenue_history
from models import BillingChange, BillingStatus, Movement, RefundState
from tests.services.billing_rows import add_client, add_steps, add_subscription
from tests.services.client_rows import add_client as add_stripe_client
from tests.services.client_rows import steps_of, subscription
from tests.services.factories import NOON, OPERATOR
from tests.services.finance.test_months import add_refund
from tests.services.money import STRIPE, add_dispute, add_paid

PARIS = ZoneInfo("Europe/Paris")
TODAY = NOON.astimezone(PARIS).date()


def grow(db: Database, seed: int) -> None:
    """Clients with histories of any shape: revenue in several currencies, same moments, edges of months."""
    chance = random.Random(seed)
    moments = [begins(following(month_of(NOON), -back)) for back in range(16)]
    with db.unit_of_work(OPERATOR) as ctx:
        for _ in range(25):
            days = sorted(
                chance.choice([chance.choice(moments), NOON - timedelta(hours=chance.randrange(9_600))])
                for _ in range(chance.randrange(7))
            )
            add_steps(
                ctx,
                add_client(ctx),
                [
                    (
                        day,
                        chance.choice(list(BillingStatus)),
                        chance.choice(["eur", "eur", "jpy", None]),
                        chance.choice([0, 900, 4_900]),
                    )
                    for day in days
                    if day <= NOON
                ],
            )


def last_changes(session: Session, before: datetime, key: Any) -> list[BillingChange]:
    """The definition, written out: per key the last change before the moment."""
    every = session.query(BillingChange).where(BillingChange.at < before).order_by(BillingChange.at, BillingChange.id)
    return list({key(change): change for change in every}.values())


def require_the_definition(read: Session) -> revenue_history.History:
    """Every number of the history is what the changes say by the definition, and movements are what lies between."""
    found = revenue_history.history(read, NOON)
    assert found.months == tuple(following(date(2026, 11, 1), -back) for back in range(11, -1, -1))
    for place, month in enumerate(found.months):
        by_status = [change.status_after for change in last_changes(read, ends(month), lambda c: c.client_id)]
        for status in BillingStatus:
            counted = found.statuses.get(status, (0,) * 12)[place]
            assert counted == by_status.count(status), (month, status)
        standing = last_changes(read, ends(month), lambda c: (c.client_id, c.currency))
        for currency, revenue in found.revenue.items():
            amounts = [change.monthly_after for change in standing if change.currency == currency]
            at_the_end = revenue[place]
            assert (at_the_end.recurring, at_the_end.paying) == (sum(amounts), sum(a > 0 for a in amounts))
            if place:
                assert at_the_end.net == at_the_end.recurring - revenue[place - 1].recurring
            within = [
                change
                for change in read.query(BillingChange).filter_by(currency=currency)
                if begins(month) <= change.at < ends(month)
            ]
            for kind in (Movement.NEW, Movement.EXPANSION, Movement.CONTRACTION, Movement.CHURN):
                rows = [change.monthly_after - change.monthly_before for change in within if change.movement == kind]
                moved = at_the_end.moved.get(kind, revenue_history.Moved())
                assert (moved.count, moved.amount) == (len(rows), sum(rows))
    return found


def test_statuses_and_revenue_are_those_of_the_last_changes_and_movements_are_what_lies_between(db: Database) -> None:
    for seed in (1, 2):
        grow(db, seed)
    with db.read_only() as read:
        assert set(require_the_definition(read).revenue) == {"eur", "jpy"}


def test_what_is_heard_from_stripe_late_or_twice_adds_up_all_the_same(db: Database) -> None:
    chance = random.Random(3)
    for number in range(6):
        customer = f"cus_{number}"
        made = add_stripe_client(db, stripe_customer_id=customer)
        for days in sorted((chance.randrange(330) for _ in range(6)), reverse=True):
            db.clock = partial(NOON.__sub__, timedelta(days=days))
            told = subscription(
                chance.choice(["active", "past_due", "trialing", "canceled", "paused"]),
                id=f"sub_{number}_{chance.randrange(2)}",
                customer_id=customer,
                currency=chance.choice(["eur", "usd"]),
                monthly_amount=chance.choice([900, 4_900]),
            )
            with db.unit_of_work(STRIPE) as ctx:
                billing.apply_subscription(
                    ctx, told, cause="stripe", told_at=ctx.now - timedelta(days=chance.randrange(40))
                )
        assert steps_of(db, made)
    with db.read_only() as read:
        found = require_the_definition(read)
    assert sum(month.net != 0 for months in found.revenue.values() for month in months) > 5


def test_without_history_there_is_nothing_to_draw(db: Database) -> None:
    with db.read_only() as read:
        found = revenue_history.history(read, NOON)
    assert (found.statuses, found.revenue, len(found.months)) == ({}, {}, 12)


def test_past_due_is_told_by_age_and_currency_oldest_first(db: Database) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        client = add_client(ctx, billing_status=BillingStatus.ACTIVE)
        for days, amount, currency in ((0, 1, "eur"), (7, 2, "eur"), (8, 4, "jpy"), (31, 8, "eur"), (90, 16, "eur")):
            since = NOON - timedelta(days=days)
            add_subscription(ctx, client, past_due_since=since, amount_due=amount, currency=currency)
        add_subscription(ctx, None)
    with db.read_only() as read:
        found = finance.past_due(read, TODAY, PARIS)
    assert (found.sum.count, found.sum.amounts) == (5, {"eur": 27, "jpy": 4})
    assert [(bucket.sum.count, bucket.sum.amounts) for bucket in found.buckets] == [
        (2, {"eur": 3}),
        (1, {"jpy": 4}),
        (0, {}),
        (2, {"eur": 24}),
    ]
    assert [(bucket.first, bucket.last) for bucket in found.buckets] == [
        (date(2026, 11, 11), None),
        (date(2026, 11, 4), date(2026, 11, 10)),
        (date(2026, 10, 19), date(2026, 11, 3)),
        (None, date(2026, 10, 18)),
    ]
    assert [row.amount_due for row in found.oldest] == [16, 8, 4, 2, 1]
    assert (found.oldest[0].name, found.oldest[0].billing_status) == (client.name, BillingStatus.ACTIVE)


def test_disputes_are_told_by_the_day_until_which_evidence_is_taken(db: Database) -> None:
    payments = [add_paid(db) for _ in range(6)]
    dues = [NOON - timedelta(days=1), NOON, NOON + timedelta(days=3), NOON + timedelta(days=5), None, NOON]
    with db.unit_of_work(OPERATOR) as ctx:
        for payment, due in zip(payments, dues, strict=True):
            row = add_dispute(ctx, payment, amount=100, due_by=due)
        row.status = "under_review"
    with db.read_only() as read:
        found = finance.disputes(read, TODAY, PARIS)
    assert (found.sum.count, found.sum.amounts, found.without_deadline) == (5, {"eur": 500}, 1)
    assert [(bucket.label, bucket.sum.count) for bucket in found.buckets] == [
        ("overdue", 1),
        ("within 3 days", 2),
        ("4–7 days", 1),
        ("later", 0),
    ]
    assert [row.payment_id for row in found.next] == [payment.id for payment in payments[:5]]


def test_trials_ending_are_those_of_whole_days_of_the_reader(db: Database) -> None:
    begin, end = datetime(2026, 11, 17, 23, tzinfo=UTC), datetime(2026, 12, 2, 23, tzinfo=UTC)  # midnights in Paris
    trial, active = BillingStatus.TRIAL, BillingStatus.ACTIVE
    moments = [(begin, trial), (end - timedelta(seconds=1), trial), (NOON, active), (end, trial)]
    with db.unit_of_work(OPERATOR) as ctx:
        add_client(ctx, trial_ends_at=begin - timedelta(seconds=1), billing_status=trial)
        rows = [add_client(ctx, trial_ends_at=at, billing_status=status).id for at, status in moments]
    with db.read_only() as read:
        found = finance.trials_ending(read, TODAY, PARIS)
    assert (found.count, [row.id for row in found.next]) == (2, rows[:2])
    assert (found.first, found.last) == (date(2026, 11, 18), date(2026, 12, 2))


def test_pending_cancellations_come_with_the_day_they_take_effect(db: Database) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        for days, values in (
            (3, {"cancel_at_period_end": True, "current_period_end": NOON + timedelta(days=3)}),
            (1, {"cancel_at": NOON + timedelta(days=1), "current_period_end": NOON + timedelta(days=9)}),
            (None, {"ended_at": NOON, "cancel_at": NOON}),
        ):
            client = add_client(ctx, str(days), pending_cancellation=True, cancellation_requested_at=NOON)
            add_subscription(ctx, client, **values)
        add_subscription(ctx, add_client(ctx), cancel_at=NOON)
    with db.read_only() as read:
        found = finance.pending_cancellations(read)
    assert found.count == 3
    assert [(row.name, row.effective_at, row.monthly_amount) for row in found.next] == [
        ("1", NOON + timedelta(days=1), 9900),
        ("3", NOON + timedelta(days=3), 9900),
        ("None", None, None),
    ]


def test_a_cancellation_is_of_the_subscription_that_counts(db: Database) -> None:
    ends = NOON + timedelta(days=20)
    client_id = add_stripe_client(db, stripe_customer_id="cus_1")
    with db.unit_of_work(STRIPE) as ctx:
        leaving = subscription(cancel_at_period_end=True, canceled_at=NOON, current_period_end=ends)
        begun = subscription("incomplete", id="sub_2", monthly_amount=1)
        for found in (leaving, begun):
            billing.apply_subscription(ctx, found, cause="stripe")
    with db.read_only() as read:
        (row,) = finance.pending_cancellations(read).next
    assert (row.id, row.effective_at, row.monthly_amount) == (client_id, ends, 9900)


def test_open_refunds_are_counted_whatever_their_age_and_settled_ones_of_late(db: Database) -> None:
    payment = add_paid(db)
    with db.unit_of_work(OPERATOR) as ctx:
        for state, days in (
            (RefundState.UNKNOWN, 400),
            (RefundState.SUCCEEDED, 91),
            (RefundState.SUCCEEDED, 90),
            (RefundState.FAILED, 1),
        ):
            add_refund(ctx, payment, 100, NOON - timedelta(days=days)).state = state
    with db.read_only() as read:
        found = finance.refunds_by_state(read, TODAY, PARIS)
    counted = {state: (each.count, each.amounts) for state, each in found.items() if each.count}
    assert counted == {
        RefundState.UNKNOWN: (1, {"eur": 100}),
        RefundState.SUCCEEDED: (1, {"eur": 100}),
        RefundState.FAILED: (1, {"eur": 100}),
    }


def test_months_are_read_from_their_names_alone() -> None:
    assert read_month("2026-05") == date(2026, 5, 1)
    assert month_text(date(2026, 5, 1)) == "2026-05"
    for wrong in (
        "2026-13",
        "2026-00",
        "2026-5",
        "26-05",
        "2026/05",
        "0999-01",
        "3000-01",
        "２０２６-05",
        "",
        "999999",
    ):
        assert read_month(wrong) is None
