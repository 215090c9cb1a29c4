"""The controls of the simulated calendars under /_sim: what their invitees and hosts do."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

from flask import Blueprint, Response, jsonify, request

from admin_app.simulator.calcom import calcom_records as calcom
from admin_app.simulator.calendly import calendly_records as calendly
from admin_app.simulator.store import Document
from admin_app.simulator.world import Refused, World, moment, text


def controls(routes: Blueprint, world: World) -> None:
    _calendly(routes, world)
    _calcom(routes, world)


def _calendly(routes: Blueprint, world: World) -> None:
    @routes.post("/calendly/event-types")
    def calendly_event_types() -> Response:
        return jsonify({"seeded": calendly.seed_event_types(world, _list())})

    @routes.post("/calendly/known-invitees")
    def calendly_known() -> Response:
        return jsonify({"seeded": calendly.seed_invitees(world, _list())})

    @routes.post("/calendly/invitees")
    def calendly_book() -> Response:
        return _invitee(calendly.book(world, _wanted()))

    @routes.post("/calendly/invitees/<invitee_id>/cancel")
    def calendly_cancel(invitee_id: str) -> Response:
        return _invitee(cancel_at_calendly(world, invitee_id, _wanted()))

    @routes.post("/calendly/invitees/<invitee_id>/reschedule")
    def calendly_reschedule(invitee_id: str) -> Response:
        return _invitee(calendly.reschedule(world, found(world, calendly.INVITEE, invitee_id), _wanted()))

    @routes.post("/calendly/invitees/<invitee_id>/<any(absent,came):act>")
    def calendly_no_show(invitee_id: str, act: str) -> Response:
        invitee, wanted = found(world, calendly.INVITEE, invitee_id), _wanted()
        return _invitee(calendly.mark_no_show(world, invitee, absent=act == "absent", deliver=_delivers(wanted)))

    @routes.get("/calendly/invitees")
    def calendly_invitees() -> Response:
        return jsonify([_told(one) for one in world.store.all(calendly.INVITEE)])


def cancel_at_calendly(world: World, invitee_id: str, wanted: Mapping[str, Any]) -> Document:
    invitee = found(world, calendly.INVITEE, invitee_id)
    by = text(wanted, "by") or "invitee"
    try:
        return calendly.cancel(world, invitee, by=by, reason=None, deliver=_delivers(wanted))
    except calendly.AlreadyCanceled:
        raise Refused("It is canceled already.") from None


def _calcom(routes: Blueprint, world: World) -> None:
    @routes.post("/calcom/event-types")
    def calcom_event_types() -> Response:
        return jsonify({"seeded": calcom.seed_event_types(world, _list())})

    @routes.post("/calcom/known-bookings")
    def calcom_known() -> Response:
        return jsonify({"seeded": calcom.seed_bookings(world, _list())})

    @routes.post("/calcom/busy")
    def calcom_busy() -> Response:
        return jsonify(calcom.make_busy(world, _wanted()))

    @routes.post("/calcom/bookings")
    def calcom_book() -> Response:
        return jsonify(book_at_calcom(world, _wanted()))

    @routes.post("/calcom/bookings/<uid>/<act>")
    def calcom_act(uid: str, act: str) -> Response:
        return jsonify(act_at_calcom(world, found(world, calcom.BOOKING, uid), act, _wanted()))

    @routes.get("/calcom/bookings")
    def calcom_bookings() -> Response:
        return jsonify(world.store.all(calcom.BOOKING))


def book_at_calcom(world: World, wanted: Mapping[str, Any]) -> Document:
    """Somebody books at Cal.com itself."""
    email = text(wanted, "email")
    if email is None:
        raise Refused("An email is needed.")
    attendee = {"email": email, "name": text(wanted, "name") or "Demo Client"}
    attendee["timeZone"] = text(wanted, "time_zone") or "Europe/Oslo"
    event_type, starts_at = found(world, calcom.EVENT_TYPE, str(wanted.get("event_type"))), moment(wanted, "starts_at")
    try:
        weeks = range(int(wanted.get("recurrences") or 1))
        series = f"series-{uuid4().hex}" if len(weeks) > 1 else None
        made = [
            calcom.book(
                world,
                event_type,
                starts_at=starts_at + week * timedelta(weeks=1),
                attendee=attendee,
                metadata={},
                deliver=_delivers(wanted),
                series=series,
            )
            for week in weeks
        ]
        return made[0]
    except calcom.NotFree:
        raise Refused("This time is not free.") from None


def act_at_calcom(world: World, booking: Document, act: str, wanted: Mapping[str, Any]) -> Document:
    deliver = _delivers(wanted)
    try:
        match act:
            case "cancel":
                by = text(wanted, "by") or booking["attendee"]["email"]
                return calcom.cancel(world, booking, by=by, reason=text(wanted, "reason"), deliver=deliver)
            case "reschedule":
                return calcom.reschedule(world, booking, moment(wanted, "starts_at"), wanted=wanted, deliver=deliver)
            case "cancel_remaining":
                by = text(wanted, "by") or booking["attendee"]["email"]
                return calcom.cancel_remaining(world, booking, by=by, deliver=deliver)
            case "leave":
                return calcom.leave(world, booking, text(wanted, "email") or "", deliver=deliver)
            case "reassign":
                return calcom.reassign(world, booking, wanted, deliver=deliver)
            case "absent" | "came":
                email = text(wanted, "email") or booking["attendee"]["email"]
                return calcom.mark_absent(world, booking, email, absent=act == "absent", deliver=deliver)
            case "accept" | "reject":
                return calcom.confirm(world, booking, accepts=act == "accept", deliver=deliver)
    except calcom.NotFree:
        raise Refused("This time is not free.") from None
    except calcom.NotActive:
        raise Refused("It is cancelled already.") from None
    raise Refused("act must be cancel, reschedule, accept, reject or another of the known ones.")


def _invitee(invitee: Document) -> Response:
    return jsonify(_told(invitee))


def _told(invitee: Document) -> dict[str, Any]:
    return {**invitee, "uri": calendly.uri(invitee), "event_uri": calendly.event_uri(invitee)}


def found(world: World, kind: str, identity: str) -> Document:
    document = world.store.get(kind, identity)
    if document is None:
        raise Refused("There is no such thing.")
    return document


def _delivers(wanted: Mapping[str, Any]) -> bool:
    return wanted.get("deliver", True) is True


def _wanted() -> Mapping[str, Any]:
    body = request.get_json(silent=True)
    return body if isinstance(body, dict) else {}


def _list() -> list[Mapping[str, Any]]:
    body = request.get_json(silent=True)
    if not isinstance(body, list) or not all(isinstance(item, dict) for item in body):
        raise Refused("A list of objects is needed.")
    return body
