"""Meetings and their guests: booking, sign-in by a code from the mail, and the guest's own."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from flask import Blueprint, request

from admin_app.context import Ctx, Guest
from admin_app.errors import NotFound
from admin_app.integrations.guest_ports import WorkosPort
from admin_app.services.checkout import meetings
from admin_app.services.guests import guest_sign_in
from views.backdesk import backdesk, request_id
from views.public.customers import bearer_token
from views.public.endpoints import GUEST, Endpoint, endpoint
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


def workos() -> WorkosPort:
    """The provider of guests' sign-in; without one these endpoints are closed (GuestSignInNotConfigured, 404)."""
    provider: WorkosPort | None = backdesk().providers.workos
    if provider is None:
        raise GuestSignInNotConfigured
    return provider


def user_id_of_token() -> str:
    """Whom the guest's access token speaks for, proved before any transaction; NotSignedIn (401) for none."""
    return workos().verify_access_token(bearer_token(request.headers.get("Authorization", "")))


@endpoint(
    doors,
    Endpoint(
        "POST",
        "/api/meetings",
        id="bookMeeting",
        summary="Register the guest in WorkOS, or find them, and book a meeting, free or paid",
        body=MeetingRequest,
        answers={201: ("The meeting; the same one when asked again", MeetingMade)},
        refuses=(400, 404, 409, 413, 415, 422, 429, 502, 503),
    ),
)
def book(wanted: MeetingRequest) -> MeetingMade:
    house = backdesk()
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
    return MeetingMade(meeting=MeetingShape.of(made.meeting), checkout_url=made.checkout_url)


@endpoint(
    doors,
    Endpoint(
        "POST",
        "/api/guests/magic-code",
        id="askForCode",
        summary="Have a sign-in code mailed to a guest; the answer is the same for every address",
        body=CodeRequest,
        answers={202: ("Accepted", CodeAsked)},
        refuses=(400, 404, 413, 415, 422, 429, 503),
    ),
    caller=workos,
)
def magic_code(_workos: WorkosPort, wanted: CodeRequest) -> CodeAsked:
    with _work()() as ctx:
        guest_sign_in.ask_for_code(ctx, email=wanted.email, ip=request.remote_addr)
    return CodeAsked(status="accepted")


@endpoint(
    doors,
    Endpoint(
        "POST",
        "/api/guests/session",
        id="signInGuest",
        summary="Exchange the code of the mail for an access token",
        body=SessionRequest,
        answers={200: ("The session", GuestSessionMade)},
        refuses=(400, 401, 403, 404, 413, 415, 422, 429, 502, 503),
    ),
    caller=workos,
)
def session(provider: WorkosPort, wanted: SessionRequest) -> GuestSessionMade:
    signed_in = guest_sign_in.sign_in(
        _work(), provider, email=wanted.email, code=wanted.code.strip(), ip=request.remote_addr
    )
    return GuestSessionMade.of(signed_in)


@endpoint(
    doors,
    Endpoint(
        "GET",
        "/api/guests/me",
        id="showGuest",
        summary="Who the guest is",
        security=GUEST,
        answers={200: ("The guest", GuestAnswer)},
        refuses=(401, 404, 503),
    ),
    caller=user_id_of_token,
)
def me(user_id: str) -> GuestAnswer:
    with backdesk().db.guest_reads(user_id) as reads:
        guest = guest_sign_in.own(reads, workos_user_id=user_id)
        return GuestAnswer(guest=GuestShape.of(guest))


@endpoint(
    doors,
    Endpoint(
        "GET",
        "/api/guests/me/meetings",
        id="listOwnMeetings",
        summary="The guest's own meetings",
        security=GUEST,
        answers={200: ("The meetings", OwnMeetings)},
        refuses=(401, 404, 503),
    ),
    caller=user_id_of_token,
)
def my_meetings(user_id: str) -> OwnMeetings:
    with backdesk().db.guest_reads(user_id) as reads:
        rows = guest_sign_in.own_meetings(reads, workos_user_id=user_id)
        return OwnMeetings(meetings=[OwnMeeting.of(row) for row in rows])


def _work() -> Callable[[], AbstractContextManager[Ctx]]:
    house, reference = backdesk(), request_id()
    return lambda: house.db.unit_of_work(Guest(), request_id=reference)
