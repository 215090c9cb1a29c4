"""Until when providers may be waited for: one moment for all the calls of one request, or of one short task.

Whoever opens the request sets it; every call clips its own time to what is left. A context variable carries it, so that
no service has to hand it on. Times are seconds of the monotonic clock.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# A task that waits for longer keeps one of a worker's few places from all the others.
TASK_SECONDS = 60.0

P = ParamSpec("P")
T = TypeVar("T")
_ends_at: ContextVar[float | None] = ContextVar("provider_deadline", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What is done here has this long at most; an earlier end that is set already stays."""
    ends_at, outer = time.monotonic() + seconds, _ends_at.get()
    token = _ends_at.set(ends_at if outer is None else min(outer, ends_at))
    try:
        yield
    finally:
        _ends_at.reset(token)


def remaining() -> float | None:
    """The seconds that are left, none of which is 0 or less; None where nobody set an end."""
    ends_at = _ends_at.get()
    return None if ends_at is None else ends_at - time.monotonic()


def clipped(seconds: float | None) -> float | None:
    """This long, or what is left when that is less."""
    left = remaining()
    if left is None or seconds is None:
        return left if seconds is None else seconds
    return min(seconds, left)


def per_request(app: "WSGIApplication", seconds: float) -> "WSGIApplication":
    """The same web application, each request of which has this long for all its calls of providers."""

    def limited(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        with within(seconds):
            return app(environ, start_response)

    return limited


def short_task(task: Callable[P, T]) -> Callable[P, T]:
    """The same task with `TASK_SECONDS` for all its calls of providers."""

    @wraps(task)
    def limited(*args: P.args, **kwargs: P.kwargs) -> T:
        with within(TASK_SECONDS):
            return task(*args, **kwargs)

    return limited
