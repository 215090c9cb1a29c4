"""Lets things happen at the simulated Calendly, from the demo's commands and from tests."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from admin_app.simulator import control


def seed_event_types(simulator: str, event_types: Sequence[Mapping[str, Any]]) -> int:
    """Make Calendly know these (id, name, minutes, owner, active, places, host_email)."""
    return int(control.post(simulator, "calendly/event-types", list(event_types))["seeded"])


def seed_invitees(simulator: str, invitees: Sequence[Mapping[str, Any]]) -> int:
    """Make Calendly know these (id, event, event_type, email, name, time_zone, starts_at, ends_at)."""
    return control.seed(simulator, "calendly/known-invitees", invitees)


def book(
    simulator: str,
    *,
    event_type: str,
    starts_at: datetime,
    email: str,
    name: str = "Ada Guest",
    deliver: bool = True,
    **more: Any,
) -> dict[str, Any]:
    """Somebody books, with a `payment` or `host_email` where given; answers the invitee with `id`, `uri`, `event_uri`.

    Whoever books the time of an event with a place left comes to that one.
    """
    wanted = {"event_type": event_type, "starts_at": starts_at.isoformat(), "email": email, "name": name, **more}
    answer: dict[str, Any] = control.post(simulator, "calendly/invitees", wanted | {"deliver": deliver})
    return answer


def cancel(simulator: str, invitee_id: str, *, by: str = "invitee", deliver: bool = True) -> dict[str, Any]:
    wanted = {"by": by, "deliver": deliver}
    answer: dict[str, Any] = control.post(simulator, f"calendly/invitees/{invitee_id}/cancel", wanted)
    return answer


def reschedule(simulator: str, invitee_id: str, starts_at: datetime, *, deliver: bool = True) -> dict[str, Any]:
    """The invitee chooses another time; answers the new invitee."""
    wanted = {"starts_at": starts_at.isoformat(), "deliver": deliver}
    answer: dict[str, Any] = control.post(simulator, f"calendly/invitees/{invitee_id}/reschedule", wanted)
    return answer


def mark_no_show(simulator: str, invitee_id: str, *, absent: bool = True, deliver: bool = True) -> dict[str, Any]:
    """The host says that somebody did not come, or takes that back."""
    path = f"calendly/invitees/{invitee_id}/{'absent' if absent else 'came'}"
    answer: dict[str, Any] = control.post(simulator, path, {"deliver": deliver})
    return answer


def invitees(simulator: str) -> list[dict[str, Any]]:
    """Everybody who ever booked, oldest first."""
    listed: list[dict[str, Any]] = control.get(simulator, "calendly/invitees")
    return listed
