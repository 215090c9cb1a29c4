"""Alembic's upgrade and downgrade of one database, with progress per revision."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from alembic import command
from alembic.runtime.migration import RevisionStep

from admin_app.services.migrating import revisions

Tell = Callable[[str], None]
_LOGS = (logging.getLogger("alembic.runtime.migration"), logging.getLogger("migrations"))


def upgrade(address: str, *, count: int, tell: Tell) -> None:
    """To the newest revision. Raises Alembic's CommandError, whose text is a sentence; what is done so far is kept."""
    with _progress(count, tell):
        command.upgrade(revisions.configuration(address), "head")


def downgrade(address: str, to: str, *, count: int, tell: Tell) -> None:
    """Back to this revision; raises as `upgrade` does."""
    with _progress(count, tell):
        command.downgrade(revisions.configuration(address), to)


@contextmanager
def _progress(count: int, tell: Tell) -> Iterator[None]:
    """Each revision is told when it begins and when it has ended, and so is what migrations remark meanwhile."""
    progress = _Progress(count, tell)
    before = [(log, log.level, log.propagate) for log in _LOGS]
    for log in _LOGS:
        log.addHandler(progress)
        log.setLevel(logging.INFO)
        log.propagate = False
    try:
        yield
        progress.ended()
    finally:
        for log, level, propagate in before:
            log.removeHandler(progress)
            log.setLevel(level)
            log.propagate = propagate


class _Progress(logging.Handler):
    def __init__(self, count: int, tell: Tell) -> None:
        super().__init__(logging.INFO)
        self.count, self.tell = count, tell
        self.at, self.begun, self.number = "", 0.0, 0

    def emit(self, record: logging.LogRecord) -> None:
        step: Any = record.args[0] if isinstance(record.args, tuple) and record.args else None
        if isinstance(step, RevisionStep):
            self.ended()
            self.number += 1
            self.at, self.begun = step.revision.revision, time.monotonic()
            self.tell(f"{self.at}  ({self.number} of {self.count})  {revisions.idea(step.revision)}")
        elif record.name == "migrations":
            self.tell(f"      {record.getMessage().strip()}")

    def ended(self) -> None:
        if self.at:
            self.tell(f"      {self.at} done in {time.monotonic() - self.begun:.1f} s")
            self.at = ""
