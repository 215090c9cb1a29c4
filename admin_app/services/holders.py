"""Who holds a purchase: a profile, or a waiting purchase. Found and locked in the one order.

Names first, because a holder may not exist yet; then profiles; then purchases; the audit's chain, which the first
entry locks, always last. Whoever keeps to this order waits for the others and never crosswise.
"""

from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from admin_app.addresses import comparable, is_one_of
from admin_app.context import Ctx
from admin_app.integrations import job_queue
from admin_app.services import audit, legacy, person_addresses, waiting_again
from admin_app.services.audit import Change
from admin_app.services.records import lock_names, membership_key, pending_key, profile_key
from models.people import ExtraPurchase, PendingProfile, Profile

Holder = Profile | PendingProfile


def key(holder: Holder) -> str:
    return profile_key(holder) if isinstance(holder, Profile) else pending_key(holder)


def assign(ctx: Ctx, row: Holder, **values: object) -> list[Change]:
    """Set the fields and tell what that changed; a row that changes gets a new version."""
    changes = []
    for name, after in values.items():
        before = getattr(row, name)
        if audit.plain(before) != audit.plain(after):
            changes.append(Change(name, before, after, key(row)))
            setattr(row, name, after)
    if changes:
        row.version += 1
        row.updated_at = ctx.now
    return changes


def lock(ctx: Ctx, *, membership_id: str | None, email: str | None) -> None:
    """Two pieces of news of one purchase must not both make its holder, so its names are locked before any row."""
    names = [f"membership:{membership_id}"] if membership_id else []
    if email:
        names.append(f"email:{comparable(email)}")
    lock_names(ctx.session, *names)


def of_membership(ctx: Ctx, membership_id: str) -> Holder | None:
    """The profile or waiting purchase that holds this membership, locked."""
    session = ctx.session
    profile = session.scalar(
        select(Profile)
        .where(Profile.whop_membership_id == membership_id, ~legacy.IS_LEGACY)
        .order_by(Profile.updated_at.desc())
        .limit(1)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if profile is not None:
        return profile
    pending = session.scalar(
        select(PendingProfile)
        .where(PendingProfile.whop_membership_id == membership_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return pending or legacy.adopt(ctx, membership_id=membership_id)


def purchase_under(email: str) -> Select[PendingProfile]:
    """The purchase under this address; two rows of before may spell one differently, and one that waits comes first."""
    found = select(PendingProfile).where(is_one_of(PendingProfile.email, email))
    first = found.order_by(PendingProfile.claimed, PendingProfile.id).limit(1)
    return first.execution_options(populate_existing=True)


def of_email(ctx: Ctx, email: str) -> Holder | None:
    """The profile or purchase under this address, locked; of a claimed purchase the profile that it went to."""
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
    if profile is not None:
        return profile
    waiting = purchase_under(email)
    pending = session.scalar(waiting)
    if pending is None:
        return legacy.adopt(ctx, email=email) or session.scalar(waiting.with_for_update())
    # Profiles are locked before purchases everywhere, so a claimed purchase is left unlocked here.
    if pending.claimed and (claimant := _claimant(ctx, pending, owner)) is not None:
        return claimant
    pending = session.scalar(waiting.with_for_update())
    if pending is not None and pending.claimed:
        claimant = _claimant(ctx, pending, owner)
        if claimant is not None:
            return claimant
        waiting_again.make_room(ctx, pending)
        job_queue.defer(session, "send_claim_mail", pending_profile_id=pending.id)
    return pending


def _claimant(ctx: Ctx, pending: PendingProfile, owner: str | None) -> Profile | None:
    """The profile that a claimed purchase went to: a later purchase under the old address is the same person's.

    Not when somebody else has verified the address since, or that person gave it up, or their account was deleted.
    """
    user_id = pending.claimed_by_user_id
    if user_id is None or owner not in (None, user_id):
        return None
    if person_addresses.gave_up(ctx.session, user_id, pending.email):
        return None
    profile = ctx.session.get(Profile, user_id, with_for_update=True, populate_existing=True)
    return profile if profile is not None and profile.account_deleted_at is None else None


def is_held(session: Session, membership_id: str) -> bool:
    """Whether a profile, a waiting purchase or a legacy row has this membership now; locks nothing."""
    rows = (
        select(Profile.user_id).where(Profile.whop_membership_id == membership_id, Profile.email.is_not(None)),
        select(PendingProfile.id).where(PendingProfile.whop_membership_id == membership_id),
    )
    return any(session.execute(row.limit(1)).first() is not None for row in rows)


def shown(session: Session, membership_id: str) -> Holder | None:
    """Who holds this membership, to look at: nothing is locked and no legacy row moved."""
    profiles = select(Profile).where(Profile.whop_membership_id == membership_id)
    newest = profiles.order_by(legacy.IS_LEGACY, Profile.updated_at.desc()).limit(1)
    profile = session.scalar(newest.execution_options(populate_existing=True))
    if profile is not None and not profile.is_legacy:
        return profile
    pending = select(PendingProfile).where(PendingProfile.whop_membership_id == membership_id)
    return session.scalar(pending.execution_options(populate_existing=True)) or profile


def was_held(session: Session, membership_id: str) -> bool:
    """Whether this membership was here before: the audit remembers what no row holds any more."""
    return audit.is_told(session, membership_key(membership_id))


def deleted_since(session: Session, membership_id: str, moment: datetime) -> bool:
    """Whether staff deleted the purchase of this membership at this moment or later."""
    return audit.is_told(session, membership_key(membership_id), event="purchase.deleted", since=moment)


def put_aside(ctx: Ctx, holder: Holder, membership_id: str) -> None:
    """A membership that gives way to another but may still be charged: support looks at it, once."""
    if isinstance(holder, PendingProfile):
        audit.record(
            ctx,
            "purchase.put_aside",
            records=[pending_key(holder), membership_key(membership_id)],
            facts={"email": holder.email, "membership_id": membership_id},
        )
        return
    noted = ctx.session.scalar(
        insert(ExtraPurchase)
        .values(user_id=holder.user_id, replaced_membership_id=membership_id, noted_at=ctx.now)
        .on_conflict_do_nothing()
        .returning(ExtraPurchase.id)
    )
    if noted is not None:
        audit.record(
            ctx,
            "purchase.extra",
            records=[profile_key(holder), membership_key(membership_id)],
            facts={"user_id": holder.user_id},
        )
