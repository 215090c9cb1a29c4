"""`make run`: everything Backdesk needs, from one command, and nothing of it left when that command ends."""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from admin_app.launcher import consent, demo_settings, interrupts, ports, spawn
from admin_app.launcher.children import LaunchError
from admin_app.launcher.interrupts import Stop
from admin_app.launcher.postgres import Server
from admin_app.launcher.supervise import Child, FolderLock, Supervisor

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_PORT = 8000
HEALTH_SECONDS = 60.0


@dataclass(frozen=True)
class Commands:
    """The programs that make up Backdesk; tests put small ones in their place."""

    plan: tuple[str, ...] = ("-m", "migrations.plan")
    migrate: tuple[str, ...] = ("-m", "alembic", "-c", "migrations/alembic.ini", "upgrade", "head")
    fill: tuple[str, ...] = ("-m", "flask", "--app", "wsgi", "demo", "fill")
    simulator: tuple[str, ...] = ("-m", "admin_app.simulator")
    worker: tuple[str, ...] = ("-m", "admin_app.jobs")
    web: tuple[str, ...] = ("-m", "gunicorn", "wsgi:app")


PROGRAMS = Commands()


def say(text: str = "", *, end: str = "\n") -> None:
    """Print a line to the terminal at once."""
    # The reader of our output may have gone; the servers are to go on all the same.
    with suppress(OSError):
        print(text, end=end, flush=True)


@contextmanager
def step(name: str, *, shows_progress: bool = False) -> Iterator[None]:
    """One line per step, with the time it took."""
    begun = time.monotonic()
    say(f"  {name} ...", end="\n" if shows_progress else " ")
    try:
        yield
    except LaunchError:
        say("failed")
        raise
    taken = f"{time.monotonic() - begun:.1f} s"
    say(f"  {name}: {taken}" if shows_progress else taken)


