"""The web server as it is shipped: gunicorn with `gunicorn.conf.py`, a process of its own on a database of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.integrations.signing import STRIPE_SECRET, stripe_headers

ROOT = Path(__file__).resolve().parents[2]
# A liveness bound for a machine that many share.
UP_SECONDS = 180
# Generous for a busy machine, and what the product promises.
HEALTH_SECONDS = 2.0


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def is_healthy(self) -> bool:
        """Whether /health says so within the time that is promised, to somebody who was not connected before."""
        begun = time.monotonic()
        answer = httpx.get(f"{self.url}/health", timeout=10)
        return answer.status_code == 200 and time.monotonic() - begun < HEALTH_SECONDS

    def deliver(self, event: dict[str, Any]) -> httpx.Response:
        raw = json.dumps(event).encode()
        return httpx.post(
            f"{self.url}/api/webhooks/stripe", content=raw, headers=stripe_headers(raw, time.time()), timeout=20
        )

    def lines(self) -> list[dict[str, Any]]:
        """The log; a line that is no JSON fails the test."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def wait_for_line(self, event: str, *, count: int = 1) -> None:
        wait_until(lambda: sum(line["event"].startswith(event) for line in self.lines()) >= count, event)


def wait_until(condition: Any, what: str) -> None:
    deadline = time.monotonic() + UP_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.05)


@contextmanager
def web_server(database_url: str, folder: Path, *options: str, **settings: str) -> Iterator[Server]:
    """Running while the block does; settings are environment variables."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "SECRET_KEY": "s" * 32,
        "PORT": str(port),
        "STRIPE_WEBHOOK_SECRET": STRIPE_SECRET,
        "STRIPE_SECRET_KEY": "sk_test_server",
        "WEB_WORKERS": "1",
        **settings,
    }
    log = folder / "web.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "wsgi:app", *options],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
        )
    server = Server(process, port, log)
    try:
        wait_until(lambda: _answers(server), "the web server")
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(45)


def _answers(server: Server) -> bool:
    assert server.process.poll() is None, server.log.read_text()[-4000:]
    try:
        return httpx.get(f"{server.url}/health").status_code == 200
    except httpx.TransportError:
        return False
