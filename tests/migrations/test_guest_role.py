"""The role that guests' sessions read as: made by the migration, or by an administrator before it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from sqlalchemy import create_engine, text

from admin_app.db import Database, GuestReadsNotAllowed
from admin_app.launcher.postgres import GUEST_ROLE, ROLE, Server
from tests.conftest import with_driver
from tests.conftest_postgres import ROOT
from tests.migrations.conftest import Administered
from tests.migrations.journey import Journey


def test_down_takes_the_wall_away_and_up_brings_it_back(journey: Journey) -> None:
    policies = "SELECT count(*) FROM pg_policies WHERE schemaname = 'public'"
    may_read = f"SELECT has_table_privilege('{GUEST_ROLE}', 'meetings', 'SELECT')"
    walled = "SELECT count(*) FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace"
    journey.up()
    assert [journey.value(found) for found in (policies, may_read, walled)] == [6, True, 3]
    journey.down("0023")
    assert [journey.value(found) for found in (policies, may_read, walled)] == [0, False, 0]
    journey.up()
    assert [journey.value(found) for found in (policies, may_read, walled)] == [6, True, 3]


def test_who_may_not_make_or_take_the_role_is_told_what_to_run(
    administered: Administered, caplog: pytest.LogCaptureFixture
) -> None:
    administered.as_superuser(f"DROP ROLE {GUEST_ROLE}")
    with closing(Journey(administered.server.url())) as journey:
        journey.up()
        journey.check_drift()
        journey.run("INSERT INTO guests (email, workos_user_id) VALUES ('a@x.de', 'user_a'), ('b@x.de', 'user_b')")
    assert "GRANT backdesk_guest TO backdesk" in caplog.text
    refused(administered)
    administered.as_superuser(f"CREATE ROLE {GUEST_ROLE} NOLOGIN")
    refused(administered)
    administered.as_superuser(f"GRANT {GUEST_ROLE} TO backdesk")
    with closing(Journey(administered.server.url())) as journey:
        journey.run("SELECT let_guests_read()")
        with people_of(administered) as database, database.guest_reads("user_a") as session:
            assert session.scalars(text("SELECT email FROM guests")).all() == ["a@x.de"]
        journey.down("0023")
        journey.up()
        journey.check_drift()


@contextmanager
def people_of(administered: Administered) -> Iterator[Database]:
    database = Database(create_engine(with_driver(administered.server.url())))
    yield database
    database.dispose()


def refused(administered: Administered) -> None:
    with people_of(administered) as database, pytest.raises(GuestReadsNotAllowed), database.guest_reads("user_a"):
        pass


def test_two_databases_of_one_server_are_migrated_at_once(administered: Administered) -> None:
    administered.as_superuser(f"DROP ROLE {GUEST_ROLE}", f"ALTER ROLE {ROLE} CREATEROLE")
    makes_roles = administered.server
    names = ("one", "two")
    with psycopg.connect(makes_roles.url(), autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE DATABASE {name}".encode())
    command = [sys.executable, "-m", "alembic", "-c", "migrations/alembic.ini", "upgrade", "head"]
    running = [
        subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "DATABASE_URL": makes_roles.url(name)}, stderr=subprocess.PIPE
        )
        for name in names
    ]
    said = [process.communicate()[1].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    sees_everything_whoever_owns_the_tables(makes_roles)


def sees_everything_whoever_owns_the_tables(server: Server) -> None:
    with psycopg.connect(server.url("one"), autocommit=True) as owner:
        owner.execute("INSERT INTO guests (email, workos_user_id) VALUES ('a@x.de', 'user_a'), ('b@x.de', 'user_b')")
        for role in ("other", "other_member"):
            owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{server.password}'".encode())
            owner.execute(f"GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA public TO {role}".encode())
        owner.execute(f"GRANT {GUEST_ROLE} TO other_member".encode())
    for role in ("other", "other_member"):
        with psycopg.connect(server.url("one").replace(f"//{ROLE}:", f"//{role}:"), autocommit=True) as connection:
            assert connection.execute("SELECT count(*) FROM guests").fetchone() == (2,)
            assert connection.execute("UPDATE guests SET name = 'x'").rowcount == 2
    with psycopg.connect(server.url("one").replace(f"//{ROLE}:", "//other_member:")) as connection:
        connection.execute(f"SET LOCAL ROLE {GUEST_ROLE}".encode())
        assert connection.execute("SELECT count(*) FROM guests").fetchone() == (0,)
        connection.execute("SELECT set_config('app.guest_workos_user_id', 'user_a', true)")
        assert connection.execute("SELECT email FROM guests").fetchall() == [("a@x.de",)]
