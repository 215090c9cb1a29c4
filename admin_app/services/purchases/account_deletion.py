"""An account that the identity provider knows no more lets go of what it holds.

What it held waits again under the address of its person, who gets it with the account that they sign in with next.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from admin_app.addresses import comparable
from admin_app.context import Ctx
from admin_app.integrations import job_queue
from admin_app.services import memberships
from admin_app.services.core import audit
from admin_app.services.core.audit import Change
from admin_app.services.core.records import lock_names, membership_key, pending_key, profile_key
from admin_app.services.memberships import CREDITS
from admin_app.services.memberships.extras import name_of
from admin_app.services.memberships.rows import hand_over
from admin_app.services.people import person_addresses, users
from admin_app.services.people.users import Owner
from admin_app.services.purchases import holders, waiting_again
from models.inbox import WebhookEvent
from models.memberships import MembershipStatus, ProviderMembership
from models.people import PersonAddress, User
from models.purchases import ExtraPurchase, PendingProfile, Profile

BECAUSE = "The account was deleted at the sign-in provider."
DELETED = "user.deleted"
PERSON_IDS = ("whop_user_id", "stripe_customer_id")


def told_deleted(session: Session, user_id: str, *, since: datetime | None = None) -> bool:
    """Whether the provider told that this account was deleted; at `since` or later, where that is given."""
    told = select(WebhookEvent.id).where(
        WebhookEvent.provider == "clerk", WebhookEvent.subject == user_id, WebhookEvent.type == DELETED
    )
    if since is not None:
        told = told.where(WebhookEvent.received_at >= since)
    return session.scalar(told.limit(1)) is not None


def let_go(ctx: Ctx, *, user_id: str) -> bool:
    """Mark the account as deleted and have what it holds wait; again it does nothing. False when nobody here has it."""
    session = ctx.session
    address = _locked_address(session, user_id)
    profile = session.get(Profile, user_id, with_for_update=True, populate_existing=True)
    gave_up = person_addresses.give_up_all(ctx, user_id)
    if profile is None and session.scalar(select(User.id).where(User.open_id == user_id)) is not None:
        # Made to be marked: nothing is given to it any more.
        profile = users.create_profile(ctx, Owner(user_id, None, None))
    if profile is None or profile.is_legacy:
        return bool(gave_up)
    if profile.account_deleted_at is None:
        profile.account_deleted_at = ctx.now
        audit.record(
            ctx,
            "profile.account_deleted",
            records=[profile_key(profile)],
            changes=[Change("account_deleted_at", None, ctx.now)],
            facts={"user_id": user_id},
        )
    session.execute(
        delete(ExtraPurchase).where(
            ExtraPurchase.user_id == user_id,
            ExtraPurchase.pending_profile_id.is_not(None),
            ExtraPurchase.resolved_at.is_(None),
        )
    )
    release(ctx, profile, address)
    # Whoever has the address by now need not sign in again to get what waits.
    owner = person_addresses.account_of(session, address) if address else None
    if owner is not None:
        job_queue.defer(session, "ask_about_person", once_key=f"ask_about_person:{owner}", user_id=owner)
    return True


def release(ctx: Ctx, profile: Profile, address: str | None) -> None:
    """Have the memberships of the profile wait under the address of its person, with what else waits there.

    Where nobody knows an address, nobody holds them: the nightly look tells of those that live. The caller has locked
    the profile and the names of its addresses.
    """
    rows = memberships.of(ctx, profile)
    if not rows:
        return
    pending, others = _place(ctx, profile, address) if address else (None, [])
    ids = {name: getattr(profile, name) for name in PERSON_IDS if getattr(profile, name) is not None}
    brought = _credits(profile, rows, pending, others) if pending is not None else {}
    for row in rows:
        if row.is_complimentary and pending is None:
            row.status = MembershipStatus.INACTIVE  # nobody can come back for it
        hand_over(row, pending)
        row.updated_at = ctx.now
        row.version += 1
    changes = memberships.settle(ctx, profile, [], **dict.fromkeys(PERSON_IDS), usage_credits=0, used_credits=0)
    records = [profile_key(profile), *(membership_key(name_of(row)) for row in rows)]
    if pending is not None:
        changes += holders.assign(ctx, pending, **ids)
        changes += memberships.settle(ctx, pending, [*others, *rows], **brought)
        records.append(pending_key(pending))
    audit.record(
        ctx,
        "purchase.let_go",
        records=records,
        changes=changes,
        facts={"email": pending.email if pending is not None else "nobody", "user_id": profile.user_id},
    )


def _place(ctx: Ctx, profile: Profile, address: str) -> tuple[PendingProfile, list[ProviderMembership]]:
    """The purchase under the address, which waits from now on, and what waits with it already."""
    session = ctx.session
    pending = session.scalar(holders.purchase_under(address).with_for_update())
    if pending is None:
        pending = PendingProfile(email=address, name=profile.name, usage_credits=0, used_credits=0, claimed=False)
        pending.created_at = pending.updated_at = ctx.now
        session.add(pending)
        session.flush()
        session.refresh(pending)
        return pending, []
    if not pending.claimed:
        return pending, memberships.of(ctx, pending)
    if pending.claimed_by_user_id == profile.user_id:
        waiting_again.reopen(ctx, pending, because=BECAUSE)
    else:
        waiting_again.make_room(ctx, pending)
    return pending, []


def _credits(
    profile: Profile, rows: Sequence[ProviderMembership], pending: PendingProfile, others: Sequence[ProviderMembership]
) -> dict[str, Any]:
    """As they were; beside another living purchase, what is left of both, where both are paid."""
    if not any(row.is_live for row in others) or (_is_paid(rows) and not _is_paid(others)):
        return {"usage_credits": profile.usage_credits, "used_credits": profile.used_credits}
    if not _is_paid(rows):
        return {}
    own = CREDITS if pending.usage_credits is None else pending.usage_credits
    left = max(0, own - (pending.used_credits or 0)) + max(0, profile.usage_credits - profile.used_credits)
    return {"usage_credits": left, "used_credits": 0}


def _is_paid(rows: Sequence[ProviderMembership]) -> bool:
    return any(row.is_paid for row in rows)


def _address(session: Session, user_id: str) -> str | None:
    """The address by which the person will come back: the primary one, else the last that was verified."""
    rows = select(PersonAddress.email).where(PersonAddress.user_id == user_id)
    newest = PersonAddress.given_up_at.desc().nulls_first()
    claimed = select(PendingProfile.email).where(PendingProfile.claimed_by_user_id == user_id)
    bought = select(ProviderMembership.email).where(
        ProviderMembership.profile_user_id == user_id, ProviderMembership.email.is_not(None)
    )
    known = (
        rows.order_by(PersonAddress.is_primary.desc(), newest, PersonAddress.id.desc()),
        select(Profile.email).where(Profile.user_id == user_id),
        select(User.email).where(User.open_id == user_id),
        claimed.order_by(PendingProfile.claimed_at.desc()),
        bought.order_by(ProviderMembership.id.desc()),
    )
    return next(filter(None, (session.scalar(one.limit(1)) for one in known)), None)


def _locked_address(session: Session, user_id: str) -> str | None:
    """The same, with all names that concern the account locked.

    A claim may bring it more while we wait: then the locks are given back, and taken anew in their order.
    """
    while True:
        address = _address(session, user_id)
        names = _names(session, user_id, address)
        with session.begin_nested() as tried:
            lock_names(session, *names)
            if (_address(session, user_id), _names(session, user_id, address)) == (address, names):
                return address
            tried.rollback()


def _names(session: Session, user_id: str, address: str | None) -> set[str]:
    emails = {row.email for row in person_addresses.verified(session, user_id)} | ({address} if address else set())
    ids = {
        *session.scalars(select(ProviderMembership.external_id).where(ProviderMembership.profile_user_id == user_id)),
        session.scalar(select(Profile.whop_membership_id).where(Profile.user_id == user_id)),
    }
    return {
        f"user:{user_id}",
        *(f"email:{comparable(email)}" for email in emails),
        *(f"membership:{external_id}" for external_id in ids if external_id),
    }
