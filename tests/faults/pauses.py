"""How long this machine itself stood still: a test must not put that down to the product."""

import threading
import time
from typing import Self

EVERY_SECONDS = 0.05
# Less late than this is any busy machine's thread.
NOTED_SECONDS = 0.25


class Pauses:
    """A thread that does nothing but wait: what it overslept, nobody on this machine could use."""

    def __init__(self) -> None:
        self._found: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pauses", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def seconds(self, began: float, ended: float) -> float:
        """How long it stood still between two readings of `time.monotonic()`."""
        return sum(max(0.0, min(ended, until) - max(began, since)) for since, until in [*self._found])

    def took(self, began: float) -> float:
        """Seconds from then until now, without those in which the machine stood still."""
        now = time.monotonic()
        return now - began - self.seconds(began, now)

    def _run(self) -> None:
        before = time.monotonic()
        while not self._over.wait(EVERY_SECONDS):
            now = time.monotonic()
            if now - before - EVERY_SECONDS > NOTED_SECONDS:
                self._found.append((before, now))
            before = now
