"""At most so many calls a second, evenly: for a program that asks about thousands of people, one after the other.

A provider's own limit is for the whole product, of which people who wait for a page need their part.
"""

import threading
import time
from collections.abc import Callable


class Pace:
    """Shared by all who are to keep it; safe between threads."""

    def __init__(
        self,
        per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._gap, self._clock, self._sleep = 1 / per_second, clock, sleep
        self._lock = threading.Lock()
        self._next = clock()

    def wait(self) -> None:
        """Return when it is the caller's turn. What was not used before is not made up for."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + self._gap
        if turn > now:
            self._sleep(turn - now)
