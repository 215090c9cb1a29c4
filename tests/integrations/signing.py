"""Signs deliveries as the providers' documents describe, apart from the product's own code and the simulator's."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

WHOP_SECRET = "ws_0123456789abcdef0123456789abcdef"
CALENDLY_KEY = "signing-key-of-calendly"
CALCOM_SECRET = "secret-of-cal-com"
STRIPE_SECRET = "whsec_0123456789abcdef0123456789abcdef"
CLERK_SECRET = "whsec_" + base64.b64encode(b"twenty-four bytes secret").decode()
OWN_EVENTS = Path(__file__).resolve().parent.parent / "events"
# Collected beside the project where it is developed; the tests that use it say so when it is absent.
SHARED_CONTRACTS = Path(__file__).resolve().parents[3] / "shared" / "contracts"


def events(provider: str) -> list[Path]:
    return sorted((OWN_EVENTS / provider).glob("*.json"))


def shared_events(provider: str) -> list[Path]:
    return sorted((SHARED_CONTRACTS / "events" / provider).glob("*.json"))


def is_legacy(body: dict[str, Any]) -> bool:
    return "action" in body


def whop_headers(raw: bytes, at: float, secret: str = WHOP_SECRET, delivery: str = "msg_1") -> dict[str, str]:
    """Signed the way this body's form is signed."""
    if is_legacy(json.loads(raw)):
        return legacy_whop_headers(raw, at, secret)
    return current_whop_headers(raw, at, secret, delivery)


def current_whop_headers(raw: bytes, at: float, secret: str = WHOP_SECRET, delivery: str = "msg_1") -> dict[str, str]:
    return _standard("webhook", secret.encode(), raw, at, delivery)


def legacy_whop_headers(raw: bytes, at: float, secret: str = WHOP_SECRET) -> dict[str, str]:
    mac = hmac.new(secret.encode(), str(int(at)).encode() + b"." + raw, hashlib.sha256).hexdigest()
    return {"X-Whop-Signature": f"t={int(at)},v1={mac}"}


def stripe_headers(raw: bytes, at: float, secret: str = STRIPE_SECRET) -> dict[str, str]:
    mac = hmac.new(secret.encode(), str(int(at)).encode() + b"." + raw, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={int(at)},v1={mac}"}


def clerk_headers(raw: bytes, at: float, secret: str = CLERK_SECRET, delivery: str = "msg_1") -> dict[str, str]:
    return _standard("svix", base64.b64decode(secret.split("_", 1)[1]), raw, at, delivery)


def _standard(prefix: str, key: bytes, raw: bytes, at: float, delivery: str) -> dict[str, str]:
    signed = delivery.encode() + b"." + str(int(at)).encode() + b"." + raw
    mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        f"{prefix.title()}-Id": delivery,
        f"{prefix.title()}-Timestamp": str(int(at)),
        f"{prefix.title()}-Signature": f"v1,{mac}",
    }


def calendly_headers(raw: bytes, at: float, secret: str = CALENDLY_KEY) -> dict[str, str]:
    mac = hmac.new(secret.encode(), str(int(at)).encode() + b"." + raw, hashlib.sha256).hexdigest()
    return {"Calendly-Webhook-Signature": f"t={int(at)},v1={mac}"}


def calcom_headers(raw: bytes, secret: str = CALCOM_SECRET) -> dict[str, str]:
    mac = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    return {"X-Cal-Signature-256": mac, "X-Cal-Webhook-Version": "2021-10-20"}
