"""What can happen to anybody's migration is said in a sentence."""

import os
import subprocess
import sys

import psycopg
import pytest
from alembic.util import CommandError
from sqlalchemy import create_engine, text

from admin_app.database_url import for_sqlalchemy
from migrations import trouble
from tests.conftest_postgres import ROOT
from tests.migrations.conftest import Administered
from tests.migrations.journey import REVISIONS, Journey


@pytest.mark.parametrize("parameters", ["schema=public", "schema=public&connection_limit=5&pool_timeout=2"])
def test_an_address_that_served_prisma(journey: Journey, parameters: str) -> None:
    Journey(f"{journey.url}?{parameters}").up("0001")
    assert journey.value("SELECT version_num FROM alembic_version") == REVISIONS[0]


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ("schema=app", "names the schema 'app', and Backdesk's tables are in public"),
        ("pgbouncer=true", "says pgbouncer=true, a pooler .* give the direct address"),
        ("sslmode=perhaps", "No connection to the database at 127.0.0.1:.*sslmode"),
        ("madeup=1", 'No connection to the database at .*invalid connection option "madeup"'),
    ],
)
@pytest.mark.parametrize("server", ["embedded"])
def test_an_address_that_will_not_do(journey: Journey, parameters: str, sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        Journey(f"{journey.url}?{parameters}").up()


def test_what_the_driver_knows_stays_in_the_address() -> None:
    kept = "postgresql+psycopg://u:p%40ss@h:1/d?sslmode=require&options=-c+timezone%3DUTC"
    assert for_sqlalchemy("postgres://u:p%40ss@h:1/d?schema=public&sslmode=require&options=-c%20timezone%3DUTC") == kept
    assert for_sqlalchemy("sqlite:///x?schema=y") == "sqlite:///x?schema=y"


def test_a_command_without_a_way_in_says_one_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "-c", "migrations/alembic.ini", "upgrade", "head"],
        cwd=ROOT, check=False, capture_output=True, text=True,
        env={**os.environ, "DATABASE_URL": "postgresql://someone:secret-word@127.0.0.1:1/nothing"},
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "No connection to the database at 127.0.0.1:1/nothing" in said
    assert len(said.strip().splitlines()) <= 2
    assert "secret-word" not in said


def test_rights_are_asked_for_together(administered: Administered) -> None:
    administered.as_superuser("CREATE TABLE bookings (id bigint PRIMARY KEY)")
    with psycopg.connect(administered.server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE theirs TEMPLATE template1")
    administered.as_superuser("ALTER DATABASE theirs OWNER TO CURRENT_USER")
    with pytest.raises(CommandError) as told:
        Journey(f"{administered.server.url().rpartition('/')[0]}/theirs").up()
    for sentence in (
        "may not make tables: GRANT CREATE ON SCHEMA",
        "The table bookings belongs to",
        "the extension citext",
    ):
        assert sentence in str(told.value)
    assert "\n- bookings" not in str(told.value)


def test_rows_that_are_hidden_from_who_migrates(journey: Journey) -> None:
    journey.run("CREATE TABLE bookings (id bigserial PRIMARY KEY)")
    journey.run("ALTER TABLE bookings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    with pytest.raises(CommandError, match=r"bookings may hide rows from .* NO FORCE ROW LEVEL SECURITY"):
        journey.up()


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("SET statement_timeout = '20ms'; SELECT pg_sleep(5)", "did not end within its time limit"),
        ("SELECT pg_terminate_backend(pg_backend_pid())", "The connection to the database was lost"),
        ("SET ROLE pg_monitor; CREATE TABLE pg_catalog.x ()", "lacks a right: permission denied"),
    ],
)
def test_what_happens_on_the_way(journey: Journey, statement: str, sentence: str) -> None:
    engine = create_engine(for_sqlalchemy(journey.url), isolation_level="AUTOCOMMIT")
    with pytest.raises(CommandError, match=sentence), trouble.in_sentences(engine.url), engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
