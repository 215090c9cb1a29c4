"""What support does to a waiting purchase besides claiming it: correct its e-mail, delete it, settle an extra one."""

from collections.abc import Sequence

from sqlalchemy import func, select

from admin_app.addresses import comparable, is_one_of
from admin_app.context import Ctx
from admin_app.errors import Conflict, NotFound
from admin_app.policies.permissions import Permission, require
from admin_app.services import memberships
from admin_app.services.core import audit
from admin_app.services.core.audit import Change
from admin_app.services.core.email_fields import clean_email
from admin_app.services.core.plans import Plan, PlanLine, fingerprint, require_reason, require_same, snapshot
from admin_app.services.core.records import extra_key, lock_names, membership_keys, pending_key, profile_key
from admin_app.services.core.timeline_words import provider_name
from admin_app.services.memberships import credits, extras, meaning
from admin_app.services.memberships.meaning import Meaning
from admin_app.services.memberships.order import ENDLESS
from admin_app.services.memberships.rows import DELETED, hand_over, held_by
from admin_app.services.purchases import owners
from admin_app.services.purchases.holders import assign
from models.memberships import MembershipStatus, ProviderMembership
from models.purchases import ExtraPurchase, PendingProfile, Profile

WAITING_FIELDS = ("email", "membership", "payment_provider", "whop_membership_id", "plan_duration", "usage_credits")


def unclaimed(ctx: Ctx, pending_profile_id: int) -> PendingProfile:
    """The purchase, locked; refused when it is gone or claimed."""
    pending = ctx.session.get(PendingProfile, pending_profile_id, with_for_update=True, populate_existing=True)
    if pending is None:
        raise NotFound("This purchase is not here any more. It may have been deleted.")
    if pending.claimed:
        raise Conflict("This purchase is claimed. Undo the claim first.")
    return pending


def plan_email(ctx: Ctx, *, pending_profile_id: int, email: str) -> Plan:
    """What correcting the address would change, and whether another purchase stands in its way."""
    require(ctx, Permission.PURCHASES_READ)
    pending = ctx.session.get(PendingProfile, pending_profile_id)
    if pending is None:
        raise NotFound("This purchase is not here any more. It may have been deleted.")
    address = clean_email(email)
    return Plan(
        title="Correct the e-mail",
        outcome="corrected",
        lines=(PlanLine(pending_key(pending), "email", pending.email, address, "what you typed"),),
        consequences=_email_consequences(ctx, pending, address),
        fingerprint=fingerprint(pending, address),
        refusal=_email_refusal(ctx, pending, address),
    )


def correct_email(ctx: Ctx, *, pending_profile_id: int, email: str, reason: str, shown: str) -> PendingProfile:
    """Give the purchase its right address; a claim link sent to the wrong one stops working."""
    require(ctx, Permission.PURCHASES_CORRECT)
    reason = require_reason(reason)
    address = clean_email(email)
    lock_names(ctx.session, f"email:{comparable(address)}")
    pending = unclaimed(ctx, pending_profile_id)
    refusal = _email_refusal(ctx, pending, address)
    if refusal:
        raise Conflict(refusal)
    require_same(shown, fingerprint(pending, address))
    before = pending.email
    changes = assign(ctx, pending, email=address, token=None, token_expires_at=None)
    owners.refresh(ctx, pending)  # its searches come before the audit's one lock, which everyone waits for
    audit.record(
        ctx,
        "purchase.email_corrected",
        records=[pending_key(pending), *membership_keys(pending)],
        reason=reason,
        changes=[change for change in changes if change.field == "email"],
        facts={"before": before, "after": address},
    )
    return pending


def _email_refusal(ctx: Ctx, pending: PendingProfile, address: str) -> str | None:
    if pending.claimed:
        return "This purchase is claimed. Undo the claim first."
    if comparable(address) == comparable(pending.email):
        return "The purchase already has this address."
    other = ctx.session.scalar(
        select(PendingProfile.id).where(is_one_of(PendingProfile.email, address), PendingProfile.id != pending.id)
    )
    if other is not None:
        return f"Purchase {other} already waits under this address. Claim or delete that one first."
    return None


def _email_consequences(ctx: Ctx, pending: PendingProfile, address: str) -> tuple[str, ...]:
    said = ["The person who verifies this address can claim the purchase at their next sign-in."]
    if pending.token is not None:
        said.append("The claim link that was sent before stops working.")
    if ctx.session.scalar(select(Profile.user_id).where(is_one_of(Profile.email, address)).limit(1)) is not None:
        said.append("An account with this address exists: claiming it for that account may be what you want.")
    return (*said, "No mail is sent.", "No money moves.")


