"""What the simulated Calendly knows and does: event types, invitees with their events, and what the product is told.

An invitee and the event they come to are one record here; invitees of one event name the same one.
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
    """Each: id (else made up), name, minutes, owner, active, places, host_email."""
    types = [
        {
            "id": text(item, "id") or _id(),
            "name": text(item, "name") or "Consultation",
            "minutes": int(item.get("minutes") or 30),
            "owner": text(item, "owner") or "Hanna Host",
            "active": item.get("active", True) is True,
            "places": int(item.get("places") or 1),
            "host_email": text(item, "host_email") or "host@example.com",
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
    shared = _with_room(world, event_type, _text(starts_at))
    invitee = {
        "id": _id(),
        "event": shared["event"] if shared else _id(),
        "host_email": text(wanted, "host_email"),
        "payment": wanted.get("payment"),
        "no_show": None,
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


def _with_room(world: World, event_type: Document, starts_at: str) -> Document | None:
    """Somebody in the event of this time, where it has a place left."""
    same = [
        one
        for one in world.store.all(INVITEE)
        if (one["event_type"], one["starts_at"]) == (event_type["id"], starts_at) and not one["canceled"]
    ]
    return same[0] if same and len(same) < event_type.get("places", 1) else None


def in_event(world: World, event_id: str) -> list[Document]:
    """Everybody who has or had a place in it."""
    return [one for one in world.store.all(INVITEE) if one["event"] == event_id]


def mark_no_show(world: World, invitee: Document, *, absent: bool, deliver: bool = True) -> Document:
    """The host says that somebody did not come, or takes that back."""
    no_show = {"uri": f"{API}/invitee_no_shows/{_id()}", "created_at": _now()}
    marked = invitee | {"no_show": no_show if absent else None, "updated_at": _now()}
    world.store.put(INVITEE, marked)
    if deliver:
        payload = (invitee.get("no_show") or no_show) | {"invitee": uri(invitee)}
        event = f"invitee_no_show.{'created' if absent else 'deleted'}"
        world.deliver_calendly({"event": event, "created_at": _now(), "created_by": HOST, "payload": payload})
    return marked


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
    """Somebody in it: one who comes before one who left."""
    return min(in_event(world, event_id), key=lambda one: bool(one["canceled"]), default=None)


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
        "payment": invitee.get("payment"),
        "no_show": invitee.get("no_show"),
        "reconfirmation": None,
        "created_at": invitee["created_at"],
        "updated_at": invitee["updated_at"],
        **({"cancellation": canceled} if canceled else {}),
    }


def event_answer(world: World, invitee: Document, everybody: list[Document] | None = None) -> dict[str, Any]:
    """The event that this invitee comes to; it is canceled when nobody comes any more."""
    everybody = everybody or in_event(world, invitee["event"]) or [invitee]
    active = [one for one in everybody if not one["canceled"]]
    canceled = None if active else invitee["canceled"]
    event_type = world.store.get(EVENT_TYPE, invitee["event_type"]) or {}
    return {
        "uri": event_uri(invitee),
        "name": event_type.get("name"),
        "status": "canceled" if canceled else "active",
        "start_time": invitee["starts_at"],
        "end_time": invitee["ends_at"],
        "event_type": f"{API}/event_types/{invitee['event_type']}",
        "location": {"type": "physical", "location": "1 Example Street, Springfield", "additional_info": ""},
        "invitees_counter": {"total": len(everybody), "active": len(active), "limit": event_type.get("places", 1)},
        "created_at": invitee["created_at"],
        "updated_at": invitee["updated_at"],
        "event_memberships": [_host(invitee.get("host_email") or event_type.get("host_email"))],
        "event_guests": [],
        "calendar_event": None,
        **({"cancellation": canceled} if canceled else {}),
    }


def _host(email: str | None) -> dict[str, Any]:
    """The account's own user, or a colleague."""
    if email in (None, "host@example.com"):
        return {"user": HOST, "user_email": "host@example.com", "user_name": "Hanna Host"}
    return {"user": f"{API}/users/{str(email).split('@')[0].upper()}", "user_email": email, "user_name": "A Colleague"}


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
