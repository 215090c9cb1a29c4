"""The database: engines, sessions and the only commit in the code base."""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.errors import InsufficientPrivilege, InvalidParameterValue
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.orm import Session, sessionmaker

from admin_app.config import Settings
from admin_app.context import Actor, Ctx, Statement
from admin_app.errors import DomainError

# A connection that was used so recently is not asked first whether it still lives: that costs as much as a query.
RESTED_SECONDS = 2.0
# Made by a migration; row level security shows it the rows of the guest that the transaction names.
GUEST_ROLE = "backdesk_guest"
_AS_GUEST = text("SELECT set_config('app.guest_workos_user_id', :guest, true), set_config('role', :role, true)")


class GuestReadsNotAllowed(DomainError):
    code = "guest_reads_not_allowed"
    status = 503
    sentence = (
        f"Guests cannot be shown their meetings: the product's database user may not take the role {GUEST_ROLE}. "
        f"An administrator of the database has to grant it."
    )


def utc_now() -> datetime:
    return datetime.now(UTC)


class Database:
    """Opens sessions and units of work on one engine, or on the one connection of a test."""

    def __init__(
        self, engine: Engine | Connection, *, clock: Callable[[], datetime] = utc_now, **session_options: Any
    ) -> None:
        self.engine = engine
        self.clock = clock
        self._sessions = sessionmaker(engine, expire_on_commit=False, **session_options)

    @classmethod
    def from_settings(cls, settings: Settings, **engine_options: Any) -> "Database":
        options: dict[str, Any] = {
            "pool_size": 10,
            "max_overflow": 20,
            # PgBouncer in transaction mode must work: no prepared statements that outlive a transaction.
            "connect_args": {"prepare_threshold": None, "options": "-c timezone=UTC"},
        }
        engine = create_engine(settings.sqlalchemy_url, **(options | engine_options))
        _replace_dead_connections(engine)
        return cls(engine)

    @contextmanager
    def unit_of_work(self, actor: Actor, *, request_id: str | None = None) -> Iterator[Ctx]:
        """One transaction: committed when the block ends well, rolled back when it raises."""
        with self._sessions() as session:
            yield Ctx(session, actor, self.clock(), request_id or uuid.uuid4().hex)
            session.commit()

    def run_alone(self, statement: Statement) -> Sequence[Any] | None:
        """Run one statement as a transaction by itself and answer its first row, None when it has none.

        Committed when this returns; nothing is left of it when it raises, which it does as a session would. It costs
        one round trip, where a unit of work costs one each to begin and to commit, and it asks the driver directly:
        for what comes by the hundred each second. See docs/decisions/0068-a-delivery-is-one-statement.md.
        """
        if isinstance(self.engine, Connection):
            with self.engine.begin_nested():
                return self.engine.exec_driver_sql(statement.sql, dict(statement.values)).first()
        pooled = self.engine.raw_connection()
        driver: psycopg.Connection[Any] = pooled.driver_connection  # type: ignore[assignment]
        try:
            driver.autocommit = True
            row: Sequence[Any] | None = driver.execute(statement.sql.encode(), statement.values).fetchone()
            driver.autocommit = False
        except psycopg.Error as error:
            pooled.invalidate(error)
            raise DBAPIError.instance(None, None, error, psycopg.Error, dialect=self.engine.dialect) from error
        finally:
            pooled.close()
        return row

    @contextmanager
    def read_only(self) -> Iterator[Session]:
        """A session whose transaction PostgreSQL itself refuses to write in."""
        with self._sessions() as session:
            if isinstance(self.engine, Engine):
                # Said by BEGIN itself, which saves a round trip.
                session.connection(execution_options={"postgresql_readonly": True})
            else:
                session.execute(text("SET TRANSACTION READ ONLY"))
            yield session

    @contextmanager
    def glance(self) -> Iterator[Session]:
        """For a few plain SELECTs that need not see one common moment, where every millisecond counts.

        Each statement is a transaction by itself, which saves the round trips of beginning and ending one. Nothing
        keeps a statement from writing here, so only what does nothing but read may use it.
        """
        with self._sessions() as session:
            if isinstance(self.engine, Engine):
                session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
            yield session

    @contextmanager
    def guest_reads(self, workos_user_id: str) -> Iterator[Session]:
        """A read-only session in which PostgreSQL itself shows this guest's own rows and no others.

        Role and guest are the transaction's own, so that a pooler's next user of the connection has neither.
        """
        with self.read_only() as session:
            try:
                session.execute(_AS_GUEST, {"guest": workos_user_id, "role": GUEST_ROLE})
            except DBAPIError as refused:
                # The second: there is no such role on this server yet.
                if not isinstance(refused.orig, InsufficientPrivilege | InvalidParameterValue):
                    raise
                raise GuestReadsNotAllowed from None
            yield session

    def dispose(self) -> None:
        self.engine.engine.dispose()


def _replace_dead_connections(engine: Engine) -> None:
    """Ask a connection that has rested whether it still lives, and open another one when it does not."""

    @event.listens_for(engine, "checkin")
    def rests(_connection: Any, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def asked(connection: Any, record: Any, _proxy: Any) -> None:
        since = record.info.get("rests_since")
        if since is None or time.monotonic() - since < RESTED_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as dead:
            raise DisconnectionError from dead
