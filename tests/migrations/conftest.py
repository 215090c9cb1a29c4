"""Databases to migrate, on each server that this machine has."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from admin_app.launcher.postgres import Server
from tests.conftest_postgres import POSTGRES_15, SERVER_URL, TEMPLATE, migrate
from tests.migrations.journey import SCRIPTS, Journey

PROGRAMS = [None, *([POSTGRES_15] if (POSTGRES_15 / "postgres").exists() else [])]
SERVERS = ["embedded", *(["postgres15"] if (POSTGRES_15 / "postgres").exists() else [])]


@pytest.fixture(scope="session", autouse=True)
def _revisions_are_read_once() -> Iterator[None]:
    """Alembic loads every revision's file again for each command."""
    reads = ScriptDirectory.from_config

    def kept(config: Config) -> ScriptDirectory:
        ours = config.get_main_option("script_location") == SCRIPTS.dir
        return SCRIPTS if ours else reads(config)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", kept)
        yield


@pytest.fixture(params=SERVERS)
def server(request: Any) -> str:
    """Which of the two kinds of server this test runs on."""
    return str(request.param)


@pytest.fixture(scope="session")
def postgres15_template(postgres15_url: str) -> str:
    """The name of a database migrated to the newest revision on the oldest supported server."""
    with psycopg.connect(postgres15_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE}".encode())
    migrate(f"{postgres15_url.rpartition('/')[0]}/{TEMPLATE}")
    return TEMPLATE


@pytest.fixture
def journey(request: Any, server: str) -> Iterator[Journey]:
    """An empty database and the means to migrate it."""
    yield from _journey(request, server, "template1")


@pytest.fixture
def migrated(request: Any, server: str) -> Iterator[Journey]:
    """A database of this test's own at the newest revision."""
    template = "postgres15_template" if server == "postgres15" else "template_database"
    yield from _journey(request, server, request.getfixturevalue(template))


def _journey(request: Any, server: str, template: str) -> Iterator[Journey]:
    address = request.getfixturevalue("postgres15_url") if server == "postgres15" else os.environ[SERVER_URL]
    name = f"t_{uuid.uuid4().hex}"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        on_its_way = Journey(f"{address.rpartition('/')[0]}/{name}")
        yield on_its_way
        on_its_way.close()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


class Administered:
    """A server of the test's own, on which the superuser's statements can be run."""

    def __init__(self, folder: Path, programs: Path | None) -> None:
        self.server = Server(folder / "pg", log=folder / "log", programs=programs, durable=False)
        self.server.start()

    def as_superuser(self, *statements: str) -> None:
        self.server.stop()
        self.server._single_user(self.server.data, self.server._identity(), *statements)
        self.server.start()


@pytest.fixture(params=PROGRAMS, ids=lambda programs: "postgres15" if programs else "embedded")
def administered(request: Any, tmp_path: Path) -> Iterator[Administered]:
    made = Administered(tmp_path, request.param)
    yield made
    made.server.stop()
