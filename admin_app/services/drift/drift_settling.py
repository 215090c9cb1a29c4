"""Carries out what was decided about a difference: ask again, change one side, and see whether both agree now."""

from collections.abc import Sequence
from datetime import datetime

from admin_app.context import Ctx
from admin_app.errors import DomainError
from admin_app.integrations.registry import Providers
from admin_app.services import appointments, bookings, drift, memberships, purchases
from admin_app.services.billing import billing_asking
from admin_app.services.bookings import holds
from admin_app.services.calendars import calendar_sync
from admin_app.services.core import audit
from admin_app.services.core.audit import Change
from admin_app.services.drift import RECORD, Compared, Side, Thing
from admin_app.services.drift.drift_resolving import ADOPT, facts_of, records_of
from admin_app.services.drift.drift_subscriptions import SubscriptionThing
from admin_app.services.drift.plans import CANCELS, SETS_CANCEL
from admin_app.services.inbox import provider_calls
from admin_app.services.inbox.provider_calls import Work
from admin_app.services.memberships.periods import UNIT_OF
from admin_app.services.memberships.rows import put
from admin_app.services.purchases import MembershipSnapshot, holders
from admin_app.services.refunds import called_off
from models.bookings import CanceledBecause
from models.drift import DriftFinding, DriftState
from models.memberships import PaymentProvider, Rhythm

_OUTCOMES = {DriftState.ADOPTED: "theirs was taken over", DriftState.PUSHED: "ours was pushed"}


def settle(work: Work, providers: Providers, side: Side, *, finding_id: int) -> None:
    """Do what a person decided about this finding. What goes wrong leaves it open and says why."""
    with work() as ctx:
        finding = ctx.session.get(DriftFinding, finding_id)
    if finding is None or finding.wanted is None:
        return
    try:
        if finding.wanted == ADOPT:
            _adopt(work, side, finding)
        else:
            _push(work, providers, side, finding)
    except DomainError as error:
        with work() as ctx:
            _leave_open(ctx, finding_id, error.code)


def give_up(work: Work, *, finding_id: int, because: str) -> None:
    """What was decided is not done: the finding waits for a person again, and says why."""
    with work() as ctx:
        finding = ctx.session.get(DriftFinding, finding_id)
        if finding is not None and finding.wanted is not None:
            _leave_open(ctx, finding_id, because)


def _adopt(work: Work, side: Side, finding: DriftFinding) -> None:
    thing = side.ask(finding.external_id)
    with work() as ctx:
        if thing is None:
            _end_ours(ctx, finding)
            _conclude(ctx, finding, DriftState.ADOPTED)
            return
        # Taken in first: what was in the way may be gone by now.
        found, changes = drift.take_in(ctx, side, thing), []
        if _is_open(found, finding):
            changes = _take_over(ctx, thing, finding)
            ctx.session.flush()
            found = drift.take_in(ctx, side, thing)
        because = "not_adopted" if _is_open(found, finding) else None
        _conclude(ctx, finding, DriftState.ADOPTED, because, subject=found.subject, changes=changes)


def _is_open(found: Compared, finding: DriftFinding) -> bool:
    return any(difference.field == finding.field for difference in found.open)


def _take_over(ctx: Ctx, thing: Thing, finding: DriftFinding) -> list[Change]:
    theirs, subject = thing.theirs.get(finding.field), finding.subject
    if theirs is None or subject is None:
        return []
    if finding.field == "starts_at":
        appointment = appointments.locked(ctx, subject)
        starts_at = datetime.fromisoformat(theirs)
        ends_at = starts_at + (appointment.row.ends_at - appointment.row.starts_at)
        of = appointment.practitioner.id
        holds.take_time(ctx, practitioner_id=of, starts_at=starts_at, ends_at=ends_at, except_=subject)
        bookings.move(ctx, appointment, starts_at, ends_at, reason=finding.reason)
    elif finding.field == "client_email":
        bookings.correct_email(ctx, appointments.locked(ctx, subject), theirs, reason=finding.reason)
    elif finding.field == "plan_duration":
        holders.lock(ctx, membership_id=finding.external_id, email=None)
        row, holder = holders.of_membership(ctx, finding.external_id)
        if row is None or holder is None:
            return []
        rows = memberships.of(ctx, holder)
        put(ctx, row, rhythm=Rhythm.RECURRING, interval_unit=UNIT_OF[theirs], interval_count=1)
        return memberships.settle(ctx, holder, rows)
    return []


