"""What every call of a provider passes first: a circuit, a bounded number of callers at once, and a total time.

A provider that answers slowly holds the threads that wait for it. Here at most `Limits.calls` of a process wait for one
provider; whoever comes on top is refused at once, before anything was sent, and the rest of the product goes on.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from admin_app.errors import ProviderUnavailable
from admin_app.integrations.http import deadline
from admin_app.integrations.http.circuit import FAILURES, REST_SECONDS, Circuit
from admin_app.integrations.http.pace import Pace

# When to come again after there was no room or no time: the calls that are out are over by then.
SOON_SECONDS = 10
# Less than this is no time in which a provider could answer.
LEAST_SECONDS = 0.05


@dataclass(frozen=True)
class Limits:
    """How many calls of one process wait for one provider at once, and how long one more waits for room.

    After so many failures in a row the provider is left alone for `rest_seconds`. With a `pace` calls go out at it.
    """

    calls: int
    seconds_for_room: float
    failures: int = FAILURES
    rest_seconds: float = REST_SECONDS
    pace: Pace | None = None


# Far fewer than a web process has threads: one provider takes a part of them and never all.
WEB = Limits(calls=6, seconds_for_room=1.0)
# A job that finds no room costs one of its tries: it waits while the calls before it are over, if they are quick.
WORKER = Limits(calls=3, seconds_for_room=2)


class Call:
    """One call that may go out; whoever makes it says when it failed in a way that speaks of the provider's health."""

    def __init__(self) -> None:
        self.failure = False
        self.asked_to_wait: float | None = None

    def failed(self, *, asked_to_wait: float | None = None) -> None:
        """Count it: no answer, no connection, an error of the server, or too many requests. A clear no is none."""
        self.failure, self.asked_to_wait = True, asked_to_wait


class Guard:
    """One provider's, of one process; safe between threads."""

    def __init__(self, provider: str, limits: Limits = WEB, *, circuit: Circuit | None = None) -> None:
        self.provider, self._limits = provider, limits
        self._circuit = circuit or Circuit(failures=limits.failures, rest_seconds=limits.rest_seconds)
        self._room = threading.BoundedSemaphore(limits.calls)

    @contextmanager
    def call(self, seconds: float) -> Iterator[Call]:
        """One call with all its tries, which is to be over after so many seconds or at the end of the request.

        Raises ProviderUnavailable with the time to come again when it may not go out: then nothing was sent.
        """
        if self._limits.pace is not None:
            self._limits.pace.wait()
        self._require_time()
        if resting := self._circuit.resting():
            raise self._refused(resting)
        with self._a_place():
            self._require_time()
            admitted = self._circuit.admit()
            if admitted is None:
                raise self._refused(self._circuit.resting())
            call = Call()
            try:
                with deadline.within(seconds):
                    yield call
            finally:
                # Also when it ends by an error: whether that speaks of the provider, its maker has said.
                if call.failure:
                    self._circuit.failed(admitted, asked_to_wait=call.asked_to_wait)
                else:
                    self._circuit.succeeded(admitted)

    def _require_time(self) -> None:
        left = deadline.remaining()
        if left is not None and left < LEAST_SECONDS:
            raise self._refused(SOON_SECONDS)

    @contextmanager
    def _a_place(self) -> Iterator[None]:
        if not self._room.acquire(timeout=max(0.0, deadline.clipped(self._limits.seconds_for_room) or 0.0)):
            raise self._refused(SOON_SECONDS)
        try:
            yield
        finally:
            self._room.release()

    def _refused(self, seconds: float) -> ProviderUnavailable:
        return ProviderUnavailable(self.provider, retry_after=seconds)
