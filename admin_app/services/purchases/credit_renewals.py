"""Gives members their credits when a period is due, exactly once per period however many workers do it at once.

Due is what the rows of memberships say, or the columns of a profile that the earlier system wrote. A day is 24 hours:
periods are counted in UTC and know no clock changes. What was paid for is caught up with, however long no worker ran;
the rules are `memberships.credits`.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.services import memberships
from admin_app.services.core import audit
from admin_app.services.core.records import profile_key
from admin_app.services.memberships import CREDITS, credits
from admin_app.services.purchases import legacy
from models.memberships import Membership, MembershipStatus, ProviderMembership
from models.purchases import Profile


def due(session: Session, now: datetime, *, limit: int) -> Sequence[str]:
    """The ids of members who have a period due, those first who wait for longest."""
    by_rows = select(ProviderMembership.profile_user_id, ProviderMembership.next_credits_at).where(_is_due(now))
    by_columns = select(Profile.user_id, Profile.next_credit_renewal).where(_columns_are_due(now))
    found = by_rows.order_by(ProviderMembership.next_credits_at, ProviderMembership.id).limit(limit)
    told = by_columns.order_by(Profile.next_credit_renewal, Profile.user_id).limit(limit)
    waiting: dict[str, datetime] = {}
    for user_id, since in [*session.execute(found), *session.execute(told)]:
        if user_id is not None and since is not None:
            waiting[user_id] = min(since, waiting.get(user_id, since))
    return sorted(waiting, key=lambda user_id: (waiting[user_id], user_id))[:limit]


def renew(ctx: Ctx, *, user_id: str) -> bool:
    """Renew what is due of this member; False when nothing is, or when somebody else is at it."""
    row_due = exists().where(ProviderMembership.profile_user_id == Profile.user_id, _is_due(ctx.now))
    found = select(Profile).where(Profile.user_id == user_id, or_(row_due, _columns_are_due(ctx.now)))
    profile = ctx.session.scalar(
        found.with_for_update(skip_locked=True, of=Profile).execution_options(populate_existing=True)
    )
    return profile is not None and _renew(ctx, profile)


def _is_due(now: datetime) -> ColumnElement[bool]:
    return and_(
        ProviderMembership.status == MembershipStatus.ACTIVE,
        ProviderMembership.ignored_at.is_(None),
        ProviderMembership.profile_user_id.is_not(None),
        ProviderMembership.next_credits_at <= now,
        or_(
            ProviderMembership.period_end.is_(None),
            ProviderMembership.next_credits_at < ProviderMembership.period_end,
        ),
    )


def _columns_are_due(now: datetime) -> ColumnElement[bool]:
    return and_(
        ~legacy.IS_LEGACY,
        Profile.membership == Membership.PRO,
        Profile.status == MembershipStatus.ACTIVE,
        Profile.next_credit_renewal <= now,
        or_(Profile.billing_cycle_end.is_(None), Profile.next_credit_renewal < Profile.billing_cycle_end),
    )


def _renew(ctx: Ctx, profile: Profile) -> bool:
    rows = memberships.of(ctx, profile)
    if not rows:
        return False  # its columns name what another account holds: a rule says so, and nothing is taken away
    for row in rows:
        memberships.catch_up(ctx, profile, row)
    had = {name: getattr(profile, name) for name in ("usage_credits", "used_credits")}
    periods: list[datetime] = []
    for row in rows:
        granted, given = credits.grant_due(ctx, row, profile, rows, upto=ctx.now)
        periods += granted
        for name, value in given.items():
            setattr(profile, name, value)
    given = {name: getattr(profile, name) for name in had}
    for name, value in had.items():
        setattr(profile, name, value)  # so that the change is told once, from what it was
    changes = memberships.settle(ctx, profile, rows, **given)
    if periods:
        audit.record(
            ctx,
            "profile.credits_renewed",
            records=[profile_key(profile)],
            changes=changes,
            facts={
                "user_id": profile.user_id,
                "credits": CREDITS,
                "periods": len(periods),
                "due_at": max(periods),
            },
        )
    return bool(periods or changes)
