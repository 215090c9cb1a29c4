"""Undoes what staff gave or took by hand, as far as it is still true; what was used stays counted."""

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import NotFound
from admin_app.policies.permissions import Permission, require
from admin_app.services.core.plans import Plan
from admin_app.services.core.records import profile_key
from admin_app.services.memberships import adjustments, credits
from admin_app.services.memberships.adjustments import Account, Step
from admin_app.services.memberships.rows import hand_over
from models.memberships import Adjustment, AdjustmentKind, CreditPeriod, MembershipStatus, ProviderMembership
from models.purchases import Profile

TAKEN_BACK = "given by mistake and taken back"
RENEWED = "The credits were renewed since: there is nothing left to undo."
ELSEWHERE = "The membership went to somebody else since: move it back first."
OF_MEMBERSHIP = (AdjustmentKind.GIVEN, AdjustmentKind.END_CHANGED, AdjustmentKind.ENDED)
WORDS = {
    AdjustmentKind.GIVEN: "the complimentary membership",
    AdjustmentKind.END_CHANGED: "the change of the end",
    AdjustmentKind.ENDED: "the end of the complimentary membership",
    AdjustmentKind.CREDITS_ADDED: "the added credits",
    AdjustmentKind.CREDITS_TAKEN: "the taken credits",
    AdjustmentKind.RENEWED_EARLY: "the early renewal",
}


def plan(ctx: Ctx, *, adjustment_id: int) -> Plan:
    """What undoing would put back, or why there is nothing to put back."""
    require(ctx, Permission.PROFILES_READ)
    found = _found(ctx.session, adjustment_id)
    return adjustments.plan_of(ctx, _step(ctx, found, _account(ctx, found, lock=False)))


def undo(ctx: Ctx, *, adjustment_id: int, reason: str, shown: str) -> Adjustment:
    """Put back what the shown plan said."""
    reason = adjustments.allowed(ctx, reason)
    found = _found(ctx.session, adjustment_id)
    account = _account(ctx, found, lock=True)
    ctx.session.refresh(found, with_for_update=True)
    step = _step(ctx, found, account)
    holder = adjustments.check(ctx, step, shown)
    found.undone_at, found.undone_by, found.undo_reason = ctx.now, ctx.actor.label, reason
    if step.row is not None and found.kind is AdjustmentKind.RENEWED_EARLY and found.date_before is not None:
        credits.take_back_early(ctx, step.row, found.date_before)
    if step.row is not None and step.leaves:
        hand_over(step.row, None)
        if step.credits:
            credits.gave_only(ctx, step.row, max(0, account.used - found.used_after))
    changes = adjustments.carry_out(ctx, step, holder)
    ctx.session.flush()
    told = {"what": WORDS[found.kind], "by": found.made_by}
    adjustments.tell(ctx, "profile.adjustment_undone", step, reason, changes, **told)
    return found


def _found(session: Session, adjustment_id: int) -> Adjustment:
    found = session.get(Adjustment, adjustment_id)
    if found is None:
        raise NotFound("There is no such adjustment.")
    return found


def _account(ctx: Ctx, found: Adjustment, *, lock: bool) -> Account:
    """Whose it is. A membership that left with a deleted account is undone where it waits or was claimed since."""
    row = ctx.session.get(ProviderMembership, found.membership_id) if found.kind in OF_MEMBERSHIP else None
    if row is not None and (row.pending_profile_id is not None or _followed_its_person(ctx.session, row, found)):
        return adjustments.account_with(ctx, row, lock=lock)
    return adjustments.account_of(ctx, found.user_id, lock=lock)


def _followed_its_person(session: Session, row: ProviderMembership, found: Adjustment) -> bool:
    if row.profile_user_id in (None, found.user_id):
        return False
    former = session.get(Profile, found.user_id)
    return former is None or former.account_deleted_at is not None


def _step(ctx: Ctx, found: Adjustment, account: Account) -> Step:
    step = Step(account, f"Undo {WORDS[found.kind]}", asked=("undo", found.id), noted=False)
    if found.undone_at is not None:
        return replace(step, refusal=f"This was undone already by {found.undone_by}.")
    return _BY_KIND[found.kind](ctx, found, step)


def _row(ctx: Ctx, found: Adjustment, step: Step) -> ProviderMembership | None:
    """The membership that it was about, while the account still holds it."""
    return next((row for row in step.account.rows if row.id == found.membership_id), None)


def _renewed_since(ctx: Ctx, found: Adjustment) -> bool:
    later = select(CreditPeriod.id).where(
        CreditPeriod.user_id == found.user_id, CreditPeriod.granted_at > found.made_at, CreditPeriod.credits > 0
    )
    return ctx.session.scalar(later.limit(1)) is not None


