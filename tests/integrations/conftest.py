"""A provider that answers exactly what a test says, over real HTTP on the loopback address."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from admin_app.config import Settings

# Status and body, and headers where they matter.
Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]


@dataclass
class ScriptedProvider:
    """Answers by path (with its query, else without); a list is used up one answer per call, the last one stays."""

    url: str
    answers: dict[str, Answer | list[Answer] | Callable[[], Answer]] = field(default_factory=dict)
    delay: float = 0
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    posted: list[tuple[str, Any]] = field(default_factory=list)

    def answer(self, path: str, headers: dict[str, str]) -> Answer:
        self.requests.append((path, headers))
        time.sleep(self.delay)
        nothing = (404, {"error": {"type": "not_found", "message": "no"}})
        found = self.answers.get(path) or self.answers.get(path.partition("?")[0], nothing)
        if isinstance(found, list):
            return found.pop(0) if len(found) > 1 else found[0]
        return found() if callable(found) else found


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, *more = scripted.answer(self.path, dict(self.headers))
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            try:
                self.send_response(status)
                for name, value in (more[0] if more else {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)
            except OSError:
                self.close_connection = True  # the caller's patience ended first, as some tests want

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            is_json = self.headers["Content-Type"] == "application/json"
            scripted.posted.append((self.path, json.loads(content) if is_json else content))
            self.do_GET()

        do_PATCH = do_POST

        def do_DELETE(self) -> None:
            scripted.posted.append((self.path, b""))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    scripted = ScriptedProvider(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield scripted
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def settings() -> Callable[..., Settings]:
    """The product's settings with nothing configured but what is given."""

    def make(**given: Any) -> Settings:
        return Settings(_env_file=None, database_url="postgresql://nowhere/none", secret_key="s" * 32, **given)

    return make
