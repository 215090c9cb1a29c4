"""`python -m migrations.plan`: what an upgrade to the newest revision would do to the database of DATABASE_URL.

Ends with 0 where there is nothing to ask (the database is empty, or up to date), with ASKS after showing the plan, and
with 1 after the sentence that says what stands in the way. It changes nothing.
"""

import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, pool, text

from admin_app.database_url import of_postgresql
from migrations import preflight, trouble

ASKS = 3
LARGEST = """
SELECT c.relname AS name, greatest(c.reltuples, 0)::bigint AS about, count(*) OVER () AS tables FROM pg_class c
 WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND c.relname <> 'alembic_version'
 ORDER BY c.reltuples DESC, 1 LIMIT 8
"""


@dataclass(frozen=True)
class Step:
    revision: Any
    is_upgrade: bool = True


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main() -> int:
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    try:
        engine = create_engine(
            of_postgresql(os.environ.get("DATABASE_URL", "")), poolclass=pool.NullPool, isolation_level="AUTOCOMMIT"
        )
        with trouble.in_sentences(engine.url), engine.connect() as connection:
            return show(connection)
    except (CommandError, ValueError) as reason:
        say(str(reason))
        return 1


def show(connection: Connection) -> int:
    scripts = ScriptDirectory(str(Path(__file__).parent))
    context = MigrationContext.configure(connection)
    current = context.get_current_revision()
    steps = [Step(script) for script in reversed(list(scripts.iterate_revisions("head", current or "base")))]
    tables = connection.execute(text(LARGEST)).fetchall()
    if not steps or not tables:
        return 0
    rehearsal = preflight.rehearse(steps, scripts.walk_revisions())
    with Operations.context(context):
        preflight.check(rehearsal)
    url = connection.engine.url
    say(f"The database {url.database} at {url.host}:{url.port or 5432} is not empty: {tables[0].tables} tables.")
    for table in tables:
        say(f"  {table.name}: {f'about {table.about:,} rows' if table.about else 'few rows, or not counted yet'}")
    say(f"It is at revision {current or 'none'}; these {len(steps)} would run:")
    for step in steps:
        say(f"  {step.revision.revision} {step.revision.doc}")
    say("What each of them locks is said in migrations/versions. Make a backup first (pg_dump).")
    return ASKS


if __name__ == "__main__":
    sys.exit(main())
