"""Deliveries of Calendly and Cal.com, told as the story of one appointment, and what they end in."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from admin_app.context import Provider
from admin_app.db import Database
from admin_app.integrations import calcom, calendly
from admin_app.services import inbox
from models import Booking, BookingLink, WebhookEvent
from tests.services.deliveries import work

API = "https://api.calendly.com"
EVENT_TYPE = f"{API}/event_types/ET_consultation"
CALCOM_EVENT_TYPE = "77"
AT = datetime.fromisoformat("2027-01-12T09:00:00+00:00")
TOLD = datetime.fromisoformat("2027-01-02T09:00:00+00:00")
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Told:
    """One delivery, by a short name for tests' ids."""

    name: str
    provider: str
    body: bytes


def retold(told: Told) -> Told:
    """The same, told once more as something new."""
    body = json.loads(told.body)
    field = "created_at" if told.provider == "calendly" else "createdAt"
    return Told(told.name, told.provider, json.dumps(body | {field: (TOLD + 2 * HOUR).isoformat()}).encode())


def invitee_uri(event: str) -> str:
    return f"{API}/scheduled_events/{event}/invitees/inv_{event}"


def calendly_told(
    kind: str,
    event: str,
    *,
    at: datetime = AT,
    old: str | None = None,
    new: str | None = None,
    event_type: str = EVENT_TYPE,
    by: str = "invitee",
    **payload: Any,
) -> Told:
    """`created` or `canceled` of the invitee of this event; `old` and `new` are events of a reschedule."""
    canceled = kind == "canceled"
    cancellation = {"canceled_by": "Ada", "reason": None, "canceler_type": by, "created_at": (TOLD + HOUR).isoformat()}
    content = {
        "uri": invitee_uri(event),
        "event": f"{API}/scheduled_events/{event}",
        "email": "ada@example.com",
        "name": "Ada Guest",
        "status": "canceled" if canceled else "active",
        "timezone": "America/New_York",
        "rescheduled": new is not None,
        "old_invitee": old and invitee_uri(old),
        "new_invitee": new and invitee_uri(new),
        "scheduled_event": {
            "uri": f"{API}/scheduled_events/{event}",
            "event_type": event_type,
            "start_time": at.isoformat(),
            "end_time": (at + HOUR).isoformat(),
            "status": "canceled" if canceled else "active",
        },
        **({"cancellation": cancellation} if canceled else {}),
        **payload,
    }
    body = {"event": f"invitee.{kind}", "created_at": TOLD.isoformat(), "payload": content}
    return Told(f"{event}.{kind}", "calendly", json.dumps(body).encode())


def calcom_told(
    trigger: str,
    uid: str,
    *,
    at: datetime = AT,
    old: str | None = None,
    by: str = "ada@example.com",
    our_id: int | None = None,
    event_type: Any = CALCOM_EVENT_TYPE,
    minutes: int = 60,
    told: datetime = TOLD,
    **payload: Any,
) -> Told:
    """BOOKING_<trigger> of the booking with this uid; `old` is the uid before a reschedule."""
    content = {
        "uid": uid,
        "eventTypeId": event_type,
        "startTime": at.isoformat(),
        "endTime": (at + timedelta(minutes=minutes)).isoformat(),
        "organizer": {"id": 5, "email": "host@example.com", "timeZone": "Europe/Oslo"},
        "attendees": [{"name": "Ada Guest", "email": "ada@example.com", "timeZone": "America/New_York"}],
        "metadata": {"bookingId": str(our_id)} if our_id else {},
        **({"rescheduleUid": old} if old else {}),
        **({"cancelledBy": by} if trigger == "CANCELLED" else {}),
        **payload,
    }
    body = {"triggerEvent": f"BOOKING_{trigger}", "createdAt": told.isoformat(), "payload": content}
    return Told(f"{uid}.{trigger}", "calcom", json.dumps(body).encode())


def receive(db: Database, told: Told) -> int | None:
    """Store a delivery as its door does; None when it was there before."""
    with db.unit_of_work(Provider(told.provider)) as ctx:
        if told.provider == "calendly":
            event = calendly.parse_event(told.body, ctx.now)
            subject = event.invitee_uri
        else:
            event = calcom.parse_event(told.body, ctx.now)
            subject = event.uid
        return inbox.receive(
            ctx,
            provider=told.provider,
            external_id=event.external_id,
            type=event.type,
            body=told.body,
            occurred_at=event.occurred_at,
            subject=subject,
        )


def deliver(db: Database, *told: Told) -> list[WebhookEvent]:
    """Store each and do what it leads to before the next comes; answers the events as they are in the end."""
    for one in told:
        receive(db, one)
        work(db)
    with db.read_only() as session:
        return list(session.scalars(select(WebhookEvent).order_by(WebhookEvent.id)))


def bookings_of(db: Database) -> list[Booking]:
    with db.read_only() as session:
        return list(session.scalars(select(Booking).order_by(Booking.id)))


def end_of(db: Database) -> Any:
    """Everything that deliveries leave, without the numbers and times that say in which order they came."""
    with db.read_only() as session:
        left_out = {"id", "created_at", "updated_at", "version", "told_version", "reminded_at"}
        rows = [
            {c.name: getattr(row, c.name) for c in Booking.__table__.c if c.name not in left_out}
            for row in session.scalars(select(Booking).order_by(Booking.starts_at))
        ]
        links = sorted(
            (link.provider, link.external_id, link.superseded_by or "", str(link.canceled_at))
            for link in session.scalars(select(BookingLink))
        )
        return rows, links
