"""What clients that keep their connections rely on: a request is never sent into a closed one, nor lost at a reload."""

import http.client
import json
import re
import runpy
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest

from admin_app.server.log import JsonLogger
from admin_app.server.worker import Worker
from tests.faults.server import ROOT, Server, wait_until, web_server

MIB = 1024 * 1024
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with web_server(module_database_url, tmp_path_factory.mktemp("server")) as started:
        yield started


# -- bodies ---------------------------------------------------------------------------------------------------------


def test_a_pooled_client_goes_on_after_a_body_that_was_too_large(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=20) as client:
        for size in (MIB + 1, 5 * MIB, 30 * MIB):
            answer = client.post("/api/bookings", content=b"x" * size, headers=JSON)
            assert answer.status_code == 413
            assert answer.json()["code"] == "request_entity_too_large"
            assert client.get("/health").status_code == 200


def test_a_body_too_large_to_be_read_to_its_end_ends_the_connection_and_says_so(server: Server) -> None:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    client.request("POST", "/api/bookings", body=b"x" * (30 * MIB), headers=JSON)
    answer = client.getresponse()
    answer.read()
    assert (answer.status, answer.getheader("Connection")) == (413, "close")
    # So that this client knows, and opens another one.
    client.request("GET", "/health")
    assert client.getresponse().status == 200
    client.close()


@pytest.mark.parametrize("stated", [True, False], ids=["length stated", "in chunks"])
@pytest.mark.parametrize(
    ("method", "path", "kind", "status"),
    [
        ("POST", "/nowhere", "application/json", 404),
        ("POST", "/health", "application/json", 405),
        ("POST", "/api/bookings", "text/plain", 415),
        ("POST", "/api/webhooks/stripe", "application/json", 400),
        ("POST", "/api/webhooks/whop", "application/json", 404),
        ("PATCH", "/api/clients/1/onboarding", "application/json", 401),
        ("GET", "/health", "application/json", 200),
        ("POST", "/api/bookings", "application/json", 400),
    ],
)
def test_an_early_answer_leaves_the_connection_usable(
    server: Server, method: str, path: str, kind: str, status: int, stated: bool
) -> None:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    body = b"x" * 300_000
    for _ in range(2):
        given = body if stated else iter([body[:70_000], body[70_000:]])
        client.request(method, path, body=given, headers={"Content-Type": kind}, encode_chunked=not stated)
        answer = client.getresponse()
        answer.read()
        assert answer.status == status
        line = client.sock
        assert line is not None, "it said that the connection ends"
    client.close()


def test_a_body_without_length_is_measured_by_the_same_limit(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=20) as client:
        largest = client.post("/api/bookings", content=iter([b"x" * (MIB - 1), b"x"]), headers=JSON)
        assert largest.json()["code"] == "not_json"
        one_more = client.post("/api/bookings", content=iter([b"x" * MIB, b"x"]), headers=JSON)
        assert one_more.status_code == 413


def test_a_body_without_length_that_is_too_large_is_refused_as_well(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=20) as client:
        answer = client.post("/api/bookings", content=iter([b"x" * MIB, b"x" * MIB]), headers=JSON)
        assert answer.status_code == 413
        assert client.get("/health").status_code == 200


def test_half_a_body_is_answered_and_nothing_is_done_by_it(server: Server) -> None:
    with server.connect() as line:
        line.sendall(b"POST /api/bookings HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{}")
        line.shutdown(1)
        head = line.recv(65536).partition(b"\r\n\r\n")[0].lower()
    assert head.startswith(b"http/1.1 408 ")
    assert b"\r\nconnection: close" in head
    assert b"content-security-policy" in head


def test_chunks_that_are_none_are_answered_and_end_the_connection(server: Server) -> None:
    with server.connect() as line:
        line.sendall(b"POST /api/bookings HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnot a length\r\n")
        head = line.recv(65536).partition(b"\r\n\r\n")[0].lower()
    assert head.startswith(b"http/1.1 400 ")
    assert b"\r\nconnection: close" in head
    assert b"content-security-policy" in head


# -- reload and stop ------------------------------------------------------------------------------------------------


