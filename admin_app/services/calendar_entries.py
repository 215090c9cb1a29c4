"""What Calendly and Cal.com say of an appointment, in one form, and what keeps it from being applied."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from models.scheduling import BookingSource, BookingStatus, CanceledBecause

SPOKEN: Mapping[BookingSource, str] = {BookingSource.CALENDLY: "Calendly", BookingSource.CALCOM: "Cal.com"}


@dataclass(frozen=True)
class Entry:
    """An appointment under one id of the provider, as far as a delivery or an answer tells.

    `previous` and `following` are the ids before and after a reschedule; `moved` says that there is one after, even
    where it is not named. `columns` are the booking's ids there while this entry is its last.
    """

    source: BookingSource
    id: str
    previous: str | None
    following: str | None
    moved: bool
    starts_at: datetime
    ends_at: datetime
    email: str
    name: str
    time_zone: str | None
    awaits_host: bool
    canceled_at: datetime | None
    canceled_because: CanceledBecause | None
    our_id: int | None
    columns: Mapping[str, str]

    @property
    def ids(self) -> list[str]:
        return [identity for identity in (self.id, self.previous, self.following) if identity]

    @property
    def status(self) -> BookingStatus:
        if self.canceled_at is not None:
            return BookingStatus.CANCELED
        return BookingStatus.PENDING if self.awaits_host else BookingStatus.CONFIRMED


class Waits(Exception):
    """The event waits for a person or for another event, and nothing of it is applied."""

    def __init__(self, because: str) -> None:
        self.because = because
        super().__init__(because)
