"""Closing months: the lines of a month are kept as they are, and what changes later is an adjustment.

Months are closed in their order, beginning with any; each of them once, and only when it is over.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Date, cast, delete, func, insert, literal, select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import Conflict, InvalidInput, NotFound
from admin_app.policies.permissions import Permission, require
from admin_app.services.core import audit
from admin_app.services.core.amounts import decimals, money_text, summed
from admin_app.services.core.plans import MOST_REASON, Plan, PlanLine, fingerprint, require_same
from admin_app.services.core.records import lock_names, month_key
from admin_app.services.core.utc_months import begins, ends, following, month_of, month_text, month_words
from admin_app.services.finance import month_lines
from admin_app.services.finance.month_adjustments import adjustment_counts
from admin_app.services.finance.month_lines import KIND_WORDS, Total
from admin_app.services.payments import disputes
from models.finance import MonthClosing, MonthLine, MovedLine
from models.payments import Dispute, Payment, PaymentState, Refund, RefundState

CLOSING_LOCK = "months:closing"
MOVING_REFUNDS = (RefundState.AWAITING_APPROVAL, RefundState.REQUESTED, RefundState.SENT, RefundState.UNKNOWN)
FORMATS = ("csv", "xlsx")


class AlreadyClosed(Conflict):
    """The month has a closing, and a month has one: 409."""

    code = "month_already_closed"
    sentence = "This month is closed already."


@dataclass(frozen=True)
class Moving:
    """What of a month may still change: how many, and in which words."""

    refunds: int
    unknown_refunds: int
    payments: int
    disputes: int

    def sentences(self) -> tuple[str, ...]:
        told = (
            (self.unknown_refunds, "refund", "without an answer from Stripe: ask Stripe first"),
            (self.refunds, "refund", "under way: settled later, it counts in that later month"),
            (self.payments, "payment", "waiting for a bank: paid later, it counts in that later month"),
            (self.disputes, "dispute", "open: lost later, it counts in that later month"),
        )
        return tuple(f"{count:,} {what if count == 1 else what + 's'} {rest}." for count, what, rest in told if count)


@dataclass(frozen=True)
class MonthState:
    """One month: its sums as closed, or as they are now while it is open, and how many lines changed since."""

    month: date
    is_over: bool
    closing: MonthClosing | None
    totals: tuple[Total, ...]
    adjustments: int = 0


def totals_of(closing: MonthClosing) -> tuple[Total, ...]:
    """The sums that were kept."""
    return month_lines.ordered(
        Total(kind, currency, kept["lines"], kept["amount"])
        for currency, kinds in closing.totals.items()
        for kind, kept in kinds.items()
    )


def closing_of(session: Session, month: date) -> MonthClosing | None:
    """The closing of a month, given by its first day; None: it is open."""
    return session.scalar(select(MonthClosing).where(MonthClosing.month == month))


# -- closing ----------------------------------------------------------------------------------------------------------


def plan_close(ctx: Ctx, *, month: date) -> Plan:
    """What closing the month would keep, and what of it is still moving."""
    require(ctx, Permission.MONTHS_CLOSE)
    lines = _lines_now(month)
    sums = month_lines.totals(ctx.session, lines)
    count = sum(total.lines for total in sums)
    digest = month_lines.digest(ctx.session, lines)
    shown = tuple(
        PlanLine(month_key(month), _field(total), None, _amount(total), _count(total.lines)) for total in sums
    )
    consequences = (
        f"{_count(count)} {'is' if count == 1 else 'are'} kept as they are now, and can never be changed.",
        "Whatever changes later in a record of this month is shown on its page as an adjustment.",
        *moving(ctx.session, month).sentences(),
    )
    return Plan(
        title=f"Close {month_words(month)}",
        outcome="closed",
        lines=shown,
        consequences=consequences,
        fingerprint=_shown(month, digest),
        refusal=_refusal(ctx, month),
        adds=("month_closing", *("month_line",) * count),
        removes=("moved_line",) * (ctx.session.scalar(select(func.count()).where(MovedLine.month == month)) or 0),
    )


def _shown(month: date, digest: str) -> str:
    return fingerprint(month.isoformat(), digest)


def _field(total: Total) -> str:
    return f"{KIND_WORDS[total.kind]}, {total.currency.upper()}"


def _count(lines: int) -> str:
    return f"{lines:,} {'line' if lines == 1 else 'lines'}"


def _amount(total: Total) -> str:
    return money_text(total.amount, total.currency)


def _refusal(ctx: Ctx, month: date) -> str | None:
    """Why the month cannot be closed now, if it cannot."""
    if ctx.now < ends(month):
        return f"{month_words(month)} is not over: it ends at 00:00 UTC on {following(month):%d %b %Y}."
    if closing_of(ctx.session, month):
        return AlreadyClosed.sentence
    first, last = ctx.session.execute(select(func.min(MonthClosing.month), func.max(MonthClosing.month))).one()
    if first and month < first:
        return f"The closed months begin with {month_words(first)}. What was before stays open."
    if last and month != following(last):
        return f"Months are closed in their order: next is {month_words(following(last))}."
    return None


def close(ctx: Ctx, *, month: date, note: str | None, shown: str) -> MonthClosing:
    """Keep every line of the month as it is, with the sums and a digest of all of them."""
    require(ctx, Permission.MONTHS_CLOSE)
    note = _note(note)
    lock_names(ctx.session, CLOSING_LOCK)
    refusal = _refusal(ctx, month)
    if refusal:
        raise AlreadyClosed if closing_of(ctx.session, month) else Conflict(refusal, code="month_not_to_close")
    closing = MonthClosing(month=month, closed_at=ctx.now, closed_by=ctx.actor.label, note=note, totals={}, digest="")
    ctx.session.add(closing)
    ctx.session.flush()
    # What moved before is kept as it is now; what moves from here on is noted anew, also while this runs.
    ctx.session.execute(delete(MovedLine).where(MovedLine.month == month))
    ctx.session.execute(_keep(closing))
    # Read from what was kept and not from the records: they may move while this runs.
    kept = month_lines.kept_lines(closing.id)
    digest = month_lines.digest(ctx.session, kept)
    require_same(shown, _shown(month, digest))
    sums = month_lines.totals(ctx.session, kept)
    closing.lines, closing.totals, closing.digest = sum(total.lines for total in sums), _as_kept(sums), digest
    ctx.session.flush()
    facts = {"month": month_words(month), "lines": closing.lines, "digest": digest, "totals": closing.totals}
    audit.record(ctx, "month.closed", records=[month_key(month)], reason=note, facts=facts)
    return closing


def _note(note: str | None) -> str | None:
    stripped = (note or "").strip()
    if len(stripped) > MOST_REASON or "\x00" in stripped:
        sentence = f"Use at most {MOST_REASON} plain characters."
        raise InvalidInput("The note cannot be kept as it is.", fields={"reason": sentence})
    return stripped or None


def _keep(closing: MonthClosing) -> Any:
    """INSERT … SELECT in the lines' order, so that their numbers keep it."""
    lines = _lines_now(closing.month)
    names = ("line_key", "kind", "at", "currency", "amount", "about")
    wanted = select(literal(closing.id), *(lines.c[name] for name in names)).order_by(*month_lines.in_order(lines))
    return insert(MonthLine).from_select(["closing_id", *names], wanted)


