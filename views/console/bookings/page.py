"""What the page of a booking or meeting shows besides its facts: its state in a sentence, its money, its story."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from admin_app.services.appointments import Kind, timeline
from admin_app.services.appointments.timeline import Moment
from views.backdesk import backdesk
from views.console.bookings import people, state
from views.console.framework.columns import audited, machine_time, time_text
from views.console.framework.current_staff import Viewer, zone_of
from views.console.schedule import week

SIGNS = {"act": "user", "mail": "mail", "event": "inbox", "call": "send"}
MONEY_SIGNS = {"payment": "credit-card", "refund": "arrow-back-up"}
TONES = {
    "failed": "bad",
    "unknown": "bad",
    "parked": "warn",
    "intended": "warn",
    "queued": "warn",
    "sending": "warn",
    "received": "warn",
}


def appointment_page(
    session: Session, kind: Kind, number: int, values: Mapping[str, Any], viewer: Viewer
) -> dict[str, Any]:
    """Everything that the template shows besides the record's own page; one query, two where a calendar keeps it."""
    now, zone = backdesk().db.clock(), viewer.zone
    story = timeline.read(session, kind, number, made_at=values["created_at"])
    what = state.Appointment.of(values)
    paid_there, everybody = people.shown(session, number, values, zone) if kind == "booking" else ([], [])
    return {
        "state": state.state_sentence(what, now, zone),
        "failures": _failures(story.moments),
        "money": [*state.money_sentences(what, story.payments, story.refunds, now, zone), *paid_there],
        "people": everybody,
        "story": [_shown(moment, viewer) for moment in story.moments],
        "cut": story.cut,
        "calendar": _calendar(values),
        "others": _others(kind, values),
    }


def _failures(moments: Iterable[Moment]) -> list[state.Sentence]:
    """What about this failed, or may have, and waits for a person: a calendar that was not told, a mail."""
    waiting = (moment for moment in moments if moment.attention)
    return [state.Sentence(f"{moment.title}.", "bad", *reversed(audited(moment.record))) for moment in waiting]


def _calendar(values: Mapping[str, Any]) -> str:
    """The week of the practitioner in which this stands."""
    starts_at = values["starts_at"].astimezone(zone_of(values["time_zone"]))
    query = {"practitioner": values["practitioner_id"], "week": week.name_of(starts_at.date())}
    return f"/admin/calendar/?{urlencode(query)}"


def _others(kind: Kind, values: Mapping[str, Any]) -> str:
    """Everything that was booked with the same address; nothing where none is known."""
    email = values["client_email" if kind == "booking" else "guest_email"]
    return f"/admin/{kind}s/?{urlencode({'email': email})}" if email else ""


def _shown(moment: Moment, viewer: Viewer) -> dict[str, Any]:
    about = moment.record.partition(":")[0]
    name, href = audited(moment.record) if moment.record else ("", "")
    return {
        "time": time_text(moment.at, viewer.zone),
        "machine_time": machine_time(moment.at),
        "sign": MONEY_SIGNS.get(about) or SIGNS[moment.kind],
        "title": moment.title,
        "who": moment.who,
        "name": name,
        "href": href,
        "state": moment.state.replace("_", " "),
        "tone": TONES.get(moment.state, "plain"),
        "reason": moment.reason,
        "changes": moment.changes,
        "quiet": moment.quiet,
    }
