"""The commands on a meeting's guest: linked to somebody whom WorkOS knows, or registered once more."""

from types import MappingProxyType
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from admin_app.context import Ctx
from admin_app.errors import InvalidInput
from admin_app.policies.permissions import Permission
from admin_app.services.guests import guest_resolution
from admin_app.services.guests.guest_resolution import NoSuchMeeting, Person
from models import Meeting
from views.backdesk import backdesk
from views.console.framework.base import ConsoleView, command
from views.console.framework.columns import record_address
from views.console.framework.plan_pages import CommandPage, confirmed
from views.reading import close_read_session, read_session

# Larger numbers would not fit the column, and the database would refuse the query.
MEETING = "/<int(max=9223372036854775807):meeting_id>"


class MeetingGuestView(ConsoleView):
    """Link the guest, register the guest."""

    permissions = MappingProxyType(dict.fromkeys(("link", "register"), Permission.GUESTS_RESOLVE))

    def __init__(self) -> None:
        super().__init__(name="Meeting's guest", endpoint="meeting-guest", url="/admin/meetings")

    @command(f"{MEETING}/link-guest")
    def link(self, meeting_id: int) -> ResponseReturnValue:
        page = self._page(meeting_id)
        typed = request.values.get("email", "")
        found = _looked_up(typed)

        def act(ctx: Ctx) -> str:
            person = _person(found or guest_resolution.nobody_named())
            guest_resolution.link(ctx, meeting_id=meeting_id, person=person, **confirmed())
            return f"The meeting is {person.email}'s now."

        return CommandPage(
            plan=lambda ctx: (
                guest_resolution.plan_link(ctx, meeting_id=meeting_id, person=_person(found)) if found else None
            ),
            act=act,
            button="Link the guest",
            title="Link the guest",
            template="console/framework/email_then_plan.html",
            more={"email": typed, "label": "The guest's e-mail at WorkOS"},
            **page,
        ).respond()

    @command(f"{MEETING}/register-guest")
    def register(self, meeting_id: int) -> ResponseReturnValue:
        return CommandPage(
            plan=lambda ctx: guest_resolution.plan_retry(ctx, meeting_id=meeting_id),
            act=lambda ctx: guest_resolution.retry_registration(ctx, meeting_id=meeting_id, **confirmed()),
            said="The guest is being registered. Look again in a moment.",
            button="Register the guest",
            title="Register the guest",
            **self._page(meeting_id),
        ).respond()

    def _page(self, meeting_id: int) -> dict[str, Any]:
        meeting = read_session().get(Meeting, meeting_id)
        if meeting is None:
            raise NoSuchMeeting
        address = record_address("meetings", meeting_id)
        who = meeting.guest_email or "a guest without an address"
        return {"view": self, "done": address, "cancel": address, "subtitle": f"Meeting {meeting_id} of {who}"}


def _looked_up(email: str) -> Person | InvalidInput | None:
    """Whom WorkOS has under the typed address, asked while no transaction is open; a refusal is for the form."""
    if not email:
        return None
    close_read_session()
    try:
        return guest_resolution.look_up(backdesk().providers.workos, email=email)
    except InvalidInput as refused:
        return refused


def _person(found: Person | InvalidInput) -> Person:
    if isinstance(found, InvalidInput):
        raise found
    return found
