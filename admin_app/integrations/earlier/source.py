"""What a source is: its tables with their columns, and their rows as lines for COPY, in the order of the key."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from admin_app.errors import DomainError

Write = Callable[[bytes], object]


class SourceRefused(DomainError):
    """The address cannot be used as it is, or the server lets us not read."""

    code = "source_refused"
    status = 422


class SourceFailed(DomainError):
    """The source did not answer, or broke off; nothing was changed there."""

    code = "source_failed"
    status = 503


class Family(StrEnum):
    """Which dialect a source speaks."""

    POSTGRESQL = "postgresql"
    MYSQL = "mysql"


@dataclass(frozen=True)
class SourceColumn:
    """A column as the server describes it; `type` in the server's own words, `labels` those of its enum, in order."""

    name: str
    type: str
    nullable: bool
    labels: tuple[str, ...] = ()

    @property
    def is_local_time(self) -> bool:
        """A date and time that says no zone: it means whatever the program that wrote it took for granted."""
        return "without time zone" in self.type or self.type.startswith("datetime")

    @property
    def is_fraction(self) -> bool:
        return self.type.startswith(("numeric", "decimal", "double", "float", "real", "money"))


@dataclass(frozen=True)
class SourceTable:
    """A table: `key` are the columns of its primary key, `rows` the server's own estimate of how many there are.

    With a `join` the columns of the further table are among its columns, as `table.column`.
    """

    name: str
    columns: tuple[SourceColumn, ...]
    key: tuple[str, ...]
    rows: int
    join: "SourceJoin | None" = None

    def column(self, name: str) -> SourceColumn | None:
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True)
class SourceJoin:
    """A further table that says more of each row: the row's column `on` says what stands in its column `to`."""

    table: SourceTable
    on: str
    to: str


def joined(table: SourceTable, other: SourceTable, *, on: str, to: str) -> SourceTable:
    """The table with another one joined to it. Its rows stay what they are, however many of the other they name."""
    theirs = tuple(replace(column, name=f"{other.name}.{column.name}", nullable=True) for column in other.columns)
    return replace(table, columns=(*table.columns, *theirs), join=SourceJoin(other, on, to))


def rows_of(name: str) -> str:
    """What is read as a column of its own: how many rows of the joined table a row names."""
    return f"rows of {name}"


@dataclass(frozen=True)
class Totals:
    """What the source itself counts: rows, sums by column, and the first and last moment by column, as text."""

    rows: int
    sums: dict[str, str | None]
    spans: dict[str, tuple[str | None, str | None]]


class Source(Protocol):
    """All of it reads. Every method raises SourceFailed when the server breaks off."""

    family: Family
    where: str  # the address without user and password

    def tables(self) -> Sequence[SourceTable]: ...

    def count(self, table: str) -> int: ...

    def copy(
        self, table: SourceTable, columns: Sequence[str], write: Write, *, after: str | None = None, limit: int
    ) -> int:
        """Write up to `limit` rows that come after this key, in its order, as lines of COPY's text form; how many."""
        ...

    def totals(self, table: SourceTable, *, sums: Sequence[str], spans: Sequence[str]) -> Totals: ...

    def close(self) -> None: ...
