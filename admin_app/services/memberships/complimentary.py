"""Complimentary memberships: pro access that staff give until a date or for ever, and that nobody sold.

It is a membership like the others, but no provider is asked about it, it waits behind one that is paid, and its end is
ours to bring about: `end_due` does, when its date has come.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import InvalidInput, NotFound
from admin_app.policies.permissions import Permission, require
from admin_app.services import memberships
from admin_app.services.core import audit
from admin_app.services.core.plans import Plan
from admin_app.services.core.records import given_key
from admin_app.services.memberships import adjustments, credits
from admin_app.services.memberships.adjustments import Account, Step
from admin_app.services.memberships.extras import name_of
from admin_app.services.memberships.rows import Holder, hand_over, put
from models.memberships import AdjustmentKind, MembershipStatus, ProviderMembership
from models.purchases import PendingProfile, Profile

GONE = "There is no such membership."
SOLD = "This membership was sold by a provider: it ends there."
HAS_ONE = "The account has a complimentary membership already: change its end."
OVER = "This complimentary membership is over already."


def plan_give(ctx: Ctx, *, user_id: str, until: datetime | None) -> Plan:
    """What pro access until then, or for ever, would change for this account."""
    require(ctx, Permission.PROFILES_READ)
    return adjustments.plan_of(ctx, _to_give(ctx, adjustments.account_of(ctx, user_id, lock=False), until))


def give(ctx: Ctx, *, user_id: str, until: datetime | None, reason: str, shown: str) -> ProviderMembership:
    """Give the account pro access from now on, with the credits of each 28 days where nothing else gives them."""
    reason = adjustments.allowed(ctx, reason)
    step = _to_give(ctx, adjustments.account_of(ctx, user_id, lock=True), until)
    holder = adjustments.check(ctx, step, shown)
    row, rows = step.row, list(step.account.rows)
    if row is None:
        raise TypeError("a membership is given")
    hand_over(row, holder)
    ctx.session.add(row)
    ctx.session.flush()
    _, given = credits.grant_due(ctx, row, holder, [*rows, row], upto=ctx.now)
    changes = adjustments.carry_out(ctx, replace(step, credits=given), holder)
    adjustments.note(ctx, step, holder, AdjustmentKind.GIVEN, reason, (None, until))
    adjustments.tell(ctx, "membership.given", step, reason, changes, until=until)
    return row


def plan_end_change(ctx: Ctx, *, membership_id: int, until: datetime | None) -> Plan:
    """What another end would change."""
    require(ctx, Permission.PROFILES_READ)
    return adjustments.plan_of(ctx, _to_change(ctx, *_found(ctx, membership_id, lock=False), until))


def change_end(ctx: Ctx, *, membership_id: int, until: datetime | None, reason: str, shown: str) -> ProviderMembership:
    """Let it end at another time, or never."""
    reason = adjustments.allowed(ctx, reason)
    account, row = _found(ctx, membership_id, lock=True)
    step, former = _to_change(ctx, account, row, until), row.period_end
    holder = adjustments.check(ctx, step, shown)
    changes = adjustments.carry_out(ctx, step, holder)
    adjustments.note(ctx, step, holder, AdjustmentKind.END_CHANGED, reason, (former, until))
    adjustments.tell(ctx, "membership.end_changed", step, reason, changes, before=former, until=until)
    return row


def plan_end(ctx: Ctx, *, membership_id: int) -> Plan:
    """What ending it now would change."""
    require(ctx, Permission.PROFILES_READ)
    return adjustments.plan_of(ctx, _to_end(ctx, *_found(ctx, membership_id, lock=False)))


def end(ctx: Ctx, *, membership_id: int, reason: str, shown: str) -> ProviderMembership:
    """End it now; credits that are left stay."""
    reason = adjustments.allowed(ctx, reason)
    account, row = _found(ctx, membership_id, lock=True)
    step, former = _to_end(ctx, account, row), row.period_end
    holder = adjustments.check(ctx, step, shown)
    changes = adjustments.carry_out(ctx, step, holder)
    adjustments.note(ctx, step, holder, AdjustmentKind.ENDED, reason, (former, ctx.now))
    adjustments.tell(ctx, "membership.ended_by_hand", step, reason, changes)
    return row


def due(session: Session, now: datetime, *, limit: int) -> Sequence[int]:
    """Complimentary memberships whose end has come, the one that waits for longest first."""
    is_due = select(ProviderMembership.id).where(
        ProviderMembership.provider.is_(None),
        ProviderMembership.status == MembershipStatus.ACTIVE,
        ProviderMembership.period_end <= now,
    )
    return session.scalars(is_due.order_by(ProviderMembership.period_end, ProviderMembership.id).limit(limit)).all()


def end_due(ctx: Ctx, *, membership_id: int) -> bool:
    """End one whose date has come; False when there is nothing to do (any more)."""
    row = ctx.session.get(ProviderMembership, membership_id)
    if row is None:
        return False
    held_by = row.profile_user_id, row.pending_profile_id
    holder: Holder | None = None
    if row.profile_user_id is not None:
        holder = ctx.session.get(Profile, row.profile_user_id, with_for_update=True, populate_existing=True)
    elif row.pending_profile_id is not None:
        holder = ctx.session.get(PendingProfile, row.pending_profile_id, with_for_update=True, populate_existing=True)
    ctx.session.refresh(row, with_for_update=True)
    is_over = row.is_complimentary and row.period_end is not None and row.period_end <= ctx.now
    if not is_over or row.status is MembershipStatus.INACTIVE:
        return False
    if held_by != (row.profile_user_id, row.pending_profile_id):
        return False  # it was moved while we waited: the next tick
    own = put(ctx, row, status=MembershipStatus.INACTIVE)
    changes = memberships.settle(ctx, holder, memberships.of(ctx, holder)) if holder is not None else []
    about = [given_key(row.id), *([memberships.key(holder)] if holder is not None else [])]
    told = {"membership": name_of(row), "until": row.period_end}
    audit.record(ctx, "membership.ended_on_time", records=about, changes=changes or own, facts=told)
    return True


def _found(ctx: Ctx, membership_id: int, *, lock: bool) -> tuple[Account, ProviderMembership]:
    row = ctx.session.get(ProviderMembership, membership_id)
    if row is None:
        raise NotFound(GONE)
    if not row.is_complimentary:
        raise NotFound(SOLD)
    return adjustments.account_with(ctx, row, lock=lock), row


def _to_give(ctx: Ctx, account: Account, until: datetime | None) -> Step:
    _check_ahead(ctx, until)
    now, rows = ctx.now, account.rows
    row = ProviderMembership(
        status=MembershipStatus.ACTIVE,
        period_start=now,
        period_end=until,
        cancel_at_period_end=False,
        created_at=now,
        updated_at=now,
        version=1,
    )
    row.next_credits_at = credits.turn_of(ctx.session, row, account.holder, [*rows, row], now)
    gives = credits.is_due(row, now)
    step = Step(
        account,
        f"Give {account.owner.email or account.owner.user_id} a complimentary membership",
        asked=("give", until),
        row=row,
        values={"next_credits_at": credits.following(row, now) if gives else row.next_credits_at},
        credits={"usage_credits": credits.CREDITS, "used_credits": 0} if gives else {},
        consequences=(
            *_meaning(account, rows, until),
            _of_credits(row, gives=gives),
            "It can be changed, ended and undone.",
        ),
    )
    there = next((one for one in rows if one.is_live and one.is_complimentary), None)
    if there is None:
        return step
    return replace(step, refusal=HAS_ONE)


def _to_change(ctx: Ctx, account: Account, row: ProviderMembership, until: datetime | None) -> Step:
    _check_ahead(ctx, until)
    others = [one for one in account.rows if one is not row]
    refusal = OVER if not row.is_live else None
    if refusal is None and row.period_end == until:
        refusal = "That is its end already."
    return Step(
        account,
        f"Let {name_of(row)} run {_span(until)}",
        asked=("change", row.id, until),
        row=row,
        values={"period_end": until},
        consequences=(*_meaning(account, others, until), "It can be undone."),
        refusal=refusal,
    )


def _to_end(ctx: Ctx, account: Account, row: ProviderMembership) -> Step:
    others = [one for one in account.rows if one is not row]
    return Step(
        account,
        f"End {name_of(row)} now",
        asked=("end", row.id),
        row=row,
        values={"status": MembershipStatus.INACTIVE, "period_end": ctx.now},
        consequences=(
            *_without(account, stays_pro=any(one.is_live for one in others)),
            "Credits that are left stay.",
            "It can be undone.",
        ),
        refusal=None if row.is_live else OVER,
    )


def _check_ahead(ctx: Ctx, until: datetime | None) -> None:
    if until is not None and until <= ctx.now:
        raise InvalidInput(fields={"until": "The end must be in the future."})


def _span(until: datetime | None) -> str:
    return f"until {until:%d %b %Y %H:%M} UTC" if until is not None else "for ever"


def _without(account: Account, *, stays_pro: bool) -> tuple[str, ...]:
    if account.waits:
        return (f"Whoever claims the purchase {'is' if stays_pro else 'does not become'} pro by it.",)
    return (
        "The account stays pro by what it holds besides." if stays_pro else "The account loses pro access at once.",
    )


def _meaning(account: Account, others: Sequence[ProviderMembership], until: datetime | None) -> tuple[str, ...]:
    if account.waits:
        return (f"It waits with the purchase: whoever claims that gets it, {_span(until)}.",)
    if any(row.is_live for row in others):
        return (f"The account is pro already. This one runs {_span(until)}; of several, a paid one serves first.",)
    return (f"The account is pro {_span(until)}, and free afterwards." if until else "The account is pro for ever.",)


def _of_credits(row: ProviderMembership, *, gives: bool) -> str:
    if gives:
        return f"It gives {credits.CREDITS:,} credits now and each 28 days, in place of those that are left."
    return (
        f"Credits of another membership count for now: its own begin on {row.next_credits_at:%d %b %Y} at the earliest."
    )
