"""What happens in an earlier system between two imports, and what it may look like, that no rule is about."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from admin_app.db import Database
from admin_app.errors import InvalidInput, NotFound
from admin_app.services.move_in import undoing
from admin_app.services.move_in.mapping import Rule
from models import Booking, Client, MoveRun, OnboardingState, Practitioner
from tests.migrations.earlier import bookings_mysql, clients_prisma, made
from tests.migrations.earlier.moves import Move
from tests.migrations.earlier.test_again_and_again import count, there
from tests.services.diary import Clock


def test_what_may_be_there_once_changes_hands_between_two_imports(mariadb_url: str, real_db: Database) -> None:
    """An e-mail goes from one to the other, a slot is given up and booked anew, two appointments are swapped."""
    bookings_mysql.make(mariadb_url, rows=200, ugly=False)
    move = Move(real_db, mariadb_url)
    move.plan()
    move.decide(zone="Europe/Berlin")
    move.bring_over()
    with made.mysql(mariadb_url) as connection, connection.cursor() as cursor:
        for statement in (
            "UPDATE practitioners SET email = CASE id WHEN 3 THEN 'ben@clinic.example' ELSE 'ada@clinic.example' END "
            "WHERE id IN (3, 5)",
            "INSERT INTO bookings (practitionerId, clientName, clientEmail, clientPhone, startTime, endTime, status, "
            "amount) SELECT practitionerId, 'In their place', 'x@y.example', '1', startTime, endTime, status, 100 "
            "FROM bookings WHERE id = 1",
            "UPDATE bookings SET status = 'canceled' WHERE id = 1 AND status = 'confirmed'",
            "UPDATE bookings SET practitionerId = 7, status = 'confirmed', startTime = IF(id = 2, '2027-01-04 09:00', "
            "'2027-01-04 10:00'), endTime = startTime + INTERVAL 50 MINUTE WHERE id IN (2, 3)",
        ):
            cursor.execute(statement)
    assert move.bring_over()["bookings"].new == 1
    with made.mysql(mariadb_url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "UPDATE bookings SET startTime = IF(id = 3, '2027-01-04 09:00', '2027-01-04 10:00'), "
            "endTime = startTime + INTERVAL 50 MINUTE, "
            "stripePaymentIntentId = IF(id = 3, 'pi_2', 'pi_3') WHERE id IN (2, 3)"
        )
    assert move.bring_over()["bookings"].changed == 2
    assert all(one.agrees for one in move.compare().values())
    with move.work() as ctx:
        # Somebody is to keep what the source gives away: that is no change of hands.
        ctx.session.get_one(Practitioner, 3).name = "Changed here"
    with made.mysql(mariadb_url) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE practitioners SET email = concat('was.', email) WHERE id = 3")
        cursor.execute("UPDATE practitioners SET email = 'ben@clinic.example' WHERE id = 7")
    with pytest.raises(InvalidInput) as refused:
        move.bring_over()
    assert "another record has the same" in refused.value.sentence


@pytest.mark.parametrize("decided", ["cancel", "leave", "refuse"])
def test_what_was_pending_when_it_came_over_may_become_past(mariadb_url: str, real_db: Database, decided: str) -> None:
    bookings_mysql.make(mariadb_url, rows=20, ugly=False)
    with made.mysql(mariadb_url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO bookings (practitionerId, clientName, clientEmail, clientPhone, startTime, endTime, status, "
            "amount) VALUES (3, 'Undecided', 'x@y.example', '1', now() + INTERVAL 1 DAY, now() + INTERVAL 25 HOUR, "
            "'pending', 100)"
        )
    clock = Clock(real_db)
    move = Move(real_db, mariadb_url)
    move.plan()
    move.decide(decisions={Rule.PENDING_PAST: decided})
    move.bring_over()
    clock.forward(days=8)
    assert move.inspect() == {}
    counts = move.bring_over()["bookings"]
    assert (counts.unchanged, counts.left) == (counts.read, 0)
    assert all(one.agrees for one in move.compare().values())


def test_tables_without_rows_are_brought_over(earlier_postgres: str, real_db: Database) -> None:
    clients_prisma.make(earlier_postgres, rows=0, ugly=False)
    move = Move(real_db, earlier_postgres)
    there(move, "DELETE FROM onboarding_states", "DELETE FROM clients")
    move.plan()
    move.decide()
    assert move.bring_over()["clients"].read == 0
    there(move, "INSERT INTO clients (id, name, \"updatedAt\") VALUES ('c1', 'First', now())")
    assert move.bring_over()["clients"].new == 1
    with real_db.read_only() as session:
        assert session.scalar(select(func.count()).where(MoveRun.finished_at.is_(None))) == 0


def test_what_tells_rows_apart_is_one_column(earlier_postgres: str, real_db: Database) -> None:
    clients_prisma.make(earlier_postgres, rows=4, ugly=False)
    move = Move(real_db, earlier_postgres)
    there(
        move,
        "ALTER TABLE onboarding_states DROP CONSTRAINT onboarding_states_pkey, "
        'ADD CONSTRAINT onboarding_states_pkey PRIMARY KEY ("clientId", id)',
    )
    move.plan()
    mapping = move.decide()
    with pytest.raises(InvalidInput) as refused:
        move.bring_over()
    assert "No one column is the key of onboarding_states" in refused.value.sentence
    states = [replace(each, key="currentStep") if each.to == "onboarding_states" else each for each in mapping.tables]
    move.mapping = replace(mapping, tables=tuple(states))
    with pytest.raises(InvalidInput) as refused:
        move.bring_over()
    assert "have the same currentStep" in refused.value.sentence
    assert count(real_db, OnboardingState) == 0


def test_until_the_cut_over_records_are_made_on_both_sides(earlier_postgres: str, real_db: Database) -> None:
    clients_prisma.make(earlier_postgres, rows=20, ugly=False, ids="int")
    move = Move(real_db, earlier_postgres)
    move.plan()
    move.decide()
    move.bring_over()
    with move.work() as ctx:
        here = Client(name="Made here")
        ctx.session.add(here)
        ctx.session.flush()
        number = here.id
    there(move, "INSERT INTO clients (name, \"updatedAt\") SELECT 'Made there', now() FROM generate_series(1, 3)")
    counts = move.bring_over()["clients"]
    assert (counts.new, counts.changed) == (3, 0)
    move.bring_over()
    with move.work() as ctx:
        again = Client(name="Made here, too")
        ctx.session.add(again)
        ctx.session.flush()
        assert number < again.id < number + 1000


def test_the_products_own_tables_are_no_earlier_system(real_db: Database) -> None:
    address = real_db.engine.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with pytest.raises(NotFound) as refused:
        Move(real_db, address).plan()
    assert "None of the earlier systems is there" in refused.value.sentence
    clients_prisma.make(address, rows=5, ugly=False, tables="default")
    assert {table.name for table in Move(real_db, address).plan().tables} == {"Client", "OnboardingState"}


def test_a_zone_that_there_is_not_is_told(mariadb_url: str, real_db: Database) -> None:
    bookings_mysql.make(mariadb_url, rows=20, ugly=False)
    with made.mysql(mariadb_url) as connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE practitioners ADD timeZone varchar(50) NOT NULL DEFAULT ''")
        cursor.execute("UPDATE practitioners SET timeZone = IF(id = 3, 'GMT+25', 'Europe/Oslo') WHERE id IN (3, 5)")
    move = Move(real_db, mariadb_url)
    move.plan()
    move.decide(zone="Europe/Berlin")
    assert move.inspect() == {"practitioners.time_zone unknown_label": 1}
    with made.mysql(mariadb_url) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE practitioners SET timeZone = 'Europe/Berlin' WHERE id = 3")
    move.bring_over()
    with real_db.read_only() as session:
        zones = session.scalars(select(Practitioner.time_zone).order_by(Practitioner.id)).all()
    assert zones == ["Europe/Berlin", "Europe/Oslo", "UTC"]


def test_what_was_repaired_as_decided_is_no_difference(mariadb_url: str, real_db: Database) -> None:
    bookings_mysql.make(mariadb_url, rows=20, ugly={"missing_created_at"}, money="major")
    with made.mysql(mariadb_url) as connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE bookings MODIFY amount decimal(10,3) NOT NULL")
        cursor.execute("UPDATE bookings SET amount = 90.505 WHERE id = 1")
    move = Move(real_db, mariadb_url)
    move.plan()
    repairs = {Rule.MISSING: "usual", Rule.CHANGES_VALUE: "round"}
    move.decide(zone="Europe/Berlin", decisions=repairs)
    move.bring_over()
    compared = move.compare()
    assert "repaired as decided" in compared["bookings"].lines[0].what
    assert all(one.agrees for one in compared.values()), compared
    with real_db.read_only() as session:
        assert session.get_one(Booking, 1).price_amount == 9051
    with made.mysql(mariadb_url) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE bookings SET clientName = 'Other' WHERE id = 1")
    assert move.compare()["bookings"].differing == ("1",)


def test_a_number_with_zeros_before_it_is_that_number(mariadb_url: str, real_db: Database) -> None:
    """MySQL's ZEROFILL is told with them."""
    bookings_mysql.make(mariadb_url, rows=20, ugly=False)
    with made.mysql(mariadb_url) as connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE bookings MODIFY id int(7) unsigned zerofill NOT NULL AUTO_INCREMENT")
    move = Move(real_db, mariadb_url)
    move.plan()
    move.decide(zone="Europe/Berlin")
    move.bring_over()
    assert all(one.agrees for one in move.compare().values())
    assert move.bring_over()["bookings"].new == 0
    with move.work() as ctx:
        assert undoing.take_back(ctx, system="bookings") > 0
