"""The disputes of a payment, a row each, as Stripe tells them; whoever calls this holds the lock of the payment.

A payment may be disputed several times; each dispute begins as an inquiry, or at once, and is won, lost or appealed.
Answers come in any order: one that was asked for before the one that is kept here changes nothing, and where nobody
knows when it was asked for, a dispute goes on and never back. What is lost stays lost in the month in which that was
heard; what is won back after all comes in the month in which that is heard.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.integrations.money_ports import StripeDispute
from admin_app.services.payments import held_money
from models.payments import Dispute, Payment

LOST, WON = "lost", "won"
# In these nobody does anything any more, unless it is appealed.
SETTLED = (WON, LOST, "warning_closed", "prevented")
# A disputed payment's money is with the bank. In these states it is not, or not any more.
REFUNDABLE = frozenset(("won", "prevented", "warning_needs_response", "warning_under_review", "warning_closed"))
# What Stripe calls the disputes that wait for an answer of ours.
UNANSWERED = ("needs_response", "warning_needs_response", "appeal_needs_response")
# An inquiry goes on to a dispute, and a lost dispute to an appeal; a state not named here is one that goes on.
_ORDER = {
    "warning_needs_response": 0,
    "warning_under_review": 1,
    "warning_closed": 2,
    "needs_response": 3,
    "under_review": 4,
    "prevented": 6,
    WON: 6,
    LOST: 6,
    "appeal_needs_response": 7,
    "appeal_under_review": 8,
}
_UNKNOWN = 5
_APPEALED = 7


def disputes_of(session: Session, payment_id: int) -> list[Dispute]:
    """The disputes of a payment as they are now, in the order in which they were heard of."""
    query = select(Dispute).where(Dispute.payment_id == payment_id).order_by(Dispute.id)
    return list(session.scalars(query.execution_options(populate_existing=True)))


def apply(ctx: Ctx, payment: Payment, snapshots: Sequence[StripeDispute], asked_at: datetime | None) -> list[Dispute]:
    """Apply every dispute that Stripe tells of a payment, newest first, and answer those that were not known.

    `asked_at`: when Stripe was asked, by the clock of whoever did; None when nobody knows.
    """
    if not snapshots:
        return []
    known = {row.stripe_dispute_id: row for row in disputes_of(ctx.session, payment.id)}
    opened = []
    for each in reversed(snapshots):
        row = known.get(each.id)
        if row is None:
            row = known[each.id] = _opened(ctx, payment, each)
            opened.append(row)
        elif not _is_later(row, each, asked_at):
            continue
        _apply_one(ctx, row, each)
        row.asked_at = asked_at or row.asked_at
    ctx.session.flush()
    derive(payment, list(known.values()))
    held_money.review(ctx, payment)
    return opened


def derive(payment: Payment, rows: Sequence[Dispute]) -> None:
    """Put what matters most of a payment's disputes into its own columns: what is open, then what is lost."""
    shown = max(rows, key=_matters)
    payment.dispute_id, payment.dispute_status = shown.stripe_dispute_id, shown.status
    payment.dispute_reason, payment.dispute_amount = shown.reason, shown.amount
    payment.dispute_due_by = shown.due_by
    lost = [row.lost_at for row in rows if row.lost_at is not None and row.regained_at is None]
    payment.dispute_lost_at = min(lost, default=None)


def _opened(ctx: Ctx, payment: Payment, snapshot: StripeDispute) -> Dispute:
    row = Dispute(
        payment_id=payment.id,
        stripe_dispute_id=snapshot.id,
        status=snapshot.status,
        reason=snapshot.reason,
        amount=snapshot.amount,
        currency=payment.currency,
        created_at=ctx.now,
        updated_at=ctx.now,
    )
    ctx.session.add(row)
    ctx.session.flush()  # its number is wanted
    ctx.session.refresh(row)
    return row


def _is_later(row: Dispute, snapshot: StripeDispute, asked_at: datetime | None) -> bool:
    """Whether the answer may be newer than what is kept."""
    before, now = _order(row.status), _order(snapshot.status)
    if asked_at is not None and row.asked_at is not None:
        # An appeal that is decided goes to a state that was there before: only the time tells the two apart.
        return asked_at >= row.asked_at and (now >= before or before >= _APPEALED)
    return now >= before or (before >= _APPEALED and snapshot.status == WON)


def _order(status: str) -> int:
    return _ORDER.get(status, _UNKNOWN)


def _apply_one(ctx: Ctx, row: Dispute, snapshot: StripeDispute) -> None:
    before = (row.status, row.reason, row.amount, row.due_by, row.lost_at, row.regained_at)
    row.status, row.reason, row.amount = snapshot.status, snapshot.reason, snapshot.amount
    row.due_by = snapshot.due_by or row.due_by
    if snapshot.status == LOST:
        row.lost_at, row.regained_at = row.lost_at or ctx.now, None
    elif snapshot.status == WON and row.lost_at is not None:
        row.regained_at = row.regained_at or ctx.now
    if (row.status, row.reason, row.amount, row.due_by, row.lost_at, row.regained_at) != before:
        row.version += 1
        row.updated_at = ctx.now


def _matters(row: Dispute) -> tuple[int, float, int]:
    """What is unanswered first, the most urgent of it; then what is open, then what is lost, then the latest."""
    if row.status in UNANSWERED:
        return 3, -(row.due_by or datetime.max.replace(tzinfo=UTC)).timestamp(), row.id
    weight = 2 if row.status not in SETTLED else 1 if row.status == LOST else 0
    return weight, 0.0, row.id
