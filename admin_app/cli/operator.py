"""What the operator's commands share: a unit of work under the command's name, and refusals as sentences."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import click
from flask import current_app
from sqlalchemy.exc import OperationalError, ProgrammingError

from admin_app.context import Ctx, Job
from admin_app.db import Database
from admin_app.db_limits import Limits
from admin_app.errors import DomainError
from admin_app.integrations.registry import Providers

P = ParamSpec("P")
T = TypeVar("T")

PATIENT = "backdesk.operators_database"


def database() -> Database:
    """The application's database with the patience of a worker: nobody waits for a page meanwhile."""
    parts = current_app.extensions["backdesk"]
    if PATIENT not in current_app.extensions:
        current_app.extensions[PATIENT] = parts.db.with_limits(Limits.of_worker(parts.settings))
    found: Database = current_app.extensions[PATIENT]
    return found


def providers() -> Providers:
    """The clients of the providers that the application of this command was made with."""
    found: Providers = current_app.extensions["backdesk"].providers
    return found


@contextmanager
def work(command: str) -> Iterator[Ctx]:
    """One transaction, in the audit under the command's name."""
    with database().unit_of_work(Job(command)) as ctx:
        yield ctx


def refusals_as_sentences(command: Callable[P, T]) -> Callable[P, T]:
    """A refusal ends the command with its sentence and exit code 1."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except DomainError as refused:
            sentences = list(dict.fromkeys(refused.fields.values())) or [refused.sentence]
            raise click.ClickException(" ".join(sentences)) from refused
        except OperationalError as away:
            raise click.ClickException("The database does not answer. Check DATABASE_URL.") from away
        except ProgrammingError as unready:
            raise click.ClickException("The database is not migrated yet. Run `make migrate` first.") from unready

    return run
