"""Sends webhooks in the background, signed like the real ones, and tries again on their schedules.

Every try has a new timestamp and signature and the same delivery id. What is still waiting when the simulator
stops is lost, as it is when a provider gives up.
"""

import base64
import hashlib
import heapq
import hmac
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx

from admin_app.integrations.http import trust

WHOP_WAITS = (10.0, 20.0, 40.0)
SVIX_WAITS = (5.0, 300.0, 1800.0, 7200.0)
# A sandbox tries three times more over a few hours.
STRIPE_WAITS = (60.0, 1800.0, 7200.0)
CALENDLY_WAITS = (60.0, 600.0, 3600.0)
CALCOM_WAITS = (10.0, 30.0)
_TIMEOUT_SECONDS = 15
_REMEMBERED = 500

Sign = Callable[[bytes, int], dict[str, str]]


def sign_current_whop(secret: str, delivery_id: str) -> Sign:
    """Standard Webhooks, with the literal bytes of the secret as key."""
    return _standard_webhooks("webhook", secret.encode(), delivery_id)


def sign_svix(secret: str, delivery_id: str) -> Sign:
    """Svix: the key is what the secret encodes after its prefix."""

    def sign(body: bytes, now: int) -> dict[str, str]:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        return _standard_webhooks("svix", key, delivery_id)(body, now)

    return sign


def _standard_webhooks(prefix: str, key: bytes, delivery_id: str) -> Sign:
    def sign(body: bytes, now: int) -> dict[str, str]:
        digest = hmac.new(key, f"{delivery_id}.{now}.".encode() + body, hashlib.sha256).digest()
        return {
            f"{prefix}-id": delivery_id,
            f"{prefix}-timestamp": str(now),
            f"{prefix}-signature": f"v1,{base64.b64encode(digest).decode()}",
        }

    return sign


def sign_legacy_whop(secret: str) -> Sign:
    """Whop's earlier form: HMAC-SHA256 of `time.body` in hex, with the time beside it in one header."""

    def sign(body: bytes, now: int) -> dict[str, str]:
        digest = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
        return {"X-Whop-Signature": f"t={now},v1={digest}"}

    return sign


def sign_stripe(secret: str) -> Sign:
    """Stripe's scheme v1: HMAC-SHA256 of `time.body` in hex (https://docs.stripe.com/webhooks/signature)."""

    def sign(body: bytes, now: int) -> dict[str, str]:
        digest = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
        return {"Stripe-Signature": f"t={now},v1={digest}"}

    return sign


def sign_calendly(signing_key: str) -> Sign:
    """Calendly's scheme: as Stripe's, under its own header."""

    def sign(body: bytes, now: int) -> dict[str, str]:
        digest = hmac.new(signing_key.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
        return {"Calendly-Webhook-Signature": f"t={now},v1={digest}"}

    return sign


def sign_calcom(secret: str) -> Sign:
    """Without a time; and without a secret, a text that says so."""

    def sign(body: bytes, now: int) -> dict[str, str]:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() if secret else "no-secret-provided"
        return {"X-Cal-Signature-256": digest, "X-Cal-Webhook-Version": "2021-10-20"}

    return sign


@dataclass
class Delivery:
    """One webhook and how it went."""

    url: str
    event: str
    body: bytes
    sign: Sign
    waits: Sequence[float]
    attempts: int = 0
    status: int | None = None
    outcome: str = "waiting"

    def summary(self) -> dict[str, object]:
        return {
            "event": self.event,
            "attempts": self.attempts,
            "status": self.status,
            "outcome": self.outcome,
        }


@dataclass(order=True)
class _Due:
    at: float
    number: int
    delivery: Delivery = field(compare=False)


class Deliveries:
    """The queue and its one thread: deliveries go out in order, retries when they are due."""

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._queue: list[_Due] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False
        self.recent: deque[Delivery] = deque(maxlen=_REMEMBERED)
        self._thread = threading.Thread(target=self._run, name="deliveries", daemon=True)
        self._thread.start()

    def send(self, delivery: Delivery) -> None:
        self.recent.append(delivery)
        self._enqueue(delivery, 0)

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join(timeout=1)

    def _enqueue(self, delivery: Delivery, wait: float) -> None:
        with self._changed:
            due = time.monotonic() + wait / self._speed
            heapq.heappush(self._queue, _Due(due, next(self._numbers), delivery))
            self._changed.notify()

    def _run(self) -> None:
        with httpx.Client(timeout=_TIMEOUT_SECONDS, verify=trust.context(), trust_env=False) as client:
            while (delivery := self._next()) is not None:
                self._attempt(client, delivery)

    def _next(self) -> Delivery | None:
        with self._changed:
            while not self._stopped:
                wait = self._queue[0].at - time.monotonic() if self._queue else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._queue).delivery
                self._changed.wait(wait)
        return None

    def _attempt(self, client: httpx.Client, delivery: Delivery) -> None:
        delivery.attempts += 1
        try:
            headers = delivery.sign(delivery.body, int(time.time())) | {"Content-Type": "application/json"}
            delivery.status = client.post(delivery.url, content=delivery.body, headers=headers).status_code
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            # ValueError: a secret that no key can be made of. The product refuses its webhooks as well then.
            delivery.status = None
        if delivery.status is not None and delivery.status // 100 == 2:
            delivery.outcome = "delivered"
        elif delivery.attempts <= len(delivery.waits):
            delivery.outcome = "waiting to try again"
            self._enqueue(delivery, delivery.waits[delivery.attempts - 1])
        else:
            delivery.outcome = "given up"
