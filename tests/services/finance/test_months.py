"""Closing months: what is kept, what is refused, what changed later, and that two exports are the same bytes."""

import hashlib
import threading
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

from admin_app.context import Ctx, Staff
from admin_app.db import Database
from admin_app.errors import Conflict, Forbidden, InvalidInput, NotFound, PlanMoved
from admin_app.services.core.table_files import csv_bytes, xlsx_bytes
from admin_app.services.core.utc_months import following, month_of
from admin_app.services.finance import month_adjustments, months
from admin_app.services.finance.month_lines import Total
from models import (
    BillingChange,
    BillingStatus,
    MonthClosing,
    MonthLine,
    MovedLine,
    Payment,
    PaymentState,
    Refund,
    RefundState,
    Role,
)
from models.payments import RefundReason
from tests.services.billing_rows import add_client, add_steps
from tests.services.factories import OPERATOR, SUPPORT
from tests.services.money import add_booking, add_dispute

FINANCE = Staff(id=7, email="finance@demo.test", role=Role.FINANCE)
OCTOBER, SEPTEMBER = date(2026, 10, 1), date(2026, 9, 1)


def on(day: int, hour: int = 12, month: int = 10) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def add_paid(ctx: Ctx, amount: int, paid_at: datetime, currency: str = "eur", **values: Any) -> Payment:
    payment = Payment(
        booking_id=add_booking(ctx).id,
        state=PaymentState.PAID,
        amount=amount,
        currency=currency,
        captured_amount=amount,
        paid_at=paid_at,
        **values,
    )
    ctx.session.add(payment)
    ctx.session.flush()
    return payment


def add_refund(ctx: Ctx, payment: Payment, amount: int, settled_at: datetime) -> Refund:
    refund = Refund(
        payment_id=payment.id,
        amount=amount,
        currency=payment.currency,
        state=RefundState.SUCCEEDED,
        reason=RefundReason.OTHER,
        requested_by="Stripe",
        settled_at=settled_at,
        created_at=settled_at,
    )
    ctx.session.add(refund)
    ctx.session.flush()
    return refund


@pytest.fixture
def october(db: Database) -> dict[str, Any]:
    """A month with money in two currencies, revenue that moved, and lines just outside on both sides."""
    with db.unit_of_work(OPERATOR) as ctx:
        first = add_paid(ctx, 10_000, on(1, 0))
        second = add_paid(ctx, 5_000, on(31, 23))
        yen = add_paid(ctx, 700, on(5), "jpy")
        lost = add_dispute(ctx, yen, status="lost", lost_at=on(20))
        add_paid(ctx, 99, on(1, 0, month=11))
        add_paid(ctx, 98, on(30, 23, month=9))
        refund = add_refund(ctx, first, 2_500, on(12))
        client = add_client(ctx)
        active = BillingStatus.ACTIVE
        steps = [(on(2), active, "eur", 9_900), (on(3), BillingStatus.PAST_DUE, "eur", 9_900)]
        change, silent = add_steps(ctx, client, [*steps])
        return {
            "first": first.id,
            "second": second.id,
            "yen": yen.id,
            "lost": lost.id,
            "refund": refund.id,
            "change": change.id,
            "silent": silent.id,
            "client": client.id,
        }


def closed(db: Database, month: date = OCTOBER, note: str | None = None) -> MonthClosing:
    """Look at the plan, then close, as the console does."""
    with db.unit_of_work(FINANCE) as ctx:
        plan = months.plan_close(ctx, month=month)
    with db.unit_of_work(FINANCE) as ctx:
        return months.close(ctx, month=month, note=note, shown=plan.fingerprint)


def lines_of(db: Database, closing: MonthClosing) -> list[MonthLine]:
    with db.read_only() as read:
        return list(read.scalars(select(MonthLine).where(MonthLine.closing_id == closing.id).order_by(MonthLine.id)))


