"""The mail with the link to claim a purchase.

The token in the link exists in plain text only in the mail that is handed over: the purchase keeps its hash, and the
copy of the mail that staff can read has the link blotted out.
"""

import secrets
from datetime import timedelta

from sqlalchemy import select

from admin_app.context import Ctx
from admin_app.errors import NotFound
from admin_app.integrations import job_queue
from admin_app.policies.permissions import Permission, require
from admin_app.services.core import audit
from admin_app.services.core.plans import Plan, PlannedMail, fingerprint, require_reason, require_same
from admin_app.services.core.records import pending_key
from admin_app.services.inbox import outbox
from admin_app.services.inbox.outbox import OutgoingMail
from admin_app.services.purchases import claim_links
from admin_app.services.purchases.pending_profiles import unclaimed
from models.inbox import MailState, SentEmail
from models.purchases import PendingProfile

VALID_FOR = timedelta(days=14)
BLOTTED = "[link in the mail only]"
SUBJECT = "Claim your membership"
TEMPLATE = "claim"


def plan_resend(ctx: Ctx, *, pending_profile_id: int) -> Plan:
    """Who would get the mail, and what happens to a link that was sent before."""
    require(ctx, Permission.PURCHASES_READ)
    pending = ctx.session.get(PendingProfile, pending_profile_id)
    if pending is None:
        raise NotFound("This purchase is not here any more. It may have been deleted.")
    said = [f"A mail goes to {pending.email}. Its link works once and for {VALID_FOR.days} days."]
    if pending.token is not None:
        said.append("The link that was sent before stops working.")
    return Plan(
        title="Send the claim mail",
        outcome="sent",
        lines=(),
        consequences=(*said, "Nothing changes on any account until the link is used.", "No money moves."),
        fingerprint=fingerprint(pending),
        refusal="This purchase is claimed. There is nothing left to claim." if pending.claimed else None,
        mails=(PlannedMail(pending.email, SUBJECT, _render(pending, BLOTTED)[0]),),
    )


def planned(ctx: Ctx, *, pending_profile_id: int) -> tuple[PlannedMail, ...]:
    """The mail as it will be kept, its link blotted out; none where there is nothing to claim."""
    pending = ctx.session.get(PendingProfile, pending_profile_id)
    if pending is None or pending.claimed:
        return ()
    return (PlannedMail(pending.email, SUBJECT, _render(pending, BLOTTED)[0]),)


def resend(ctx: Ctx, *, pending_profile_id: int, reason: str, shown: str | None = None) -> None:
    """Have a claim mail with a fresh link sent; the link of an earlier mail stops working.

    `shown` is the fingerprint of the plan that somebody saw, if one was shown: the mail goes where that said.
    """
    require(ctx, Permission.PURCHASES_MAIL)
    reason = require_reason(reason)
    pending = unclaimed(ctx, pending_profile_id)
    if shown is not None:
        require_same(shown, fingerprint(pending))
    audit.record(
        ctx,
        "purchase.mail_requested",
        records=[pending_key(pending)],
        reason=reason,
        facts={"email": pending.email},
    )
    _write(ctx, pending)
    job_queue.defer(ctx.session, "send_claim_mail", pending_profile_id=pending.id)


def prepare(ctx: Ctx, *, pending_profile_id: int, base_url: str) -> OutgoingMail | None:
    """Make a fresh link and the mail around it, noted as being handed over.

    None when the purchase is claimed or gone meanwhile, and when its last mail went out or may have: another one is
    only sent when somebody asks for it.
    """
    pending = ctx.session.get(PendingProfile, pending_profile_id, with_for_update=True)
    if pending is None or pending.claimed:
        outbox.supersede(ctx, "claimed", SentEmail.pending_profile_id == pending_profile_id)
        return None
    newest = select(SentEmail).where(SentEmail.pending_profile_id == pending.id).order_by(SentEmail.id.desc()).limit(1)
    mail = ctx.session.scalar(newest.with_for_update().execution_options(populate_existing=True))
    if mail is None:
        mail = _write(ctx, pending)
    elif not outbox.may_leave(ctx, mail):
        return None
    outbox.supersede(ctx, "overtaken", SentEmail.pending_profile_id == pending.id, SentEmail.id != mail.id)
    token = secrets.token_urlsafe(32)
    claim_links.replace(ctx.session, pending, token, now=ctx.now, expires_at=ctx.now + VALID_FOR)
    mail.to_email = pending.email
    mail.text_body, mail.html_body = _render(pending, BLOTTED)
    # Each try has a link of its own, so it is another mail to whoever gets both.
    message_id = outbox.hand_over(ctx, mail).replace("@", f"-{int(ctx.now.timestamp())}@")
    text, html = _render(pending, f"{base_url}/claim?token={token}")
    return OutgoingMail(mail.id, pending.email, SUBJECT, text, html, message_id)


def _write(ctx: Ctx, pending: PendingProfile) -> SentEmail:
    """A mail that waits to be handed over, without the link: that is made when it leaves."""
    text, html = _render(pending, BLOTTED)
    mail = SentEmail(
        template=TEMPLATE,
        to_email=pending.email,
        subject=SUBJECT,
        text_body=text,
        html_body=html,
        pending_profile_id=pending.id,
        state=MailState.QUEUED,
        created_at=ctx.now,
    )
    ctx.session.add(mail)
    ctx.session.flush()
    return mail


def _render(pending: PendingProfile, link: str) -> tuple[str, str]:
    facts = {
        "link": link,
        "days": VALID_FOR.days,
        "plan": pending.plan_duration.value if pending.plan_duration else None,
        "credits": pending.usage_credits,
    }
    return outbox.render(TEMPLATE, facts)


def mark_sent(ctx: Ctx, *, sent_email_id: int, kept: bool) -> None:
    """The mail was handed over, or only kept because no mail server is configured."""
    mail = outbox.mark_sent(ctx, sent_email_id=sent_email_id, kept=kept)
    if mail.pending_profile_id is not None:
        audit.record(
            ctx,
            "purchase.mail_sent",
            records=[pending_key(mail.pending_profile_id)],
            facts={"email": mail.to_email},
        )
