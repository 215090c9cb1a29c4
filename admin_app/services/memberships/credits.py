"""Credits belong to a period of a membership: granted once for each period of 28 days that is paid.

The first period begins with the first paid cycle. In a cycle of 28 days or more the next ones are due 28 days after
its start, and so on; shorter cycles are counted on through, 28 days at a time. A period is paid when it begins before
the paid time ends. What is due is granted before a new cycle moves the date. After a time that nobody paid for,
periods begin anew with the cycle that is paid, unless the last one is not over yet.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from admin_app.context import Ctx
from admin_app.services.memberships.rows import Holder
from models.memberships import CreditPeriod, ProviderMembership
from models.people import Profile

CREDITS = 1000
CREDIT_PERIOD = timedelta(days=28)
# Providers charge again a little before or after the former cycle's end.
CONTINUES_WITHIN = timedelta(days=3)


def begin_cycle(
    row: ProviderMembership, start: datetime, *, was_live: bool, former_end: datetime | None, is_new: bool = False
) -> None:
    """Set when the next period begins, now that the cycle from `start` is paid; the row has the new cycle's dates."""
    due = row.next_credits_at
    unpaid_between = not was_live or (former_end is not None and start > former_end + CONTINUES_WITHIN)
    if is_new:
        row.next_credits_at = start
    elif unpaid_between:
        row.next_credits_at = start if due is None or due <= start else due
    elif due is None or (due > start and _is_long(row)):
        row.next_credits_at = start + CREDIT_PERIOD


def following(row: ProviderMembership, starts_at: datetime) -> datetime:
    """When the period after the one that began at `starts_at` begins."""
    following = starts_at + CREDIT_PERIOD
    cycle = row.period_start
    if cycle is not None and starts_at < cycle < following and _is_long(row):
        return cycle + CREDIT_PERIOD
    return following


def _is_long(row: ProviderMembership) -> bool:
    if row.period_end is None or row.period_start is None:
        return True
    return row.period_end - row.period_start >= CREDIT_PERIOD


def is_due(row: ProviderMembership, upto: datetime) -> bool:
    """Whether a paid period that has begun by then has not had its credits."""
    starts_at = row.next_credits_at
    if starts_at is None or starts_at > upto or not row.is_live:
        return False
    return row.period_end is None or starts_at < row.period_end


def grant_due(
    ctx: Ctx, row: ProviderMembership, holder: Holder, rows: Sequence[ProviderMembership], *, upto: datetime
) -> tuple[list[datetime], dict[str, Any]]:
    """Grant each period that is due by then; the periods granted, and what the holder's credits are to be.

    Beside another live membership, what is left of that one's credits is kept.
    """
    left = max(0, (holder.usage_credits or 0) - (holder.used_credits or 0))
    used = holder.used_credits or 0
    kept = CREDITS * sum(other.is_live for other in rows if other is not row)
    granted: list[datetime] = []
    ctx.session.flush()
    while is_due(row, upto) and (starts_at := row.next_credits_at) is not None:
        row.next_credits_at = following(row, starts_at)
        if _note(ctx, row, holder, starts_at, used):
            granted.append(starts_at)
            left, used = min(left, kept) + CREDITS, 0
    return granted, {"usage_credits": left, "used_credits": 0} if granted else {}


def _note(ctx: Ctx, row: ProviderMembership, holder: Holder, starts_at: datetime, used_before: int) -> bool:
    """Whether nobody had this period's credits before."""
    values = {
        "user_id": holder.user_id if isinstance(holder, Profile) else None,
        "credits": CREDITS,
        "used_before": used_before,
        "granted_at": ctx.now,
    }
    made = insert(CreditPeriod).values(membership_id=row.id, starts_at=starts_at, **values)
    one_period = [CreditPeriod.membership_id, CreditPeriod.starts_at]
    given = made.on_conflict_do_update(index_elements=one_period, set_=values, where=CreditPeriod.credits == 0)
    return ctx.session.scalar(given.returning(CreditPeriod.id)) is not None


def correct_start(ctx: Ctx, row: ProviderMembership, guessed: datetime, told: datetime) -> None:
    """A period whose start was guessed begins when the provider says."""
    ctx.session.flush()
    ctx.session.execute(
        update(CreditPeriod)
        .where(CreditPeriod.membership_id == row.id, CreditPeriod.starts_at == guessed)
        .values(starts_at=told)
    )


def belong_to(ctx: Ctx, rows: Sequence[ProviderMembership], user_id: str | None) -> None:
    """The periods that waited with the purchase are the account's now."""
    ids = [row.id for row in rows]
    mine = CreditPeriod.membership_id.in_(ids), CreditPeriod.user_id.is_(None)
    ctx.session.execute(update(CreditPeriod).where(*mine).values(user_id=user_id))


def keep_back(ctx: Ctx, row: ProviderMembership) -> None:
    """Nobody got the credits of what ended or was deleted unclaimed: should it be paid again, they are granted then."""
    mine = CreditPeriod.membership_id == row.id, CreditPeriod.user_id.is_(None)
    last = ctx.session.scalar(select(func.max(CreditPeriod.starts_at)).where(*mine))
    if last is not None:
        ctx.session.execute(update(CreditPeriod).where(*mine).values(credits=0))
        row.next_credits_at = last


def go_back(ctx: Ctx, rows: Sequence[ProviderMembership]) -> None:
    """The periods wait with the purchase again, those too that were kept back when it was claimed."""
    ctx.session.flush()
    for row in rows:
        mine = CreditPeriod.membership_id == row.id
        ctx.session.execute(update(CreditPeriod).where(mine).values(user_id=None))
        kept_back = update(CreditPeriod).where(mine, CreditPeriod.credits == 0).values(credits=CREDITS)
        starts = ctx.session.scalars(kept_back.returning(CreditPeriod.starts_at)).all()
        if row.next_credits_at in starts and row.next_credits_at is not None:
            row.next_credits_at = following(row, row.next_credits_at)
