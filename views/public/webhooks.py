"""Deliveries of the providers: proved by signature, stored and queued in one transaction, then answered.

Nothing is applied here: a provider's patience is short, and the worker may try as often as it takes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, request

from admin_app.config import Settings
from admin_app.errors import NotFound
from admin_app.integrations import calcom, calendly, clerk, stripe, whop
from admin_app.services import inbox
from views.backdesk import backdesk
from views.public import bodies
from views.public.endpoints import Endpoint, endpoint
from views.public.shapes import Received

doors = Blueprint("webhooks", __name__)


class NoSuchWebhook(NotFound):
    """Also when no secret is configured: a door that could not check signatures is closed."""

    code = "webhook_not_configured"
    sentence = "No webhook is taken here. Its signing secret is not configured, or there is no such provider."


@dataclass(frozen=True)
class Delivery:
    """What the inbox keeps of a delivery beside its raw body."""

    external_id: str
    type: str
    occurred_at: datetime | None
    subject: str | None


Headers = Mapping[str, str]


def _whop(raw: bytes, headers: Headers, settings: Settings, now: datetime) -> Delivery:
    whop.verify(raw, headers, settings.whop_webhook_secret, now)
    event = whop.parse_event(raw, headers, now)
    return Delivery(event.external_id, event.type, event.occurred_at, event.membership_id)


def _clerk(raw: bytes, headers: Headers, settings: Settings, now: datetime) -> Delivery:
    clerk.verify_webhook(raw, headers, settings.clerk_webhook_secret)
    event = clerk.parse_event(raw, headers)
    return Delivery(event.external_id, event.type, now, event.user_id)


def _stripe(raw: bytes, headers: Headers, settings: Settings, now: datetime) -> Delivery:
    stripe.verify(raw, headers, settings.stripe_webhook_secret, now)
    event = stripe.parse_event(raw)
    stripe.require_own_mode(event, settings.stripe_secret_key)
    about = event.subject or event.subscription_id or event.payment_intent_id or event.object_id
    return Delivery(event.external_id, event.type, event.occurred_at, about)


def _calendly(raw: bytes, headers: Headers, settings: Settings, now: datetime) -> Delivery:
    calendly.verify(raw, headers, settings.calendly_webhook_signing_key, now)
    event = calendly.parse_event(raw, now)
    return Delivery(event.external_id, event.type, event.occurred_at, event.invitee_uri)


def _calcom(raw: bytes, headers: Headers, settings: Settings, now: datetime) -> Delivery:
    calcom.verify(raw, headers, settings.calcom_webhook_secret)
    event = calcom.parse_event(raw, now)
    return Delivery(event.external_id, event.type, event.occurred_at, event.uid)


@dataclass(frozen=True)
class Reader:
    """How one provider's deliveries are proved and read, and the setting that holds its secret."""

    secret: str
    read: Callable[[bytes, Headers, Settings, datetime], Delivery]


_READERS: Mapping[str, Reader] = {
    "whop": Reader("whop_webhook_secret", _whop),
    "clerk": Reader("clerk_webhook_secret", _clerk),
    "stripe": Reader("stripe_webhook_secret", _stripe),
    "calendly": Reader("calendly_webhook_signing_key", _calendly),
    "calcom": Reader("calcom_webhook_secret", _calcom),
}


@endpoint(
    doors,
    Endpoint(
        "POST",
        "/api/webhooks/<provider>",
        id="receiveWebhook",
        summary="Take a provider's delivery, proved by its signature over the raw body",
        values={"provider": list(_READERS)},
        takes_any_json=True,
        answers={200: ("Stored; a duplicate does nothing", Received)},
        refuses=(400, 404, 413, 503),
    ),
)
def receive(provider: str) -> Received:
    house = backdesk()
    reader = _READERS.get(provider)
    if reader is None or not getattr(house.settings, reader.secret):
        raise NoSuchWebhook
    raw = bodies.raw()
    now = house.db.clock()
    delivery = reader.read(raw, dict(request.headers), house.settings, now)
    stored = house.db.run_alone(
        inbox.receipt(
            provider=provider,
            external_id=delivery.external_id,
            type=delivery.type,
            body=raw,
            received_at=now,
            occurred_at=delivery.occurred_at,
            subject=delivery.subject,
        )
    )
    return Received(status="duplicate" if stored is None else "ok")
