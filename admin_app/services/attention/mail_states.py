"""What becomes of mails that nobody finished: noted by a job, sent again or settled by a person."""

from datetime import timedelta
from typing import Any

from sqlalchemy import exists, select

from admin_app.context import Ctx
from admin_app.errors import Conflict, NotFound
from admin_app.integrations import job_queue
from admin_app.policies.permissions import Permission, require
from admin_app.services.bookings import appointment_mails
from admin_app.services.clients import flag_mails
from admin_app.services.core import audit
from admin_app.services.core.plans import Plan, PlanLine, PlannedMail, fingerprint, require_reason, require_same
from admin_app.services.inbox import outbox
from admin_app.services.purchases import claim_mails
from models.inbox import MailState, SentEmail
from models.purchases import PendingProfile

# A mail waits for its job alone; by then the job is lost, or far behind and queued once more beside itself.
WAITED = timedelta(minutes=10)
# What waits for a person.
OPEN = (MailState.FAILED, MailState.UNKNOWN)
WHAT_HAPPENED = {
    MailState.FAILED: "The mail server did not accept it, so it was certainly not sent.",
    MailState.UNKNOWN: "It may have been sent: the mail server had it and did not answer, or the worker died before it "
    "noted the answer.",
}
WHAT_TO_DO = {
    MailState.FAILED: "Backdesk tries again by itself for some 45 minutes. After that, send it again from here.",
    MailState.UNKNOWN: "Ask the recipient or look at the mail server; then send it again, or mark it as settled.",
}
NOTHING_OPEN = "It needs no attention any more: it was sent, is about to be, or was settled."
GONE = "What it was about is not here any more, so it cannot be written again."
NEWER = "A newer mail was written for this purchase, with a link of its own."


