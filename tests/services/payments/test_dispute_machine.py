"""Whatever becomes of a payment's disputes, and in whatever order it is heard: both sides agree in the end.

What is kept never goes back, and what was lost stays lost in its month, whatever comes after it.
"""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, select

from admin_app.integrations.money_ports import StripeDispute
from admin_app.services import payments
from models import Dispute
from tests.machines import OnDatabase, often
from tests.services.factories import NOON
from tests.services.money import STRIPE, add_paid, dispute, payment_now, told

OFTEN = often((20, 1000), (20, 40))
# What may follow on what, as Stripe's documentation tells the life of a dispute.
NEXT = {
    "warning_needs_response": ("warning_under_review", "needs_response"),
    "warning_under_review": ("warning_closed", "needs_response"),
    "needs_response": ("under_review", "lost", "prevented"),
    "under_review": ("won", "lost"),
    "lost": ("appeal_needs_response",),
    "appeal_needs_response": ("appeal_under_review", "lost"),
    "appeal_under_review": ("won", "lost"),
}
OPEN = {status for status in NEXT if status != "lost"}
numbers = st.integers(0, 9)
Answer = tuple[datetime, tuple[StripeDispute, ...]]


class Disputes(OnDatabase):
    @initialize()
    def begin(self) -> None:
        self.now = NOON
        self.payment = add_paid(self.db)
        self.there: list[StripeDispute] = []
        self.answers: list[Answer] = []
        self.lost: dict[str, datetime] = {}

    def in_the_end(self) -> None:
        if hasattr(self, "payment"):
            self.agree()

    @precondition(lambda self: len(self.there) < 3)
    @rule(status=st.sampled_from(["needs_response", "warning_needs_response"]), amount=st.sampled_from([1, 4_000]))
    def the_bank_disputes(self, status: str, amount: int) -> None:
        self.there.append(dispute(id=f"du_{len(self.there)}", status=status, amount=amount))

    @precondition(lambda self: self.there)
    @rule(which=numbers, way=numbers)
    def a_dispute_goes_on(self, which: int, way: int) -> None:
        place = which % len(self.there)
        ways = NEXT.get(self.there[place].status, ())
        if ways:
            before = self.there[place]
            self.there[place] = dispute(id=before.id, amount=before.amount, status=ways[way % len(ways)])

    @rule()
    def ask(self) -> None:
        self.now += timedelta(minutes=1)
        self.answers.append((self.now, tuple(reversed(self.there))))

    @precondition(lambda self: self.answers)
    @rule(which=numbers)
    def hear(self, which: int) -> None:
        """What was asked for at some time is applied now, in whatever order."""
        self.take_in(self.answers[which % len(self.answers)])

    @rule(days=st.sampled_from([1, 20, 45]))
    def time_passes(self, days: int) -> None:
        self.now += timedelta(days=days)

    @invariant()
    def what_was_lost_stays_in_its_month(self) -> None:
        for row in self.rows():
            if row.stripe_dispute_id in self.lost:
                assert row.lost_at == self.lost[row.stripe_dispute_id]
            if row.lost_at is not None:
                self.lost[row.stripe_dispute_id] = row.lost_at
            assert row.regained_at is None or row.status == "won"

    @invariant()
    def the_payment_says_what_matters_most(self) -> None:
        rows, payment = self.rows(), payment_now(self.db, self.payment.id)
        statuses = {row.stripe_dispute_id: row.status for row in rows}
        assert payment.dispute_status == statuses.get(payment.dispute_id or "")
        if OPEN & set(statuses.values()):
            assert payment.dispute_status in OPEN
        elif "lost" in statuses.values():
            assert payment.dispute_status == "lost"
        missing = [row.lost_at for row in rows if row.lost_at and not row.regained_at]
        assert payment.dispute_lost_at == min(missing, default=None)

    def agree(self) -> None:
        self.ask()
        self.take_in(self.answers[-1])
        for answer in self.answers:
            self.take_in(answer)
        here = {row.stripe_dispute_id: (row.status, row.amount) for row in self.rows()}
        assert here == {found.id: (found.status, found.amount) for found in self.there}

    def take_in(self, answer: Answer) -> None:
        asked_at, found = answer
        latest: Any = {"dispute": found[0] if found else None, "disputes": found, "asked_at": asked_at}
        with self.db.unit_of_work(STRIPE) as ctx:
            payments.apply_payment(ctx, told(self.payment, **latest))

    def rows(self) -> list[Dispute]:
        with self.db.read_only() as read:
            query = select(Dispute).where(Dispute.payment_id == self.payment.id).order_by(Dispute.id)
            return list(read.scalars(query.execution_options(populate_existing=True)))


@pytest.fixture
def machine(_shared_engine: Engine) -> type[Disputes]:
    return type("DisputesHere", (Disputes,), {"engine": _shared_engine})


def test_both_sides_agree_whatever_is_heard_when(machine: type[Disputes]) -> None:
    run_state_machine_as_test(machine, settings=OFTEN)
