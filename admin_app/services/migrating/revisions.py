"""Which revision a database is at, and which ones this code has."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, text

from admin_app.errors import DomainError

MIGRATIONS = Path(__file__).resolve().parents[3] / "migrations"
BASE = "base"


class UnknownRevision(DomainError):
    """The revision named, or the one that the database notes, is not one to go to or from: 400."""

    code = "unknown_revision"


def configuration(address: str = "") -> Config:
    """Alembic's, for one database; what it prints by itself goes nowhere."""
    config = Config(MIGRATIONS / "alembic.ini")
    config.attributes["database_url"] = address
    return config


@cache
def scripts() -> ScriptDirectory:
    """Alembic's folder of revisions, read from this repository."""
    return ScriptDirectory.from_config(configuration())


@cache
def every() -> tuple[Script, ...]:
    """From the first to the newest."""
    return tuple(reversed(list(scripts().walk_revisions())))


def newest() -> str:
    """The revision that this code needs."""
    return every()[-1].revision


@dataclass(frozen=True)
class Place:
    """The revision of a database, None where Alembic has never been, and whether it has any tables."""

    revision: str | None
    has_tables: bool

    @property
    def is_newest(self) -> bool:
        return self.revision == newest()

    @property
    def sentence(self) -> str:
        if self.revision is not None:
            return f"The database is at revision {self.revision}; this code's newest is {newest()}."
        there = "has tables, but Alembic has never been there" if self.has_tables else "is empty"
        return f"The database {there}; this code's newest revision is {newest()}."


def place(connection: Connection) -> Place:
    """Raises UnknownRevision where the note names none, several, or one that this code does not have."""
    tables = connection.scalar(
        text("SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = to_regnamespace('public')")
    )
    if connection.scalar(text("SELECT to_regclass('public.alembic_version')")) is None:
        return Place(None, bool(tables))
    noted = list(connection.scalars(text("SELECT version_num FROM public.alembic_version")))
    if len(noted) > 1:
        raise UnknownRevision(f"alembic_version names {len(noted)} revisions ({', '.join(noted)}), and can name one.")
    known = {script.revision for script in every()}
    if noted and noted[0] not in known:
        raise UnknownRevision(
            f"The database is at revision {noted[0]}, which this code does not have: its newest is {newest()}. Newer "
            "code has been here. Take the release that the database belongs to."
        )
    return Place(noted[0] if noted else None, bool(tables and tables > 1))


def to_come(at: str | None) -> Sequence[Script]:
    """The revisions after this one, in order."""
    numbers = [script.revision for script in every()]
    return every()[numbers.index(at) + 1 :] if at else every()


def to_undo(at: str | None, target: str) -> Sequence[Script]:
    """The revisions that going back to `target` takes away, the newest first. Raises UnknownRevision."""
    numbers = [script.revision for script in every()]
    if target != BASE and target not in numbers:
        raise UnknownRevision(
            f"There is no revision {target}. They go from {numbers[0]} to {numbers[-1]}; `base` is before them all."
        )
    here = numbers.index(at) if at else -1
    there = numbers.index(target) if target != BASE else -1
    if there >= here:
        raise UnknownRevision(f"The database is at {at or BASE}, so going back to {target} would change nothing.")
    return tuple(reversed(every()[there + 1 : here + 1]))


def idea(script: Script) -> str:
    """What the revision is for: its docstring's first sentence."""
    paragraph = (script.module.__doc__ or "").strip().partition("\n\n")[0]
    return " ".join(paragraph.split())


def locks(script: Script) -> str:
    """What its docstring says about locks."""
    _, _, after = (script.module.__doc__ or "").partition("Locks:")
    return " ".join(after.strip().partition("\n\n")[0].split()) or "not said"
