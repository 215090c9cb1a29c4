"""Lets things happen at the simulated Cal.com, from the demo's commands and from tests."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from admin_app.simulator import control


def seed_event_types(simulator: str, event_types: Sequence[Mapping[str, Any]]) -> int:
    """Make Cal.com know these (id, minutes, host_id, host_email, time_zone, hours, requires_confirmation, seats)."""
    return int(control.post(simulator, "calcom/event-types", list(event_types))["seeded"])


def seed_bookings(simulator: str, bookings: Sequence[Mapping[str, Any]]) -> int:
    """Make Cal.com know these (id, event_type, start, end, attendee, metadata) without telling anybody."""
    return control.seed(simulator, "calcom/known-bookings", bookings)


def make_busy(simulator: str, *, event_type: str, starts_at: datetime, ends_at: datetime) -> None:
    """The host is away meanwhile."""
    wanted = {"event_type": event_type, "starts_at": starts_at.isoformat(), "ends_at": ends_at.isoformat()}
    control.post(simulator, "calcom/busy", wanted)


def book(
    simulator: str,
    *,
    event_type: str,
    starts_at: datetime,
    email: str,
    name: str = "Ada Guest",
    time_zone: str = "America/New_York",
    recurrences: int = 1,
    deliver: bool = True,
) -> dict[str, Any]:
    """Somebody books at Cal.com itself, as often, a week apart; answers the (first) booking, whose uid is its `id`."""
    wanted: dict[str, Any] = {
        "event_type": event_type,
        "starts_at": starts_at.isoformat(),
        "email": email,
        "name": name,
    }
    wanted |= {"time_zone": time_zone, "recurrences": recurrences}
    answer: dict[str, Any] = control.post(simulator, "calcom/bookings", {**wanted, "deliver": deliver})
    return answer


def act(
    simulator: str,
    uid: str,
    what: str,
    *,
    by: str | None = None,
    starts_at: datetime | None = None,
    deliver: bool = True,
    **more: Any,
) -> dict[str, Any]:
    """Answers the booking. Acts, by the attendee unless `by` says another:

    cancel, cancel_remaining (of a series), reschedule and reassign (host_id, host_email, host_name), leave (email, of
    a seat), absent and came (email), accept, reject.
    """
    wanted = {"by": by, "starts_at": starts_at.isoformat() if starts_at else None, "deliver": deliver, **more}
    answer: dict[str, Any] = control.post(simulator, f"calcom/bookings/{uid}/{what}", wanted)
    return answer


def bookings(simulator: str, *, our_id: int | None = None) -> list[dict[str, Any]]:
    """Every booking there ever was, oldest first; of one booking here, by the number that it carries."""
    listed: list[dict[str, Any]] = control.get(simulator, "calcom/bookings")
    return [one for one in listed if our_id is None or one["metadata"].get("bookingId") == str(our_id)]
