"""Whop's deliveries about one membership, as many as are wanted, from the kept examples."""

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

from tests.integrations.signing import events


@cache
def _example(name: str) -> str:
    return next(path for path in events("whop") if path.name == f"{name}.json").read_text()


def activated(number: str, email: str, *, at: datetime | None = None) -> dict[str, Any]:
    """Somebody bought; the event names the address."""
    event = _event("membership.activated.v1", f"msg_on_{number}", at)
    event["data"] |= {"id": f"mem_{number}", "user": event["data"]["user"] | {"id": f"user_{number}", "email": email}}
    return event


def activated_without_address(number: str, *, at: datetime | None = None) -> dict[str, Any]:
    """The same in the form that names no address, so that Whop has to be asked."""
    event = _event("membership.activated.pinned", f"msg_on_{number}", at)
    event["data"] |= {"id": f"mem_{number}", "user_id": f"user_{number}"}
    return event


def deactivated(number: str, *, at: datetime | None = None) -> dict[str, Any]:
    """The membership ended."""
    event = _event("membership.deactivated.v1", f"msg_off_{number}", at)
    event["data"] |= {"id": f"mem_{number}", "user": event["data"]["user"] | {"id": f"user_{number}"}}
    return event


def _event(example: str, delivery: str, at: datetime | None) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(_example(example))
    moment = (at or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event | {"id": delivery, "timestamp": moment}