def test_a_reload_loses_nobody(server: Server) -> None:
    """Those who ask all the while, on connections they keep, notice nothing."""
    over, asked = threading.Event(), []

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=20) as client:
            while not over.is_set():
                asked.append(client.get("/health").status_code)

    with ThreadPoolExecutor(4) as crowd:
        begun = [crowd.submit(ask) for _ in range(4)]
        for turn in range(1, 3):
            server.process.send_signal(signal.SIGHUP)
            server.wait_for_line("Worker exiting", count=turn)
        count = len(asked)
        wait_until(lambda: len(asked) > count + 20, "requests after the reload")
        over.set()
        for one in begun:
            one.result(30)
    assert set(asked) == {200}


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
def test_a_running_request_is_finished_first(fresh_database_url: str, tmp_path: Path, ending: signal.Signals) -> None:
    with web_server(fresh_database_url, tmp_path) as server, ThreadPoolExecutor(1) as other:
        with psycopg.connect(fresh_database_url) as connection:
            connection.execute("LOCK TABLE practitioners IN ACCESS EXCLUSIVE MODE")
            running = other.submit(httpx.get, f"{server.url}/api/practitioners", timeout=30)
            waits = "SELECT 1 FROM pg_locks WHERE NOT granted"
            with psycopg.connect(fresh_database_url, autocommit=True) as look:
                wait_until(lambda: look.execute(waits).fetchone(), "the request")
            server.process.send_signal(ending)
            server.wait_for_line(f"Handling signal: {ending.name[3:].lower()}")
            connection.rollback()
        assert running.result(30).status_code == 200
        if ending is signal.SIGTERM:
            assert server.process.wait(30) == 0
        else:
            assert server.is_healthy()


# -- settings and log -----------------------------------------------------------------------------------------------


def test_the_settings_are_those_that_were_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "WEB_WORKERS", "WEB_THREADS", "WEB_REQUESTS_AT_ONCE"):
        monkeypatch.delenv(name, raising=False)
    given = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    assert given["worker_class"] is Worker
    assert given["logger_class"] is JsonLogger
    assert given["control_socket_disable"] is True
    assert given["forwarded_allow_ips"] == given["forwarder_headers"] == ""
    assert given["bind"] == "127.0.0.1:8000"
    assert given["workers"] >= 2
    assert given["timeout"] > 0
    assert given["graceful_timeout"] > 0
    assert 0 < given["limit_request_line"] <= 8190
    assert given["accesslog"] is None
    assert given["sendfile"] is False


def test_too_few_threads_for_what_may_be_at_work_are_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_THREADS", "12")
    with pytest.raises(ValueError, match="WEB_THREADS is 12; it has to be at least 20"):
        runpy.run_path(str(ROOT / "gunicorn.conf.py"))


def test_the_log_says_what_happened_and_not_with_which_values(server: Server) -> None:
    httpx.get(f"{server.url}/health?token=secret-in-the-query")
    for sent in (
        b"GET /claim?token=secret-in-the-line HTTP/7.7\r\n\r\n",
        b"GET /claim HTTP/1.1\r\nsecret-in-a-header\r\n\r\n",
        b"GET /" + b"s" * 9000 + b" HTTP/1.1\r\n\r\n",
    ):
        with server.connect() as line:
            line.sendall(sent)
            assert line.recv(100).startswith(b"HTTP/1.1 4")
    server.wait_for_line("Invalid request", count=3)
    text = server.log.read_text()
    assert "secret" not in text
    assert "Traceback" not in text
    events = {line["event"] for line in server.lines() if line.get("logger") == "gunicorn"}
    assert any(re.fullmatch(r"Listening at: http://127\.0\.0\.1:\d+ \(\d+\)", event) for event in events)


def test_a_setting_that_is_refused_is_not_repeated_in_the_log(tmp_path: Path) -> None:
    refused = web_server("postgresql://127.0.0.1/none", tmp_path, SECRET_KEY="too-short-secret")
    with pytest.raises(AssertionError), refused:
        pass
    said = (tmp_path / "web.log").read_text()
    assert "SECRET_KEY: " in said
    assert "too-short-secret" not in said


def test_an_exception_leaves_kind_and_place(capsys: pytest.CaptureFixture[str]) -> None:
    from gunicorn.config import Config

    log = JsonLogger(Config())
    try:
        raise LookupError("a person's address")
    except LookupError:
        log.exception("Error handling request %s %s", "GET", "/claim?token=secret")
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["event"], told["kind"], told["level"]) == ("Error handling request", "LookupError", "error")
    assert told["at"][0].startswith(__file__)
    assert "secret" not in line
    assert "person" not in line
    log.error_log.handlers.clear()
