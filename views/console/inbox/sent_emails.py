"""The mails that went out, or were kept because no mail server is configured."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from flask import Response, make_response
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from admin_app.errors import NotFound
from admin_app.policies.permissions import Permission
from admin_app.services.attention import mail_states
from models import MailState, SentEmail
from views.backdesk import backdesk
from views.console.framework.base import KEY, ConsoleModelView, ConsoleView, command, page
from views.console.framework.columns import Column, named_records, record_address
from views.console.framework.filters import Choice, Days, Exactly
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.plan_pages import CommandPage, confirmed
from views.console.framework.records import Group, RecordSpec
from views.console.framework.searching import Search
from views.console.inbox.failures import SETTLED, failure_commands
from views.reading import known, read_session

STATES = tuple(state.value for state in MailState)
STATE = Column("State", SentEmail.state, "badge")
ABOUT = Column(
    "About",
    named_records(
        pending_profile=SentEmail.pending_profile_id, booking=SentEmail.booking_id, meeting=SentEmail.meeting_id
    ),
    "records",
)
# A mail is a page of its own: its styles are inline, its scripts and anything from elsewhere stay off.
MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox"


def _is_open(values: Mapping[str, Any]) -> bool:
    return values["state"] in mail_states.OPEN


def _attention(values: Mapping[str, Any]) -> str | None:
    """What happened to a mail that needs attention, and what is to be done."""
    state = values["state"]
    return f"{mail_states.WHAT_HAPPENED[state]} {mail_states.WHAT_TO_DO[state]}" if _is_open(values) else None


class SentEmailsView(ConsoleModelView):
    in_menu = Menu("Traffic", "Mails", "mail", 450)
    permissions = MappingProxyType(
        dict.fromkeys(("index_view", "details_view", "html_view", "calendar_view"), Permission.MAILS_READ),
    )
    record_template = "console/inbox/sent_email.html"
    listing = ListSpec(
        section="sent-emails",
        title="Mails",
        one="mail",
        model=SentEmail,
        columns=(
            Column("Number", SentEmail.id, link=("sent-emails", SentEmail.id)),
            Column("To", SentEmail.to_email),
            Column("Subject", SentEmail.subject),
            STATE,
            ABOUT,
            Column("Written", SentEmail.created_at, "time", sort="written"),
            Column("Sent", SentEmail.sent_at, "time"),
        ),
        sorts={"written": Sort("Written", SentEmail.created_at, descending=True)},
        filters=(
            Choice("state", "State", SentEmail.state, STATES),
            Days("written", "Written", SentEmail.created_at),
            Exactly("purchase", "Purchase", SentEmail.pending_profile_id),
            Exactly("booking", "Booking", SentEmail.booking_id),
            Exactly("meeting", "Meeting", SentEmail.meeting_id),
        ),
        search=Search(hint="Number", key=SentEmail.id),
        empty="No mail was written yet.",
    )
    record = RecordSpec(
        title=SentEmail.subject,
        badge=STATE,
        groups=(
            Group(
                "Mail",
                (
                    Column("To", SentEmail.to_email),
                    Column("Subject", SentEmail.subject),
                    Column("Kind", SentEmail.template),
                    ABOUT,
                ),
            ),
            Group(
                "Delivery",
                (
                    STATE,
                    Column("Written", SentEmail.created_at, "time"),
                    Column("Sent", SentEmail.sent_at, "time"),
                    Column("Handed over", SentEmail.handed_over_at, "time"),
                    Column("Error", SentEmail.last_error, "badge"),
                ),
            ),
        ),
        commands=failure_commands("sent-emails", again="Send again", word="again", when=_is_open),
        audited_as="sent_email",
        attention=_attention,
    )

    def more(self, record_id: str) -> dict[str, Any]:
        wanted = select(SentEmail.text_body, SentEmail.calendar_body.is_not(None))
        text_body, has_calendar = read_session().execute(wanted.where(SentEmail.id == self._key(record_id))).one()
        address = f"/admin/sent-emails/{record_id}"
        return {
            "text_body": text_body,
            "html_address": f"{address}/html",
            "calendar_address": f"{address}/calendar.ics" if has_calendar else None,
        }

    def _key(self, record_id: str) -> Any:
        return self.listing.parse_key(record_id)

    @page("/<record_id>/html")
    def html_view(self, record_id: str) -> ResponseReturnValue:
        key = self.listing.parse_key(record_id)
        body = read_session().scalar(select(SentEmail.html_body).where(SentEmail.id == key)) if key else None
        if body is None:
            raise NotFound
        response: Response = make_response(body)
        response.headers["Content-Security-Policy"] = MAIL_POLICY
        response.headers["X-Frame-Options"] = "SAMEORIGIN"
        return response

    @page("/<record_id>/calendar.ics")
    def calendar_view(self, record_id: str) -> ResponseReturnValue:
        key = self._key(record_id)
        body = read_session().scalar(select(SentEmail.calendar_body).where(SentEmail.id == key)) if key else None
        if body is None:
            raise NotFound("No calendar file went with this mail.")
        response: Response = make_response(body)
        response.headers["Content-Type"] = "text/calendar; charset=utf-8"
        response.headers["Content-Disposition"] = f'attachment; filename="appointment-{key}.ics"'
        return response


class SentEmailCommandsView(ConsoleView):
    """What is done about a mail that failed, or that may have gone out."""

    permissions = MappingProxyType(dict.fromkeys(("again", "settle"), Permission.FAILURES_SETTLE))

    def __init__(self) -> None:
        super().__init__(name="Mail commands", endpoint="sent-email-commands", url="/admin/sent-emails")

    @command(f"/{KEY}/again")
    def again(self, key: int) -> ResponseReturnValue:
        return self._page(
            key,
            plan=lambda ctx: mail_states.plan_resend(ctx, sent_email_id=key, base_url=backdesk().settings.base_url),
            act=lambda ctx: mail_states.resend(ctx, sent_email_id=key, **confirmed()),
            said="The mail is being sent again. Reload this page in a moment to see whether it was accepted.",
            button="Send again",
            title="Send again",
        )

    @command(f"/{KEY}/settle")
    def settle(self, key: int) -> ResponseReturnValue:
        return self._page(
            key,
            plan=lambda ctx: mail_states.plan_settle(ctx, sent_email_id=key),
            act=lambda ctx: mail_states.settle(ctx, sent_email_id=key, **confirmed()),
            said="The mail is settled and needs no attention any more.",
            button=SETTLED,
            title=SETTLED,
        )

    def _page(self, key: int, **parts: Any) -> ResponseReturnValue:
        mail = known(SentEmail, key, "There is no such mail.")
        address = record_address("sent-emails", key)
        return CommandPage(view=self, subtitle=mail.subject, cancel=address, **parts).respond()
