"""The runbooks are done as they stand: their statements, their commands and their decisions, taken from the files."""

from __future__ import annotations

import re
import shlex
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest
import tomlkit
from click.testing import CliRunner, Result
from sqlalchemy import func, select

from admin_app.db import Database
from models import Booking, Client, Meeting, MovedRow, Practitioner, Profile
from tests.house import House, build, own_simulator
from tests.migrations.earlier import (
    bookings_mysql,
    clients_prisma,
    made,
    meetings_drizzle,
    memberships_drizzle,
    sessions_prisma,
)
from tests.migrations.earlier.made import Made

__all__ = ["own_simulator"]

RUNBOOKS = Path(__file__).resolve().parents[3] / "docs" / "runbooks"
ROWS = 60
# What a maker makes, a table that the earlier application writes, and what has to be here in the end.
SYSTEMS: dict[str, tuple[Callable[..., Made], str, Any]] = {
    "bookings": (lambda url, **size: bookings_mysql.make(url, money="major", **size), "bookings", Booking),
    "clients": (clients_prisma.make, "clients", Client),
    "sessions": (sessions_prisma.make, '"Booking"', Booking),
    "meetings": (meetings_drizzle.make, "meetings", Meeting),
    "memberships": (memberships_drizzle.make, "profiles", Profile),
}


def section(page: str, heading: str) -> str:
    text = (RUNBOOKS / f"{page}.md").read_text()
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, flags=re.DOTALL | re.MULTILINE)
    assert found, f"{page}.md has no section called {heading}"
    return found[1]


