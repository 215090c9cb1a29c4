"""PostgreSQL for the tests: one server per run, one migrated template, clones of it on demand.

The controller starts the server before pytest-xdist makes its workers, which find it through the environment.
The server is tied to the controller's life by the kernel, so a killed run leaves none behind.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from admin_app.launcher.postgres import Server

ROOT = Path(__file__).resolve().parent.parent
SERVER_URL = "BACKDESK_TEST_PG"
FOLDER_PREFIX = "backdesk-test-"
TEMPLATE = "backdesk_template"
# Any number, as long as every worker takes the same one while it looks for the template.
TEMPLATE_LOCK = 7_250_301
POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")
# Autovacuum would hold a template open while it is being cloned; tests analyze what they measure.
OPTIONS = {"max_connections": "400", "autovacuum": "off", "shared_buffers": "128MB"}
# What sets the clock of a program to another day; now() must say the same as the tests' own clock. See tests/days.py.
CLOCK = ("LD_PRELOAD", "FAKETIME", "FAKETIME_DONT_FAKE_MONOTONIC", "NO_FAKE_STAT")

_running: list[tuple[Server, Path]] = []


def pytest_configure(config: pytest.Config) -> None:
    in_worker = "PYTEST_XDIST_WORKER" in os.environ
    if in_worker or config.option.help or config.option.version or config.option.collectonly:
        return
    _sweep_killed_runs()
    server = _start_server()
    os.environ[SERVER_URL] = server.url()


def pytest_unconfigure() -> None:
    for server, folder in _running:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    _running.clear()


def _start_server(programs: Path | None = None) -> Server:
    folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-"))
    clock = {name: os.environ[name] for name in CLOCK if name in os.environ}
    server = Server(folder, log=folder / "log", programs=programs, durable=False, options=OPTIONS, environment=clock)
    _running.append((server, folder))
    server.start()
    return server


def _sweep_killed_runs() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        pid = folder.name.removeprefix(FOLDER_PREFIX).partition("-")[0]
        # Another run may sweep at the same time.
        with suppress(FileNotFoundError):
            if pid.isdigit() and folder.owner() == Path.home().owner() and not _alive(int(pid)):
                shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def database_url(database: str) -> str:
    """The address of one database of the run's server."""
    return urlsplit(os.environ[SERVER_URL])._replace(path=f"/{database}").geturl()


def migrate(url: str, revision: str = "head") -> None:
    """Bring a database up to a revision, as an operator does."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "alembic",
            "-c",
            "migrations/alembic.ini",
            "upgrade",
            revision,
        ],
        cwd=ROOT,
        check=False,
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"alembic upgrade {revision} failed:\n{done.stdout}{done.stderr}")


def _execute(statement: str) -> None:
    with psycopg.connect(os.environ[SERVER_URL], autocommit=True) as connection:
        connection.execute(statement.encode())


@pytest.fixture(scope="session")
def template_database() -> str:
    """The name of a database migrated to head, made once for all workers; nobody connects to it."""
    with psycopg.connect(os.environ[SERVER_URL], autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [TEMPLATE_LOCK])
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [TEMPLATE])
        if known.fetchone() is None:
            unfinished = f"{TEMPLATE}_{uuid.uuid4().hex}"
            connection.execute(f"CREATE DATABASE {unfinished}".encode())
            if (ROOT / "migrations" / "alembic.ini").exists():
                migrate(database_url(unfinished))
            connection.execute(f"ALTER DATABASE {unfinished} RENAME TO {TEMPLATE}".encode())
    return TEMPLATE


def _clone(template: str) -> Iterator[str]:
    name = f"t_{uuid.uuid4().hex}"
    _execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield database_url(name)
    _execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def fresh_database_url(template_database: str) -> Iterator[str]:
    """A migrated database of this test's own, for tests that commit or use several connections."""
    yield from _clone(template_database)


@pytest.fixture(scope="module")
def module_database_url(template_database: str) -> Iterator[str]:
    """A migrated database for the tests of one module, for what takes long to start on one."""
    yield from _clone(template_database)


@pytest.fixture
def empty_database_url() -> Iterator[str]:
    """A database without any table, for the tests of the migrations themselves."""
    yield from _clone("template1")


@pytest.fixture(scope="session")
def worker_database_url(template_database: str) -> Iterator[str]:
    """One migrated database per worker, for tests that undo their work by a savepoint."""
    yield from _clone(template_database)


@pytest.fixture(scope="session")
def postgres15_url() -> Iterator[str | None]:
    """The oldest supported server, where this machine has its programs; else None."""
    if not (POSTGRES_15 / "postgres").exists():
        yield None
        return
    server = _start_server(POSTGRES_15)
    yield server.url()
    server.stop()
