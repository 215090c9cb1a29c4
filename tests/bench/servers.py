"""Contenders behind gunicorn, one synchronous worker each, and the client that times their pages."""

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from tests.bench.place import ROOT
from tests.bench.serve import INSIDE_HEADER, QUERIES_HEADER

START_SECONDS = 120


@dataclass(frozen=True)
class Answer:
    """One page as it came over the wire; `inside` is the part of the seconds that the application took."""

    seconds: float
    inside: float
    status: int
    size: int
    queries: int
    body: bytes = field(repr=False)
    headers: http.client.HTTPMessage = field(repr=False)


@dataclass
class Site:
    """A contender that answers at a port; `cookie` or `headers` say who asks, where it wants to know."""

    contender: str
    port: int
    cookie: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def get(self, path: str) -> Answer:
        return self._ask("GET", path)

    def post(self, path: str, form: Mapping[str, str]) -> Answer:
        return self._ask("POST", path, urlencode(form), {"Content-Type": "application/x-www-form-urlencoded"})

    def _ask(self, method: str, path: str, body: str | None = None, more: Mapping[str, str] | None = None) -> Answer:
        headers = {"Cookie": self.cookie, **self.headers, **(more or {})}
        begun = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        seconds = time.perf_counter() - begun
        connection.close()
        queries = int(answer.headers.get(QUERIES_HEADER, 0))
        inside = float(answer.headers.get(INSIDE_HEADER, 0))
        return Answer(seconds, inside, answer.status, len(content), queries, content, answer.headers)

    def keep_cookies(self, answer: Answer) -> None:
        held = dict(pair.split("=", 1) for pair in self.cookie.split("; ") if pair)
        for line in answer.headers.get_all("Set-Cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            held[name] = value
        self.cookie = "; ".join(f"{name}={value}" for name, value in held.items())

    def sign_in(self, email: str, password: str) -> None:
        """Through the sign-in page, as a person does."""
        page = self.get("/login")
        self.keep_cookies(page)
        token = re.search(rb'name="csrf_token"[^>]*value="([^"]+)"', page.body)
        if token is None:
            raise SystemExit(f"The sign-in page of {self.contender} has no form (status {page.status}).")
        answer = self.post("/login", {"csrf_token": token[1].decode(), "email": email, "password": password})
        if answer.status not in {302, 303}:
            raise SystemExit(f"Signing in to {self.contender} failed with status {answer.status}.")
        self.keep_cookies(answer)


@contextmanager
def serving(contender: str, database_url: str, log: Path, *, workers: int = 1) -> Iterator[Site]:
    """The contender's server for the time of the block."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--workers",
        str(workers),
        "--worker-class",
        "sync",
        # Not the product's, with its threads and its loading before the processes part.
        "--config",
        str(Path(__file__).with_name("gunicorn.conf.py")),
        "--no-control-socket",
    ]
    command += ["--bind", f"127.0.0.1:{port}", "--log-level", "warning", f"tests.bench.serve:app({contender!r})"]
    environment = {**os.environ, "BENCH_DATABASE_URL": database_url}
    with started(command, port, log, tree=ROOT, environment=environment, grace_seconds=10):
        yield Site(contender, port)


@contextmanager
def started(
    command: Sequence[str], port: int, log: Path, *, tree: Path, environment: Mapping[str, str], grace_seconds: int
) -> Iterator[None]:
    """A server that answers on that port for the time of the block."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=tree, env=environment, stdout=output, stderr=output)
    try:
        _wait_until_up(process, port, log)
        yield
    finally:
        process.terminate()
        process.wait(grace_seconds)


def _wait_until_up(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
            connection.request("GET", "/is-it-up")
            connection.getresponse().read()
            connection.close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"A server did not come up. It said:\n{log.read_text()[-2000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
