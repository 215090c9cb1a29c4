"""A PostgreSQL server of the harness's own, whose connections may be used up, and migrated databases on it."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from admin_app.launcher.postgres import Server
from tests.conftest_postgres import migrate

OPTIONS = {"max_connections": "150", "shared_buffers": "128MB"}
TEMPLATE = "faults_template"


class Databases:
    """Migrated once, then copied, which takes a moment."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._execute(f"CREATE DATABASE {TEMPLATE}")
        migrate(server.url(TEMPLATE))

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """The address of a migrated database of one's own."""
        name = f"f_{uuid.uuid4().hex}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        try:
            yield self._server.url(name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._server.url(), autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def served(folder: Path) -> Iterator[Databases]:
    """A server that runs while the block does."""
    server = Server(folder / "postgres", log=folder / "postgres.log", durable=False, options=OPTIONS)
    server.start()
    try:
        yield Databases(server)
    finally:
        server.stop()
