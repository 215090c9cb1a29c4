"""Sends the claim mail: the mail is kept first, then handed over, then marked."""

from admin_app.context import Job
from admin_app.errors import ProviderUnavailable
from admin_app.jobs.bench import Bench
from admin_app.services import claim_mails

ACTOR = Job("send_claim_mail")


def send_claim_mail(bench: Bench, pending_profile_id: int) -> None:
    """Every try makes a new link and a new mail; the link before it stops working."""
    with bench.db.unit_of_work(ACTOR) as ctx:
        mail = claim_mails.prepare(ctx, pending_profile_id=pending_profile_id, base_url=bench.settings.base_url)
    if mail is None:
        return
    server = bench.providers.mail
    try:
        server.send(mail.to, mail.subject, mail.text, mail.html)
    except ProviderUnavailable as error:
        with bench.db.unit_of_work(ACTOR) as ctx:
            claim_mails.mark_failed(ctx, sent_email_id=mail.sent_email_id, error_code=error.code)
        raise
    with bench.db.unit_of_work(ACTOR) as ctx:
        claim_mails.mark_sent(ctx, sent_email_id=mail.sent_email_id, kept=not server.delivers)
