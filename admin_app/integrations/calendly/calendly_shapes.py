"""The shapes in which Calendly describes invitees and their events, read into one.

Every id is a URI of api.calendly.com, whatever server answers.
"""

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

from admin_app.integrations.calendar_ports import CalendarHost, CalendarPayment, CalendlyEventType, CalendlyInvitee
from admin_app.integrations.http import fields

_INVITEE = re.compile(r"https?://[^/]+(?:/[^/]+)*?/scheduled_events/([\w-]+)/invitees/([\w-]+)", re.ASCII)
_LAST = re.compile(r"https?://.*/([\w-]+)", re.ASCII)


def invitee_ids(uri: str) -> tuple[str, str] | None:
    """The event's and the invitee's own id."""
    found = _INVITEE.fullmatch(uri)
    return (found[1], found[2]) if found else None


def last_id(uri: str) -> str | None:
    """What the URI ends in: the id within its kind."""
    found = _LAST.fullmatch(uri)
    return found[1] if found else None


def invitee(data: Mapping[str, Any], event: Mapping[str, Any]) -> CalendlyInvitee | None:
    """An invitee with their event; None when it is not said who and when."""
    uri, event_uri = fields.text(data.get("uri")), fields.text(event.get("uri")) or fields.text(data.get("event"))
    email = fields.email(data.get("email"))
    starts_at, ends_at = fields.moment(event.get("start_time")), fields.moment(event.get("end_time"))
    if not (uri and event_uri and invitee_ids(uri) and email and starts_at and ends_at and starts_at < ends_at):
        return None
    event_id, cancellation = last_id(event_uri), _cancellation(data, event)
    if event_id is None:
        return None
    canceled = fields.text(data.get("status")) == "canceled" or fields.text(event.get("status")) == "canceled"
    return CalendlyInvitee(
        uri=uri,
        event_uri=event_uri,
        event_id=event_id,
        event_type_uri=fields.text(event.get("event_type")),
        name=_name(data) or email,
        email=email,
        time_zone=fields.text(data.get("timezone")),
        starts_at=starts_at,
        ends_at=ends_at,
        canceled=canceled,
        canceled_at=fields.moment(cancellation.get("created_at")) if canceled else None,
        canceler=_canceler(cancellation) if canceled else None,
        rescheduled=bool(fields.flag(data.get("rescheduled"))),
        old_invitee_uri=fields.text(data.get("old_invitee")),
        new_invitee_uri=fields.text(data.get("new_invitee")),
        host=_host(event),
        places=_whole(fields.mapping(event.get("invitees_counter")).get("limit")),
        since=fields.moment(data.get("created_at")),
        absent=data["no_show"] is not None if "no_show" in data else None,
        paid=_payment(fields.mapping(data.get("payment"))),
    )


def _host(event: Mapping[str, Any]) -> CalendarHost | None:
    """In whose calendar it is; of several who come together none is named before the others."""
    members = [fields.mapping(member) for member in fields.items(event.get("event_memberships"))]
    if len(members) != 1:
        return None
    return CalendarHost(fields.text(members[0].get("user")), fields.email(members[0].get("user_email")))


def _payment(data: Mapping[str, Any]) -> CalendarPayment | None:
    """What was paid there. The amount comes in major units; each of Calendly's currencies has hundredths."""
    amount, currency = fields.number(data.get("amount")), fields.text(data.get("currency"))
    if amount is None or amount <= 0 or currency is None or fields.flag(data.get("successful")) is False:
        return None
    hundredths = int((Decimal(str(amount)) * 100).to_integral_value(ROUND_HALF_UP))
    return CalendarPayment(hundredths, currency.lower(), fields.text(data.get("provider")))


def _whole(value: Any) -> int | None:
    number = fields.number(value)
    return None if number is None else int(number)


def _name(data: Mapping[str, Any]) -> str | None:
    names = (fields.text(data.get("first_name")), fields.text(data.get("last_name")))
    return fields.text(data.get("name")) or " ".join(filter(None, names)) or None


def _cancellation(data: Mapping[str, Any], event: Mapping[str, Any]) -> Mapping[str, Any]:
    return fields.mapping(data.get("cancellation") or event.get("cancellation"))


def _canceler(cancellation: Mapping[str, Any]) -> Literal["host", "invitee"] | None:
    match cancellation.get("canceler_type"):
        case "host":
            return "host"
        case "invitee":
            return "invitee"
    return None


def event_type(data: Mapping[str, Any]) -> CalendlyEventType | None:
    """What can be booked there; None without an id or a length."""
    uri, minutes = fields.text(data.get("uri")), fields.number(data.get("duration"))
    identity = last_id(uri) if uri else None
    if uri is None or identity is None or minutes is None or minutes <= 0:
        return None
    return CalendlyEventType(
        uri=uri,
        id=identity,
        name=fields.text(data.get("name")) or "",
        minutes=int(minutes),
        active=bool(fields.flag(data.get("active"))),
        scheduling_url=fields.text(data.get("scheduling_url")),
        owner_name=fields.text(fields.mapping(data.get("profile")).get("name")),
    )
