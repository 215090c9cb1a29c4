"""How a statement of a migration runs: as one transaction, giving way to others, again and again.

It waits for a lock no longer than the session's `lock_timeout` (set in env.py); then it lets go, so that nobody
queues behind it, and tries again a moment later.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from alembic import op
from alembic.util import CommandError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from migrations.needs import Need, Statement

log = logging.getLogger("migrations")
Result = TypeVar("Result")

# A report that begins again the moment it ends leaves no room but what somebody queues for: waiting a third of the time
# meets its end within a minute, and others wait no longer than the lock_timeout each time.
TRIES = 300
LONGEST_PAUSE = 0.7
STAYED_LOCKED = (
    "Others held a lock on a table that must change, at every try for minutes. What is done so far is kept: "
    "end the long transaction (pg_stat_activity shows it) and run the same command again."
)
GIVES_WAY = {"55P03", "40P01"}  # lock_not_available, deadlock_detected


class MigrationRefused(CommandError):
    """A person must act first; the message says on what. What is done so far stays done."""


# The notes of each rehearsal that is going on, the innermost last.
_rehearsals: list[list[Need]] = []


@contextmanager
def rehearsing() -> Iterator[list[Need]]:
    """Revisions run here change nothing and look at nothing; what they would need is in the list."""
    _rehearsals.append([])
    try:
        yield _rehearsals[-1]
    finally:
        _rehearsals.pop()


def noted(need: Need) -> bool:
    """Note the need while a revision is rehearsed; else false: then do it."""
    if _rehearsals:
        _rehearsals[-1].append(need)
    return rehearsed()


def rehearsed() -> bool:
    """True while a revision only says what it needs; what depends on the catalogue is then all of it needed."""
    return bool(_rehearsals)


def offline() -> bool:
    """True while SQL is only written out: nothing is looked up, everything is taken to be missing."""
    return rehearsed() or bool(op.get_context().as_sql)


def execute(sql: str) -> None:
    """Run SQL as one transaction, again and again while others hold a lock that it needs."""
    if noted(Statement(sql)):
        return
    insist(lambda: run_once(sql))


def run_once(sql: str) -> None:
    if noted(Statement(sql)):
        return
    op.execute(text(sql.replace(":", r"\:")))


def insist(action: Callable[[], Result]) -> Result:
    attempt = 0
    while True:
        try:
            return action()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in GIVES_WAY:
                raise
            attempt += 1
            if attempt == TRIES:
                raise MigrationRefused(STAYED_LOCKED) from error
            log.info("  others hold a lock, giving way (try %s of %s)", attempt, TRIES)
            time.sleep(min(LONGEST_PAUSE, 0.05 * 2**attempt))


def rows(sql: str, **values: Any) -> Sequence[Any]:
    return [] if offline() else insist(lambda: op.get_bind().execute(text(sql), values).fetchall())


def found(sql: str, **values: Any) -> bool:
    return bool(rows(sql, **values))


@contextmanager
def unhurried(lock_timeout: str | None = None, statement_timeout: str = "0") -> Iterator[None]:
    """For statements that run long beside everybody else's work: no limit on their time, or another one."""
    settings = {"statement_timeout": statement_timeout} | ({"lock_timeout": lock_timeout} if lock_timeout else {})
    before = {name: rows("SELECT current_setting(:name)", name=name) for name in settings}
    for name, value in settings.items():
        execute(f"SET {name} = '{value}'")
    try:
        yield
    finally:
        for name, value_before in before.items():
            execute(f"SET {name} = '{value_before[0][0]}'" if value_before else f"RESET {name}")
