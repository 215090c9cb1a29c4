"""The second wall around guests: what PostgreSQL itself shows to the role that their sessions read as."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import create_engine, select, text

from admin_app.context import Job
from admin_app.db import GUEST_ROLE, Database, GuestReadsNotAllowed
from models import Guest, Meeting, Organization
from tests.conftest import with_driver
from tests.services import diary

GINA, HAL = "user_01GINA", "user_01HAL"
SHOWN = "SELECT (SELECT count(*) FROM meetings), (SELECT count(*) FROM guests), (SELECT count(*) FROM organizations)"


@pytest.fixture
def people(real_db: Database) -> Database:
    """Two guests with a meeting each, a guest whose registration failed, and a meeting and a team of nobody's."""
    with real_db.unit_of_work(Job("test")) as ctx:
        kind = diary.offer(ctx)
        now = ctx.now
        for number, user in enumerate((GINA, HAL, None)):
            ctx.session.add(Guest(email=f"g{number}@example.com", workos_user_id=user))
            ctx.session.add(
                Meeting(
                    practitioner_id=kind.practitioner_id,
                    starts_at=diary.tomorrow(now, hour=number + 8),
                    ends_at=diary.tomorrow(now, hour=number + 9),
                    guest_workos_user_id=user,
                )
            )
        ctx.session.add_all(Organization(workos_id=f"org_{user}", name=f"user-{user}") for user in (GINA, HAL))
        ctx.session.add(Organization(workos_id="org_team", name=f"user-{GINA}", kind="team"))
    return real_db


@pytest.fixture
def guest(people: Database, fresh_database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection that is the role from its beginning to its end."""
    with psycopg.connect(fresh_database_url, options=f"-c role={GUEST_ROLE}", autocommit=True) as connection:
        yield connection


def shown(connection: psycopg.Connection[Any]) -> tuple[int, int, int]:
    (row,) = connection.execute(SHOWN).fetchall()
    return tuple(row)  # type: ignore[return-value]


def test_without_a_name_there_is_nothing(guest: psycopg.Connection[Any]) -> None:
    assert guest.execute("SELECT current_user").fetchall() == [(GUEST_ROLE,)]
    assert shown(guest) == (0, 0, 0)


@pytest.mark.parametrize("name", ["", " ", "user_nobody", "%", GINA.lower()])
def test_a_name_that_is_nobodys_shows_nothing(guest: psycopg.Connection[Any], name: str) -> None:
    guest.execute("SELECT set_config('app.guest_workos_user_id', %s, false)", [name])
    assert shown(guest) == (0, 0, 0)


def test_a_guest_sees_their_own_and_nothing_once_the_transaction_is_over(guest: psycopg.Connection[Any]) -> None:
    with guest.transaction():
        guest.execute("SELECT set_config('app.guest_workos_user_id', %s, true)", [GINA])
        assert shown(guest) == (1, 1, 1)
        assert guest.execute("SELECT DISTINCT guest_workos_user_id FROM meetings").fetchall() == [(GINA,)]
        assert guest.execute("SELECT count(*) FROM meetings WHERE guest_workos_user_id = %s", [HAL]).fetchone() == (0,)
    assert shown(guest) == (0, 0, 0)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT email FROM practitioners",
        "SELECT 1 FROM bookings",
        "SELECT 1 FROM payments",
        "SELECT 1 FROM staff",
        "SELECT 1 FROM profiles",
        "UPDATE meetings SET status = 'canceled'",
        "INSERT INTO guests (email) VALUES ('x@example.com')",
        "DELETE FROM meetings",
        "CREATE TABLE mine (id int)",
    ],
)
def test_everything_else_is_closed(guest: psycopg.Connection[Any], statement: str) -> None:
    guest.execute("SELECT set_config('app.guest_workos_user_id', %s, false)", [GINA])
    with pytest.raises(InsufficientPrivilege):
        guest.execute(statement.encode())


def test_the_practitioners_name_is_shown(guest: psycopg.Connection[Any]) -> None:
    assert guest.execute("SELECT name FROM practitioners").fetchall() == [("Dr Day",)]


def test_the_products_session_of_a_guest(people: Database) -> None:
    with people.guest_reads(GINA) as session:
        assert [meeting.guest_workos_user_id for meeting in session.scalars(select(Meeting))] == [GINA]
        assert [found.workos_id for found in session.scalars(select(Organization))] == [f"org_{GINA}"]
    with people.guest_reads("") as session:
        assert list(session.scalars(select(Meeting.id))) == []


def test_the_connections_next_user_has_neither_role_nor_name(people: Database, fresh_database_url: str) -> None:
    engine = create_engine(with_driver(fresh_database_url), pool_size=1, max_overflow=0)
    one = Database(engine)
    with one.guest_reads(GINA) as session:
        session.scalar(select(Meeting.id))
    with one.read_only() as session:
        assert session.scalar(text("SELECT current_user")) != GUEST_ROLE
        assert session.scalar(text("SELECT nullif(current_setting('app.guest_workos_user_id', true), '')")) is None
        assert len(session.scalars(select(Meeting)).all()) == 3
    one.dispose()


def test_in_a_tests_own_transaction_it_ends_too(db: Database) -> None:
    with db.guest_reads(GINA) as session:
        assert session.scalar(text("SELECT current_user")) == GUEST_ROLE
    with db.read_only() as session:
        assert session.scalar(text("SELECT current_user")) != GUEST_ROLE


def test_a_database_user_who_may_not_take_the_role_is_told(people: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("admin_app.db.GUEST_ROLE", "pg_write_all_data")
    with pytest.raises(GuestReadsNotAllowed), people.guest_reads(GINA):
        pass
