"""A purchase that was claimed waits again, or its row is reused for what somebody else bought under its address.

There is one row per address. What the claim did stays told: in its journal, in the audit, on the profile.
"""

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.services import memberships
from admin_app.services.inbox import outbox
from admin_app.services.people import person_addresses
from models.inbox import SentEmail
from models.purchases import ExtraPurchase, Merge, PendingProfile, Profile


def claimant(session: Session, pending: PendingProfile, owner: str | None) -> str | None:
    """The account that a claimed purchase went to: what comes later under the old address is the same person's.

    None when somebody else has verified the address since (`owner`), that person gave it up, or their account is
    gone. Locks nothing.
    """
    user_id = pending.claimed_by_user_id
    if user_id is None or owner not in (None, user_id):
        return None
    if person_addresses.gave_up(session, user_id, pending.email):
        return None
    profile = session.get(Profile, user_id)
    return user_id if profile is not None and profile.account_deleted_at is None else None


def reopen(ctx: Ctx, pending: PendingProfile, *, because: str) -> None:
    """The claim in force is over: what it gave waits again under this row, which the caller has locked."""
    ctx.session.execute(
        update(Merge)
        .where(Merge.pending_profile_id == pending.id, Merge.undone_at.is_(None))
        .values(undone_at=ctx.now, undone_by=ctx.actor.label, undo_reason=because)
    )
    _unclaim(ctx, pending)


def make_room(ctx: Ctx, pending: PendingProfile) -> None:
    """Take leave of a claimed purchase whose address is somebody else's now, so that another can wait under it.

    The claim stays in force: its account keeps what it got. The next purchase's claim mail will be the first of it.
    """
    ctx.session.execute(
        update(Merge)
        .where(Merge.pending_profile_id == pending.id, Merge.undone_at.is_(None))
        .values(pending_profile_id=None)
    )
    outbox.supersede(ctx, "claimed", SentEmail.pending_profile_id == pending.id)
    ctx.session.execute(
        update(SentEmail).where(SentEmail.pending_profile_id == pending.id).values(pending_profile_id=None)
    )
    pending.created_at = ctx.now
    _unclaim(ctx, pending)
    nothing = dict.fromkeys(("name", "whop_user_id", "stripe_customer_id", "legacy_user_id"))
    memberships.settle(ctx, pending, [], **nothing, usage_credits=0, used_credits=0)


def _unclaim(ctx: Ctx, pending: PendingProfile) -> None:
    pending.claimed, pending.claimed_by_user_id, pending.claimed_at = False, None, None
    # A mail's link was used; only a fresh one may claim again.
    pending.token, pending.token_expires_at = None, None
    pending.likely_owners, pending.owners_checked_at = None, None
    pending.version += 1
    pending.updated_at = ctx.now
    # What was settled about the row before says nothing about what waits in it now.
    ctx.session.execute(delete(ExtraPurchase).where(ExtraPurchase.pending_profile_id == pending.id))
    ctx.session.flush()