def _put_back(found: Adjustment, account: Account) -> dict[str, int]:
    """The credits of before, with what was used, added and taken since."""
    used = found.used_before + account.used - found.used_after
    usage = found.usage_before + account.usage - found.usage_after
    return {"usage_credits": max(usage, used), "used_credits": used}


def _of_given(ctx: Ctx, found: Adjustment, step: Step) -> Step:
    """As if it had never been given: the row is kept for the record, and held by nobody."""
    row, account = _row(ctx, found, step), step.account
    if row is None:
        return replace(step, refusal=ELSEWHERE)
    others = [one for one in account.rows if one is not row]
    is_same = account.key == profile_key(found.user_id)  # elsewhere its credits are mixed with others by now
    is_as_given = is_same and not _renewed_since(ctx, found) and not any(one.is_paid for one in others)
    takes = is_as_given and found.credits != 0 and account.used >= found.used_after
    stays_pro = any(one.is_live for one in others)
    loses = "Whoever claims the purchase gets nothing by it." if account.waits else "The account is free again."
    said = ["The account stays pro by what it holds besides." if stays_pro else loses]
    if found.credits:
        said.append(
            "The credits that it gave go back; what was used of them stays counted."
            if takes
            else "Credits were renewed or bought, or went to another account, since: they stay."
        )
    gone = {"ignored_because": TAKEN_BACK, "ignored_at": ctx.now, "status": MembershipStatus.INACTIVE}
    back = _put_back(found, account) if takes else {}
    return replace(step, row=row, values=gone, credits=back, leaves=True, consequences=tuple(said))


def _of_end(ctx: Ctx, found: Adjustment, step: Step) -> Step:
    """The former end, where it still lies ahead."""
    row, former = _row(ctx, found, step), found.date_before
    refusal = None
    if row is None:
        return replace(step, refusal=ELSEWHERE)
    if row.period_end != found.date_after:
        refusal = "The end was changed once more since: undo that first."
    elif former is not None and former <= ctx.now:
        refusal = "The former end has passed: it would be over as well. Give a new one instead."
    elif found.kind is AdjustmentKind.END_CHANGED and not row.is_live:
        refusal = "The membership is over since."
    elif any(one.is_live and one.is_complimentary for one in step.account.rows if one is not row):
        refusal = "The account got another complimentary membership since."
    until = f"until {former:%d %b %Y %H:%M} UTC" if former is not None else "for ever"
    return replace(
        step,
        row=row,
        values={"status": MembershipStatus.ACTIVE, "period_end": former},
        consequences=(f"The complimentary membership runs {until} again.",),
        refusal=refusal,
    )


def _of_added(ctx: Ctx, found: Adjustment, step: Step) -> Step:
    if _renewed_since(ctx, found):
        return replace(step, refusal=RENEWED)
    account = step.account
    back = min(found.credits, account.left)
    if back <= 0:
        return replace(step, refusal="All of them were used since: there is nothing left to take back.")
    kept = found.credits - back
    said = (f"{kept:,} of them were used and stay counted.",) if kept else ()
    values = {"usage_credits": account.usage - back, "used_credits": account.used}
    return replace(step, credits=values, consequences=(f"{back:,} credits are taken back.", *said))


def _of_taken(ctx: Ctx, found: Adjustment, step: Step) -> Step:
    if _renewed_since(ctx, found):
        return replace(step, refusal=RENEWED)
    values = {"usage_credits": step.account.usage - found.credits, "used_credits": step.account.used}
    return replace(step, credits=values, consequences=(f"{-found.credits:,} credits are given back.",))


def _of_early(ctx: Ctx, found: Adjustment, step: Step) -> Step:
    row, account = _row(ctx, found, step), step.account
    if row is None:
        return replace(step, refusal=ELSEWHERE)
    if found.date_before is None or found.date_before <= ctx.now:
        return replace(step, refusal="The period has begun: these credits are its own by now.")
    if row.next_credits_at != found.date_after or _renewed_since(ctx, found) or account.used < found.used_after:
        return replace(step, refusal=RENEWED)
    return replace(
        step,
        row=row,
        values={"next_credits_at": found.date_before},
        credits=_put_back(found, account),
        consequences=("The period’s credits come when it begins.", "What was used since stays counted."),
    )


_BY_KIND: dict[AdjustmentKind, Callable[[Ctx, Adjustment, Step], Step]] = {
    AdjustmentKind.GIVEN: _of_given,
    AdjustmentKind.END_CHANGED: _of_end,
    AdjustmentKind.ENDED: _of_end,
    AdjustmentKind.CREDITS_ADDED: _of_added,
    AdjustmentKind.CREDITS_TAKEN: _of_taken,
    AdjustmentKind.RENEWED_EARLY: _of_early,
}
