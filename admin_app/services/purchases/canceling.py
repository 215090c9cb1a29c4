"""Has a membership canceled at its provider, now or with its period, and takes that back: by a plan, with a reason.

The provider is asked before the plan is shown and before it is acted upon. The act notes the call and the reason;
`cancel_sending` makes the call and applies what the provider says then.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import Conflict, NotFound
from admin_app.policies.permissions import Permission, require
from admin_app.services import memberships
from admin_app.services.core import audit
from admin_app.services.core.plans import Plan, PlanLine, PlannedCall, fingerprint, require_reason, require_same
from admin_app.services.core.records import membership_key
from admin_app.services.core.timeline_words import provider_name
from admin_app.services.inbox import provider_calls
from admin_app.services.memberships import meaning
from admin_app.services.memberships.extras import name_of
from admin_app.services.memberships.meaning import Meaning
from admin_app.services.memberships.rows import Holder, basis, copied, seller_of
from admin_app.services.purchases import holders
from admin_app.services.purchases.cancel_actions import WORDS, CancelAction, Snapshot
from admin_app.services.purchases.cancel_sending import is_open, queue, subject_of
from models.inbox import ProviderCall
from models.memberships import MembershipStatus, ProviderMembership
from models.purchases import PendingProfile, Profile

GONE = "This membership is not here any more."
SHOWN = ("membership", "status", "cancel_at_period_end", "billing_cycle_end", "next_credit_renewal")
TITLES = {
    CancelAction.NOW: "Cancel {name} at {provider} now",
    CancelAction.AT_END: "Cancel {name} at {provider} at the end of its period",
    CancelAction.BACK: "Take the cancellation of {name} at {provider} back",
}
OUTCOMES = {CancelAction.NOW: "canceled", CancelAction.AT_END: "ends", CancelAction.BACK: "goes_on"}


def plan(ctx: Ctx, *, membership_id: int, action: CancelAction, snapshot: Snapshot) -> Plan:
    """What this would change at the provider and here, with what the provider says now."""
    require(ctx, Permission.PURCHASES_READ)
    row = ctx.session.get(ProviderMembership, membership_id, populate_existing=True)
    if row is None:
        raise NotFound(GONE)
    return _plan(ctx, row, _holder(ctx.session, row), action, snapshot)


def begin(
    ctx: Ctx, *, membership_id: int, action: CancelAction, snapshot: Snapshot, reason: str, shown: str
) -> ProviderMembership:
    """Note that the provider is to be told; it is, after the commit, and what it says then is applied."""
    require(ctx, Permission.PURCHASES_CANCEL)
    reason = require_reason(reason)
    row, holder = _locked(ctx, membership_id)
    found = _plan(ctx, row, holder, action, snapshot)
    if found.refusal:
        raise Conflict(found.refusal)
    require_same(shown, found.fingerprint)
    key = f"{action.value}:{uuid4().hex}"
    call = provider_calls.intend(
        ctx, provider=seller_of(row).value, operation=action.value, subject=subject_of(row), key=key
    )
    call.attempts = 0  # it has not left yet
    ctx.session.flush()
    queue(ctx, call.id)
    audit.record(
        ctx,
        "membership.cancel_asked",
        records=[membership_key(name_of(row)), subject_of(row), *([memberships.key(holder)] if holder else [])],
        reason=reason,
        facts={"provider": provider_name(seller_of(row).value), "wish": WORDS[action], "membership": name_of(row)},
    )
    return row


def _locked(ctx: Ctx, membership_id: int) -> tuple[ProviderMembership, Holder | None]:
    """Names, then the holder, as everybody does; two who decide at once do so one after the other."""
    row = ctx.session.get(ProviderMembership, membership_id)
    if row is None:
        raise NotFound(GONE)
    if row.external_id is None:
        return row, _holder(ctx.session, row)
    holders.lock(ctx, membership_id=row.external_id, email=None)
    found, holder = holders.of_membership(ctx, row.external_id, seller_of(row))
    if found is None:
        raise NotFound(GONE)
    return found, holder


def _holder(session: Session, row: ProviderMembership) -> Holder | None:
    if row.profile_user_id is not None:
        return session.get(Profile, row.profile_user_id)
    return session.get(PendingProfile, row.pending_profile_id) if row.pending_profile_id is not None else None


def _plan(ctx: Ctx, row: ProviderMembership, holder: Holder | None, action: CancelAction, snapshot: Snapshot) -> Plan:
    rows = memberships.seen(ctx.session, holder) if holder is not None else [row]
    others = [one for one in rows if one.id != row.id]
    call, besides = _on_its_way(ctx.session, row), _of_worklist(ctx.session, row, holder, others, action, snapshot)
    name = provider_name(seller_of(row).value)
    return Plan(
        title=TITLES[action].format(name=name_of(row), provider=name),
        outcome=OUTCOMES[action],
        lines=(*_lines(row, holder, others, action, snapshot), *besides.lines),
        consequences=(_holder_sentence(holder), *_consequences(ctx.now, row, holder, others, action, snapshot)),
        fingerprint=fingerprint(
            row.version,
            row.profile_user_id,
            row.pending_profile_id,
            basis(others),
            action.value,
            call,
            *_said(snapshot),
        ),
        refusal=_refusal(ctx.now, row, action, snapshot, on_its_way=call is not None),
        calls=_calls(row, action, snapshot),
        adds=besides.adds,
        names={
            **(besides.names or {}),
            subject_of(row): f"the membership {name_of(row)}",
            **({memberships.key(holder): _name(holder)} if holder is not None else {}),
        },
    )


def _calls(row: ProviderMembership, action: CancelAction, snapshot: Snapshot) -> tuple[PlannedCall, ...]:
    """Nothing is sent where it is so already (`cancel_sending`): what the provider says is taken over then."""
    if snapshot.found is None or snapshot.is_so(action):
        return ()
    there = seller_of(row).value
    sentence = f"{provider_name(there)} is asked to {WORDS[action]}."
    return (PlannedCall(there, action.value, sentence),)


def _of_worklist(
    session: Session,
    row: ProviderMembership,
    holder: Holder | None,
    others: Sequence[ProviderMembership],
    action: CancelAction,
    snapshot: Snapshot,
) -> Meaning:
    """What of the account's memberships is one too many then, or is not any more."""
    if not isinstance(holder, Profile):
        return Meaning()
    return meaning.of_worklist(session, holder.user_id, [*others, copied(row, **_values(row, action, snapshot))])


