"""The console in a test: the application on a database that forgets, and people who really signed in."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from admin_app.config import Settings
from admin_app.context import Job
from admin_app.db import Database
from admin_app.services import staff
from models import Role
from tests.applications import Applications
from tests.console.page_checks import CheckedClient
from views.console.framework import estimates

# What differs is to be read in what it says when it fails.
pytest.register_assert_rewrite("tests.console.plan_walk")

PASSWORD = "glass-kettle-orbit-29"
SETUP = Job("tests")


@pytest.fixture
def settings() -> Settings:
    return Settings(_env_file=None, database_url="postgresql://unused", secret_key="s" * 32)


@pytest.fixture
def app(db: Database, settings: Settings, applications: Applications) -> Flask:
    estimates.forget()
    return applications.lend(settings, db, client=CheckedClient)


@pytest.fixture
def client_for(app: Flask, db: Database) -> Callable[[Role], CheckedClient]:
    """A browser in which someone of that role has signed in."""
    signed_in: dict[Role, CheckedClient] = {}

    def sign_in(role: Role) -> CheckedClient:
        if role not in signed_in:
            signed_in[role] = _sign_in(app, db, role)
        return signed_in[role]

    return sign_in


def _sign_in(app: Flask, db: Database, role: Role) -> CheckedClient:
    email = f"{role.value}@example.com"
    with db.unit_of_work(SETUP) as ctx:
        member, _ = staff.create_staff(ctx, email=email, name=f"Kim {role.value}", role=role, password=PASSWORD)
        member.time_zone = "Europe/Amsterdam"
    client = app.test_client()
    response = client.post(
        "/login", data={"csrf_token": form_token(client, "/login"), "email": email, "password": PASSWORD}
    )
    assert response.status_code == 303
    assert isinstance(client, CheckedClient)
    return client


def form_token(client: Any, page: str) -> str:
    """The token of a form on that page."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(page).text)
    assert found
    return found[1]


@contextmanager
def counted_queries(db: Database) -> Iterator[list[str]]:
    """The statements that ask the database for something; beginning and ending transactions is not counted."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.split(maxsplit=1)[0] in {"SELECT", "EXPLAIN", "WITH", "INSERT", "UPDATE", "DELETE"}:
            statements.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    yield statements
    event.remove(db.engine, "before_cursor_execute", note)
