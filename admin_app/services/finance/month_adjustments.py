"""What changed in a closed month: its kept lines held against the lines as the records have them now.

An adjustment belongs to the closed month whose line it changes; `changed_at` says when its record changed last, which
is the month in which it was found.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, Select, case, cast, func, select
from sqlalchemy.orm import Session

from admin_app.services.core.amounts import summed
from admin_app.services.core.utc_months import begins, ends
from admin_app.services.finance import month_lines
from admin_app.services.finance.month_lines import Total
from models.finance import MonthClosing, MonthLine, MovedLine


@dataclass(frozen=True)
class Adjustment:
    """A line that is not as it was kept: added, gone, or changed; None where there is no line."""

    line_key: str
    what: str
    kind: str
    currency: str
    at: datetime
    about: str
    kept: int | None
    now: int | None
    changed_at: datetime | None

    @property
    def difference(self) -> int:
        return (self.now or 0) - (self.kept or 0)


def adjustments(session: Session, closing: MonthClosing, *, limit: int | None = None) -> list[Adjustment]:
    """The lines that are not as they were kept, in the order of lines."""
    differing = _differences(closing.month, closing.month)
    found = session.execute(differing.order_by("at", "line_key").limit(limit))
    return [Adjustment(**{name: getattr(row, name) for name in Adjustment.__dataclass_fields__}) for row in found]


def adjusted_totals(session: Session, closing: MonthClosing) -> tuple[tuple[str, str, int, int], ...]:
    """Per kind and currency: how many adjustments, and by how much they change the sum."""
    differing = _differences(closing.month, closing.month).subquery()
    change = func.coalesce(differing.c.now, 0) - func.coalesce(differing.c.kept, 0)
    grouped = session.execute(
        select(differing.c.kind, differing.c.currency, func.count(), summed(change)).group_by(
            differing.c.kind, differing.c.currency
        )
    )
    sums = month_lines.ordered(Total(kind, currency, count, amount) for kind, currency, count, amount in grouped)
    return tuple((total.kind, total.currency, total.lines, total.amount) for total in sums)


def adjustment_counts(session: Session, first: date, last: date) -> dict[date, int]:
    """How many adjustments each closed month from one to another has; one query.

    It reads the lines that have moved since they were kept and no others, however many there are.
    """
    moved = select(MovedLine.month, MovedLine.line_key).where(MovedLine.month.between(first, last)).cte("moved")
    differing = _differences(first, last, moved).subquery()
    counted = select(differing.c.month, func.count()).group_by(differing.c.month)
    return {row[0]: row[1] for row in session.execute(counted)}


def _differences(first: date, last: date, moved: Any = None) -> Select[Any]:
    """The kept lines of these months beside the lines as they are now, only where they differ; of `moved` ones."""
    closed = select(MonthClosing.id, MonthClosing.month).where(MonthClosing.month.between(first, last)).cte("closed")
    lines = month_lines.lines_between(begins(first), ends(last), only=moved).subquery("line")
    month = cast(func.date_trunc("month", func.timezone("UTC", lines.c.at)), Date)
    now = select(closed.c.month, *lines.c).select_from(lines).join(closed, closed.c.month == month).subquery("now_so")
    columns = (MonthLine.line_key, MonthLine.kind, MonthLine.at, MonthLine.currency, MonthLine.amount, MonthLine.about)
    all_kept = select(closed.c.month, *columns).select_from(MonthLine).join(closed, closed.c.id == MonthLine.closing_id)
    if moved is not None:
        here = (moved.c.month == closed.c.month) & (moved.c.line_key == MonthLine.line_key)
        all_kept = all_kept.join(moved, here)
    kept = all_kept.subquery("kept")
    same_line = (kept.c.month == now.c.month) & (kept.c.line_key == now.c.line_key)
    differs = (
        kept.c.line_key.is_(None)
        | now.c.line_key.is_(None)
        | kept.c.amount.is_distinct_from(now.c.amount)
        | kept.c.currency.is_distinct_from(now.c.currency)
        | kept.c.kind.is_distinct_from(now.c.kind)
    )
    names = ("month", "line_key", "kind", "at", "currency", "about")
    what = case((kept.c.line_key.is_(None), "added"), (now.c.line_key.is_(None), "gone"), else_="changed")
    return (
        select(
            *(func.coalesce(now.c[name], kept.c[name]).label(name) for name in names),
            what.label("what"),
            kept.c.amount.label("kept"),
            now.c.amount.label("now"),
            now.c.changed_at,
        )
        .select_from(kept.join(now, same_line, full=True))
        .where(differs)
    )