def test_a_closed_month_keeps_every_line_in_order(db: Database, october: dict[str, Any]) -> None:
    closing = closed(db, note="  Agreed with the bank  ")
    kept = [(line.line_key, line.kind, line.currency, line.amount) for line in lines_of(db, closing)]
    assert kept == [
        (f"payment:{october['first']}", "payment", "eur", 10_000),
        (f"billing_change:{october['change']}", "new", "eur", 9_900),
        (f"payment:{october['yen']}", "payment", "jpy", 700),
        (f"refund:{october['refund']}", "refund", "eur", -2_500),
        (f"dispute:{october['lost']}", "dispute_lost", "jpy", -700),
        (f"payment:{october['second']}", "payment", "eur", 5_000),
    ]
    assert months.totals_of(closing) == (
        Total("payment", "eur", 2, 15_000),
        Total("refund", "eur", 1, -2_500),
        Total("new", "eur", 1, 9_900),
        Total("payment", "jpy", 1, 700),
        Total("dispute_lost", "jpy", 1, -700),
    )
    assert (closing.lines, closing.closed_by, closing.note) == (6, FINANCE.email, "Agreed with the bank")
    by_hand = "\n".join(
        f"{line.line_key}|{line.kind}|{line.at:%Y-%m-%dT%H:%M:%S.%f}|{line.currency}|{line.amount}|{line.about}"
        for line in lines_of(db, closing)
    )
    assert closing.digest == hashlib.sha256(by_hand.encode()).hexdigest()


def test_the_plan_says_what_is_kept_and_what_still_moves(db: Database, october: dict[str, Any]) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        first = ctx.session.get_one(Payment, october["first"])
        for state in (RefundState.UNKNOWN, RefundState.SENT, RefundState.SENT):
            add_refund(ctx, first, 1, on(13)).state = state
        add_dispute(ctx, ctx.session.get_one(Payment, october["second"]), status="under_review")
        waiting = add_paid(ctx, 5, on(3))
        waiting.state, waiting.paid_at, waiting.created_at = PaymentState.PROCESSING, None, on(3)
    with db.unit_of_work(FINANCE) as ctx:
        plan = months.plan_close(ctx, month=OCTOBER)
    told = " ".join(plan.consequences)
    assert plan.refusal is None
    first_line = plan.lines[0]
    assert (first_line.field, first_line.after, first_line.source) == ("Payments taken, EUR", "150.00 EUR", "2 lines")
    moving = ("1 refund without an answer", "2 refunds under way", "1 payment waiting", "1 dispute open")
    for part in ("6 lines are kept", *moving):
        assert part in told


@pytest.mark.parametrize(
    ("before", "month", "sentence"),
    [
        ((OCTOBER,), OCTOBER, "is closed already"),
        ((OCTOBER,), SEPTEMBER, "begin with October 2026"),
        ((date(2026, 8, 1),), OCTOBER, "next is September 2026"),
        ((SEPTEMBER,), OCTOBER, None),
        ((), date(2019, 1, 1), None),
    ],
)
def test_months_are_closed_in_their_order(
    db: Database, before: tuple[date, ...], month: date, sentence: str | None
) -> None:
    for earlier in before:
        closed(db, earlier)
    with db.unit_of_work(FINANCE) as ctx:
        refusal = months.plan_close(ctx, month=month).refusal
    if sentence is None:
        assert refusal is None
        assert closed(db, month).lines == 0
        return
    assert refusal is not None
    assert sentence in refusal
    with pytest.raises(Conflict, match=r"month_already_closed|month_not_to_close"), db.unit_of_work(FINANCE) as ctx:
        months.close(ctx, month=month, note=None, shown="")


def test_a_month_that_is_not_over_stays_open(db: Database) -> None:
    month = month_of(datetime.now(UTC))
    with db.unit_of_work(FINANCE) as ctx:
        assert "is not over" in (months.plan_close(ctx, month=month).refusal or "")
    with pytest.raises(Conflict, match="month_not_to_close"), db.unit_of_work(FINANCE) as ctx:
        months.close(ctx, month=month, note=None, shown="")
    with db.read_only() as read:
        assert months.closing_of(read, month) is None


