"""The guardian: what a launcher that was killed can no longer do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.launcher.conftest import processes_of, wait_until_none

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).with_name("programs.py")

SUPERVISE = """
import os, sys, time
from pathlib import Path
from admin_app.launcher import children
from admin_app.launcher.supervise import Supervisor
folder = Path(sys.argv[2])
supervisor = Supervisor()
command = [sys.executable, sys.argv[1], "stubborn", str(folder)]
log = folder / "log"
if sys.argv[3] == "revive":
    supervisor.revives = True
    supervisor.start("it", command, log, dict(os.environ))
else:
    supervisor.adopt("it", children.start(command, log=log, env=dict(os.environ)), log=log, grace=0.3)
if sys.argv[3] == "stop":
    time.sleep(0.5)
    supervisor.stop()
else:
    supervisor.wait_until(lambda: False)
"""


def supervise(folder: Path, then: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SUPERVISE, str(PROGRAMS), str(folder), then], cwd=ROOT)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_programs_that_will_not_end_are_killed_with_all_they_started(folder: Path) -> None:
    with supervise(folder, "stop") as launcher:
        assert launcher.wait(20) == 0
    assert processes_of(folder) == []


def test_what_a_killed_program_left_behind_is_gone_before_it_starts_again(folder: Path) -> None:
    with supervise(folder, "revive") as launcher:
        wait_for(lambda: len(processes_of(folder)) == 3)
        before = set(processes_of(folder)) - {launcher.pid}
        os.kill(min(before), signal.SIGKILL)
        wait_for(lambda: len((folder / "stubborn.ran").read_text().splitlines()) == 2)
        wait_for(lambda: len(processes_of(folder)) == 3)
        assert not before & set(processes_of(folder))
        launcher.send_signal(signal.SIGKILL)
    assert wait_until_none(folder, seconds=15) == []


def test_they_are_killed_even_after_the_launcher_was(folder: Path) -> None:
    with supervise(folder, "watch") as launcher:
        # The launcher, the stubborn program and the child of that one.
        wait_for(lambda: len(processes_of(folder)) == 3)
        launcher.send_signal(signal.SIGKILL)
    assert wait_until_none(folder, seconds=10) == []
