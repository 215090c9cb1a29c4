"""What people decide about a difference: take theirs over, push ours, let it stand, or give it to somebody.

Taking over and pushing are noted first and done by a job, which asks the provider again before it writes anything.
"""

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import Conflict, InvalidInput, NotFound
from admin_app.integrations import job_queue
from admin_app.policies.permissions import Permission, require
from admin_app.services import drift
from admin_app.services.core import audit
from admin_app.services.core.field_labels import label_of
from admin_app.services.core.plans import Plan, PlanLine, fingerprint, require_reason, require_same
from admin_app.services.core.records import finding_key
from admin_app.services.drift import PROVIDERS, RECORD
from admin_app.services.drift import plans as drift_plans
from admin_app.services.drift.plans import CALENDARS, CANCELS
from admin_app.services.refunds.called_off import Planned
from models.drift import DriftFinding, DriftState
from models.staff import StaffMember

ADOPT, PUSH = "adopt", "push"
# The fields that a person may have taken over; whatever an event would have brought, the run took over by itself.
ADOPTED = frozenset(
    {
        *((provider, RECORD) for provider in PROVIDERS),
        *((provider, name) for provider in CALENDARS for name in ("starts_at", "client_email")),
        ("whop", "plan_duration"),
    }
)
PUSHED = frozenset(
    {
        ("calcom", "starts_at"),
        ("calcom", "status"),
        ("calcom", RECORD),
        ("calendly", "status"),
        ("stripe", CANCELS),
    }
)
BECAUSE: Mapping[str, str] = {
    "unexpected": "Taking it in failed for a reason of ours. Whoever looks after the server should know.",
    "gone_there": "The provider does not know it any more.",
    "not_made": "It is on here, and was never made there. Push it once the calendar can take it, or end it here.",
    "host_unknown": "It was given to a host whose calendar nobody here has. Set the Cal.com user or the e-mail at the "
    "practitioner.",
    "customer_unknown": "Nobody here is this customer. Say at the Stripe customer which client it is, or write the "
    "client's number into its metadata at Stripe as clientId; it is then asked about again by itself.",
    "not_adopted": "It was tried to take theirs over, and both sides still differ. Look at both.",
    "not_pushed": "It was tried to push ours, and both sides still differ. Look at both.",
    "provider_unavailable": "The provider did not answer when this was to be settled. Try again.",
    "provider_not_configured": "This installation has no key for the provider, so nothing can be settled there.",
    "outcome_unknown": "The provider did not say whether it was done. Compare again before you decide.",
}


class NoSuchFinding(NotFound):
    """No difference has this id: 404, `not_found`."""

    sentence = "There is no such difference."


def plan_adopt(ctx: Ctx, *, finding_id: int) -> Plan:
    """What taking theirs over changes here."""
    require(ctx, Permission.DRIFT_READ)
    return _plan(ctx, _finding(ctx.session, finding_id), ADOPT)


def adopt(ctx: Ctx, *, finding_id: int, reason: str, shown: str) -> DriftFinding:
    """Have theirs taken over after the commit."""
    return _decide(ctx, finding_id, ADOPT, reason, shown)


def plan_push(ctx: Ctx, *, finding_id: int) -> Plan:
    """What pushing ours changes there."""
    require(ctx, Permission.DRIFT_READ)
    return _plan(ctx, _finding(ctx.session, finding_id), PUSH)


def push(ctx: Ctx, *, finding_id: int, reason: str, shown: str) -> DriftFinding:
    """Have ours pushed after the commit."""
    return _decide(ctx, finding_id, PUSH, reason, shown)


def plan_ignore(ctx: Ctx, *, finding_id: int) -> Plan:
    """What letting it stand means."""
    require(ctx, Permission.DRIFT_READ)
    finding = _finding(ctx.session, finding_id)
    return Plan(
        title="Let the difference stand",
        outcome="ignored",
        lines=(PlanLine(finding_key(finding.id), "state", finding.state, DriftState.IGNORED, "this command"),),
        consequences=(
            f"Both sides keep what they have: {label_of(finding.field)} is not changed here or there.",
            "It is shown again as soon as one of the two values is another one.",
        ),
        fingerprint=_state(finding),
        refusal=_closed(finding),
    )


