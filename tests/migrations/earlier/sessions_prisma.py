"""The sessions system: `"SessionType"` and `"Booking"`, which Calendly knows, by Prisma on PostgreSQL.

Quoted PascalCase tables with camelCase columns, cuid keys, `TIMESTAMP(3)` without zone in UTC, prices `DECIMAL(10,2)`
in whole euros (and yen) or `INTEGER` cents, the native enum `"BookingStatus"` in capitals or small letters.

Who gives a session is a `"Practitioner"` and who takes it stands in the booking; or, as Prisma's relations have it
(`people="related"`), both are a `"User"`, the first one by their `"BuilderProfile"`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from tests.migrations.earlier import made
from tests.migrations.earlier.made import FIRST_DAY, MINUTES, SLOTS_A_DAY, Blemishes, Made, Postgres, Ugly, at, cuid

Money = Literal["major", "minor"]
Letters = Literal["upper", "lower"]
People = Literal["columns", "related"]

KINDS = frozenset(
    {
        "money_fraction", "unknown_labels", "emails_by_case", "orphans", "overlaps", "past_pending", "unknown_columns",
        "missing_created_at", "clock_changes", "same_external_ids", "empty_external_ids", "money_beyond_minor",
    }
)  # fmt: skip
CLIENTS = 40
LABELS = ("PENDING", "CONFIRMED", "CANCELED", "COMPLETED", "NO_SHOW")
WRITTEN_AT = datetime.fromisoformat("2022-01-31 08:30:00.125")
GONE = cuid("gone", "")
YEN = 5000
CALENDLY = "https://api.calendly.com"


def make(
    address: str,
    *,
    rows: int,
    ugly: Ugly = True,
    money: Money = "major",
    letters: Letters = "upper",
    people: People = "columns",
    zone: str = "UTC",
) -> Made:
    """Fill an empty database with `rows` regular bookings, no two of one practitioner's at once, and the single ones.

    `money_beyond_minor` (amounts like 90.505, which no currency of ours can hold) widens the column to Prisma's own
    DECIMAL(65,30) and has to be asked for by name: no sum is right then.
    """
    wanted = KINDS - {"money_beyond_minor"} if ugly is True else ugly
    blemishes = Blemishes(wanted, KINDS)
    single = _Single(rows, money, letters, people, zone, blemishes)
    records = single.named()
    single.uglify()
    with made.postgres(address) as connection:
        made.note_prisma_migrations(connection, "20230101000000_init", "20230601000000_calendly")
        _tables(connection, money, letters, people, blemishes)
        _people(connection, rows, people, blemishes)
        _regular(connection, rows, money, letters, people)
        made.insert(connection, "Booking", single.bookings)
        _constraints(connection, people, blemishes)
    return Made(
        system="sessions", address=address, zone=zone, counts=_counts(people, rows, len(single.bookings), blemishes),
        sums={
            "Booking.amount[EUR]": made.price_sum(rows) + single.minor,
            "Booking.amount[JPY]": YEN,
            "SessionType.price[EUR]": practitioners_for(rows) * 9000,
        },
        records=records, ugly=blemishes.all(),
    )  # fmt: skip


def practitioners_for(rows: int) -> int:
    """So many that each is done with theirs within two years."""
    return max(20, min(200, rows // 5000))


def _counts(people: People, rows: int, single: int, blemishes: Blemishes) -> dict[str, int]:
    given = practitioners_for(rows) + (2 if "emails_by_case" in blemishes else 0)
    who = {"User": given + CLIENTS, "BuilderProfile": given} if people == "related" else {"Practitioner": given}
    return {**who, "SessionType": practitioners_for(rows), "Booking": rows + single}


def _spelt(label: str, letters: Letters) -> str:
    return label if letters == "upper" else label.lower()


class _Single:
    """The bookings that a test looks for, and those with something amiss; all of the first practitioner's."""

    def __init__(
        self, rows: int, money: Money, letters: Letters, people: People, zone: str, blemishes: Blemishes
    ) -> None:
        self.rows, self.money, self.letters, self.people, self.zone = rows, money, letters, people, zone
        self.blemishes = blemishes
        self.bookings: list[dict[str, Any]] = []
        self.minor = 0

    def add(self, start: str, label: str = "COMPLETED", amount: int | Decimal = 9000, **values: Any) -> str:
        number = self.rows + len(self.bookings) + 1
        key, began = cuid("booking", number), datetime.fromisoformat(start)
        who = (
            {"builderId": cuid("profile", 1), "clientId": cuid("client", 1)}
            if self.people == "related"
            else {"practitionerId": cuid("practitioner", 1), "clientName": f"Guest {number}",
                  "clientEmail": f"guest{number}@example.net"}
        )  # fmt: skip
        self.bookings.append({
            "id": key, "sessionTypeId": cuid("type", 1), **who, "startTime": began,
            "endTime": began + timedelta(minutes=MINUTES), "status": _spelt(label, self.letters),
            "amount": Decimal(amount) / 100 if self.money == "major" else amount, "stripeSessionId": f"cs_x{number}",
            "calendlyEventId": f"ev_x{number}", "calendlyEventUri": f"{CALENDLY}/scheduled_events/ev_x{number}",
            "calendlyInviteeUri": f"{CALENDLY}/scheduled_events/ev_x{number}/invitees/inv_x{number}",
            "createdAt": WRITTEN_AT, "updatedAt": WRITTEN_AT, **values,
        })  # fmt: skip
        self.minor += int(amount)
        return key

    def named(self) -> dict[str, dict[str, Any]]:
        known = {"clientName": "Nora Dahl", "clientEmail": "Nora.Dahl@example.org"} if self.people == "columns" else {}
        self.add("2031-07-15 10:00", "CONFIRMED", 12000, **known)
        booking = self._record()
        # A yen has no hundredth; it is its own minor unit.
        self.add("2022-07-05 14:00", amount=0, currency="JPY")
        self.bookings[-1] |= {"amount": YEN}
        yen = self._record() | {"amount_minor": YEN}
        self.add("2022-07-06 14:00", **({"clientName": made.ODD_TEXT} if self.people == "columns" else {}))
        return {"booking": booking, "odd_booking": self._record(), "yen_booking": yen, "session_type": _session_type(1)}

    def _record(self) -> dict[str, Any]:
        row = self.bookings[-1]
        unit = 100 if self.money == "major" else 1
        return {
            **row, "local_start": row["startTime"], "starts_at": at(row["startTime"], self.zone),
            "ends_at": at(row["endTime"], self.zone), "amount_minor": int(row["amount"] * unit),
        }  # fmt: skip

    def uglify(self) -> None:
        if self.money == "major":
            self._put("money_fraction", "amount", ("2022-03-01 09:00", "COMPLETED", 9050))
            self._put("money_fraction", "amount", ("2022-03-01 11:00", "COMPLETED", 1999))
            self._put("money_beyond_minor", "amount", ("2022-03-01 13:00", "COMPLETED", Decimal("9050.5")))
        for _ in range(2):
            self._put("overlaps", "startTime", ("2022-03-03 09:00", "CONFIRMED"))
        for hour in ("09", "11"):
            self._put("past_pending", "status", (f"2022-03-04 {hour}:00", "PENDING"))
            self._put("unknown_labels", "status", (f"2022-03-05 {hour}:00", "CANCELLED"))
            self._put("missing_created_at", "createdAt", (f"2022-03-06 {hour}:00",), createdAt=None)
            self._put("orphans", "sessionTypeId", (f"2022-03-07 {hour}:00",), sessionTypeId=GONE)
            self._put("same_external_ids", "calendlyEventId", (f"2022-03-08 {hour}:00",), calendlyEventId="ev_twice")
            self._put("empty_external_ids", "calendlyEventUri", (f"2022-03-09 {hour}:00",), calendlyEventUri="")
        for local in made.clock_change(self.zone) or ():
            self._put("clock_changes", "startTime", (local.isoformat(),), endTime=local + timedelta(minutes=20))
        if "unknown_columns" in self.blemishes:
            self.blemishes.note("unknown_columns", "Booking", "pathway")

    def _put(self, kind: str, column: str, arguments: tuple[Any, ...], **values: Any) -> None:
        if kind in self.blemishes:
            self.blemishes.note(kind, "Booking", column, self.add(*arguments, **values))


