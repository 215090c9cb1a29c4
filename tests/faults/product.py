"""The full product as programs: web server, two workers, the simulated providers, and a proxy before the database.

Whoever starts it may kill, freeze and start its programs again; nothing of it outlives this process.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
from psycopg.rows import dict_row

from admin_app.db import Database
from admin_app.launcher import children
from tests.faults import environment
from tests.faults.proxy import HOST, Proxy
from tests.house import free_port, settings_for

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 90.0
WORKERS = ("worker 1", "worker 2")
# So that ending the product's connections leaves the harness alone.
HARNESS = "backdesk-harness"


class Product:
    """`database_url` is a migrated database on this machine; the product reaches it through the proxy alone."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.database_url, self.folder = database_url, folder
        self.port, self.simulator_port, self.smtp_port = free_port(), free_port(), free_port()
        self.url, self.simulator = f"http://{HOST}:{self.port}", f"http://{HOST}:{self.simulator_port}"
        parts = urlsplit(database_url)
        self.proxy = Proxy(parts.port or 5432)
        self._programs: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Returns when all of it answers."""
        self.proxy.__enter__()
        parts = urlsplit(self.database_url)
        through = parts._replace(netloc=f"{parts.username}:{parts.password}@{HOST}:{self.proxy.port}").geturl()
        self.settings = settings_for(
            self.simulator,
            database_url=through,
            base_url=self.url,
            smtp_url=f"smtp://{HOST}:{self.smtp_port}",
            trusted_proxies=1,
        )
        for program in ("simulator", "web", *WORKERS):
            self.run(program)
        self._wait_for(f"{self.simulator}/_sim/deliveries")
        self._wait_for(f"{self.url}/health")

    def stop(self) -> None:
        self.proxy.behave("pass")
        for program in list(self._programs):
            self.kill(program)
        self.proxy.__exit__()

    # -- its programs ----------------------------------------------------------------------------------------------

    def _command(self, program: str) -> list[str]:
        match program.split()[0]:
            case "simulator":
                listens = ("--port", str(self.simulator_port), "--smtp-port", str(self.smtp_port))
                return ["admin_app.simulator", *listens, "--state", str(self.folder / "simulator.sqlite")]
            case "web":
                # Where the settings of the server are kept they are taken from there.
                own = () if (ROOT / "gunicorn.conf.py").exists() else ("--workers", "2", "--threads", "4", "--preload")
                return ["gunicorn", "wsgi:app", "--bind", f"{HOST}:{self.port}", *own]
        return ["admin_app.jobs"]

    def run(self, program: str) -> None:
        """Start a program that is not running, as a supervisor does."""
        # The server's own control socket would lie in a folder that others share.
        env = os.environ | environment.of(self.settings) | {"XDG_RUNTIME_DIR": str(self.folder)}
        os.chdir(ROOT)
        self._programs[program] = children.start(
            [sys.executable, "-m", *self._command(program)],
            log=self.log(program),
            env=env,
            death_signal=signal.SIGKILL,
        )

    def kill(self, program: str) -> None:
        """`kill -9`, of the program and of the processes that it has made."""
        process = self._programs.pop(program)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def signal(self, program: str, number: signal.Signals) -> None:
        os.killpg(self._programs[program].pid, number)

    def kill_one_server(self) -> None:
        """One process of the web server, which starts another one by itself."""
        master = self._programs["web"].pid
        listed = subprocess.run(["pgrep", "-P", str(master)], check=False, capture_output=True, text=True)
        if serving := listed.stdout.split():
            os.kill(int(serving[0]), signal.SIGKILL)

    def ended_by_themselves(self) -> list[str]:
        return [program for program, process in self._programs.items() if process.poll() is not None]

    def log(self, program: str) -> Path:
        return self.folder / f"{program.replace(' ', '-')}.log"

    # -- looking at it ---------------------------------------------------------------------------------------------

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Past the proxy."""
        settings = self.settings.model_copy(update={"database_url": self.database_url})
        settings.__dict__.pop("sqlalchemy_url", None)
        database = Database.from_settings(settings, connect_args={"application_name": HARNESS})
        try:
            yield database
        finally:
            database.dispose()

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Past the proxy."""
        with self.connection() as connection:
            return connection.execute(query.encode(), values or None).fetchall()

    def execute(self, statement: str, *values: object) -> None:
        with self.connection() as connection:
            connection.execute(statement.encode(), values or None)

    def connection(self) -> psycopg.Connection[dict[str, Any]]:
        return psycopg.connect(
            self.database_url, autocommit=True, row_factory=dict_row, application_name=HARNESS, connect_timeout=10
        )

    def _wait_for(self, url: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                if httpx.get(url, timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        tails = "\n".join(children.tail(self.log(program)) for program in self._programs)
        raise AssertionError(f"{url} does not answer.\n{tails}")


@contextmanager
def running(database_url: str, folder: Path) -> Iterator[Product]:
    product = Product(database_url, folder)
    try:
        product.start()
        yield product
    finally:
        product.stop()