def ignore(ctx: Ctx, *, finding_id: int, reason: str, shown: str) -> DriftFinding:
    """Both sides stay as they are until one of the values changes."""
    require(ctx, Permission.DRIFT_RESOLVE)
    reason = require_reason(reason)
    finding = _locked(ctx, finding_id)
    _require(plan_ignore(ctx, finding_id=finding_id), shown)
    drift.settle(ctx, finding, DriftState.IGNORED, reason)
    audit.record(ctx, "drift.ignored", records=records_of(finding), reason=reason, facts=facts_of(finding))
    return finding


def plan_assign(ctx: Ctx, *, finding_id: int, email: str) -> Plan:
    """Who has it now and who would."""
    require(ctx, Permission.DRIFT_READ)
    finding = _finding(ctx.session, finding_id)
    owner = _colleague(ctx.session, email)
    former = ctx.session.get(StaffMember, finding.owner_id) if finding.owner_id else None
    key, now = finding_key(finding.id), former.email if former else None
    return Plan(
        title="Give it to somebody",
        outcome="assigned",
        lines=(PlanLine(key, "owner", now, owner.email, "what you typed"),),
        consequences=("It stays open until it is settled.",),
        fingerprint=fingerprint(_state(finding), finding.owner_id, owner.id),
        refusal=_closed(finding),
    )


def assign(ctx: Ctx, *, finding_id: int, email: str, reason: str, shown: str) -> DriftFinding:
    """Somebody takes care of it from now on."""
    require(ctx, Permission.DRIFT_RESOLVE)
    reason = require_reason(reason)
    finding = _locked(ctx, finding_id)
    _require(plan_assign(ctx, finding_id=finding_id, email=email), shown)
    owner = _colleague(ctx.session, email)
    finding.owner_id = owner.id
    finding.version += 1
    facts = {**facts_of(finding), "owner": owner.email}
    audit.record(ctx, "drift.assigned", records=records_of(finding), reason=reason, facts=facts)
    return finding


def may_adopt(provider: str, name: str, state: DriftState, wanted: str | None) -> bool:
    """Whether staff may take the provider's value over: the difference is open, nothing is asked for yet (`wanted`),
    and the field is one of ADOPTED.
    """
    return state is DriftState.OPEN and wanted is None and (provider, name) in ADOPTED


def may_push(provider: str, name: str, state: DriftState, wanted: str | None) -> bool:
    """Stripe's word on a cancellation is taken over at once, so ours is pushed from what the run repaired."""
    states = (DriftState.OPEN, DriftState.REPAIRED) if name == CANCELS else (DriftState.OPEN,)
    return state in states and wanted is None and (provider, name) in PUSHED


def records_of(finding: DriftFinding) -> list[str]:
    """The audit's keys of the difference and, where one is known, of the record that it is about."""
    return [finding_key(finding.id), *([finding.subject] if finding.subject else [])]


def facts_of(finding: DriftFinding) -> dict[str, str]:
    """The audit's facts of the difference: field and provider, in the words of the screen."""
    return {"field": label_of(finding.field), "provider": PROVIDERS[finding.provider]}


def _decide(ctx: Ctx, finding_id: int, wanted: str, reason: str, shown: str) -> DriftFinding:
    require(ctx, Permission.DRIFT_RESOLVE)
    reason = require_reason(reason)
    finding = _locked(ctx, finding_id)
    _require(_plan(ctx, finding, wanted), shown)
    finding.wanted, finding.reason, finding.resolved_by = wanted, reason, ctx.actor.label
    finding.version += 1
    once = f"settle_finding:{finding.id}"
    job_queue.defer(ctx.session, "settle_finding", once_key=once, provider=finding.provider, finding_id=finding.id)
    facts = {**facts_of(finding), "wanted": "take over" if wanted == ADOPT else "push"}
    audit.record(ctx, "drift.wanted", records=records_of(finding), reason=reason, facts=facts)
    return finding


