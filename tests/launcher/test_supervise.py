"""The guardian: what a launcher that was killed can no longer do."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
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
supervisor.adopt("it", children.start(command, log=log, env=dict(os.environ)), log=log, grace=0.3)
if sys.argv[3] == "stop":
    time.sleep(0.5)
    supervisor.stop()
else:
    supervisor.wait_until(lambda: False)
"""


def supervise(folder: Path, then: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SUPERVISE, str(PROGRAMS), str(folder), then], cwd=ROOT)


def test_programs_that_will_not_end_are_killed_with_all_they_started(folder: Path) -> None:
    with supervise(folder, "stop") as launcher:
        assert launcher.wait(20) == 0
    assert processes_of(folder) == []


def test_they_are_killed_even_after_the_launcher_was(folder: Path) -> None:
    with supervise(folder, "watch") as launcher:
        deadline = time.monotonic() + 10
        # The launcher, the stubborn program and the child of that one.
        while len(processes_of(folder)) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        launcher.send_signal(signal.SIGKILL)
    assert wait_until_none(folder, seconds=10) == []
