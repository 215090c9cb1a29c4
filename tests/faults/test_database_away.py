"""The database refused, or dying in the middle: every page and door still answers, whole and in words."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from sqlalchemy import event
from werkzeug.routing import Rule
from werkzeug.test import create_environ, run_wsgi_app

from admin_app.db import Database
from admin_app.errors import ProviderUnavailable
from tests.faults.database_house import (
    STALE,
    add_administrator,
    application,
    require_whole,
    settings,
    sign_in,
)
from tests.route_table import NOBODY, PARTS
from views.console.framework.sign_in import COOKIE

NOWHERE = "postgresql://nobody:secret@127.0.0.1:1/none"
NEEDLE = "needle7f3a"
PAGES = ("/admin/", "/admin/staff/", "/admin/audit-entries/", "/admin/search/?q=mara", "/admin/staff/1")


@pytest.fixture
def refused() -> Iterator[Flask]:
    with application(settings(NOWHERE)) as (app, _):
        yield app


def addresses(app: Flask) -> Iterator[tuple[str, str]]:
    """Every method and address of the product; records have a number that nobody has."""
    urls = app.url_map.bind("127.0.0.1")
    for rule in app.url_map.iter_rules():
        parts = {name: PARTS.get(name, NOBODY) for name in rule.arguments}
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            yield method, urls.build(rule.endpoint, _fitting(rule, parts), method=method)


def _fitting(rule: Rule, parts: dict[str, Any]) -> dict[str, Any]:
    return {name: "2026-05" if name == "month" else value for name, value in parts.items()}


def browser(app: Flask, cookie: str) -> FlaskClient:
    client = app.test_client()
    if cookie:
        client.set_cookie(COOKIE, cookie)
    return client


@pytest.mark.parametrize("cookie", ["", STALE])
def test_every_address_answers_whole_while_the_database_is_refused(refused: Flask, cookie: str) -> None:
    answered: dict[int, int] = {}
    for method, address in addresses(refused):
        form = {"q": NEEDLE} if method == "POST" else None
        with browser(refused, cookie).open(f"{address}?token={NEEDLE}", method=method, data=form) as answer:
            require_whole(answer)
            assert answer.status_code != 500, (method, address)
            assert answer.status_code < 500 or NEEDLE not in answer.text
        answered[answer.status_code] = answered.get(answer.status_code, 0) + 1
    assert answered[503] > (100 if cookie else 5), answered


def test_the_page_of_an_error_asks_nothing_of_the_database(refused: Flask) -> None:
    for address, status in (("/no/such/address", 404), ("/admin/", 503), ("/login", 503)):
        answer = browser(refused, STALE).get(address)
        require_whole(answer, status)
        assert "<h1>" in answer.text
    assert "The database does not answer" in answer.text


@pytest.mark.parametrize("page", PAGES)
def test_the_database_dies_at_each_statement_of_a_page(fresh_database_url: str, page: str) -> None:
    with application(settings(fresh_database_url), pool_size=1, max_overflow=0) as (app, database):
        add_administrator(database)
        client = app.test_client()
        assert sign_in(client).status_code == 303
        assert client.get(page).status_code == 200
        killed = 0
        while _dies_at(killed + 1, database, fresh_database_url, client, page):
            killed += 1
        assert killed >= 2
        require_whole(client.get(page), 200)


def _dies_at(which: int, database: Database, url: str, client: FlaskClient, page: str) -> bool:
    """Ask for the page and end its connection before that statement; false when it needs fewer."""
    seen = 0

    def count(connection: Any, *_rest: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == which:
            with psycopg.connect(url, autocommit=True) as other:
                process = connection.connection.driver_connection.info.backend_pid
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [process])

    event.listen(database.engine, "before_cursor_execute", count)
    try:
        answer = client.get(page)
    finally:
        event.remove(database.engine, "before_cursor_execute", count)
    require_whole(answer, 503 if seen >= which else 200)
    return seen >= which


def test_a_commit_whose_answer_is_lost_is_not_called_undone(fresh_database_url: str) -> None:
    with application(settings(fresh_database_url), pool_size=1, max_overflow=0) as (app, database):
        add_administrator(database)

        @event.listens_for(database.engine, "commit")
        def dies(connection: Any) -> None:
            with psycopg.connect(fresh_database_url, autocommit=True) as other:
                process = connection.connection.driver_connection.info.backend_pid
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [process])

        answer = sign_in(app.test_client())
        require_whole(answer, 503)
        assert "may have been done or not" in answer.text
        event.remove(database.engine, "commit", dies)
        assert sign_in(app.test_client()).status_code == 303


def fails(*_: object) -> Any:
    raise LookupError(NEEDLE)


@pytest.mark.parametrize("address", ["/login", "/api/openapi.json", "/nothing"])
@pytest.mark.parametrize("step", ["before_request", "after_request", "teardown_request", "context_processor"])
def test_what_fails_around_a_page_is_answered_by_the_last_resort(
    refused: Flask, step: str, address: str, capfd: pytest.CaptureFixture[str]
) -> None:
    getattr(refused, step)(fails)
    answer = refused.test_client().get(f"{address}?token={NEEDLE}")
    whole = step == "context_processor" and address == "/api/openapi.json"  # which has no template
    require_whole(answer, 200 if whole else 500)
    assert NEEDLE not in answer.text
    if address.startswith("/api/") and not whole:
        assert answer.headers["X-Request-Id"] == answer.json["request_id"]


def test_the_last_resort_answers_a_head_without_a_body(refused: Flask) -> None:
    """Which the connection's next reader would take for the beginning of the next answer."""
    refused.context_processor(fails)
    body, status, headers = run_wsgi_app(refused.wsgi_app, create_environ("/login", method="HEAD"))
    assert (b"".join(body), status[:3]) == (b"", "500")
    assert int(headers["Content-Length"]) > 0


def test_a_file_that_breaks_off_while_it_is_made_is_answered_whole(refused: Flask) -> None:
    def body() -> Iterator[bytes]:
        yield b"first"
        fails()

    refused.add_url_rule("/broken", view_func=lambda: Response(body()))
    # It is made before it is sent (views/middleware/admission.py), so nobody gets the half of it.
    require_whole(refused.test_client().get("/broken", buffered=True), 500)


def test_a_file_that_fails_before_its_first_block_is_answered(refused: Flask) -> None:
    def body() -> Iterator[bytes]:
        fails()
        yield b"first"

    refused.add_url_rule("/broken", view_func=lambda: Response(body()))
    require_whole(refused.test_client().get("/broken"), 500)


def test_every_refusal_for_later_says_when(refused: Flask) -> None:
    def away() -> Response:
        raise ProviderUnavailable("stripe")

    def known() -> Response:
        error = ProviderUnavailable("stripe")
        error.retry_after = 42
        raise error

    refused.add_url_rule("/away", view_func=away)
    refused.add_url_rule("/api/known", view_func=known)
    require_whole(refused.test_client().get("/away"), 503)
    answer = refused.test_client().get("/api/known")
    require_whole(answer, 503)
    assert answer.headers["Retry-After"] == "42"
