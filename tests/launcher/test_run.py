"""`make run`: it comes up, tells what it made, and leaves nothing behind however it ends."""

from __future__ import annotations

import os
import pty
import signal
import socket
import stat
import sys
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from tests.launcher.conftest import SmallRun, free_port, processes_of, wait_until_none


def test_comes_up_keeps_its_data_and_ends_on_request(folder: Path) -> None:
    port = str(free_port())
    run = SmallRun(folder, PORT=port).wait_until_up()
    first = run.demo_env()
    with psycopg.connect(first["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        privileged = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    assert privileged == (False,)
    assert "support@demo.test" in run.said
    assert first["DEMO_STAFF_PASSWORD"] in run.said
    assert stat.S_IMODE((folder / "var" / "demo.env").stat().st_mode) == 0o600
    assert run.end(signal.SIGINT) == 0
    assert processes_of(folder) == []

    again = SmallRun(folder, PORT=port).wait_until_up()
    assert again.demo_env() == first
    assert len(again.noted_by("fill")) == 1
    assert len(again.noted_by("migrate")) == 2
    with psycopg.connect(first["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
    assert again.end() == 0


def test_every_program_is_given_the_settings_it_needs(folder: Path) -> None:
    run = SmallRun(folder, PORT=str(free_port())).wait_until_up()
    run.wait_until_ran("worker")
    written = run.demo_env()
    for role in ("simulator", "worker", "web", "migrate", "fill"):
        (noted,) = run.noted_by(role)
        given = {name: noted["environment"].get(name) for name in written if name != "DATABASE_URL"}
        assert given == {name: value for name, value in written.items() if name != "DATABASE_URL"}
    assert run.noted_by("web")[0]["environment"]["DATABASE_URL"] == written["DATABASE_URL"]
    assert written["CLERK_API_BASE"] == f"{written['SIMULATOR_URL']}/clerk/v1"
    for name in ("SIMULATOR_URL", "SMTP_URL"):
        assert written[name].rpartition(":")[2] in run.noted_by("simulator")[0]["arguments"]


def test_what_the_environment_says_wins_for_this_run_only(folder: Path) -> None:
    elsewhere = "http://127.0.0.1:9/elsewhere"
    port = str(free_port())
    run = SmallRun(folder, PORT=port, WHOP_API_BASE=elsewhere, STRIPE_WEBHOOK_SECRET="").wait_until_up()
    assert run.demo_env()["WHOP_API_BASE"] == elsewhere
    assert run.demo_env()["STRIPE_WEBHOOK_SECRET"] == ""
    assert run.noted_by("web")[0]["environment"]["WHOP_API_BASE"] == elsewhere
    run.end()

    (folder / ".env").write_text("SERVICE_API_KEY=from-the-file\nWHOP_API_KEY=\n")
    run = SmallRun(folder, PORT=port).wait_until_up()
    assert run.demo_env()["WHOP_API_BASE"] == f"{run.demo_env()['SIMULATOR_URL']}/whop/api/v1"
    assert run.demo_env()["STRIPE_WEBHOOK_SECRET"].startswith("whsec_")
    assert run.demo_env()["SERVICE_API_KEY"] == "from-the-file"
    assert run.demo_env()["WHOP_API_KEY"].startswith("apik_")


def test_a_given_database_brings_no_demo(folder: Path, empty_database_url: str) -> None:
    run = SmallRun(folder, PORT=str(free_port()), DATABASE_URL=empty_database_url).wait_until_up()
    assert not (folder / "var" / "postgres").exists()
    assert not (folder / "var" / "demo.env").exists()
    assert run.noted_by("simulator") == run.noted_by("fill") == []
    (migrated,) = run.noted_by("migrate")
    assert migrated["environment"]["DATABASE_URL"] == empty_database_url
    assert "WHOP_API_BASE" not in migrated["environment"]
    assert len(migrated["environment"]["SECRET_KEY"]) >= 32


def test_a_database_that_is_not_empty_is_migrated_after_a_yes(folder: Path, empty_database_url: str) -> None:
    (folder / "plan.asks").touch()
    run = SmallRun(folder, PORT=str(free_port()), DATABASE_URL=empty_database_url)
    assert run.process.wait(30) == 1
    assert "the plan" in run.said
    assert "Nothing has been changed. To go on: YES=1 make run." in run.said
    assert run.noted_by("migrate") == []
    agreed = SmallRun(folder, PORT=str(free_port()), DATABASE_URL=empty_database_url, yes=True).wait_until_up()
    assert "the plan" in agreed.said
    assert len(agreed.noted_by("migrate")) == 1


def test_a_taken_port_is_named_before_anything_starts(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        run = SmallRun(folder, PORT=str(port))
        assert run.process.wait(10) == 1
    assert f"Port {port} is taken by another program. Choose another one: PORT=" in run.said
    assert not (folder / "var" / "postgres").exists()
    assert processes_of(folder) == []


@pytest.mark.parametrize("port", ["web", "0", "70000"])
def test_a_port_that_is_none_is_a_sentence(folder: Path, port: str) -> None:
    run = SmallRun(folder, PORT=port)
    assert run.process.wait(10) == 1
    assert "it has to be a number from 1 to 65535" in run.said


def test_a_second_run_in_the_same_folder_is_refused(folder: Path) -> None:
    port = str(free_port())
    first = SmallRun(folder, PORT=port).wait_until_up()
    second = SmallRun(folder, PORT=str(free_port()))
    assert second.process.wait(10) == 1
    assert f"already running from this folder (process {first.process.pid})" in second.said
    assert first.process.poll() is None


def test_a_program_that_fails_again_and_again_ends_all_and_shows_its_last_words(folder: Path) -> None:
    (folder / "worker.fails").touch()
    run = SmallRun(folder, PORT=str(free_port()))
    assert run.process.wait(60) == 1
    assert [f"It is started again in {pause} s" in run.said for pause in (1, 2, 4, 8, 16)] == [True] * 4 + [False]
    assert "The worker ended 5 times within a minute: it cannot live. The worker stopped with status 1" in run.said
    assert "the cause of the failure" in run.said
    assert len(run.noted_by("worker")) == 5
    assert processes_of(folder) == []


def test_one_that_fails_while_everything_starts_ends_all_at_once(folder: Path) -> None:
    (folder / "simulator.fails").touch()
    run = SmallRun(folder, PORT=str(free_port()))
    assert run.process.wait(30) == 1
    assert "The provider simulator stopped with status 1" in run.said
    assert len(run.noted_by("simulator")) == 1
    assert processes_of(folder) == []


@pytest.mark.parametrize("role", ["web", "worker", "simulator"])
def test_a_program_killed_later_is_started_again(folder: Path, role: str) -> None:
    run = SmallRun(folder, PORT=str(free_port())).wait_until_up()
    run.wait_until_ran(role)
    os.kill(pid_of(folder, role), signal.SIGKILL)
    run.wait_until_ran(role, times=2)
    first, second = run.noted_by(role)
    assert second == first
    assert "was killed by signal 9. It is started again in 1 s. Its log: " in run.said
    assert run.process.poll() is None
    assert run.end(signal.SIGINT) == 0
    assert processes_of(folder) == []


def test_a_killed_database_recovers_at_its_address(folder: Path) -> None:
    run = SmallRun(folder, PORT=str(free_port())).wait_until_up()
    url = run.demo_env()["DATABASE_URL"]
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    server = int((folder / "var" / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(server, signal.SIGKILL)
    run.wait_until_said("PostgreSQL was killed by signal 9. It is started again in 1 s.")

    def kept() -> bool:
        with suppress(psycopg.OperationalError), psycopg.connect(url) as connection:
            return connection.execute("SELECT one FROM kept").fetchone() == (1,)
        return False

    run.wait_until(kept)
    assert run.end(signal.SIGINT) == 0
    assert processes_of(folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_it_ends_at_once_while_a_program_waits_for_its_restart(folder: Path, number: signal.Signals) -> None:
    run = SmallRun(folder, PORT=str(free_port())).wait_until_up()
    run.wait_until_ran("worker")
    (folder / "worker.fails").touch()
    os.kill(pid_of(folder, "worker"), signal.SIGKILL)
    run.wait_until_said("It is started again in 4 s")
    assert run.end(number) == (0 if number is signal.SIGINT else -number)
    assert wait_until_none(folder) == []


def test_it_ends_in_the_middle_of_restarts_and_leaves_nothing(folder: Path) -> None:
    run = SmallRun(folder, PORT=str(free_port())).wait_until_up()
    run.wait_until_ran("worker")
    for role in ("web", "worker", "simulator"):
        os.kill(pid_of(folder, role), signal.SIGKILL)
    os.kill(int((folder / "var" / "postgres" / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    # Each of them is being started about now.
    run.wait_until_ran("simulator", times=2)
    assert run.end(signal.SIGINT) == 0
    assert processes_of(folder) == []


def pid_of(folder: Path, role: str) -> int:
    """The one that `programs.py <role>` runs as."""
    wanted = [b"programs.py", role.encode()]

    def is_it(pid: int) -> bool:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return any([Path(os.fsdecode(one)).name.encode(), two] == wanted for one, two in pairwise(words))

    return next(pid for pid in processes_of(folder) if is_it(pid))


def test_a_killed_run_leaves_nothing_and_the_next_one_starts_at_once(folder: Path) -> None:
    port = str(free_port())
    run = SmallRun(folder, PORT=port).wait_until_up()
    run.end(signal.SIGKILL)
    again = SmallRun(folder, PORT=port).wait_until_up()
    again.end(signal.SIGKILL)
    assert wait_until_none(folder) == []


def test_everything_killed_at_once_is_recovered_from(folder: Path) -> None:
    port = str(free_port())
    run = SmallRun(folder, PORT=port).wait_until_up()
    for pid in processes_of(folder):
        # One that went with its killed parent is gone already.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    run.process.wait(10)
    assert (folder / "var" / "postgres" / "data" / "postmaster.pid").exists()
    again = SmallRun(folder, PORT=port).wait_until_up()
    assert again.demo_env() == run.demo_env()
    assert again.end() == 0


def test_it_ends_with_its_terminal_even_when_no_signal_comes(folder: Path) -> None:
    ours, theirs = pty.openpty()
    run = SmallRun(folder, terminal=theirs, PORT=str(free_port()))
    os.close(theirs)
    shown = b""
    while b"Ctrl-C stops everything" not in shown:
        shown += os.read(ours, 4096)
    os.close(ours)
    assert run.process.wait(30) == 0
    assert processes_of(folder) == []


def test_it_ends_with_the_make_that_called_it(folder: Path) -> None:
    calling = ("import subprocess, sys; subprocess.run(sys.argv[1:])",)
    run = SmallRun(folder, under=(sys.executable, "-c", *calling), PORT=str(free_port())).wait_until_up()
    run.end(signal.SIGKILL)
    assert wait_until_none(folder) == []
