"""The mail that says that a flag goes off soon: to whom the one who turned it on named, once."""

from sqlalchemy import exists, func, select

from admin_app.context import Ctx
from admin_app.errors import NotFound
from admin_app.integrations import job_queue
from admin_app.services.clients import flag_clock, flag_letters, flag_periods, flags
from admin_app.services.clients.flag_letters import TEMPLATE
from admin_app.services.clients.flag_words import WORDS
from admin_app.services.core import audit
from admin_app.services.core.plans import PlannedMail
from admin_app.services.core.records import client_key, flag_change_key, lock_names
from admin_app.services.inbox import outbox
from admin_app.services.inbox.outbox import OutgoingMail
from models.clients import Client, FlagChange
from models.inbox import MailState, SentEmail


def queue_untold(ctx: Ctx, *, limit: int) -> None:
    """Queue once more what is due and was not sent, such as after a lost job."""
    # What was written before and did not leave is its own job's, and then a person's: it takes nobody's place here.
    written = exists().where(
        SentEmail.once_key == func.concat(f"{TEMPLATE}:flag_change:", FlagChange.id),
        SentEmail.state.not_in((MailState.QUEUED, MailState.SENDING)),
    )
    query = (
        select(FlagChange)
        .where(
            ~written,
            FlagChange.value,
            FlagChange.lifted_at.is_(None),
            FlagChange.until > ctx.now,
            FlagChange.tell_at <= ctx.now,
            FlagChange.told_at.is_(None),
        )
        .order_by(FlagChange.until, FlagChange.id)
        .limit(limit)
    )
    for period in ctx.session.scalars(query):
        # Not beside a job that is handing the mail over: that moment and this sweep both come on the minute.
        if not job_queue.waits(ctx.session, flag_periods.mail_key(period)):
            flag_periods.tell_at(ctx, period, ctx.now)


def planned(ctx: Ctx, *, change_id: int, base_url: str) -> tuple[PlannedMail, ...]:
    """The mail as `prepare` would write it now; none where it does not hold any more."""
    period = ctx.session.get(FlagChange, change_id)
    if period is None or period.client_id is None or not _holds(ctx, period):
        return ()
    client = ctx.session.get_one(Client, period.client_id)
    subject, text, _ = flag_letters.composed(ctx.session, client, period, base_url)
    return (PlannedMail(period.tell_email or "", subject, text),)


def prepare(ctx: Ctx, *, change_id: int, base_url: str) -> OutgoingMail | None:
    """The mail, written and kept; None when it went out already or does not hold any more."""
    key = f"{TEMPLATE}:{flag_change_key(change_id)}"
    lock_names(ctx.session, f"mail:{key}")
    period = ctx.session.get(FlagChange, change_id, populate_existing=True)
    if period is None or period.client_id is None or not _holds(ctx, period):
        outbox.supersede(ctx, "does_not_hold", SentEmail.once_key == key)
        return None
    mail = _kept(ctx, key)
    if mail is not None and not outbox.may_leave(ctx, mail):
        return None
    mail = _write(ctx, period, mail or SentEmail(once_key=key, created_at=ctx.now), base_url)
    message_id = outbox.hand_over(ctx, mail)
    return OutgoingMail(mail.id, mail.to_email, mail.subject, mail.text_body, mail.html_body, message_id)


def mark_sent(ctx: Ctx, *, sent_email_id: int, change_id: int, kept: bool) -> None:
    """The mail was handed over, or only kept because no mail server is configured."""
    period = ctx.session.get(FlagChange, change_id)
    if period is None or period.client_id is None:
        raise NotFound("There is no such period.")
    # First, like everyone who writes a period: a flag holds the client, writes periods, and waits for the audit.
    client = flags.locked(ctx, period.client_id)
    mail = outbox.mark_sent(ctx, sent_email_id=sent_email_id, kept=kept)
    period.told_at = ctx.now
    audit.record(
        ctx,
        "client.switch_told",
        records=[client_key(client.id), flag_change_key(period.id), f"sent_email:{mail.id}"],
        facts={"client": client.name, "switch": WORDS[period.flag].name, "email": mail.to_email},
    )


def _holds(ctx: Ctx, period: FlagChange) -> bool:
    """Whether it still ends then, and nobody was told."""
    asked = period.tell_email is not None and period.tell_at is not None and period.told_at is None
    due = asked and period.tell_at is not None and period.tell_at <= ctx.now
    return due and flag_clock.is_open(period) and period.until is not None and ctx.now < period.until


def _kept(ctx: Ctx, key: str) -> SentEmail | None:
    query = select(SentEmail).where(SentEmail.once_key == key).with_for_update()
    return ctx.session.scalar(query.execution_options(populate_existing=True))


def _write(ctx: Ctx, period: FlagChange, mail: SentEmail, base_url: str) -> SentEmail:
    """The mail with what holds now; one that has not left is written anew."""
    client = ctx.session.get_one(Client, period.client_id)
    mail.template, mail.to_email = TEMPLATE, period.tell_email or ""
    mail.subject, mail.text_body, mail.html_body = flag_letters.composed(ctx.session, client, period, base_url)
    return mail