def _end_ours(ctx: Ctx, finding: DriftFinding) -> None:
    """The provider does not know it any more: it is over here too."""
    if finding.field != RECORD or finding.subject is None:
        return
    if finding.provider == "whop":
        purchases.end(ctx, MembershipSnapshot(occurred_at=ctx.now, membership_id=finding.external_id))
    elif finding.provider == "stripe" and holders.is_held(ctx.session, finding.external_id, PaymentProvider.STRIPE):
        stripe = PaymentProvider.STRIPE
        purchases.end(ctx, MembershipSnapshot(occurred_at=ctx.now, membership_id=finding.external_id, provider=stripe))
    elif finding.provider in ("calendly", "calcom"):
        appointment = appointments.locked(ctx, finding.subject)
        if appointment.row.status in appointments.OCCUPYING:
            called_off.call_off(ctx, appointment, CanceledBecause.BY_PRACTITIONER, reason=finding.reason)


def _push(work: Work, providers: Providers, side: Side, finding: DriftFinding) -> None:
    if finding.field == CANCELS and providers.stripe is not None:
        stripe, wanted = providers.stripe, finding.ours == "yes"
        key = f"drift-{finding.id}-{CANCELS}"
        provider_calls.send(
            work,
            provider="stripe",
            operation=SETS_CANCEL,
            subject=finding.subject or "",
            key=key,
            call=lambda: stripe.set_cancel_at_period_end(finding.external_id, wanted, idempotency_key=key),
            name=lambda subscription: subscription.id,
        )
        answer = billing_asking.ask(stripe, finding.external_id)
        with work() as ctx:
            if answer.found is not None:
                SubscriptionThing(answer.found, answer.asked_at).take_in(ctx)
            done = answer.found is not None and answer.found.cancel_at_period_end is wanted
            _conclude(ctx, finding, DriftState.PUSHED, None if done else "not_pushed")
        return
    _, number = appointments.subject_parts(finding.subject or "")
    calendar_sync.sync(work, providers, booking_id=number)
    thing = side.ask(finding.external_id)
    with work() as ctx:
        found = drift.take_in(ctx, side, thing) if thing else drift.missing_there(ctx, side, finding.external_id)
        differs = _is_open(found, finding)
        _conclude(ctx, finding, DriftState.PUSHED, "not_pushed" if differs else None)


def _conclude(
    ctx: Ctx,
    decided: DriftFinding,
    state: DriftState,
    because: str | None = None,
    *,
    subject: str | None = None,
    changes: Sequence[Change] = (),
) -> None:
    if because is not None:
        _leave_open(ctx, decided.id, because)
        return
    finding = ctx.session.get_one(DriftFinding, decided.id, with_for_update=True, populate_existing=True)
    drift.settle(ctx, finding, state)
    finding.resolved_by, finding.subject = decided.resolved_by, subject or finding.subject
    facts = {**facts_of(finding), "outcome": _OUTCOMES[state]}
    records = records_of(finding)
    audit.record(ctx, "drift.resolved", records=records, reason=finding.reason, changes=changes, facts=facts)


def _leave_open(ctx: Ctx, finding_id: int, because: str) -> None:
    finding = ctx.session.get_one(DriftFinding, finding_id, with_for_update=True, populate_existing=True)
    finding.wanted, finding.because = None, because
    finding.version += 1
