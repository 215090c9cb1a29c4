"""What every mail goes through: written from its templates, kept, noted as being handed over, handed over, marked.

Nothing goes out twice by itself. A mail is `sending` before its server hears of it, in a transaction of its own: one
that is still `queued` has certainly not left, and one that stays `sending` may have, so its worker's death leaves it
`unknown`, for a person to look at.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from sqlalchemy import ColumnElement, select, update

from admin_app.context import Ctx
from admin_app.errors import Conflict, NotFound
from models.inbox import MailState, SentEmail

# Longer than any mail server may take with one mail: whoever handed it over is gone by then.
HANDED_OVER_WITHIN = timedelta(minutes=5)
# Certainly not handed over.
UNSENT = (MailState.QUEUED, MailState.FAILED)

_templates = Environment(
    loader=PackageLoader("views", "templates/email"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class MailUnderWay(Conflict):
    """Another job is handing over a mail about the same record."""

    code = "mail_under_way"
    sentence = "Another job is handing over a mail about this. It is tried again in a moment."


@dataclass(frozen=True)
class OutgoingMail:
    """A mail ready to be handed over; its bodies may hold what must not be kept or logged.

    `message_id` is the same for each hand-over of what reads the same, so that a mailbox may know it again.
    """

    sent_email_id: int
    to: str
    subject: str
    text: str
    html: str
    message_id: str
    calendar: str | None = None


def render(template: str, facts: Mapping[str, Any]) -> tuple[str, str]:
    """The two bodies of a mail: plain text and HTML."""
    text, html = (_templates.get_template(f"{template}.{form}") for form in ("txt", "html"))
    return text.render(facts), html.render(facts)


def may_leave(ctx: Ctx, mail: SentEmail) -> bool:
    """Whether this mail, as it was kept before, may be handed over now.

    Not when it went out, was superseded or settled, nor when it may have gone out: a hand-over that nobody finished is
    noted as `unknown`. Raises MailUnderWay while somebody may still be at it.
    """
    if mail.state == MailState.SENDING:
        if is_under_way(ctx, mail):
            raise MailUnderWay
        give_up(mail)
    return mail.state in UNSENT


def is_under_way(ctx: Ctx, mail: SentEmail) -> bool:
    """Whether a job may still be handing this mail over: it began a short while ago and has not said how it went."""
    began = mail.handed_over_at
    return mail.state == MailState.SENDING and began is not None and began > ctx.now - HANDED_OVER_WITHIN


def hand_over(ctx: Ctx, mail: SentEmail) -> str:
    """Note that the mail is handed over from now on, once this is committed; answers its Message-ID."""
    mail.state, mail.handed_over_at, mail.last_error = MailState.SENDING, ctx.now, None
    ctx.session.add(mail)
    ctx.session.flush()  # its id is needed to mark the outcome
    ctx.session.refresh(mail, ["created_at"])
    return f"<mail-{mail.id}-{int(mail.created_at.timestamp())}@backdesk.invalid>"


def give_up(mail: SentEmail) -> None:
    """It may have gone out: its worker died between handing it over and noting it."""
    mail.state, mail.last_error = MailState.UNKNOWN, "worker_died"


def supersede(ctx: Ctx, because: str, *which: ColumnElement[bool]) -> None:
    """Those of these mails that certainly have not left do not leave any more, because something newer holds."""
    ctx.session.execute(
        update(SentEmail)
        .where(SentEmail.state.in_(UNSENT), *which)
        .values(state=MailState.SUPERSEDED, last_error=because)
        .execution_options(synchronize_session="fetch")
    )


def mark_sent(ctx: Ctx, *, sent_email_id: int, kept: bool) -> SentEmail:
    """The mail was handed over, or only kept because no mail server is configured."""
    mail = locked(ctx, sent_email_id)
    mail.state, mail.sent_at, mail.last_error = (MailState.KEPT if kept else MailState.SENT), ctx.now, None
    return mail


def mark_failed(ctx: Ctx, *, sent_email_id: int, error_code: str) -> None:
    """The mail server certainly did not take it."""
    mail = locked(ctx, sent_email_id)
    mail.state, mail.last_error = MailState.FAILED, error_code


def mark_unknown(ctx: Ctx, *, sent_email_id: int, error_code: str) -> None:
    """The mail server had all of it and did not say whether it took it."""
    mail = locked(ctx, sent_email_id)
    mail.state, mail.last_error = MailState.UNKNOWN, error_code


def locked(ctx: Ctx, sent_email_id: int) -> SentEmail:
    """The mail as it is now; refused when there is none."""
    query = select(SentEmail).where(SentEmail.id == sent_email_id).with_for_update()
    mail = ctx.session.scalar(query.execution_options(populate_existing=True))
    if mail is None:
        raise NotFound("This mail is not here any more.")
    return mail
