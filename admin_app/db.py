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
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from admin_app.config import Settings
from admin_app.context import PRO_PLANS, PRO_PRODUCTS, Actor, Ctx, Statement
from admin_app.db_health import Pulse
from admin_app.db_limits import BoundedConnection, Limits
from admin_app.errors import DomainError

# A connection that was used so recently is not asked first whether it still lives: that costs as much as a query.
RESTED_SECONDS = 2.0
# Made by a migration; row level security shows it the rows of the guest that the transaction names.
GUEST_ROLE = "backdesk_guest"
_AS_GUEST = text("SELECT set_config('app.guest_workos_user_id', :guest, true), set_config('role', :role, true)")

_PATIENTLY = text(
    "SELECT set_config('statement_timeout', :statement, true),"
    " set_config('idle_in_transaction_session_timeout', :idle, true)"
)


class GuestReadsNotAllowed(DomainError):
    """The database user may not take the role that row-level security shows guests their rows under: 503. An
    administrator grants it.
    """

    code = "guest_reads_not_allowed"
    status = 503
    sentence = (
        f"Guests cannot be shown their meetings: the product's database user may not take the role {GUEST_ROLE}. "
        f"An administrator of the database has to grant it."
    )


class CommitUnknown(OperationalError):
    """The connection was lost while a transaction was being committed: it may be in force or not."""


def utc_now() -> datetime:
    """The time now, aware and in UTC: the clock of everything that is given no other."""
    return datetime.now(UTC)


class Database:
    """Opens sessions and units of work on one engine, or on the one connection of a test."""

    def __init__(
        self,
        engine: Engine | Connection,
        *,
        clock: Callable[[], datetime] = utc_now,
        limits: Limits | None = None,
        **session_options: Any,
    ) -> None:
        self.engine = engine
        self.clock = clock
        self.limits = limits
        self._pulse = Pulse(engine) if isinstance(engine, Engine) else None
        self._session_options = session_options
        self._sessions = sessionmaker(engine, expire_on_commit=False, **session_options)

    @classmethod
    def from_settings(cls, settings: Settings, *, limits: Limits | None = None, **engine_options: Any) -> "Database":
        """For the address in the settings, with the web server's limits unless others are given."""
        limits = limits or Limits.of_web(settings)
        options: dict[str, Any] = {
            "pool_size": 10,
            "max_overflow": 20,
            "pool_timeout": limits.pool,
            # An error's text would quote what a statement was given.
            "hide_parameters": True,
            # PgBouncer in transaction mode must work: no prepared statements that outlive a transaction.
            "connect_args": {"prepare_threshold": None, **limits.connection_options},
        }
        engine = create_engine(settings.sqlalchemy_url, **(options | engine_options))
        _give_up_what_hangs(engine, limits)
        _replace_dead_connections(engine, limits)
        return cls(engine, limits=limits, info={PRO_PRODUCTS: settings.pro_products, PRO_PLANS: settings.pro_plans})

    def with_limits(self, limits: Limits) -> "Database":
        """The same database for another kind of work, by connections of its own; a test's one connection stays."""
        if self.limits is None or not isinstance(self.engine, Engine):
            return self
        arguments = {"prepare_threshold": None, **limits.connection_options}
        engine = create_engine(self.engine.url, pool_timeout=limits.pool, hide_parameters=True, connect_args=arguments)
        _give_up_what_hangs(engine, limits)
        _replace_dead_connections(engine, limits)
        return type(self)(engine, clock=self.clock, limits=limits, **self._session_options)

    @contextmanager
    def unit_of_work(self, actor: Actor, *, request_id: str | None = None) -> Iterator[Ctx]:
        """One transaction: committed when the block ends well, rolled back when it raises."""
        with self._sessions() as session:
            yield Ctx(session, actor, self.clock(), request_id or uuid.uuid4().hex)
            try:
                session.commit()
            except DBAPIError as failed:
                if not failed.connection_invalidated or failed.orig is None:
                    raise
                raise CommitUnknown(None, None, failed.orig, connection_invalidated=True) from failed

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
    def stream(self, limits: Limits) -> Iterator[Session]:
        """Like `read_only`, for rows that are read while somebody takes them, as slowly as their network is."""
        with self.read_only() as session:
            connection = session.connection().connection.driver_connection
            if self.limits is not None and isinstance(connection, BoundedConnection):
                # The transaction's own, so that a pooler's next user of the connection has the usual ones.
                granted = {"statement": f"{limits.statement}s", "idle": f"{limits.idle}s"}
                session.execute(_PATIENTLY, granted)
                connection.answers_within = limits.answer
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

    def revisions(self) -> frozenset[str]:
        """The schema's revisions, or DatabaseFails within two seconds; needs no free connection of the pool's."""
        if self._pulse is not None:
            return self._pulse.revisions()
        with self.read_only() as session:
            return frozenset(session.scalars(text("SELECT version_num FROM alembic_version")))

    def dispose(self) -> None:
        self.engine.engine.dispose()


def _give_up_what_hangs(engine: Engine, limits: Limits) -> None:
    """Open connections that wait for no answer longer than the server may take, and a little more."""

    class Bounded(BoundedConnection):
        answers_within = limits.answer

    @event.listens_for(engine, "do_connect")
    def connects(_dialect: Any, _record: Any, arguments: Any, options: Any) -> BoundedConnection:
        return Bounded.connect(*arguments, **options)

    @event.listens_for(engine, "checkin")
    def rests(connection: Any, _record: Any) -> None:
        if connection is not None:
            connection.answers_within = limits.answer  # whoever was granted more has given it back


def _replace_dead_connections(engine: Engine, limits: Limits) -> None:
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
            connection.answers_within = limits.connect
            engine.dialect.do_ping(connection)
            connection.answers_within = limits.answer
        except engine.dialect.loaded_dbapi.Error as dead:
            raise DisconnectionError from dead
