"""Meetings and their guests: booking, sign-in by a code from the mail, and the guest's own."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from admin_app.context import Ctx, Guest
from admin_app.errors import NotFound
from admin_app.integrations.guest_ports import WorkosPort
from admin_app.services.checkout import meetings
from admin_app.services.guests import guest_sign_in
from views.backdesk import backdesk, request_id
from views.public import bodies
from views.public.customers import bearer_token
from views.public.guest_shapes import (
    CodeAsked,
    CodeRequest,
    GuestAnswer,
    GuestSessionMade,
    GuestShape,
    MeetingMade,
    MeetingRequest,
    MeetingShape,
    OwnMeeting,
    OwnMeetings,
    SessionRequest,
)

doors = Blueprint("guest", __name__)


class GuestSignInNotConfigured(NotFound):
    code = "guest_sign_in_not_configured"
    sentence = "Guests cannot sign in here: WorkOS is not configured."


@doors.post("/api/meetings")
def book() -> ResponseReturnValue:
    house = backdesk()
    wanted = bodies.read(MeetingRequest)
    made = meetings.book(
        _work(),
        house.db.read_only,
        house.providers,
        meetings.MeetingRequest(
            practitioner_id=wanted.practitioner_id,
            session_type_id=wanted.session_type_id,
            starts_at=wanted.starts_at,
            guest_name=wanted.guest_name,
            guest_email=wanted.guest_email,
            time_zone=wanted.timezone,
        ),
        ip=request.remote_addr,
        return_url=house.settings.payer_return_url,
    )
    answer = MeetingMade(meeting=MeetingShape.of(made.meeting), checkout_url=made.checkout_url)
    return answer.model_dump(mode="json"), 201


@doors.post("/api/guests/magic-code")
def magic_code() -> ResponseReturnValue:
    _workos()
    wanted = bodies.read(CodeRequest)
    with _work()() as ctx:
        guest_sign_in.ask_for_code(ctx, email=wanted.email, ip=request.remote_addr)
    return CodeAsked(status="accepted").model_dump(mode="json"), 202


@doors.post("/api/guests/session")
def session() -> ResponseReturnValue:
    workos = _workos()
    wanted = bodies.read(SessionRequest)
    signed_in = guest_sign_in.sign_in(
        _work(), workos, email=wanted.email, code=wanted.code.strip(), ip=request.remote_addr
    )
    return GuestSessionMade.of(signed_in).model_dump(mode="json"), 200


@doors.get("/api/guests/me")
def me() -> ResponseReturnValue:
    user_id = _user_id()
    with backdesk().db.guest_reads(user_id) as reads:
        guest = guest_sign_in.own(reads, workos_user_id=user_id)
        return GuestAnswer(guest=GuestShape.of(guest)).model_dump(mode="json"), 200


@doors.get("/api/guests/me/meetings")
def my_meetings() -> ResponseReturnValue:
    user_id = _user_id()
    with backdesk().db.guest_reads(user_id) as reads:
        rows = guest_sign_in.own_meetings(reads, workos_user_id=user_id)
        return OwnMeetings(meetings=[OwnMeeting.of(row) for row in rows]).model_dump(mode="json"), 200


def _workos() -> WorkosPort:
    """The guests' doors are closed where WorkOS is not configured."""
    workos: WorkosPort | None = backdesk().providers.workos
    if workos is None:
        raise GuestSignInNotConfigured
    return workos


def _user_id() -> str:
    """Whom the token speaks for, proved before any transaction."""
    return _workos().verify_access_token(bearer_token(request.headers.get("Authorization", "")))


def _work() -> Callable[[], AbstractContextManager[Ctx]]:
    house, reference = backdesk(), request_id()
    return lambda: house.db.unit_of_work(Guest(), request_id=reference)
