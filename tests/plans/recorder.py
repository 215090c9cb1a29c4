"""A pytest plugin that writes down what doors and jobs ask the database while other tests run.

A statement belongs to the public endpoint whose request it was made in, else to the job it was made for; what a test
asks itself belongs to neither. Values are written down with it, because a plan depends on them.
"""

import os
import pickle
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from flask import has_request_context, request
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine

RECORDED = "BACKDESK_RECORDED_STATEMENTS"
JOBS = f"{os.sep}admin_app{os.sep}jobs{os.sep}"
OURS = (f"{os.sep}admin_app{os.sep}", f"{os.sep}views{os.sep}", f"{os.sep}tests{os.sep}")
READS = ("SELECT", "WITH", "UPDATE", "DELETE", "INSERT")
# One text may have one plan for these values and another for those.
VALUES_EACH = 3
# What transactions of ours set for themselves, and what a plan or the rows of an index depend on.
SETTINGS = ("enable_seqscan", "pg_trgm.similarity_threshold")
# Around the functions of jobs, and not jobs themselves.
AROUND = frozenset({"tasks", "retry", "worker", "manager", "one_by_one"})


@dataclass
class Statement:
    """`asked_by`: endpoints and jobs, `settings`: what its transaction had told the planner."""

    text: str
    settings: dict[str, str]
    values: list[Any] = field(default_factory=list)
    asked_by: set[str] = field(default_factory=set)
    at: str = ""


class Recorder:
    def __init__(self, target: Path) -> None:
        self._target = target
        self.statements: dict[str, Statement] = {}

    def note(self, connection: Connection, cursor: Any, text: str, values: Any, *_: Any) -> None:
        if not text.lstrip().upper().startswith(READS):
            return
        found = asked_by(sys._getframe(1))
        if found is None:
            return
        known = self.statements.get(text)
        if known is None:
            known = self.statements[text] = Statement(text, _settings(connection))
        known.asked_by.add(found[0])
        known.at = found[1]
        if len(known.values) < VALUES_EACH:
            known.values.append(values[0] if isinstance(values, list) else values)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        event.remove(Engine, "before_cursor_execute", self.note)
        self._target.write_bytes(pickle.dumps(list(self.statements.values())))


def pytest_configure(config: pytest.Config) -> None:
    recorder = Recorder(Path(os.environ[RECORDED]))
    config.pluginmanager.register(recorder)
    event.listen(Engine, "before_cursor_execute", recorder.note)


def asked_by(frame: FrameType | None) -> tuple[str, str] | None:
    """The door or the job, and the line of ours that asks; None for what a test or the console asks."""
    ours = list(_ours(frame))
    if not ours or f"{os.sep}tests{os.sep}" in ours[0].f_code.co_filename:
        return None
    at = f"{Path(ours[0].f_code.co_filename).name}:{ours[0].f_lineno}"
    if has_request_context():
        return (f"door {request.endpoint}", at) if request.endpoint else None
    for one in reversed(ours):
        module = Path(one.f_code.co_filename).stem
        if JOBS in one.f_code.co_filename and module not in AROUND:
            return f"job {module}.{one.f_code.co_qualname.partition('.')[0]}", at
    return None


def _ours(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        if any(part in frame.f_code.co_filename for part in OURS):
            yield frame
        frame = frame.f_back


def _settings(connection: Connection) -> dict[str, str]:
    with connection.connection.cursor() as side:
        side.execute("SELECT " + ", ".join(f"current_setting('{name}', true)" for name in SETTINGS))
        found = dict(zip(SETTINGS, side.fetchone(), strict=True))
    return {name: value for name, value in found.items() if value is not None}
