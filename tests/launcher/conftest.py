"""A folder as awkward as they come, runs started in it, and a look at what they leave behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from admin_app.launcher.guardian import lives

SMALL_RUN = Path(__file__).with_name("small_run.py")
UP_SECONDS = 60
# What a developer has set must not change what these tests see.
OURS = ("DATABASE_URL", "PORT", "BASE_URL", "SECRET_KEY")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A path with a space that nobody but its owner may enter; no run may open it up."""
    place = tmp_path / "closed to others" / "backdesk"
    place.mkdir(parents=True)
    place.parent.chmod(0o700)
    before = modes_above(place)
    yield place
    end_all(place)
    for run in SmallRun.of(place):
        run.process.wait(10)
    assert modes_above(place) == before


def modes_above(place: Path) -> dict[Path, tuple[int, int]]:
    return {above: (stat.S_IMODE(above.stat().st_mode), above.stat().st_uid) for above in (place, *place.parents)}


def processes_of(folder: Path) -> list[int]:
    """Every living process that works in this folder or names it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            named = str(folder).encode() in (entry / "cmdline").read_bytes()
            if (named or _works_in(entry, folder)) and lives(int(entry.name)):
                found.append(int(entry.name))
    return found


def _works_in(entry: Path, folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return (entry / "cwd").readlink().is_relative_to(folder)
    return False


def end_all(folder: Path) -> None:
    for pid in processes_of(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wait_until_none(folder: Path, seconds: float = 15) -> list[int]:
    deadline = time.monotonic() + seconds
    while (left := processes_of(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class SmallRun:
    """One run of the small programs."""

    _started: ClassVar[list[SmallRun]] = []

    @classmethod
    def of(cls, folder: Path) -> list[SmallRun]:
        return [run for run in cls._started if run.folder == folder]

    def __init__(
        self,
        folder: Path,
        *,
        under: tuple[str, ...] = (),
        terminal: int | None = None,
        yes: bool = False,
        **environment: str,
    ) -> None:
        self.folder = folder
        self.output = folder / f"output-{time.monotonic_ns()}"
        clean = {name: value for name, value in os.environ.items() if name not in OURS}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                # So that a killed test run takes them along.
                [*under, sys.executable, str(SMALL_RUN), str(folder), "--die-with-parent", *["--yes"] * yes],
                env={**clean, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output if terminal is None else terminal,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )
        self._started.append(self)

    @property
    def said(self) -> str:
        return self.output.read_text()

    def wait_until_up(self) -> SmallRun:
        deadline = time.monotonic() + UP_SECONDS
        while "Ctrl-C stops everything" not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)
        return self

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)

    def noted_by(self, role: str) -> list[dict[str, dict[str, str]]]:
        """What a program was given, one entry for each time it ran."""
        path = self.folder / f"{role}.ran"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + UP_SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)

    def wait_until_ran(self, role: str, *, times: int = 1) -> None:
        self.wait_until(lambda: len(self.noted_by(role)) >= times)

    def wait_until_said(self, text: str) -> None:
        self.wait_until(lambda: text in self.said)

    def demo_env(self) -> dict[str, str]:
        lines = (self.folder / "var" / "demo.env").read_text().splitlines()
        return {name: value for name, _, value in (line.partition("=") for line in lines)}
