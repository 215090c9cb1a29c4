"""What is with the bank, what is paid too late, two clicks at once: true words, one page, no time sold twice."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from admin_app.context import Job
from admin_app.db import Database
from admin_app.errors import DomainError, OutcomeUnknown, ProviderUnavailable
from admin_app.integrations.money_ports import CheckoutRequest, StripeSession
from admin_app.integrations.stripe.checkout_snapshots import CheckoutSnapshot
from admin_app.services import appointments, checkout
from admin_app.services.bookings import appointment_mails, holds
from admin_app.services.refunds import cancellations
from models import BookingStatus, CanceledBecause, RefundReason, SessionType
from tests.services import money
from tests.services.checkout.test_settlement import hear, mails, paid, pay_page, payment_of, refunds_of
from tests.services.diary import Clock, appointment, held, jobs, meeting, offered, tomorrow
from tests.services.factories import OPERATOR, SUPPORT

MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock(db: Database) -> Clock:
    return Clock(db)


@pytest.fixture
def kind(db: Database) -> SessionType:
    return offered(db)


class Till:
    """Stripe's checkout with one page per key; `answers` are used up by the calls, and `meanwhile` runs within one."""

    def __init__(self, *answers: DomainError | None) -> None:
        self.answers, self.meanwhile, self.wishes = list(answers), [], []  # type: ignore[var-annotated]
        self.pages: dict[str, StripeSession] = {}

    def create_checkout(self, wish: CheckoutRequest, *, idempotency_key: str) -> StripeSession:
        self.wishes.append(wish)
        answer = self.answers.pop(0) if self.answers else None
        if self.meanwhile:
            self.meanwhile.pop(0)()
        if answer is not None:
            raise answer
        number = len(self.pages) + 1
        return self.pages.setdefault(
            idempotency_key,
            money.session(
                id=f"cs_{number}", url=f"https://pay.example/{number}", status="open", payment_status="unpaid",
                payment_intent_id=None, subject=wish.subject, amount=wish.amount, currency=wish.currency,
            ),
        )  # fmt: skip


def start(db: Database, till: Till, subject: str) -> str | None:
    work = lambda: db.unit_of_work(OPERATOR)  # noqa: E731
    return checkout.start(work, till, subject=subject, return_url="https://site.example/back")  # type: ignore[arg-type]


def promised(payment: Any) -> CheckoutSnapshot:
    processing = money.told(payment, status="processing", captured=0)
    return CheckoutSnapshot(money.session(payment, payment_status="unpaid"), processing)


def words(db: Database, subject: str) -> str:
    with db.unit_of_work(Job("test")) as ctx:
        found = appointments.get(ctx.session, subject)
        return appointment_mails._because(ctx, found)


def end_hold(db: Database, subject: str) -> None:
    """What the jobs do when a hold's time is over and Stripe says nothing new."""
    with db.unit_of_work(Job("expire_holds")) as ctx:
        holds.release(ctx, subject=subject, only_lapsed=True)


@pytest.mark.parametrize("of", ["booking", "meeting"])
def test_what_is_with_the_bank_gets_no_second_page_and_stays(
    db: Database, clock: Clock, kind: SessionType, of: str
) -> None:
    subject = held(db, kind, tomorrow(clock.now))
    if of == "meeting":
        until = {"status": "pending", "price_amount": 5000, "hold_expires_at": clock.now + 5 * MINUTE}
        subject = meeting(db, kind, tomorrow(clock.now, hour=15), **until)
    payment = pay_page(db, subject)
    hear(db, promised(payment))
    for till in (Till(), Till(ProviderUnavailable("stripe"))):
        assert start(db, till, subject) is None
        assert till.wishes == []
    assert appointment(db, subject).row.status is BookingStatus.PENDING


def test_a_second_click_that_is_refused_is_given_the_first_ones_page(
    db: Database, clock: Clock, kind: SessionType
) -> None:
    subject = held(db, kind, tomorrow(clock.now))
    till = Till(ProviderUnavailable("stripe"), None)
    seen: list[str | None] = []
    till.meanwhile = [lambda: seen.append(start(db, till, subject))]
    assert start(db, till, subject) == seen[0] == "https://pay.example/1"
    assert appointment(db, subject).row.status is BookingStatus.PENDING


@pytest.mark.parametrize("error", [ProviderUnavailable("stripe"), OutcomeUnknown("stripe")])
def test_a_second_click_that_fails_first_releases_nothing_of_the_first(
    db: Database, clock: Clock, kind: SessionType, error: DomainError
) -> None:
    subject = held(db, kind, tomorrow(clock.now))
    till = Till(None, error)

    def second() -> None:
        with pytest.raises(ProviderUnavailable):
            start(db, till, subject)

    till.meanwhile = [second]
    assert start(db, till, subject) == "https://pay.example/1"
    assert appointment(db, subject).row.status is BookingStatus.PENDING
    assert jobs(db, "expire_checkout") == []


