"""Stripe: the signature of its deliveries, what they are about, and the client of its API."""

import re
from collections.abc import Mapping
from datetime import datetime

import stripe

from admin_app.config import Settings
from admin_app.errors import BadSignature, ForeignMode, MalformedEvent
from admin_app.integrations.http import deliveries, fields
from admin_app.integrations.http.guard import WEB, Guard, Limits
from admin_app.integrations.money_ports import StripeEvent, StripePort
from admin_app.integrations.stripe import stripe_shapes, stripe_subscriptions
from admin_app.integrations.stripe.stripe_api import PROVIDER, StripeApi

TOLERANCE_SECONDS = 300
_TIMESTAMP = re.compile(r"t=([0-9]{1,12})")
_LONGEST_ID = 200


def client(settings: Settings, limits: Limits = WEB) -> StripePort:
    """Stripe's API by its own SDK."""
    return StripeApi(settings.stripe_secret_key, settings.stripe_api_base, Guard(PROVIDER, limits))


def verify(raw: bytes, headers: Mapping[str, str], secret: str, now: datetime) -> None:
    """Accept a delivery that Stripe signed within five minutes of now; raise BadSignature for anything else."""
    header = {name.lower(): value for name, value in headers.items()}.get("stripe-signature", "")
    try:
        # The SDK bounds the past only, and by a clock of its own.
        _require_recent(header, now)
        stripe.WebhookSignature.verify_header(raw, header, secret)
    except Exception:  # the verifier lets errors of its parts through on malformed input
        raise BadSignature from None


def _require_recent(header: str, now: datetime) -> None:
    stated = [part for part in header.split(",") if part.startswith("t=")]
    found = _TIMESTAMP.fullmatch(stated[0]) if len(stated) == 1 else None
    if found is None or abs(now.timestamp() - int(found[1])) > TOLERANCE_SECONDS:
        raise BadSignature


def parse_event(raw: bytes) -> StripeEvent:
    """Read a delivery; raise MalformedEvent for what is none."""
    body = deliveries.json_object(raw)
    external_id, kind = fields.text(body.get("id")), fields.text(body.get("type"))
    occurred_at, livemode = fields.moment(body.get("created")), fields.flag(body.get("livemode"))
    content = fields.mapping(body.get("data")).get("object")
    if external_id is None or len(external_id) > _LONGEST_ID or kind is None:
        raise MalformedEvent
    if body.get("object") != "event" or occurred_at is None or livemode is None or not isinstance(content, dict):
        raise MalformedEvent
    object_id = fields.text(content.get("id"))
    is_payment, subscription_id = content.get("object") == "payment_intent", stripe_subscriptions.concerned(content)
    return StripeEvent(
        external_id=external_id,
        type=kind,
        occurred_at=occurred_at,
        livemode=livemode,
        object_id=object_id,
        payment_intent_id=object_id if is_payment else stripe_shapes.reference(content.get("payment_intent")),
        subject=stripe_shapes.subject(content),
        subscription_id=subscription_id,
        customer_id=stripe_shapes.customer_of(content),
        client_id=stripe_shapes.client_number(content),
    )


def require_own_mode(event: StripeEvent, secret_key: str) -> None:
    """Refuse what did not happen in the mode of our key: play money and real money never meet."""
    if event.livemode != secret_key.startswith(("sk_live_", "rk_live_")):
        raise ForeignMode
