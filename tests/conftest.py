"""Databases for tests: one that forgets everything after the test, and one with real separate connections."""

from collections.abc import Iterator

import pytest
import stripe
from argon2 import PasswordHasher
from sqlalchemy import create_engine

from admin_app.db import Database
from admin_app.services.staff import passwords
from tests.applications import Applications, lending
from tests.contracts import WATCH

DRIVER = "postgresql+psycopg://"


def with_driver(url: str) -> str:
    return DRIVER + url.split("://", 1)[1]


@pytest.fixture(autouse=True)
def _as_documented(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test in which our code sent a provider what its document does not have."""
    WATCH.taken()
    yield
    sent_amiss = WATCH.taken()
    if request.node.get_closest_marker("calls_providers_itself") is None:
        assert sent_amiss == []


@pytest.fixture(scope="session", autouse=True)
def _impatient() -> Iterator[None]:
    """Stripe's SDK waits half a second and more between its tries; here nothing is won by waiting.

    Nor by passwords that take long to guess: a sign-in takes two of their hashes. With the parameters that staff have,
    they are made by whatever runs in a process of its own, and in `tests/services/staff/test_staff_passwords.py`.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.01)
        patch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=16, parallelism=1))
        yield


@pytest.fixture(scope="session")
def _shared_engine(worker_database_url: str) -> Iterator[object]:
    engine = create_engine(with_driver(worker_database_url), connect_args={"options": "-c timezone=UTC"})
    yield engine
    engine.dispose()


@pytest.fixture
def applications() -> Iterator[Applications]:
    """Web applications for this test."""
    with lending() as applications:
        yield applications


@pytest.fixture
def db(_shared_engine) -> Iterator[Database]:
    """A database in one outer transaction: what a unit of work commits is a savepoint, all of it undone afterwards."""
    with _shared_engine.connect() as connection:
        outer = connection.begin()
        yield Database(connection, join_transaction_mode="create_savepoint")
        outer.rollback()


@pytest.fixture
def real_db(fresh_database_url: str) -> Iterator[Database]:
    """A migrated database of its own, for tests that need several connections."""
    engine = create_engine(
        with_driver(fresh_database_url),
        pool_size=40,
        max_overflow=220,
        connect_args={"options": "-c timezone=UTC", "prepare_threshold": None},
    )
    database = Database(engine)
    yield database
    database.dispose()
