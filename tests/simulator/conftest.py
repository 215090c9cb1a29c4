"""A running simulator, and a stand-in for the product that records what is delivered to it."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from admin_app.config import Settings
from admin_app.integrations.registry import Providers, from_settings
from admin_app.simulator.app import close, create_app
from admin_app.simulator.settings import SimulatorSettings
from tests.contracts import WATCH
from tests.integrations.signing import CALCOM_SECRET, CALENDLY_KEY, CLERK_SECRET, STRIPE_SECRET, WHOP_SECRET
from tests.programs import programs

__all__ = ["programs"]

# Retries that take a minute in life take a tenth of a second here.
SPEED = 400.0


@dataclass
class Receiver:
    """What came in; answers with the next status of the list, and the last one for ever."""

    url: str
    statuses: list[int] = field(default_factory=lambda: [200])
    received: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def wait_for(self, count: int) -> list[tuple[str, dict[str, str], bytes]]:
        deadline = time.monotonic() + 10
        while len(self.received) < count and time.monotonic() < deadline:
            time.sleep(0.005)
        assert len(self.received) >= count
        return self.received[:count]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            # Before the answer: the next delivery comes as soon as this one is answered.
            box.received.append((self.path, dict(self.headers), body))
            self.send_response(box.statuses.pop(0) if len(box.statuses) > 1 else box.statuses[0])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    box = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield box
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def simulator(tmp_path: Path, receiver: Receiver) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, _Later(), threaded=True)
    url = f"http://127.0.0.1:{server.server_port}"
    app = create_app(
        SimulatorSettings(
            own_url=url,
            base_url=receiver.url,
            whop_api_key="apik_sim",
            whop_webhook_secret=WHOP_SECRET,
            clerk_secret_key="sk_sim",
            clerk_webhook_secret=CLERK_SECRET,
            clerk_issuer=f"{url}/clerk",
            workos_api_key="sk_workos",
            workos_client_id="client_sim",
            stripe_secret_key="sk_test_sim",
            stripe_webhook_secret=STRIPE_SECRET,
            calendly_token="calendly_sim",
            calendly_webhook_signing_key=CALENDLY_KEY,
            calcom_api_key="cal_sim",
            calcom_webhook_secret=CALCOM_SECRET,
            retry_speed=SPEED,
        ),
        tmp_path / "state.sqlite",
    )
    WATCH.over(app)
    server.app = app
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield url
    server.shutdown()
    server.server_close()
    thread.join()
    close(app)


class _Later:
    """The port is known before the application that must know it."""

    def __call__(self, *_: Any) -> Any:
        raise RuntimeError("not set up yet")


@pytest.fixture
def settings(simulator: str, receiver: Receiver) -> Settings:
    """The product's settings as the demo has them."""
    return Settings(
        _env_file=None,
        database_url="postgresql://nowhere/none",
        secret_key="s" * 32,
        base_url=receiver.url,
        whop_api_key="apik_sim",
        whop_api_base=f"{simulator}/whop/api/v1",
        whop_webhook_secret=WHOP_SECRET,
        clerk_issuer=f"{simulator}/clerk",
        clerk_api_base=f"{simulator}/clerk/v1",
        clerk_secret_key="sk_sim",
        clerk_authorized_parties=receiver.url,
        clerk_webhook_secret=CLERK_SECRET,
        workos_api_key="sk_workos",
        workos_client_id="client_sim",
        workos_api_base=f"{simulator}/workos",
        stripe_secret_key="sk_test_sim",
        stripe_webhook_secret=STRIPE_SECRET,
        stripe_api_base=f"{simulator}/stripe",
        calendly_token="calendly_sim",
        calendly_webhook_signing_key=CALENDLY_KEY,
        calendly_api_base=f"{simulator}/calendly",
        calcom_api_key="cal_sim",
        calcom_webhook_secret=CALCOM_SECRET,
        calcom_api_url=f"{simulator}/calcom",
    )


@pytest.fixture
def providers(settings: Settings) -> Providers:
    return from_settings(settings)