def _as_kept(sums: Sequence[Total]) -> dict[str, dict[str, dict[str, int]]]:
    kept: dict[str, dict[str, dict[str, int]]] = {}
    for total in sums:
        kept.setdefault(total.currency, {})[total.kind] = {"lines": total.lines, "amount": total.amount}
    return kept


def _lines_now(month: date) -> Any:
    return month_lines.lines_between(begins(month), ends(month)).subquery("line")


def moving(session: Session, month: date) -> Moving:
    """What was begun by the end of the month and is not settled."""
    refunds = select(func.count(), func.count().filter(Refund.state == RefundState.UNKNOWN)).where(
        Refund.payment_id.is_not(None), Refund.state.in_(MOVING_REFUNDS), Refund.created_at < ends(month)
    )
    under_way, unknown = session.execute(refunds).one()
    payments = select(func.count()).where(Payment.state == PaymentState.PROCESSING, Payment.created_at < ends(month))
    disputed = select(Dispute.id).join(Payment, Payment.id == Dispute.payment_id)
    open_ones = disputed.where(Dispute.status.not_in(disputes.SETTLED), Payment.paid_at < ends(month))
    open_disputes = select(func.count()).select_from(open_ones.subquery())
    return Moving(under_way - unknown, unknown, session.scalar(payments) or 0, session.scalar(open_disputes) or 0)


