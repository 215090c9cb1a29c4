"""The bookings system after its move to PostgreSQL: the same tables, by Drizzle.

Quoted camelCase columns, `integer` keys that are identities (or serial, as earlier Drizzle had them), native enums
`role` and `status`, `timestamp` without zone in which the program writes UTC. Nothing refers to anything by a foreign
key. Drizzle's own notes stand in a schema of its own.
"""

from __future__ import annotations

from typing import Any, Literal

from tests.migrations.earlier import booking_rows, made
from tests.migrations.earlier.booking_rows import BookingRows, Money, Times
from tests.migrations.earlier.made import FIRST_DAY, MINUTES, SLOTS_A_DAY, Blemishes, Made, Postgres, Ugly

Ids = Literal["identity", "serial"]

KINDS = booking_rows.KINDS


def make(
    address: str,
    *,
    rows: int,
    ugly: Ugly = True,
    money: Money = "minor",
    times: Times = "range",
    ids: Ids = "identity",
    zone: str = "UTC",
    completes: bool = True,
) -> Made:
    """Fill an empty database with `rows` regular bookings and the single ones; see bookings_mysql for the choices.

    `zone`: another one than UTC for a program that wrote its own local time.
    """
    blemishes = Blemishes(ugly, KINDS)
    single = BookingRows(rows, zone, money, times, blemishes, stamp_zone=zone)
    records: dict[str, dict[str, Any]] = dict(single.named())
    single.uglify()
    with made.postgres(address) as connection:
        made.note_drizzle_migrations(connection, "0000_init", "0001_status")
        _tables(connection, money, times, ids, blemishes)
        people = _people(connection, rows, money, blemishes)
        users = _users(connection, rows)
        _bookings(connection, rows, money, times, completes)
        made.insert(connection, "bookings", single.made, overriding=ids == "identity")
        made.catch_up(connection, "users", "practitioners", "bookings")
    return Made(
        system="bookings", address=address, zone=zone,
        counts={"users": users, "practitioners": people, "bookings": rows + len(single.made)},
        sums={"bookings.amount": single.amount()},
        records=records | booking_rows.known_people(), ugly=blemishes.all(),
    )  # fmt: skip


def _tables(connection: Postgres, money: Money, times: Times, ids: Ids, blemishes: Blemishes) -> None:
    amount = "numeric(10, 2)" if money == "major" else "integer"
    labels = [*booking_rows.LABELS, *(["cancelled"] if "unknown_labels" in blemishes else [])]
    listed = ", ".join(f"'{label}'" for label in labels)
    when = ", ".join(f'"{name}" timestamp NOT NULL' for name in booking_rows.TIME_COLUMNS[times])
    required = "" if "missing_created_at" in blemishes else " NOT NULL"
    stamps = f'"createdAt" timestamp DEFAULT now(){required}, "updatedAt" timestamp DEFAULT now() NOT NULL'
    extra = '"referralCode" varchar(32), ' if "unknown_columns" in blemishes else ""
    made.run(
        connection,
        "CREATE TYPE role AS ENUM('user', 'admin')",
        f"CREATE TYPE status AS ENUM({listed})",
        f"""CREATE TABLE users (
            {_key("users", ids)}, "openId" varchar(64) NOT NULL, name text, email varchar(320),
            "loginMethod" varchar(64), role role DEFAULT 'user' NOT NULL, {stamps},
            "lastSignedIn" timestamp DEFAULT now() NOT NULL, CONSTRAINT "users_openId_unique" UNIQUE ("openId"))""",
        f"""CREATE TABLE practitioners (
            {_key("practitioners", ids)}, name varchar(255) NOT NULL, email varchar(320) NOT NULL, description text,
            "hourlyRate" {amount} NOT NULL, active boolean DEFAULT true NOT NULL, {stamps})""",
        f"""CREATE TABLE bookings (
            {_key("bookings", ids)}, "practitionerId" integer NOT NULL, "clientName" varchar(255) NOT NULL,
            "clientEmail" varchar(320) NOT NULL, "clientPhone" varchar(20) NOT NULL, {when},
            status status DEFAULT 'pending' NOT NULL, "stripeSessionId" varchar(255),
            "stripePaymentIntentId" varchar(255), amount {amount} NOT NULL, {extra}{stamps})""",
    )


def _key(table: str, ids: Ids) -> str:
    if ids == "serial":
        return "id serial PRIMARY KEY NOT NULL"
    sequence = f'sequence name "{table}_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 2147483647 START WITH 1 CACHE 1'
    return f"id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY ({sequence})"


def _people(connection: Postgres, rows: int, money: Money, blemishes: Blemishes) -> int:
    people = booking_rows.people(rows, money, blemishes)
    for person in people:
        person |= {"active": bool(person["active"])}
    made.insert(connection, "practitioners", people, overriding=True)
    return len(people)


def _users(connection: Postgres, rows: int) -> int:
    count = booking_rows.users_for(rows)
    made.run(
        connection,
        f"""INSERT INTO users (id, "openId", name, email, "loginMethod", role, "createdAt", "updatedAt", "lastSignedIn")
            OVERRIDING SYSTEM VALUE
            SELECT n, 'google-oauth2|' || n, 'Client ' || n, 'client' || n || '@example.com', 'google',
                CASE WHEN n = 1 THEN 'admin' ELSE 'user' END::role, timestamp '2022-05-01 07:00' + n * interval
                '1 min', timestamp '2022-05-01 07:00' + n * interval '1 min',
                timestamp '2024-05-01 07:00' + n * interval '1 min'
              FROM generate_series(1, {count}) n""",
    )
    return count


def _bookings(connection: Postgres, rows: int, money: Money, times: Times, completes: bool) -> None:
    """No two of one practitioner at the same time."""
    people, users = booking_rows.practitioners_for(rows), booking_rows.users_for(rows)
    slot = f"((n - 1) / {people})"
    start = (
        f"timestamp '{FIRST_DAY}' + {slot} / {SLOTS_A_DAY} * interval '1 day' "
        f"+ (9 + {slot} % {SLOTS_A_DAY}) * interval '1 hour'"
    )
    when = booking_rows.TIME_COLUMNS[times]
    values = (start, f"{start} + interval '{MINUTES} min'")[: len(when)]
    made.run(
        connection,
        f"""INSERT INTO bookings (id, "practitionerId", "clientName", "clientEmail", "clientPhone",
                {", ".join(f'"{name}"' for name in when)}, status, "stripeSessionId", "stripePaymentIntentId", amount,
                "createdAt", "updatedAt") OVERRIDING SYSTEM VALUE
            SELECT n, 3 + 2 * ((n - 1) % {people}), 'Client ' || 1 + n % {users},
                'client' || 1 + n % {users} || '@example.com', '+49 30 901820', {", ".join(values)},
                ({booking_rows.regular_status("n", completes=completes)})::status, 'cs_' || n, 'pi_' || n,
                {booking_rows.regular_amount("n", money)}, {start} - interval '3 days', {start} - interval '2 days'
              FROM generate_series(1, {rows}) n""",
    )
