"""The claim: one function for every door (sign-in, claim endpoint, mail link, provider event, support)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import update

from admin_app.addresses import comparable
from admin_app.context import Ctx, Customer
from admin_app.errors import (
    AlreadyClaimed,
    EmailNotVerified,
    InvalidToken,
    NotFound,
    PendingProfileNotFound,
)
from admin_app.policies.permissions import Permission, require
from admin_app.services import memberships
from admin_app.services.core import audit
from admin_app.services.core.audit import Change
from admin_app.services.core.plans import Plan, require_reason, require_same, snapshot
from admin_app.services.core.records import membership_keys, merge_key, pending_key, profile_key
from admin_app.services.memberships import credits, extras
from admin_app.services.memberships.rows import hand_over
from admin_app.services.people import users
from admin_app.services.people.users import Owner
from admin_app.services.purchases import claim_links, claim_plans, holders, identities, legacy, merge_fields
from admin_app.services.purchases.holders import assign
from admin_app.services.purchases.merge_fields import CARRIED, COPIED, Sides
from models.memberships import Membership, ProviderMembership
from models.purchases import ExtraPurchase, Merge, MergeKind, PendingProfile, Profile

JOURNALED = COPIED + CARRIED


@dataclass(frozen=True)
class ClaimResult:
    """`outcome`: created, merged, already_claimed (by this same user), already_pro, or none (nothing waited)."""

    outcome: str
    profile: Profile
    merge_id: int | None = None


# -- customers ---------------------------------------------------------------------------------------------------


def sign_in(ctx: Ctx) -> ClaimResult:
    """A customer signed in: claim what waits under their verified addresses, else make sure a profile exists."""
    require(ctx, Permission.CUSTOMER_CLAIM)
    return _sign_in(ctx, _customer(ctx))


def told_by_provider(
    ctx: Ctx,
    customer: Customer,
    *,
    email: str | None,
    since: datetime,
    told_at: datetime | None = None,
    takes_over: bool = True,
) -> ClaimResult | None:
    """The same for a person whom the identity provider tells of, and for one of their addresses alone. No sign-in.

    Without an address nothing is claimed, only noted who they are: None. Their account was made at `since`; the rest is
    as in `person_addresses.apply`.
    """
    require(ctx, Permission.CUSTOMER_CLAIM)
    emails = users.verified_emails(customer)
    owner = identities.come_in(ctx, customer, emails, told_since=since, told_at=told_at, takes_over=takes_over)
    return None if email is None else _claim_all(ctx, owner, [comparable(email)])


def _sign_in(ctx: Ctx, customer: Customer) -> ClaimResult:
    emails = users.verified_emails(customer)
    return _claim_all(ctx, identities.come_in(ctx, customer, emails), emails)


def _claim_all(ctx: Ctx, owner: Owner, emails: list[str]) -> ClaimResult:
    """Claim what waits under those of these addresses that are the owner's now, else make sure of the profile."""
    first: ClaimResult | None = None
    for email in emails:
        pending = _waiting(ctx, email, owner) if email in owner.verified else None
        if pending is None or (pending.claimed and pending.claimed_by_user_id != owner.user_id):
            continue
        try:
            result = _settle(ctx, pending, owner, keep_email=owner.email is not None)
        except AlreadyClaimed:
            continue  # someone else was faster by a moment, as above: no reason to refuse the sign-in
        if first is None or first.outcome == "already_claimed":
            first = result
    return first or ClaimResult("none", _ensure_profile(ctx, owner))


def claim(ctx: Ctx, *, email: str, token: str | None = None) -> ClaimResult:
    """A customer claims an address that is verified as theirs now, or with the token from the claim mail.

    To whoever verified the address a token that is too old stands in no way; one that is none is refused.
    """
    require(ctx, Permission.CUSTOMER_CLAIM)
    customer = _customer(ctx)
    address = comparable(email)
    verified = address in users.verified_emails(customer)
    if token is None and not verified:
        raise EmailNotVerified
    owner = identities.come_in(ctx, customer, [address])
    pending = _waiting(ctx, address, owner)
    if token is not None and (pending is None or not claim_links.leads(ctx.session, pending, token, verified, ctx.now)):
        raise InvalidToken
    if pending is None:
        raise PendingProfileNotFound
    return _settle(ctx, pending, owner, keep_email=not verified or owner.email is not None)