class Run:
    """One run of everything from this folder."""

    def __init__(self, root: Path, environment: Mapping[str, str], commands: Commands, *, yes: bool = False) -> None:
        self.root = root
        self.var = root / "var"
        self.commands = commands
        self.yes = yes
        self.given = demo_settings.given(root, environment)
        self.port = _port(self.given.get("PORT", ""))
        self.is_demo = not self.given.get("DATABASE_URL")
        self.env: dict[str, str] = {}
        self.supervisor: Supervisor | None = None
        self.postgres: Server | None = None

    def __call__(self) -> None:
        """Start everything and stay until it is asked to end or a part of it fails."""
        terminal_closed = _terminal_watch()
        lock = FolderLock(self.var / "run.lock")
        lock.take()
        if not ports.is_free(self.port):
            raise LaunchError(
                f"Port {self.port} is taken by another program. Choose another one: "
                f"PORT={self._another_port()} make run"
            )
        self.supervisor = supervisor = Supervisor(lock, tell=say)
        try:
            begun = time.monotonic()
            self._start(supervisor)
            say()
            say(self._welcome(time.monotonic() - begun))
            supervisor.wait_until(terminal_closed, every=0.3)
            raise Stop
        finally:
            with interrupts.ignored():
                supervisor.stop()
                if self.postgres:
                    # One that was just being started, when nobody else knew of it yet.
                    self.postgres.stop()

    def _start(self, supervisor: Supervisor) -> None:
        self._rotate_logs()
        if self.is_demo:
            say("Backdesk demo: embedded PostgreSQL, provider simulator, demo data")
            self._start_demo_base(supervisor)
        else:
            say("Backdesk with the database and the providers of its settings")
            self._use_given_database()
        # A demo that is there already has nobody to disturb: the web server loads while the database is
        # looked after, and /health tells when both are done.
        web = self._start_web(supervisor) if self._is_filled() else None
        with step("Migrating the database"):
            supervisor.run("The migration", *self._python("migrate", self.commands.migrate))
        if self.is_demo:
            self._fill_once(supervisor)
        with step("Starting the web server"):
            self._wait_for_health(supervisor, web or self._start_web(supervisor))
        # Until here the end of one was somebody's mistake; what ends from now on is started again.
        supervisor.revives = True
        # After the web server, for which somebody is waiting.
        self._start_program(supervisor, "The worker", "worker", self.commands.worker)

    def _start_demo_base(self, supervisor: Supervisor) -> None:
        simulator_port, smtp_port = self._simulator_ports()
        kept = demo_settings.kept_secrets(self.var / "secrets.json")
        simulator_url = f"http://{ports.HOST}:{simulator_port}"
        mail_server = f"smtp://{ports.HOST}:{smtp_port}"
        chosen = demo_settings.demo(self.given, kept, port=self.port, simulator=simulator_url, mail_server=mail_server)
        self._set_env(chosen)
        # Loading its libraries takes longer than anything the database does: let it do so meanwhile.
        state = self.var / "simulator.sqlite3"
        listens = ("--port", str(simulator_port), "--smtp-port", str(smtp_port))
        command = (*self.commands.simulator, *listens, "--state", str(state))
        self._start_program(supervisor, "The provider simulator", "simulator", command)
        # If we are killed, SIGTERM lets the others leave the database first; the guardian then insists.
        server = Server(self.var / "postgres", log=self._log("postgres"), death_signal=signal.SIGTERM)
        self.postgres = server
        with step("Starting PostgreSQL"):
            server.start()
        if server.process:
            supervisor.adopt(
                "PostgreSQL",
                server.process,
                log=server.log,
                stop_signal=signal.SIGINT,
                grace=20,
                is_base=True,
                again=lambda: self._postgres_again(server),
            )
        self._set_env({"DATABASE_URL": server.url(), **chosen})
        demo_settings.write_env_file(self.var / "demo.env", {"DATABASE_URL": server.url(), **chosen})

    def _postgres_again(self, server: Server) -> subprocess.Popen[bytes]:
        """It recovers by itself what was not written yet; the others find it where it was."""
        address = server.url()
        try:
            server.start()
            if server.url() != address:
                raise LaunchError(
                    "PostgreSQL cannot be started again at its address, because another program took its port "
                    "meanwhile. Nothing is lost: run the command again."
                )
        except BaseException:
            server.stop()
            raise
        if server.process is None:
            raise LaunchError("PostgreSQL did not start again. Run the command again.")
        return server.process

    def _use_given_database(self) -> None:
        defaults = {"PORT": str(self.port), "BASE_URL": f"http://{ports.HOST}:{self.port}"}
        chosen = {name: self.given.get(name) or value for name, value in defaults.items()}
        if not self.given.get("SECRET_KEY"):
            # It protects sign-in forms of this installation only, so a kept one of our own will do.
            chosen |= demo_settings.kept_secrets(self.var / "secrets.json", ("SECRET_KEY",))
        self._set_env(chosen)
        consent.obtain(self.commands.plan, self.env, given=self.yes, say=say, ask=consent.from_terminal)

    def _is_filled(self) -> bool:
        return self.is_demo and self._filled_mark.exists()

    @property
    def _filled_mark(self) -> Path:
        """Beside the data, so that it goes when the data goes."""
        return self.var / "postgres" / "filled"

    def _fill_once(self, supervisor: Supervisor) -> None:
        if self._is_filled():
            return
        with step("Filling in demo data, once", shows_progress=True):
            command, _, env = self._python("fill", self.commands.fill)
            supervisor.run("The demo data", command, None, env)
        self._filled_mark.touch()

    def _start_web(self, supervisor: Supervisor) -> Child:
        return self._start_program(supervisor, "The web server", "web", self._web_command())

    def _start_program(self, supervisor: Supervisor, name: str, log: str, command: tuple[str, ...]) -> Child:
        return supervisor.start(name, *self._python(log, command))

    def _python(self, log: str, arguments: tuple[str, ...]) -> tuple[list[str], Path, dict[str, str]]:
        return [sys.executable, *arguments], self._log(log), self.env

    def _web_command(self) -> tuple[str, ...]:
        bind = ("--bind", f"{ports.HOST}:{self.port}")
        # The rest is in gunicorn.conf.py. Whoever presses Ctrl-C here waits for nobody's download.
        return (*self.commands.web, *bind, "--graceful-timeout", "5")

    def _wait_for_health(self, supervisor: Supervisor, web: Child) -> None:
        deadline = time.monotonic() + HEALTH_SECONDS
        answer = ""

        def healthy() -> bool:
            nonlocal answer
            if time.monotonic() > deadline:
                raise LaunchError(
                    f"The web server does not get well: /health says {answer or 'nothing'}. See {web.log}."
                )
            answer = _ask_health(self.port)
            return answer.startswith("200")

        supervisor.wait_until(healthy)

    def _set_env(self, settings: Mapping[str, str]) -> None:
        self.env = {"PYTHONUNBUFFERED": "1", **self.given, **settings}

    def _simulator_ports(self) -> tuple[int, int]:
        """For the providers' protocols and for mail."""
        self.var.mkdir(exist_ok=True)
        web = ports.stable_port(self.var / "simulator-port", avoid=(self.port,))
        return web, ports.stable_port(self.var / "smtp-port", avoid=(self.port, web))

    def _another_port(self) -> int:
        return next((port for port in range(self.port + 10, 65_536, 10) if ports.is_free(port)), 8010)

    def _log(self, name: str) -> Path:
        return self.var / "log" / f"{name}.log"

    def _rotate_logs(self) -> None:
        """The logs of this run and of the one before."""
        for log in (self.var / "log").glob("*.log"):
            log.replace(log.with_suffix(".log.1"))

    def _welcome(self, seconds: float) -> str:
        address = self.env["BASE_URL"]
        lines = [f"Backdesk is up after {seconds:.1f} s.", "", f"  Console   {address}/admin/"]
        if self.is_demo:
            lines += [
                f"  Health    {address}/health",
                f"  Simulator {self.env['SIMULATOR_URL']}/_sim/ (buy and sign in as a customer)",
                f"  Mails     {self.env['SIMULATOR_URL']}/_sim/mails (the claim mail and its link)",
                "",
                "  Sign in as  " + "\n              ".join(demo_settings.STAFF),
                f"  Password    {self.env['DEMO_STAFF_PASSWORD']}",
                "",
                f"  Every secret and address: {self.var / 'demo.env'}",
            ]
        lines += [f"  Logs: {self.var / 'log'}", "", "Ctrl-C stops everything."]
        return "\n".join(lines)