def test_nothing_is_kept_of_what_was_not_shown(db: Database, october: dict[str, Any]) -> None:
    with db.unit_of_work(FINANCE) as ctx:
        shown = months.plan_close(ctx, month=OCTOBER).fingerprint
    with db.unit_of_work(OPERATOR) as ctx:
        add_paid(ctx, 1, on(9))
    with pytest.raises(PlanMoved), db.unit_of_work(FINANCE) as ctx:
        months.close(ctx, month=OCTOBER, note=None, shown=shown)
    with db.read_only() as read:
        assert months.closing_of(read, OCTOBER) is None
    with pytest.raises(InvalidInput), db.unit_of_work(FINANCE) as ctx:
        months.close(ctx, month=OCTOBER, note="x" * 1001, shown=shown)
    with pytest.raises(Forbidden), db.unit_of_work(SUPPORT) as ctx:
        months.close(ctx, month=OCTOBER, note=None, shown=shown)


def test_what_changes_later_is_an_adjustment(db: Database, october: dict[str, Any]) -> None:
    closing = closed(db)
    with db.read_only() as read:
        assert month_adjustments.adjustments(read, closing) == []
        assert month_adjustments.adjustment_counts(read, SEPTEMBER, following(OCTOBER)) == {}
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(Payment, october["first"]).captured_amount = 10_400
        ctx.session.get_one(Refund, october["refund"]).state = RefundState.FAILED
        client = ctx.session.get_one(BillingChange, october["change"]).client_id
        late = add_steps(ctx, add_client(ctx), [(on(30), BillingStatus.ACTIVE, "usd", 500)])[0]
        ctx.session.get_one(Payment, october["second"]).paid_at = on(2, month=11)
        assert client == october["client"]
    with db.read_only() as read:
        found = month_adjustments.adjustments(read, closing)
        assert [(each.line_key, each.what, each.kept, each.now, each.difference) for each in found] == [
            (f"payment:{october['first']}", "changed", 10_000, 10_400, 400),
            (f"refund:{october['refund']}", "gone", -2_500, None, 2_500),
            (f"billing_change:{late.id}", "added", None, 500, 500),
            (f"payment:{october['second']}", "gone", 5_000, None, -5_000),
        ]
        assert month_adjustments.adjustment_counts(read, SEPTEMBER, following(OCTOBER)) == {OCTOBER: 4}
        assert month_adjustments.adjusted_totals(read, closing) == (
            ("payment", "eur", 2, -4_600),
            ("refund", "eur", 1, 2_500),
            ("new", "usd", 1, 500),
        )
        assert lines_of(db, closing)[0].amount == 10_000
        state = next(state for state in months.months(read, on(15, month=11)) if state.month == OCTOBER)
        assert (state.adjustments, state.totals) == (4, months.totals_of(closing))


def add_months_of_lines(db: Database, count: int) -> None:
    """Payments over the year before November, all of whose months are closed."""
    with db.unit_of_work(OPERATOR) as ctx:
        booking = add_booking(ctx).id
        ctx.session.execute(
            text(
                "INSERT INTO payments (booking_id, state, amount, currency, captured_amount, paid_at)"
                " SELECT :booking, 'paid', 100, 'eur', 100,"
                " timestamptz '2025-11-01 00:00Z' + n * interval '364 days' / :count"
                " FROM generate_series(0, :count - 1) n"
            ),
            {"booking": booking, "count": count},
        )
    for back in range(12, 0, -1):
        closed(db, following(OCTOBER, 1 - back))
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(text("ANALYZE payments, month_lines, moved_lines"))


def test_the_list_of_months_reads_no_line_that_has_not_moved(db: Database) -> None:
    """However many lines were kept: what is read are rows of closings, and the lines that moved."""
    add_months_of_lines(db, 6_000)
    with db.unit_of_work(OPERATOR) as ctx:
        moved = ctx.session.scalars(select(Payment).order_by(Payment.id).limit(3)).all()
        for payment in moved:
            payment.captured_amount = 150
    asked: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, values: Any, *___: Any) -> None:
        asked.append((statement, values))

    with db.read_only() as read:
        event.listen(read.connection(), "before_cursor_execute", note)
        states = months.months(read, on(15, month=11), size=13)
        event.remove(read.connection(), "before_cursor_execute", note)
        assert sum(state.adjustments for state in states) == 3
        rows = [rows_read(read, statement, values) for statement, values in asked]
    assert len(rows) <= 5
    assert max(rows) < 100, "a year of lines is 6,000"