def note_lost(ctx: Ctx, *, limit: int) -> int:
    """Mails whose hand-over nobody finished: whether they went out is unknown; returns how many."""
    lost = ctx.session.scalars(
        select(SentEmail)
        .where(SentEmail.state == MailState.SENDING, SentEmail.handed_over_at <= ctx.now - outbox.HANDED_OVER_WITHIN)
        .order_by(SentEmail.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for mail in lost:
        outbox.give_up(mail)
    return len(lost)


def end_claimed(ctx: Ctx, *, limit: int) -> int:
    """Claim mails that did not leave and have nothing to say any more wait for nobody; returns how many there were."""
    claimed = exists().where(PendingProfile.id == SentEmail.pending_profile_id, PendingProfile.claimed)
    ended = ctx.session.scalars(
        select(SentEmail)
        .where(SentEmail.state == MailState.FAILED, claimed)
        .order_by(SentEmail.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for mail in ended:
        mail.state, mail.last_error = MailState.SUPERSEDED, "claimed"
    return len(ended)


def queue_waiting(ctx: Ctx, *, limit: int) -> int:
    """Mails that have certainly not left and wait for long are queued once more; returns how many.

    One that has nobody to go to any more is superseded, so that it does not stand in the way of the others.
    """
    waiting = ctx.session.scalars(
        select(SentEmail)
        .where(SentEmail.state == MailState.QUEUED, SentEmail.created_at <= ctx.now - WAITED)
        .where(SentEmail.handed_over_at.is_(None) | (SentEmail.handed_over_at <= ctx.now - WAITED))
        .order_by(SentEmail.handed_over_at.nulls_first(), SentEmail.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for mail in waiting:
        mail.handed_over_at = ctx.now  # whoever waits longest comes first the next time, whatever became of this one
        if job := _job_of(mail):
            task, once_key, arguments = job
            job_queue.defer(ctx.session, task, once_key=once_key, anew=False, **arguments)
        else:
            mail.state, mail.last_error = MailState.SUPERSEDED, "gone"
    return len(waiting)


def plan_resend(ctx: Ctx, *, sent_email_id: int, base_url: str) -> Plan:
    """To whom the mail would go, how it will read, and that it may be the second one."""
    require(ctx, Permission.MAILS_READ)
    mail = _found(ctx, sent_email_id)
    said = [
        f"It is written from the record as it is now and goes to its present address; this one was for {mail.to_email}."
    ]
    if mail.state == MailState.UNKNOWN:
        said.append("If the first one did arrive, it arrives twice.")
    if mail.pending_profile_id is not None:
        said.append(
            "Its link is a new one, which nobody but its reader is shown; a link that was sent before stops working."
        )
    said.append("If it is not true any more, it is not sent.")
    return Plan(
        title="What happened, and what comes next",
        outcome="sent",
        lines=(),
        consequences=(WHAT_HAPPENED.get(MailState(mail.state), ""), *said),
        fingerprint=_fingerprint(mail),
        refusal=_refusal(mail) or _obstacle(ctx, mail),
        mails=_again(ctx, mail, base_url),
    )


def resend(ctx: Ctx, *, sent_email_id: int, reason: str, shown: str) -> SentEmail:
    """Have a mail that failed, or that may have gone out, handed over once more."""
    mail, reason = _open(ctx, sent_email_id, reason, shown)
    job, obstacle = _job_of(mail), _obstacle(ctx, mail)
    if job is None or obstacle is not None:
        raise Conflict(obstacle or GONE)
    mail.state, mail.last_error, mail.handed_over_at = MailState.QUEUED, None, ctx.now
    _record(ctx, mail, "mail.resent", reason)
    task, once_key, arguments = job
    job_queue.defer(ctx.session, task, once_key=once_key, **arguments)
    return mail


def _again(ctx: Ctx, mail: SentEmail, base_url: str) -> tuple[PlannedMail, ...]:
    """The mail as its own job will write it; none where what it says does not hold any more."""
    if (job := _job_of(mail)) is None:
        return ()
    task, _, arguments = job
    if task == "send_claim_mail":
        return claim_mails.planned(ctx, **arguments)
    if task == "send_switch_mail":
        return flag_mails.planned(ctx, **arguments, base_url=base_url)
    return appointment_mails.planned_again(ctx, **arguments)


def plan_settle(ctx: Ctx, *, sent_email_id: int) -> Plan:
    """What it means to mark a mail as settled."""
    require(ctx, Permission.MAILS_READ)
    mail = _found(ctx, sent_email_id)
    return Plan(
        title="What happened, and what comes next",
        outcome="settled",
        lines=(PlanLine(f"sent_email:{mail.id}", "state", mail.state, MailState.SETTLED, "this command"),),
        consequences=(
            WHAT_HAPPENED.get(MailState(mail.state), ""),
            "It needs no attention any more, and is not sent again.",
        ),
        fingerprint=_fingerprint(mail),
        refusal=_refusal(mail),
    )


def settle(ctx: Ctx, *, sent_email_id: int, reason: str, shown: str) -> SentEmail:
    """Note that nothing is left to do about a mail that failed, or that may have gone out."""
    mail, reason = _open(ctx, sent_email_id, reason, shown)
    mail.state = MailState.SETTLED
    _record(ctx, mail, "mail.settled", reason)
    return mail


def _open(ctx: Ctx, sent_email_id: int, reason: str, shown: str) -> tuple[SentEmail, str]:
    require(ctx, Permission.FAILURES_SETTLE)
    reason = require_reason(reason)
    mail = outbox.locked(ctx, sent_email_id)
    if refusal := _refusal(mail):
        raise Conflict(refusal)
    require_same(shown, _fingerprint(mail))
    return mail, reason


def _found(ctx: Ctx, sent_email_id: int) -> SentEmail:
    mail = ctx.session.get(SentEmail, sent_email_id)
    if mail is None:
        raise NotFound("There is no such mail.")
    return mail


def _refusal(mail: SentEmail) -> str | None:
    return None if mail.state in OPEN else NOTHING_OPEN


def _obstacle(ctx: Ctx, mail: SentEmail) -> str | None:
    """What keeps the mail from being sent again."""
    if _job_of(mail) is None:
        return GONE
    later = select(SentEmail.id).where(SentEmail.pending_profile_id == mail.pending_profile_id, SentEmail.id > mail.id)
    is_claim = mail.pending_profile_id is not None
    return NEWER if is_claim and ctx.session.scalar(later.limit(1)) is not None else None


def _fingerprint(mail: SentEmail) -> str:
    return fingerprint(mail.id, mail.state, mail.handed_over_at)


def _record(ctx: Ctx, mail: SentEmail, event: str, reason: str) -> None:
    records = [f"sent_email:{mail.id}"]
    for kind in ("booking", "meeting", "pending_profile"):
        if (number := getattr(mail, f"{kind}_id")) is not None:
            records.append(f"{kind}:{number}")
    audit.record(ctx, event, records=records, reason=reason, facts={"mail": mail.template, "email": mail.to_email})


def _job_of(mail: SentEmail) -> tuple[str, str, dict[str, Any]] | None:
    """The job that sends this mail: its task, its once-key and its arguments; None when what it is about is gone."""
    if mail.template == "claim":
        number = mail.pending_profile_id
        return ("send_claim_mail", f"send_claim_mail:{number}", {"pending_profile_id": number}) if number else None
    if mail.once_key is None:
        return None
    about = mail.once_key.split(":", 3)
    if mail.template == "switch_ending":
        change = int(about[-1])
        return "send_switch_mail", f"send_switch_mail:{change}", {"change_id": change}
    if mail.booking_id is None and mail.meeting_id is None:
        return None
    kind, *subject, once = about if len(about) == 4 else (*about, "")
    arguments = {"subject": ":".join(subject), "kind": kind, "once": once}
    return "send_appointment_mail", f"send_appointment_mail:{mail.id}", arguments
