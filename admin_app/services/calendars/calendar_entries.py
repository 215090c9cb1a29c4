"""What Calendly and Cal.com say of an appointment, in one form, and what keeps it from being applied."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from admin_app.integrations.calendar_ports import CalendarAttendee, CalendarHost
from models.bookings import BookingSource, BookingStatus, CanceledBecause

SPOKEN: Mapping[BookingSource, str] = {BookingSource.CALENDLY: "Calendly", BookingSource.CALCOM: "Cal.com"}


@dataclass(frozen=True)
class Entry:
    """An appointment under one id of the provider, as far as a delivery or an answer tells.

    `previous` and `following` are the ids before and after a reschedule; `moved` says that there is one after, even
    where it is not named. `columns` are the booking's ids there while this entry is its last.

    `attendees` are everybody when it is `complete`, else those whom it names. One that is `shared` is an event that
    several invitees have a place in, each with an id of their own; one that is `seated` has one id and a seat for each.
    `known_as` are more ids under which it is known.
    """

    source: BookingSource
    id: str
    previous: str | None
    following: str | None
    moved: bool
    starts_at: datetime
    ends_at: datetime
    email: str | None
    name: str
    time_zone: str | None
    awaits_host: bool
    canceled_at: datetime | None
    canceled_because: CanceledBecause | None
    our_id: int | None
    columns: Mapping[str, str]
    told_at: datetime | None = None
    asked_at: datetime | None = None
    attendees: tuple[CalendarAttendee, ...] = ()
    complete: bool = False
    host: CalendarHost | None = None
    event_type_id: str | None = None
    shared: bool = False
    seated: bool = False
    known_as: tuple[str, ...] = ()

    @cached_property
    def ids(self) -> list[str]:
        of_attendees = [attendee.id for attendee in self.attendees] if self.shared else []
        every = (self.id, self.previous, self.following, *of_attendees, *self.known_as)
        return [*dict.fromkeys(identity for identity in every if identity)]

    @cached_property
    def has_places(self) -> bool:
        """Whether each attendee has a place of their own, which they may give up while the others come."""
        return self.shared or self.seated

    @cached_property
    def locks(self) -> set[str]:
        """What two entries have in common that are about one appointment."""
        event = self.columns.get("calendly_event_uri")
        return {*self.ids, *([event] if event else [])}

    @cached_property
    def at(self) -> datetime | None:
        """When it was so."""
        return self.asked_at or self.told_at

    @cached_property
    def ended_at(self) -> datetime | None:
        """Since when it is off: it was canceled, or the last who came has left."""
        left = [attendee.gone_at for attendee in self.attendees]
        gone = [moment for moment in left if moment is not None]
        return self.canceled_at or (max(gone) if gone and len(gone) == len(left) else None)

    @cached_property
    def status(self) -> BookingStatus:
        if self.ended_at is not None:
            return BookingStatus.CANCELED
        return BookingStatus.PENDING if self.awaits_host else BookingStatus.CONFIRMED


class Waits(Exception):
    """The event waits for a person or for another event, and nothing of it is applied; the rest as of `Parked`."""

    def __init__(self, because: str, waits_for: str | None = None, again_at: datetime | None = None) -> None:
        self.because, self.waits_for, self.again_at = because, waits_for, again_at
        super().__init__(because)


def question(asked_at: datetime, identity: str) -> str:
    """What a handler needs: an id, and the moment since which the answer holds."""
    return f"{asked_at.isoformat()} {identity}"


def asked(needed: str) -> tuple[datetime, str]:
    """The two parts of a question."""
    asked_at, _, identity = needed.partition(" ")
    return datetime.fromisoformat(asked_at), identity
