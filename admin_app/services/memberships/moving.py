"""Moves a membership to another account, and back: by a plan, with a reason, and what is left of its credits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import Conflict, NotFound
from admin_app.policies.permissions import Permission, require
from admin_app.services import memberships
from admin_app.services.core import audit
from admin_app.services.core.audit import Change
from admin_app.services.core.plans import Plan, PlanLine, fingerprint, require_reason, require_same
from admin_app.services.core.records import lock_names, membership_key, pending_key, profile_key
from admin_app.services.memberships import meaning, moved_credits
from admin_app.services.memberships.credits import belong_to
from admin_app.services.memberships.extras import name_of
from admin_app.services.memberships.meaning import Meaning
from admin_app.services.memberships.moved_credits import Along
from admin_app.services.memberships.rows import Holder, basis, copied, hand_over
from admin_app.services.memberships.rows import held_by as held_by_fields
from admin_app.services.people import accounts, users
from models.memberships import ProviderMembership
from models.purchases import PendingProfile, Profile

SHOWN = ("membership", "whop_membership_id", "stripe_subscription_id", "billing_cycle_end", "next_credit_renewal")
LINES = (*SHOWN, *(name for name in memberships.LINKED if name not in SHOWN))
GONE = "This membership is not here any more."


@dataclass(frozen=True)
class Move:
    """A membership, who holds it, who gets it (None: an account without a profile yet), and what each has besides.

    `names` are those of both by their keys; without the target's, there is no such account any more. `is_back`: it
    takes the last move back.
    """

    row: ProviderMembership
    former: Holder | None
    target: Holder | None
    target_key: str
    keeps: Sequence[ProviderMembership]
    has: Sequence[ProviderMembership]
    along: Along
    names: Mapping[str, str]
    is_back: bool

    @property
    def target_name(self) -> str:
        return self.names.get(self.target_key, self.target_key.partition(":")[2])

    @property
    def former_name(self) -> str:
        return self.names[_key(self.former) or ""]


def plan_move(ctx: Ctx, *, membership_id: int, user_id: str) -> Plan:
    """What giving the membership to this account, by its id or its e-mail address, would change on both sides."""
    require(ctx, Permission.PURCHASES_READ)
    return _plan(ctx, _found(ctx, membership_id, _account_key(ctx.session, user_id)))


def plan_back(ctx: Ctx, *, membership_id: int) -> Plan:
    """What giving it back to whoever it was moved from would change."""
    require(ctx, Permission.PURCHASES_READ)
    return _plan(ctx, _found(ctx, membership_id, _former_key(ctx.session, membership_id), is_back=True))


def move(ctx: Ctx, *, membership_id: int, user_id: str, reason: str, shown: str) -> ProviderMembership:
    """Give the membership to this account as the shown plan said; whoever held it keeps what else they hold."""
    require(ctx, Permission.PURCHASES_CLAIM)
    return _move(ctx, membership_id, _account_key(ctx.session, user_id), reason, shown)


def move_back(ctx: Ctx, *, membership_id: int, reason: str, shown: str) -> ProviderMembership:
    """Take the last move back; there is none to take back then."""
    require(ctx, Permission.PURCHASES_UNDO)
    return _move(ctx, membership_id, _former_key(ctx.session, membership_id), reason, shown, is_back=True)


def held_by(session: Session, row: ProviderMembership) -> str:
    """Who holds the membership, in words."""
    key = _holder_key(row)
    return _name(session, key) or "nobody" if key is not None else "nobody"


def _account_key(session: Session, named: str) -> str:
    return profile_key(accounts.named(session, named, field="user_id").user_id)


def _former_key(session: Session, membership_id: int) -> str:
    row = session.get(ProviderMembership, membership_id)
    if row is None:
        raise NotFound(GONE)
    if row.moved_from is None:
        raise Conflict("This membership was not moved: there is nothing to take back.")
    return row.moved_from


def _move(
    ctx: Ctx, membership_id: int, target_key: str, reason: str, shown: str, *, is_back: bool = False
) -> ProviderMembership:
    reason = require_reason(reason)
    _lock(ctx, membership_id, target_key)
    found = _found(ctx, membership_id, target_key, is_back=is_back)
    plan = _plan(ctx, found)
    if plan.refusal:
        raise Conflict(plan.refusal)
    require_same(shown, plan.fingerprint)
    target = found.target if found.target is not None else _new_profile(ctx, target_key)
    row, along = found.row, found.along
    row.moved_from, row.moved_to = None if is_back else _key(found.former), memberships.key(target)
    row.preferred_at, row.moved_at, row.updated_at = None, ctx.now, ctx.now
    row.version += 1
    hand_over(row, target)
    row.came_credits, row.came_withheld = along.brought, along.withheld
    if isinstance(target, Profile):
        belong_to(ctx, [row], target.user_id)
    changes: list[Change] = []
    if found.former is not None:
        changes += memberships.settle(ctx, found.former, found.keeps, **along.of_former)
    changes += memberships.settle(ctx, target, [*found.has, row], **along.of_target)
    former = _key(found.former) or "nobody"
    audit.record(
        ctx,
        "membership.moved",
        records=[membership_key(name_of(row)), memberships.key(target), *([former] if found.former else [])],
        reason=reason,
        changes=changes,
        facts={
            "membership": name_of(row),
            "former": former,
            "target": memberships.key(target),
            "credits": along.brought,
            "withheld": along.withheld,
        },
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


def _found(ctx: Ctx, membership_id: int, target_key: str, *, is_back: bool = False) -> Move:
    session = ctx.session
    row = session.get(ProviderMembership, membership_id)
    if row is None:
        raise NotFound(GONE)
    former = _holder(session, _holder_key(row))
    target = _holder(session, target_key)
    keeps = [one for one in memberships.seen(session, former) if one.id != row.id] if former is not None else []
    has = [one for one in memberships.seen(session, target) if one.id != row.id] if target is not None else []
    # It is live, or over within a period that had its credits and brings none when it is paid again.
    has_credits = row.is_live or (row.next_credits_at is not None and row.next_credits_at > ctx.now)
    along = moved_credits.along(session, row, former, target, keeps, has) if has_credits else Along()
    names = _names(session, _key(former), target_key)
    return Move(row, former, target, target_key, keeps, has, along, names, is_back)


def _names(session: Session, *keys: str | None) -> dict[str, str]:
    """Both by their e-mail addresses; two of the same one with their ids."""
    names = {key: name for key in keys if key is not None and (name := _name(session, key)) is not None}
    if len(set(names.values())) == len(names):
        return names
    return {key: f"{name} ({key.partition(':')[2]})" for key, name in names.items()}


def _name(session: Session, key: str) -> str | None:
    kind, _, identity = key.partition(":")
    if kind == "pending_profile":
        pending = session.get(PendingProfile, int(identity))
        return f"the purchase of {pending.email}" if pending is not None else None
    return accounts.email_of(session, identity) or identity if users.is_known(session, identity) else None


def _holder(session: Session, key: str | None) -> Holder | None:
    kind, _, identity = (key or "").partition(":")
    if kind == "profile":
        return session.get(Profile, identity)
    return session.get(PendingProfile, int(identity)) if kind == "pending_profile" else None


def _plan(ctx: Ctx, found: Move) -> Plan:
    along = found.along
    # What support chose to count before counts by the rule again.
    moved = copied(found.row, preferred_at=None)
    lines = [
        *_lines(ctx, found.former, _key(found.former), found.keeps, along.of_former),
        *_lines(ctx, found.target, found.target_key, [*found.has, moved], along.of_target),
    ]
    besides = _besides(ctx.session, found, moved)
    way = "back to" if found.is_back else "to"
    return Plan(
        title=f"Move the membership {found.row.external_id or found.row.id} {way} {found.target_name}",
        outcome="moved",
        lines=(*lines, *besides.lines),
        consequences=_consequences(found),
        fingerprint=fingerprint(
            found.row.version, found.former, found.target, found.target_key, basis(found.keeps), basis(found.has)
        ),
        refusal=_refusal(found),
        names={**found.names, **(besides.names or {})},
        adds=besides.adds,
    )


def _besides(session: Session, found: Move, moved: ProviderMembership) -> Meaning:
    """Whose the membership is and what came along with it, and the worklists of both."""
    target = found.target
    if target is None and found.target_key.startswith("profile:"):
        target = Profile(user_id=found.target_key.partition(":")[2])
    along = {"came_credits": found.along.brought, "came_withheld": found.along.withheld}
    means = meaning.of_row(found.row, {**held_by_fields(target), **along}, "this move")
    if found.target is None:
        means += Meaning(adds=(meaning.PROFILE,))
    for holder, rows in ((found.former, found.keeps), (target, [*found.has, moved])):
        means += Meaning(adds=(meaning.MEMBERSHIP,) * sum(not row.id for row in rows))
        if isinstance(holder, Profile):
            means += meaning.of_worklist(session, holder.user_id, rows)
    return means


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
    if found.target_key not in found.names:
        return "The account that it came from is not here any more."
    return None


def _consequences(found: Move) -> tuple[str, ...]:
    said = [*_of_access(found), *_of_credits(found)]
    if found.former is not None and not found.is_back:
        said.append("It can be moved back.")
    return (*said, "No mail is sent.", "No money moves.")


def _of_access(found: Move) -> list[str]:
    name = found.target_name
    if not found.row.is_live:
        return [f"It has ended: nobody gains or loses pro access. Should it be paid again, that is for {name}."]
    said = []
    if found.former is not None and not any(row.is_live for row in found.keeps):
        is_account = isinstance(found.former, Profile)
        said.append(f"{_first_up(found.former_name)} {'loses pro access' if is_account else 'holds nothing then'}.")
    if isinstance(found.target, PendingProfile):
        said.append(f"It waits with {name}: whoever claims that gets it.")
    elif not any(row.is_live for row in found.has):
        said.append(f"{name} gains pro access.")
    elif found.row.is_complimentary or not any(row.is_paid for row in found.has):
        said.append(f"{name} is pro already: a paid membership goes before a complimentary one.")
    else:
        said.append(f"{name} is pro already: the one that does not count goes to the worklist.")
    return [*said, f"Renewals, its end and its credits are for {name} from then on."]


def _of_credits(found: Move) -> list[str]:
    along, said = found.along, []
    if along.brought:
        said.append(f"What is left of its credits goes along: {along.brought:,}.")
    if along.withheld:
        said.append(f"Beside a complimentary membership {along.withheld:,} of its credits wait until it moves on.")
    return said


def _first_up(name: str) -> str:
    """An address stays as it is spelled."""
    return f"The{name[3:]}" if name.startswith("the purchase of ") else name


def _lines(
    ctx: Ctx,
    holder: Holder | None,
    key: str | None,
    rows: Sequence[ProviderMembership],
    credits: dict[str, Any],
) -> list[PlanLine]:
    """What is always shown, and whatever else of what follows from memberships changes."""
    if key is None:
        return []
    after = memberships.derived(rows, holder) | credits
    new = users.new_profile_defaults(ctx.now)
    now = {name: getattr(holder, name) if holder is not None else new.get(name) for name in (*LINES, *credits)}
    lines = [PlanLine(key, name, value, after.get(name, value), "its memberships") for name, value in now.items()]
    return [line for line in lines if line.changes or line.field in (*SHOWN, *credits)]


def _new_profile(ctx: Ctx, key: str) -> Profile:
    return users.create_profile(ctx, users.known_owner(ctx.session, key.partition(":")[2]))