def _name(holder: Holder) -> str:
    if isinstance(holder, PendingProfile):
        return f"the purchase of {holder.email}"
    return holder.email or holder.user_id


def _said(snapshot: Snapshot) -> tuple[Any, ...]:
    """What of the provider's answer the plan rests on."""
    return snapshot.found is None, snapshot.word, snapshot.ends_with_period, snapshot.period_end, snapshot.trouble


def _on_its_way(session: Session, row: ProviderMembership) -> int | None:
    waiting = select(ProviderCall.id).where(ProviderCall.subject == subject_of(row), is_open())
    return session.scalar(waiting.limit(1))


def _refusal(
    now: datetime, row: ProviderMembership, action: CancelAction, snapshot: Snapshot, *, on_its_way: bool
) -> str | None:
    name = provider_name(seller_of(row).value)
    if snapshot.trouble is not None:
        return snapshot.trouble
    if on_its_way:
        return f"{name} is being told something about this membership already. Wait for its answer."
    if snapshot.found is None:
        return f"{name} does not know {name_of(row)} any more: there is nothing to cancel or to take back there."
    if snapshot.is_so(action):
        return _nothing_left(name, action, snapshot) if _agrees(row, snapshot) else None
    if action is CancelAction.AT_END and snapshot.is_bought_once:
        return "It was paid once and is not renewed, so it has no period to end with. It can only be canceled now."
    if action is CancelAction.BACK and snapshot.is_over and not snapshot.may_come_back(now):
        return f"It is over at {name}, and {name} does not bring it back. Whoever wants it again has to buy it again."
    return None


def _nothing_left(name: str, action: CancelAction, snapshot: Snapshot) -> str:
    if action is CancelAction.BACK:
        return f"It is not about to end at {name}: there is no cancellation to take back."
    if snapshot.is_over:
        return f"It is over at {name} already ({snapshot.word}): nothing is left to do."
    return f"It ends with its period at {name} already: nothing is left to do."


def _agrees(row: ProviderMembership, snapshot: Snapshot) -> bool:
    """Whether it is here as it is there; where a delivery was lost, acting takes over what is so there."""
    ends = snapshot.is_live and snapshot.ends_with_period
    is_live = row.status is MembershipStatus.ACTIVE
    return (is_live, is_live and row.cancel_at_period_end) == (snapshot.is_live, ends)


