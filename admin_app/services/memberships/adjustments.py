"""What staff give or take by hand: one step on one account, planned and done by the same values, kept as a row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, inspect, select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import Conflict, NotFound
from admin_app.policies.permissions import Permission, require
from admin_app.services import memberships
from admin_app.services.core import audit
from admin_app.services.core.audit import Change
from admin_app.services.core.plans import Plan, PlanLine, fingerprint, require_reason, require_same
from admin_app.services.core.records import given_key, lock_names, membership_key, profile_key
from admin_app.services.memberships.extras import name_of
from admin_app.services.memberships.meaning import PROFILE, Meaning, of_row, of_worklist
from admin_app.services.memberships.rows import Holder, basis, held_by, put
from admin_app.services.people import users
from admin_app.services.people.users import Owner
from models.memberships import Adjustment, AdjustmentKind, CreditPeriod, ProviderMembership
from models.purchases import PendingProfile, Profile

NOBODYS = "Nobody holds this membership."
MOVED_ON = "Somebody else got this membership just now. Look at the plan again."
SHOWN = ("membership", "status", "payment_provider", "billing_cycle_end")
CREDITS_SHOWN = ("usage_credits", "used_credits", "next_credit_renewal")


@dataclass(frozen=True)
class Account:
    """An account, its profile if it has one yet, the memberships that it holds, and its credits as they were found.

    Or, as `holder`, a purchase that waits: `owner` is the account then that staff gave its membership to.
    """

    owner: Owner
    holder: Holder | None = None
    rows: Sequence[ProviderMembership] = ()
    usage: int = 0
    used: int = 0

    @property
    def left(self) -> int:
        return max(0, self.usage - self.used)

    @property
    def waits(self) -> bool:
        return isinstance(self.holder, PendingProfile)

    @property
    def key(self) -> str:
        return memberships.key(self.holder) if self.holder is not None else profile_key(self.owner.user_id)


@dataclass(frozen=True)
class Step:
    """What is to become of an account: new values of one of its memberships, and of its credits.

    A `row` without an id is a membership that is to be given. `leaves`: the account does not hold the row afterwards.
    `noted`: it is kept as a row of `adjustments`; undoing one marks that one instead.
    """

    account: Account
    title: str
    asked: tuple[object, ...] = ()
    row: ProviderMembership | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    credits: Mapping[str, int] = field(default_factory=dict)
    leaves: bool = False
    noted: bool = True
    consequences: tuple[str, ...] = ()
    refusal: str | None = None

    def rows_after(self) -> list[ProviderMembership]:
        """The memberships that the account would hold, as they would be; nothing that is stored is touched."""
        rows = list(self.account.rows)
        if self.row is None:
            return rows
        others = [one for one in rows if one is not self.row]
        return others if self.leaves else [*others, _as_if(self.row, self.values)]


def _as_if(row: ProviderMembership, values: Mapping[str, Any]) -> ProviderMembership:
    known = {column.key: getattr(row, column.key) for column in inspect(ProviderMembership).column_attrs}
    return ProviderMembership(**(known | dict(values)))


def account_of(ctx: Ctx, user_id: str, *, lock: bool) -> Account:
    """The account, locked to act on it; what only its columns tell of becomes rows then."""
    session = ctx.session
    owner = users.known_owner(session, user_id)
    if lock:
        lock_names(session, f"user:{owner.user_id}")
    profile = session.get(Profile, owner.user_id, with_for_update=lock or None, populate_existing=lock)
    if profile is None:
        return Account(owner)
    rows = memberships.of(ctx, profile) if lock else memberships.seen(session, profile)
    return Account(owner, profile, rows, profile.usage_credits or 0, profile.used_credits or 0)


def account_with(ctx: Ctx, row: ProviderMembership, *, lock: bool) -> Account:
    """The account that holds this membership, or the purchase that it waits with; refused where nobody does."""
    held_by = row.profile_user_id, row.pending_profile_id
    if row.pending_profile_id is not None:
        account = _waiting(ctx, row, row.pending_profile_id, lock=lock)
    elif row.profile_user_id is not None:
        account = account_of(ctx, row.profile_user_id, lock=lock)
    else:
        raise NotFound(NOBODYS)
    ctx.session.refresh(row)
    if held_by != (row.profile_user_id, row.pending_profile_id):
        raise Conflict(MOVED_ON)
    return account


def _waiting(ctx: Ctx, row: ProviderMembership, pending_profile_id: int, *, lock: bool) -> Account:
    session = ctx.session
    pending = session.get(PendingProfile, pending_profile_id, with_for_update=lock or None, populate_existing=lock)
    given_to = session.scalar(
        select(Adjustment.user_id).where(Adjustment.membership_id == row.id).order_by(Adjustment.id.desc()).limit(1)
    )
    if pending is None or given_to is None:
        raise NotFound(NOBODYS)
    rows = memberships.of(ctx, pending) if lock else memberships.seen(session, pending)
    owner = Owner(given_to, pending.email, pending.name)
    return Account(owner, pending, rows, pending.usage_credits or 0, pending.used_credits or 0)


def plan_of(ctx: Ctx, step: Step) -> Plan:
    """The step as a plan: what the account has now and then."""
    holder, key = step.account.holder, step.account.key
    after = memberships.derived(step.rows_after(), holder) | dict(step.credits)
    names = dict.fromkeys((*SHOWN, *CREDITS_SHOWN, *memberships.LINKED))
    now = {name: getattr(holder, name) if holder is not None else None for name in names}
    lines = [PlanLine(key, name, value, after.get(name, value), "this step") for name, value in now.items()]
    besides = _besides(ctx.session, step)
    return Plan(
        title=step.title,
        outcome="adjusted",
        lines=(*(line for line in lines if line.changes or line.field in (*SHOWN, *CREDITS_SHOWN)), *besides.lines),
        names={key: step.account.owner.email or step.account.owner.user_id, **(besides.names or {})},
        adds=besides.adds,
        consequences=(*step.consequences, "No mail is sent.", "No money moves."),
        fingerprint=_fingerprint(ctx.session, step),
        refusal=step.refusal,
    )


def _besides(session: Session, step: Step) -> Meaning:
    """What the step means for the membership that it is about, and for the worklist."""
    found = Meaning(adds=("adjustment",) if step.noted else ())
    if step.account.holder is None:
        found += Meaning(adds=(PROFILE,))
    if step.row is not None:
        found += of_row(step.row, {**step.values, **(held_by(None) if step.leaves else {})}, "this step")
    return found if step.account.waits else found + of_worklist(session, step.account.owner.user_id, step.rows_after())


def _fingerprint(session: Session, step: Step) -> str:
    """Every step leaves a row, so that the second click finds another number of them."""
    account = step.account
    mine = Adjustment.user_id == account.owner.user_id
    steps, undone = session.execute(select(func.count(), func.count(Adjustment.undone_at)).where(mine)).one()
    return fingerprint(account.owner.user_id, account.holder, basis(account.rows), steps, undone, *step.asked)


def allowed(ctx: Ctx, reason: str) -> str:
    """The reason, of somebody who may."""
    require(ctx, Permission.MEMBERSHIPS_ADJUST)
    return require_reason(reason)


def check(ctx: Ctx, step: Step, shown: str) -> Holder:
    """Whom to act on, a profile made where there is none yet; refused unless the step is the one that was shown."""
    if step.refusal:
        raise Conflict(step.refusal)
    require_same(shown, _fingerprint(ctx.session, step))
    return step.account.holder or users.create_profile(ctx, step.account.owner)


def carry_out(ctx: Ctx, step: Step, holder: Holder) -> list[Change]:
    """Change the membership and the account as the step says; what changed on the account."""
    rows = list(step.account.rows)
    if step.row is not None:
        put(ctx, step.row, **step.values)
        if step.row not in rows:
            rows.append(step.row)
        if step.leaves:
            rows.remove(step.row)
    return memberships.settle(ctx, holder, rows, **step.credits)


def note(
    ctx: Ctx,
    step: Step,
    holder: Holder,
    kind: AdjustmentKind,
    reason: str,
    dates: tuple[datetime | None, datetime | None] = (None, None),
) -> Adjustment:
    """Keep what was done, with what the account had before."""
    usage, used = holder.usage_credits or 0, holder.used_credits or 0
    made = Adjustment(
        user_id=step.account.owner.user_id,
        kind=kind,
        membership_id=step.row.id if step.row is not None else None,
        credits=(usage - used) - (step.account.usage - step.account.used),
        usage_before=step.account.usage,
        used_before=step.account.used,
        usage_after=usage,
        used_after=used,
        date_before=dates[0],
        date_after=dates[1],
        reason=reason,
        made_by=ctx.actor.label,
        made_at=ctx.now,
    )
    ctx.session.add(made)
    ctx.session.flush()
    return made


def tell(ctx: Ctx, event: str, step: Step, reason: str | None, changes: Sequence[Change], **facts: object) -> None:
    """One entry in the audit, on the account's page and the membership's."""
    about = list(dict.fromkeys((profile_key(step.account.owner.user_id), step.account.key)))
    if step.row is not None:
        about.append(given_key(step.row.id) if step.row.is_complimentary else membership_key(name_of(step.row)))
    told = {"user_id": step.account.owner.user_id} | facts
    audit.record(ctx, event, records=about, reason=reason, changes=changes, facts=told)


def by_hand_since(session: Session, user_id: str, moment: datetime) -> int:
    """The credits that staff added since, less those that they took; what came before a renewal lapsed with it."""
    got = CreditPeriod.user_id == user_id, CreditPeriod.credits > 0
    renewed_at = session.scalar(select(func.max(CreditPeriod.granted_at)).where(*got))
    mine = (
        Adjustment.user_id == user_id,
        Adjustment.kind.in_((AdjustmentKind.CREDITS_ADDED, AdjustmentKind.CREDITS_TAKEN)),
        Adjustment.undone_at.is_(None),
        Adjustment.made_at >= max(moment, renewed_at or moment),
    )
    return session.scalar(select(func.coalesce(func.sum(Adjustment.credits), 0)).where(*mine)) or 0
