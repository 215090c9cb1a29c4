"""Whop's deliveries as they came in at the time, in the wire shapes of the simulator."""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from admin_app.demo.names import Invention
from admin_app.integrations import whop
from admin_app.simulator.whop import whop_events
from admin_app.simulator.whop.whop_records import Membership, Payment


@dataclass(frozen=True)
class Delivered:
    """One delivery: what the webhook endpoint would have stored."""

    external_id: str
    type: str
    body: bytes
    occurred_at: datetime
    membership_id: str | None
    email: str | None


def bought(
    invention: Invention,
    *,
    at: datetime,
    plan: str,
    email: str | None,
    name: str,
    whop_user_id: str | None = None,
) -> Membership:
    """A membership bought at that moment."""
    membership_id = invention.whop_id("mem")
    seconds = int(at.timestamp())
    days = 30 if plan == "monthly" else 365
    return Membership(
        id=membership_id,
        user_id=whop_user_id or invention.whop_id("user"),
        member_id=membership_id.replace("mem_", "mber_", 1),
        email=email,
        name=name,
        plan=plan,
        created_at=seconds,
        period_start=seconds,
        period_end=seconds + days * 86_400,
        updated_at=seconds,
    )


def delivery(
    invention: Invention,
    form: str,
    event: str,
    at: datetime,
    record: Membership,
    *,
    paid: bool = False,
    first: bool = True,
) -> Delivered:
    """The delivery about a membership, or with `paid` about a payment for it."""
    seconds = int(at.timestamp())
    record = replace(record, updated_at=seconds)
    payment = Payment(invention.whop_id("pay"), record.id, seconds, first) if paid else None
    body: dict[str, Any] = whop_events.event(form, event, seconds, record, payment)
    headers = {"x-whop-signature": "t=0,v1=0"}
    if form in {"v1", "pinned"}:
        body["id"] = f"msg_{invention.letters(24)}"
        headers = {"webhook-id": body["id"], "webhook-signature": "v1,0"}
    raw = json.dumps(body, separators=(",", ":")).encode()
    parsed = whop.parse_event(raw, headers, at)
    return Delivered(parsed.external_id, parsed.type, raw, at, parsed.membership_id, parsed.email)
