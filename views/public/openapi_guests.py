"""Meetings and guests in the description of the public doors."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from views.public.guest_shapes import (
    CodeAsked,
    CodeRequest,
    GuestAnswer,
    GuestSessionMade,
    MeetingMade,
    MeetingRequest,
    OwnMeetings,
    SessionRequest,
)
from views.public.openapi_parts import answer, body, problems

REQUESTS: Sequence[type[BaseModel]] = (CodeRequest, MeetingRequest, SessionRequest)
ANSWERS: Sequence[type[BaseModel]] = (CodeAsked, GuestAnswer, GuestSessionMade, MeetingMade, OwnMeetings)
SECURITY: dict[str, Any] = {
    "guest": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The access token of a guest's session.",
    }
}
_GUEST: list[dict[str, list[str]]] = [{"guest": []}]


def paths() -> dict[str, Any]:
    return {
        "/api/meetings": {
            "post": {
                "operationId": "bookMeeting",
                "summary": "Register the guest in WorkOS, or find them, and book a meeting, free or paid",
                "requestBody": body(MeetingRequest),
                "responses": {"201": answer("The meeting; the same one when asked again", MeetingMade)}
                | problems(400, 404, 409, 413, 415, 422, 429, 502, 503),
            }
        },
        "/api/guests/magic-code": {
            "post": {
                "operationId": "askForCode",
                "summary": "Have a sign-in code mailed to a guest; the answer is the same for every address",
                "requestBody": body(CodeRequest),
                "responses": {"202": answer("Accepted", CodeAsked)} | problems(400, 404, 413, 415, 422, 429, 503),
            }
        },
        "/api/guests/session": {
            "post": {
                "operationId": "signInGuest",
                "summary": "Exchange the code of the mail for an access token",
                "requestBody": body(SessionRequest),
                "responses": {"200": answer("The session", GuestSessionMade)}
                | problems(400, 401, 403, 404, 413, 415, 422, 429, 502, 503),
            }
        },
        "/api/guests/me": {
            "get": {
                "operationId": "showGuest",
                "summary": "Who the guest is",
                "security": _GUEST,
                "responses": {"200": answer("The guest", GuestAnswer)} | problems(401, 404, 503),
            }
        },
        "/api/guests/me/meetings": {
            "get": {
                "operationId": "listOwnMeetings",
                "summary": "The guest's own meetings",
                "security": _GUEST,
                "responses": {"200": answer("The meetings", OwnMeetings)} | problems(401, 404, 503),
            }
        },
    }
