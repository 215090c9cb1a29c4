"""Gives members new credits every 28 days, exactly once per period however many workers do it at once.

A period is its due time; the unique row of it is what makes it happen once. A day is 24 hours: periods are counted in
UTC and know no clock changes. Whoever's paid cycle is over gets nothing until it is paid on. What was missed until
then, or while no worker ran, is caught up with: a row per period, and the last one sets the credits.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.services import audit
from admin_app.services.audit import Change
from admin_app.services.purchases import CREDIT_PERIOD
from admin_app.services.records import profile_key
from models.billing import CreditRenewal
from models.people import Membership, MembershipStatus, Profile

CREDITS = 1000


def due(session: Session, now: datetime, *, limit: int) -> Sequence[str]:
    """The ids of members whose credits are to be renewed, those first who wait for longest."""
    found = select(Profile.user_id).where(_is_due(now))
    return session.scalars(found.order_by(Profile.next_credit_renewal, Profile.user_id).limit(limit)).all()


def renew(ctx: Ctx, *, user_id: str) -> bool:
    """Renew what is due of this member; False when nothing is, or when somebody else is at it."""
    found = select(Profile).where(Profile.user_id == user_id, _is_due(ctx.now)).with_for_update(skip_locked=True)
    profile = ctx.session.scalar(found.execution_options(populate_existing=True))
    if profile is not None:
        _renew(ctx, profile)
    return profile is not None


def _is_due(now: datetime) -> ColumnElement[bool]:
    return and_(
        Profile.membership == Membership.PRO,
        Profile.status == MembershipStatus.ACTIVE,
        Profile.next_credit_renewal <= now,
        or_(Profile.billing_cycle_end.is_(None), Profile.billing_cycle_end >= now),
    )


def periods(first: datetime, now: datetime) -> Iterator[datetime]:
    """When each period since `first` was due, up to now."""
    due_at = first
    while due_at <= now:
        yield due_at
        due_at += CREDIT_PERIOD


def _renew(ctx: Ctx, profile: Profile) -> None:
    first = profile.next_credit_renewal
    if first is None:
        return
    due = list(periods(first, ctx.now))
    renewed = [at for number, at in enumerate(due) if _note(ctx, profile, at, 0 if number else profile.used_credits)]
    before = {name: getattr(profile, name) for name in ("usage_credits", "used_credits", "next_credit_renewal")}
    profile.next_credit_renewal = due[-1] + CREDIT_PERIOD
    profile.version += 1
    profile.updated_at = ctx.now
    if not renewed:
        return  # every one of these periods had its credits before
    profile.usage_credits, profile.used_credits = CREDITS, 0
    audit.record(
        ctx,
        "profile.credits_renewed",
        records=[profile_key(profile)],
        changes=[Change(name, value, getattr(profile, name)) for name, value in before.items()],
        facts={"user_id": profile.user_id, "credits": CREDITS, "periods": len(renewed), "due_at": renewed[-1]},
    )


def _note(ctx: Ctx, profile: Profile, due_at: datetime, used_before: int) -> bool:
    """Whether this period had not been renewed before."""
    row = {"user_id": profile.user_id, "due_at": due_at, "renewed_at": ctx.now}
    made = (
        insert(CreditRenewal)
        .values(**row, credits=CREDITS, used_before=used_before)
        .on_conflict_do_nothing()
        .returning(CreditRenewal.id)
    )
    return ctx.session.scalar(made) is not None