# -- reading ----------------------------------------------------------------------------------------------------------


def months(session: Session, now: datetime, *, last: date | None = None, size: int = 12) -> list[MonthState]:
    """Months, the newest first, beginning with `last`: closed ones as they were kept, open ones as they are now."""
    newest = min(last or month_of(now), month_of(now))
    earliest = month_lines.first_month(session) or newest
    shown = [month for back in range(size) if (month := following(newest, -back)) >= earliest] or [newest]
    kept = session.scalars(select(MonthClosing).where(MonthClosing.month.between(shown[-1], shown[0])))
    closings = {closing.month: closing for closing in kept}
    counts = adjustment_counts(session, min(closings), max(closings)) if closings else {}
    still_open = _open_totals(session, [month for month in shown if month not in closings])
    return [
        MonthState(
            month,
            now >= ends(month),
            closing := closings.get(month),
            totals_of(closing) if closing else still_open.get(month, ()),
            counts.get(month, 0),
        )
        for month in shown
    ]


def _open_totals(session: Session, open_months: Sequence[date]) -> dict[date, tuple[Total, ...]]:
    """Sums per kind and currency of each of these months as they are now."""
    if not open_months:
        return {}
    lines = month_lines.lines_between(begins(min(open_months)), ends(max(open_months))).subquery("line")
    month = cast(func.date_trunc("month", func.timezone("UTC", lines.c.at)), Date).label("month")
    grouped = session.execute(
        select(month, lines.c.kind, lines.c.currency, func.count(), summed(lines.c.amount)).group_by(
            month, lines.c.kind, lines.c.currency
        )
    )
    sums: dict[date, list[Total]] = {}
    for its_month, kind, currency, count, amount in grouped:
        sums.setdefault(its_month, []).append(Total(kind, currency, count, amount))
    return {each: month_lines.ordered(found) for each, found in sums.items()}


def month_state(session: Session, month: date, now: datetime) -> MonthState:
    """One month by itself; its adjustments are not counted here."""
    closing = closing_of(session, month)
    if closing is not None:
        return MonthState(month, True, closing, totals_of(closing))
    return MonthState(month, now >= ends(month), None, month_lines.totals(session, _lines_now(month)))


# -- export -----------------------------------------------------------------------------------------------------------

EXPORT_HEADER = ("Line", "Kind", "At (UTC)", "Currency", "Amount", "About")


def export(ctx: Ctx, *, month: date, file_format: str) -> MonthClosing:
    """Note that somebody takes the kept lines of a closed month away; `export_rows` are what they get."""
    require(ctx, Permission.EXPORTS_MAKE)
    if file_format not in FORMATS:
        raise InvalidInput("Choose CSV or XLSX.", fields={"format": "Choose CSV or XLSX."})
    closing = closing_of(ctx.session, month)
    if closing is None:
        raise NotFound("This month is not closed. Only a closed month can be exported, for it stays the same.")
    facts = {"month": month_text(month), "format": file_format, "digest": closing.digest}
    audit.record(ctx, "month.exported", records=[month_key(month)], facts=facts)
    return closing


def export_rows(session: Session, closing_id: int) -> Iterator[tuple[Any, ...]]:
    """The kept lines in their order, in constant memory; amounts in the currency's own unit, times in UTC."""
    statement = select(MonthLine).where(MonthLine.closing_id == closing_id).order_by(MonthLine.id)
    for line in session.scalars(statement.execution_options(yield_per=1000)):
        amount = Decimal(line.amount).scaleb(-decimals(line.currency))
        yield line.line_key, line.kind, line.at.astimezone(UTC), line.currency.upper(), amount, line.about
