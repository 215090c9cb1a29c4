"""A `CalcomPort` in the test's own process, with memory: what happens there, and what our calls do there."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from admin_app.errors import ProviderRefused, ProviderUnavailable
from admin_app.integrations.calendar_ports import CalcomBooking, CalendarAttendee

HOUR = timedelta(hours=1)


def attendee(email: str) -> CalendarAttendee:
    return CalendarAttendee(email, email.partition("@")[0], email, "UTC")


@dataclass
class CalcomTwin:
    """`undelivered` are uids of which a delivery is on its way; the next of our calls meets the first of `faults`."""

    clock: Callable[[], datetime]
    bookings: dict[str, CalcomBooking] = field(default_factory=dict)
    undelivered: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def put(self, booking: CalcomBooking) -> CalcomBooking:
        """It is so from now on, and a delivery tells of it."""
        self.bookings[booking.uid] = replace(booking, updated_at=self.clock())
        self.undelivered.append(booking.uid)
        return booking

    def active(self) -> list[CalcomBooking]:
        return [booking for booking in self.bookings.values() if booking.active]

    def is_free(self, host: str, at: datetime, but: str | None = None) -> bool:
        return all((one.host_id, one.starts_at) != (host, at) or one.uid == but for one in self.active())

    def book(self, host: str, at: datetime, email: str, *, our_id: int | None = None) -> CalcomBooking:
        return self.put(
            CalcomBooking(
                uid=f"uid{len(self.bookings)}",
                status="accepted",
                starts_at=at,
                ends_at=at + HOUR,
                event_type_id=host,
                attendee_email=None,
                attendee_name=None,
                our_id=our_id,
                rescheduled_from_uid=None,
                host_id=host,
                host_email=f"host{host}@practice.example",
                attendees=(attendee(email),),
                seated=True,
            )
        )

    def give_to(self, booking: CalcomBooking, host: str, **more: Any) -> CalcomBooking:
        return self.put(replace(booking, host_id=host, host_email=f"host{host}@practice.example", **more))

    # -- what our calls do there --------------------------------------------------------------------------------------

    def _may_fail(self) -> None:
        fault = self.faults.pop(0) if self.faults else None
        if fault == "refused":
            raise ProviderRefused("calcom", "no_available_users_found_error")
        if fault == "busy":
            raise ProviderUnavailable("calcom")

    def booking(self, uid: str) -> CalcomBooking | None:
        return self.bookings.get(uid)

    def find_booking(self, *, email: str, booking_id: int) -> CalcomBooking | None:
        return next((one for one in self.bookings.values() if one.our_id == booking_id), None)

    def create_booking(self, *, event_type_id: str, starts_at: datetime, email: str, booking_id: int, **_: Any) -> Any:
        self._may_fail()
        if not self.is_free(event_type_id, starts_at):
            raise ProviderRefused("calcom", "no_available_users_found_error")
        return self.book(event_type_id, starts_at, email, our_id=booking_id)

    def cancel_booking(self, uid: str, reason: str) -> None:
        self._may_fail()
        if self.bookings[uid].active:
            self.put(replace(self.bookings[uid], status="cancelled"))

    def reschedule_booking(self, uid: str, starts_at: datetime, reason: str) -> CalcomBooking:
        self._may_fail()
        before = self.bookings[uid]
        if not self.is_free(before.host_id or "", starts_at, uid):
            raise ProviderRefused("calcom", "no_available_users_found_error")
        return self.move(before, starts_at)

    def move(self, before: CalcomBooking, starts_at: datetime) -> CalcomBooking:
        """To a booking with a new uid."""
        after = f"uid{len(self.bookings)}"
        self.bookings[before.uid] = replace(before, status="cancelled", rescheduled_to_uid=after)
        there = {"starts_at": starts_at, "ends_at": starts_at + HOUR, "rescheduled_from_uid": before.uid}
        return self.put(replace(before, uid=after, **there))  # type: ignore[arg-type]
