"""Purchases of the earlier system: profiles whose `user_id` begins with `temp_`.

Until all of them are moved both places are read, the waiting purchases first. Whoever needs a legacy row moves it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from admin_app.addresses import is_one_of
from admin_app.context import Ctx
from admin_app.services import audit, waiting_again
from admin_app.services.merge_fields import CARRIED, COPIED
from admin_app.services.records import pending_key, profile_key
from models.people import LEGACY_PREFIX, PaymentProvider, PendingProfile, Profile

MOVED_FIELDS = (*COPIED, *CARRIED, "created_at")

IS_LEGACY: ColumnElement[bool] = Profile.user_id.startswith(LEGACY_PREFIX, autoescape=True)
# One purchase at a time waits under an address: a row whose address waits already comes after that one is claimed.
_CAN_MOVE = and_(
    Profile.email.is_not(None),
    ~select(PendingProfile.id).where(PendingProfile.email == Profile.email, ~PendingProfile.claimed).exists(),
)


@dataclass(frozen=True)
class LegacyStatus:
    """How many legacy rows are left, and how many of them cannot be moved as they are."""

    left: int
    without_email: int


def adopt(ctx: Ctx, *, email: str | None = None, membership_id: str | None = None) -> PendingProfile | None:
    """Move the legacy row of this e-mail or membership to the waiting purchases; None when there is none to move."""
    key = is_one_of(Profile.email, email) if email else Profile.whop_membership_id == membership_id
    row = ctx.session.scalar(
        select(Profile)
        .where(IS_LEGACY, key, _CAN_MOVE)
        .order_by(Profile.updated_at.desc(), Profile.user_id)
        .limit(1)
        .with_for_update()
    )
    return _move(ctx, row) if row is not None else None


def lock(ctx: Ctx, *, emails: Sequence[str]) -> None:
    """Lock the legacy rows of these addresses before anything is written, so that moving one waits for nobody."""
    rows = select(Profile.user_id).where(IS_LEGACY, is_one_of(Profile.email, *emails))
    ctx.session.execute(rows.order_by(Profile.user_id).with_for_update())


def _move(ctx: Ctx, row: Profile) -> PendingProfile | None:
    values = {name: getattr(row, name) for name in MOVED_FIELDS} | {
        "payment_provider": row.payment_provider or PaymentProvider.WHOP,
        "legacy_user_id": row.user_id,
    }
    pending_id = ctx.session.scalar(
        insert(PendingProfile).values(values).on_conflict_do_nothing().returning(PendingProfile.id)
    )
    if pending_id is not None:
        pending = ctx.session.get_one(PendingProfile, pending_id)
    else:
        room = _room_for(ctx, row)
        if room is None:
            return None  # the membership waits already, or another transaction was faster
        pending = room
        for name, value in values.items():
            setattr(pending, name, value)
    ctx.session.execute(delete(Profile).where(Profile.user_id == row.user_id))
    ctx.session.flush()
    audit.record(
        ctx,
        "purchase.legacy_adopted",
        records=[pending_key(pending), profile_key(row.user_id)],
        facts={"legacy_user_id": row.user_id},
    )
    return pending


def _room_for(ctx: Ctx, row: Profile) -> PendingProfile | None:
    """The row of a purchase under the same address that is claimed by now, free to take this one in."""
    same_address = select(PendingProfile).where(PendingProfile.email == row.email)
    pending = ctx.session.scalar(same_address.with_for_update().execution_options(populate_existing=True))
    if pending is None or not pending.claimed:
        return None
    held = (
        (PendingProfile.whop_membership_id, row.whop_membership_id),
        (PendingProfile.stripe_subscription_id, row.stripe_subscription_id),
    )
    known = [column == number for column, number in held if number is not None]
    moved_before = and_(PendingProfile.legacy_user_id == row.user_id, PendingProfile.id != pending.id)
    if ctx.session.scalar(select(PendingProfile.id).where(or_(moved_before, *known)).limit(1)) is not None:
        return None
    waiting_again.make_room(ctx, pending)
    return pending


def move(ctx: Ctx, *, limit: int = 200) -> int:
    """Move up to `limit` legacy rows; what cannot be moved stays and is counted by `status`."""
    rows = ctx.session.scalars(
        select(Profile)
        .where(IS_LEGACY, _CAN_MOVE)
        .order_by(Profile.updated_at.desc(), Profile.user_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    return sum(_move(ctx, row) is not None for row in rows)


def status(session: Session) -> LegacyStatus:
    left, without_email = session.execute(
        select(func.count(), func.count().filter(Profile.email.is_(None))).where(IS_LEGACY)
    ).one()
    return LegacyStatus(left, without_email)
