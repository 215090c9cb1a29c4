"""Who holds a purchase: a profile, or a waiting purchase. Found and locked in the one order.

Names first, because a holder may not exist yet; then profiles; then purchases; the audit's chain, which the first
entry locks, always last. Whoever keeps to this order waits for the others and never crosswise.
"""

from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from admin_app.addresses import comparable, is_one_of
from admin_app.context import Ctx
from admin_app.integrations import job_queue
from admin_app.services import memberships
from admin_app.services.core.records import lock_names
from admin_app.services.memberships.news import MembershipSnapshot
from admin_app.services.memberships.rows import Holder, as_in_columns, assign, by_id, key, of
from admin_app.services.people import person_addresses
from admin_app.services.purchases import legacy, waiting_again
from models.memberships import PaymentProvider, ProviderMembership
from models.purchases import PendingProfile, Profile

__all__ = [
    "Holder",
    "account_under",
    "assign",
    "is_held",
    "key",
    "lock",
    "of_email",
    "of_membership",
    "of_snapshot",
    "purchase_under",
    "shown",
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
    return _with_holder(ctx, by_id(ctx.session, provider, membership_id), membership_id, provider)


def of_snapshot(ctx: Ctx, snapshot: MembershipSnapshot) -> tuple[ProviderMembership | None, Holder | None]:
    """The membership that was paid, and who holds it, locked; its name and its buyer's address are locked before.

    One that follows its buyer to another address may go to the account that claimed another purchase: accounts are
    locked before purchases.
    """
    membership_id, email = snapshot.membership_id or "", snapshot.email
    lock(ctx, membership_id=membership_id, email=email)
    row = by_id(ctx.session, snapshot.provider, membership_id)
    waits_elsewhere = row is not None and row.pending_profile_id is not None and row.email is not None
    if row is not None and waits_elsewhere and email and comparable(email) != comparable(row.email or ""):
        legacy.lock(ctx, emails=[email])
        account_under(ctx, email)
    return _with_holder(ctx, row, membership_id, snapshot.provider)


def _with_holder(
    ctx: Ctx, row: ProviderMembership | None, membership_id: str, provider: PaymentProvider
) -> tuple[ProviderMembership | None, Holder | None]:
    if row is None:
        holder = _by_columns(ctx, membership_id, provider)
        if holder is None:
            return None, None
        of(ctx, holder)
        row = by_id(ctx.session, provider, membership_id)
    holder = _locked_holder(ctx, row) if row is not None else None
    if row is not None and holder is not None:
        memberships.catch_up(ctx, holder, row)
    return row, holder


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


def account_under(ctx: Ctx, email: str) -> Profile | None:
    """The account that this address leads to, locked: its owner's, else whoever claimed the purchase under it."""
    session = ctx.session
    owner = person_addresses.account_of(session, email)
    profile = session.scalar(
        select(Profile)
        .where(person_addresses.has(owner, email), ~legacy.IS_LEGACY, Profile.account_deleted_at.is_(None))
        .order_by(Profile.membership.desc(), Profile.updated_at.desc())
        .limit(1)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return profile or _claimant(ctx, session.scalar(purchase_under(email)), owner)


def of_email(ctx: Ctx, email: str) -> Holder | None:
    """The profile or purchase under this address, locked; of a claimed purchase the profile that it went to."""
    session = ctx.session
    account = account_under(ctx, email)
    if account is not None:
        return account
    waiting = purchase_under(email)
    pending = session.scalar(waiting)
    if pending is None:
        return legacy.adopt(ctx, email=email) or session.scalar(waiting.with_for_update())
    owner = person_addresses.account_of(session, email)
    # Profiles are locked before purchases everywhere, so the lock of one that was claimed meanwhile is given back.
    with session.begin_nested() as tried:
        pending = session.scalar(waiting.with_for_update())
        if pending is None or waiting_again.claimant(session, pending, owner) is None:
            return _with_room(ctx, pending)
        tried.rollback()
    return _claimant(ctx, session.scalar(waiting), owner)


def _with_room(ctx: Ctx, pending: PendingProfile | None) -> PendingProfile | None:
    """A claimed purchase whose address leads to nobody any more makes room for what is bought under it now."""
    if pending is not None and pending.claimed:
        waiting_again.make_room(ctx, pending)
        job_queue.defer(ctx.session, "send_claim_mail", pending_profile_id=pending.id)
    return pending


def _claimant(ctx: Ctx, pending: PendingProfile | None, owner: str | None) -> Profile | None:
    """The profile, locked, that a claimed purchase went to: what comes later under its address is the same person's.

    None as in `waiting_again.claimant`; `owner` is whose the address is now (`person_addresses.account_of`).
    """
    user_id = waiting_again.claimant(ctx.session, pending, owner) if pending is not None else None
    if user_id is None:
        return None
    profile = ctx.session.get(Profile, user_id, with_for_update=True, populate_existing=True)
    return profile if profile is not None and profile.account_deleted_at is None else None


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