def blocks(page: str, heading: str, language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", section(page, heading), flags=re.DOTALL | re.MULTILINE)
    assert found, f"{heading} of {page}.md has no {language}"
    return [str(block) for block in found]


def decide(file: Path, page: str) -> None:
    """The plan with the runbook's decisions in it."""
    (said,) = blocks(page, "The move", "toml")
    plan = tomlkit.parse(file.read_text()).unwrap()
    merge(plan, tomlkit.parse(said).unwrap(), page)
    file.write_text(tomlkit.dumps(plan))


def merge(into: dict[str, Any], said: dict[str, Any], where: str) -> None:
    for name, value in said.items():
        if isinstance(value, dict) and not {"to", "left"} & value.keys():
            merge(into.setdefault(name, {}), value, f"{where}.{name}")
        else:
            assert name in into, f"{where}: the plan has no {name}"
            into[name] = value


class Earlier:
    """The earlier system's server as its administrator, its application, and the tool that reads it see it."""

    def __init__(self, address: str) -> None:
        self.address, self.database = address, urlsplit(address).path.strip("/")
        self.is_mysql = address.startswith("mysql:")
        mark = uuid.uuid4().hex[:8]
        self.names = {"backdesk_reader": f"reader_{mark}", "earlier_app": f"app_{mark}"}

    def run(self, page: str, heading: str) -> None:
        """The statements of one kind of server: they stand there for PostgreSQL first, then for MySQL."""
        self.do(blocks(page, heading, "sql")[self.is_mysql])

    def do(self, statements: str, *, role: str | None = None) -> None:
        for name, mine in self.names.items():
            statements = statements.replace(name, mine)
        statements = statements.replace("app.*", f"{self.database}.*")
        parts = [part for part in statements.split(";") if part.strip()]
        if self.is_mysql:
            with made.mysql(self.url(role)) as connection, connection.cursor() as cursor:
                for part in parts:
                    cursor.execute(part)
        else:
            with psycopg.connect(self.url(role), autocommit=True) as connection:
                for part in parts:
                    connection.execute(part.encode())

    def url(self, role: str | None) -> str:
        if role is None:
            return self.address
        parts = urlsplit(self.address)
        return parts._replace(netloc=f"{self.names[role]}:choose-one@{parts.netloc.rpartition('@')[2]}").geturl()

    def an_application(self) -> None:
        if self.is_mysql:
            self.do("CREATE USER 'earlier_app'@'%' IDENTIFIED BY 'choose-one'; GRANT ALL ON app.* TO 'earlier_app'@'%'")
        else:
            self.do(
                "CREATE ROLE earlier_app LOGIN PASSWORD 'choose-one'; GRANT USAGE ON SCHEMA public TO earlier_app; "
                "GRANT ALL ON ALL TABLES IN SCHEMA public TO earlier_app"
            )

    def may_write(self, table: str) -> bool:
        """Whether the application can change a table, all of which it can read."""
        self.do(f"SELECT count(*) FROM {table}", role="earlier_app")
        try:
            self.do(f"DELETE FROM {table} WHERE 1 = 0", role="earlier_app")
        except (psycopg.errors.InsufficientPrivilege, pymysql.err.OperationalError):
            return False
        return True

    def remove_users(self) -> None:
        """Those of PostgreSQL go with their server."""
        if self.is_mysql:
            self.do("".join(f"DROP USER IF EXISTS '{name}'@'%';" for name in self.names))


@contextmanager
def earlier(address: str) -> Iterator[Earlier]:
    system = Earlier(address)
    system.an_application()
    system.run("moving-in", "Before")
    try:
        yield system
    finally:
        system.remove_users()


class Hand:
    """Somebody who types the commands of a runbook in a folder of their own."""

    def __init__(self, house: House, page: str) -> None:
        self.runner: CliRunner = house.app.test_cli_runner()
        self.page = page

    def type(self, command: str) -> Result:
        program, *arguments = shlex.split(command)
        assert (program, arguments[:2]) == ("flask", ["--app", "wsgi"]), command
        return self.runner.invoke(args=arguments[2:])

    def do(self, block: str) -> None:
        for command in block.splitlines():
            answer = self.type(command)
            assert answer.exit_code == 0, (command, answer.output, answer.exception)


@pytest.fixture
def house(own_simulator: str, real_db: Database) -> House:
    return build(own_simulator, real_db)


def number(house: House, model: Any) -> int:
    with house.db.read_only() as session:
        return int(session.scalar(select(func.count()).select_from(model)) or 0)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_runbook(
    system: str, house: House, request: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own_postgres: str
) -> None:
    """From an ugly system to the proof, back to the start, and again to what comes after."""
    make, table, model = SYSTEMS[system]
    address = request.getfixturevalue("mariadb_url") if system == "bookings" else own_postgres
    make(address, rows=ROWS)
    page = f"moving-in-{system}"
    monkeypatch.chdir(tmp_path)
    with earlier(address) as there:
        monkeypatch.setenv("LEGACY_DATABASE_URL", there.url("backdesk_reader"))
        hand = Hand(house, page)
        look_and_plan, bring_over, once_more = blocks(page, "The move", "sh")
        look, plan = look_and_plan.splitlines()
        looked = hand.type(look)
        assert (looked.exit_code, "have to be decided" in looked.output) == (1, True), looked.output
        hand.do(plan)
        decide(tmp_path / f"{system}.toml", page)
        hand.do(bring_over)
        assert there.may_write(table)
        there.run("moving-in", "How the earlier application goes on meanwhile")
        assert not there.may_write(table)
        hand.do(once_more)
        assert "checksum" in (tmp_path / f"{system}.txt").read_text()
        assert number(house, model) > 0

        (back,) = blocks(page, "The way back", "sh")
        hand.do(back)
        assert [number(house, each) for each in (model, Practitioner, MovedRow)] == [0, 0, 0]
        there.run("moving-in", "The way back")
        assert there.may_write(table)

        hand.do(bring_over)
        hand.do(once_more)
        (after,) = blocks(page, "After", "sh")
        hand.do(after)


def test_every_system_has_its_page_and_its_seconds() -> None:
    common = (RUNBOOKS / "moving-in.md").read_text()
    for system in SYSTEMS:
        assert f"(moving-in-{system}.md)" in common
        assert "`flask legacy import`" in section(f"moving-in-{system}", "How long each step takes")
