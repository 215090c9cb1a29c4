"""Calendly's API under /calendly, for the calls that the product makes."""

import hmac
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request

from admin_app.simulator.calendly import calendly_records as records
from admin_app.simulator.store import Document
from admin_app.simulator.world import World

_LARGEST_PAGE = 100


class _Failed(Exception):
    def __init__(self, status: int, title: str, message: str, *parameters: str) -> None:
        details = [{"parameter": name, "message": "is invalid"} for name in parameters]
        self.status = status
        self.body = {"title": title, "message": message, **({"details": details} if details else {})}


def blueprint(world: World) -> Blueprint:
    routes = Blueprint("calendly", __name__, url_prefix="/calendly")
    _guarded(routes, world)

    @routes.get("/users/me")
    def me() -> Response:
        return jsonify({"resource": records.user_answer()})

    @routes.get("/event_types")
    def event_types() -> Response:
        owners = {records.HOST, records.ORGANIZATION}
        if not owners & {request.args.get("user"), request.args.get("organization")}:
            raise _Failed(400, "Invalid Argument", "The supplied parameters are invalid.", "user", "organization")
        return _page([records.event_type_answer(kind) for kind in world.store.all(records.EVENT_TYPE)])

    @routes.get("/scheduled_events")
    def events() -> Response:
        owners = {records.HOST, records.ORGANIZATION}
        if not owners & {request.args.get("user"), request.args.get("organization")}:
            raise _Failed(400, "Invalid Argument", "The supplied parameters are invalid.", "user", "organization")
        together: dict[str, list[Document]] = {}
        for one in _within(world.store.all(records.INVITEE)):
            together.setdefault(one["event"], []).append(one)
        return _page([records.event_answer(world, those[-1], those) for those in together.values()])

    @routes.get("/scheduled_events/<event_id>")
    def event(event_id: str) -> Response:
        return jsonify({"resource": records.event_answer(world, _event(world, event_id))})

    @routes.get("/scheduled_events/<event_id>/invitees")
    def invitees(event_id: str) -> Response:
        _event(world, event_id)
        return _page([records.invitee_answer(one) for one in records.in_event(world, event_id)])

    @routes.get("/scheduled_events/<event_id>/invitees/<invitee_id>")
    def invitee(event_id: str, invitee_id: str) -> Response:
        found = world.store.get(records.INVITEE, invitee_id)
        if found is None or found["event"] != event_id:
            raise _nothing()
        return jsonify({"resource": records.invitee_answer(found)})

    @routes.post("/scheduled_events/<event_id>/cancellation")
    def cancel(event_id: str) -> tuple[Response, int]:
        found, wanted = _event(world, event_id), request.get_json(silent=True)
        reason = wanted.get("reason") if isinstance(wanted, dict) else None
        if datetime.fromisoformat(found["starts_at"]) <= datetime.now(UTC):
            raise _Failed(403, "Permission Denied", "Event in the past")
        coming = [one for one in records.in_event(world, event_id) if not one["canceled"]]
        if not coming:
            raise _Failed(403, "Permission Denied", "Event is already canceled")
        canceled = [records.cancel(world, one, by="host", reason=reason) for one in coming][-1]
        told = {name: canceled["canceled"][name] for name in ("canceled_by", "reason", "canceler_type")}
        return jsonify({"resource": told}), 201

    return routes


def _guarded(routes: Blueprint, world: World) -> None:
    """The token, the faults that are switched on, and errors in Calendly's form."""

    @routes.errorhandler(_Failed)
    def failed(error: _Failed) -> tuple[Response, int]:
        return jsonify(error.body), error.status

    @routes.before_request
    def guard() -> Response | None:
        wanted, given = world.settings.calendly_token, request.headers.get("Authorization", "")
        if not wanted or not hmac.compare_digest(f"Bearer {wanted}".encode(), given.encode()):
            raise _Failed(401, "Unauthenticated", "The access token is invalid")
        return world.faults.before("calendly", request)

    @routes.after_request
    def leave(response: Response) -> Response:
        return world.faults.after(request, response)


def _within(invitees: list[Document]) -> list[Document]:
    """Those whose event begins within what is asked for, in the order that is asked for."""
    after, before, status, order = (
        request.args.get(name) for name in ("min_start_time", "max_start_time", "status", "sort")
    )
    found = [
        one
        for one in invitees
        if (after is None or _read(one["starts_at"]) > _read(after))
        and (before is None or _read(one["starts_at"]) < _read(before))
        and (status is None or (status == "canceled") == bool(one["canceled"]))
    ]
    return sorted(found, key=lambda one: _read(one["starts_at"]), reverse=order == "start_time:desc")


def _read(moment: str) -> datetime:
    try:
        return datetime.fromisoformat(moment)
    except ValueError:
        raise _Failed(400, "Invalid Argument", "The supplied parameters are invalid.", "min_start_time") from None


def _event(world: World, event_id: str) -> Document:
    found = records.by_event(world, event_id)
    if found is None:
        raise _nothing()
    return found


def _nothing() -> _Failed:
    return _Failed(404, "Resource Not Found", "The server could not find the requested resource.")


def _page(found: list[dict[str, Any]]) -> Response:
    """One page; its token is the position of the next."""
    count, token = request.args.get("count", "20"), request.args.get("page_token", "0")
    if not (count.isdecimal() and 0 < int(count) <= _LARGEST_PAGE):
        raise _Failed(400, "Invalid Argument", "The supplied parameters are invalid.", "count")
    if not token.isdecimal():
        raise _Failed(400, "Invalid Argument", "The supplied parameters are invalid.", "page_token")
    start, end = int(token), int(token) + int(count)
    following = str(end) if end < len(found) else None
    page = f"{records.API}{request.path.removeprefix('/calendly')}?count={count}&page_token={following}"
    return jsonify(
        {
            "collection": found[start:end],
            "pagination": {
                "count": len(found[start:end]),
                "next_page": page if following else None,
                "previous_page": None,
                "next_page_token": following,
                "previous_page_token": None,
            },
        }
    )
