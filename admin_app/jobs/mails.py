"""Sends mails: each is kept and noted as being handed over, then handed over, then marked."""

from collections.abc import Callable

from admin_app.context import Ctx, Job
from admin_app.errors import OutcomeUnknown, ProviderUnavailable
from admin_app.integrations.http import deadline
from admin_app.jobs.bench import Bench
from admin_app.jobs.one_by_one import each_service, until_none_is_due
from admin_app.services.attention import mail_states
from admin_app.services.bookings import appointment_mails
from admin_app.services.clients import flag_mails
from admin_app.services.inbox import outbox
from admin_app.services.inbox.outbox import OutgoingMail
from admin_app.services.purchases import claim_mails

CLAIMS = Job("send_claim_mail")
APPOINTMENTS = Job("send_appointment_mail")
REMINDERS = Job("send_reminders")
SWITCHES = Job("send_switch_mail")
REMINDERS_AT_ONCE = 200
SETTLED_AT_ONCE = 200


def send_claim_mail(bench: Bench, pending_profile_id: int) -> None:
    """Every try makes a new link; the link before it stops working. Nothing once the mail went out, or may have."""
    with bench.db.unit_of_work(CLAIMS) as ctx:
        mail = claim_mails.prepare(ctx, pending_profile_id=pending_profile_id, base_url=bench.settings.base_url)
    if mail is not None:
        sent_email_id = mail.sent_email_id
        _hand_over(
            bench, CLAIMS, mail, lambda ctx, kept: claim_mails.mark_sent(ctx, sent_email_id=sent_email_id, kept=kept)
        )


def send_appointment_mail(bench: Bench, subject: str, kind: appointment_mails.Kind, once: str = "") -> None:
    """One mail for one occasion: a further try sends the one that was written, and nothing once it went out."""
    with bench.db.unit_of_work(APPOINTMENTS) as ctx:
        mail = appointment_mails.prepare(ctx, subject=subject, kind=kind, once=once, settings=bench.settings)
    if mail is not None:
        sent_email_id = mail.sent_email_id
        _hand_over(
            bench,
            APPOINTMENTS,
            mail,
            lambda ctx, kept: appointment_mails.mark_sent(ctx, sent_email_id=sent_email_id, subject=subject, kept=kept),
        )


def send_reminders(bench: Bench, *, limit: int = REMINDERS_AT_ONCE) -> int:
    """Have those reminded whose appointment is within a day; how many there were."""

    def due(limit: int) -> list[str]:
        with bench.db.read_only() as session:
            return appointment_mails.to_remind(session, bench.db.clock(), limit=limit)

    def remind(subject: str) -> bool:
        with bench.db.unit_of_work(REMINDERS) as ctx:
            return appointment_mails.remind(ctx, subject=subject)

    return until_none_is_due("send_reminders", due, remind, limit=limit)


def send_switch_mail(bench: Bench, change_id: int) -> None:
    """Tell the one who is to know before a switch goes off; once, however often it is tried."""
    with bench.db.unit_of_work(SWITCHES) as ctx:
        mail = flag_mails.prepare(ctx, change_id=change_id, base_url=bench.settings.base_url)
    if mail is not None:
        sent_email_id = mail.sent_email_id
        _hand_over(
            bench,
            SWITCHES,
            mail,
            lambda ctx, kept: flag_mails.mark_sent(ctx, sent_email_id=sent_email_id, change_id=change_id, kept=kept),
        )


def settle(bench: Bench) -> None:
    """Bring to an end what a process left when it died, each kind on its own."""
    services = (mail_states.note_lost, mail_states.end_claimed, mail_states.queue_waiting)
    each_service(bench, "settle_mails", *services, limit=SETTLED_AT_ONCE)


@deadline.short_task
def _hand_over(bench: Bench, actor: Job, mail: OutgoingMail, mark_sent: Callable[[Ctx, bool], None]) -> None:
    server, number = bench.providers.mail, mail.sent_email_id
    try:
        server.send(mail.to, mail.subject, mail.text, mail.html, mail.calendar, message_id=mail.message_id)
    except OutcomeUnknown as error:
        # Not tried again: it may be there already.
        with bench.db.unit_of_work(actor) as ctx:
            outbox.mark_unknown(ctx, sent_email_id=number, error_code=error.code)
        return
    except ProviderUnavailable as error:
        with bench.db.unit_of_work(actor) as ctx:
            outbox.mark_failed(ctx, sent_email_id=number, error_code=error.code)
        raise
    with bench.db.unit_of_work(actor) as ctx:
        mark_sent(ctx, not server.delivers)