def claim_by_token(ctx: Ctx, *, token: str) -> ClaimResult:
    """The claim of the page that the mail leads to."""
    require(ctx, Permission.CUSTOMER_CLAIM)
    customer = _customer(ctx)
    verified = users.verified_emails(customer)
    meant = claim_links.purchase_behind(ctx.session, token=token, verified=verified, now=ctx.now)
    if meant is None:
        raise InvalidToken
    owner = identities.come_in(ctx, customer, [meant.email])
    pending = claim_links.purchase_behind(ctx.session, token=token, verified=verified, now=ctx.now)
    if pending is None or pending.id != meant.id:
        raise InvalidToken  # the link was replaced while we waited
    unproven = comparable(pending.email) not in verified
    return _settle(ctx, pending, owner, keep_email=unproven or owner.email is not None)


def _customer(ctx: Ctx) -> Customer:
    if not isinstance(ctx.actor, Customer):
        raise TypeError("only a customer's own door may call this")
    return ctx.actor


# -- staff -------------------------------------------------------------------------------------------------------


def plan_for_user(ctx: Ctx, *, pending_profile_id: int, user_id: str) -> Plan:
    """What claiming this purchase for this account would change."""
    require(ctx, Permission.PURCHASES_READ)
    pending = _pending(ctx, pending_profile_id)
    owner = users.known_owner(ctx.session, user_id)
    return claim_plans.of_claim(ctx.session, pending, owner, ctx.session.get(Profile, user_id))


def claim_for_user(
    ctx: Ctx,
    *,
    pending_profile_id: int,
    user_id: str,
    reason: str,
    shown: str,
    choices: Mapping[str, str] | None = None,
) -> ClaimResult:
    """Support claims for an account, or merges into its profile, exactly as the shown plan said."""
    require(ctx, Permission.PURCHASES_CLAIM)
    reason = require_reason(reason)
    owner = users.known_owner(ctx.session, user_id)
    profile = identities.locked_profile(ctx, owner.user_id)
    pending = _pending(ctx, pending_profile_id, lock=True)
    require_same(shown, claim_plans.of_claim(ctx.session, pending, owner, profile).fingerprint)
    return _settle(ctx, pending, owner, keep_email=True, choices=choices or {}, reason=reason, by_staff=True)


def _pending(ctx: Ctx, pending_profile_id: int, *, lock: bool = False) -> PendingProfile:
    pending = ctx.session.get(PendingProfile, pending_profile_id, with_for_update=lock or None, populate_existing=lock)
    if pending is None:
        raise NotFound("This purchase is not here any more. It may have been deleted.")
    return pending


# -- the one function --------------------------------------------------------------------------------------------


def _settle(
    ctx: Ctx,
    pending: PendingProfile,
    owner: Owner,
    *,
    keep_email: bool,
    choices: Mapping[str, str] | None = None,
    reason: str | None = None,
    by_staff: bool = False,
) -> ClaimResult:
    """Give the purchase to the owner. Every door ends here; one conditional update decides the winner."""
    profile = identities.locked_profile(ctx, owner.user_id)
    pending = _as_it_is_now(ctx, pending.id)
    if pending.claimed:
        return _claimed_before(ctx, pending, owner)
    own = memberships.of(ctx, profile) if profile is not None else []
    if profile is not None and not by_staff and pays_already(profile, own):
        extras.note_purchase(ctx, pending, owner.user_id)
        return ClaimResult("already_pro", profile)
    sides = merge_fields.sides(ctx.session, pending, profile, owner)
    won = _win(ctx, pending, owner)
    current = ctx.session.get(PendingProfile, pending.id, populate_existing=True)
    if current is None:
        raise PendingProfileNotFound
    if not won:
        return _claimed_before(ctx, current, owner)
    values = merge_fields.chosen_values(merge_fields.lines(sides, keep_email=keep_email), choices or {})
    before = snapshot(profile, JOURNALED) if profile is not None else None
    if profile is None:
        profile = Profile(user_id=owner.user_id, **users.new_profile_defaults(ctx.now))
        ctx.session.add(profile)
        ctx.session.flush()
    changes = _take_over(ctx, sides, own, profile, values, (choices or {}).get(merge_fields.COUNTS))
    merge = _journal(ctx, pending, profile, before, choices or {}, reason, by_staff)
    merge.memberships = [row.id for row in sides.bought]
    _record(ctx, pending, profile, merge, changes)
    return ClaimResult(merge.kind.value, profile, merge.id)


def pays_already(profile: Profile, own: Sequence[ProviderMembership]) -> bool:
    """Whether another would be one membership too many: a complimentary one is replaced by what was bought.

    `own`: what the profile holds.
    """
    if profile.membership is not Membership.PRO:
        return False
    live = [row for row in own if row.is_live]
    return not live or any(row.is_paid for row in live)


