"""MariaDB for the tests: a server of their own, in a temporary folder, that ends when they end.

It is started by its programs alone (Debian: mariadb-server-core and mariadb-client-core), as `nobody` when the tests
run as root, and tied to the life of the process that started it, as PostgreSQL is in tests/conftest_postgres.py.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql
from pymysql.connections import Connection

from admin_app.launcher import children, ports
from admin_app.launcher.children import LaunchError, RunAs
from tests.conftest_postgres import CLOCK, FOLDER_PREFIX

USER, READER = "earlier", "reader"
START_SECONDS = 60.0
STOP_SECONDS = 20.0
MISSING = (
    "The tests of the earlier systems need MariaDB's programs ({}): install them "
    "(Debian: apt-get install mariadb-server-core mariadb-client-core, or sh .ci/mariadb --install)."
)
# Small, and not durable: nothing in it outlives the tests.
OPTIONS = {
    "innodb-buffer-pool-size": "128M",
    "innodb-log-file-size": "64M",
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-doublewrite": "0",
    "innodb-flush-method": "nosync",
    "innodb-use-native-aio": "0",
    "key-buffer-size": "1M",
    "aria-pagecache-buffer-size": "8M",
    "performance-schema": "0",
    "max-connections": "60",
    "table-open-cache": "200",
    # As a server in an office would have it: whoever reads a TIMESTAMP has to say in which zone.
    "default-time-zone": "+02:00",
}


def program(name: str) -> str:
    """The path of one of MariaDB's programs; Debian keeps the server where an ordinary user's PATH does not look."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise LaunchError(MISSING.format(name))
    return found


class MariaDB:
    """One server with its data, password and port under `home`, on TCP loopback only."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.log = home / "log"
        self.password = secrets.token_hex(16)
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "") -> str:
        return f"mysql://{USER}:{self.password}@{ports.HOST}:{self.port}/{database}"

    def reader_url(self, database: str = "") -> str:
        """As `url`, for somebody who may read and nothing else."""
        return self.url(database).replace(f"//{USER}:", f"//{READER}:", 1)

    def start(self) -> None:
        server, installer = program("mariadbd"), program("mariadb-install-db")
        # The installer calls it by name.
        program("my_print_defaults")
        run_as = _other_than_root(self.home)
        self._create(installer, run_as)
        deadline = time.monotonic() + START_SECONDS
        while not self._try_start(server, run_as):
            complaint = children.tail(self.log)
            # Somebody else may take the port between choosing and binding it.
            if "Address already in use" not in complaint or time.monotonic() > deadline:
                raise LaunchError(f"MariaDB did not start. It said:\n{complaint}")

    def stop(self) -> None:
        if self.process is not None:
            children.stop(self.process, signal.SIGTERM, grace=STOP_SECONDS)
            self.process = None

    def connect(self, database: str = "") -> Connection:
        """A connection of the server's master: no strict mode, so that zero dates and empty labels can be written."""
        return pymysql.connect(
            host=ports.HOST, port=self.port, user=USER, password=self.password, database=database or None,
            charset="utf8mb4", autocommit=True, init_command="SET SESSION sql_mode = '', time_zone = '+00:00'",
        )  # fmt: skip

    def create_database(self) -> str:
        """A new empty database; its name."""
        name = f"earlier_{uuid.uuid4().hex}"
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
        return name

    def drop_database(self, name: str) -> None:
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name}")

    def _create(self, installer: str, run_as: RunAs | None) -> None:
        arguments = [
            "--no-defaults", f"--datadir={self.home / 'data'}", "--skip-name-resolve", "--skip-test-db",
            "--auth-root-authentication-method=normal", *_as_arguments(OPTIONS),
        ]  # fmt: skip
        done = subprocess.run(
            children.command_line([installer, *arguments], run_as=run_as),
            check=False,
            capture_output=True,
            text=True,
            env=_environment(),
        )
        if done.returncode != 0:
            raise LaunchError(f"mariadb-install-db failed with status {done.returncode}:\n{done.stdout}{done.stderr}")
        first = self.home / "first.sql"
        first.write_text(
            # The installer's own come in without a password.
            "DELETE FROM mysql.global_priv WHERE User <> 'mariadb.sys';\nFLUSH PRIVILEGES;\n"
            f"CREATE OR REPLACE USER {USER}@'{ports.HOST}' IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL ON *.* TO {USER}@'{ports.HOST}' WITH GRANT OPTION;\n"
            f"CREATE OR REPLACE USER {READER}@'{ports.HOST}' IDENTIFIED BY '{self.password}';\n"
            f"GRANT SELECT ON *.* TO {READER}@'{ports.HOST}';\n"
        )
        first.chmod(0o600)
        if run_as:
            os.chown(first, run_as.uid, run_as.gid)

    def _try_start(self, server: str, run_as: RunAs | None) -> bool:
        self.port = ports.stable_port(self.home / "port")
        command = [
            server, "--no-defaults", f"--datadir={self.home / 'data'}", f"--socket={self.home / 'socket'}",
            f"--pid-file={self.home / 'pid'}", f"--init-file={self.home / 'first.sql'}", f"--port={self.port}",
            f"--bind-address={ports.HOST}", "--skip-name-resolve", *_as_arguments(OPTIONS),
        ]  # fmt: skip
        self.process = children.start(
            command, log=self.log, env=_environment(), death_signal=signal.SIGKILL, run_as=run_as
        )
        deadline = time.monotonic() + START_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                self.connect().close()
            except pymysql.err.OperationalError:
                time.sleep(0.05)
            else:
                return True
        self.stop()
        return False


@contextmanager
def running() -> Iterator[MariaDB]:
    """A server for as long as the block lasts. The folder's name tells the next run whose it was."""
    home = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-mariadb-"))
    server = MariaDB(home)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def _other_than_root(home: Path) -> RunAs | None:
    """MariaDB is not to run as root; the programs alone bring no user of their own."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    return RunAs(nobody.pw_uid, nobody.pw_gid, keep_access=False)


def _environment() -> dict[str, str]:
    clock = {name: os.environ[name] for name in CLOCK if name in os.environ}
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC", **clock}


def _as_arguments(options: dict[str, str]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items()]
