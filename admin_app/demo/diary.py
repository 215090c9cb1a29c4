"""Practitioners and what is booked with them: six months back and six ahead, no two appointments at the same time."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from admin_app.demo.clock import Stage
from admin_app.demo.names import Person
from models import (
    Booking,
    BookingSource,
    BookingStatus,
    CanceledBecause,
    Guest,
    Meeting,
    Organization,
    OrganizationKind,
    Practitioner,
    SessionType,
)

PERSONAL_ORGANIZATIONS, TEAMS = 36, 4
HALF_SPAN_DAYS = 182
HOURS = (8, 9, 10, 11, 13, 14, 15, 16)
PRACTITIONERS = (
    ("Dr. Ingrid Solheim", "Europe/Oslo"),
    ("Mateo Villanueva", "America/Bogota"),
    ("Dr. Adaeze Obi", "Africa/Lagos"),
    ("Hanako Mori", "Asia/Tokyo"),
    ("Declan Byrne", "Europe/Dublin"),
    ("Dr. Meera Raghavan", "Asia/Kolkata"),
    ("Sofia Lindgren", "Europe/Stockholm"),
    ("Andre Baptiste", "America/New_York"),
)
SESSIONS = (("First consultation", 60, 9500), ("Follow-up", 45, 7000), ("Short check-in", 25, 3500))
# Dear enough that a refund waits for a second person.
DEAR = ("Specialist assessment", 60, 32_000)
OFFER_DEAR = (1, 4)
# These are booked by Cal.com's free times, the others by the working hours kept here.
AT_CALCOM = range(1, 6)
TEAM_NAMES = ("Fjord Physio", "Northwind Coaching", "Harbour Clinic", "Atlas Wellness")
PAST = (
    (BookingStatus.COMPLETED, 78),
    (BookingStatus.CANCELED, 9),
    (BookingStatus.NO_SHOW, 6),
    (BookingStatus.REFUNDED, 4),
    (BookingStatus.CONFIRMED, 3),
)
FUTURE = ((BookingStatus.CONFIRMED, 88), (BookingStatus.CANCELED, 9), (BookingStatus.REFUNDED, 3))
SOURCES = ((BookingSource.WEBSITE, 82), (BookingSource.CALENDLY, 11), (BookingSource.CALCOM, 7))
ENDS = (
    (CanceledBecause.NEVER_PAID, 50),
    (CanceledBecause.PAYMENT_FAILED, 4),
    (CanceledBecause.BY_CLIENT, 34),
    (CanceledBecause.BY_PRACTITIONER, 12),
)
UNPAID_ENDS = (CanceledBecause.NEVER_PAID, CanceledBecause.PAYMENT_FAILED)
REMINDED_BEFORE = timedelta(hours=24)


class Diary:
    """The appointments; `people` book most of them, strangers the rest, `regulars` one each for certain."""

    def __init__(self, stage: Stage, people: list[Person], regulars: list[Person]) -> None:
        self.stage = stage
        self.invention = stage.invention("diary")
        strangers = [self.invention.person() for _ in range(900)]
        self.regulars = list(regulars)
        self.clients = people[:1400] + strangers
        self.types: dict[int, list[tuple[int, int, int]]] = {}
        self.dear: dict[int, int] = {}
        self.zones: dict[int, ZoneInfo] = {}
        self.mapped: set[int] = set()
        self.free: list[tuple[int, datetime]] = []

    @property
    def random(self) -> Random:
        return self.invention.random

    def fill(self) -> None:
        self._practitioners()
        slots = self._slots()
        amounts = self.stage.amounts
        bookings = [self._booking(number, *slot) for number, slot in enumerate(slots[: amounts.bookings])]
        self.stage.put(Booking, bookings)
        guests = self._guests()
        self.stage.put(Meeting, [self._meeting(guests, *slot) for slot in slots[amounts.bookings :]])

    def take_free(self, days: float, practitioner_id: int) -> datetime:
        """The free time of this practitioner that is nearest to so many days from today, taken off."""
        wanted = self.stage.today + timedelta(days=days)
        own = [slot for slot in self.free if slot[0] == practitioner_id and (slot[1] > self.stage.today) == (days > 0)]
        nearest = min(own, key=lambda slot: abs(slot[1] - wanted))
        self.free.remove(nearest)
        return nearest[1]

    def _practitioners(self) -> None:
        session = self.stage.ctx.session
        made = self.stage.ago(days=650)
        for number, (name, zone) in enumerate(PRACTITIONERS, 1):
            practitioner = Practitioner(
                name=name,
                email=f"{name.removeprefix('Dr. ').split()[0].lower()}@practice.example",
                time_zone=zone,
                calcom_user_id=str(4100 + number) if number in AT_CALCOM else None,
                calcom_event_type_id=str(88_000 + number) if number in AT_CALCOM else None,
                active=number != len(PRACTITIONERS),
                working_hours={
                    day: [["08:00", "12:00"], ["13:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")
                },
                created_at=made,
            )
            session.add(practitioner)
            session.flush()  # appointments are inserted in bulk and need its number
            self.zones[practitioner.id] = ZoneInfo(zone)
            if number in AT_CALCOM:
                self.mapped.add(practitioner.id)
            self.types[practitioner.id] = [
                self._session_type(practitioner.id, made, *SESSIONS[kind]) for kind in range(2 + number % 2)
            ]
            if number in OFFER_DEAR:
                self.dear[practitioner.id] = self._session_type(practitioner.id, made, *DEAR)[0]

    def _session_type(
        self, practitioner_id: int, made: datetime, title: str, minutes: int, price: int
    ) -> tuple[int, int, int]:
        event_type = self.invention.letters(16)
        kept = SessionType(
            practitioner_id=practitioner_id,
            title=title,
            minutes=minutes,
            price_amount=price,
            calendly_event_type_id=event_type,
            calendly_event_type_uri=f"https://api.calendly.com/event_types/{event_type}",
            created_at=made,
        )
        self.stage.ctx.session.add(kept)
        self.stage.ctx.session.flush()
        return kept.id, minutes, price

    def _slots(self) -> list[tuple[int, datetime]]:
        """Distinct hours of distinct practitioners, drawn without putting back; what is left stays free."""
        every = [(key, hour) for key in self.types for hour in self._working_hours(self.zones[key])]
        drawn = self.random.sample(every, self.stage.amounts.bookings + self.stage.amounts.meetings)
        self.free = sorted(set(every) - set(drawn), key=lambda slot: (slot[1], slot[0]))
        return drawn

    def _working_hours(self, zone: ZoneInfo) -> Iterator[datetime]:
        """Every hour that the practitioner's clock shows as one of work."""
        first = self.stage.today.astimezone(zone).date() - timedelta(days=HALF_SPAN_DAYS)
        for number in range(2 * HALF_SPAN_DAYS):
            day = first + timedelta(days=number)
            if day.weekday() < 5:
                yield from (datetime.combine(day, time(hour), zone).astimezone(UTC) for hour in HOURS)

    def _booking(self, number: int, practitioner_id: int, starts_at: datetime) -> dict[str, Any]:
        client = self.regulars[number] if number < len(self.regulars) else self.random.choice(self.clients)
        session_type_id, minutes, price = self.random.choice(self.types[practitioner_id])
        past = starts_at < self.stage.today
        status = self._one_of(PAST if past else FUTURE)
        source = self._one_of(SOURCES) if status is not BookingStatus.REFUNDED else BookingSource.WEBSITE
        if source is BookingSource.CALCOM and practitioner_id not in self.mapped:
            source = BookingSource.WEBSITE
        made = min(starts_at, self.stage.today) - timedelta(minutes=self.random.uniform(60, 60 * 24 * 30))
        return {
            "practitioner_id": practitioner_id,
            "session_type_id": session_type_id,
            "client_name": client.name,
            "client_email": client.email,
            "client_time_zone": self.zones[practitioner_id].key if self.random.random() < 0.8 else None,
            "starts_at": starts_at,
            "ends_at": starts_at + timedelta(minutes=minutes),
            "status": status,
            "source": source,
            "price_amount": price,
            "reminded_at": self._reminded(status, starts_at),
            "created_at": made,
            "updated_at": min(max(made, starts_at), self.stage.today) if past else made,
            **self._ending(status, source, made, starts_at),
            **self._ids(practitioner_id, source),
        }

    def _one_of(self, shares: Any) -> Any:
        kinds, weights = zip(*shares, strict=True)
        return self.random.choices(kinds, weights)[0]

    def _reminded(self, status: BookingStatus, starts_at: datetime) -> datetime | None:
        """The reminder went out the day before; what begins within a day had its own already."""
        due = starts_at - REMINDED_BEFORE
        return due if status is BookingStatus.CONFIRMED and due < self.stage.today + timedelta(hours=2) else None

    def _ending(
        self, status: BookingStatus, source: BookingSource, made: datetime, starts_at: datetime
    ) -> dict[str, Any]:
        """Why it was canceled, and when; what was made at a calendar was not called off for want of a payment."""
        if status is not BookingStatus.CANCELED:
            return {"canceled_because": None, "canceled_at": None}
        because = self._one_of(ENDS)
        if source is not BookingSource.WEBSITE and because in UNPAID_ENDS:
            because = CanceledBecause.BY_CLIENT
        if because in UNPAID_ENDS:
            return {"canceled_because": because, "canceled_at": made + timedelta(minutes=31)}
        last = min(starts_at, self.stage.today)
        return {"canceled_because": because, "canceled_at": made + (last - made) * self.random.random()}

    def _ids(self, practitioner_id: int, source: BookingSource) -> dict[str, Any]:
        """The calendars' ids: of where it was made, else of the Cal.com booking that was made for it."""
        event, invitee, uid = (self.invention.letters(length) for length in (16, 16, 22))
        at_calendly, at_calcom = source is BookingSource.CALENDLY, source is BookingSource.CALCOM
        mapped = practitioner_id in self.mapped and source is BookingSource.WEBSITE
        uri = f"https://api.calendly.com/scheduled_events/{event}"
        return {
            "calendly_event_id": event if at_calendly else None,
            "calendly_event_uri": uri if at_calendly else None,
            "calendly_invitee_uri": f"{uri}/invitees/{invitee}" if at_calendly else None,
            "calcom_booking_uid": uid if at_calcom or mapped else None,
        }

    def _guests(self) -> list[tuple[Person, str, str]]:
        """Guests with their WorkOS user and organization."""
        made = self.stage.ago(days=170)
        guests = []
        rows = []
        people = []
        for _ in range(PERSONAL_ORGANIZATIONS):
            person = self.invention.person(well_known=False)
            user, organization = f"user_01{self._ulid()}", f"org_01{self._ulid()}"
            rows.append({"workos_id": organization, "name": f"user-{user}", "kind": OrganizationKind.PERSONAL})
            people.append(
                {
                    "email": person.email,
                    "name": person.name,
                    "workos_user_id": user,
                    "workos_org_id": organization,
                    "created_here": True,
                    "code_sent_at": made,
                    "created_at": made,
                    "updated_at": made,
                }
            )
            guests.append((person, user, organization))
        rows += [
            {"workos_id": f"org_01{self._ulid()}", "name": name, "kind": OrganizationKind.TEAM}
            for name in TEAM_NAMES[:TEAMS]
        ]
        self.stage.put(Organization, [row | {"created_at": made} for row in rows])
        self.stage.put(Guest, people)
        return guests

    def _ulid(self) -> str:
        return "".join(self.random.choices("0123456789ABCDEFGHJKMNPQRSTVWXYZ", k=24))

    def _meeting(
        self, guests: list[tuple[Person, str, str]], practitioner_id: int, starts_at: datetime
    ) -> dict[str, Any]:
        person, user, organization = self.random.choice(guests)
        session_type_id, minutes, price = self.random.choice(self.types[practitioner_id])
        past = starts_at < self.stage.today
        status = self._one_of(PAST if past else FUTURE)
        made = min(starts_at, self.stage.today) - timedelta(days=self.random.uniform(1, 20))
        # From before guests were registered: nothing but the time is known.
        known = starts_at > self.stage.ago(days=150)
        free = self.random.random() < 0.5
        return {
            "practitioner_id": practitioner_id,
            "session_type_id": session_type_id if not free else None,
            "guest_email": person.email if known else None,
            "guest_name": person.name if known else None,
            "guest_workos_user_id": user if known else None,
            "guest_org_id": organization if known else None,
            "starts_at": starts_at,
            "ends_at": starts_at + timedelta(minutes=30 if free else minutes),
            "status": status,
            "price_amount": 0 if free else price,
            "guest_time_zone": self.zones[practitioner_id].key if known else None,
            "reminded_at": self._reminded(status, starts_at),
            **self._ending(status, BookingSource.CALCOM, made, starts_at),
            "created_at": made,
            "updated_at": min(starts_at, self.stage.today),
        }
