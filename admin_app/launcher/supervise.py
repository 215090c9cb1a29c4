"""Runs a handful of long-lived programs as one: what ends is started again, and what cannot live ends them all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from admin_app.launcher import children
from admin_app.launcher.children import LaunchError
from admin_app.launcher.guardian import lives, signal_group
from admin_app.launcher.interrupts import held
from admin_app.launcher.restarts import MOST_ENDS, Restarts

GUARDIAN = Path(__file__).with_name("guardian.py")
GRACE_SECONDS = 8.0
HAND_OVER_SECONDS = 30.0
STOPPING = "stopping"
Start = Callable[[], "subprocess.Popen[bytes]"]


@dataclass
class Child:
    """One supervised program. The base outlives the others, which need it to finish their work."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path | None
    stop_signal: signal.Signals
    grace: float
    is_base: bool
    # How it is started again; without it, its end is everybody's.
    again: Start | None = None
    restarts: Restarts = field(default_factory=Restarts)
    # When it is to be started again, while it is down.
    due: float | None = None


class FolderLock:
    """One run per folder. The lock is shared with the guardian and so freed when everything has ended."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+")

    def take(self) -> None:
        deadline = time.monotonic() + HAND_OVER_SECONDS
        while not self._try():
            pid, state = self._holder()
            if pid and lives(pid) and state != STOPPING:
                raise LaunchError(
                    f"Backdesk is already running from this folder (process {pid}). "
                    "Use that one, or stop it with Ctrl-C where it was started."
                )
            if time.monotonic() > deadline:
                raise LaunchError("An earlier run in this folder is still stopping. Try again in a moment.")
            time.sleep(0.05)
        self._note("")

    def announce_stop(self) -> None:
        self._note(STOPPING)

    def fileno(self) -> int:
        return self._file.fileno()

    def _try(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _holder(self) -> tuple[int, str]:
        self._file.seek(0)
        pid, _, state = self._file.read().strip().partition(" ")
        return (int(pid) if pid.isdigit() else 0), state

    def _note(self, state: str) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._file.write(f"{os.getpid()} {state}")
        self._file.flush()


class Supervisor:
    """Starts programs, notices when one ends, and stops them all; a guardian stops them if we are killed.

    Once `revives` is set, a program that ends is started again after a pause, and `tell` says so in a sentence. Before,
    and when it ends again and again, its end is a `LaunchError`.
    """

    def __init__(self, lock: FolderLock | None = None, *, tell: Callable[[str], None] = print) -> None:
        self.revives = False
        self._tell = tell
        self._children: list[Child] = []
        self._lock = lock
        self._guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARDIAN)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[lock.fileno()] if lock else [],
        )

    def start(self, name: str, command: Sequence[str], log: Path | None, env: Mapping[str, str]) -> Child:
        def start() -> subprocess.Popen[bytes]:
            return children.start(command, log=log, env=env)

        with held():
            return self.adopt(name, start(), log=log, again=start)

    def adopt(
        self,
        name: str,
        process: subprocess.Popen[bytes],
        *,
        log: Path | None,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace: float = GRACE_SECONDS,
        is_base: bool = False,
        again: Start | None = None,
    ) -> Child:
        """Take over a process that somebody else started in a session of its own, and can start `again`."""
        child = Child(name, process, log, stop_signal, grace, is_base, again)
        self._children.append(child)
        self._tell_guardian(child, stop_signal)
        return child

    def run(self, name: str, command: Sequence[str], log: Path | None, env: Mapping[str, str]) -> None:
        """Run one program to its end; its failure is ours. Others ending meanwhile is a failure as well."""
        child = self.start(name, command, log, env)
        self.wait_until(lambda: child.process.poll() is not None, finite=child)
        self._children.remove(child)
        self._tell_guardian(child, 0)
        if child.process.returncode != 0:
            raise LaunchError(_obituary(child))

    def wait_until(self, condition: Callable[[], bool], *, finite: Child | None = None, every: float = 0.03) -> None:
        """Wait for a condition; look after the programs meanwhile."""
        while not condition():
            for child in self._children:
                if child is not finite:
                    self._look_after(child)
            time.sleep(every)

    def _look_after(self, child: Child) -> None:
        if child.due is not None:
            if time.monotonic() >= child.due:
                self._revive(child)
        elif child.process.poll() is not None:
            if not self.revives or child.again is None:
                raise LaunchError(_obituary(child))
            self._note_end(child)

    def _note_end(self, child: Child) -> None:
        # What it leaves behind, such as the processes of a web server whose master was killed, may finish its work.
        signal_group(child.process.pid, child.stop_signal)
        pause = child.restarts.pause()
        if pause is None:
            raise LaunchError(
                f"{child.name} ended {MOST_ENDS} times within a minute: it cannot live. {_obituary(child)}"
            )
        child.due = time.monotonic() + pause
        self._tell(f"{child.name} {_end(child)}. It is started again in {pause:.0f} s. Its log: {child.log}")

    def _revive(self, child: Child) -> None:
        assert child.again is not None  # noqa: S101 - for the type checker
        signal_group(child.process.pid, signal.SIGKILL)
        self._tell_guardian(child, 0)
        if child.is_base:
            # Takes its time, and leaves nothing behind when it is broken off.
            process = child.again()
            self._replace(child, process)
        else:
            with held():
                self._replace(child, child.again())

    def _replace(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        child.process, child.due = process, None
        child.restarts.began()
        self._tell_guardian(child, child.stop_signal)

    def stop(self) -> None:
        """Stop everything, the base last, and dismiss the guardian."""
        if self._lock:
            self._lock.announce_stop()
        for is_base in (False, True):
            layer = [child for child in self._children if child.is_base is is_base]
            for child in layer:
                children.ask(child.process, child.stop_signal)
            for child in layer:
                children.finish(child.process, grace=child.grace)
                self._tell_guardian(child, 0)
        self._children.clear()
        if self._guardian.stdin:
            with contextlib.suppress(OSError):
                self._guardian.stdin.close()
        self._guardian.wait()

    def _tell_guardian(self, child: Child, ending: int) -> None:
        if self._guardian.stdin:
            kind = "base" if child.is_base else "other"
            # A guardian that somebody killed is no reason to fail: the kernel's signal is still there.
            with contextlib.suppress(OSError):
                self._guardian.stdin.write(f"{child.process.pid} {int(ending)} {child.grace} {kind}\n".encode())
                self._guardian.stdin.flush()


def _end(child: Child) -> str:
    status = child.process.returncode
    return f"was killed by signal {-status}" if status < 0 else f"stopped with status {status}"


def _obituary(child: Child) -> str:
    if child.log is None:
        return f"{child.name} {_end(child)}; what it said stands above."
    return f"{child.name} {_end(child)}. The end of {child.log}:\n\n{children.tail(child.log)}"
