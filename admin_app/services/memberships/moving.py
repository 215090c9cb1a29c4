"""Moves a membership to another account, and back: by a plan, with a reason, and what is left of its credits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import Conflict, NotFound
from admin_app.policies.permissions import Permission, require
from admin_app.services import audit, memberships, users
from admin_app.services.audit import Change
from admin_app.services.memberships.credits import CREDITS, allowance, belong_to
from admin_app.services.memberships.extras import name_of
from admin_app.services.memberships.rows import Holder, basis, hand_over
from admin_app.services.plans import Plan, PlanLine, fingerprint, require_reason, require_same
from admin_app.services.records import lock_names, membership_key, pending_key, profile_key
from models.memberships import ProviderMembership
from models.people import PendingProfile, Profile

SHOWN = ("membership", "whop_membership_id", "stripe_subscription_id", "billing_cycle_end", "next_credit_renewal")
GONE = "This membership is not here any more."


@dataclass(frozen=True)
class Move:
    """A membership, who holds it, who gets it (None: an account without a profile yet), and what each has besides.

    `has_credits`: it is live, or over within a period that had its credits and brings none when it is paid again.
    """

    row: ProviderMembership
    former: Holder | None
    target: Holder | None
    target_key: str
    keeps: Sequence[ProviderMembership]
    has: Sequence[ProviderMembership]
    has_credits: bool


def plan_move(ctx: Ctx, *, membership_id: int, user_id: str) -> Plan:
    """What giving the membership to this account would change on both sides."""
    require(ctx, Permission.PURCHASES_READ)
    return _plan(_found(ctx, membership_id, _account_key(ctx.session, user_id)))


def plan_back(ctx: Ctx, *, membership_id: int) -> Plan:
    """What giving it back to whoever it was moved from would change."""
    require(ctx, Permission.PURCHASES_READ)
    return _plan(_found(ctx, membership_id, _former_key(ctx.session, membership_id)))


def move(ctx: Ctx, *, membership_id: int, user_id: str, reason: str, shown: str) -> ProviderMembership:
    """Give the membership to this account as the shown plan said; whoever held it keeps what else they hold."""
    require(ctx, Permission.PURCHASES_CLAIM)
    return _move(ctx, membership_id, _account_key(ctx.session, user_id), reason, shown)


def move_back(ctx: Ctx, *, membership_id: int, reason: str, shown: str) -> ProviderMembership:
    """Take the last move back."""
    require(ctx, Permission.PURCHASES_UNDO)
    return _move(ctx, membership_id, _former_key(ctx.session, membership_id), reason, shown)


def _account_key(session: Session, user_id: str) -> str:
    return profile_key(users.known_owner(session, user_id).user_id)


def _former_key(session: Session, membership_id: int) -> str:
    row = session.get(ProviderMembership, membership_id)
    if row is None:
        raise NotFound(GONE)
    if row.moved_from is None:
        raise Conflict("This membership was not moved: there is nothing to take back.")
    return row.moved_from


def _move(ctx: Ctx, membership_id: int, target_key: str, reason: str, shown: str) -> ProviderMembership:
    reason = require_reason(reason)
    _lock(ctx, membership_id, target_key)
    found = _found(ctx, membership_id, target_key)
    plan = _plan(found)
    if plan.refusal:
        raise Conflict(plan.refusal)
    require_same(shown, plan.fingerprint)
    target = found.target if found.target is not None else _new_profile(ctx, target_key)
    given, taken = _credits(found)
    row = found.row
    row.moved_from, row.moved_at = _key(found.former), ctx.now
    row.preferred_at, row.updated_at = None, ctx.now
    row.version += 1
    hand_over(row, target)
    if isinstance(target, Profile):
        belong_to(ctx, [row], target.user_id)
    changes: list[Change] = []
    if found.former is not None:
        changes += memberships.settle(ctx, found.former, found.keeps, **taken)
    changes += memberships.settle(ctx, target, [*found.has, row], **given)
    former = _key(found.former) or "nobody"
    audit.record(
        ctx,
        "membership.moved",
        records=[membership_key(name_of(row)), memberships.key(target), *([former] if found.former else [])],
        reason=reason,
        changes=changes,
        facts={"membership": name_of(row), "former": former, "target": memberships.key(target)},
    )
    return row


def _lock(ctx: Ctx, membership_id: int, target_key: str) -> None:
    """Names, then profiles, then purchases, as everybody does; what only columns tell of becomes rows."""
    row = ctx.session.get(ProviderMembership, membership_id)
    if row is None:
        raise NotFound(GONE)
    keys = {key for key in (_holder_key(row), target_key) if key}
    accounts = sorted(key.partition(":")[2] for key in keys if key.startswith("profile:"))
    lock_names(ctx.session, f"membership:{row.external_id}", *(f"user:{user_id}" for user_id in accounts))
    held = select(Profile).where(Profile.user_id.in_(accounts)).order_by(Profile.user_id).with_for_update()
    holders: list[Holder] = list(ctx.session.scalars(held.execution_options(populate_existing=True)))
    purchases = [int(key.partition(":")[2]) for key in keys if key.startswith("pending_profile:")]
    waiting = select(PendingProfile).where(PendingProfile.id.in_(purchases)).order_by(PendingProfile.id)
    holders += ctx.session.scalars(waiting.with_for_update().execution_options(populate_existing=True))
    for holder in holders:
        memberships.of(ctx, holder)
    ctx.session.refresh(row)
    if _holder_key(row) not in {*keys, None}:
        raise Conflict("Somebody else got this membership just now. Look at the plan again.")


def _holder_key(row: ProviderMembership) -> str | None:
    if row.profile_user_id is not None:
        return profile_key(row.profile_user_id)
    return pending_key(row.pending_profile_id) if row.pending_profile_id is not None else None


def _key(holder: Holder | None) -> str | None:
    return memberships.key(holder) if holder is not None else None


def _found(ctx: Ctx, membership_id: int, target_key: str) -> Move:
    session = ctx.session
    row = session.get(ProviderMembership, membership_id)
    if row is None:
        raise NotFound(GONE)
    former = _holder(session, _holder_key(row))
    target = _holder(session, target_key)
    keeps = [one for one in memberships.seen(session, former) if one.id != row.id] if former is not None else []
    has = [one for one in memberships.seen(session, target) if one.id != row.id] if target is not None else []
    has_credits = row.is_live or (row.next_credits_at is not None and row.next_credits_at > ctx.now)
    return Move(row, former, target, target_key, keeps, has, has_credits)


def _holder(session: Session, key: str | None) -> Holder | None:
    kind, _, identity = (key or "").partition(":")
    if kind == "profile":
        return session.get(Profile, identity)
    return session.get(PendingProfile, int(identity)) if kind == "pending_profile" else None


def _plan(found: Move) -> Plan:
    given, taken = _credits(found)
    lines = [
        *_lines(found.former, _key(found.former), found.keeps, taken),
        *_lines(found.target, found.target_key, [*found.has, found.row], given),
    ]
    return Plan(
        title=f"Move the membership {name_of(found.row)}",
        outcome="moved",
        lines=tuple(lines),
        consequences=_consequences(found),
        fingerprint=fingerprint(
            found.row.version, found.former, found.target, found.target_key, basis(found.keeps), basis(found.has)
        ),
        refusal=_refusal(found),
    )


def _refusal(found: Move) -> str | None:
    if found.row.ignored_because is not None:
        return f"This membership makes nobody pro: {found.row.ignored_because}."
    if _key(found.former) == found.target_key:
        return "This account holds the membership already."
    if isinstance(found.target, PendingProfile) and found.target.claimed:
        return "The purchase that it came from is claimed. Move it to the account instead."
    if isinstance(found.target, Profile) and found.target.account_deleted_at is not None:
        return "The account that it came from was deleted at the sign-in provider."
    if found.target is None and not found.target_key.startswith("profile:"):
        return "The purchase that it came from was deleted."
    return None


def _consequences(found: Move) -> tuple[str, ...]:
    said = []
    if found.row.is_live:
        if found.former is not None and not any(row.is_live for row in found.keeps):
            said.append("Whoever holds it now loses pro access.")
        if not any(row.is_live for row in found.has):
            said.append("The account that gets it gains pro access.")
        elif found.row.is_complimentary or not any(row.is_paid for row in found.has):
            said.append("The account that gets it is pro already: a paid membership goes before a complimentary one.")
        else:
            said.append("The account that gets it is pro already: the one that does not count goes to the worklist.")
    said.append("Renewals, its end and its credits are the new holder's from then on.")
    return (*said, "It can be moved back.", "No mail is sent.", "No money moves.")


def _lines(
    holder: Holder | None, key: str | None, rows: Sequence[ProviderMembership], credits: dict[str, Any]
) -> list[PlanLine]:
    if key is None:
        return []
    after = memberships.derived(rows, holder) | credits
    now = {name: getattr(holder, name) if holder is not None else None for name in (*SHOWN, *credits)}
    return [PlanLine(key, name, value, after.get(name, value), "its memberships") for name, value in now.items()]


def _credits(found: Move) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the new holder's and the former one's credits are then: what is left goes along, what was used stays."""
    former, target = found.former, found.target
    if not found.has_credits or former is None:
        return {}, {}
    left = _left(former)
    kept = min(left, CREDITS * sum(row.is_paid for row in found.keeps))
    along = min(left - kept, CREDITS)
    used = former.used_credits or 0
    # More than a period gives was given by hand, to whoever it was given to.
    taken = {"usage_credits": used + left - along, "used_credits": used}
    if not found.row.is_live:
        has = (target.usage_credits or 0, target.used_credits or 0) if target is not None else (0, 0)
        return {"usage_credits": has[0] + along, "used_credits": has[1]}, taken
    own = min(_left(target), CREDITS * sum(row.is_live for row in found.has)) if target is not None else 0
    both = min(own + along, max(own, allowance([*found.has, found.row])))
    return {"usage_credits": both, "used_credits": 0}, taken


def _left(holder: Holder) -> int:
    return max(0, (holder.usage_credits or 0) - (holder.used_credits or 0))


def _new_profile(ctx: Ctx, key: str) -> Profile:
    return users.create_profile(ctx, users.known_owner(ctx.session, key.partition(":")[2]))