def plan_delete(ctx: Ctx, *, pending_profile_id: int) -> Plan:
    """What deleting a waiting purchase does; refused for one that is gone. Raises NotFound and Forbidden."""
    require(ctx, Permission.PURCHASES_READ)
    pending = ctx.session.get(PendingProfile, pending_profile_id)
    if pending is None:
        raise NotFound("This purchase is not here any more. It may have been deleted.")
    key, rows = pending_key(pending), memberships.seen(ctx.session, pending)
    means = Meaning()
    for row in rows:
        means += meaning.of_row(row, _let_go(ctx, row), "deleted")
    items = select(func.count()).where(ExtraPurchase.pending_profile_id == pending.id)
    lines = (PlanLine(key, name, getattr(pending, name), None, "deleted") for name in WAITING_FIELDS)
    return Plan(
        title="Delete the purchase",
        outcome="deleted",
        lines=(*lines, *means.lines),
        consequences=(
            "Nobody can claim it any more, and its claim link stops working.",
            "What it held stays readable in the audit, with your reason.",
            *_of_charges(rows),
        ),
        fingerprint=fingerprint(pending),
        refusal="This purchase is claimed. Undo the claim first." if pending.claimed else None,
        names={key: f"the purchase of {pending.email}", **(means.names or {})},
        adds=means.adds,
        removes=("pending_profile", *(meaning.EXTRA,) * (ctx.session.scalar(items) or 0)),
    )


def _let_go(ctx: Ctx, row: ProviderMembership) -> dict[str, object]:
    """What becomes of a membership whose purchase is deleted; what makes nobody pro says so still."""
    because = row.ignored_because or DELETED
    next_at = credits.next_when_kept_back(ctx.session, row) if row.id else None
    return {**held_by(None), "ignored_because": because, "next_credits_at": next_at or row.next_credits_at}


def _of_charges(rows: Sequence[ProviderMembership]) -> list[str]:
    """Of each membership that lives what is charged for it from then on."""
    said = [_of_charge(row) for row in rows if row.status is MembershipStatus.ACTIVE]
    return said or ["No provider charges anything for it any more."]


def _of_charge(row: ProviderMembership) -> str:
    name = row.external_id or "its membership"
    if row.provider is None:
        return f"The complimentary membership {row.id} waits with it: nobody has that any more, and nobody paid for it."
    if row.rhythm in ENDLESS:
        return f"What was paid for {name} was paid once: nothing more is charged."
    provider = provider_name(row.provider.value)
    if row.cancel_at_period_end:
        return f"{provider} does not renew {name}: nothing more is charged."
    return f"{provider} goes on charging for {name}: cancel it as well if that is what is wanted."


def delete(ctx: Ctx, *, pending_profile_id: int, reason: str, shown: str) -> None:
    """Remove a waiting purchase; all that it held is kept in the audit."""
    require(ctx, Permission.PURCHASES_DELETE)
    reason = require_reason(reason)
    pending = unclaimed(ctx, pending_profile_id)
    require_same(shown, fingerprint(pending))
    held = snapshot(pending)
    held.pop("token")
    for row in memberships.of(ctx, pending):
        credits.keep_back(ctx, row)
        hand_over(row, None)
        if row.ignored_because is None:  # what makes nobody pro says so still
            row.ignored_because, row.ignored_at = DELETED, ctx.now
    ctx.session.flush()
    ctx.session.delete(pending)
    ctx.session.flush()  # what refers to the row is locked before the audit's chain is
    audit.record(
        ctx,
        "purchase.deleted",
        records=[pending_key(pending), *membership_keys(pending)],
        reason=reason,
        changes=[Change(name, value, None) for name, value in held.items() if value is not None],
        facts={"email": held["email"], "membership_id": held["whop_membership_id"]},
    )


def _decided_about(ctx: Ctx, extra: ExtraPurchase) -> str | None:
    """The live memberships of the account, or those that wait: the decision stands while they are these."""
    if extra.pending_profile_id is not None:
        return extras.waiting(ctx, ctx.session.get_one(PendingProfile, extra.pending_profile_id))
    profile = ctx.session.get(Profile, extra.user_id) if extra.replaced_membership_id else None
    return extras.live_ones(memberships.held(ctx.session, profile)) if profile is not None else None


def settle_extra(ctx: Ctx, *, extra_id: int, resolution: str, reason: str) -> ExtraPurchase:
    """Take an extra purchase off the worklist and say what was done about it."""
    require(ctx, Permission.PURCHASES_CORRECT)
    reason = require_reason(reason)
    said = require_reason(resolution)
    extra = ctx.session.get(ExtraPurchase, extra_id, with_for_update=True, populate_existing=True)
    if extra is None:
        raise NotFound("This item is not on the worklist any more.")
    if extra.resolved_at is not None:
        raise Conflict(f"This was already settled by {extra.resolved_by}.")
    extra.resolved_at, extra.resolved_by, extra.resolution = ctx.now, ctx.actor.label, said
    extra.decided_about = _decided_about(ctx, extra)
    extra.version += 1
    records = [extra_key(extra.id), profile_key(extra.user_id)]
    if extra.pending_profile_id is not None:
        records.append(pending_key(extra.pending_profile_id))
    audit.record(
        ctx,
        "purchase.extra_resolved",
        records=records,
        reason=reason,
        facts={"user_id": extra.user_id, "resolution": said},
    )
    return extra
