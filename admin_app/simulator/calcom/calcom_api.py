"""Cal.com's API under /calcom/v2, for the calls that the product makes."""

import hmac
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Blueprint, Response, jsonify, request

from admin_app.simulator.calcom import calcom_records as records
from admin_app.simulator.store import Document
from admin_app.simulator.world import World

_SLOTS_VERSION, _BOOKINGS_VERSIONS = "2024-09-04", ("2024-08-13", "2026-02-25")
_CODES = {400: "BadRequestException", 401: "UnauthorizedException", 404: "NotFoundException"}


class _Failed(Exception):
    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message


def blueprint(world: World) -> Blueprint:
    routes = Blueprint("calcom", __name__, url_prefix="/calcom/v2")
    _guarded(routes, world)
    _bookings(routes, world)

    @routes.get("/slots")
    def slots() -> Response:
        event_type = _event_type(world, request.args.get("eventTypeId"))
        zone = _zone(request.args.get("timeZone", "UTC"))
        days: defaultdict[str, list[Any]] = defaultdict(list)
        ranges = request.args.get("format") == "range"
        for start, end in records.free(world, event_type, _time("start"), _time("end")):
            begins, ends = (at.astimezone(zone).isoformat(timespec="milliseconds") for at in (start, end))
            days[begins[:10]].append({"start": begins, "end": ends} if ranges else {"start": begins})
        if request.headers.get("cal-api-version") != _SLOTS_VERSION:
            # Silently the older form, as Cal.com does it.
            older = {day: [{"time": slot["start"]} for slot in listed] for day, listed in days.items()}
            return jsonify({"status": "success", "data": {"slots": older}})
        return jsonify({"status": "success", "data": days})

    return routes


def _bookings(routes: Blueprint, world: World) -> None:
    @routes.post("/bookings")
    def create() -> tuple[Response, int]:
        wanted = _body()
        attendee = wanted.get("attendee")
        if not isinstance(attendee, dict) or not all(attendee.get(name) for name in ("name", "email", "timeZone")):
            raise _Failed(400, "attendee.name, attendee.email and attendee.timeZone are needed")
        _zone(str(attendee["timeZone"]))
        event_type = _event_type(world, wanted.get("eventTypeId"))
        metadata = wanted.get("metadata") or {}
        made = _free_or_refused(
            lambda: records.book(
                world, event_type, starts_at=_stated(wanted.get("start")), attendee=attendee, metadata=metadata
            )
        )
        return _one(world, made), 201

    @routes.get("/bookings")
    def listed() -> Response:
        return _page([records.answer(world, one) for one in _wanted(world.store.all(records.BOOKING))])

    @routes.get("/bookings/<uid>")
    def booking(uid: str) -> Response:
        series = [one for one in world.store.all(records.BOOKING) if one.get("series") == uid]
        if series:
            return jsonify({"status": "success", "data": [records.answer(world, one) for one in series]})
        return _one(world, _booking(world, uid))

    @routes.post("/bookings/<uid>/cancel")
    def cancel(uid: str) -> Response:
        reason = _body().get("cancellationReason")
        found = _booking(world, uid)
        host = (world.store.get(records.EVENT_TYPE, found["event_type"]) or {}).get("host_email", "")
        try:
            return _one(world, records.cancel(world, found, by=host, reason=reason))
        except records.NotActive:
            raise _Failed(400, f"Can't cancel booking with uid={uid} because it has been cancelled already") from None

    @routes.post("/bookings/<uid>/reschedule")
    def reschedule(uid: str) -> tuple[Response, int]:
        found, starts_at = _booking(world, uid), _stated(_body().get("start"))
        return _one(world, _free_or_refused(lambda: records.reschedule(world, found, starts_at))), 201


def _free_or_refused(act: Any) -> Document:
    try:
        made: Document = act()
    except records.NotFree:
        raise _Failed(400, "no_available_users_found_error") from None
    except records.NotActive:
        raise _Failed(400, "Can't reschedule a booking that has been cancelled") from None
    return made


def _guarded(routes: Blueprint, world: World) -> None:
    """The key, the version, the faults that are switched on, and errors in Cal.com's form."""

    @routes.errorhandler(_Failed)
    def failed(error: _Failed) -> tuple[Response, int]:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        told = {"code": _CODES[error.status], "message": error.message, "details": {"statusCode": error.status}}
        return jsonify({"status": "error", "timestamp": now, "path": request.path, "error": told}), error.status

    @routes.before_request
    def guard() -> Response | None:
        wanted, given = world.settings.calcom_api_key, request.headers.get("Authorization", "")
        if not wanted or not hmac.compare_digest(f"Bearer {wanted}".encode(), given.encode()):
            raise _Failed(401, "Invalid API Key")
        if "/bookings" in request.path and request.headers.get("cal-api-version") not in _BOOKINGS_VERSIONS:
            raise _Failed(404, f"Cannot {request.method} {request.path}")  # the older version has no such address
        return world.faults.before("calcom", request)

    @routes.after_request
    def leave(response: Response) -> Response:
        return world.faults.after(request, response)


def _one(world: World, booking: Document) -> Response:
    return jsonify({"status": "success", "data": records.answer(world, booking)})


def _page(found: list[dict[str, Any]]) -> Response:
    take, skip = _number("take", 100), _number("skip", 0)
    shown = found[skip : skip + take]
    pagination = {
        "totalItems": len(found),
        "remainingItems": max(0, len(found) - skip - len(shown)),
        "returnedItems": len(shown),
        "itemsPerPage": take,
        "currentPage": skip // take + 1,
        "totalPages": -(-len(found) // take),
        "hasNextPage": skip + take < len(found),
        "hasPreviousPage": skip > 0,
    }
    return jsonify({"status": "success", "data": shown, "pagination": pagination})


def _wanted(found: list[Document]) -> list[Document]:
    """Those that are asked for, in the order that is asked for."""
    email, after = request.args.get("attendeeEmail"), request.args.get("afterStart")
    if email:
        found = [one for one in found if email.lower() in (each["email"].lower() for each in records.people(one))]
    if after:
        found = [one for one in found if _stated(one["start"]) > _stated(after)]
    if request.args.get("sortStart"):
        found = sorted(found, key=lambda one: _stated(one["start"]))
    descends = "desc" in (request.args.get("sortCreated"), request.args.get("sortStart"))
    return found[::-1] if descends else found


def _number(name: str, default: int) -> int:
    given = request.args.get(name, str(default))
    if not given.isdecimal() or (name == "take" and not 0 < int(given) <= 250):
        raise _Failed(400, f"{name} must be a number")
    return int(given)


def _body() -> Mapping[str, Any]:
    body = request.get_json(silent=True)
    return body if isinstance(body, dict) else {}


def _event_type(world: World, given: Any) -> Document:
    found = world.store.get(records.EVENT_TYPE, str(given))
    if found is None:
        raise _Failed(404, f"Event type with id={given} not found")
    return found


def _booking(world: World, uid: str) -> Document:
    found = world.store.get(records.BOOKING, uid)
    if found is None:
        raise _Failed(404, f"Booking with uid={uid} was not found in the database")
    return found


def _time(name: str) -> datetime:
    return _stated(request.args.get(name))


def _stated(given: Any) -> datetime:
    try:
        stated = datetime.fromisoformat(str(given))
    except ValueError:
        raise _Failed(400, f"{given} is not a date") from None
    return stated.astimezone(UTC) if stated.tzinfo else stated.replace(tzinfo=UTC)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _Failed(400, f"{name} is not a time zone") from None
