"""What the lines of a month are: money that came and went, and what moved recurring revenue.

Each is found by its day in the record that it comes from. Money and recurring revenue are never added: the one is what
was paid, the other what is paid every month.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Text,
    case,
    cast,
    func,
    literal,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from admin_app.services.core.amounts import summed
from admin_app.services.core.utc_months import month_of
from models.billing import BillingChange, Movement
from models.finance import MonthLine
from models.payments import Dispute, Payment, PaymentState, Refund, RefundState

PAYMENT, REFUND, DISPUTE, REGAINED = "payment", "refund", "dispute_lost", "dispute_won"
MONEY = (PAYMENT, REFUND, DISPUTE, REGAINED)
MOVEMENTS = tuple(kind.value for kind in Movement if kind is not Movement.NONE)
KINDS = (*MONEY, *MOVEMENTS)
KIND_WORDS: Mapping[str, str] = MappingProxyType(
    {
        PAYMENT: "Payments taken",
        REFUND: "Refunds that went through",
        DISPUTE: "Disputes lost",
        REGAINED: "Disputes won back",
        Movement.NEW.value: "New revenue",
        Movement.EXPANSION.value: "Expansion",
        Movement.CONTRACTION.value: "Contraction",
        Movement.CHURN.value: "Churn",
    }
)


# The records of each branch of `lines_between`, in its order, as line keys name them.
_SOURCES = (
    ("payment", Payment.id),
    ("refund", Refund.id),
    ("dispute", Dispute.id),
    ("dispute_won", Dispute.id),
    ("billing_change", BillingChange.id),
)


@dataclass(frozen=True)
class Total:
    """The lines of one kind and currency: how many, and their sum in minor units."""

    kind: str
    currency: str
    lines: int
    amount: int


def lines_between(begin: datetime, end: datetime, *, only: Any = None) -> CompoundSelect[Any]:
    """The lines from one moment up to another as the records have them now, with when each record changed last.

    `only`: a selection of line keys to which they are limited.
    """
    branches = _branches(begin, end)
    if only is not None:
        branches = [
            found.where(_among(kind, only, number)) for found, (kind, number) in zip(branches, _SOURCES, strict=True)
        ]
    return union_all(*branches)


def _branches(begin: datetime, end: datetime) -> list[Any]:
    return [
        select(
            _key("payment", Payment.id).label("line_key"),
            literal(PAYMENT, Text).label("kind"),
            Payment.paid_at.label("at"),
            Payment.currency.label("currency"),
            Payment.captured_amount.label("amount"),
            _paid_for().label("about"),
            Payment.updated_at.label("changed_at"),
        ).where(Payment.state == PaymentState.PAID, Payment.paid_at >= begin, Payment.paid_at < end),
        select(
            _key("refund", Refund.id),
            literal(REFUND, Text),
            Refund.settled_at,
            Refund.currency,
            -Refund.amount,
            _key("payment", Refund.payment_id),
            Refund.updated_at,
        ).where(
            # The books are of appointments and clients: what members pay is not in them, so neither is what goes back.
            Refund.payment_id.is_not(None),
            Refund.state == RefundState.SUCCEEDED,
            Refund.settled_at >= begin,
            Refund.settled_at < end,
        ),
        _of_disputes("dispute", DISPUTE, Dispute.lost_at, -Dispute.amount, begin, end),
        _of_disputes("dispute_won", REGAINED, Dispute.regained_at, Dispute.amount, begin, end),
        select(
            _key("billing_change", BillingChange.id),
            cast(BillingChange.movement, Text),
            BillingChange.at,
            BillingChange.currency,
            BillingChange.monthly_after - BillingChange.monthly_before,
            _key("client", BillingChange.client_id),
            BillingChange.recorded_at,
        ).where(
            BillingChange.movement != Movement.NONE,
            BillingChange.currency.is_not(None),
            BillingChange.at >= begin,
            BillingChange.at < end,
        ),
    ]


def _of_disputes(name: str, kind: str, at: Any, amount: Any, begin: datetime, end: datetime) -> Any:
    found = select(
        _key(name, Dispute.id), literal(kind, Text), at, Dispute.currency, amount, _paid_for(), Dispute.updated_at
    )
    return found.join(Payment, Payment.id == Dispute.payment_id).where(at >= begin, at < end)


def _among(kind: str, only: Any, number: Any) -> ColumnElement[bool]:
    """Whether a record of this kind is among the line keys."""
    name, key = func.split_part(only.c.line_key, ":", 1), func.split_part(only.c.line_key, ":", 2)
    among: ColumnElement[bool] = number.in_(select(cast(key, BigInteger)).where(name == kind))
    return among


def _key(kind: str, column: Any) -> ColumnElement[str]:
    return literal(f"{kind}:", Text) + cast(column, Text)


def _paid_for() -> ColumnElement[str]:
    of_meeting = _key("meeting", Payment.meeting_id)
    return case((Payment.booking_id.is_not(None), _key("booking", Payment.booking_id)), else_=of_meeting)


def in_order(lines: Any) -> tuple[ColumnElement[Any], ...]:
    """The fixed order of lines: by time, then by name, whatever the database's own collation."""
    return lines.c.at, lines.c.line_key.collate("C")


def totals(session: Session, lines: Any) -> tuple[Total, ...]:
    """Sums per kind and currency, in the order in which they are read."""
    columns = lines.c
    grouped = session.execute(
        select(columns.kind, columns.currency, func.count(), summed(columns.amount)).group_by(
            columns.kind, columns.currency
        )
    )
    return ordered(Total(*each) for each in grouped)


def ordered(sums: Any) -> tuple[Total, ...]:
    """The totals by currency, and within one in the order of KINDS."""
    return tuple(sorted(sums, key=lambda total: (total.currency, KINDS.index(total.kind))))


def digest(session: Session, lines: Any) -> str:
    """SHA-256, in hex, over the lines in their order: one line each, fields parted by a bar, times in UTC."""
    columns = lines.c
    at = func.to_char(func.timezone("UTC", columns.at), 'YYYY-MM-DD"T"HH24:MI:SS.US')
    fields = (columns.line_key, columns.kind, at, columns.currency, cast(columns.amount, Text), columns.about)
    text = func.concat_ws("|", *fields)
    whole = func.string_agg(text, aggregate_order_by(literal("\n", Text), *in_order(lines)))
    return (
        session.scalar(select(func.encode(func.sha256(func.convert_to(func.coalesce(whole, ""), "UTF8")), "hex"))) or ""
    )


def kept_lines(closing_id: int) -> Any:
    """The lines of a closed month as they were kept."""
    return select(MonthLine).where(MonthLine.closing_id == closing_id).subquery("kept")


def first_month(session: Session) -> date | None:
    """The month of the earliest line there is."""
    earliest = [
        select(func.min(Payment.paid_at)).scalar_subquery(),
        select(func.min(Refund.settled_at)).where(Refund.payment_id.is_not(None)).scalar_subquery(),
        select(func.min(BillingChange.at)).scalar_subquery(),
    ]
    moment: datetime | None = session.scalar(select(func.least(*earliest)))
    return month_of(moment) if moment else None