def _session_type(number: int) -> dict[str, Any]:
    return {
        "id": cuid("type", number), "title": f"Session {number}", "minutes": MINUTES, "price_minor": 9000,
        "calendlyEventTypeId": f"et_{number}", "calendlyEventTypeUri": f"{CALENDLY}/event_types/et_{number}",
    }  # fmt: skip


def _amount_type(money: Money, blemishes: Blemishes) -> str:
    return "INTEGER" if money == "minor" else "DECIMAL(65,30)" if "money_beyond_minor" in blemishes else "DECIMAL(10,2)"


def _tables(connection: Postgres, money: Money, letters: Letters, people: People, blemishes: Blemishes) -> None:
    labels = [*LABELS, *(["CANCELLED"] if "unknown_labels" in blemishes else [])]
    listed = ", ".join(f"'{_spelt(label, letters)}'" for label in labels)
    first = _spelt("PENDING", letters)
    amount = _amount_type(money, blemishes)
    required = "" if "missing_created_at" in blemishes else " NOT NULL"
    stamps = f'"createdAt" TIMESTAMP(3){required} DEFAULT CURRENT_TIMESTAMP, "updatedAt" TIMESTAMP(3) NOT NULL'
    giver = "builderId" if people == "related" else "practitionerId"
    taker = '"clientId" TEXT NOT NULL' if people == "related" else '"clientName" TEXT NOT NULL, "clientEmail" TEXT'
    extra = '"pathway" TEXT,' if "unknown_columns" in blemishes else ""
    made.run(
        connection,
        *_tables_of_people(people, stamps),
        f'CREATE TYPE "BookingStatus" AS ENUM ({listed})',
        f"""CREATE TABLE "SessionType" (
            "id" TEXT NOT NULL, "{giver}" TEXT NOT NULL, "title" TEXT NOT NULL, "description" TEXT NOT NULL,
            "durationMinutes" INTEGER NOT NULL, "price" {amount} NOT NULL, "currency" TEXT NOT NULL,
            "isActive" BOOLEAN NOT NULL DEFAULT true, "calendlyEventTypeId" TEXT, "calendlyEventTypeUri" TEXT, {stamps},
            CONSTRAINT "SessionType_pkey" PRIMARY KEY ("id"))""",
        f"""CREATE TABLE "Booking" (
            "id" TEXT NOT NULL, "{giver}" TEXT NOT NULL, {taker}, "sessionTypeId" TEXT,
            "startTime" TIMESTAMP(3) NOT NULL, "endTime" TIMESTAMP(3) NOT NULL,
            "status" "BookingStatus" NOT NULL DEFAULT '{first}', "amount" {amount}, "currency" TEXT DEFAULT 'EUR',
            "stripeSessionId" TEXT, "calendlyEventId" TEXT, "calendlyEventUri" TEXT, "calendlyInviteeUri" TEXT, {extra}
            {stamps})""",
    )


