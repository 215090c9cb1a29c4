"""The simulator as a whole: what it knows, how it delivers, and what goes wrong on purpose."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from admin_app.simulator import delivery
from admin_app.simulator.delivery import Deliveries, Delivery
from admin_app.simulator.faults import Faults
from admin_app.simulator.settings import SimulatorSettings
from admin_app.simulator.store import Store


class Refused(Exception):
    """The request to the simulator makes no sense; the sentence says why."""


def text(wanted: Mapping[str, Any], name: str) -> str | None:
    """The value if it is text; absent and empty are the same."""
    value = wanted.get(name) or None
    if value is not None and not isinstance(value, str):
        raise Refused(f"{name} must be text.")
    return value


def moment(wanted: Mapping[str, Any], name: str) -> datetime:
    """The time of this name, in ISO 8601."""
    try:
        stated = datetime.fromisoformat(text(wanted, name) or "")
    except ValueError:
        raise Refused(f"{name} must be a time in ISO 8601.") from None
    return stated.astimezone(UTC) if stated.tzinfo else stated.replace(tzinfo=UTC)


@dataclass(frozen=True)
class World:
    """What all simulated providers share: settings, stored records, webhooks on their way, and faults switched on."""

    settings: SimulatorSettings
    store: Store
    deliveries: Deliveries
    faults: Faults

    def deliver_whop(self, form: str, body: dict[str, Any]) -> None:
        secret = self.settings.whop_webhook_secret
        if form in {"v1", "pinned"}:
            name, sign = body["type"], delivery.sign_current_whop(secret, body["id"])
        else:
            name, sign = body["action"], delivery.sign_legacy_whop(secret)
        self._deliver("whop", name, body, sign, delivery.WHOP_WAITS)

    def deliver_clerk(self, delivery_id: str, body: dict[str, Any]) -> None:
        sign = delivery.sign_svix(self.settings.clerk_webhook_secret, delivery_id)
        self._deliver("clerk", body["type"], body, sign, delivery.SVIX_WAITS)

    def deliver_stripe(self, event: dict[str, Any]) -> None:
        sign = delivery.sign_stripe(self.settings.stripe_webhook_secret)
        self._deliver("stripe", event["type"], event, sign, delivery.STRIPE_WAITS)

    def deliver_calendly(self, body: dict[str, Any]) -> None:
        sign = delivery.sign_calendly(self.settings.calendly_webhook_signing_key)
        self._deliver("calendly", body["event"], body, sign, delivery.CALENDLY_WAITS)

    def deliver_calcom(self, body: dict[str, Any]) -> None:
        sign = delivery.sign_calcom(self.settings.calcom_webhook_secret)
        self._deliver("calcom", body["triggerEvent"], body, sign, delivery.CALCOM_WAITS)

    def _deliver(
        self, provider: str, name: str, body: dict[str, Any], sign: delivery.Sign, waits: tuple[float, ...]
    ) -> None:
        url = f"{self.settings.base_url}/api/webhooks/{provider}"
        self.deliveries.send(Delivery(url, f"{provider} {name}", json.dumps(body).encode(), sign, waits))
