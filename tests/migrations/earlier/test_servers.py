"""The MariaDB of the tests: it says what is missing, is open to nobody else, and ends with whoever started it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pymysql
import pytest

from admin_app.launcher import children
from admin_app.launcher.children import LaunchError
from tests.conftest_postgres import ROOT
from tests.migrations.earlier import servers

STARTED_AND_LEFT = """
import sys
from tests.migrations.earlier import servers
with servers.running() as server:
    print(server.process.pid, server.home, flush=True)
    sys.stdin.read()
"""


def test_without_its_programs_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers.shutil, "which", lambda name, path=None: None)
    expected = r"need MariaDB's programs \(mariadbd\).*apt-get install mariadb-server-core"
    with pytest.raises(LaunchError, match=expected), servers.running():
        pass


def test_nobody_comes_in_without_the_password(mariadb: servers.MariaDB) -> None:
    for user in ("root", servers.USER, servers.READER, ""):
        with pytest.raises(pymysql.err.OperationalError, match="denied"):
            pymysql.connect(host="127.0.0.1", port=mariadb.port, user=user, password="")
        with pytest.raises(pymysql.err.OperationalError, match="denied"):
            pymysql.connect(unix_socket=str(mariadb.home / "socket"), user=user, password="")


def test_it_ends_with_whoever_started_it() -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTED_AND_LEFT],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdin
    assert starter.stdout
    pid, _, home = starter.stdout.readline().strip().partition(" ")
    try:
        os.kill(starter.pid, signal.SIGKILL)
        starter.wait()
        assert children.wait_for_exit(int(pid), 20)
    finally:
        starter.stdin.close()
        starter.stdout.close()
        servers.shutil.rmtree(Path(home), ignore_errors=True)
