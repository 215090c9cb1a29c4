"""Which database an operator's command means by `--env`, and reading it as it is, migrated or not."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import click
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import Connection, Engine, create_engine, pool, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from admin_app.config import Settings
from admin_app.context import PRO_PLANS, PRO_PRODUCTS
from admin_app.database_url import DRIVER, for_sqlalchemy
from admin_app.db import Database
from admin_app.db_limits import Limits
from admin_app.errors import DomainError
from migrations import trouble

P = ParamSpec("P")
T = TypeVar("T")

ENVIRONMENTS = ("dev", "preview", "prod")
_READ_ONLY = text("SELECT set_config('default_transaction_read_only', 'on', false)")


def settings() -> Settings:
    """The settings that the application of this command was made with."""
    found: Settings = current_app.extensions["backdesk"].settings
    return found


def address_of(env: str | None) -> str:
    """DATABASE_URL_<ENV> where that is set, else DATABASE_URL, with the driver named."""
    given = str(getattr(settings(), f"database_url_{env}")) if env else ""
    try:
        address = for_sqlalchemy(given or settings().database_url)
    except ValueError as reason:
        raise click.ClickException(str(reason)) from None
    if not address.startswith(f"{DRIVER}://"):
        raise click.ClickException(f"The address is none of PostgreSQL's. {_ADVICE}")
    return address


def name_of(address: str) -> str:
    """Database and host, for people: no user, no password."""
    url = make_url(address)
    return f"{url.database} on {url.host or 'this machine'}{f':{url.port}' if url.port else ''}"


def _engine(address: str) -> Engine:
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise click.ClickException(f"The address is none of PostgreSQL's. {_ADVICE}") from None
    options = {"prepare_threshold": None, **Limits.of_worker(settings()).connection_options}
    return create_engine(url, poolclass=pool.NullPool, hide_parameters=True, connect_args=options)


@contextmanager
def reading(address: str) -> Iterator[Connection]:
    """A connection on which PostgreSQL refuses writes; each statement is a transaction of its own."""
    engine = _engine(address).execution_options(isolation_level="AUTOCOMMIT")
    with trouble.in_sentences(engine.url), engine.connect() as connection:
        connection.execute(_READ_ONLY)
        yield connection


def database_at(address: str) -> Database:
    """For what needs one transaction over several statements."""
    info = {PRO_PRODUCTS: settings().pro_products, PRO_PLANS: settings().pro_plans}
    return Database(_engine(address), info=info)


_ADVICE = "Check DATABASE_URL, or DATABASE_URL_DEV, _PREVIEW, _PROD where one is set."


def sentences(command: Callable[P, T]) -> Callable[P, T]:
    """Whatever the database refuses ends the command with a sentence and status 1."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except DomainError as refused:
            raise click.ClickException(refused.sentence) from refused
        except CommandError as refused:
            raise click.ClickException(str(refused)) from refused
        except DBAPIError as failed:
            said = str(failed.orig).strip().partition("\n")[0]
            raise click.ClickException(f"PostgreSQL refused: {said}") from failed

    return run
