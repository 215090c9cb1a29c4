"""Systems that keep one of our rows in two tables: recognised as such, and brought over with nothing lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from admin_app.db import Database
from admin_app.errors import InvalidInput
from admin_app.services.move_in import files, undoing
from admin_app.services.move_in.mapping import LEAVE, ColumnMap, JoinMap, MoveMap, Rule
from models import Booking, Meeting, MovedRow, Practitioner, SessionType
from tests.migrations.earlier import made, meetings_drizzle, sessions_prisma
from tests.migrations.earlier.moves import Move

ROWS = 200
# What this shape of the meetings system calls what became of a meeting, as its mover would decide.
SAID = {"succeeded": "confirmed", "refunded": "refunded", "failed": "canceled", "pending": "pending"}


def count(db: Database, model: Any) -> int:
    with db.read_only() as session:
        return int(session.scalar(select(func.count()).select_from(model)) or 0)


def one(db: Database, query: Any) -> Any:
    with db.read_only() as session:
        return session.scalars(query).one()


def with_labels(mapping: MoveMap, to: str, column: str, labels: dict[str, str]) -> MoveMap:
    def each(found: ColumnMap) -> ColumnMap:
        return replace(found, labels=labels) if found.name == column else found

    return replace(
        mapping,
        tables=tuple(
            replace(table, columns=tuple(map(each, table.columns))) if table.to == to else table
            for table in mapping.tables
        ),
    )


def goes_there_and_back(move: Move, system: str) -> None:
    """Nothing in the way; brought over in batches, the same on both sides, again without a change, and taken back."""
    assert move.open_points() == []
    assert move.inspect() == {}
    first = move.bring_over(batch=70)
    assert all(counts.left == 0 and counts.new == counts.read for counts in first.values()), first
    again = move.bring_over(batch=90)
    assert all(counts.unchanged == counts.read for counts in again.values()), again
    for compared in move.compare().values():
        assert compared.agrees, compared


def is_taken_back(move: Move, system: str) -> None:
    with move.work() as ctx:
        undoing.take_back(ctx, system=system)
    assert [count(move.db, model) for model in (Practitioner, Booking, Meeting, MovedRow)] == [0, 0, 0, 0]


def test_sessions_whose_people_are_users(earlier_postgres: str, real_db: Database) -> None:
    there = sessions_prisma.make(earlier_postgres, rows=ROWS, ugly=False, people="related")
    move = Move(real_db, there.address)
    plan = move.plan()
    assert {table.to: table.join for table in plan.tables} == {
        "practitioners": JoinMap("User", "userId", "id"),
        "session_types": None,
        "bookings": JoinMap("User", "clientId", "id"),
    }
    assert plan.left_tables == {}
    # What is none of ours is asked for once, though two of our tables are filled with it.
    assert [point.split()[0] for point in move.open_points() if "User." in point] == [
        "BuilderProfile.User.roles",
        "BuilderProfile.User.updatedAt",
    ]
    move.decide()
    goes_there_and_back(move, "sessions")
    assert count(real_db, Practitioner) == there.counts["BuilderProfile"]
    assert count(real_db, SessionType) == there.counts["SessionType"]
    by_currency = select(Booking.price_currency, func.sum(Booking.price_amount)).group_by(Booking.price_currency)
    with real_db.read_only() as session:
        sums = dict(session.execute(by_currency).all())
    assert sums == {currency.lower(): there.sums[f"Booking.amount[{currency}]"] for currency in ("EUR", "JPY")}
    known = there.records["booking"]
    row = one(real_db, select(Booking).where(Booking.calendly_invitee_uri == known["calendlyInviteeUri"]))
    assert (row.client_name, row.client_email) == ("Client 1", "client1@example.com")
    assert (row.starts_at, row.price_amount) == (known["starts_at"], known["amount_minor"])
    giver = one(real_db, select(Practitioner).where(Practitioner.id == row.practitioner_id))
    assert (giver.name, giver.email, giver.time_zone) == (
        "Dr Ada Brandt",
        "practitioner1@clinic.example",
        "Europe/Berlin",
    )
    is_taken_back(move, "sessions")


def test_a_change_in_the_joined_table_comes_over(earlier_postgres: str, real_db: Database) -> None:
    there = sessions_prisma.make(earlier_postgres, rows=ROWS, ugly=False, people="related")
    move = Move(real_db, there.address)
    move.decide()
    move.bring_over()
    with made.postgres(earlier_postgres) as connection:
        made.run(connection, """UPDATE "User" SET name = 'Ada Braun' WHERE name = 'Dr Ada Brandt'""")
    counts = move.bring_over()
    assert {table: each.changed for table, each in counts.items()} == {
        "practitioners": 1,
        "session_types": 0,
        "bookings": 0,
    }
    assert one(real_db, select(Practitioner).where(Practitioner.name == "Ada Braun")).email is not None
    assert all(compared.agrees for compared in move.compare().values())


def test_meetings_of_events(earlier_postgres: str, real_db: Database) -> None:
    there = meetings_drizzle.make(earlier_postgres, rows=ROWS, ugly=False, shape="events")
    move = Move(real_db, there.address)
    plan = move.plan()
    assert {table.to: (table.name, table.key, table.join) for table in plan.tables} == {
        "practitioners": ("users", "workos_user_id", JoinMap("profiles", "workos_user_id", "workos_user_id")),
        "organizations": ("organizations", "id", None),
        "meetings": ("meetings", "id", JoinMap("events", "event_id", "id")),
    }
    mapping = with_labels(move.decide(), "meetings", "stripe_payment_status", SAID)
    move.mapping = with_labels(mapping, "organizations", "type", {"member_personal": "personal"})
    goes_there_and_back(move, "meetings")
    assert count(real_db, Meeting) == there.counts["meetings"]
    with real_db.read_only() as session:
        total = session.scalar(select(func.sum(Meeting.price_amount)).where(Meeting.price_currency == "eur"))
        assert total == there.sums["meetings.stripe_amount"]
    known = there.records["meeting"]
    row = one(real_db, select(Meeting).where(Meeting.guest_email == known["guest_email"]))
    assert (row.starts_at, row.guest_org_id) == (known["starts_at"], known["guest_workos_org_id"])
    host = one(real_db, select(Practitioner).where(Practitioner.id == row.practitioner_id))
    assert (host.name, host.email) == ("Dr Ada Brandt", "host1@clinic.example")
    is_taken_back(move, "meetings")


TIMES_OF_EVENTS = """
CREATE TABLE users (id {key}, workos_user_id varchar(40) NOT NULL UNIQUE, email varchar(200) NOT NULL);
CREATE TABLE profiles (id {key}, workos_user_id varchar(40), first_name text, last_name text);
CREATE TABLE organizations (id {key}, workos_org_id varchar(40) NOT NULL, name text NOT NULL);
CREATE TABLE events (id {key}, start_time {time} NOT NULL, end_time {time} NOT NULL, price_cents int);
CREATE TABLE meetings (id {key}, event_id int, workos_user_id varchar(40) NOT NULL, guest_email varchar(200));
INSERT INTO users VALUES (1, 'user_a', 'ada@clinic.example'), (2, 'user_b', 'ben@clinic.example');
INSERT INTO profiles VALUES (1, 'user_a', 'Ada', 'Brandt'), (2, 'user_b', 'Ben', 'Ode');
INSERT INTO events VALUES (5, '2024-07-01 10:00:00', '2024-07-01 11:00:00', 9000),
                          (6, '2024-07-02 10:00:00', '2024-07-02 11:00:00', 4500);