def _holder_sentence(holder: Holder | None) -> str:
    if isinstance(holder, Profile):
        return f"Account {holder.user_id} holds it" + (f" ({holder.email})." if holder.email else ".")
    return f"It waits as the purchase of {holder.email}." if holder is not None else "Nobody holds it here."


def _consequences(
    now: datetime,
    row: ProviderMembership,
    holder: Holder | None,
    others: Sequence[ProviderMembership],
    action: CancelAction,
    snapshot: Snapshot,
) -> list[str]:
    if snapshot.found is None:
        return []
    name = provider_name(seller_of(row).value)
    said = [_as_it_is(name, snapshot)]
    if snapshot.is_so(action):
        return [*said, f"Nothing is sent to {name}: what it says is taken over here."]
    until = snapshot.period_end if snapshot.period_end and snapshot.period_end > now else None
    if action is CancelAction.NOW:
        said += _ending_now(name, row, holder, others, snapshot)
    elif action is CancelAction.AT_END:
        when = f"until {_day(until)}" if until else "until its period ends"
        said.append(f"Access and credits stay {when}; it is not renewed then.")
        said.append("Until then that can be taken back.")
    elif snapshot.is_over:
        said.append(f"Access comes back {f'until {_day(until)}' if until else 'for good'}; nothing is charged for it.")
    else:
        said.append(f"It is renewed {f'on {_day(until)}' if until else 'when its period ends'} and goes on.")
    said.append(f"What is shown here afterwards is what {name} says then.")
    return [*said, f"Backdesk sends no mail; {name} may write to the buyer.", "No money goes back by this."]


def _ending_now(
    name: str, row: ProviderMembership, holder: Holder | None, others: Sequence[ProviderMembership], snapshot: Snapshot
) -> list[str]:
    other = next((one for one in others if one.is_live), None)
    if holder is None or not row.is_live:
        access = "Nobody loses access by it."
    elif other is not None:
        access = f"Pro access stays by {name_of(other)}."
    else:
        access = "Pro access ends at once, also for what is paid already."
    credits = "Credits that are left stay; it brings no more."
    if snapshot.is_bought_once:
        return [access, credits, f"{name} can give it back later: by taking the cancellation back."]
    forever = f"{name} cannot take this back: whoever wants it again has to buy it again."
    return [access, credits, forever]


def _as_it_is(name: str, snapshot: Snapshot) -> str:
    state = f"{name} says now: {snapshot.word.replace('_', ' ')}"
    if snapshot.is_over or snapshot.period_end is None:
        return f"{state}."
    if snapshot.is_bought_once:
        return f"{state}, until {_day(snapshot.period_end)}."
    if snapshot.ends_with_period:
        return f"{state}, ends on {_day(snapshot.period_end)} and is not renewed."
    return f"{state}, paid until {_day(snapshot.period_end)} and renewed then."


def _day(moment: datetime | None) -> str:
    return f"{moment:%d %b %Y} (UTC)" if moment else ""


def _lines(
    row: ProviderMembership,
    holder: Holder | None,
    others: Sequence[ProviderMembership],
    action: CancelAction,
    snapshot: Snapshot,
) -> list[PlanLine]:
    """The membership's own fields, and those that follow for whoever holds it."""
    name = provider_name(seller_of(row).value)
    values = _values(row, action, snapshot)
    lines = [PlanLine(subject_of(row), field, getattr(row, field), value, name) for field, value in values.items()]
    if holder is None:
        return lines
    after = memberships.derived([*others, copied(row, **values)], holder)
    of_holder = {field: getattr(holder, field) for field in dict.fromkeys((*SHOWN, *memberships.LINKED))}
    key = memberships.key(holder)
    follows = [PlanLine(key, field, now, after.get(field, now), "its memberships") for field, now in of_holder.items()]
    return lines + [line for line in follows if line.changes or line.field in SHOWN]


def _values(row: ProviderMembership, action: CancelAction, snapshot: Snapshot) -> dict[str, Any]:
    """What the provider will say, if it does what it is asked to do."""
    if snapshot.found is None:
        return {}
    if snapshot.is_so(action):
        is_live, ends = snapshot.is_live, snapshot.is_live and snapshot.ends_with_period
    elif action is CancelAction.BACK:
        is_live, ends = snapshot.is_live or snapshot.is_over, False
    else:
        is_live = snapshot.is_live and action is not CancelAction.NOW
        ends = is_live and action is CancelAction.AT_END
    status = MembershipStatus.ACTIVE if is_live else MembershipStatus.INACTIVE
    return {"status": status, "cancel_at_period_end": ends}