def _plan(ctx: Ctx, finding: DriftFinding, wanted: str) -> Plan:
    there, adopts = PROVIDERS[finding.provider], wanted == ADOPT
    where = "here" if adopts else f"at {there}"
    refusal = _refusal(finding, wanted)
    means = Planned()
    if refusal is None:
        means = drift_plans.of_adopting(ctx, finding) if adopts else drift_plans.of_pushing(ctx, finding)
    settled = DriftState.ADOPTED if adopts else DriftState.PUSHED
    state = PlanLine(finding_key(finding.id), "state", finding.state, settled, "once both sides agree")
    return Plan(
        title=f"Take over what {there} has" if adopts else f"Push ours to {there}",
        outcome="adopted" if adopts else "pushed",
        lines=(*means.lines, state),
        consequences=(
            f"{there} is asked once more first; then it is changed {where}, and both sides are compared again.",
            *(means.sentences or _consequences(finding, wanted)),
        ),
        fingerprint=_state(finding),
        refusal=refusal,
        names={drift_plans.there_key(finding): f"At {there}"},
        mails=means.mails,
        calls=means.calls,
        adds=means.adds,
    )


def _consequences(finding: DriftFinding, wanted: str) -> tuple[str, ...]:
    if wanted == ADOPT and finding.field == RECORD and finding.theirs is None:
        ends = "What we hold ends here: a booking is called off, a membership is over. Its client is told."
        return ends, "What was paid for a booking goes back by itself."
    if wanted == ADOPT and finding.field == "starts_at":
        return ("A client who booked here is told of the other time.",)
    if wanted == PUSH and finding.provider in CALENDARS:
        return (f"{PROVIDERS[finding.provider]} tells the client.",)
    return ()


def _refusal(finding: DriftFinding, wanted: str) -> str | None:
    allowed = (may_adopt if wanted == ADOPT else may_push)(
        finding.provider, finding.field, finding.state, finding.wanted
    )
    if allowed and wanted == PUSH and finding.field == RECORD and finding.because == "gone_there":
        return f"{PROVIDERS[finding.provider]} had it and does not know it any more. Take that over, or let it stand."
    if allowed:
        return None
    closed = _closed(finding)
    if closed is not None:
        return closed
    if wanted == ADOPT:
        return "Nothing here takes this over by itself. Put the record right, or let the difference stand."
    return f"{PROVIDERS[finding.provider]} does not let us change this."


def _closed(finding: DriftFinding) -> str | None:
    if finding.wanted is not None:
        return "It was decided already, and is being done."
    return None if finding.state is DriftState.OPEN else f"It is settled already: {finding.state.value}."


def _state(finding: DriftFinding) -> str:
    parts = (finding.id, finding.state, finding.ours, finding.theirs, finding.because, finding.wanted)
    return fingerprint(*parts)


def _require(plan: Plan, shown: str) -> None:
    if plan.refusal:
        raise Conflict(plan.refusal)
    require_same(shown, plan.fingerprint)


def _finding(session: Session, finding_id: int) -> DriftFinding:
    finding = session.get(DriftFinding, finding_id)
    if finding is None:
        raise NoSuchFinding
    return finding


def _locked(ctx: Ctx, finding_id: int) -> DriftFinding:
    finding = ctx.session.get(DriftFinding, finding_id, with_for_update=True, populate_existing=True)
    if finding is None:
        raise NoSuchFinding
    return finding


def _colleague(session: Session, email: str) -> StaffMember:
    found = session.scalar(
        select(StaffMember).where(StaffMember.email == email.strip(), StaffMember.disabled_at.is_(None))
    )
    if found is None:
        sentence = "No colleague with an account has this address."
        raise InvalidInput(sentence, fields={"email": sentence})
    return found
