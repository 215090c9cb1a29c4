"""Ends the children of a launcher that was killed before it could.

It reads `<pid> <signal> <grace> <base or other>` lines (signal 0: forget that one) and waits for the end of
its input, which comes when the launcher is gone, for whatever reason. It also holds the launcher's lock until
it is done, so that the next run waits for ports and data to be free.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple


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
    """Send the signal to each process of the group; a group that is gone, or not ours, is let be."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


class Watched(NamedTuple):
    """How one process group is to be ended; the base is what the others need to finish their work."""

    number: int
    grace: float
    is_base: bool


def end(watched: dict[int, Watched]) -> None:
    """Ask each group by its own signal, the base after the others, and kill those that outlast their grace."""
    for is_base in (False, True):
        layer = {pid: terms for pid, terms in watched.items() if terms.is_base is is_base}
        begun = time.monotonic()
        for pid, terms in layer.items():
            signal_group(pid, terms.number)
        for pid, terms in layer.items():
            while lives(pid) and time.monotonic() - begun < terms.grace:
                time.sleep(0.05)
            signal_group(pid, signal.SIGKILL)


def main() -> None:
    """Read a line per child from standard input (pid, signal that ends it or 0, seconds of grace, `base` or not), and
    end those still watched when the launcher is gone and the input closes.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watched: dict[int, Watched] = {}
    for line in sys.stdin:
        pid, ending, grace, is_base = line.split()
        if int(ending):
            watched[int(pid)] = Watched(int(ending), float(grace), is_base == "base")
        else:
            watched.pop(int(pid), None)
    end(watched)


if __name__ == "__main__":
    main()
