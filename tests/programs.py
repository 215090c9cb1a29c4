"""Backdesk as it runs: the web server, the worker and the simulator as programs of their own on one database."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from admin_app.simulator import control
from tests.integrations.signing import CLERK_SECRET, STRIPE_SECRET, WHOP_SECRET

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 30
Found = TypeVar("Found")


@dataclass
class Programs:
    url: str
    simulator: str
    database: str

    def row(self, query: str, *values: object) -> dict[str, Any] | None:
        with psycopg.connect(self.database, row_factory=dict_row) as connection:
            return connection.execute(query.encode(), values).fetchone()

    def wait_for(self, query: str, *values: object) -> dict[str, Any]:
        return wait_for(lambda: self.row(query, *values), query)

    def mail_to(self, email: str) -> dict[str, str]:
        """The latest mail to this address, as soon as there is one."""
        return wait_for(
            lambda: next((mail for mail in reversed(control.mails(self.simulator)) if mail["to"] == email), None),
            f"a mail to {email}",
        )

    def as_customer(self, user_id: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {control.token(self.simulator, user_id)}"}


@pytest.fixture(scope="module")
def programs(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    """Started once for a module, because that takes seconds; its tests keep apart by the people they make."""
    with _running(module_database_url, tmp_path_factory.mktemp("programs")) as started:
        yield started


@contextmanager
def _running(database_url: str, folder: Path) -> Iterator[Programs]:
    web, simulator, smtp = _free_ports(3)
    place = Programs(f"http://127.0.0.1:{web}", f"http://127.0.0.1:{simulator}", database_url)
    environment = os.environ | _settings(place, f"smtp://127.0.0.1:{smtp}")
    listens = ["--port", str(simulator), "--smtp-port", str(smtp)]
    commands = [
        ["admin_app.simulator", *listens, "--state", str(folder / "simulator.sqlite")],
        ["gunicorn", "wsgi:app", "--bind", f"127.0.0.1:{web}", "--graceful-timeout", "1"],
        ["admin_app.jobs"],
    ]
    with (folder / "log").open("wb") as log:
        processes = [
            subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=environment, stdout=log, stderr=log)
            for command in commands
        ]
        try:
            for url in (f"{place.simulator}/_sim/", f"{place.url}/health"):
                wait_for(partial(_is_up, url), url)
            yield place
            died = [process.args for process in processes if process.poll() is not None]
            assert not died, (folder / "log").read_text()[-4000:]
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            for process in processes:
                process.wait(timeout=20)


def _settings(place: Programs, smtp_url: str) -> dict[str, str]:
    return {
        "DATABASE_URL": place.database,
        "SECRET_KEY": "s" * 32,
        "WEB_WORKERS": "1",
        "BASE_URL": place.url,
        "WHOP_API_KEY": "apik_way",
        "WHOP_WEBHOOK_SECRET": WHOP_SECRET,
        "WHOP_API_BASE": f"{place.simulator}/whop/api/v1",
        "CLERK_ISSUER": f"{place.simulator}/clerk",
        "CLERK_API_BASE": f"{place.simulator}/clerk/v1",
        "CLERK_SECRET_KEY": "sk_way",
        "CLERK_WEBHOOK_SECRET": CLERK_SECRET,
        "CLERK_AUTHORIZED_PARTIES": place.url,
        "CLERK_SIGN_IN_URL": f"{place.simulator}/clerk/sign-in",
        "STRIPE_SECRET_KEY": "sk_test_way",
        "STRIPE_WEBHOOK_SECRET": STRIPE_SECRET,
        "STRIPE_API_BASE": f"{place.simulator}/stripe",
        "SMTP_URL": smtp_url,
    }


def wait_for(look: Callable[[], Found | None], what: str) -> Found:
    """What `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not in time: {what}")


def _is_up(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def _free_ports(count: int) -> list[int]:
    """All held at once, so that no two of them are the same."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
