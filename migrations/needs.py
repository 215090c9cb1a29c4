"""What revisions will do to tables, said before they do it.

While a revision is rehearsed (`running.rehearsing`), its operations change nothing: they note here what they need,
and migrations/preflight.py holds the notes against the real catalogue. A new revision takes part by using
migrations/ops.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A column as it must be at the end; `type` and `default` in SQL, the type as PostgreSQL spells it."""

    name: str
    type: str
    default: str | None = None
    required: bool = False

    @property
    def sql(self) -> str:
        default = "" if self.default is None else f" DEFAULT {self.default}"
        return f"{self.name} {self.type}{default}{' NOT NULL' if self.required else ''}"


@dataclass(frozen=True)
class Table:
    """A table with this key and at least these columns; one of the earlier schema keeps the types that it has."""

    name: str
    columns: tuple[Column, ...]
    key: str
    earlier: bool = False


@dataclass(frozen=True)
class Columns:
    """These columns, of these types."""

    table: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Retyped:
    """The column, where it exists, gets this type; where another column comes in its place (`replaced`), even an index
    may not hang on it. `known` objects are made anew with it."""

    table: str
    column: Column
    known: tuple[str, ...] = ()
    replaced: bool = False


@dataclass(frozen=True)
class Required:
    """No row without a value; those without one get the filler."""

    table: str
    column: str
    filler: str | None


@dataclass(frozen=True)
class Labels:
    """An enum type with these labels, in this order."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Refused:
    """Rows of the table for which the condition holds break the rule."""

    condition: str
    table: str
    rule: str


@dataclass(frozen=True)
class Looks:
    """A question that the revision asks the database itself: a sentence when it must not run, else nothing."""

    tables: tuple[str, ...]
    look: Callable[[], str | None]


@dataclass(frozen=True)
class Statement:
    """SQL of the revision's own."""

    sql: str


@dataclass(frozen=True)
class Filled:
    """The statement, which is noted beside this, writes a row for each of the table for which the condition holds."""

    table: str
    rows: str
    sql: str


Need = Table | Columns | Retyped | Required | Labels | Refused | Looks | Statement | Filled


def listed(reasons: Sequence[str]) -> str:
    return "\n".join(f"- {reason}" for reason in reasons)
