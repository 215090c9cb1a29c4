"""Child processes that end when their parent ends, however it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from admin_app.launcher.guardian import lives, signal_group
from admin_app.launcher.spawn import Terms

SPAWN = Path(__file__).with_name("spawn.py")


class LaunchError(Exception):
    """Something could not be started; the text is a sentence for the person at the terminal."""


@dataclass(frozen=True)
class RunAs:
    """The unprivileged user a child runs as, and whether it must pass folders closed to that user."""

    uid: int
    gid: int
    keep_access: bool


def command_line(
    command: Sequence[str],
    *,
    death_signal: signal.Signals = signal.SIGTERM,
    run_as: RunAs | None = None,
) -> list[str]:
    """The command wrapped so that it dies with this process and runs as the given user."""
    terms: Terms = {
        "parent": os.getpid(),
        "death_signal": int(death_signal),
        "uid": run_as.uid if run_as else None,
        "gid": run_as.gid if run_as else None,
        "keep_access": bool(run_as and run_as.keep_access),
    }
    return [sys.executable, "-I", "-S", str(SPAWN), json.dumps(terms), *command]


def start(
    command: Sequence[str],
    *,
    log: Path | None,
    env: Mapping[str, str] | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
    run_as: RunAs | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child in its own session, its output appended to `log` or shown when there is none. Call it
    from the main thread: the kernel's parent-death signal follows the thread that forked, not the process."""
    with _output(log) as output:
        return subprocess.Popen(
            command_line(command, death_signal=death_signal, run_as=run_as),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            env=env,
            start_new_session=True,
        )


def _output(log: Path | None) -> contextlib.AbstractContextManager[IO[bytes] | None]:
    if log is None:
        return contextlib.nullcontext()
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("ab")


def stop(process: subprocess.Popen[bytes], with_signal: signal.Signals, *, grace: float) -> None:
    """Ask, wait, then insist; returns when the child and its process group are gone."""
    ask(process, with_signal)
    finish(process, grace=grace)


def ask(process: subprocess.Popen[bytes], with_signal: signal.Signals) -> None:
    """Send the signal, unless the process has ended already."""
    if process.poll() is None:
        process.send_signal(with_signal)


def finish(process: subprocess.Popen[bytes], *, grace: float) -> None:
    """Wait for a child that was asked to end; kill it and what it started when the time is up."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(grace)
    signal_group(process.pid, signal.SIGKILL)
    process.wait()


def wait_for_exit(pid: int, seconds: float) -> bool:
    """Whether a process that is not our child is gone within the time."""
    deadline = time.monotonic() + seconds
    while lives(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not lives(pid)


def command_of(pid: int) -> str:
    """The command line of any process, empty when there is none."""
    listing = Path("/proc")
    if (listing / "self").exists():
        try:
            return (listing / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            return ""
    asked = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(asked, check=False, capture_output=True, text=True).stdout


def tail(log: Path, *, lines: int = 15, since: int = 0) -> str:
    """The last lines that a child wrote, from byte `since` on."""
    try:
        with log.open("rb") as source:
            source.seek(max(since, log.stat().st_size - 16_384))
            text = source.read().decode("utf-8", "replace")
    except OSError:
        return "(no output)"
    return "\n".join(text.splitlines()[-lines:]) or "(no output)"
