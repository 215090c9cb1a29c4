"""The filled database, made once for all tests that only look at it."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import create_engine

from admin_app.db import Database
from admin_app.demo import fill
from admin_app.demo.clock import Amounts
from tests.conftest import with_driver
from tests.conftest_postgres import database_url
from tests.house import own_simulator

__all__ = ["own_simulator"]

NOW = datetime(2026, 11, 21, 9, 41, 7, tzinfo=UTC)
PASSWORD = "lantern-orbit-velvet-31"
BASE_URL = "http://127.0.0.1:8000"


@contextmanager
def migrated_database(template: str) -> Iterator[Database]:
    """A database of one's own, made like the template, whose clock stands still."""
    name = f"demo_{uuid.uuid4().hex}"
    with psycopg.connect(database_url("postgres"), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    engine = create_engine(
        with_driver(database_url(name)), connect_args={"options": "-c timezone=UTC", "prepare_threshold": None}
    )
    database = Database(engine, clock=lambda: NOW)
    try:
        yield database
    finally:
        database.dispose()
    with psycopg.connect(database_url("postgres"), autocommit=True) as server:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def filled(database: Database, amounts: Amounts = fill.AMOUNTS) -> fill.Filled:
    with database.unit_of_work(fill.ACTOR) as ctx:
        return fill.fill(ctx, password=PASSWORD, base_url=BASE_URL, amounts=amounts)


@pytest.fixture(scope="session")
def demo_template(template_database: str) -> Iterator[str]:
    """The name of a filled database to which nobody is connected: filling takes long, copying does not."""
    with migrated_database(template_database) as database:
        filled(database)
        name = database.engine.engine.url.database
        assert name is not None
        database.dispose()
        yield name


@pytest.fixture(scope="session")
def demo(demo_template: str) -> Iterator[Database]:
    with migrated_database(demo_template) as database:
        yield database


@pytest.fixture
def own_demo(demo_template: str) -> Iterator[Database]:
    """The demo's data for a test that changes it."""
    with migrated_database(demo_template) as database:
        yield database
