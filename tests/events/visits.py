"""Which files of the product a delivery passes through, from the provider's door to the commit, and how often it comes
back to one that it had left.

A visit is a run of calls of functions of one file, with nothing of another file between them. A return is a visit to a
file that was visited before. What every room uses alike is no stop on the way (`PASSED_OVER`): the unit of work, the
names of records and locks, the audit's writing, reading JSON, limits and time-outs of calls.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

ROOT = Path(__file__).parents[2]
COUNTED = ("admin_app/services/", "admin_app/integrations/", "admin_app/jobs/", "views/public/")
PASSED_OVER = (
    "admin_app/services/core/",
    "admin_app/integrations/http/",
    "admin_app/integrations/registry.py",
    "admin_app/integrations/job_queue.py",
    "admin_app/integrations/job_order.py",
    "admin_app/jobs/retry.py",
    "views/public/bodies.py",
)


@dataclass
class Way:
    """The files in the order in which they were entered, each as often as it was, and the names of the arguments."""

    files: list[str] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    @property
    def distinct(self) -> int:
        return len(set(self.files))

    @property
    def returns(self) -> int:
        return len(self.files) - self.distinct

    def told(self) -> str:
        """The whole way, to be read: each visit with its calls."""
        heads = f"{len(self.files)} visits to {self.distinct} files, {self.returns} returns, {len(self.names)} names"
        lines, last = [heads], ""
        for file, function in self.calls:
            lines += [f"  {function}"] if file == last else [file, f"  {function}"]
            last = file
        return "\n".join(lines)

    def enter(self, file: str, code: CodeType, arguments: tuple[str, ...]) -> None:
        if not self.files or self.files[-1] != file:
            self.files.append(file)
        self.calls.append((file, code.co_name))
        self.names.update(arguments)


def _counted(path: str) -> str | None:
    if not path.startswith(str(ROOT)):
        return None
    file = path[len(str(ROOT)) + 1 :]
    is_counted = file.startswith(COUNTED) and not file.startswith(PASSED_OVER)
    return file if is_counted else None


@contextmanager
def followed(way: Way) -> Iterator[Way]:
    """Note every file that this thread enters while the block runs."""
    known: dict[CodeType, str | None] = {}

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or code.co_name.startswith("<"):
            return
        if code not in known:
            known[code] = _counted(code.co_filename)
        file = known[code]
        if file is not None:
            given = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            way.enter(file, code, given)

    sys.setprofile(note)
    try:
        yield way
    finally:
        sys.setprofile(None)
