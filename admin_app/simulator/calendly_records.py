"""What the simulated Calendly knows and does: event types, invitees with their events, and what the product is told.

An invitee and the event they come to are one record here, because every event has one invitee.
"""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from admin_app.simulator.store import Document
from admin_app.simulator.world import Refused, World, moment, text

API = "https://api.calendly.com"
HOST = f"{API}/users/DEMOHOST00000001"
ORGANIZATION = f"{API}/organizations/DEMOORGANIZATION"
EVENT_TYPE, INVITEE = "calendly_event_type", "calendly_invitee"


class AlreadyCanceled(Exception):
    pass


def seed_event_types(world: World, wanted: list[Mapping[str, Any]]) -> int:
    """Each: id (else made up), name, minutes, owner, active."""
    types = [
        {
            "id": text(item, "id") or _id(),
            "name": text(item, "name") or "Consultation",
            "minutes": int(item.get("minutes") or 30),
            "owner": text(item, "owner") or "Hanna Host",
            "active": item.get("active", True) is True,
            "created_at": _now(),
        }
        for item in wanted
    ]
    world.store.put_all(EVENT_TYPE, types)
    return len(types)


def seed_invitees(world: World, wanted: list[Mapping[str, Any]]) -> int:
    """Each: id, event, event_type, email, name, time_zone, starts_at, ends_at. Who is known stays as they are."""
    new = [item for item in wanted if world.store.get(INVITEE, item["id"]) is None]
    blank = {"old": None, "new": None, "canceled": None, "created_at": _now(), "updated_at": _now()}
    world.store.put_all(INVITEE, [blank | dict(item) for item in new])
    return len(wanted)


def book(world: World, wanted: Mapping[str, Any], *, old: Document | None = None) -> Document:
    """Somebody books an event type, or with `old` moves what they had."""
    event_type = world.store.get(EVENT_TYPE, (old or wanted).get("event_type") or "")
    email = (old or {}).get("email") or text(wanted, "email")
    if event_type is None or email is None:
        raise Refused("A known event_type and an email are needed.")
    starts_at = moment(wanted, "starts_at")
    invitee = {
        "id": _id(),
        "event": _id(),
        "event_type": event_type["id"],
        "email": email,
        "name": (old or {}).get("name") or text(wanted, "name") or "Demo Client",
        "time_zone": (old or {}).get("time_zone") or text(wanted, "time_zone") or "Europe/Oslo",
        "starts_at": _text(starts_at),
        "ends_at": _text(starts_at + timedelta(minutes=event_type["minutes"])),
        "old": old and uri(old),
        "new": None,
        "canceled": None,
        "created_at": _now(),
        "updated_at": _now(),
    }
    world.store.put(INVITEE, invitee)
    if wanted.get("deliver", True) is True and old is None:
        tell(world, "invitee.created", invitee)
    return invitee


def cancel(world: World, invitee: Document, *, by: str, reason: str | None, deliver: bool = True) -> Document:
    if invitee["canceled"]:
        raise AlreadyCanceled
    canceled = invitee | {
        "canceled": {
            "canceled_by": "Hanna Host" if by == "host" else invitee["name"],
            "reason": reason,
            "canceler_type": by,
            "created_at": _now(),
        },
        "updated_at": _now(),
    }
    world.store.put(INVITEE, canceled)
    if deliver:
        tell(world, "invitee.canceled", canceled)
    return canceled


def reschedule(world: World, invitee: Document, wanted: Mapping[str, Any]) -> Document:
    """The invitee chooses another time: two deliveries, and a new event."""
    if invitee["canceled"]:
        raise Refused("It is canceled already.")
    moved = book(world, wanted, old=invitee)
    old = cancel(world, invitee, by="invitee", reason=None, deliver=False) | {"new": uri(moved)}
    world.store.put(INVITEE, old)
    if wanted.get("deliver", True) is True:
        tell(world, "invitee.canceled", old)
        tell(world, "invitee.created", moved)
    return moved


def by_event(world: World, event_id: str) -> Document | None:
    return next((one for one in world.store.all(INVITEE) if one["event"] == event_id), None)


def tell(world: World, name: str, invitee: Document) -> None:
    world.deliver_calendly(event_body(world, name, invitee))


