"""What the product asks of Cal.com and Calendly, in its own words. Times are aware UTC."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal, Protocol

CalendarEventKind = Literal["requested", "created", "canceled", "rescheduled", "rejected", "no_show", "ignored"]


@dataclass(frozen=True)
class Slot:
    """A free time that can be booked."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class FreeTimes:
    """What Cal.com offers; `remembered` when it was asked some minutes ago."""

    slots: tuple[Slot, ...]
    remembered: bool


@dataclass(frozen=True)
class CalcomAccounts:
    """Cal.com users and event types that the settings give to practitioners, by the practitioner's number."""

    user_ids: Mapping[int, str] = field(default_factory=dict)
    event_types: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CalendarPayment:
    """What somebody paid in the calendar itself, in minor units; `through` is the calendar's payment provider."""

    amount: int
    currency: str
    through: str | None


@dataclass(frozen=True)
class CalendarAttendee:
    """Somebody who comes to an appointment, or who came until `gone_at`. Without an e-mail nobody can write to them.

    `id` tells them from the others: the invitee's URI at Calendly, what they booked with at Cal.com. `absent` is None
    where it is not said.
    """

    id: str
    name: str
    email: str | None
    time_zone: str | None = None
    since: datetime | None = None
    gone_at: datetime | None = None
    absent: bool | None = None
    paid: CalendarPayment | None = None


@dataclass(frozen=True)
class CalendarHost:
    """In whose calendar an appointment is."""

    id: str | None
    email: str | None


@dataclass(frozen=True)
class CalcomBooking:
    """A Cal.com booking as it is now. `our_id` is the booking's number here, when we made it.

    `attendees` are all who come now; who gave their seat up is not listed. `series_uid` is what the bookings of one
    series have in common.
    """

    uid: str
    status: str
    starts_at: datetime
    ends_at: datetime
    event_type_id: str | None
    attendee_email: str | None
    attendee_name: str | None
    our_id: int | None
    rescheduled_from_uid: str | None
    rescheduled_to_uid: str | None = None
    attendee_time_zone: str | None = None
    host_id: str | None = None
    host_email: str | None = None
    canceled_by: str | None = None
    updated_at: datetime | None = None
    attendees: tuple[CalendarAttendee, ...] = ()
    seated: bool = False
    series_uid: str | None = None

    @cached_property
    def coming(self) -> tuple[CalendarAttendee, ...]:
        """Everybody who comes, the first of them where only one is named."""
        if self.attendees or self.attendee_email is None:
            return self.attendees
        name, identity = self.attendee_name or self.attendee_email, self.attendee_email.lower()
        return (CalendarAttendee(identity, name, self.attendee_email, self.attendee_time_zone),)

    @cached_property
    def active(self) -> bool:
        return self.status in ("accepted", "pending")


@dataclass(frozen=True)
class CalcomEvent:
    """A verified Cal.com delivery; `previous_uid` is set on a reschedule, which gives the booking a new uid."""

    external_id: str
    type: str
    kind: CalendarEventKind
    occurred_at: datetime
    uid: str | None
    previous_uid: str | None
    event_type_id: str | None
    organizer_id: str | None
    organizer_email: str | None
    starts_at: datetime | None
    ends_at: datetime | None
    attendee_email: str | None
    attendee_name: str | None
    attendee_time_zone: str | None
    canceled_by: str | None
    our_id: int | None
    attendees: tuple[CalendarAttendee, ...] = ()
    seats: int | None = None


@dataclass(frozen=True)
class CalendlyEventType:
    """An event type as Calendly lists it; `id` is the last part of its `uri`."""

    uri: str
    id: str
    name: str
    minutes: int
    active: bool
    scheduling_url: str | None
    owner_name: str | None = None


@dataclass(frozen=True)
class CalendlyInvitee:
    """Somebody's place in a scheduled event, in one state of its life; a reschedule makes another one.

    `places` is how many the event has room for, where that is said.
    """

    uri: str
    event_uri: str
    event_id: str
    event_type_uri: str | None
    name: str
    email: str
    time_zone: str | None
    starts_at: datetime
    ends_at: datetime
    canceled: bool
    canceled_at: datetime | None
    canceler: Literal["host", "invitee"] | None
    rescheduled: bool
    old_invitee_uri: str | None
    new_invitee_uri: str | None
    host: CalendarHost | None = None
    places: int | None = None
    since: datetime | None = None
    absent: bool | None = None
    paid: CalendarPayment | None = None

    @property
    def has_company(self) -> bool:
        """Whether others may come to the same event."""
        return self.places is not None and self.places > 1


@dataclass(frozen=True)
class CalendlyEvent:
    """A verified Calendly delivery; `invitee` is None where it does not say when, as older ones, or is about none."""

    external_id: str
    type: str
    kind: CalendarEventKind
    occurred_at: datetime
    invitee_uri: str | None
    invitee: CalendlyInvitee | None


class CalcomPort(Protocol):
    """Raises ProviderRefused for a clear no, ProviderUnavailable when certainly nothing happened, and
    OutcomeUnknown when the call may have had its effect although no answer came."""

    def slots(self, event_type_id: str, start: datetime, end: datetime) -> FreeTimes:
        """What begins from start to end; raises ProviderUnavailable also while the circuit is open."""

    def create_booking(
        self,
        *,
        event_type_id: str,
        starts_at: datetime,
        name: str,
        email: str,
        time_zone: str,
        booking_id: int,
    ) -> CalcomBooking: ...

    def booking(self, uid: str) -> CalcomBooking | None: ...

    def series(self, series_uid: str) -> Sequence[CalcomBooking]:
        """Every booking of the series, in whatever state."""

    def find_booking(self, *, email: str, booking_id: int) -> CalcomBooking | None:
        """The one that an unanswered call may have made."""

    def bookings_from(self, moment: datetime) -> Iterator[CalcomBooking]:
        """Every booking that begins after this, in whatever state, page by page, by their beginning."""

    def cancel_booking(self, uid: str, reason: str) -> None:
        """One that is cancelled already is no error."""

    def reschedule_booking(self, uid: str, starts_at: datetime, reason: str) -> CalcomBooking:
        """Answers the booking under its new uid."""


class CalendlyPort(Protocol):
    """Errors as of CalcomPort."""

    def event_types(self) -> Sequence[CalendlyEventType]:
        """Every event type of the account's organization, or of the person where there is none."""

    def invitee(self, uri: str) -> CalendlyInvitee | None:
        """The invitee with its event, as it is now."""

    def invitees_of(self, event_uri: str) -> Sequence[CalendlyInvitee]:
        """Everybody who has or had a place in this event."""

    def invitees_from(self, moment: datetime) -> Iterator[CalendlyInvitee]:
        """Everybody who ever booked an event that begins after this, page by page, by its beginning."""

    def cancel_event(self, event_uri: str, reason: str) -> None:
        """One that is canceled already is no error."""
