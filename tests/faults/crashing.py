"""The product, killed at a chosen point: before or after a commit or a call to a provider, as `kill -9` would.

    CRASH_AT=process_event:commit:2:after python -m tests.faults.crashing worker
    CRASH_TRACE=points.txt python -m tests.faults.crashing web --port 8000

The product knows nothing of it: what commits and what calls is wrapped from outside. A point is named by its job or
request, by what is about to happen, by its count within that job or request, and by the side: the second run of one
task within a process is `process_event@2`. CRASH_TRACE has every point that is passed appended to a file, with the
provider that is called, so that a test finds all of them by one undisturbed run.
"""

import argparse
import asyncio
import contextvars
import importlib
import inspect
import os
import re
import signal
import smtplib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

import flask
import httpx
import procrastinate
import psycopg
import requests
from procrastinate.periodic import PeriodicDeferrer
from procrastinate.tasks import Task

from admin_app import db as product_db
from admin_app.launcher import spawn

# A statement of its own transaction, as a door for one row may use it: its end is a commit too.
_WRITES = re.compile(rb"\b(insert|update|delete|procrastinate_defer\w*)\b", re.IGNORECASE)
_NUMBER = re.compile(r"/\d+")
_PROVIDER = re.compile(r"/(whop|clerk|stripe|workos|calendly|calcom)/")


class Scope:
    """One job, request or command, and how often it has come to each kind of point."""

    def __init__(self, name: str) -> None:
        self.name, self._counts, self._lock = name, Counter[str](), threading.Lock()

    def next(self, kind: str) -> str:
        with self._lock:
            self._counts[kind] += 1
            return f"{self.name}:{kind}:{self._counts[kind]}"


_elsewhere = Scope("elsewhere")
_scope: contextvars.ContextVar[Scope] = contextvars.ContextVar("scope", default=_elsewhere)
_runs = Counter[str]()
_lock = threading.Lock()


@contextmanager
def within(name: str) -> Iterator[None]:
    """What happens in this block belongs to this job or request."""
    with _lock:
        _runs[name] += 1
        number = _runs[name]
    token = _scope.set(Scope(name if number == 1 else f"{name}@{number}"))
    try:
        yield
    finally:
        _scope.reset(token)


@contextmanager
def passing(kind: str, about: str = "") -> Iterator[None]:
    """The two points around something that matters."""
    point = _scope.get().next(kind)
    reached(f"{point}:before", about)
    yield
    reached(f"{point}:after", about)


def reached(point: str, about: str = "") -> None:
    """Note the point, and die when it is the one."""
    if trace := os.environ.get("CRASH_TRACE"):
        target = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(target, f"{point}\t{about}\n".encode())
        os.close(target)
    if point == os.environ.get("CRASH_AT"):
        os.kill(os.getpid(), signal.SIGKILL)


def _around(owner: Any, name: str, kind: str, about: Callable[..., str]) -> None:
    plain = getattr(owner, name)

    @wraps(plain)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with passing(kind, about(*args)):
            return plain(*args, **kwargs)

    setattr(owner, name, wrapped)


def install() -> None:
    """Wrap what commits, what calls, and what begins a job or a request. Once per process, before it works."""
    _around(psycopg.Connection, "commit", "commit", lambda *_: "")
    _around(httpx.Client, "send", "call", lambda _client, request, *_: provider_of(str(request.url)))
    _around(requests.Session, "send", "call", lambda _session, request, *_: provider_of(str(request.url)))
    _around(smtplib.SMTP, "send_message", "call", lambda *_: "mail")
    _count_single_statements()
    _name_jobs()
    _name_requests()
    _put_clock_forward()


def provider_of(url: str) -> str:
    """Which simulated provider this address belongs to; a provider's key set and pages are nobody's API."""
    found = _PROVIDER.search(url)
    return found[1] if found and "jwks" not in url else "other"


def _count_single_statements() -> None:
    plain = psycopg.Cursor.execute

    @wraps(plain)
    def execute(cursor: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        text = query if isinstance(query, bytes) else str(query).encode()
        if not (cursor.connection.autocommit and _WRITES.search(text)):
            return plain(cursor, query, *args, **kwargs)
        with passing("commit"):
            return plain(cursor, query, *args, **kwargs)

    psycopg.Cursor.execute = execute  # type: ignore[method-assign]


def _name_jobs() -> None:
    plain = Task.__init__

    @wraps(plain)
    def init(task: Any, func: Any, **options: Any) -> None:
        plain(task, _named(func, options.get("name") or func.__name__), **options)

    Task.__init__ = init  # type: ignore[method-assign]


def _named(func: Any, name: str) -> Any:
    if inspect.iscoroutinefunction(func):

        @wraps(func)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            with within(name):
                return await func(*args, **kwargs)

        return run_async

    @wraps(func)
    def run(*args: Any, **kwargs: Any) -> Any:
        with within(name):
            return func(*args, **kwargs)

    return run


def _name_requests() -> None:
    plain = flask.Flask.wsgi_app

    @wraps(plain)
    def wsgi_app(app: Any, environ: Any, start_response: Any) -> Any:
        with within("request:" + _NUMBER.sub("/<id>", environ.get("PATH_INFO", ""))):
            return plain(app, environ, start_response)

    flask.Flask.wsgi_app = wsgi_app  # type: ignore[method-assign]


def _put_clock_forward() -> None:
    """CRASH_CLOCK_AHEAD seconds: what the product does after it has waited for so long."""
    ahead = timedelta(seconds=float(os.environ.get("CRASH_CLOCK_AHEAD", "0")))
    product_db.Database.__init__.__kwdefaults__["clock"] = lambda: datetime.now(UTC) + ahead


def in_one_order() -> None:
    """One job at a time, and none by the clock, so that the points of two runs are the same; and without waits."""
    plain = procrastinate.App.run_worker_async

    async def run(queue: Any, **options: Any) -> None:
        await plain(queue, **{**options, "concurrency": 1, "fetch_job_polling_interval": 0.1})

    async def never(_deferrer: Any) -> None:
        await asyncio.Event().wait()

    procrastinate.App.run_worker_async = run  # type: ignore[method-assign]
    PeriodicDeferrer.worker = never  # type: ignore[method-assign]


def work() -> None:
    in_one_order()
    importlib.import_module("admin_app.jobs.__main__").main()


def serve(port: int) -> None:
    from werkzeug.serving import make_server

    from admin_app.config import Settings
    from admin_app.factory import create_app

    app = create_app(Settings())  # type: ignore[call-arg]  # read from the environment
    make_server("127.0.0.1", port, app, threaded=True).serve_forever()


def command(name: str, arguments: dict[str, Any]) -> None:
    """What a person does in the console, by the same services: a function of tests.faults.commands."""
    found = importlib.import_module("tests.faults.commands")
    with within(f"command:{name}"):
        getattr(found, name)(**arguments)


def start(what: str, environment: dict[str, str], arguments: dict[str, Any], log: str) -> None:
    """Be one program of the product, in a process that was made for it."""
    spawn.end_with_parent(signal.SIGKILL)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for output in (1, 2):
        os.dup2(target, output)
    os.environ.update(environment)
    install()
    run = {"worker": work, "web": serve, "command": command}[what]
    run(**arguments)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.crashing", description=__doc__)
    parser.add_argument("what", choices=("worker", "web"))
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    install()
    if options.what == "worker":
        work()
    else:
        serve(options.port)


if __name__ == "__main__":
    main()
