"""Runs the revisions: one migrator at a time, each statement on its own, no lock waited for long."""

import logging
import os
import sys
import time
from typing import Any

from alembic import context
from alembic.operations import Operations
from alembic.runtime.migration import RevisionStep
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, pool, text

from admin_app.database_url import of_postgresql  # and zones come from the application's table
from migrations import preflight, trouble
from models import Base

# Any number, as long as every migrator of this database takes the same one.
MIGRATOR_LOCK = 7_250_302
MIGRATOR_LOCK_SECONDS = 600.0
SESSION = """
SET lock_timeout = '300ms';
SET statement_timeout = '30s';
SET idle_in_transaction_session_timeout = 0;
SET timezone = 'UTC';
"""


def database_url() -> str:
    """From the caller's configuration, else from the environment; with the driver named."""
    url = str(context.config.attributes.get("database_url") or os.environ.get("DATABASE_URL", ""))
    try:
        return of_postgresql(url)
    except ValueError as reason:
        raise CommandError(str(reason)) from None


def include_name(name: str | None, kind: str, parents: Any) -> bool:
    """procrastinate's tables come from its own SQL and have no model."""
    return not (kind == "table" and name is not None and name.startswith("procrastinate_"))


SETTINGS: dict[str, Any] = {
    "target_metadata": Base.metadata,
    "include_name": include_name,
    "compare_server_default": True,
    # Statements commit one by one (see migrations/ops.py): a revision never holds two locks, and a revision
    # that stopped half way is simply run again.
    "transactional_ddl": False,
    "transaction_per_migration": True,
}


def migrate(connection: Connection) -> None:
    for setting in SESSION.strip().splitlines():
        connection.execute(text(setting))
    wait_for_other_migrator(connection)
    try:
        context.configure(connection=connection, **SETTINGS)
        look_before()
        with context.begin_transaction():
            context.run_migrations()
    finally:
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": MIGRATOR_LOCK})


def look_before() -> None:
    """Before anything is touched: whether every revision of this run gets through (migrations/preflight.py)."""
    migrations = context.get_context()
    if "destination_rev" not in migrations.opts:
        return
    steps = migrations.opts["fn"](migrations.get_current_heads(), migrations)
    steps = [step for step in steps if isinstance(step, RevisionStep)]
    if steps:
        rehearsal = preflight.rehearse(steps, context.script.walk_revisions())
        with Operations.context(migrations):
            preflight.check(rehearsal)


def wait_for_other_migrator(connection: Connection) -> None:
    # Polled: a waiting statement would hold a snapshot, and a concurrent index build waits for every snapshot.
    deadline = time.monotonic() + MIGRATOR_LOCK_SECONDS
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": MIGRATOR_LOCK}):
        if time.monotonic() > deadline:
            raise CommandError("Another migration of this database is still running. Try again when it has ended.")
        time.sleep(0.2)


def run_online() -> None:
    engine = create_engine(
        database_url(),
        poolclass=pool.NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"prepare_threshold": None, "application_name": "backdesk-migrate"},
    )
    with trouble.in_sentences(engine.url), engine.connect() as connection:
        migrate(connection)


def run_offline() -> None:
    context.configure(dialect_name="postgresql", literal_binds=True, dialect_opts={"paramstyle": "named"}, **SETTINGS)
    for setting in SESSION.strip().splitlines():
        context.execute(setting.rstrip(";"))
    with context.begin_transaction():
        context.run_migrations()


if not logging.getLogger().handlers:
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    logging.getLogger("alembic.runtime.migration").setLevel(logging.INFO)
    logging.getLogger("migrations").setLevel(logging.INFO)

if context.is_offline_mode():
    run_offline()
else:
    run_online()