def rows_read(session: Session, statement: str, values: Any) -> int:
    """The most rows that any step of the statement's plan really gave or left out."""
    found = session.connection().exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values).scalar_one()

    def most(step: dict[str, Any]) -> int:
        own = (step["Actual Rows"] + step.get("Rows Removed by Filter", 0)) * step["Actual Loops"]
        return max([int(own), *map(most, step.get("Plans", ()))])

    return most(found[0]["Plan"])


def test_a_closing_begins_anew_with_what_has_moved(db: Database, october: dict[str, Any]) -> None:
    with db.read_only() as read:
        assert read.scalars(select(MovedLine.line_key).where(MovedLine.month == OCTOBER)).all()
    closed(db)
    with db.unit_of_work(OPERATOR) as ctx:
        assert ctx.session.scalars(select(MovedLine).where(MovedLine.month == OCTOBER)).all() == []
        ctx.session.get_one(Payment, october["first"]).captured_amount = 10_400
    with db.unit_of_work(OPERATOR) as ctx:
        assert month_adjustments.adjustment_counts(ctx.session, OCTOBER, OCTOBER) == {OCTOBER: 1}
        ctx.session.get_one(Payment, october["first"]).captured_amount = 10_000
    with db.read_only() as read:
        assert month_adjustments.adjustment_counts(read, OCTOBER, OCTOBER) == {}, "it is as it was kept"


def test_two_exports_are_the_same_bytes_whatever_changed_between(db: Database, october: dict[str, Any]) -> None:
    closing = closed(db)

    def files() -> tuple[bytes, bytes]:
        with db.unit_of_work(SUPPORT) as ctx:
            months.export(ctx, month=OCTOBER, file_format="csv")
        with db.read_only() as read:
            header, rows = months.EXPORT_HEADER, list(months.export_rows(read, closing.id))
        return b"".join(csv_bytes(header, rows)), b"".join(xlsx_bytes(header, rows, created=closing.closed_at))

    before = files()
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(Payment, october["first"]).captured_amount = 10_400
        ctx.session.execute(text("SET LOCAL TIME ZONE 'Asia/Tokyo'"))
    assert files() == before
    lines = before[0].decode("utf-8-sig").splitlines()
    assert lines[0] == "Line,Kind,At (UTC),Currency,Amount,About"
    assert lines[1].startswith(f"payment:{october['first']},payment,2026-10-01 00:00:00+00:00,EUR,100.00,booking:")
    assert f"dispute:{october['lost']},dispute_lost,2026-10-20 12:00:00+00:00,JPY,-700,booking:" in lines[5]


def test_only_a_closed_month_is_exported_and_in_a_known_format(db: Database) -> None:
    with pytest.raises(NotFound), db.unit_of_work(FINANCE) as ctx:
        months.export(ctx, month=OCTOBER, file_format="csv")
    with pytest.raises(InvalidInput), db.unit_of_work(FINANCE) as ctx:
        months.export(ctx, month=OCTOBER, file_format="pdf")


def test_of_two_closings_at_once_one_wins(real_db: Database) -> None:
    with real_db.unit_of_work(OPERATOR) as ctx:
        add_paid(ctx, 100, on(4))
    with real_db.unit_of_work(FINANCE) as ctx:
        shown = months.plan_close(ctx, month=OCTOBER).fingerprint
    both, outcomes = threading.Barrier(2), list[str]()

    def act() -> None:
        both.wait()
        try:
            with real_db.unit_of_work(FINANCE) as ctx:
                months.close(ctx, month=OCTOBER, note=None, shown=shown)
            outcomes.append("closed")
        except Conflict as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=act) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["closed", "month_already_closed"]
    with real_db.read_only() as read:
        assert len(read.scalars(select(MonthLine)).all()) == 1
