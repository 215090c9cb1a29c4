"""Where the benchmark's databases live: the server of DATABASE_URL, else an embedded one under var/bench."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from admin_app.launcher.postgres import Server

ROOT = Path(__file__).resolve().parents[2]
# The data can be made again at any time, so nothing waits for the disk; memory is what a small server has.
OPTIONS = {
    "shared_buffers": "512MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "30min",
}


@contextmanager
def server() -> Iterator[str]:
    """The address of a server for the time of the block."""
    given = os.environ.get("DATABASE_URL", "")
    if given:
        yield given
        return
    home = ROOT / "var" / "bench"
    home.mkdir(parents=True, exist_ok=True)
    embedded = Server(home, log=home / "postgres.log", durable=False, options=OPTIONS)
    embedded.start()
    try:
        yield embedded.url()
    finally:
        embedded.stop()


def database_of(bookings: int) -> str:
    return f"backdesk_bench_{bookings}"


def on(server_url: str, database: str) -> str:
    """The address of another database of the same server."""
    return urlsplit(server_url)._replace(path=f"/{database}").geturl()


def create(server_url: str, database: str) -> str:
    """The address of the database, made when it is not there."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone()
        if known is None:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(database)))
    return on(server_url, database)


def migrate(url: str) -> None:
    """Bring a database to the newest revision, as an operator does."""
    command = [sys.executable, "-m", "alembic", "-c", "migrations/alembic.ini", "upgrade", "head"]
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "DATABASE_URL": url}, stderr=subprocess.PIPE)