def _tables_of_people(people: People, stamps: str) -> list[str]:
    if people == "columns":
        return [
            f"""CREATE TABLE "Practitioner" ("id" TEXT NOT NULL, "name" TEXT NOT NULL, "email" TEXT NOT NULL,
                "timezone" TEXT, "isActive" BOOLEAN NOT NULL DEFAULT true, {stamps},
                CONSTRAINT "Practitioner_pkey" PRIMARY KEY ("id"))"""
        ]
    return [
        "CREATE TYPE \"UserRole\" AS ENUM ('CLIENT', 'BUILDER', 'ADMIN')",
        f"""CREATE TABLE "User" ("id" TEXT NOT NULL, "name" TEXT, "email" TEXT NOT NULL,
            "roles" "UserRole"[] DEFAULT ARRAY['CLIENT']::"UserRole"[], {stamps},
            CONSTRAINT "User_pkey" PRIMARY KEY ("id"))""",
        f"""CREATE TABLE "BuilderProfile" ("id" TEXT NOT NULL, "userId" TEXT NOT NULL, "timezone" TEXT, {stamps},
            CONSTRAINT "BuilderProfile_pkey" PRIMARY KEY ("id"))""",
    ]


def _people(connection: Postgres, rows: int, people: People, blemishes: Blemishes) -> None:
    stamp = {"createdAt": WRITTEN_AT, "updatedAt": WRITTEN_AT}
    known = [
        (f"Practitioner {n}" if n > 1 else "Dr Ada Brandt", f"practitioner{n}@clinic.example")
        for n in range(1, practitioners_for(rows) + 1)
    ]
    if "emails_by_case" in blemishes:
        known += [("Case Twin", "Case.Twin@clinic.example"), ("Case Twin again", "case.twin@clinic.example")]
    table, kind = ("User", "user") if people == "related" else ("Practitioner", "practitioner")
    given = [
        {"id": cuid(kind, n), "name": name, "email": email, **stamp} for n, (name, email) in enumerate(known, start=1)
    ]
    if people == "columns":
        given = [row | {"timezone": "Europe/Berlin"} for row in given]
    made.insert(connection, table, given)
    if "emails_by_case" in blemishes:
        blemishes.note("emails_by_case", table, "email", *[row["id"] for row in given[-2:]])
    if people == "related":
        profiles = [
            {"id": cuid("profile", n), "userId": row["id"], "timezone": "Europe/Berlin", **stamp}
            for n, row in enumerate(given, start=1)
        ]
        made.insert(connection, "BuilderProfile", profiles)
        clients = [
            {"id": cuid("client", n), "name": f"Client {n}", "email": f"client{n}@example.com", **stamp}
            for n in range(1, CLIENTS + 1)
        ]
        made.insert(connection, "User", clients)


