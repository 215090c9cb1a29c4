"""People whose line is slow and requests that take long: the others are served meanwhile, with nothing in front."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import psycopg
import pytest

from tests.faults.server import Server, wait_until, web_server

AT_ONCE = 4
A_DOZEN = 12
LARGE_FILE = "/static/vendor/tabler/tabler.min.css"


@pytest.fixture(scope="module")
def server(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with web_server(module_database_url, folder, WEB_REQUESTS_AT_ONCE=str(AT_ONCE)) as started:
        yield started


@contextmanager
def many(count: int, each: Callable[[threading.Event], None]) -> Iterator[threading.Event]:
    """So many at once while the block runs; they end when the event says that it is over."""
    over = threading.Event()
    with ThreadPoolExecutor(count) as crowd:
        begun = [crowd.submit(each, over) for _ in range(count)]
        try:
            yield over
        finally:
            over.set()
        for one in begun:
            one.result(60)


@contextmanager
def locked(database_url: str, table: str) -> Iterator[None]:
    """Whoever reads the table waits."""
    with psycopg.connect(database_url) as connection:
        connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield
        connection.rollback()


def test_a_dozen_slow_uploads(server: Server) -> None:
    answers = []

    def upload(over: threading.Event) -> None:
        with server.connect() as line:
            line.sendall(b"POST /api/bookings HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n")
            line.sendall(b"Content-Length: 2000\r\n\r\n{")
            for _ in range(1999):
                over.wait(0.01)
                line.sendall(b" ")
            answers.append(line.recv(100))

    with many(A_DOZEN, upload):
        for _ in range(5):
            assert server.is_healthy()
            # They hold no place either: pages are served as well.
            assert httpx.get(f"{server.url}/login", timeout=10).status_code == 200
            time.sleep(0.1)
    assert [answer[:12] for answer in answers] == [b"HTTP/1.1 400"] * A_DOZEN


def test_a_dozen_who_fetch_slowly(server: Server) -> None:
    received = []

    def fetch(over: threading.Event) -> None:
        with socket.socket() as line:
            # Little fits in on the way, so that the server has to wait for us.
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            line.connect(("127.0.0.1", server.port))
            line.settimeout(30)
            line.sendall(f"GET {LARGE_FILE} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            got = 0
            while piece := line.recv(16384):
                got += len(piece)
                over.wait(0.02)
            received.append(got)

    with many(A_DOZEN, fetch):
        for _ in range(5):
            assert server.is_healthy()
            assert httpx.get(f"{server.url}/login", timeout=10).status_code == 200
            time.sleep(0.1)
    size = len(httpx.get(server.url + LARGE_FILE, headers={"Accept-Encoding": "identity"}).content)
    assert all(got > size for got in received)
    assert len(received) == A_DOZEN


def test_connections_that_have_said_nothing_yet_hold_no_thread(server: Server) -> None:
    """A browser opens some in advance."""
    lines = [server.connect() for _ in range(150)]
    try:
        assert server.is_healthy()
    finally:
        for line in lines:
            line.close()


def test_long_requests_leave_deliveries_static_files_and_health_alone(server: Server, module_database_url: str) -> None:
    answers: list[httpx.Response] = []

    def ask(_over: threading.Event) -> None:
        answers.append(httpx.get(f"{server.url}/api/practitioners", timeout=60))

    held = ExitStack()
    held.enter_context(locked(module_database_url, "practitioners"))
    with held, many(3 * A_DOZEN, ask):
        # As many as may are at work, and who came later has been answered.
        wait_until(lambda: len(answers) == 3 * A_DOZEN - AT_ONCE, "the answers to those without a place")
        refused = answers[:]
        assert server.is_healthy()
        assert httpx.get(server.url + LARGE_FILE, timeout=5).status_code == 200
        event = {"id": "evt_beside_long_ones", "object": "event", "type": "charge.refunded", "livemode": False}
        event |= {"created": int(time.time()), "data": {"object": {"id": "ch_1", "object": "charge"}}}
        assert server.deliver(event).json() == {"status": "ok"}
        page = httpx.get(f"{server.url}/login", timeout=5)
        held.close()
    for answer in (*refused, page):
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Request-Id"] in answer.text
    assert refused[0].headers["Content-Type"] == "application/problem+json"
    assert refused[0].json()["code"] == "server_busy"
    assert page.headers["Content-Type"].startswith("text/html")
    assert '<a href="">Try again</a>' in page.text
