"""Asks /health all the time, and keeps what it took to answer."""

import http.client
import threading
import time
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from tests.faults.pauses import Pauses

BOUND_SECONDS = 2.0
EVERY_SECONDS = 0.2


@dataclass
class Seen:
    """What was seen of /health since the last look; seconds. `silent`: nothing listened there."""

    slowest: float = 0.0
    answers: dict[int, int] = field(default_factory=dict)
    late: int = 0
    silent: int = 0

    def sentence(self) -> str:
        said = f"slowest /health {self.slowest:.2f} s"
        if 503 in self.answers:
            said += f", {self.answers[503]} of {sum(self.answers.values())} said 503"
        if self.late:
            said += f", {self.late} came not within {BOUND_SECONDS:g} s"
        return said


class HealthWatch:
    """A caller with a connection of its own each time, as a load balancer is. `well`: what it heard last was 200."""

    def __init__(self, url: str) -> None:
        self._host, self._seen, self._lock = urlsplit(url).netloc, Seen(), threading.Lock()
        self.well = False
        self._pauses = Pauses()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)

    def __enter__(self) -> Self:
        self._pauses.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._pauses.__exit__()

    def taken(self) -> Seen:
        """What was seen since this was asked last."""
        with self._lock:
            seen, self._seen = self._seen, Seen()
            return seen

    def _run(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            began = time.monotonic()
            status = self._ask()
            ended = time.monotonic()
            paused = self._pauses.seconds(began, ended)
            self.well = status == 200
            if status == 0 and paused:
                continue  # whoever asked stood still as well: nobody knows when the answer would have come
            with self._lock:
                self._note(status, ended - began - paused)

    def _ask(self) -> int | None:
        """The status, 0 for a bound that was passed, None where nothing listens."""
        connection = http.client.HTTPConnection(self._host, timeout=BOUND_SECONDS)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status
        except TimeoutError:
            return 0
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def _note(self, status: int | None, taken: float) -> None:
        if status is None:
            self._seen.silent += 1
            return
        self._seen.slowest = max(self._seen.slowest, taken)
        if status == 0 or taken > BOUND_SECONDS:
            self._seen.late += 1
        if status:
            self._seen.answers[status] = self._seen.answers.get(status, 0) + 1
