"""Whop: the signature of its deliveries, their meaning, and the client of its API."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from admin_app.config import Settings
from admin_app.errors import BadSignature, MalformedEvent
from admin_app.integrations.http import deliveries, fields
from admin_app.integrations.http.guard import WEB, Guard, Limits
from admin_app.integrations.ports import EventKind, WhopEvent, WhopPort
from admin_app.integrations.whop import whop_shapes
from admin_app.integrations.whop.whop_api import PROVIDER, WhopApi

TOLERANCE_SECONDS = 300
_LONGEST_ID = 200
_KINDS: Mapping[str, EventKind] = {
    "payment.succeeded": "purchase",
    "membership.activated": "purchase",
    "membership.went_valid": "purchase",
    "membership.deactivated": "ended",
    "membership.went_invalid": "ended",
    "membership.cancel_at_period_end_changed": "cancellation",
}


def client(settings: Settings, limits: Limits = WEB) -> WhopPort:
    """Whop's API by its own SDK."""
    return WhopApi(settings.whop_api_key, settings.whop_api_base, Guard(PROVIDER, limits))


def verify(raw: bytes, headers: Mapping[str, str], secret: str, now: datetime) -> None:
    """Accept a delivery that Whop signed within five minutes of now; raise BadSignature for anything else."""
    given = deliveries.lower(headers)
    if not secret:
        raise BadSignature
    if "webhook-signature" in given:
        _verify_current(raw, given, secret, now)
    else:
        deliveries.require_timestamped(raw, given.get("x-whop-signature", ""), secret, now, TOLERANCE_SECONDS)


def _verify_current(raw: bytes, given: Mapping[str, str], secret: str, now: datetime) -> None:
    delivery, timestamp = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    if not delivery or len(delivery) > _LONGEST_ID:
        raise BadSignature
    deliveries.require_recent(timestamp, now, TOLERANCE_SECONDS)
    # Unlike other Standard Webhooks senders, Whop signs with the literal bytes of the whole secret.
    signed = b".".join((deliveries.as_bytes(delivery), deliveries.as_bytes(timestamp), raw))
    digest = hmac.new(deliveries.as_bytes(secret), signed, hashlib.sha256).digest()
    deliveries.require_match(b"v1," + base64.b64encode(digest), given["webhook-signature"].split(" "))


def parse_event(raw: bytes, headers: Mapping[str, str], received_at: datetime) -> WhopEvent:
    """Read a delivery of any shape and version; raise MalformedEvent for what is none."""
    body = deliveries.json_object(raw)
    kind_of_event = fields.text(body.get("type")) or fields.text(body.get("action"))
    if kind_of_event is None:
        raise MalformedEvent
    kind = _KINDS.get(kind_of_event, "ignored")
    content = body.get("data") if "data" in body else body.get("body")
    if kind != "ignored" and not isinstance(content, dict):
        raise MalformedEvent
    data, given = fields.mapping(content), deliveries.lower(headers)
    about_membership = kind_of_event.startswith("membership.")
    external_id, occurred_at = _external_id(body, data, kind_of_event, given), _occurred_at(body, data, given)
    start, end = whop_shapes.period(data)
    terms = whop_shapes.terms(data)
    if not about_membership:
        terms["provider_status"] = None  # the payment's own
    return WhopEvent(
        external_id=external_id,
        type=kind_of_event,
        kind=kind,
        occurred_at=occurred_at or received_at,
        membership_id=(fields.text(data.get("id")) if about_membership else whop_shapes.membership_named_by(data)),
        whop_user_id=whop_shapes.user_id(data),
        email=whop_shapes.email(data),
        name=whop_shapes.name(data),
        plan_duration=whop_shapes.plan_duration(data),
        period_start=start,
        period_end=end,
        cancel_at_period_end=whop_shapes.cancels(data),
        payment_id=whop_shapes.payment_named_by(kind_of_event, data),
        **terms,
    )


def _occurred_at(body: Mapping[str, Any], data: Mapping[str, Any], headers: Mapping[str, str]) -> datetime | None:
    """When it happened by Whop's own clock; legacy forms tell only when they were signed."""
    signed = [] if "webhook-signature" in headers else deliveries.parts(headers.get("x-whop-signature", ""), "t")
    stated = (body.get("timestamp"), data.get("updated_at"), data.get("paid_at"), *signed)
    return next((moment for moment in map(fields.moment, stated) if moment), None)


def _external_id(body: Mapping[str, Any], data: Mapping[str, Any], kind: str, headers: Mapping[str, str]) -> str:
    """The delivery's id, or for legacy forms, which have none, a digest of what happened to what.

    The legacy signature does not cover a webhook-id, so one beside it may be anybody's and is not used. A
    redelivery repeats the same state, hence the same digest; a renewal has another.
    """
    legacy = "webhook-signature" not in headers and "x-whop-signature" in headers
    stated = fields.text(None if legacy else headers.get("webhook-id"))
    if stated is None and "action" not in body:
        stated = fields.text(body.get("id"))
    if stated and len(stated) <= _LONGEST_ID:
        return stated
    state = [
        str(data.get(field))
        for field in (
            *("id", "status", "valid", "cancel_at_period_end", "expires_at"),
            *("renewal_period_start", "renewal_period_end", "current_period_start", "current_period_end"),
            *("paid_at", "refunded_at", "payments_failed", "final_amount", "refunded_amount", "updated_at"),
        )
    ]
    digest = hashlib.sha256(json.dumps([kind, str(body.get("api_version")), stated, state]).encode()).hexdigest()
    return f"legacy_{digest}"
