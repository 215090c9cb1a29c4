"""Purchases of the earlier system: profiles whose `user_id` begins with `temp_`.

Until all of them are moved both places are read, the waiting purchases first. Whoever needs a legacy row moves it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from admin_app.addresses import is_one_of
from admin_app.context import Ctx
from admin_app.services import audit, memberships
from admin_app.services.memberships import Holder
from admin_app.services.memberships.rows import hand_over
from admin_app.services.merge_fields import CARRIED, COPIED
from admin_app.services.records import pending_key, profile_key
from models.memberships import ProviderMembership
from models.people import LEGACY_PREFIX, PaymentProvider, PendingProfile, Profile

MOVED_FIELDS = (*COPIED, *CARRIED, "created_at")

IS_LEGACY: ColumnElement[bool] = Profile.user_id.startswith(LEGACY_PREFIX, autoescape=True)
# A row whose address waits already stays where support sees it.
_CAN_MOVE = and_(
    Profile.email.is_not(None), ~select(PendingProfile.id).where(PendingProfile.email == Profile.email).exists()
)


_account = aliased(Profile)
# It is one more membership of whoever that address is, unless somebody else has its membership already.
_CAN_JOIN = and_(
    Profile.email.is_not(None),
    select(PendingProfile.id)
    .outerjoin(_account, _account.user_id == PendingProfile.claimed_by_user_id)
    .where(PendingProfile.email == Profile.email, PendingProfile.claimed == _account.user_id.is_not(None))
    .correlate(Profile)
    .exists(),
    ~select(ProviderMembership.id)
    .where(
        ProviderMembership.external_id == Profile.whop_membership_id,
        ProviderMembership.profile_user_id.is_distinct_from(Profile.user_id),
    )
    .exists(),
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


def join(ctx: Ctx, *, membership_id: str) -> Holder | None:
    """The legacy row of this membership goes to whoever its address waits for already; None when there is none."""
    named = select(Profile).where(IS_LEGACY, Profile.whop_membership_id == membership_id, _CAN_JOIN)
    row = ctx.session.scalar(named.order_by(Profile.updated_at.desc(), Profile.user_id).limit(1).with_for_update())
    return _join(ctx, row) if row is not None else None


def lock(ctx: Ctx, *, emails: Sequence[str]) -> None:
    """Lock the legacy rows of these addresses before anything is written, so that moving one waits for nobody."""
    rows = select(Profile.user_id).where(IS_LEGACY, is_one_of(Profile.email, *emails), _CAN_MOVE)
    ctx.session.execute(rows.order_by(Profile.user_id).with_for_update())


def _move(ctx: Ctx, row: Profile) -> PendingProfile | None:
    values = {name: getattr(row, name) for name in MOVED_FIELDS} | {
        "payment_provider": row.payment_provider or PaymentProvider.WHOP,
        "legacy_user_id": row.user_id,
    }
    pending_id = ctx.session.scalar(
        insert(PendingProfile).values(values).on_conflict_do_nothing().returning(PendingProfile.id)
    )
    if pending_id is None:
        return None  # the membership waits already, or another transaction was faster
    pending = ctx.session.get_one(PendingProfile, pending_id)
    for one in memberships.held(ctx.session, row):
        hand_over(one, pending)
    ctx.session.flush()
    ctx.session.execute(delete(Profile).where(Profile.user_id == row.user_id))
    memberships.of(ctx, pending)
    audit.record(
        ctx,
        "purchase.legacy_adopted",
        records=[pending_key(pending), profile_key(row.user_id)],
        facts={"legacy_user_id": row.user_id},
    )
    return pending


def _join(ctx: Ctx, row: Profile) -> Holder | None:
    """A second row of one address: its membership and what is left of its credits go to the same person."""
    pending = ctx.session.scalar(select(PendingProfile).where(PendingProfile.email == row.email).limit(1))
    if pending is None:
        return None
    holder: Holder | None
    if pending.claimed:
        holder = ctx.session.get(Profile, pending.claimed_by_user_id, with_for_update=True, populate_existing=True)
    else:
        holder = ctx.session.get(PendingProfile, pending.id, with_for_update=True, populate_existing=True)
    if holder is None or (isinstance(holder, PendingProfile) and holder.claimed):
        return None  # somebody claims it at this moment: another time
    rows = memberships.of(ctx, holder)
    brought = memberships.as_unclaimed(ctx.session, row)
    for one in brought:
        hand_over(one, holder)
        one.updated_at = ctx.now
    ctx.session.add_all(brought)
    legacy_id, left = row.user_id, max(0, row.usage_credits - row.used_credits)
    ctx.session.execute(delete(Profile).where(Profile.user_id == legacy_id))
    kept = {"usage_credits": (holder.usage_credits or 0) + left} if any(one.is_live for one in brought) else {}
    changes = memberships.settle(ctx, holder, [*rows, *brought], **kept)
    audit.record(
        ctx,
        "purchase.legacy_adopted",
        records=[memberships.key(holder), profile_key(legacy_id)],
        changes=changes,
        facts={"legacy_user_id": legacy_id},
    )
    return holder


def move(ctx: Ctx, *, limit: int = 200) -> int:
    """Move up to `limit` legacy rows; what cannot be moved stays and is counted by `status`."""
    moved = 0
    for may, way in ((_CAN_MOVE, _move), (_CAN_JOIN, _join)):
        rows = ctx.session.scalars(
            select(Profile)
            .where(IS_LEGACY, may)
            .order_by(Profile.updated_at.desc(), Profile.user_id)
            .limit(limit - moved)
            .with_for_update(skip_locked=True)
        ).all()
        moved += sum(way(ctx, row) is not None for row in rows)
    return moved


def status(session: Session) -> LegacyStatus:
    left, without_email = session.execute(
        select(func.count(), func.count().filter(Profile.email.is_(None))).where(IS_LEGACY)
    ).one()
    return LegacyStatus(left, without_email)