def _take_over(
    ctx: Ctx,
    sides: Sides,
    own: Sequence[ProviderMembership],
    profile: Profile,
    values: Mapping[str, Any],
    counts: str | None,
) -> list[Change]:
    """The memberships of the purchase are the account's from now on; its columns follow from all that it holds."""
    for row in sides.bought:
        hand_over(row, profile)
        row.updated_at = ctx.now
    ctx.session.add_all(sides.bought)
    ctx.session.flush()
    for row in sides.bought:
        if not row.is_live and not sides.bought_is_live:
            credits.keep_back(ctx, row)
    credits.belong_to(ctx, sides.bought, profile.user_id)
    chosen = merge_fields.preferred(own, sides.bought, counts)
    if chosen is not None:
        chosen.preferred_at = ctx.now
    # The ids of the person at the providers stay known where no membership says another.
    ids = ("whop_user_id", "stripe_customer_id")
    apart = {name: value for name, value in values.items() if name not in memberships.LINKED or name in ids}
    return memberships.settle(ctx, profile, [*own, *sides.bought], **apart)


def _as_it_is_now(ctx: Ctx, pending_id: int) -> PendingProfile:
    """The purchase read again: it may have been claimed or deleted while we waited for the profile.

    A claimed one is not locked, because provider events lock the profile after it.
    """
    pending = ctx.session.get(PendingProfile, pending_id, populate_existing=True)
    if pending is not None and not pending.claimed:
        pending = ctx.session.get(PendingProfile, pending_id, with_for_update=True, populate_existing=True)
    if pending is None:
        raise PendingProfileNotFound
    return pending


def _win(ctx: Ctx, pending: PendingProfile, owner: Owner) -> bool:
    won = ctx.session.scalar(
        update(PendingProfile)
        .where(PendingProfile.id == pending.id, ~PendingProfile.claimed)
        .values(
            claimed=True,
            claimed_by_user_id=owner.user_id,
            claimed_at=ctx.now,
            updated_at=ctx.now,
            version=PendingProfile.version + 1,
        )
        .returning(PendingProfile.id)
        .execution_options(synchronize_session=False)
    )
    return won is not None


def _claimed_before(ctx: Ctx, pending: PendingProfile, owner: Owner) -> ClaimResult:
    if pending.claimed_by_user_id != owner.user_id:
        raise AlreadyClaimed
    return ClaimResult("already_claimed", _ensure_profile(ctx, owner))


def _journal(
    ctx: Ctx,
    pending: PendingProfile,
    profile: Profile,
    before: dict[str, Any] | None,
    choices: Mapping[str, str],
    reason: str | None,
    by_staff: bool,
) -> Merge:
    """Keep what the claim did to the profile, field by field, so that it can be undone exactly."""
    merge = Merge(
        kind=MergeKind.CREATED if before is None else MergeKind.MERGED,
        pending_profile_id=pending.id,
        user_id=profile.user_id,
        before=before,
        after=snapshot(profile, JOURNALED),
        choices=dict(choices),
        by_staff=by_staff,
        made_by=ctx.actor.label,
        reason=reason,
        made_at=ctx.now,
    )
    ctx.session.add(merge)
    ctx.session.flush()  # its id goes into the answer
    return merge


def _record(ctx: Ctx, pending: PendingProfile, profile: Profile, merge: Merge, changes: list[Change]) -> None:
    ctx.session.execute(
        update(ExtraPurchase)
        .where(ExtraPurchase.pending_profile_id == pending.id, ExtraPurchase.resolved_at.is_(None))
        .values(resolved_at=ctx.now, resolved_by=ctx.actor.label, resolution=merge.kind.value)
    )
    told = {"email": pending.email, "owner": profile.email or profile.user_id, "user_id": profile.user_id}
    audit.record(
        ctx,
        "purchase.claimed",
        records=[pending_key(pending), profile_key(profile), merge_key(merge.id), *membership_keys(pending)],
        reason=merge.reason,
        changes=[*changes, Change("claimed_by_user_id", None, profile.user_id)],
        facts={**told, "outcome": merge.kind},
    )


def _waiting(ctx: Ctx, email: str, owner: Owner) -> PendingProfile | None:
    """The purchase under this address, a waiting one first; the legacy rows are moved on the way."""
    legacy.adopt(ctx, email=email, account=owner.user_id)
    return ctx.session.scalar(holders.purchase_under(email))


def _ensure_profile(ctx: Ctx, owner: Owner) -> Profile:
    profile = identities.locked_profile(ctx, owner.user_id)
    if profile is None:
        return users.create_profile(ctx, owner)
    if profile.email is None and owner.email:
        changes = assign(ctx, profile, email=owner.email)
        told = {"user_id": profile.user_id}
        audit.record(ctx, "profile.email_known", records=[profile_key(profile)], changes=changes, facts=told)
    return profile
