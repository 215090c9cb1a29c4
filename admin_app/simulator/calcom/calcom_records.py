"""What the simulated Cal.com knows and does: event types with their hours, bookings, and what the product is told."""

import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from admin_app.simulator.store import Document
from admin_app.simulator.world import Refused, World, moment, text

EVENT_TYPE, BOOKING, BUSY = "calcom_event_type", "calcom_booking", "calcom_busy"
ACTIVE = ("accepted", "pending")
HOURS = (("08:00", "12:00"), ("13:00", "17:00"))


class NotFree(Exception):
    pass


class NotActive(Exception):
    pass


def seed_event_types(world: World, wanted: list[Mapping[str, Any]]) -> int:
    """Each: id, minutes, host_id, host_name, host_email, time_zone, hours, requires_confirmation, seats."""
    types = [
        {
            "id": str(item.get("id") or secrets.randbelow(90_000) + 10_000),
            "minutes": int(item.get("minutes") or 30),
            "host_id": int(item.get("host_id") or 101),
            "host_name": text(item, "host_name") or "Hanna Host",
            "host_email": text(item, "host_email") or "host@example.com",
            "time_zone": text(item, "time_zone") or "UTC",
            "hours": item.get("hours") or dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), HOURS),
            "requires_confirmation": item.get("requires_confirmation") is True,
            "seats": int(item["seats"]) if item.get("seats") else None,
        }
        for item in wanted
    ]
    world.store.put_all(EVENT_TYPE, types)
    return len(types)


def seed_bookings(world: World, wanted: list[Mapping[str, Any]]) -> int:
    """Each: id (the uid), event_type, start, end, attendee, metadata. What is known stays as it is."""
    first = world.store.count(BOOKING) + 1001
    new = [item for item in wanted if world.store.get(BOOKING, item["id"]) is None]
    hosts = {kind["id"]: kind["host_id"] for kind in world.store.all(EVENT_TYPE)}
    blank = {
        "status": "accepted",
        **dict.fromkeys(("from", "to", "ended_by", "reason")),
        "created_at": _now(),
        "updated_at": _now(),
    }
    world.store.put_all(
        BOOKING,
        [
            {**blank, "number": first + place, "host_id": hosts[item["event_type"]], **item}
            for place, item in enumerate(new)
        ],
    )
    return len(wanted)


def make_busy(world: World, wanted: Mapping[str, Any]) -> Document:
    """The host is away: nothing of this event type is free meanwhile."""
    block = {
        "id": secrets.token_hex(8),
        "event_type": text(wanted, "event_type"),
        "start": _text(moment(wanted, "starts_at")),
        "end": _text(moment(wanted, "ends_at")),
    }
    world.store.put(BUSY, block)
    return block


