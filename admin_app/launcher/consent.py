"""A database that is not empty is migrated when its owner has seen the plan and says yes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from admin_app.launcher.children import LaunchError

# As migrations/plan.py ends when it has shown a plan.
ASKS = 3
HOW = "Nothing has been changed. To go on: YES=1 make run."


def obtain(
    plan: Sequence[str],
    environment: Mapping[str, str],
    *,
    given: bool,
    say: Callable[[str], None],
    ask: Callable[[], str],
) -> None:
    """Raise LaunchError unless there is nothing to ask, or the answer is yes."""
    done = subprocess.run(
        [sys.executable, *plan],
        check=False,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode == 0:
        return
    if done.returncode != ASKS:
        raise LaunchError(done.stdout.strip())
    say(done.stdout.rstrip())
    if not given and ask().strip().lower() not in {"y", "yes"}:
        raise LaunchError(HOW)


def from_terminal() -> str:
    """The answer of whoever sits there; none where nobody does."""
    return input("Migrate it now? [y/N] ") if sys.stdin.isatty() else ""
