"""The machine-readable description of the public doors, built from the shapes that they use."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from flask import Blueprint
from flask.typing import ResponseReturnValue
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from views.public import openapi_clients, openapi_guests
from views.public.openapi_parts import answer, body, number_in_path, problems
from views.public.shapes import (
    AvailabilityAnswer,
    BookingAnswer,
    BookingMade,
    BookingRequest,
    ClaimAnswer,
    ClaimRequest,
    Health,
    PractitionersAnswer,
    Problem,
    Received,
)

doors = Blueprint("openapi", __name__)

_SHAPES: Sequence[type[BaseModel]] = (
    AvailabilityAnswer,
    BookingAnswer,
    BookingMade,
    BookingRequest,
    ClaimAnswer,
    ClaimRequest,
    Health,
    PractitionersAnswer,
    Problem,
    Received,
    *openapi_guests.REQUESTS,
    *openapi_guests.ANSWERS,
    *openapi_clients.REQUESTS,
    *openapi_clients.ANSWERS,
)
_REQUESTS = frozenset({BookingRequest, ClaimRequest, *openapi_guests.REQUESTS, *openapi_clients.REQUESTS})
_CUSTOMER: list[dict[str, list[str]]] = [{"customer": []}]


@doors.get("/api/openapi.json")
def document() -> ResponseReturnValue:
    return build()


@cache
def build() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    _, schemas = models_json_schema(
        [(shape, "validation" if shape in _REQUESTS else "serialization") for shape in _SHAPES],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Backdesk",
            "version": "1.0.0",
            "description": "What providers, customers and the business's own clients call. "
            "Every refusal is an RFC 9457 problem document with a stable `code`.",
        },
        "paths": _paths(),
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "customer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The session token of the sign-in provider.",
                },
                **openapi_guests.SECURITY,
                **openapi_clients.SECURITY,
            },
        },
    }


def _paths() -> dict[str, Any]:
    return {
        "/api/webhooks/{provider}": {"post": _webhook()},
        "/api/profiles/sign-in": {
            "post": {
                "operationId": "signIn",
                "summary": "When a person signs in: claim a waiting purchase, else make sure of a profile",
                "security": _CUSTOMER,
                "responses": {"200": answer("What happened, and the profile", ClaimAnswer)} | problems(401, 404, 503),
            }
        },
        "/api/pending-profiles/claim": {
            "post": {
                "operationId": "claim",
                "summary": "Claim the purchase under an e-mail, verified or proved by the claim mail's token",
                "security": _CUSTOMER,
                "requestBody": body(ClaimRequest),
                "responses": {"200": answer("What happened, and the profile", ClaimAnswer)}
                | problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
            }
        },
        "/api/practitioners": {
            "get": {
                "operationId": "listPractitioners",
                "summary": "Who can be booked, and for what",
                "responses": {"200": answer("The active practitioners", PractitionersAnswer)} | problems(503),
            }
        },
        "/api/practitioners/{practitioner_id}/availability": {"get": _availability()},
        "/api/bookings": {
            "post": {
                "operationId": "book",
                "summary": "Hold a free time and get the page on which it is paid",
                "requestBody": body(BookingRequest),
                "responses": {"201": answer("The booking, held or confirmed", BookingMade)}
                | problems(400, 404, 409, 413, 415, 422, 429, 502, 503),
            }
        },
        "/api/bookings/{booking_id}": {"get": _booking()},
        **openapi_guests.paths(),
        **openapi_clients.paths(),
        "/health": {
            "get": {
                "operationId": "health",
                "summary": "Whether the database answers and has the newest schema",
                "responses": {
                    "200": answer("All is well", Health),
                    "503": answer("Which part is not", Health),
                },
            }
        },
        "/api/openapi.json": {
            "get": {
                "operationId": "openapi",
                "summary": "This document",
                "responses": {
                    "200": {
                        "description": "OpenAPI 3.1",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    }
                },
            }
        },
    }


def _availability() -> dict[str, Any]:
    moment = "A day, in the time zone asked for, or an ISO 8601 time"
    return {
        "operationId": "listFreeSlots",
        "summary": "When a practitioner can be booked",
        "parameters": [
            number_in_path("practitioner_id"),
            _query("from", f"{moment}; now, when left out"),
            _query("to", f"{moment}, at most 31 days later; a day counts as a whole. A week later, when left out"),
            _query("timezone", "An IANA name, for the days asked for and the times answered; else the practitioner's"),
            _query("session_type_id", "Its length is that of the slots; else the shortest that is offered"),
        ],
        "responses": {"200": answer("The free slots in order", AvailabilityAnswer)} | problems(404, 422, 503),
    }


def _booking() -> dict[str, Any]:
    return {
        "operationId": "showBooking",
        "summary": "The state of a booking, for the one who returns from the checkout",
        "parameters": [
            number_in_path("booking_id"),
            _query("session_id", "The checkout session, as Stripe puts it into the address that it leads back to"),
        ],
        "responses": {"200": answer("The booking", BookingAnswer)} | problems(404, 503),
    }


def _query(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": {"type": "string"}}


def _webhook() -> dict[str, Any]:
    return {
        "operationId": "receiveWebhook",
        "summary": "Take a provider's delivery, proved by its signature over the raw body",
        "parameters": [
            {
                "name": "provider",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "enum": ["whop", "clerk", "stripe", "calendly", "calcom"]},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        "responses": {"200": answer("Stored; a duplicate does nothing", Received)} | problems(400, 404, 413, 503),
    }
