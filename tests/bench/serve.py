"""One contender as a WSGI application, which says in headers how many statements each page cost and how long it took.

Served by gunicorn: `gunicorn "tests.bench.serve:app('floor')"` with the database's address in BENCH_DATABASE_URL.
"""

import os
import time
from collections.abc import Callable, Iterable
from typing import Any

import psycopg
from flask import Flask, Response
from sqlalchemy import Engine, event

from admin_app.config import Settings
from admin_app.factory import create_app
from tests.bench import floor, stock

CONTENDERS = ("ours", "stock", "floor")
QUERIES_HEADER = "X-Queries"
INSIDE_HEADER = "X-Inside"
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Counter:
    """Statements since the last reset; transactions' own BEGIN and ROLLBACK are not counted."""

    def __init__(self) -> None:
        self.count = 0

    def attach(self) -> None:
        """Count what any SQLAlchemy engine of this process executes."""

        @event.listens_for(Engine, "before_cursor_execute")
        def counted(*_arguments: Any) -> None:
            self.count += 1

    def cursor_class(self) -> type[psycopg.Cursor[Any]]:
        """The same for a bare psycopg connection."""
        counter = self

        class CountedCursor(psycopg.Cursor[Any]):
            def execute(self, *arguments: Any, **options: Any) -> "CountedCursor":
                counter.count += 1
                return super().execute(*arguments, **options)

        return CountedCursor


def app(contender: str, database_url: str | None = None) -> Wsgi:
    """The contender on the benchmark's database, counting."""
    url = database_url or os.environ["BENCH_DATABASE_URL"]
    counter = Counter()
    if contender == "floor":
        application: Flask = floor.create_app(url, cursor_factory=counter.cursor_class())
    else:
        counter.attach()
        application = stock.create_app(url) if contender == "stock" else create_app(settings(url))

    def counting(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        counter.count = 0
        begun = time.perf_counter()
        answer = Response.from_app(application, environ, buffered=True)
        answer.headers[INSIDE_HEADER] = f"{time.perf_counter() - begun:.6f}"
        answer.headers[QUERIES_HEADER] = str(counter.count)
        return answer(environ, start_response)

    return counting


def settings(database_url: str) -> Settings:
    return Settings(database_url=database_url, secret_key="only for the benchmark, which nobody signs in to")
