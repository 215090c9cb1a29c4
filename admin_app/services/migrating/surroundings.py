"""What a careful operator looks at before a migration: others' transactions, room on the disk, which code this is."""

import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from admin_app.services.migrating import revisions

ROOT = revisions.MIGRATIONS.parent
LONG_SECONDS = 30
"""A concurrent index build waits for every transaction that is older than itself."""
_LONG = text("""
SELECT pid, coalesce(nullif(application_name, ''), 'a program without a name') AS program, usename AS role, state,
       extract(epoch FROM clock_timestamp() - xact_start)::int AS seconds
  FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()
   AND xact_start < clock_timestamp() - :age * interval '1 s'
 ORDER BY xact_start
""")
_PREPARED = text("SELECT gid, extract(epoch FROM clock_timestamp() - prepared)::int AS seconds FROM pg_prepared_xacts"
                 " WHERE database = current_database() ORDER BY prepared")  # fmt: skip
_LOCKS = text("""
SELECT l.pid, l.relation::regclass::text AS name, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
 WHERE l.granted AND l.pid <> pg_backend_pid() AND c.relnamespace = to_regnamespace('public')
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock') ORDER BY 1, 2
""")
_UNSEEN = text("""
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND backend_type IS NULL AND usesysid IS NOT NULL
""")


MIGRATOR_LOCK = 7_250_302
"""What every migrator of a database holds while it works, see migrations/env.py."""
_MIGRATOR = text("""
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 0 AND objid = :lock AND objsubid = 1
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")


def migrator(connection: Connection) -> int | None:
    """The process that is migrating this database right now: what is read meanwhile is neither before nor after."""
    found: int | None = connection.scalar(_MIGRATOR, {"lock": MIGRATOR_LOCK})
    return found


def busy(connection: Connection) -> list[str]:
    """A sentence per transaction of others that a migration would wait for; empty when nobody is in the way now."""
    found = [
        f"Process {row.pid} ({row.program}, user {row.role}) has a transaction open for {row.seconds} s, {row.state}."
        for row in connection.execute(_LONG, {"age": LONG_SECONDS})
    ]
    found += [
        f"The prepared transaction {row.gid} waits for its end since {row.seconds} s."
        for row in connection.execute(_PREPARED)
    ]
    found += [f"Process {row.pid} holds a {row.mode} on {row.name}." for row in connection.execute(_LOCKS)]
    return found


def unseen(connection: Connection) -> str | None:
    """A sentence where others are connected whose transactions this role may not see."""
    count = connection.scalar(_UNSEEN)
    if not count:
        return None
    return f"{count} sessions of other users may have transactions open that this user may not see."


@dataclass(frozen=True)
class Room:
    """Bytes: of the database, of its largest table with indexes, and free on its disk or None where nobody can tell."""

    database: int
    largest: int
    free: int | None

    @property
    def is_short(self) -> bool:
        """Indexes are built beside the old ones, and what is written anew stands twice until it is vacuumed."""
        return self.free is not None and self.free < 2 * self.largest

    @property
    def sentence(self) -> str:
        size = f"The database has {_megabytes(self.database)}, its largest table {_megabytes(self.largest)}"
        if self.free is None:
            return f"{size}; how much room its disk has cannot be known from here: look at it."
        advice = ", which is less than twice the largest table" if self.is_short else ""
        return f"{size}; its disk has {_megabytes(self.free)} free{advice}."


def _megabytes(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB"


def room(connection: Connection) -> Room:
    """Best effort: the folder is known to few users, and is this machine's only when its server is."""
    sizes = connection.execute(
        text("""
        SELECT pg_database_size(current_database()) AS database,
               coalesce(max(pg_total_relation_size(oid)), 0) AS largest
          FROM pg_class WHERE relkind = 'r' AND relnamespace = to_regnamespace('public')
        """)
    ).one()
    return Room(int(sizes.database), int(sizes.largest), free_in(_data_folder(connection)))


def _data_folder(connection: Connection) -> Path | None:
    try:
        # Local: through a socket, or by an address that server and client share.
        local = connection.scalar(text("SELECT inet_server_addr() IS NULL OR inet_server_addr() = inet_client_addr()"))
        named = connection.scalar(text("SELECT current_setting('data_directory')"))
    except DBAPIError:
        return None
    return Path(str(named)) if local else None


def free_in(folder: Path | None) -> int | None:
    """Bytes free where the folder is; None where it is not on this machine, or may not be looked at."""
    if folder is None:
        return None
    try:
        return shutil.disk_usage(folder).free if folder.is_dir() else None
    except OSError:
        return None


def code() -> str:
    """Which code this is: its version, and the commit where it is a working copy."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return f"This code is version {version}{next(_commit(), '')}; its newest revision is {revisions.newest()}."


def _commit() -> Iterator[str]:
    try:
        asked = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--tags"]
        done = subprocess.run(asked, check=False, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return
    if done.returncode == 0:
        changed = ", with changes that are not committed" if done.stdout.strip().endswith("-dirty") else ""
        yield f", commit {done.stdout.strip().removesuffix('-dirty')}{changed}"
