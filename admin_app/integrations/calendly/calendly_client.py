"""Calendly: the signature of its deliveries, their meaning, and the client of its API."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime

from admin_app.config import Settings
from admin_app.errors import MalformedEvent
from admin_app.integrations.calendar_ports import CalendarEventKind, CalendlyEvent, CalendlyPort
from admin_app.integrations.calendly import calendly_api, calendly_shapes
from admin_app.integrations.calendly.calendly_api import CalendlyApi
from admin_app.integrations.http import deliveries, fields
from admin_app.integrations.http.guard import WEB, Guard, Limits
from admin_app.integrations.http.provider_http import ProviderHttp

TOLERANCE_SECONDS = 180
_KINDS: Mapping[str, CalendarEventKind] = {
    "invitee.created": "created",
    "invitee.canceled": "canceled",
    "invitee_no_show.created": "no_show",
    "invitee_no_show.deleted": "no_show",
}


def client(settings: Settings, limits: Limits = WEB) -> CalendlyPort:
    """Calendly as configured."""
    guard = Guard(calendly_api.PROVIDER, limits)
    http = ProviderHttp(guard, settings.calendly_api_base, settings.calendly_token, reason_of=calendly_api.reason_of)
    return CalendlyApi(http)


def verify(raw: bytes, headers: Mapping[str, str], signing_key: str, now: datetime) -> None:
    """Accept a delivery that Calendly signed within three minutes of now; raise BadSignature for anything else."""
    header = deliveries.lower(headers).get("calendly-webhook-signature", "")
    deliveries.require_timestamped(raw, header, signing_key, now, TOLERANCE_SECONDS)


def parse_event(raw: bytes, received_at: datetime) -> CalendlyEvent:
    """Read a delivery; raise MalformedEvent for what is none."""
    body = deliveries.json_object(raw)
    name, payload = fields.text(body.get("event")), fields.mapping(body.get("payload"))
    if name is None:
        raise MalformedEvent
    kind = _KINDS.get(name, "ignored")
    uri = fields.text(payload.get("invitee" if kind == "no_show" else "uri"))
    if kind != "ignored" and (uri is None or calendly_shapes.invitee_ids(uri) is None):
        raise MalformedEvent
    told = json.dumps([name, uri, str(body.get("created_at"))])
    event = fields.mapping(payload.get("scheduled_event"))
    return CalendlyEvent(
        # Deliveries have no id: what happened to whom when tells a repeat.
        external_id=f"calendly_{hashlib.sha256(told.encode()).hexdigest()}",
        type=name,
        kind=kind,
        occurred_at=fields.moment(body.get("created_at")) or received_at,
        invitee_uri=uri,
        invitee=calendly_shapes.invitee(payload, event) if kind in ("created", "canceled") else None,
    )
