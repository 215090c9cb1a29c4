"""Sessions and connections: reads that cannot write, and a server that went away in between."""

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from admin_app.config import Settings
from admin_app.context import Job
from admin_app.db import RESTED_SECONDS, Database
from models import User


@pytest.fixture
def own(fresh_database_url: str) -> Iterator[Database]:
    """A database with one connection, made as the product makes it."""
    settings = Settings(_env_file=None, database_url=fresh_database_url, secret_key="s" * 32)
    database = Database.from_settings(settings, pool_size=1, max_overflow=0)
    yield database
    database.dispose()


def test_what_is_opened_to_read_cannot_write_and_the_next_one_can(own: Database) -> None:
    with own.read_only() as session:
        session.add(User(open_id="user_1"))
        with pytest.raises(DBAPIError, match="read-only transaction"):
            session.flush()
    with own.unit_of_work(Job("test")) as ctx:
        ctx.session.add(User(open_id="user_1"))
    with own.read_only() as session:
        assert session.scalars(text("SELECT open_id FROM users")).all() == ["user_1"]


def test_a_connection_that_died_at_rest_is_replaced_unseen(own: Database, real_db: Database) -> None:
    with own.read_only() as session:
        process = session.scalar(text("SELECT pg_backend_pid()"))
    with real_db.unit_of_work(Job("test")) as ctx:
        ctx.session.execute(text("SELECT pg_terminate_backend(:process)"), {"process": process})
    time.sleep(RESTED_SECONDS + 0.1)
    with own.read_only() as session:
        assert session.scalar(text("SELECT pg_backend_pid()")) != process
