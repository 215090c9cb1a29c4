"""The places that requests work in: left exactly once, however a request ends, and no sooner than its work is done."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask, Response
from werkzeug.test import Client, TestResponse

from views.middleware import admission
from views.middleware.admission import Admission, Places, note_complete_answers

ONE = 1


@pytest.fixture
def pages() -> Places:
    return Places(ONE, waiting=2, seconds=0.2)


@pytest.fixture
def web(pages: Places) -> Flask:
    """A few pages of every kind behind one place."""
    app = Flask("small")
    note_complete_answers(app)
    app.add_url_rule("/plain", "plain", lambda: "plain")
    app.add_url_rule("/failing", "failing", _failing)
    app.add_url_rule("/streamed", "streamed", lambda: Response(_blocks(3)))
    app.add_url_rule("/breaking", "breaking", lambda: Response(_breaking()))
    app.add_url_rule("/api/webhooks/x", "delivery", lambda: "taken", methods=["POST"])
    app.add_url_rule("/health", "health", lambda: "well")
    deliveries = Places(ONE, waiting=2, seconds=0.2)
    app.wsgi_app = Admission(app.wsgi_app, pages=pages, deliveries=deliveries, secure=True)  # type: ignore[method-assign]
    return app


def _failing() -> str:
    raise LookupError


def _blocks(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b"x" * 100


def _breaking() -> Iterator[bytes]:
    yield b"x"
    raise LookupError


def is_free(places: Places) -> bool:
    if taken := places.enter():
        places.leave()
    return taken


@pytest.mark.parametrize("path", ["/plain", "/failing", "/streamed", "/nowhere"])
def test_a_place_is_free_again_although_the_answer_is_not_fetched_yet(web: Flask, pages: Places, path: str) -> None:
    answer = Client(web).get(path, buffered=False)
    assert is_free(pages)
    answer.close()
    assert is_free(pages)


def test_a_place_is_left_when_the_answer_breaks_off_while_it_is_made(web: Flask, pages: Places) -> None:
    with pytest.raises(LookupError):
        Client(web).get("/breaking")
    assert is_free(pages)


def test_an_answer_too_large_to_be_kept_holds_its_place_until_it_is_closed(
    web: Flask, pages: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "MOST_KEPT", 150)
    answer = Client(web).get("/streamed", buffered=False)
    assert not is_free(pages)
    assert len(answer.get_data()) == 300
    answer.close()
    answer.close()
    assert is_free(pages)


def test_what_is_kept_arrives_whole_and_is_let_go(web: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    # In a file from the first byte on.
    monkeypatch.setattr(admission, "IN_MEMORY", 1)
    with Client(web).get("/streamed") as answer:
        assert answer.get_data() == b"x" * 300


def test_without_a_place_pages_are_refused_and_deliveries_and_health_are_not(web: Flask, pages: Places) -> None:
    assert pages.enter()
    refused = Client(web).get("/plain")
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "5"
    assert refused.headers["Strict-Transport-Security"]
    assert refused.headers["X-Request-Id"] in refused.text
    assert Client(web).head("/plain").status_code == 503
    assert Client(web).get("/health").text == "well"
    assert Client(web).post("/api/webhooks/x").text == "taken"
    pages.leave()
    assert Client(web).get("/plain").status_code == 200


def test_who_waits_gets_the_place_that_is_left(web: Flask) -> None:
    places = Places(ONE, waiting=2, seconds=20)
    assert places.enter()
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(places.enter)
        assert not waiting.done()
        places.leave()
        assert waiting.result(10)


def test_behind_those_who_are_stuck_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a patience of an hour, the test would not end otherwise."""
    monkeypatch.setattr(admission, "STUCK_SECONDS", 0.1)
    places = Places(ONE, waiting=5, seconds=3600)
    assert places.enter()
    assert not places.enter()


def test_no_more_work_at_once_than_there_are_places() -> None:
    at_work, most, over = [0], [0], threading.Lock()

    def work(_environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        with over:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        threading.Event().wait(0.01)
        with over:
            at_work[0] -= 1
        start_response("200 OK", [])
        return [b""]

    three = Places(3, waiting=50, seconds=30)
    app = Admission(work, pages=three, deliveries=Places(1, waiting=1, seconds=1), secure=False)

    def ask(_: int) -> TestResponse:
        return Client(app).get("/page")

    with ThreadPoolExecutor(20) as crowd:
        answers = list(crowd.map(ask, range(60)))
    assert {answer.status_code for answer in answers} == {200}
    assert 1 < most[0] <= 3
