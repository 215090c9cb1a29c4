"""The bookings system's own rows: regular ones by a rule, and single ones that a test looks for. Both databases."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from tests.migrations.earlier.made import (
    MINUTES,
    ODD_TEXT,
    PRICES,
    Blemishes,
    at,
    choice_sql,
    clock_change,
    price_sum,
)

Money = Literal["minor", "major"]
Times = Literal["range", "start"]

LABELS = ("pending", "confirmed", "canceled", "completed", "no_show", "refunded")
TIME_COLUMNS: dict[Times, tuple[str, ...]] = {"range": ("startTime", "endTime"), "start": ("bookingTime",)}
GONE = 999_999
WRITTEN_AT = datetime.fromisoformat("2022-01-31 08:30")
KINDS = frozenset(
    {
        "money_fraction", "unknown_labels", "emails_by_case", "orphans", "overlaps", "past_pending", "unknown_columns",
        "missing_created_at", "clock_changes", "ends_before_start", "same_external_ids", "empty_external_ids",
        "negative_money",
    }
)  # fmt: skip


def practitioners_for(rows: int) -> int:
    return max(3, min(200, rows // 5000))


def users_for(rows: int) -> int:
    return max(5, rows // 10)


def number_of(practitioner: int) -> int:
    """Their ids have holes, as those of any table that is old enough: 3, 5, 7, …"""
    return 2 * practitioner + 1


@dataclass
class BookingRows:
    """The single rows, in the order of their ids, which follow those of the regular ones."""

    rows: int
    zone: str
    money: Money
    times: Times
    blemishes: Blemishes
    # What a time of writing means: not always what a time of an appointment does.
    stamp_zone: str = "UTC"
    made: list[dict[str, Any]] = field(default_factory=list)
    minor: int = 0

    def add(self, day: str, hour: int = 9, amount: int | Decimal = 9000, **values: Any) -> int:
        """A booking of the first practitioner's at a local day and hour; `amount` in minor units. Its id."""
        start = datetime.fromisoformat(f"{day} {hour:02}:00")
        key = values.pop("id", self.rows + len(self.made) + 1)
        row = {
            "id": key, "practitionerId": number_of(1), "clientName": f"Guest {key}",
            "clientEmail": f"guest{key}@example.net", "clientPhone": "+49 30 901820", "startTime": start,
            "endTime": start + timedelta(minutes=MINUTES), "status": "completed", "stripeSessionId": f"cs_x{key}",
            "stripePaymentIntentId": f"pi_x{key}", "amount": Decimal(amount) / 100 if self.money == "major" else amount,
            "createdAt": WRITTEN_AT, "updatedAt": WRITTEN_AT,
        } | values  # fmt: skip
        if self.times == "start":
            row["bookingTime"] = row.pop("startTime")
            del row["endTime"]
        self.made.append(row)
        self.minor += int(amount)
        return int(key)

    def named(self) -> dict[str, dict[str, Any]]:
        """What a test looks for: a booking still to come, one in summer time, an odd name, one that cost nothing."""
        return {
            "booking": self._known("2031-01-15", 10, "Nora Dahl", "nora.dahl@example.org", "confirmed", 12000),
            "summer_booking": self._known("2022-07-05", 14, "Per Holm", "per.holm@example.org", "completed", 9000),
            "odd_booking": self._known("2022-02-02", 9, ODD_TEXT, "odd@example.org", "completed", 9000),
            "free_booking": self._known("2022-02-01", 9, "Ida Vik", "ida.vik@example.org", "completed", 0),
        }

    def _known(self, day: str, hour: int, name: str, email: str, status: str, amount: int) -> dict[str, Any]:
        key = self.add(day, hour, amount, clientName=name, clientEmail=email, status=status)
        start = datetime.fromisoformat(f"{day} {hour:02}:00")
        return {
            "id": key, "practitioner_id": number_of(1), "client_name": name, "client_email": email, "status": status,
            "local_start": start, "starts_at": at(start, self.zone),
            "ends_at": at(start + timedelta(minutes=MINUTES), self.zone), "amount_minor": amount,
            "stripe_session_id": f"cs_x{key}", "created_at": at(WRITTEN_AT, self.stamp_zone),
        }  # fmt: skip

    def uglify(self) -> None:
        """Every kind that either database can hold."""
        self._money()
        self._times()
        self._texts()

    def _money(self) -> None:
        if "money_fraction" in self.blemishes and self.money == "major":
            self._note("money_fraction", "amount", self.add("2022-03-01", 9, 9050), self.add("2022-03-01", 11, 1999))
        if "negative_money" in self.blemishes:
            self._note("negative_money", "amount", self.add("2022-03-02", 9, -4500))

    def _times(self) -> None:
        start = "startTime" if self.times == "range" else "bookingTime"
        if "overlaps" in self.blemishes:
            pair = [self.add("2022-03-03", 9, status="confirmed") for _ in range(2)]
            late = self.add("2022-03-03", 9, status="confirmed", clientName="Third at once")
            self._note("overlaps", start, *pair, late)
        if "past_pending" in self.blemishes:
            self._note(
                "past_pending", "status", *[self.add("2022-03-04", hour, status="pending") for hour in (9, 11, 13)]
            )
        if "ends_before_start" in self.blemishes and self.times == "range":
            early = datetime.fromisoformat("2022-03-05 08:00")
            self._note("ends_before_start", "endTime", self.add("2022-03-05", 9, endTime=early))
        if "missing_created_at" in self.blemishes:
            nothing = [self.add("2022-03-06", hour, createdAt=None) for hour in (9, 11)]
            self._note("missing_created_at", "createdAt", *nothing)
        change = clock_change(self.zone)
        if "clock_changes" in self.blemishes and change:
            for local in change:
                key = self.add("2022-03-07", 9)
                self.made[-1] |= {start: local}
                if self.times == "range":
                    self.made[-1] |= {"endTime": local + timedelta(minutes=20)}
                self._note("clock_changes", start, key)

    def _texts(self) -> None:
        if "unknown_labels" in self.blemishes:
            self._note(
                "unknown_labels", "status", *[self.add("2022-03-08", hour, status="cancelled") for hour in (9, 11)]
            )
        if "orphans" in self.blemishes:
            gone = [self.add("2022-03-09", hour, practitionerId=GONE) for hour in (9, 11)]
            self._note("orphans", "practitionerId", *gone)
        if "same_external_ids" in self.blemishes:
            twice = [self.add("2022-03-10", hour, stripePaymentIntentId="pi_twice") for hour in (9, 11)]
            self._note("same_external_ids", "stripePaymentIntentId", *twice)
        if "empty_external_ids" in self.blemishes:
            empty = [self.add("2022-03-11", hour, stripeSessionId="") for hour in (9, 11)]
            self._note("empty_external_ids", "stripeSessionId", *empty)
        if "unknown_columns" in self.blemishes:
            self.blemishes.note("unknown_columns", "bookings", "referralCode")

    def _note(self, kind: str, column: str, *keys: int) -> None:
        self.blemishes.note(kind, "bookings", column, *keys)

    def amount(self) -> int:
        """All bookings' money, in minor units."""
        return price_sum(self.rows) + self.minor