def event_body(world: World, name: str, invitee: Document) -> dict[str, Any]:
    """The delivery about this invitee as they are now."""
    payload = invitee_answer(invitee) | {"scheduled_event": event_answer(world, invitee)}
    return {"event": name, "created_at": invitee["updated_at"], "created_by": HOST, "payload": payload}


def uri(invitee: Document) -> str:
    return f"{event_uri(invitee)}/invitees/{invitee['id']}"


def event_uri(invitee: Document) -> str:
    return f"{API}/scheduled_events/{invitee['event']}"


def invitee_answer(invitee: Document) -> dict[str, Any]:
    canceled = invitee["canceled"]
    return {
        "uri": uri(invitee),
        "event": event_uri(invitee),
        "email": invitee["email"],
        "name": invitee["name"],
        "first_name": None,
        "last_name": None,
        "status": "canceled" if canceled else "active",
        "timezone": invitee["time_zone"],
        "questions_and_answers": [],
        "tracking": dict.fromkeys(
            ("utm_campaign", "utm_source", "utm_medium", "utm_content", "utm_term", "salesforce_uuid")
        ),
        "text_reminder_number": None,
        "rescheduled": invitee["new"] is not None,
        "old_invitee": invitee["old"],
        "new_invitee": invitee["new"],
        "cancel_url": f"https://calendly.com/cancellations/{invitee['id']}",
        "reschedule_url": f"https://calendly.com/reschedulings/{invitee['id']}",
        "routing_form_submission": None,
        "payment": None,
        "no_show": None,
        "reconfirmation": None,
        "created_at": invitee["created_at"],
        "updated_at": invitee["updated_at"],
        **({"cancellation": canceled} if canceled else {}),
    }


def event_answer(world: World, invitee: Document) -> dict[str, Any]:
    canceled = invitee["canceled"]
    event_type = world.store.get(EVENT_TYPE, invitee["event_type"]) or {}
    return {
        "uri": event_uri(invitee),
        "name": event_type.get("name"),
        "status": "canceled" if canceled else "active",
        "start_time": invitee["starts_at"],
        "end_time": invitee["ends_at"],
        "event_type": f"{API}/event_types/{invitee['event_type']}",
        "location": {"type": "physical", "location": "1 Example Street, Springfield", "additional_info": ""},
        "invitees_counter": {"total": 1, "active": 0 if canceled else 1, "limit": 1},
        "created_at": invitee["created_at"],
        "updated_at": invitee["updated_at"],
        "event_memberships": [{"user": HOST, "user_email": "host@example.com", "user_name": "Hanna Host"}],
        "event_guests": [],
        "calendar_event": None,
        **({"cancellation": canceled} if canceled else {}),
    }


def event_type_answer(event_type: Document) -> dict[str, Any]:
    slug = event_type["name"].lower().replace(" ", "-")
    return {
        "uri": f"{API}/event_types/{event_type['id']}",
        "name": event_type["name"],
        "active": event_type["active"],
        "slug": slug,
        "scheduling_url": f"https://calendly.com/demo/{slug}",
        "duration": event_type["minutes"],
        "kind": "solo",
        "pooling_type": None,
        "type": "StandardEventType",
        "color": "#0069ff",
        "created_at": event_type["created_at"],
        "updated_at": event_type["created_at"],
        "internal_note": None,
        "description_plain": None,
        "description_html": None,
        "profile": {"type": "User", "name": event_type["owner"], "owner": HOST},
        "secret": False,
        "booking_method": "instant",
        "custom_questions": [],
        "deleted_at": None,
        "kind_description": "One-on-One",
        "admin_managed": False,
    }


def user_answer() -> dict[str, Any]:
    return {
        "uri": HOST,
        "name": "Hanna Host",
        "slug": "demo",
        "email": "host@example.com",
        "scheduling_url": "https://calendly.com/demo",
        "timezone": "Europe/Oslo",
        "avatar_url": None,
        "created_at": "2025-01-01T09:00:00.000000Z",
        "updated_at": "2025-01-01T09:00:00.000000Z",
        "current_organization": ORGANIZATION,
    }


def _id() -> str:
    return secrets.token_hex(8).upper()


def _now() -> str:
    return _text(datetime.now(UTC))


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
