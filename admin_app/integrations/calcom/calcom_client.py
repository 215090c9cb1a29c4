"""Cal.com: the signature of its deliveries, their meaning, and the client of its API."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from admin_app.config import Settings
from admin_app.errors import BadSignature, MalformedEvent
from admin_app.integrations.calcom import calcom_api
from admin_app.integrations.calcom.calcom_api import CalcomApi
from admin_app.integrations.calendar_ports import CalcomEvent, CalcomPort, CalendarEventKind
from admin_app.integrations.http import deliveries, fields
from admin_app.integrations.http.guard import WEB, Guard, Limits
from admin_app.integrations.http.provider_http import ProviderHttp

# What stands in the header when the webhook was set up without a secret: nobody vouches for such a delivery.
UNSIGNED = "no-secret-provided"
_KINDS: Mapping[str, CalendarEventKind] = {
    "BOOKING_REQUESTED": "requested",
    "BOOKING_CREATED": "created",
    "BOOKING_CANCELLED": "canceled",
    "BOOKING_RESCHEDULED": "rescheduled",
    "BOOKING_REJECTED": "rejected",
    "BOOKING_NO_SHOW_UPDATED": "no_show",
}


def client(settings: Settings, limits: Limits = WEB) -> CalcomPort:
    """Cal.com as configured."""
    guard = Guard(calcom_api.PROVIDER, limits)
    http = ProviderHttp(guard, settings.calcom_api_url, settings.calcom_api_key, reason_of=calcom_api.reason_of)
    return CalcomApi(http)


def verify(raw: bytes, headers: Mapping[str, str], secret: str) -> None:
    """Accept a delivery that Cal.com signed; it names no time, so a repeat is told by its external id alone."""
    given = deliveries.lower(headers).get("x-cal-signature-256", "")
    if not secret or given == UNSIGNED:
        raise BadSignature
    deliveries.require_match(deliveries.hex_digest(secret, raw), [given])


def parse_event(raw: bytes, received_at: datetime) -> CalcomEvent:
    """Read a delivery; raise MalformedEvent for what is none."""
    body = deliveries.json_object(raw)
    trigger = fields.text(body.get("triggerEvent"))
    if trigger is None:
        raise MalformedEvent
    kind, payload = _KINDS.get(trigger, "ignored"), fields.mapping(body.get("payload"))
    uid = fields.text(payload.get("uid")) or fields.text(payload.get("bookingUid"))
    previous = fields.text(payload.get("rescheduleUid"))
    starts_at, ends_at = fields.moment(payload.get("startTime")), fields.moment(payload.get("endTime"))
    has_times = starts_at is not None and ends_at is not None and starts_at < ends_at
    if kind != "ignored" and not (uid and (has_times or kind == "no_show")):
        raise MalformedEvent
    external_id, organizer = _external_id(trigger, uid, body), fields.mapping(payload.get("organizer"))
    coming, our_id = calcom_api.attendees(payload), calcom_api.our_id(payload)
    first, seats = coming[0] if coming else None, fields.number(payload.get("seatsPerTimeSlot"))
    return CalcomEvent(
        external_id=external_id,
        type=trigger,
        kind=kind,
        occurred_at=fields.moment(body.get("createdAt")) or received_at,
        uid=uid,
        previous_uid=previous if previous != uid else None,
        event_type_id=fields.identity(payload.get("eventTypeId")),
        organizer_id=fields.identity(organizer.get("id")),
        organizer_email=fields.email(organizer.get("email")),
        starts_at=starts_at,
        ends_at=ends_at,
        attendee_email=first.email if first else None,
        attendee_name=first.name if first else None,
        attendee_time_zone=first.time_zone if first else None,
        canceled_by=fields.email(payload.get("cancelledBy")),
        our_id=our_id,
        attendees=coming,
        seats=int(seats) if seats else None,
    )


def _external_id(trigger: str, uid: str | None, body: Mapping[str, Any]) -> str:
    """Deliveries have no id: what happened to which booking when tells a repeat."""
    told = json.dumps([trigger, uid, str(body.get("createdAt"))])
    return f"calcom_{hashlib.sha256(told.encode()).hexdigest()}"
