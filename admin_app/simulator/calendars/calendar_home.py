"""The calendars' part of the simulator's home page: book, move and cancel as a client does."""

from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as WerkzeugResponse

from admin_app.simulator.calcom import calcom_records as calcom
from admin_app.simulator.calendars import calendar_panel
from admin_app.simulator.calendly import calendly_records as calendly
from admin_app.simulator.store import Document
from admin_app.simulator.world import Refused, World

_DAY = timedelta(days=1)


def forms(routes: Blueprint, world: World) -> None:
    @routes.post("/pages/calendars/book")
    def calendars_book_by_form() -> WerkzeugResponse:
        provider, _, identity = request.form.get("what", "").partition(":")
        wanted = {name: request.form.get(name) for name in ("name", "email", "starts_at")} | {"event_type": identity}
        if provider == "calendly":
            calendly.book(world, wanted)
        elif provider == "calcom":
            calendar_panel.book_at_calcom(world, wanted)
        else:
            raise Refused("what must be an event type of Calendly or Cal.com.")
        return redirect(url_for("panel.home"), 303)

    @routes.post("/pages/calendars/<provider>/<identity>/<act>")
    def calendars_act_by_form(provider: str, identity: str, act: str) -> WerkzeugResponse:
        if provider == "calendly":
            _act_at_calendly(world, identity, act)
        else:
            booking = calendar_panel.found(world, calcom.BOOKING, identity)
            calendar_panel.act_at_calcom(world, booking, act, {"starts_at": _later(booking["start"])})
        return redirect(url_for("panel.home"), 303)


def _act_at_calendly(world: World, identity: str, act: str) -> None:
    if act == "cancel":
        calendar_panel.cancel_at_calendly(world, identity, {})
    else:
        invitee = calendar_panel.found(world, calendly.INVITEE, identity)
        calendly.reschedule(world, invitee, {"starts_at": _later(invitee["starts_at"])})


def _later(at: str) -> str:
    return (datetime.fromisoformat(at) + _DAY).isoformat()


def overview(world: World, shown: int) -> dict[str, Any]:
    return {
        "calendar_offers": [*_offers(world)],
        "appointments": [
            *(_invitee(one) for one in world.store.newest(calendly.INVITEE, shown)),
            *(_booking(one) for one in world.store.newest(calcom.BOOKING, shown)),
        ],
    }


def _offers(world: World) -> list[tuple[str, str]]:
    return [
        *(
            (f"calendly:{kind['id']}", f"Calendly: {kind['name']}, {kind['owner']}")
            for kind in world.store.all(calendly.EVENT_TYPE)
        ),
        *(
            (f"calcom:{kind['id']}", f"Cal.com: {kind['minutes']} minutes, {kind['host_name']}")
            for kind in world.store.all(calcom.EVENT_TYPE)
        ),
    ]


def _invitee(one: Document) -> dict[str, Any]:
    canceled = one["canceled"]
    state = "moved" if one["new"] else "canceled" if canceled else "active"
    acts = () if canceled else (("cancel", "Cancel"), ("reschedule", "Move a day"))
    return _shown("calendly", "Calendly", one["id"], one["email"], one["starts_at"], state, acts)


def _booking(one: Document) -> dict[str, Any]:
    acts = {"accepted": ("cancel", "reschedule"), "pending": ("accept", "reject")}.get(one["status"], ())
    labels = {"cancel": "Cancel", "reschedule": "Move a day", "accept": "Accept", "reject": "Reject"}
    state = "moved" if one["to"] else one["status"]
    named = tuple((act, labels[act]) for act in acts)
    return _shown("calcom", "Cal.com", one["id"], one["attendee"]["email"], one["start"], state, named)


def _shown(
    provider: str, where: str, identity: str, email: str, at: str, state: str, acts: tuple[tuple[str, str], ...]
) -> dict[str, Any]:
    when = at[:16].replace("T", " ")
    return {
        "provider": provider,
        "where": where,
        "id": identity,
        "email": email,
        "at": when,
        "state": state,
        "acts": acts,
    }
