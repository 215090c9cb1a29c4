"""The web application as it runs, with the product's own connections, on a database that a test may break."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from admin_app.config import Settings
from admin_app.context import Job
from admin_app.db import Database
from admin_app.factory import create_app
from admin_app.integrations.registry import Providers
from admin_app.services import staff
from models import Role

EMAIL = "mara@example.com"
PASSWORD = "glass-kettle-orbit-29"
STALE = "s" * 43  # a token of a session that is no more
NO_PROVIDERS = Providers(whop=None, clerk=None, mail=None)
# Short, so that a test is; each is still longer than what it bounds takes when nothing is broken.
SHORT: dict[str, Any] = {
    "database_connect_seconds": 2,
    "database_pool_seconds": 1,
    "database_silence_seconds": 1,
    "database_statement_seconds": 2,
    "database_lock_seconds": 1,
}


def settings(database_url: str, **changed: Any) -> Settings:
    return Settings(_env_file=None, **({"database_url": database_url, "secret_key": "s" * 32} | SHORT | changed))


@contextmanager
def application(given: Settings, **engine_options: Any) -> Iterator[tuple[Flask, Database]]:
    database = Database.from_settings(given, **engine_options)
    app = create_app(given, database=database, providers=NO_PROVIDERS)
    app.config["WTF_CSRF_METHODS"] = frozenset()  # so that a form reaches what it is for
    try:
        yield app, database
    finally:
        database.dispose()


def add_administrator(database: Database) -> None:
    with database.unit_of_work(Job("tests")) as ctx:
        staff.create_staff(ctx, email=EMAIL, name="Mara", role=Role.ADMIN, password=PASSWORD)


def sign_in(client: FlaskClient) -> TestResponse:
    return client.post("/login", data={"email": EMAIL, "password": PASSWORD})


def require_whole(answer: TestResponse, status: int | None = None) -> None:
    """Everything that every answer of ours has, in whatever state the product is."""
    assert status in {None, answer.status_code}, (answer.status_code, answer.text[:300])
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Cache-Control" in answer.headers
    reference = answer.headers["X-Request-Id"]
    assert re.fullmatch(r"[0-9a-f]{32}", reference)
    if answer.status_code >= 500:
        assert "no-store" in answer.headers["Cache-Control"]
    if answer.status_code == 503:
        assert int(answer.headers["Retry-After"]) > 0
