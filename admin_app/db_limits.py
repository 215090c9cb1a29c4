"""How long anything about the database may take: said to the server, to the network, and kept by the client itself.

The server ends what is too slow while it can be reached. A database that hangs behind a network that still
acknowledges packets ends nothing, and PostgreSQL's client library waits for its answer without limit; so a connection
of ours is given up when an answer is overdue.
"""

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.errors import _WaitTimeout

from admin_app.config import Settings


@dataclass(frozen=True)
class Limits:
    """All in seconds; what a program of ours grants the database."""

    connect: int
    pool: float
    silence: int
    statement: int
    lock: int
    idle: int

    @classmethod
    def of_web(cls, settings: Settings) -> "Limits":
        """For whom somebody waits."""
        return cls(
            connect=settings.database_connect_seconds,
            pool=settings.database_pool_seconds,
            silence=settings.database_silence_seconds,
            statement=settings.database_statement_seconds,
            lock=settings.database_lock_seconds,
            idle=settings.database_idle_seconds,
        )

    @classmethod
    def of_worker(cls, settings: Settings) -> "Limits":
        """For jobs, operators' commands and measurements, which may take their time."""
        return cls(
            connect=settings.database_connect_seconds,
            pool=settings.worker_lock_seconds,
            silence=settings.database_silence_seconds,
            statement=settings.worker_statement_seconds,
            lock=settings.worker_lock_seconds,
            idle=settings.worker_idle_seconds,
        )

    @property
    def answer(self) -> int:
        """After this long without an answer to a statement the connection is given up."""
        return self.statement + self.silence

    @property
    def connection_options(self) -> dict[str, Any]:
        """For libpq: what it passes to the server and to the network."""
        return {
            "connect_timeout": self.connect,
            "options": (
                f"-c timezone=UTC -c statement_timeout={self.statement}s -c lock_timeout={self.lock}s"
                f" -c idle_in_transaction_session_timeout={self.idle}s"
            ),
            "keepalives": 1,
            "keepalives_idle": self.silence,
            "keepalives_interval": max(1, self.silence // 3),
            "keepalives_count": 3,
            "tcp_user_timeout": self.silence * 1000,
        }


class Overdue(psycopg.OperationalError):
    """No answer came in time, so the connection was closed; whether the server did it is not known."""


class BoundedConnection(psycopg.Connection[Any]):
    """A connection on which nothing waits for an answer without limit: no statement, commit, rollback or ping."""

    answers_within: float | None = None

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """As psycopg's own, which all its statements wait by; raises Overdue on a connection that it closed."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.answers_within)
        except _WaitTimeout:
            self.pgconn.finish()
            raise Overdue("no answer in time") from None


class BoundedAsyncConnection(psycopg.AsyncConnection[Any]):
    """The same for the worker's queue; listening for notices is no wait for an answer."""

    answers_within: float | None = None

    async def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        listens = getattr(gen, "__name__", "") == "notifies"
        if timeout is not None or listens:
            return await super().wait(gen, interval, timeout)
        try:
            return await super().wait(gen, interval, self.answers_within)
        except _WaitTimeout:
            self.pgconn.finish()
            raise Overdue("no answer in time") from None
