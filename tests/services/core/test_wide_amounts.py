"""Amounts beyond 32 bit: taken, given back, added up, kept in a closed month, and written into files to the cent."""

import io
import json
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from sqlalchemy import select

from admin_app.context import Staff
from admin_app.db import Database
from admin_app.services import finance
from admin_app.services.core.table_files import xlsx_bytes
from admin_app.services.finance import months, revenue_history
from models import MonthClosing, MonthLine, Movement, Role
from tests.services.client_rows import NOW, add_client, apply, client_now, steps_of, subscription
from tests.services.money import add_paid, add_person, ask_back, dispute, payment_now
from tests.services.payments.test_payments import hear_payment

HUGE = 3_000_000_007
FINANCE = Staff(id=7, email="finance@demo.test", role=Role.FINANCE)


def test_a_payment_its_refund_and_its_dispute(db: Database) -> None:
    payment = add_paid(db, amount=HUGE)
    refund = ask_back(db, payment, HUGE - 5, by=add_person(db))
    hear_payment(db, payment, captured=HUGE, fee=HUGE - 1, dispute=dispute(amount=HUGE))
    now = payment_now(db, payment.id)
    assert (now.amount, now.captured_amount, now.reserved_amount) == (HUGE, HUGE, HUGE - 5)
    assert (now.fee_amount, now.dispute_amount, refund.amount) == (HUGE - 1, HUGE, HUGE - 5)


def test_a_subscription_and_its_steps(db: Database) -> None:
    client_id = add_client(db, stripe_customer_id="cus_1")
    apply(db, subscription("past_due", monthly_amount=HUGE, amount_due=2 * HUGE, past_due_since=NOW))
    assert client_now(db, client_id).billing_status.value == "past_due"
    (step,) = steps_of(db, client_id)
    assert (step.monthly_after, step.movement) == (HUGE, Movement.NEW)


def test_sums_are_whole_numbers(db: Database) -> None:
    """PostgreSQL adds 64 bit as `numeric`, which would come as decimals and break the JSON of a closed month."""
    for number in (1, 2):
        add_client(db, stripe_customer_id=f"cus_{number}")
        owes = {"monthly_amount": HUGE, "amount_due": HUGE, "past_due_since": NOW}
        apply(db, subscription("past_due", id=f"sub_{number}", customer_id=f"cus_{number}", **owes))
    with db.read_only() as read:
        late = finance.past_due(read, date(2026, 3, 20), ZoneInfo("UTC"))
        assert json.dumps(late.sum.amounts) == f'{{"eur": {2 * HUGE}}}'
        history = revenue_history.history(read, datetime(2026, 3, 20, tzinfo=UTC))
        assert json.dumps(history.revenue["eur"][-1].recurring) == f"{2 * HUGE}"
    db.clock = lambda: datetime(2026, 4, 2, tzinfo=UTC)
    with db.unit_of_work(FINANCE) as ctx:
        plan = months.plan_close(ctx, month=date(2026, 3, 1))
        months.close(ctx, month=date(2026, 3, 1), note=None, shown=plan.fingerprint)
    with db.read_only() as read:
        closing = read.scalars(select(MonthClosing)).one()
        assert closing.totals["eur"]["new"] == {"lines": 2, "amount": 2 * HUGE}
        assert set(read.scalars(select(MonthLine.amount))) == {HUGE}


def test_a_sheet_has_every_cent(db: Database) -> None:
    """Excel counts with 15 digits: what has more is a text."""
    amounts = [Decimal("30000000.07"), Decimal("9999999999999.99"), Decimal("10000000000000.01")]
    made = b"".join(xlsx_bytes(["Amount"], [[amount] for amount in amounts], created=NOW))
    with zipfile.ZipFile(io.BytesIO(made)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        texts = book.read("xl/sharedStrings.xml").decode() if "xl/sharedStrings.xml" in book.namelist() else sheet
    assert "<v>30000000.07</v>" in sheet
    assert "<v>9999999999999.99</v>" in sheet
    assert "10000000000000.01" in texts
    assert "<v>10000000000000.01</v>" not in sheet
