"""When a program that ended is started again, and when it is given up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

LONGEST_PAUSE_SECONDS = 30.0
# Who lived so long begins anew, and this many ends within it are too many.
LIVED_SECONDS = 60.0
MOST_ENDS = 5


@dataclass
class Restarts:
    """One program's ends in a row: pauses of 1, 2, 4 … 30 seconds, and no restart after five ends within a minute."""

    clock: Callable[[], float] = time.monotonic
    _begun: float = field(default=0.0, init=False)
    _ends: list[float] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.began()

    def began(self) -> None:
        self._begun = self.clock()

    def pause(self) -> float | None:
        """Note an end: how many seconds to wait before the next start; None when it is not to be started again."""
        now = self.clock()
        if now - self._begun >= LIVED_SECONDS:
            self._ends.clear()
        self._ends.append(now)
        if len(self._ends) >= MOST_ENDS and now - self._ends[-MOST_ENDS] <= LIVED_SECONDS:
            return None
        return min(LONGEST_PAUSE_SECONDS, 2.0 ** (len(self._ends) - 1))
