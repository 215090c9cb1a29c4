"""Stops asking a provider that fails again and again, so that nobody waits for it and it is left to recover."""

import threading
import time
from collections.abc import Callable

FAILURES, REST_SECONDS = 4, 30.0
LONGEST_REST_SECONDS = 300


class Circuit:
    """Opens after some failures in a row; after a rest one call may try, and its success closes it again.

    Only the counting is locked, never the call: callers do not wait for each other. What a call says that left before
    the circuit opened changes nothing: it is older than what opened it.
    """

    def __init__(
        self,
        *,
        failures: int = FAILURES,
        rest_seconds: float = REST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most, self._rest, self._clock = failures, rest_seconds, clock
        self._lock = threading.Lock()
        self._failed = self._age = 0
        self._open_until: float | None = None

    def resting(self) -> float:
        """The seconds for which no call may go out; 0 when one may."""
        with self._lock:
            return 0.0 if self._open_until is None else max(0.0, self._open_until - self._clock())

    def admit(self) -> int | None:
        """A pass for one call, to be handed back with its outcome; None when it may not go out.

        The one that tries after a rest keeps the others out for another rest, whatever becomes of it.
        """
        with self._lock:
            if self._open_until is not None:
                if self._clock() < self._open_until:
                    return None
                self._open(self._rest)
            return self._age

    def succeeded(self, admitted: int) -> None:
        with self._lock:
            if admitted == self._age:
                self._failed, self._open_until = 0, None

    def failed(self, admitted: int, *, asked_to_wait: float | None = None) -> None:
        """Note a failure; a provider that names a time to wait is left alone for that long at once, within reason."""
        with self._lock:
            if admitted != self._age:
                return
            self._failed += 1
            rest = asked_to_wait or (self._rest if self._failed >= self._most else None)
            if rest is not None:
                self._open(min(rest, LONGEST_REST_SECONDS))

    def _open(self, rest: float) -> None:
        self._open_until = self._clock() + rest
        self._age += 1
