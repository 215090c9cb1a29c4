"""Ends the children of a launcher that was killed before it could.

It reads `<pid> <signal> <grace>` lines (signal 0: forget that one) and waits for the end of its input, which
comes when the launcher is gone, for whatever reason. It also holds the launcher's lock until it is done, so
that the next run waits for ports and data to be free.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path


def lives(pid: int) -> bool:
    """Whether the process runs; one that is dead but not yet collected by its parent does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state != "Z"


def signal_group(leader: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def end(watched: dict[int, tuple[int, float]]) -> None:
    """Ask each group by its own signal, and kill those that outlast their grace."""
    begun = time.monotonic()
    for pid, (number, _) in watched.items():
        signal_group(pid, number)
    for pid, (_, grace) in watched.items():
        while lives(pid) and time.monotonic() - begun < grace:
            time.sleep(0.05)
        signal_group(pid, signal.SIGKILL)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watched: dict[int, tuple[int, float]] = {}
    for line in sys.stdin:
        pid, ending, grace = line.split()
        if int(ending):
            watched[int(pid)] = int(ending), float(grace)
        else:
            watched.pop(int(pid), None)
    end(watched)


if __name__ == "__main__":
    main()
