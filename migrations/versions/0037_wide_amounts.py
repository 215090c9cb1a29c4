"""Amounts of money get 64 bit: 2,147,483,647 minor units are less than a year of some clients, in some currencies.

The lines of closed months may not be changed, so while theirs are written once more the database lets exactly that
change through, and nothing else.

Locks: SHARE ROW EXCLUSIVE on each table for the moment in which a trigger is made; ACCESS EXCLUSIVE on each for two
changes of the catalogue. Rows are written anew in batches; no table is.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from migrations import ops, retyping
from migrations.ops import Column
from migrations.retyping import Numbers

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

WIDE, NARROW = "bigint", "integer"
MOST_BEFORE = 2_147_483_647
NOT_NEGATIVE = {"price_not_negative": "price_amount >= 0"}


def moved_lines(table: str, columns: str) -> dict[str, str]:
    """The trigger of 0035, which names columns and has to be made anew with them."""
    watched = f"AFTER INSERT OR DELETE OR UPDATE OF {columns} ON {table}"
    return {f"{table}_moved_lines": f"{watched} FOR EACH ROW EXECUTE FUNCTION note_moved_lines()"}


def amount(name: str) -> Column:
    return Column(name, WIDE, required=True)


def from_zero(name: str) -> Column:
    return Column(name, WIDE, "0", required=True)


AMOUNTS = (
    Numbers("session_types", (from_zero("price_amount"),), NOT_NEGATIVE),
    Numbers("bookings", (from_zero("price_amount"),), NOT_NEGATIVE),
    Numbers("meetings", (from_zero("price_amount"),)),
    Numbers(
        "payments",
        (
            amount("amount"),
            from_zero("captured_amount"),
            from_zero("reserved_amount"),
            Column("fee_amount", WIDE),
            Column("dispute_amount", WIDE),
        ),
        {
            "amount_positive": "amount > 0",
            "not_negative": "captured_amount >= 0 AND reserved_amount >= 0",
            "never_more_than_captured": "reserved_amount <= captured_amount",
        },
        moved_lines("payments", "state, paid_at, currency, captured_amount, dispute_lost_at, dispute_amount"),
    ),
    Numbers(
        "refunds",
        (amount("amount"),),
        {"amount_positive": "amount > 0"},
        moved_lines("refunds", "state, settled_at, currency, amount"),
    ),
    Numbers("subscriptions", (from_zero("monthly_amount"), from_zero("amount_due"))),
    Numbers(
        "billing_changes",
        (from_zero("monthly_before"), from_zero("monthly_after")),
        triggers=moved_lines("billing_changes", "movement, at, currency, monthly_before, monthly_after"),
    ),
    Numbers("month_lines", (amount("amount"),)),
)
STAY = """
CREATE OR REPLACE FUNCTION closed_months_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'month_closings' THEN
        IF OLD.digest = '' THEN
            RETURN NEW;
        END IF;
    END IF;{meanwhile}
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END $$
"""
# The same line with the same amount in the other size, while that is filled.
MEANWHILE = """
    IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'month_lines' THEN
        IF to_jsonb(NEW) - '{twin}' = to_jsonb(OLD) - '{twin}'
            AND to_jsonb(NEW) -> '{twin}' = to_jsonb(NEW) -> 'amount' THEN
            RETURN NEW;
        END IF;
    END IF;"""


def upgrade() -> None:
    for numbers in AMOUNTS:
        with written_once_more(numbers):
            retyping.retype(numbers)


def downgrade() -> None:
    for numbers in AMOUNTS:
        retyping.refuse_beyond(numbers, MOST_BEFORE)
    for numbers in reversed(AMOUNTS):
        narrow = numbers.of_type(NARROW)
        with written_once_more(narrow):
            retyping.retype(narrow)


@contextmanager
def written_once_more(numbers: Numbers) -> Iterator[None]:
    if numbers.table != "month_lines":
        yield
        return
    meanwhile = MEANWHILE.format(twin=retyping.twin(numbers.columns[0]))
    ops.execute(STAY.format(meanwhile=meanwhile))
    yield
    ops.execute(STAY.format(meanwhile=""))
