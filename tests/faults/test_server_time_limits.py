"""Who begins a request and does not end it, or asks for an answer and does not fetch it, holds nothing for ever."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.server import ROOT, Server, web_server

IMPATIENT = f"""
import runpy, socket
from admin_app.server import worker

worker.ARRIVAL_SECONDS = worker.STANDSTILL_SECONDS = 1
shipped = runpy.run_path({str(ROOT / "gunicorn.conf.py")!r})
globals().update({{name: value for name, value in shipped.items() if not name.startswith("_")}})

def when_ready(arbiter):
    for listener in arbiter.LISTENERS:
        # So that an answer does not fit in on its way, as a larger one would not.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
"""


@pytest.fixture(scope="module")
def impatient(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("server")
    (folder / "impatient.py").write_text(IMPATIENT)
    with web_server(module_database_url, folder, "--config", str(folder / "impatient.py")) as started:
        yield started


def test_half_a_head_is_not_waited_for_for_ever(impatient: Server) -> None:
    with impatient.connect() as line:
        line.sendall(b"GET /health HTTP/1.1\r\nHost:")
        assert line.recv(100) == b""
    assert impatient.is_healthy()


def test_half_a_body_is_answered_in_the_end(impatient: Server) -> None:
    with impatient.connect() as line:
        line.sendall(b"POST /api/bookings HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{}")
        assert line.recv(100).startswith(b"HTTP/1.1 408 ")
    assert impatient.is_healthy()


def test_an_answer_that_nobody_fetches_ends(impatient: Server) -> None:
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect(("127.0.0.1", impatient.port))
        line.sendall(b"GET /static/vendor/tabler/tabler.min.css HTTP/1.1\r\nHost: a\r\n\r\n")
        impatient.wait_for_line("Client went away")
    assert impatient.is_healthy()