def _regular(connection: Postgres, rows: int, money: Money, letters: Letters, people: People) -> None:
    giver, kind = ("builderId", "profile") if people == "related" else ("practitionerId", "practitioner")
    taker = (
        ('"clientId"', made.cuid_sql("client", f"(1 + n % {CLIENTS})"))
        if people == "related"
        else ('"clientName", "clientEmail"', "'Client ' || n % 5000, 'client' || n % 5000 || '@example.com'")
    )
    people_count, unit = practitioners_for(rows), 100 if money == "major" else 1
    labels = ["CANCELED", "CONFIRMED", "COMPLETED", "COMPLETED", "NO_SHOW"]
    label = made.choice_sql("n", [f"'{_spelt(each, letters)}'" for each in labels])
    slot, whose = f"((n - 1) / {people_count})", f"(1 + (n - 1) % {people_count})"
    start = (
        f"timestamp '{FIRST_DAY}' + {slot} / {SLOTS_A_DAY} * interval '1 day' "
        f"+ (9 + {slot} % {SLOTS_A_DAY}) * interval '1 hour'"
    )
    event = f"'{CALENDLY}/scheduled_events/ev_' || n"
    made.run(
        connection,
        f"""INSERT INTO "SessionType" ("id", "{giver}", "title", "description", "durationMinutes", "price", "currency",
                "calendlyEventTypeId", "calendlyEventTypeUri", "createdAt", "updatedAt")
            SELECT {made.cuid_sql("type", "n")}, {made.cuid_sql(kind, "n")}, 'Session ' || n, '', {MINUTES},
                {9000 // unit}, 'EUR', 'et_' || n, '{CALENDLY}/event_types/et_' || n, '{WRITTEN_AT}', '{WRITTEN_AT}'
              FROM generate_series(1, {people_count}) n""",
        f"""INSERT INTO "Booking" ("id", "{giver}", {taker[0]}, "sessionTypeId", "startTime", "endTime", "status",
                "amount", "stripeSessionId", "calendlyEventId", "calendlyEventUri", "calendlyInviteeUri", "createdAt",
                "updatedAt")
            SELECT {made.cuid_sql("booking", "n")}, {made.cuid_sql(kind, whose)}, {taker[1]},
                {made.cuid_sql("type", whose)}, {start}, {start} + interval '{MINUTES} min',
                ({label})::"BookingStatus", {made.choice_sql("n", [price // unit for price in made.PRICES])},
                'cs_' || n, 'ev_' || n, {event}, {event} || '/invitees/inv_' || n, {start} - interval '3 days',
                {start} - interval '2 days'
              FROM generate_series(1, {rows}) n""",
    )


def _constraints(connection: Postgres, people: People, blemishes: Blemishes) -> None:
    giver, table = ("builderId", "BuilderProfile") if people == "related" else ("practitionerId", "Practitioner")
    made.run(
        connection,
        # Built when the rows are there, which is faster.
        'ALTER TABLE "Booking" ADD CONSTRAINT "Booking_pkey" PRIMARY KEY ("id")',
        f'CREATE INDEX "Booking_{giver}_startTime_idx" ON "Booking"("{giver}", "startTime")',
        *[
            f'ALTER TABLE "{of}" ADD CONSTRAINT "{of}_{giver}_fkey" FOREIGN KEY ("{giver}") REFERENCES "{table}"("id") '
            "ON DELETE RESTRICT ON UPDATE CASCADE"
            for of in ("SessionType", "Booking")
        ],
    )
    if "orphans" not in blemishes:
        made.run(
            connection,
            'ALTER TABLE "Booking" ADD CONSTRAINT "Booking_sessionTypeId_fkey" FOREIGN KEY ("sessionTypeId") '
            'REFERENCES "SessionType"("id") ON DELETE SET NULL ON UPDATE CASCADE',
        )
