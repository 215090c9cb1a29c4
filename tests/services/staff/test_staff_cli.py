"""`flask staff …`: what an operator types and reads."""

import re

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import create_engine, select

from admin_app.config import Settings
from admin_app.context import Job
from admin_app.db import Database
from admin_app.factory import create_app
from admin_app.services import staff
from models import AuditEntry, Role

PASSWORD = "glass-kettle-orbit-29"
OPERATOR = Job("flask staff")


def _make_app(db: Database) -> Flask:
    settings = Settings(_env_file=None, database_url="postgresql://unused", secret_key="s" * 32)
    return create_app(settings, database=db)


@pytest.fixture
def app(db: Database) -> Flask:
    return _make_app(db)


def _run(app: Flask, *words: str, typed: str | None = None) -> Result:
    return app.test_cli_runner().invoke(args=["staff", *words], input=typed)


def _refusal(app: Flask, *words: str, typed: str | None = None) -> str:
    result = _run(app, *words, typed=typed)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result.output


def test_a_person_is_created_and_the_password_is_shown_once(app: Flask, db: Database) -> None:
    result = _run(app, "create", "mara@example.com", "--name", "Mara Lind", "--role", "admin")
    assert result.exit_code == 0
    assert "Created mara@example.com with the role admin." in result.output
    assert re.search(r"Password \(shown only now\): \S{20}", result.output)
    with db.unit_of_work(OPERATOR) as ctx:
        member = staff.find_by_email(ctx, email="mara@example.com")
        assert (member.name, member.role) == ("Mara Lind", Role.ADMIN)
        entry = ctx.session.scalars(select(AuditEntry)).one()
        assert (entry.actor_kind, entry.actor_label) == ("job", "flask staff")


def test_a_password_from_standard_input_is_not_shown(app: Flask) -> None:
    result = _run(app, "create", "a@example.com", "--role", "ops", "--password-stdin", typed=f"{PASSWORD}\n")
    assert result.exit_code == 0
    assert PASSWORD not in result.output
    assert "Password" not in result.output


def test_refusals_are_sentences_with_exit_code_1(app: Flask) -> None:
    assert _run(app, "create", "a@example.com", "--role", "admin").exit_code == 0
    assert "has this e-mail already" in _refusal(app, "create", "A@example.com", "--role", "ops")
    assert "not an e-mail address" in _refusal(app, "create", "nobody", "--role", "ops")
    assert "too short" in _refusal(app, "create", "b@example.com", "--role", "ops", "--password-stdin", typed="short\n")
    assert "too short" in _refusal(app, "create", "b@example.com", "--role", "ops", "--password-stdin", typed="")
    assert "last active administrator" in _refusal(app, "disable", "a@example.com")
    assert "last active administrator" in _refusal(app, "set-role", "a@example.com", "auditor")
    for command in ("disable", "enable", "reset-password", "sign-out"):
        assert "There is no staff member" in _refusal(app, command, "nobody@example.com")


def test_a_role_that_does_not_exist_is_a_usage_error(app: Flask) -> None:
    result = _run(app, "create", "a@example.com", "--role", "king")
    assert result.exit_code == 2
    assert "support" in result.output


def test_the_whole_life_of_an_account(app: Flask, db: Database) -> None:
    for words, said in (
        (("create", "a@example.com", "--role", "ops"), "Created a@example.com with the role ops."),
        (("set-role", "a@example.com", "FINANCE"), "a@example.com has the role finance now."),
        (("disable", "A@example.com", "--reason", "left"), "Disabled a@example.com; every session is ended."),
        (("enable", "a@example.com"), "Enabled a@example.com."),
        (("reset-password", "a@example.com"), "New password set for a@example.com; every session is ended."),
        (("sign-out", "a@example.com"), "Sessions ended: 0."),
        (("sign-out", "--everyone"), "Sessions ended: 0."),
    ):
        result = _run(app, *words)
        assert result.exit_code == 0, result.output
        assert said in result.output
    with db.unit_of_work(OPERATOR) as ctx:
        entry = ctx.session.scalars(select(AuditEntry).where(AuditEntry.event == "staff.disabled")).one()
        assert entry.reason == "left"


def test_signing_out_needs_one_person_or_everyone(app: Flask) -> None:
    assert _run(app, "sign-out").exit_code == 2
    assert _run(app, "sign-out", "a@example.com", "--everyone").exit_code == 2


def test_the_list_shows_role_and_state(app: Flask) -> None:
    assert "Nobody yet." in _run(app, "list").output
    _run(app, "create", "a@example.com", "--role", "ops")
    _run(app, "create", "long-name@example.com", "--role", "auditor")
    _run(app, "disable", "a@example.com")
    lines = _run(app, "list").output.splitlines()
    assert [line.split() for line in lines] == [
        ["a@example.com", "ops", "disabled", "never", "signed", "in"],
        ["long-name@example.com", "auditor", "active", "never", "signed", "in"],
    ]


def test_a_database_that_is_away_or_not_migrated_is_a_sentence(empty_database_url: str) -> None:
    away = create_engine("postgresql+psycopg://nobody@127.0.0.1:9/none")
    assert "The database does not answer" in _refusal(_make_app(Database(away)), "list")
    empty = create_engine(empty_database_url.replace("postgresql://", "postgresql+psycopg://"))
    assert "The database is not migrated" in _refusal(_make_app(Database(empty)), "list")
    empty.dispose()
