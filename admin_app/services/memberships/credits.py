"""Credits belong to a period of a membership: granted once for each period of 28 days that is paid.

The first period begins with the first paid cycle. In a cycle of 28 days or more the next ones are due 28 days after
its start, and so on; shorter cycles are counted on through, 28 days at a time. A period is paid when it begins before
the paid time ends. What is due is granted before a new cycle moves the date. After a time that nobody paid for,
periods begin anew with the cycle that is paid, unless the last one is not over yet.

A complimentary membership gives its credits only while nothing else does: beside a paid one, and before a period that
the account got from another is over, it waits.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import Conflict
from admin_app.services.memberships.order import rank
from admin_app.services.memberships.rows import Holder
from models.memberships import CreditPeriod, ProviderMembership
from models.purchases import Profile

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
    elif due is None:
        row.next_credits_at = start + CREDIT_PERIOD
    elif due > start and _is_long(row):
        # What was renewed early is not given once more.
        row.next_credits_at = max(due, start + CREDIT_PERIOD)


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

    Beside another paid membership, what is left of that one's credits is kept.
    """
    left = max(0, (holder.usage_credits or 0) - (holder.used_credits or 0))
    used = holder.used_credits or 0
    kept = _kept_beside(row, rows)
    granted: list[datetime] = []
    ctx.session.flush()
    while is_due(row, upto) and (starts_at := row.next_credits_at) is not None:
        waits_until = turn_of(ctx.session, row, holder, rows, starts_at)
        if waits_until > starts_at:
            row.next_credits_at = waits_until
            continue
        row.next_credits_at = following(row, starts_at)
        if _note(ctx, row, holder, starts_at, used):
            granted.append(starts_at)
            left, used = min(left, kept) + CREDITS, 0
    return granted, {"usage_credits": left, "used_credits": 0} if granted else {}


def _kept_beside(row: ProviderMembership, rows: Sequence[ProviderMembership]) -> int:
    return CREDITS * sum(other.is_paid for other in rows if other is not row)


def with_next(row: ProviderMembership, left: int, rows: Sequence[ProviderMembership]) -> dict[str, int]:
    """What an account that has so many left has after one more period of this membership."""
    return {"usage_credits": min(left, _kept_beside(row, rows)) + CREDITS, "used_credits": 0}


def was_given_early(session: Session, row: ProviderMembership, now: datetime) -> bool:
    """Whether the credits of a period that has not begun were given."""
    ahead = select(CreditPeriod.id).where(
        CreditPeriod.membership_id == row.id, CreditPeriod.starts_at > now, CreditPeriod.credits > 0
    )
    return session.scalar(ahead.limit(1)) is not None


def give_early(ctx: Ctx, row: ProviderMembership, holder: Holder, starts_at: datetime) -> None:
    """Note the period that begins at `starts_at` as given now: whoever comes to it finds it done."""
    if not _note(ctx, row, holder, starts_at, holder.used_credits or 0):
        raise Conflict("Somebody gave these credits just now.")


def take_back_early(ctx: Ctx, row: ProviderMembership, starts_at: datetime) -> None:
    """The period has not begun: it is due again when it does."""
    mine = CreditPeriod.membership_id == row.id, CreditPeriod.starts_at == starts_at
    ctx.session.execute(delete(CreditPeriod).where(*mine))


def gave_only(ctx: Ctx, row: ProviderMembership, used: int) -> None:
    """Of what this membership gave only so much was used, and the rest was taken back."""
    mine = CreditPeriod.membership_id == row.id
    ctx.session.execute(update(CreditPeriod).where(mine).values(credits=used))


def turn_of(
    session: Session,
    row: ProviderMembership,
    holder: Holder | None,
    rows: Sequence[ProviderMembership],
    starts_at: datetime,
) -> datetime:
    """When a period that would begin at `starts_at` may: a complimentary one gives nothing while another one does."""
    if not row.is_complimentary:
        return starts_at
    over = _latest_of_others(session, row, holder)
    if over is not None and over > starts_at:
        return over
    goes_before = [other for other in rows if other is not row and other.is_live and rank(other) > rank(row)]
    return starts_at + CREDIT_PERIOD if goes_before else starts_at


def _latest_of_others(session: Session, row: ProviderMembership, holder: Holder | None) -> datetime | None:
    """When the last period that the account got from another membership is over."""
    if not isinstance(holder, Profile):
        return None
    got = CreditPeriod.user_id == holder.user_id, CreditPeriod.credits > 0
    latest = session.scalar(select(func.max(CreditPeriod.starts_at)).where(*got, CreditPeriod.membership_id != row.id))
    return latest + CREDIT_PERIOD if latest is not None else None


def allowance(rows: Sequence[ProviderMembership]) -> int:
    """What these give together in one period: each paid one its credits, complimentary ones only where none is paid."""
    return CREDITS * (sum(row.is_paid for row in rows) or any(row.is_live for row in rows))


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
    next_at = next_when_kept_back(ctx.session, row)
    if next_at is not None:
        ctx.session.execute(update(CreditPeriod).where(*_unclaimed(row)).values(credits=0))
        row.next_credits_at = next_at


def next_when_kept_back(session: Session, row: ProviderMembership) -> datetime | None:
    """From when on credits would be granted again then; None where there are none to keep back."""
    return session.scalar(select(func.max(CreditPeriod.starts_at)).where(*_unclaimed(row)))


def _unclaimed(row: ProviderMembership) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return CreditPeriod.membership_id == row.id, CreditPeriod.user_id.is_(None)


def next_when_back(session: Session, row: ProviderMembership) -> datetime | None:
    """When the next credits of a membership come that waits with its purchase again (`go_back`)."""
    next_at = row.next_credits_at
    if next_at is None:
        return None
    mine = CreditPeriod.membership_id == row.id, CreditPeriod.starts_at == next_at, CreditPeriod.credits == 0
    is_kept_back = session.scalar(select(CreditPeriod.id).where(*mine)) is not None
    return following(row, next_at) if is_kept_back else next_at


def go_back(ctx: Ctx, rows: Sequence[ProviderMembership]) -> None:
    """The periods wait with the purchase again, those too that were kept back when it was claimed."""
    ctx.session.flush()
    for row in rows:
        mine = CreditPeriod.membership_id == row.id
        row.next_credits_at = next_when_back(ctx.session, row)
        ctx.session.execute(update(CreditPeriod).where(mine).values(user_id=None))
        ctx.session.execute(update(CreditPeriod).where(mine, CreditPeriod.credits == 0).values(credits=CREDITS))
