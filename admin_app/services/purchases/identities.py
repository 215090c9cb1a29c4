"""Who comes in: a customer is remembered with what the identity provider says is theirs, before anything is given."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import select

from admin_app.addresses import is_one_of
from admin_app.context import Ctx, Customer
from admin_app.errors import NotSignedIn
from admin_app.services.core import audit
from admin_app.services.core.audit import Change
from admin_app.services.core.records import lock_names, profile_key
from admin_app.services.people import person_addresses, users
from admin_app.services.people.users import Owner
from admin_app.services.purchases import account_deletion, legacy
from admin_app.services.purchases.holders import assign
from models.purchases import PendingProfile, Profile


def come_in(
    ctx: Ctx,
    customer: Customer,
    emails: list[str],
    *,
    told_since: datetime | None = None,
    told_at: datetime | None = None,
    takes_over: bool = True,
) -> Owner:
    """Remember the person with what is theirs now, and lock all that the claim may touch (see `holders`)."""
    lock_names(ctx.session, *person_addresses.names(ctx.session, customer, emails))
    profile = locked_profile(ctx, customer.user_id)
    _be_there(ctx, customer, profile)
    legacy.lock(ctx, emails=emails)
    waiting = select(PendingProfile.id).where(is_one_of(PendingProfile.email, *emails), ~PendingProfile.claimed)
    ctx.session.execute(waiting.order_by(PendingProfile.id).with_for_update())
    now_theirs = person_addresses.apply(ctx, customer, told_at=told_at, takes_over=takes_over)
    users.upsert(ctx, now_theirs, told_since=told_since)
    person_addresses.note_asked(ctx, now_theirs, told_at)
    owner = users.owner_of(now_theirs)
    if takes_over and told_at is None:
        # Whoever was asked about a moment ago claims by that answer; of two at once the claim itself decides.
        owner = replace(owner, verified=frozenset(users.verified_emails(customer)))
    if profile is not None:
        _follow(ctx, profile, owner)
    return owner


def _be_there(ctx: Ctx, customer: Customer, profile: Profile | None) -> None:
    """Nobody comes in by an account that was deleted after the provider said who they are."""
    as_of = customer.asked_at or ctx.now
    gone = profile.account_deleted_at if profile is not None else None
    if (gone is not None and as_of < gone) or account_deletion.told_deleted(ctx.session, customer.user_id, since=as_of):
        raise NotSignedIn
    if profile is not None and gone is not None:
        profile.account_deleted_at = None
        told = {"user_id": profile.user_id}
        changes = [Change("account_deleted_at", gone, None)]
        audit.record(ctx, "profile.account_back", records=[profile_key(profile)], changes=changes, facts=told)


def _follow(ctx: Ctx, profile: Profile, owner: Owner) -> None:
    """A profile shows its person's primary address, and none that is somebody else's by now."""
    email = owner.email
    if email is None:
        shown = profile.email
        if shown is None or person_addresses.account_of(ctx.session, shown) in (None, owner.user_id):
            return
    changes = assign(ctx, profile, email=email)
    if changes:
        event = "profile.email_known" if changes[0].before is None else "profile.email_followed"
        told = {"user_id": profile.user_id}
        audit.record(ctx, event, records=[profile_key(profile)], changes=changes, facts=told)


def locked_profile(ctx: Ctx, user_id: str) -> Profile | None:
    """The account's profile, locked; the name is locked first because the profile may not exist yet."""
    lock_names(ctx.session, f"user:{user_id}")
    return ctx.session.get(Profile, user_id, with_for_update=True, populate_existing=True)
