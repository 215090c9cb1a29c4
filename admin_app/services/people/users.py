"""People known by sign-in, and which account a purchase may go to."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from admin_app.addresses import comparable
from admin_app.context import Ctx, Customer
from admin_app.errors import InvalidInput, NotFound
from admin_app.integrations.ports import ClerkUser
from admin_app.services.core import audit
from admin_app.services.core.audit import Change
from admin_app.services.core.records import profile_key
from models.memberships import Membership, MembershipStatus
from models.people import User
from models.purchases import LEGACY_PREFIX, Profile


@dataclass(frozen=True)
class Owner:
    """The account that a purchase goes to; `email` is known to be theirs, `verified` what is verified of it now."""

    user_id: str
    email: str | None
    name: str | None
    verified: frozenset[str] = frozenset()


def customer_of(person: ClerkUser) -> Customer:
    """The person as the provider has them; their main address is the primary one if it is verified, else any other."""
    verified = sorted((each for each in person.emails if each.verified), key=lambda each: not each.primary)
    return Customer(
        user_id=person.id,
        verified_emails=person.verified_emails,
        email=verified[0].address if verified else None,
        name=person.name,
        asked_at=person.asked_at,
    )


def verified_emails(customer: Customer) -> list[str]:
    """In the form in which they are compared, the primary address first."""
    primary = comparable(customer.email) if customer.email else None
    return sorted({*map(comparable, customer.verified_emails)}, key=lambda email: (email != primary, email))


def owner_of(customer: Customer) -> Owner:
    """Who the signed-in customer is as an owner of purchases: verified addresses only, the first as the main one."""
    emails = verified_emails(customer)
    return Owner(customer.user_id, emails[0] if emails else None, customer.name, frozenset(emails))


def upsert(ctx: Ctx, customer: Customer, *, told_since: datetime | None = None) -> None:
    """Remember that this person signed in now. An unverified address is not kept: it may be someone else's.

    `told_since` is when the account was made, where the provider only tells of the person: nobody signed in by that,
    and it dates nothing but a row that is new.
    """
    owner = owner_of(customer)
    moment = told_since or ctx.now
    row = insert(User).values(
        open_id=owner.user_id, name=owner.name, email=owner.email, created_at=ctx.now, last_signed_in=moment
    )
    # Something must be set for the row to be locked; of two moments the later one counts.
    fresh: dict[str, Any] = {"last_signed_in": User.last_signed_in if told_since else _later(moment)}
    if owner.name:
        fresh["name"] = row.excluded.name
    if owner.email:
        fresh["email"] = row.excluded.email
    ctx.session.execute(row.on_conflict_do_update(index_elements=[User.open_id], set_=fresh))


def is_known(session: Session, user_id: str) -> bool:
    """Whether this person ever signed in, was told of, or has a profile."""
    if session.scalar(select(User.id).where(User.open_id == user_id)) is not None:
        return True
    return session.scalar(select(Profile.user_id).where(Profile.user_id == user_id)) is not None


def signed_in(ctx: Ctx, *, user_id: str, at: datetime) -> bool:
    """Note a sign-in that the provider tells of, late or not; False when nobody here has this id."""
    noted = update(User).where(User.open_id == user_id).values(last_signed_in=_later(at)).returning(User.id)
    return ctx.session.scalar(noted) is not None


def _later(moment: datetime) -> Any:
    return func.greatest(User.last_signed_in, moment)


def known_owner(session: Session, user_id: str) -> Owner:
    """The account by its id; refused when nobody has it or it is itself a legacy purchase."""
    if user_id.startswith(LEGACY_PREFIX):
        raise InvalidInput("A legacy row is a purchase itself, not an account. Choose a real account.")
    user = session.scalar(select(User).where(User.open_id == user_id))
    profile = session.get(Profile, user_id)
    if user is None and profile is None:
        raise NotFound("There is no account with this id. Search for the person by e-mail or name.")
    if profile is not None and profile.account_deleted_at is not None:
        raise InvalidInput("This account was deleted at the sign-in provider. Choose the one its person has now.")
    email = (profile.email if profile else None) or (user.email if user else None)
    name = (user.name if user else None) or (profile.name if profile else None)
    return Owner(user_id, email, name)


def new_profile_defaults(now: datetime) -> dict[str, Any]:
    """A profile that holds nothing yet."""
    return {
        "membership": Membership.FREE,
        "status": MembershipStatus.ACTIVE,
        "usage_credits": 0,
        "used_credits": 0,
        "cancel_at_period_end": False,
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }


def create_profile(ctx: Ctx, owner: Owner) -> Profile:
    """Make the account's free profile and record it; the caller has locked the account's name and saw none there."""
    profile = Profile(user_id=owner.user_id, email=owner.email, name=owner.name, **new_profile_defaults(ctx.now))
    ctx.session.add(profile)
    ctx.session.flush()  # the audit entry must not outlive a failed insert
    changes = [Change("email", None, owner.email), Change("name", None, owner.name)]
    told = {"user_id": profile.user_id}
    audit.record(ctx, "profile.created", records=[profile_key(profile)], changes=changes, facts=told)
    return profile