INSERT INTO meetings VALUES (11, 5, 'user_a', 'guest@example.net'), (12, 6, 'user_b', 'other@example.net')
"""


def on_postgres(address: str, *statements: str) -> None:
    with made.postgres(address) as connection:
        made.run(connection, *statements)


def on_mysql(address: str, *statements: str) -> None:
    with made.mysql(address) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture
def events(earlier_server: str) -> tuple[str, Callable[..., None]]:
    """A small meetings system whose times stand in its events, on either kind of server."""
    on, time = (on_mysql, "datetime") if earlier_server.startswith("mysql:") else (on_postgres, "timestamp")
    on(earlier_server, *TIMES_OF_EVENTS.format(key="int PRIMARY KEY", time=time).split(";"))
    return earlier_server, lambda *statements: on(earlier_server, *statements)


def decided(db: Database, address: str, **decisions: str) -> Move:
    move = Move(db, address)
    move.decide(decisions={Rule(name): said for name, said in decisions.items()})
    return move


def test_times_that_stand_in_the_events(events: tuple[str, Callable[..., None]], real_db: Database) -> None:
    address, _ = events
    move = decided(real_db, address)
    goes_there_and_back(move, "meetings")
    row = one(real_db, select(Meeting).where(Meeting.id == 11))
    assert (f"{row.starts_at:%F %R}", f"{row.ends_at:%F %R}", row.price_amount) == (
        "2024-07-01 10:00",
        "2024-07-01 11:00",
        9000,
    )
    host = one(real_db, select(Practitioner).where(Practitioner.id == row.practitioner_id))
    assert (host.name, host.email) == ("Ada Brandt", "ada@clinic.example")
    is_taken_back(move, "meetings")


def test_what_a_person_says_of_themselves_is_not_taken_for_the_bookings(
    earlier_postgres: str, real_db: Database
) -> None:
    """Neither their currency nor their state; and where a booking says who comes, nothing is joined for them."""
    sessions_prisma.make(earlier_postgres, rows=20, ugly=False, people="related")
    on_postgres(
        earlier_postgres,
        'ALTER TABLE "User" ADD COLUMN currency text, ADD COLUMN status text',
        'ALTER TABLE "Booking" DROP COLUMN status, DROP COLUMN currency',
    )
    move = Move(real_db, earlier_postgres)
    booked = move.plan().table("bookings")
    assert booked is not None
    told = {column.name: (column.to, column.left) for column in booked.columns}
    assert told["User.currency"] == told["User.status"] == (None, "it is about the row of User")
    assert told["User.name"] == ("client_name", None)
    on_postgres(earlier_postgres, 'ALTER TABLE "Booking" ADD COLUMN "clientName" text, ADD COLUMN "clientEmail" text')
    booked = Move(real_db, earlier_postgres).plan().table("bookings")
    assert booked is not None
    assert booked.join is None


def test_rows_without_a_partner_and_with_several_are_told(
    events: tuple[str, Callable[..., None]], real_db: Database
) -> None:
    address, there = events
    there(
        "INSERT INTO users VALUES (3, 'user_c', 'no.profile@clinic.example')",
        "INSERT INTO profiles VALUES (3, 'user_b', 'Benjamin', 'Oder')",
        "INSERT INTO meetings VALUES (13, 99, 'user_a', 'gone@example.net'), (14, NULL, 'user_a', 'none@example.net')",
    )
    move = decided(real_db, address)
    found = move.inspect()
    assert found["practitioners.name no_partner"] == 1
    assert found["practitioners.name several_partners"] == 1
    assert found["meetings.starts_at no_partner"] == 2
    keys = move.keys()
    assert keys["practitioners.name several_partners"] == ["user_b"]
    assert keys["meetings.starts_at no_partner"] == ["13", "14"]
    with pytest.raises(InvalidInput) as refused:
        move.bring_over()
    assert "users, our name: the row of the joined table, which says this of it, is not there (no_partner), 1 rows" in (
        refused.value.sentence
    )
    assert count(real_db, Practitioner) == 0
    # Without what the event says a meeting has no time.
    assert decided(real_db, address, no_partner="without").inspect()["meetings.starts_at missing"] == 2
    move = decided(real_db, address, no_partner=LEAVE, several_partners="first")
    counts = move.bring_over()
    assert {table: (each.new, each.left) for table, each in counts.items()} == {
        "practitioners": (2, 1),
        "organizations": (0, 0),
        "meetings": (2, 2),
    }
    assert one(real_db, select(Practitioner).where(Practitioner.email == "ben@clinic.example")).name == "Ben Ode"
    assert all(compared.agrees for compared in move.compare().values())


def test_a_mapping_that_joins_what_is_not_there_is_refused(
    events: tuple[str, Callable[..., None]], real_db: Database
) -> None:
    address, there = events
    move = decided(real_db, address)
    assert move.mapping is not None
    text = files.written(move.mapping, where="there")
    assert 'join = {table = "events", on = "event_id", to = "id"}' in text
    there("DROP TABLE events")
    with pytest.raises(InvalidInput) as refused:
        move.bring_over()
    assert refused.value.sentence == "The mapping reads what the earlier system does not have: events."
