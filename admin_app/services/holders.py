"""Who holds a purchase: a profile, or a waiting purchase. Found and locked in the one order.

Names first, because a holder may not exist yet; then profiles; then purchases; the audit's chain, which the first
entry locks, always last. Whoever keeps to this order waits for the others and never crosswise.
"""

from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from admin_app.addresses import comparable, is_one_of
from admin_app.context import Ctx
from admin_app.services import legacy
from admin_app.services.memberships.rows import Holder, as_in_columns, assign, by_id, key, of
from admin_app.services.records import lock_names
from models.memberships import ProviderMembership
from models.people import PaymentProvider, PendingProfile, Profile

__all__ = [
    "Holder",
    "assign",
    "is_held",
    "key",
    "lock",
    "of_email",
    "of_membership",
    "purchase_under",
    "shown",
    "waiting_under",
]


def lock(ctx: Ctx, *, membership_id: str | None, email: str | None) -> None:
    """Two pieces of news of one purchase must not both make its holder, so its names are locked before any row."""
    names = [f"membership:{membership_id}"] if membership_id else []
    if email:
        names.append(f"email:{comparable(email)}")
    lock_names(ctx.session, *names)


def of_membership(
    ctx: Ctx, membership_id: str, provider: PaymentProvider = PaymentProvider.WHOP
) -> tuple[ProviderMembership | None, Holder | None]:
    """The membership, and who holds it, locked; what only a row's columns tell of becomes a membership."""
    row = by_id(ctx.session, provider, membership_id)
    if row is None:
        holder = _by_columns(ctx, membership_id, provider)
        if holder is None:
            return None, None
        of(ctx, holder)
        row = by_id(ctx.session, provider, membership_id)
    return row, _locked_holder(ctx, row) if row is not None else None


def _by_columns(ctx: Ctx, membership_id: str, provider: PaymentProvider) -> Holder | None:
    """Whoever the earlier system gave this membership, locked."""
    is_whop = provider is PaymentProvider.WHOP
    named = Profile.whop_membership_id if is_whop else Profile.stripe_subscription_id
    session = ctx.session
    profile = session.scalar(
        select(Profile)
        .where(named == membership_id, ~legacy.IS_LEGACY)
        .order_by(Profile.updated_at.desc())
        .limit(1)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if profile is not None:
        return profile
    waits = PendingProfile.whop_membership_id if is_whop else PendingProfile.stripe_subscription_id
    pending = session.scalar(
        select(PendingProfile)
        .where(waits == membership_id, ~PendingProfile.claimed)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if pending is not None or not is_whop:
        return pending
    return legacy.adopt(ctx, membership_id=membership_id) or legacy.join(ctx, membership_id=membership_id)


def _locked_holder(ctx: Ctx, row: ProviderMembership) -> Holder | None:
    """The holder, locked. A claim may move the membership while we wait: then it is looked at again.

    Profiles are locked before purchases, so the lock of a purchase that was claimed meanwhile is given back.
    """
    session = ctx.session
    lock: dict[str, Any] = {"with_for_update": True, "populate_existing": True}
    while True:
        session.refresh(row)
        held_by = row.profile_user_id, row.pending_profile_id
        if held_by == (None, None):
            return None
        with session.begin_nested() as tried:
            holder: Holder | None
            if row.profile_user_id is not None:
                holder = session.get(Profile, row.profile_user_id, **lock)
            else:
                holder = session.get(PendingProfile, row.pending_profile_id, **lock)
            session.refresh(row)
            is_still = held_by == (row.profile_user_id, row.pending_profile_id)
            claimed_by = holder.claimed_by_user_id if is_still and isinstance(holder, PendingProfile) else None
            if is_still and claimed_by is None:
                return holder
            tried.rollback()
        # Claimed by the columns alone, by whoever knows no rows: the membership is the account's.
        profile = session.get(Profile, claimed_by, **lock) if claimed_by is not None else None
        if profile is not None:
            of(ctx, profile)
        elif claimed_by is not None:
            return session.get(PendingProfile, row.pending_profile_id, **lock)


def purchase_under(email: str) -> Select[PendingProfile]:
    """The purchase under this address; two rows of before may spell one differently, and one that waits comes first."""
    found = select(PendingProfile).where(is_one_of(PendingProfile.email, email))
    first = found.order_by(PendingProfile.claimed, PendingProfile.id).limit(1)
    return first.execution_options(populate_existing=True)


def waiting_under(ctx: Ctx, email: str) -> PendingProfile | None:
    """The purchase under this address, locked while it waits."""
    found = ctx.session.scalar(purchase_under(email))
    if found is None or found.claimed:
        return found
    return ctx.session.get(PendingProfile, found.id, with_for_update=True, populate_existing=True)


def of_email(ctx: Ctx, email: str) -> Holder | None:
    """The profile or purchase under this address, locked; of a claimed purchase the profile that it went to."""
    session = ctx.session
    profile = session.scalar(
        select(Profile)
        .where(is_one_of(Profile.email, email), ~legacy.IS_LEGACY)
        .order_by(Profile.membership.desc(), Profile.updated_at.desc())
        .limit(1)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if profile is not None:
        return profile
    waiting = purchase_under(email)
    pending = session.scalar(waiting)
    if pending is None:
        return legacy.adopt(ctx, email=email) or session.scalar(waiting.with_for_update())
    # Profiles are locked before purchases everywhere, so a claimed purchase is left unlocked here.
    if pending.claimed:
        return claimant(ctx, pending) or pending
    pending = session.scalar(waiting.with_for_update())
    return (claimant(ctx, pending) or pending) if pending is not None and pending.claimed else pending


def claimant(ctx: Ctx, pending: PendingProfile) -> Profile | None:
    """The profile that a claimed purchase went to: a later purchase under the old address is the same person's."""
    if pending.claimed_by_user_id is None:
        return None
    return ctx.session.get(Profile, pending.claimed_by_user_id, with_for_update=True, populate_existing=True)


def is_held(session: Session, membership_id: str, provider: PaymentProvider = PaymentProvider.WHOP) -> bool:
    """Whether somebody is known who has this membership; locks nothing."""
    return shown(session, membership_id, provider) is not None


def shown(
    session: Session, membership_id: str, provider: PaymentProvider = PaymentProvider.WHOP
) -> tuple[ProviderMembership, Holder] | None:
    """The membership and who holds it, to look at: nothing is locked and nothing moved."""
    row = by_id(session, provider, membership_id)
    if row is not None:
        holder = (
            session.get(Profile, row.profile_user_id)
            if row.profile_user_id
            else session.get(PendingProfile, row.pending_profile_id)
            if row.pending_profile_id
            else None
        )
        return None if holder is None else (row, holder)
    is_whop = provider is PaymentProvider.WHOP
    named = Profile.whop_membership_id if is_whop else Profile.stripe_subscription_id
    waits = PendingProfile.whop_membership_id if is_whop else PendingProfile.stripe_subscription_id
    found: Holder | None = session.scalar(
        select(Profile).where(named == membership_id).order_by(legacy.IS_LEGACY, Profile.updated_at.desc()).limit(1)
    )
    if found is None or found.is_legacy:  # type: ignore[union-attr]
        found = session.scalar(select(PendingProfile).where(waits == membership_id, ~PendingProfile.claimed)) or found
    if found is None:
        return None
    columns = as_in_columns(found, provider)
    return (columns, found) if columns is not None else None