def free(world: World, event_type: Document, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """What the event type offers from start to before end."""
    zone, length = ZoneInfo(event_type["time_zone"]), timedelta(minutes=event_type["minutes"])
    # From the day before, whose hours may go on past midnight.
    day, now = start.astimezone(zone).date() - timedelta(days=1), datetime.now(UTC)
    while day <= end.astimezone(zone).date():
        for opens, closes in event_type["hours"].get(f"{day:%a}".lower(), ()):
            begins, ends = _at(day, opens, zone), _at(day + timedelta(days=closes <= opens), closes, zone)
            while begins + length <= ends:
                if max(start, now) <= begins < end and not is_taken(world, event_type, begins, begins + length):
                    yield begins, begins + length
                begins += length
        day += timedelta(days=1)


def is_taken(world: World, event_type: Document, start: datetime, end: datetime, but: str | None = None) -> bool:
    taken = [
        (booking["start"], booking["end"])
        for booking in world.store.all(BOOKING)
        if booking["host_id"] == event_type["host_id"] and booking["status"] in ACTIVE and booking["id"] != but
    ]
    taken += [(one["start"], one["end"]) for one in world.store.all(BUSY) if one["event_type"] == event_type["id"]]
    return any(_read(begins) < end and start < _read(ends) for begins, ends in taken)


def book(
    world: World,
    event_type: Document,
    *,
    starts_at: datetime,
    attendee: Mapping[str, Any],
    metadata: Mapping[str, Any],
    deliver: bool = True,
    series: str | None = None,
) -> Document:
    ends_at = starts_at + timedelta(minutes=event_type["minutes"])
    shared = _with_room(world, event_type, starts_at)
    if shared is not None:
        return _take_seat(world, shared, attendee, deliver=deliver)
    if is_taken(world, event_type, starts_at, ends_at):
        raise NotFree
    booking = {
        "id": secrets.token_urlsafe(16),
        "number": world.store.count(BOOKING) + 1001,
        "event_type": event_type["id"],
        "host_id": event_type["host_id"],
        "status": "pending" if event_type["requires_confirmation"] else "accepted",
        "start": _text(starts_at),
        "end": _text(ends_at),
        "attendee": _person(attendee),
        "more": [],
        "series": series,
        "metadata": dict(metadata),
        "from": None,
        "to": None,
        "ended_by": None,
        "reason": None,
        "created_at": _now(),
        "updated_at": _now(),
    }
    world.store.put(BOOKING, booking)
    if deliver:
        tell(world, "BOOKING_REQUESTED" if booking["status"] == "pending" else "BOOKING_CREATED", booking)
    return booking


def _person(attendee: Mapping[str, Any]) -> dict[str, Any]:
    named = {name: attendee.get(name) for name in ("name", "email", "timeZone")}
    return named | {"seat": str(uuid4()), "absent": False}


def people(booking: Document) -> list[dict[str, Any]]:
    """Everybody who comes, whoever was first before the others."""
    return [booking["attendee"], *booking.get("more", ())]


def _with_room(world: World, event_type: Document, starts_at: datetime) -> Document | None:
    """The booking of this time that has a seat left."""
    if not event_type.get("seats"):
        return None
    same = (
        one
        for one in world.store.all(BOOKING)
        if (one["event_type"], one["start"]) == (event_type["id"], _text(starts_at)) and one["status"] in ACTIVE
    )
    return next((one for one in same if len(people(one)) < event_type["seats"]), None)


def _take_seat(world: World, booking: Document, attendee: Mapping[str, Any], *, deliver: bool) -> Document:
    taken = booking | {"more": [*booking.get("more", ()), _person(attendee)]}
    world.store.put(BOOKING, taken)
    if deliver:
        tell(world, "BOOKING_CREATED", taken)
    return taken


def leave(world: World, booking: Document, email: str, *, deliver: bool = True) -> Document:
    """Somebody gives their seat up: the delivery is that of a cancellation, the booking goes on for the others."""
    leaving = [one for one in people(booking) if one["email"].lower() == email.lower()]
    staying = [one for one in people(booking) if one not in leaving]
    if not leaving or booking["status"] not in ACTIVE:
        raise Refused("They do not come.")
    if not staying:
        return cancel(world, booking, by=email, reason=None, deliver=deliver)
    left = booking | {"attendee": staying[0], "more": staying[1:]}
    world.store.put(BOOKING, left)
    if deliver:
        told = booking | {"status": "cancelled", "attendee": leaving[0], "more": [], "updated_at": _now()}
        tell(world, "BOOKING_CANCELLED", told | {"ended_by": email})
    return left


def reassign(world: World, booking: Document, wanted: Mapping[str, Any], *, deliver: bool = True) -> Document:
    """Another host takes it over under the same uid; Cal.com has no delivery of its own for that."""
    hosted = booking | _host(wanted) | {"updated_at": _now()}
    world.store.put(BOOKING, hosted)
    if deliver:
        tell(world, "BOOKING_CREATED", hosted)
    return hosted


def _host(wanted: Mapping[str, Any]) -> dict[str, Any]:
    named = {name: text(wanted, name) for name in ("host_name", "host_email")}
    given = {name: value for name, value in named.items() if value is not None}
    return given | ({"host_id": int(wanted["host_id"])} if wanted.get("host_id") else {})


def mark_absent(world: World, booking: Document, email: str, *, absent: bool, deliver: bool = True) -> Document:
    """The host says who did not come."""
    marked = [one | {"absent": absent} if one["email"].lower() == email.lower() else one for one in people(booking)]
    noted = booking | {"attendee": marked[0], "more": marked[1:]}
    world.store.put(BOOKING, noted)
    if deliver:
        said = [{"email": one["email"], "noShow": one["absent"]} for one in marked]
        payload = {"bookingUid": booking["id"], "bookingId": booking["number"], "attendees": said}
        world.deliver_calcom({"triggerEvent": "BOOKING_NO_SHOW_UPDATED", "createdAt": _now(), "payload": payload})
    return noted


def cancel_remaining(world: World, booking: Document, *, by: str, deliver: bool = True) -> Document:
    """It and those of its series that come after it end; one delivery tells it."""
    for one in world.store.all(BOOKING):
        later = one.get("series") == booking.get("series") is not None and one["start"] > booking["start"]
        if later and one["status"] in ACTIVE:
            cancel(world, one, by=by, reason=None, deliver=False)
    return cancel(world, booking, by=by, reason=None, deliver=deliver)


def confirm(world: World, booking: Document, *, accepts: bool, deliver: bool = True) -> Document:
    """The host decides about a booking that waits for them."""
    if booking["status"] != "pending":
        raise Refused("It does not wait for its host.")
    decided = booking | {"status": "accepted" if accepts else "rejected", "updated_at": _now()}
    world.store.put(BOOKING, decided)
    if deliver:
        tell(world, "BOOKING_CREATED" if accepts else "BOOKING_REJECTED", decided)
    return decided


def cancel(world: World, booking: Document, *, by: str, reason: str | None, deliver: bool = True) -> Document:
    if booking["status"] not in ACTIVE:
        raise NotActive
    ended = booking | {"status": "cancelled", "ended_by": by, "reason": reason, "updated_at": _now()}
    world.store.put(BOOKING, ended)
    if deliver:
        tell(world, "BOOKING_CANCELLED", ended)
    return ended


def reschedule(
    world: World,
    booking: Document,
    starts_at: datetime,
    *,
    wanted: Mapping[str, Any] | None = None,
    deliver: bool = True,
) -> Document:
    """A new booking with a new uid takes the old one's place, with another host where one is wanted."""
    event_type = world.store.get(EVENT_TYPE, booking["event_type"]) or {}
    if booking["status"] not in ACTIVE:
        raise NotActive
    ends_at = starts_at + timedelta(minutes=event_type["minutes"])
    hosted = booking | _host(wanted or {})
    if is_taken(world, event_type | {"host_id": hosted["host_id"]}, starts_at, ends_at, but=booking["id"]):
        raise NotFree
    moved = hosted | {
        "id": secrets.token_urlsafe(16),
        "number": world.store.count(BOOKING) + 1001,
        "start": _text(starts_at),
        "end": _text(ends_at),
        "from": booking["id"],
        "created_at": _now(),
        "updated_at": _now(),
    }
    world.store.put(BOOKING, booking | {"status": "cancelled", "to": moved["id"], "updated_at": _now()})
    world.store.put(BOOKING, moved)
    if deliver:
        tell(world, "BOOKING_RESCHEDULED", moved)
    return moved


def tell(world: World, trigger: str, booking: Document) -> None:
    world.deliver_calcom(event_body(world, trigger, booking))


def event_body(world: World, trigger: str, booking: Document) -> dict[str, Any]:
    """The delivery about this booking as it is now, as webhook version 2021-10-20 has it."""
    return {"triggerEvent": trigger, "createdAt": booking["updated_at"], "payload": _payload(world, booking, trigger)}


def _payload(world: World, booking: Document, trigger: str) -> dict[str, Any]:
    event_type = world.store.get(EVENT_TYPE, booking["event_type"]) or {}
    attendee, zone = booking["attendee"], booking["attendee"].get("timeZone") or "UTC"
    extra: dict[str, Any] = {}
    if trigger == "BOOKING_CANCELLED":
        extra = {"cancelledBy": booking["ended_by"], "cancellationReason": booking["reason"]}
    elif booking["from"]:
        old = world.store.get(BOOKING, booking["from"]) or booking
        extra = {"rescheduleUid": old["id"], "rescheduleStartTime": old["start"], "rescheduleEndTime": old["end"]}
    return {
        "type": "consultation",
        "title": f"Consultation between {event_type.get('host_name')} and {attendee['name']}",
        "startTime": booking["start"],
        "endTime": booking["end"],
        "organizer": {
            "id": booking["host_id"],
            "name": booking.get("host_name") or event_type.get("host_name"),
            "email": booking.get("host_email") or event_type.get("host_email"),
            "timeZone": event_type.get("time_zone"),
        },
        "attendees": [
            {"name": one["name"], "email": one["email"], "timeZone": one.get("timeZone") or zone}
            for one in people(booking)
        ],
        "seatsPerTimeSlot": event_type.get("seats"),
        "responses": {name: {"label": name, "value": attendee[name], "isHidden": False} for name in ("name", "email")},
        "location": "1 Example Street, Springfield",
        "eventTypeId": int(booking["event_type"]),
        "uid": booking["id"],
        "bookingId": booking["number"],
        "price": 0,
        "currency": "usd",
        "length": event_type.get("minutes"),
        "metadata": booking["metadata"],
        "status": booking["status"].upper(),
        **extra,
    }


def answer(world: World, booking: Document) -> dict[str, Any]:
    """The booking as the API shows it."""
    event_type = world.store.get(EVENT_TYPE, booking["event_type"]) or {}
    host_email = booking.get("host_email") or event_type.get("host_email")
    optional = {
        "recurringBookingUid": booking.get("series"),
        "rescheduledFromUid": booking["from"],
        "rescheduledToUid": booking["to"],
        "cancelledByEmail": booking["ended_by"],
        "cancellationReason": booking["reason"],
    }
    return {
        "id": booking["number"],
        "uid": booking["id"],
        "title": "Consultation",
        "description": "",
        "hosts": [
            {
                "id": booking["host_id"],
                "name": booking.get("host_name") or event_type.get("host_name"),
                "email": host_email,
                "displayEmail": host_email,
                "username": "demo",
                "timeZone": event_type.get("time_zone"),
            }
        ],
        "status": booking["status"],
        "start": booking["start"],
        "end": booking["end"],
        "duration": event_type.get("minutes"),
        "eventTypeId": int(booking["event_type"]),
        "eventType": {"id": int(booking["event_type"]), "slug": "consultation"},
        "location": "1 Example Street, Springfield",
        "absentHost": False,
        "createdAt": booking["created_at"],
        "updatedAt": booking["updated_at"],
        "metadata": booking["metadata"],
        "attendees": [_attendee(one, bool(event_type.get("seats"))) for one in people(booking)],
        **({} if event_type.get("seats") else {"bookingFieldsResponses": _responses(booking["attendee"])}),
        **{name: value for name, value in optional.items() if value is not None},
    }


def _attendee(person: Mapping[str, Any], seated: bool) -> dict[str, Any]:
    return {
        "name": person["name"],
        "email": person["email"],
        "displayEmail": person["email"],
        "timeZone": person["timeZone"],
        "absent": bool(person.get("absent")),
        **({"seatUid": person.get("seat") or "seat", "bookingFieldsResponses": _responses(person)} if seated else {}),
    }


def _responses(person: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": person["name"], "email": person["email"]}


def _at(day: date, clock: str, zone: ZoneInfo) -> datetime:
    midnight = datetime.combine(day, time(), zone)
    return (midnight + timedelta(hours=int(clock[:2]), minutes=int(clock[3:]))).astimezone(UTC)


def _read(at: str) -> datetime:
    return datetime.fromisoformat(at)


def _now() -> str:
    return _text(datetime.now(UTC))


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
