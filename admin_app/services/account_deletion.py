"""An account that the identity provider knows no more lets go of what it holds.

What it held waits again under the address of its person, who gets it with the account that they sign in with next.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.orm import Session

from admin_app.addresses import comparable, is_one_of
from admin_app.context import Ctx
from admin_app.integrations import job_queue
from admin_app.services import audit, holders, person_addresses, waiting_again
from admin_app.services.audit import Change
from admin_app.services.merge_fields import CARRIED, COPIED
from admin_app.services.records import lock_names, membership_keys, pending_key, profile_key
from models.inbox import WebhookEvent
from models.people import (
    ExtraPurchase,
    Membership,
    MembershipStatus,
    PaymentProvider,
    PendingProfile,
    PersonAddress,
    Profile,
    User,
)

BECAUSE = "The account was deleted at the sign-in provider."
DELETED = "user.deleted"
HELD = tuple(name for name in (*COPIED, *CARRIED) if name not in {"email", "name"})
NOTHING = dict.fromkeys(HELD) | {
    "membership": Membership.FREE,
    "status": MembershipStatus.ACTIVE,
    "usage_credits": 0,
    "used_credits": 0,
    "cancel_at_period_end": False,
}


@dataclass(frozen=True)
class _Place:
    """Where what was held will wait: `own` is the purchase that it came by, `under` the one under the address."""

    own: PendingProfile | None
    under: PendingProfile | None


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
    address = _address(session, user_id)
    lock_names(session, *_names(session, user_id, address))
    profile = session.get(Profile, user_id, with_for_update=True, populate_existing=True)
    if profile is None or profile.is_legacy:
        known = session.scalar(select(User.id).where(User.open_id == user_id)) is not None
        return bool(person_addresses.give_up_all(ctx, user_id)) or known
    person_addresses.give_up_all(ctx, user_id)
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
    if _holds(profile):
        release(ctx, profile, address)
    # Whoever has the address by now need not sign in again to get what waits.
    owner = person_addresses.account_of(session, address) if address else None
    if owner is not None:
        job_queue.defer(session, "ask_about_person", once_key=f"ask_about_person:{owner}", user_id=owner)
    return True


def release(ctx: Ctx, profile: Profile, address: str | None) -> None:
    """Take what the profile holds off it, and have it wait under the address of its person.

    Where nothing can wait under that address (it has none, or another purchase that lives waits there already), support
    finds it among the extra purchases. The caller has locked the profile and the names of both addresses.
    """
    values = {name: getattr(profile, name) for name in HELD}
    place = _place(ctx, profile, address)
    pending = _row_for(ctx, place, profile, address)
    freed = holders.assign(ctx, profile, **NOTHING)
    ctx.session.flush()
    if pending is None:
        held = values["whop_membership_id"] or values["stripe_subscription_id"]
        if held:
            holders.put_aside(ctx, profile, held)
        return
    values["payment_provider"] = values["payment_provider"] or PaymentProvider.WHOP
    changes = holders.assign(ctx, pending, **values)
    ctx.session.flush()
    audit.record(
        ctx,
        "purchase.let_go",
        records=[pending_key(pending), profile_key(profile), *membership_keys(pending)],
        changes=[*freed, *changes, Change("claimed_by_user_id", profile.user_id, None)],
        facts={"email": pending.email, "user_id": profile.user_id},
    )


def _holds(profile: Profile) -> bool:
    held = profile.whop_membership_id or profile.stripe_subscription_id
    return held is not None or profile.membership is Membership.PRO


def _address(session: Session, user_id: str) -> str | None:
    """The address by which the person will come back: the primary one, else the last that was verified."""
    rows = select(PersonAddress.email).where(PersonAddress.user_id == user_id)
    newest = PersonAddress.given_up_at.desc().nulls_first()
    found = session.scalar(rows.order_by(PersonAddress.is_primary.desc(), newest, PersonAddress.id.desc()).limit(1))
    if found is not None:
        return found
    shown = session.scalar(select(Profile.email).where(Profile.user_id == user_id))
    return shown or session.scalar(select(User.email).where(User.open_id == user_id))


def _names(session: Session, user_id: str, address: str | None) -> list[str]:
    profile = session.get(Profile, user_id)
    emails = {row.email for row in person_addresses.verified(session, user_id)} | ({address} if address else set())
    names = {f"user:{user_id}"}
    if profile is not None:
        own = session.scalars(select(PendingProfile.email).where(or_(*_same_membership(profile)))).all()
        emails |= set(own)
        names |= {f"membership:{profile.whop_membership_id}"} if profile.whop_membership_id else set()
    return [*names, *(f"email:{email}" for email in {comparable(email) for email in emails})]


def _same_membership(profile: Profile) -> list[ColumnElement[bool]]:
    return [
        PendingProfile.whop_membership_id == (profile.whop_membership_id or ""),
        PendingProfile.stripe_subscription_id == (profile.stripe_subscription_id or ""),
    ]


def _place(ctx: Ctx, profile: Profile, address: str | None) -> _Place:
    concerned = _same_membership(profile)
    if address:
        concerned.append(is_one_of(PendingProfile.email, address))
    rows = ctx.session.scalars(
        select(PendingProfile)
        .where(or_(*concerned))
        .order_by(PendingProfile.claimed, PendingProfile.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    held = {profile.whop_membership_id, profile.stripe_subscription_id} - {None}
    own = next((row for row in rows if held & {row.whop_membership_id, row.stripe_subscription_id}), None)
    here = [row for row in rows if address and comparable(row.email) == comparable(address)]
    return _Place(own, own if own in here else next(iter(here), None))


def _row_for(ctx: Ctx, place: _Place, profile: Profile, address: str | None) -> PendingProfile | None:
    """The row, which waits from now on; None where there is no place."""
    own, under = place.own, place.under
    if under is not None and under is not own and _lives(under):
        under = None
        address = None  # a purchase that lives waits there: what was held waits where it came from, if anywhere
    if under is not None and under is not own:
        if own is not None:
            # One row has the membership; this one stays as the record of its claim.
            own.whop_membership_id = own.stripe_subscription_id = None
            own.version += 1
        if under.claimed:
            _leave(ctx, under, profile)
        return under
    if own is not None:
        if own.claimed:
            waiting_again.reopen(ctx, own, because=BECAUSE)
        if address and under is None:
            own.email = address
        ctx.session.flush()
        return own
    if address is None:
        return None
    pending = PendingProfile(email=address, name=profile.name, created_at=ctx.now, updated_at=ctx.now, claimed=False)
    ctx.session.add(pending)
    ctx.session.flush()
    ctx.session.refresh(pending)
    return pending


def _leave(ctx: Ctx, pending: PendingProfile, profile: Profile) -> None:
    if pending.claimed_by_user_id == profile.user_id:
        waiting_again.reopen(ctx, pending, because=BECAUSE)
    else:
        waiting_again.make_room(ctx, pending)
    ctx.session.flush()


def _lives(pending: PendingProfile) -> bool:
    return not pending.claimed and pending.membership is Membership.PRO
