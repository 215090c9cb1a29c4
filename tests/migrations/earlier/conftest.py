"""Servers of the kinds that the earlier systems run on, and empty databases on them."""

import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
import pytest

from admin_app.launcher.children import LaunchError
from admin_app.launcher.postgres import ROLE
from tests.conftest_postgres import SERVER_URL
from tests.migrations.conftest import SERVERS, Administered
from tests.migrations.earlier import servers


@pytest.fixture(scope="session")
def mariadb() -> Iterator[servers.MariaDB]:
    """One MariaDB server for each worker that needs one. Without its programs the test fails and says what to do."""
    try:
        with servers.running() as server:
            yield server
    except LaunchError as problem:
        pytest.fail(str(problem), pytrace=False)


@pytest.fixture
def mariadb_url(mariadb: servers.MariaDB) -> Iterator[str]:
    """The address of an empty database on MariaDB."""
    name = mariadb.create_database()
    yield mariadb.url(name)
    mariadb.drop_database(name)


@pytest.fixture(params=SERVERS)
def earlier_postgres(request: Any) -> Iterator[str]:
    """The address of an empty database, on each PostgreSQL that this machine has."""
    with _on_postgres(request) as address:
        yield address


@pytest.fixture(params=[*SERVERS, "mariadb"])
def earlier_server(request: Any) -> Iterator[str]:
    """The address of an empty database, on each kind of server that an earlier system runs on."""
    if request.param == "mariadb":
        yield request.getfixturevalue("mariadb_url")
        return
    with _on_postgres(request) as address:
        yield address


@pytest.fixture(scope="session")
def server_with_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Administered]:
    """A PostgreSQL of its own, on which users can be made: they belong to a whole server."""
    made = Administered(tmp_path_factory.mktemp("with_users"), None)
    made.as_superuser(f"ALTER ROLE {ROLE} CREATEROLE")
    yield made
    made.server.stop()


@pytest.fixture
def own_postgres(server_with_users: Administered) -> Iterator[str]:
    """The address of an empty database on a server on which users can be made."""
    with _made_on(server_with_users.server.url()) as address:
        yield address


def _on_postgres(request: Any) -> AbstractContextManager[str]:
    server = request.getfixturevalue("postgres15_url") if request.param == "postgres15" else os.environ[SERVER_URL]
    return _made_on(server)


@contextmanager
def _made_on(server: str) -> Iterator[str]:
    """An empty database.

    Its zone is that of an office, not UTC: what a time without a zone means must not depend on who asks.
    """
    name = f"t_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template1".encode())
        connection.execute(f"ALTER DATABASE {name} SET timezone TO 'Europe/Berlin'".encode())
        yield f"{server.rpartition('/')[0]}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
