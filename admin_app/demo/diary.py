"""Practitioners and what is booked with them: six months back and six ahead, no two appointments at the same time."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from admin_app.demo.clock import Stage
from admin_app.demo.names import Person
from models import (
    Booking,
    BookingStatus,
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
TEAM_NAMES = ("Fjord Physio", "Northwind Coaching", "Harbour Clinic", "Atlas Wellness")
PAST = (
    (BookingStatus.COMPLETED, 78),
    (BookingStatus.CANCELED, 9),
    (BookingStatus.NO_SHOW, 6),
    (BookingStatus.REFUNDED, 4),
    (BookingStatus.CONFIRMED, 3),
)
FUTURE = ((BookingStatus.CONFIRMED, 88), (BookingStatus.CANCELED, 9), (BookingStatus.REFUNDED, 3))
UNPAID = frozenset({BookingStatus.CANCELED, BookingStatus.PENDING})
HELD_NOW = 6
HOLD = timedelta(minutes=30)


class Diary:
    """The appointments; `people` book most of them, strangers the rest, `regulars` one each for certain."""

    def __init__(self, stage: Stage, people: list[Person], regulars: list[Person]) -> None:
        self.stage = stage
        self.invention = stage.invention("diary")
        strangers = [self.invention.person() for _ in range(900)]
        self.regulars = list(regulars)
        self.clients = people[:1400] + strangers
        self.held = 0
        self.types: dict[int, list[tuple[int, int, int]]] = {}

    @property
    def random(self) -> Random:
        return self.invention.random

    def fill(self) -> None:
        self._practitioners()
        slots = self._slots()
        bookings = [self._booking(number, *slot) for number, slot in enumerate(slots[: self.stage.amounts.bookings])]
        self.stage.put(Booking, bookings)
        guests = self._guests()
        self.stage.put(Meeting, [self._meeting(guests, *slot) for slot in slots[self.stage.amounts.bookings :]])

    def _practitioners(self) -> None:
        session = self.stage.ctx.session
        made = self.stage.ago(days=650)
        for number, (name, zone) in enumerate(PRACTITIONERS, 1):
            practitioner = Practitioner(
                name=name,
                email=f"{name.removeprefix('Dr. ').split()[0].lower()}@practice.example",
                time_zone=zone,
                calcom_user_id=str(4100 + number),
                calcom_event_type_id=str(88_000 + number),
                active=number != len(PRACTITIONERS),
                working_hours={
                    day: [["08:00", "12:00"], ["13:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")
                },
                created_at=made,
            )
            session.add(practitioner)
            session.flush()  # appointments are inserted in bulk and need its number
            self.types[practitioner.id] = [
                self._session_type(practitioner.id, made, *SESSIONS[kind]) for kind in range(2 + number % 2)
            ]

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
        """Distinct hours of distinct practitioners, drawn without putting back."""
        free = [(practitioner, hour) for hour in self._working_hours() for practitioner in self.types]
        return self.random.sample(free, self.stage.amounts.bookings + self.stage.amounts.meetings)

    def _working_hours(self) -> Iterator[datetime]:
        first = (self.stage.today - timedelta(days=HALF_SPAN_DAYS)).replace(hour=0)
        for day in range(2 * HALF_SPAN_DAYS):
            date = first + timedelta(days=day)
            if date.weekday() < 5:
                yield from (date + timedelta(hours=hour) for hour in HOURS)

    def _booking(self, number: int, practitioner_id: int, starts_at: datetime) -> dict[str, Any]:
        client = self.regulars[number] if number < len(self.regulars) else self.random.choice(self.clients)
        session_type_id, minutes, price = self.random.choice(self.types[practitioner_id])
        past = starts_at < self.stage.today
        kinds, weights = zip(*(PAST if past else FUTURE), strict=True)
        status = self.random.choices(kinds, weights)[0]
        made = min(starts_at, self.stage.today) - timedelta(minutes=self.random.uniform(60, 60 * 24 * 30))
        hold = None
        if not past and self.held < HELD_NOW:
            self.held += 1
            status, made = BookingStatus.PENDING, self.stage.today - timedelta(minutes=5)
            hold = made + HOLD
        paid = status not in UNPAID
        event = self.invention.letters(16)
        return {
            "practitioner_id": practitioner_id,
            "session_type_id": session_type_id,
            "client_name": client.name,
            "client_email": client.email,
            "starts_at": starts_at,
            "ends_at": starts_at + timedelta(minutes=minutes),
            "status": status,
            "hold_expires_at": hold,
            "price_amount": price,
            "stripe_checkout_session_id": f"cs_test_{self.invention.letters(24)}" if paid or hold else None,
            "stripe_payment_intent_id": f"pi_3{self.invention.letters(23)}" if paid else None,
            "calendly_event_id": event if paid and number % 2 else None,
            "calendly_event_uri": f"https://api.calendly.com/scheduled_events/{event}" if paid and number % 2 else None,
            "calcom_booking_uid": self.invention.letters(22) if paid and not number % 2 else None,
            "created_at": made,
            "updated_at": min(max(made, starts_at), self.stage.today) if past else made,
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
        kinds, weights = zip(*(PAST if past else FUTURE), strict=True)
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
            "status": self.random.choices(kinds, weights)[0],
            "price_amount": 0 if free else price,
            "created_at": min(starts_at, self.stage.today) - timedelta(days=self.random.uniform(1, 20)),
            "updated_at": min(starts_at, self.stage.today),
        }
