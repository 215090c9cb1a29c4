"""Stops asking a provider that fails again and again, so that nobody waits for it and it is left to recover."""

import threading
import time
from collections.abc import Callable

LONGEST_REST_SECONDS = 300


class Circuit:
    """Opens after some failures in a row; after a rest one call may try, and its success closes it again.

    Only the counting is locked, never the call: callers do not wait for each other.
    """

    def __init__(
        self, *, failures: int = 4, rest_seconds: float = 30, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._rest, self._clock = failures, rest_seconds, clock
        self._lock = threading.Lock()
        self._failed = 0
        self._open_until: float | None = None

    def admits(self) -> bool:
        """Whether this call may go out. The one that tries after a rest keeps the others out for another rest."""
        with self._lock:
            if self._open_until is None:
                return True
            if self._clock() < self._open_until:
                return False
            self._open_until = self._clock() + self._rest
            return True

    def succeeded(self) -> None:
        with self._lock:
            self._failed, self._open_until = 0, None

    def failed(self, *, asked_to_wait: float | None = None) -> None:
        """Note a failure; a provider that names a time to wait is left alone for that long at once, within reason."""
        with self._lock:
            self._failed += 1
            rest = asked_to_wait or (self._rest if self._failed >= self._most else None)
            if rest is not None:
                self._open_until = self._clock() + min(rest, LONGEST_REST_SECONDS)