def _port(text: str) -> int:
    if not text:
        return DEFAULT_PORT
    if not text.isdigit() or not 0 < int(text) < 65_536:
        raise LaunchError(f"PORT is {text!r}; it has to be a number from 1 to 65535.")
    return int(text)


def _ask_health(port: int) -> str:
    connection = http.client.HTTPConnection(ports.HOST, port, timeout=5)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        return f"{answer.status} {answer.read(500).decode('utf-8', 'replace')}"
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


def _terminal_watch() -> Callable[[], bool]:
    """Tells when the terminal has been closed: make is told of that, but does not pass it on."""
    had_one = os.isatty(1)
    return lambda: had_one and not os.isatty(1)


def main(*, root: Path = ROOT, commands: Commands = PROGRAMS) -> int:
    """Start everything and watch over it until asked to stop; the exit status, 0 after a stop and 1 after a
    LaunchError.
    """
    parser = argparse.ArgumentParser(description="Run Backdesk: web server, worker and what they need.")
    parser.add_argument("--die-with-parent", action="store_true", help="stop when the calling make is gone")
    parser.add_argument("--yes", action="store_true", help="migrate a given database that is not empty without asking")
    arguments = parser.parse_args()
    interrupts.watch()
    try:
        if arguments.die_with_parent:
            spawn.end_with_parent(signal.SIGTERM)
        os.chdir(root)
        Run(root, os.environ, commands, yes=arguments.yes)()
    except Stop:
        say("\nStopped.")
        return 0
    except LaunchError as problem:
        with suppress(OSError):
            print(f"\n{problem}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