def regular_amount(number: str, money: Money) -> str:
    return choice_sql(number, [price // 100 if money == "major" else price for price in PRICES])


def regular_status(number: str, *, completes: bool) -> str:
    """One in five canceled, one still confirmed although it is over, the rest completed; or confirmed for ever."""
    labels = ["canceled", "confirmed", "completed", "completed", "completed"] if completes else ["confirmed"]
    return choice_sql(number, [f"'{label}'" for label in labels])


PEOPLE = [
    {"name": "Dr Ada Brandt", "email": "Ada@clinic.example"},
    {"name": "Ben Ode", "email": "ben@clinic.example"},
    {"name": "Ċenċa Borġ", "email": "cenca@clinic.example"},
]
TWINS = [
    {"name": "Case Twin", "email": "Case.Twin@clinic.example"},
    {"name": "Case Twin again", "email": "case.twin@clinic.example"},
]


def known_people() -> dict[str, dict[str, Any]]:
    first = number_of(1)
    return {
        "practitioner": {**PEOPLE[0], "id": first, "calcom_setting": f"CALCOM_USER_ID_{first}"},
        "admin": {"id": 1, "open_id": "google-oauth2|1", "email": "client1@example.com", "role": "admin"},
    }


def people(rows: int, money: Money, blemishes: Blemishes) -> list[dict[str, Any]]:
    """The practitioners' rows; the second gives no appointments any more."""
    count = practitioners_for(rows)
    more = [{"name": f"Practitioner {n}", "email": f"practitioner{n}@clinic.example"} for n in range(4, count + 1)]
    regular = [
        {"id": number_of(place), **person, "active": int(place != 2)}
        for place, person in enumerate([*PEOPLE, *more], start=1)
    ]
    twins = [{"id": number_of(count + place), **person, "active": 1} for place, person in enumerate(TWINS, start=1)]
    if "emails_by_case" not in blemishes:
        twins = []
    else:
        blemishes.note("emails_by_case", "practitioners", "email", *[twin["id"] for twin in twins])
    rate = 120 if money == "major" else 12000
    return [{**person, "hourlyRate": rate, "createdAt": WRITTEN_AT} for person in [*regular, *twins]]
