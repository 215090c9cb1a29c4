"""How many requests work at once in one process.

More requests than connections and processors only wait for each other, and what waits in them holds every thread. So a
request that finds no place waits a moment and is then told to come again; where nothing has moved for a while, at once.
Deliveries of providers have places of their own: no page, however slow, makes one fail. What needs no database needs no
place.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request

from views.middleware.own_answers import own_answer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# A burst is over by then, and providers give an answer at least ten seconds; who waits is served while something moves.
WAITS_SECONDS = 5.0
STUCK_SECONDS = 1.0
RETRY_AFTER_SECONDS = 5
BUSY = "The server has more to do at the moment than it can. Nothing was done. Try again in a few seconds."
# /health is asked by what decides whether we live; the others read no table or are asked from this machine alone.
FREE = frozenset({"/health", "/metrics", "/csp-reports", "/api/openapi.json"})
FREE_BELOW = "/static/"
DELIVERIES_BELOW = "/api/webhooks/"
COMPLETE = "backdesk.answer_is_complete"
# Of an answer that is made while it is sent: up to here in memory, then in a file; the rest as it is fetched.
IN_MEMORY = 1024 * 1024
MOST_KEPT = 256 * 1024 * 1024
PIECE = 64 * 1024


class Places:
    """A number of places to work in, for which at most `waiting` requests wait at most `seconds`."""

    def __init__(self, places: int, *, waiting: int, seconds: float) -> None:
        self._free = threading.BoundedSemaphore(places)
        self._seats = threading.BoundedSemaphore(waiting)
        self._seconds = seconds
        self._moved = time.monotonic()

    def enter(self) -> bool:
        """Take a place, waiting for one if need be; whether there was one."""
        if self._free.acquire(blocking=False):
            self._moved = time.monotonic()
            return True
        if not self._seats.acquire(blocking=False):
            return False
        try:
            return self._wait()
        finally:
            self._seats.release()

    def leave(self) -> None:
        self._moved = time.monotonic()
        self._free.release()

    def _wait(self) -> bool:
        """As long as others leave: behind those who are stuck, every further thread would only be held as well."""
        deadline = time.monotonic() + self._seconds
        while (now := time.monotonic()) < deadline and now < (stuck := self._moved + STUCK_SECONDS):
            if self._free.acquire(timeout=min(deadline, stuck) - now):
                return True
        return False


class Admission:
    """Lets requests through as there are places for them, and answers the others with 503 and `Retry-After`."""

    def __init__(self, app: "WSGIApplication", *, pages: Places, deliveries: Places, secure: bool) -> None:
        self._app = app
        self._pages = pages
        self._deliveries = deliveries
        self._secure = secure

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        places = self._places_for(environ.get("PATH_INFO", ""))
        if places is None:
            return self._app(environ, start_response)
        if not places.enter():
            return own_answer(
                environ, start_response, 503, "server_busy", BUSY, secure=self._secure, retry_after=RETRY_AFTER_SECONDS
            )
        held = _Held(places)
        try:
            answer = self._app(environ, start_response)
            return answer if environ.get(COMPLETE) else _Kept(answer, held)
        finally:
            held.leave_unless_kept()

    def _places_for(self, path: str) -> Places | None:
        if path in FREE or path.startswith(FREE_BELOW):
            return None
        return self._deliveries if path.startswith(DELIVERIES_BELOW) else self._pages


def note_complete_answers(app: Flask) -> None:
    """Have Flask say which answers are made when it returns them; the others are made while they are sent."""

    @app.after_request
    def note(response: Response) -> Response:
        request.environ[COMPLETE] = not response.is_streamed
        return response


class _Held:
    """One taken place, left exactly once."""

    def __init__(self, places: Places) -> None:
        self._leave: Callable[[], None] | None = places.leave
        self.kept = False

    def leave(self) -> None:
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()

    def leave_unless_kept(self) -> None:
        if not self.kept:
            self.leave()


class _Kept:
    """An answer that is made while it is read, read to its end at once and kept for however long its reader takes.

    Otherwise a slow reader would hold a place, and a transaction that reads the rows. One that is larger than is kept
    goes on being made as it is fetched, and holds its place until it is closed.
    """

    def __init__(self, answer: Iterable[bytes], held: _Held) -> None:
        self._answer = answer
        self._held = held
        self._file = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed with the answer
        try:
            rest = self._keep(iter(answer))
        except BaseException:
            self.close()
            raise
        self._file.seek(0)
        self._pieces = self._from_file()
        if rest is not None:
            held.kept = True
            self._pieces = chain(self._pieces, rest)

    def _keep(self, pieces: Iterator[bytes]) -> Iterator[bytes] | None:
        """What is left when it is too much."""
        for piece in pieces:
            self._file.write(piece)
            if self._file.tell() > MOST_KEPT:
                return pieces
        return None

    def _from_file(self) -> Iterator[bytes]:
        with self._file as file:
            yield from iter(lambda: file.read(PIECE), b"")

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        try:
            close: Any = getattr(self._answer, "close", None)
            if close is not None:
                close()
        finally:
            self._file.close()
            self._held.leave()
