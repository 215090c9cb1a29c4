"""Whether the database can do its work, said within a bound whatever state it is in."""

import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswerYet
from typing import Any

import psycopg
from sqlalchemy import Engine

from admin_app.db_limits import BoundedConnection

# Together below the two seconds in which a watcher is promised its answer.
PATIENCE_SECONDS = 1.5
_ANSWER_SECONDS = 1.0
_CONNECT_SECONDS = 2  # the least that psycopg grants
_MIGRATED = "SELECT to_regclass('alembic_version') IS NOT NULL"
_APPLIED = "SELECT version_num FROM alembic_version"


class DatabaseFails(Exception):
    """The database does not do its work; why stays with it."""


class _Watched(BoundedConnection):
    answers_within = _ANSWER_SECONDS


class Pulse:
    """Looks at one engine's database by a connection of its own; however many ask, one of them looks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._look: Future[frozenset[str]] | None = None
        self._turn = threading.Lock()

    def revisions(self, patience: float = PATIENCE_SECONDS) -> frozenset[str]:
        """The revisions of the schema; raises DatabaseFails when they are not known within `patience` seconds."""
        with self._turn:
            if self._look is None or self._look.done():
                self._look = Future()
                # A thread that hangs must not keep the process from ending, so it is none of an executor's.
                threading.Thread(target=self._work, args=(self._look,), name="database-health", daemon=True).start()
            look = self._look
        try:
            return look.result(patience)
        except (NoAnswerYet, psycopg.Error) as failed:
            raise DatabaseFails from failed

    def _work(self, look: Future[frozenset[str]]) -> None:
        try:
            found = self._ask()
            # As a page does: fails when others use all there are, or when none can be opened.
            self._engine.connect().close()
        except Exception as failed:  # every kind means the same here
            look.set_exception(failed if isinstance(failed, psycopg.Error) else psycopg.OperationalError())
        else:
            look.set_result(found)

    def _ask(self) -> frozenset[str]:
        # Opened each time: what can be asked by an old connection only is not well.
        arguments, options = self._engine.dialect.create_connect_args(self._engine.url)
        with _Watched.connect(*arguments, **{**options, **_BOUNDS}, autocommit=True) as connection:
            if not connection.execute(_MIGRATED).fetchone()[0]:  # type: ignore[index]
                return frozenset()
            return frozenset(row[0] for row in connection.execute(_APPLIED))


_BOUNDS: dict[str, Any] = {
    "connect_timeout": _CONNECT_SECONDS,
    "options": f"-c timezone=UTC -c statement_timeout={_ANSWER_SECONDS}s",
    "prepare_threshold": None,
    "application_name": "backdesk-health",
}