def test_when_both_fail_the_time_is_free_again(db: Database, clock: Clock, kind: SessionType) -> None:
    subject = held(db, kind, tomorrow(clock.now))
    till = Till(ProviderUnavailable("stripe"), ProviderUnavailable("stripe"))

    def second() -> None:
        with pytest.raises(ProviderUnavailable):
            start(db, till, subject)

    till.meanwhile = [second]
    with pytest.raises(ProviderUnavailable):
        start(db, till, subject)
    assert appointment(db, subject).row.status is BookingStatus.CANCELED


def test_a_promise_that_is_not_kept_by_the_beginning_is_told_in_true_words(
    db: Database, clock: Clock, kind: SessionType
) -> None:
    subject = held(db, kind, tomorrow(clock.now))
    payment = pay_page(db, subject)
    hear(db, promised(payment))
    clock.now = tomorrow(clock.now)
    end_hold(db, subject)
    row = appointment(db, subject).row
    assert (row.status, row.canceled_because) == (BookingStatus.CANCELED, CanceledBecause.NEVER_PAID)
    assert mails(db) == ["cancellation"]
    assert "Your bank had not confirmed your payment" in words(db, subject)
    clock.now += timedelta(days=2)
    hear(db, paid(payment))
    assert [refund.reason for refund in refunds_of(db)] == [RefundReason.SLOT_LOST]
    assert mails(db) == ["cancellation", "cancellation"]
    said = words(db, subject)
    assert "after the time at which it was to begin" in said
    assert "somebody else" not in said


@pytest.mark.parametrize("taken", [True, False])
def test_somebody_else_has_it_only_when_somebody_has(
    db: Database, clock: Clock, kind: SessionType, taken: bool
) -> None:
    starts = tomorrow(clock.now)
    subject = held(db, kind, starts)
    payment = pay_page(db, subject)
    clock.now += 40 * MINUTE
    end_hold(db, subject)
    other = held(db, kind, starts, client_email="other@example.com")
    hear(db, paid(payment))
    if not taken:
        with db.unit_of_work(OPERATOR) as ctx:
            holds.release(ctx, subject=other)
    assert ("somebody else has it now" in words(db, subject)) is taken


def test_a_hold_does_not_run_beyond_the_beginning(db: Database, clock: Clock, kind: SessionType) -> None:
    starts = clock.now + MINUTE
    subject = held(db, kind, starts)
    assert appointment(db, subject).row.hold_expires_at == starts
    till = Till()
    assert start(db, till, subject) == "https://pay.example/1"
    # Stripe takes no page that is open for less than half an hour.
    assert till.wishes[0].expires_at == clock.now + holds.HOLD_FOR
    far = held(db, kind, tomorrow(clock.now))
    assert appointment(db, far).row.hold_expires_at == clock.now + holds.HOLD_FOR


LATE: dict[str, Callable[[Any], Any]] = {
    "as it begins": lambda row: row.starts_at,
    "two minutes before its end": lambda row: row.ends_at - 2 * MINUTE,
    "afterwards": lambda row: row.ends_at + MINUTE,
}


@pytest.mark.parametrize("when", LATE)
@pytest.mark.parametrize("ended", [True, False])
def test_what_is_paid_after_the_beginning_goes_back(
    db: Database, clock: Clock, kind: SessionType, when: str, ended: bool
) -> None:
    subject = held(db, kind, clock.now + MINUTE)
    payment = pay_page(db, subject)
    clock.now = LATE[when](appointment(db, subject).row)
    if ended:
        end_hold(db, subject)
    hear(db, paid(payment))
    assert appointment(db, subject).row.status is BookingStatus.CANCELED
    assert [refund.amount for refund in refunds_of(db)] == [payment_of(db, payment).captured_amount]
    assert "after the time at which it was to begin" in words(db, subject)
    assert mails(db) == ["cancellation"]


class Pages(Till):
    """Where each session is complete, and may be asked about and not be closed."""

    def __init__(self, session: StripeSession) -> None:
        super().__init__()
        self.session, self.asked = session, 0

    def checkout(self, session_id: str) -> StripeSession:
        self.asked += 1
        return self.session

    def payment(self, payment_intent_id: str) -> None:
        return None


def test_canceling_what_is_with_the_bank_says_that_the_money_goes_back_and_closes_no_page(
    db: Database, clock: Clock, kind: SessionType
) -> None:
    subject = held(db, kind, tomorrow(clock.now))
    payment = pay_page(db, subject)
    hear(db, promised(payment))
    given: dict[str, Any] = {"subject": subject, "because": "by_staff", "refund_amount": None, "approval_above": 1}
    with db.unit_of_work(SUPPORT) as ctx:
        plan = cancellations.plan_cancel(ctx, **given)
        cancellations.cancel(ctx, **given, reason="Ill", shown=plan.fingerprint)
    assert (plan.calls, [line for line in plan.lines if line.record.startswith("payment:")]) == ((), [])
    assert cancellations.PROMISED in plan.consequences
    assert "If the money is taken, it goes back to you by itself." in plan.mails[0].text
    pages = Pages(money.session(payment, payment_status="unpaid"))
    checkout.close(lambda: db.unit_of_work(OPERATOR), pages, subject=subject)  # type: ignore[arg-type]
    assert pages.asked == 1
    hear(db, paid(payment))
    assert [refund.reason for refund in refunds_of(db)] == [RefundReason.CANCELED_BY_US]
