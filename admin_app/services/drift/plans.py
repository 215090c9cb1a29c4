"""What carrying out a decision about a difference changes, sends and calls, by what `drift_settling` has done.

Where theirs is a membership's end, what becomes of the account is worked out when it is done, and said in sentences.
"""

from datetime import datetime

from admin_app.context import Ctx
from admin_app.services import appointments
from admin_app.services.appointments import Appointment
from admin_app.services.billing import planned as billing_planned
from admin_app.services.bookings import moving, step_plans
from admin_app.services.calendars import calendar_sync
from admin_app.services.core import audit
from admin_app.services.core.plans import PlanLine, PlannedCall
from admin_app.services.drift import PROVIDERS, RECORD
from admin_app.services.refunds import called_off
from admin_app.services.refunds.called_off import Planned
from models.billing import Subscription
from models.bookings import Booking, CanceledBecause
from models.drift import DriftFinding

CALENDARS = ("calendly", "calcom")
CANCELS = "cancel_at_period_end"
SETS_CANCEL = "subscription.cancel_at_period_end"
_TOLD = {"starts_at": calendar_sync.MOVE, "status": calendar_sync.CANCEL, RECORD: calendar_sync.CREATE}


def of_adopting(ctx: Ctx, finding: DriftFinding) -> Planned:
    """Theirs becomes ours."""
    appointment = _appointment(ctx, finding)
    if appointment is not None and finding.field == RECORD and finding.theirs is None:
        if appointment.row.status in appointments.OCCUPYING:
            # Cal.com is looked at before it is told anything; Calendly is told in any case.
            unknown_to = "calcom" if finding.provider == "calcom" else ""
            return called_off.planned(ctx, appointment, CanceledBecause.BY_PRACTITIONER, unknown_to=unknown_to)
        return Planned()
    if appointment is not None and finding.field == "starts_at" and finding.theirs is not None:
        starts_at = datetime.fromisoformat(finding.theirs)
        ends_at = starts_at + (appointment.row.ends_at - appointment.row.starts_at)
        means = step_plans.of_step(ctx, appointment, moving(starts_at, ends_at))
        return Planned(means.lines, means.mails, means.calls, sentences=means.sentences)
    source = PROVIDERS[finding.provider]
    return Planned(
        (PlanLine(finding.subject or "", finding.field, _value(finding.ours), _value(finding.theirs), source),)
    )


def of_pushing(ctx: Ctx, finding: DriftFinding) -> Planned:
    """Ours becomes theirs: what is there has a line of its own, beside what their answer changes here."""
    there = there_key(finding)
    lines = [PlanLine(there, finding.field, _value(finding.theirs), _value(finding.ours), "Backdesk")]
    if finding.field == CANCELS:
        lines += _of_canceling(ctx, finding)
        return Planned(tuple(lines), calls=(PlannedCall("stripe", SETS_CANCEL, "Stripe is told."),))
    appointment = _appointment(ctx, finding)
    operation = _TOLD.get(finding.field)
    if appointment is None or operation is None or not isinstance(appointment.row, Booking):
        return Planned(tuple(lines))
    if not calendar_sync.is_wanted(appointment.row, operation, ctx.now):
        return Planned()
    said = f"{PROVIDERS[finding.provider]} is told, and tells the client."
    return Planned(tuple(lines), calls=(PlannedCall(finding.provider, operation, said),))


def there_key(finding: DriftFinding) -> str:
    """The provider's own record, as a plan's lines name it."""
    return f"{finding.provider}:{finding.external_id}"


def _of_canceling(ctx: Ctx, finding: DriftFinding) -> tuple[PlanLine, ...]:
    kind, _, number = (finding.subject or "").partition(":")
    row = ctx.session.get(Subscription, int(number)) if kind == "subscription" else None
    if row is None:
        return ()
    cancels = finding.ours == "yes"
    values = {CANCELS: cancels, "cancel_at": row.current_period_end if cancels else None}
    return billing_planned.of_subscription(ctx.session, row, values, ctx.now)


def _appointment(ctx: Ctx, finding: DriftFinding) -> Appointment | None:
    if finding.provider not in CALENDARS or finding.subject is None:
        return None
    return appointments.find(ctx.session, finding.subject)


def _value(kept: str | None) -> str | datetime | None:
    """A value as it is shown: a kept moment is a moment again."""
    return datetime.fromisoformat(kept) if kept and audit.TIME.fullmatch(kept) else kept
