"""The database: engines, sessions and the only commit in the code base."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session, sessionmaker

from admin_app.config import Settings
from admin_app.context import Actor, Ctx


def utc_now() -> datetime:
    return datetime.now(UTC)


class Database:
    """Opens sessions and units of work on one engine."""

    def __init__(
        self, engine: Engine, *, clock: Callable[[], datetime] = utc_now, **session_options: Any
    ) -> None:
        self.engine = engine
        self.clock = clock
        self._sessions = sessionmaker(engine, expire_on_commit=False, **session_options)

    @classmethod
    def from_settings(cls, settings: Settings, **engine_options: Any) -> "Database":
        options: dict[str, Any] = {
            "pool_size": 10,
            "max_overflow": 20,
            "pool_pre_ping": True,
            # PgBouncer in transaction mode must work: no prepared statements that outlive a transaction.
            "connect_args": {"prepare_threshold": None, "options": "-c timezone=UTC"},
        }
        return cls(create_engine(settings.sqlalchemy_url, **(options | engine_options)))

    @contextmanager
    def unit_of_work(self, actor: Actor, *, request_id: str | None = None) -> Iterator[Ctx]:
        """One transaction: committed when the block ends well, rolled back when it raises."""
        with self._sessions() as session:
            yield Ctx(session, actor, self.clock(), request_id or uuid.uuid4().hex)
            session.commit()

    @contextmanager
    def read_only(self) -> Iterator[Session]:
        """A session whose transaction PostgreSQL itself refuses to write in."""
        with self._sessions() as session:
            session.execute(text("SET TRANSACTION READ ONLY"))
            yield session

    def dispose(self) -> None:
        self.engine.dispose()
