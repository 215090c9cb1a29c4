"""A worker that kills or stops itself, as `kill` would, when a statement that begins so is about to be sent.

Run as a program: `python -m tests.jobs.killed_worker <which one> <first words> [<signal, KILL if left out>]`.
"""

import os
import runpy
import signal
import sys
from typing import Any

from sqlalchemy import Engine, event


def main(which: int, words: str, name: str = "KILL") -> None:
    seen = 0

    @event.listens_for(Engine, "before_cursor_execute")
    def count(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        nonlocal seen
        if statement.startswith(words):
            seen += 1
            if seen == which:
                os.kill(os.getpid(), signal.Signals[f"SIG{name}"])

    sys.argv = ["admin_app.jobs"]
    runpy.run_module("admin_app.jobs", run_name="__main__")


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
