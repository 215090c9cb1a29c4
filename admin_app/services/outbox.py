"""What every mail goes through: written from its templates, kept before it is handed over, marked afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from admin_app.context import Ctx
from admin_app.errors import NotFound
from models.inbox import SentEmail

_templates = Environment(
    loader=PackageLoader("views", "templates/email"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class OutgoingMail:
    """A mail ready to be handed over; its bodies may hold what must not be kept or logged."""

    sent_email_id: int
    to: str
    subject: str
    text: str
    html: str
    calendar: str | None = None


def render(template: str, facts: Mapping[str, Any]) -> tuple[str, str]:
    """The two bodies of a mail: plain text and HTML."""
    text, html = (_templates.get_template(f"{template}.{form}") for form in ("txt", "html"))
    return text.render(facts), html.render(facts)


def mark_sent(ctx: Ctx, *, sent_email_id: int, kept: bool) -> SentEmail:
    """The mail was handed over, or only kept because no mail server is configured."""
    mail = _mail(ctx, sent_email_id)
    mail.state, mail.sent_at, mail.last_error = ("kept" if kept else "sent"), ctx.now, None
    return mail


def mark_failed(ctx: Ctx, *, sent_email_id: int, error_code: str) -> None:
    """The mail server did not take it."""
    mail = _mail(ctx, sent_email_id)
    mail.state, mail.last_error = "failed", error_code


def _mail(ctx: Ctx, sent_email_id: int) -> SentEmail:
    mail = ctx.session.get(SentEmail, sent_email_id, with_for_update=True)
    if mail is None:
        raise NotFound("This mail is not here any more.")
    return mail
