"""Disputes: several of one payment, in any order, and an old answer never takes back a later one."""

from datetime import date, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.db import Database
from admin_app.integrations.money_ports import StripeDispute
from admin_app.services.core.utc_months import begins, ends
from admin_app.services.finance import month_lines, months
from models import Dispute, Payment
from tests.services.factories import NOON
from tests.services.money import add_paid, dispute, payment_now
from tests.services.payments.test_payments import hear_payment

LATER = timedelta(minutes=1)


def heard(db: Database, payment: Payment, *told: StripeDispute, asked_at: datetime | None = None, **at: Any) -> None:
    if at:
        db.clock = lambda: at["now"]
    newest_first = tuple(reversed(told))
    hear_payment(db, payment, dispute=newest_first[0], disputes=newest_first, asked_at=asked_at)


def rows(db: Database, payment: Payment) -> list[tuple[str, str]]:
    with db.read_only() as read:
        found = read.scalars(select(Dispute).where(Dispute.payment_id == payment.id).order_by(Dispute.id))
        return [(row.stripe_dispute_id, row.status) for row in found]


def lost_lines(db: Database, month: date) -> list[tuple[str, int]]:
    with db.read_only() as read:
        lines = month_lines.lines_between(begins(month), ends(month)).subquery()
        found = read.execute(select(lines.c.kind, lines.c.amount).order_by(lines.c.at))
        return [(kind, amount) for kind, amount in found if kind.startswith("dispute")]


def test_a_payment_has_several_disputes(db: Database) -> None:
    payment = add_paid(db)
    heard(db, payment, dispute(id="du_a", status="lost", amount=3_000))
    heard(db, payment, dispute(id="du_a", status="lost", amount=3_000), dispute(id="du_b", amount=7_000))
    assert rows(db, payment) == [("du_a", "lost"), ("du_b", "needs_response")]
    now = payment_now(db, payment.id)
    assert (now.dispute_id, now.dispute_status, now.dispute_amount) == ("du_b", "needs_response", 7_000)
    assert now.dispute_lost_at is not None
    heard(db, payment, dispute(id="du_a", status="lost"), dispute(id="du_b", status="won"))
    assert payment_now(db, payment.id).dispute_status == "lost"


@pytest.mark.parametrize("old", ["needs_response", "under_review", "warning_needs_response", "warning_under_review"])
@pytest.mark.parametrize("last", ["won", "lost"])
def test_an_old_answer_takes_nothing_back(db: Database, last: str, old: str) -> None:
    payment = add_paid(db)
    heard(db, payment, dispute(id="du_a", status=last))
    before = payment_now(db, payment.id)
    heard(db, payment, dispute(id="du_a", status=old))
    after = payment_now(db, payment.id)
    assert (after.dispute_status, after.dispute_lost_at) == (last, before.dispute_lost_at)


def test_the_time_of_asking_tells_an_old_answer_from_an_appeal(db: Database) -> None:
    payment = add_paid(db)
    story = ["needs_response", "under_review", "lost", "appeal_needs_response", "appeal_under_review", "won"]
    for minutes, status in enumerate(story):
        heard(db, payment, dispute(id="du_a", status=status), asked_at=NOON + minutes * LATER)
    heard(db, payment, dispute(id="du_a", status="lost"), asked_at=NOON + 2 * LATER)
    heard(db, payment, dispute(id="du_a", status="appeal_needs_response"), asked_at=NOON + 3 * LATER)
    assert rows(db, payment) == [("du_a", "won")]


@pytest.mark.parametrize("order", [*permutations(range(4))])
def test_an_inquiry_that_becomes_a_dispute_and_is_lost_in_any_order(db: Database, order: tuple[int, ...]) -> None:
    payment = add_paid(db)
    story = ["warning_needs_response", "warning_under_review", "needs_response", "lost"]
    for place in order:
        heard(db, payment, dispute(id="du_a", status=story[place]))
    assert rows(db, payment) == [("du_a", "lost")]


def test_what_is_lost_stays_in_its_month(db: Database) -> None:
    payment = add_paid(db)
    october, november = datetime(2026, 10, 20, tzinfo=NOON.tzinfo), datetime(2026, 11, 9, tzinfo=NOON.tzinfo)
    lost = dispute(id="du_a", status="lost", amount=3_000)
    heard(db, payment, lost, now=october)
    heard(db, payment, dispute(id="du_a", status="under_review"), now=november)
    heard(db, payment, lost, dispute(id="du_b", status="needs_response"), now=november)
    heard(db, payment, lost, dispute(id="du_b", status="lost", amount=500), now=november)
    assert lost_lines(db, date(2026, 10, 1)) == [("dispute_lost", -3_000)]
    assert lost_lines(db, date(2026, 11, 1)) == [("dispute_lost", -500)]
    heard(db, payment, dispute(id="du_a", status="won", amount=3_000), now=november + LATER)
    assert lost_lines(db, date(2026, 10, 1)) == [("dispute_lost", -3_000)]
    assert lost_lines(db, date(2026, 11, 1)) == [("dispute_lost", -500), ("dispute_won", 3_000)]


def test_each_open_dispute_is_said_when_a_month_is_closed(db: Database) -> None:
    payment = add_paid(db)
    heard(db, payment, dispute(), dispute(status="under_review"), dispute(status="won"))
    with db.read_only() as read:
        month = payment_now(db, payment.id).paid_at.date().replace(day=1)
        assert months.moving(read, month).disputes == 2
