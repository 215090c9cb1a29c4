"""Purchases of the earlier system: profiles whose `user_id` begins with `temp_`.

Until all of them are moved both places are read, the waiting purchases first. Whoever needs a legacy row moves it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from admin_app.addresses import is_one_of
from admin_app.context import Ctx
from admin_app.services import memberships
from admin_app.services.core import audit
from admin_app.services.core.records import pending_key, profile_key
from admin_app.services.memberships import CREDITS, Holder
from admin_app.services.memberships.rows import hand_over
from admin_app.services.people import person_addresses
from admin_app.services.purchases import waiting_again
from admin_app.services.purchases.merge_fields import CARRIED, COPIED
from models.memberships import PaymentProvider, ProviderMembership
from models.purchases import LEGACY_PREFIX, PendingProfile, Profile

MOVED_FIELDS = (*COPIED, *CARRIED, "created_at")

IS_LEGACY: ColumnElement[bool] = Profile.user_id.startswith(LEGACY_PREFIX, autoescape=True)
_CAN_MOVE = and_(
    Profile.email.is_not(None), ~select(PendingProfile.id).where(PendingProfile.email == Profile.email).exists()
)
# Where there is a purchase already, the row is one more membership of whoever has the address, unless somebody else has
# its membership.
_CAN_JOIN = and_(
    Profile.email.is_not(None),
    select(PendingProfile.id).where(PendingProfile.email == Profile.email).exists(),
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


def adopt(
    ctx: Ctx, *, email: str | None = None, membership_id: str | None = None, account: str | None = None
) -> PendingProfile | None:
    """Move the legacy row of this membership, or all of this e-mail; the purchase made of one, None when none was.

    Further rows of an e-mail join what waits there, or the profile of `account`, which the caller has locked.
    """
    key = is_one_of(Profile.email, email) if email else Profile.whop_membership_id == membership_id
    first, *_ = [*_rows(ctx, key, _CAN_MOVE), None]
    moved = _move(ctx, first) if first is not None else None
    if email is not None:
        for row in _rows(ctx, key, _CAN_JOIN):
            _join(ctx, row, _under(ctx, row, of=account))
    return moved


def join(ctx: Ctx, *, membership_id: str) -> Holder | None:
    """The legacy row of this membership goes to whoever its address waits for already; None when there is none."""
    row, *_ = [*_rows(ctx, Profile.whop_membership_id == membership_id, _CAN_JOIN), None]
    return _join(ctx, row, _under(ctx, row)) if row is not None else None


def _rows(ctx: Ctx, *wanted: ColumnElement[bool]) -> Sequence[Profile]:
    rows = select(Profile).where(IS_LEGACY, *wanted).order_by(Profile.updated_at.desc(), Profile.user_id)
    return ctx.session.scalars(rows.with_for_update()).all()


def under(session: Session, email: str) -> Profile | None:
    """The legacy row that waits under this address, to look at; of several the one that is moved first."""
    rows = select(Profile).where(IS_LEGACY, is_one_of(Profile.email, email))
    return session.scalar(rows.order_by(Profile.updated_at.desc(), Profile.user_id).limit(1))


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


def _under(ctx: Ctx, row: Profile, *, of: str | None = None) -> Holder | None:
    """Who has what is under this row's address, locked: its claimant, else what waits there from now on.

    `of`: no other account's profile, as that would be locked in the wrong order.
    """
    same_address = select(PendingProfile).where(PendingProfile.email == row.email).limit(1)
    pending = ctx.session.scalar(same_address.execution_options(populate_existing=True))
    if pending is None:
        return None
    if pending.claimed:
        owner = person_addresses.account_of(ctx.session, pending.email)
        claimant = waiting_again.claimant(ctx.session, pending, owner)
        if claimant is not None and of in (None, claimant):
            return ctx.session.get(Profile, claimant, with_for_update=True, populate_existing=True)
        if claimant is not None:
            return None
    pending = ctx.session.get(PendingProfile, pending.id, with_for_update=True, populate_existing=True)
    if pending is not None and pending.claimed:
        waiting_again.make_room(ctx, pending)
    return pending


def _join(ctx: Ctx, row: Profile, holder: Holder | None) -> Holder | None:
    """One more row of an address: its membership and what is left of its credits go to the same person."""
    if holder is None:
        return None
    rows = memberships.of(ctx, holder)
    brought = memberships.as_unclaimed(ctx.session, row)
    credits = _with_credits_of(row, holder, rows) if any(one.is_live for one in brought) else {}
    for one in brought:
        hand_over(one, holder)
        one.updated_at = ctx.now
    ctx.session.add_all(brought)
    legacy_id = row.user_id
    ctx.session.execute(delete(Profile).where(Profile.user_id == legacy_id))
    changes = memberships.settle(ctx, holder, [*rows, *brought], **credits)
    audit.record(
        ctx,
        "purchase.legacy_adopted",
        records=[memberships.key(holder), profile_key(legacy_id)],
        changes=changes,
        facts={"legacy_user_id": legacy_id},
    )
    return holder


def _with_credits_of(row: Profile, holder: Holder, rows: Sequence[ProviderMembership]) -> dict[str, int]:
    """What is left of the row's comes on top; what ended before anybody claimed it brings nobody credits."""
    if isinstance(holder, PendingProfile) and not any(one.is_live for one in rows):
        return {"usage_credits": row.usage_credits, "used_credits": row.used_credits}
    own = CREDITS if holder.usage_credits is None else holder.usage_credits
    return {"usage_credits": own + max(0, row.usage_credits - row.used_credits)}


def move(ctx: Ctx, *, limit: int = 200) -> int:
    """Move up to `limit` legacy rows; what cannot be moved stays and is counted by `status`."""
    moved = 0
    for may, way in ((_CAN_MOVE, _move), (_CAN_JOIN, lambda ctx, row: _join(ctx, row, _under(ctx, row)))):
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
    """How many legacy rows there are now, and how many of them name no e-mail."""
    left, without_email = session.execute(
        select(func.count(), func.count().filter(Profile.email.is_(None))).where(IS_LEGACY)
    ).one()
    return LegacyStatus(left, without_email)
