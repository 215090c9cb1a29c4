"""What a revision would do to the tables of one database, read from its rehearsal, and how long that may take."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations

from admin_app.services.migrating.catalogue import Catalogue
from migrations import batches, ops, rebuilding
from migrations.needs import Column, Columns, Filled, Labels, Looks, Need, Refused, Required, Retyped, Statement, Table

ALIKE = {frozenset(pair) for pair in combinations(("text", "citext", "character varying"), 2)}
"""Stored alike, so that a change between them writes no row."""


class Kind(StrEnum):
    """What is done with each row of a table."""

    READ = "read"
    INDEXED = "indexed"
    TRIGRAMS = "indexed by their parts"
    WRITTEN = "written"
    RETYPED = "written anew in batches"
    REWRITTEN = "written anew under a lock"
    COPIED = "copied beside the traffic"


PER_SECOND = {
    Kind.READ: 2_500_000,
    Kind.INDEXED: 600_000,
    Kind.TRIGRAMS: 90_000,
    Kind.WRITTEN: 40_000,
    Kind.RETYPED: 10_000,
    Kind.REWRITTEN: 55_000,
    Kind.COPIED: 25_000,
}
"""Rows each second on two processors and PostgreSQL 15 and 18; see docs/benchmarks.md, "Rates of a migration"."""
PER_STATEMENT = 0.003
PER_EXCLUDED = 0.000_06
"""Seconds for which a row is compared with its neighbours, where no two may overlap."""
BATCHED = re.compile(r"\bLIMIT \d+")
Explain = Callable[[str], int | None]
"""How many rows PostgreSQL expects a statement to write; None for one about what is still to come."""
Matching = Callable[[str, str], int]
"""How many rows of a table a condition holds for; none where it speaks of what is still to come."""
INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY (\w+) ON (\w+) USING (\w+)")
VALIDATED = re.compile(r"ALTER TABLE (\w+) VALIDATE CONSTRAINT (\w+)")
EXCLUDED = re.compile(r"ALTER TABLE (\w+)\s.*ADD CONSTRAINT (\w+) EXCLUDE .* WHERE \((.*)\)", re.DOTALL)
WRITTEN = re.compile(r"\b(?:UPDATE|INSERT INTO|DELETE FROM)\s+(?:public\.)?(\w+)")
SOURCE = re.compile(r"\b(?:FROM|JOIN)\s+(?:public\.)?(\w+)")
DEFINED = re.compile(r"CREATE (?:OR REPLACE )?(?:FUNCTION|TRIGGER|POLICY)|DO \$")
DROPPED = re.compile(r"ALTER TABLE (?:IF EXISTS )?(\w+)\s[^;]*?DROP COLUMN (?:IF EXISTS )?(\w+)")


@dataclass
class Work:
    """`rows` and how many `times`, by table and kind; `changes` are phrases for people; the seconds are an estimate."""

    changes: list[str] = field(default_factory=list)
    rows: dict[tuple[str, Kind], int] = field(default_factory=dict)
    times: dict[tuple[str, Kind], int] = field(default_factory=dict)
    statements: int = 0

    @property
    def seconds(self) -> float:
        rows = sum(self.rows[done] * times / PER_SECOND[done[1]] for done, times in self.times.items())
        return rows + self.statements * PER_STATEMENT

    def told_rows(self) -> str:
        told = []
        for (table, kind), count in self.rows.items():
            times = self.times[table, kind]
            told.append(f"{table} {count:,} {kind}" + (f" {times} times" if times > 1 else ""))
        return ", ".join(told) or "none"


class Forecast:
    """Goes through the revisions in their order: what one makes is there for the next."""

    def __init__(self, there: Catalogue, counts: dict[str, int], explain: Explain, matching: Matching) -> None:
        self.there = there
        self.counts = counts
        self.explain = explain
        self.matching = matching
        self.made: dict[str, set[str]] = {}

    def of(self, noted: Iterable[Need]) -> Work:
        """The work of one revision with these needs."""
        work = Work()
        for need in noted:
            work.statements += 1
            for change in self._change(work, need):
                if change not in work.changes:
                    work.changes.append(change)
        return work

    def _rows(self, work: Work, table: str, kind: Kind, times: int = 1) -> int:
        """Counts them; those of tables that are still to come are not known, and few at first."""
        count = self.counts.get(table, 0) if table in self.there.tables else 0
        if count:
            work.rows[table, kind] = count
            work.times[table, kind] = work.times.get((table, kind), 0) + times
        return count

    def _has(self, table: str, column: str) -> bool:
        return self.there.has(table, column) or column in self.made.get(table, ())

    def _change(self, work: Work, need: Need) -> Iterator[str]:
        if isinstance(need, Table):
            if need.name not in self.there.tables and need.name not in self.made:
                self.made[need.name] = {need.key.split()[0], *(column.name for column in need.columns)}
                yield f"makes the table {need.name}"
            else:
                yield from self._columns(work, need.name, need.columns, retype=not need.earlier)
        elif isinstance(need, Columns):
            yield from self._columns(work, need.table, need.columns)
        elif isinstance(need, Retyped):
            # What knows of the things that hang on the column writes its rows in batches, beside the traffic.
            slow = Kind.RETYPED if need.known else Kind.REWRITTEN
            yield from self._retyped(work, need.table, need.column, slow)
        elif isinstance(need, Required):
            yield from self._required(work, need.table, need.column, need.filler)
        elif isinstance(need, Labels):
            yield from self._labels(need)
        elif isinstance(need, Refused):
            self._rows(work, need.table, Kind.READ)
        elif isinstance(need, Filled):
            yield from self._filled(work, need)
        elif isinstance(need, Looks):
            for table in need.tables:
                self._rows(work, table, Kind.READ)
        else:
            yield from self._statement(work, need)

    def _columns(self, work: Work, table: str, columns: Iterable[Column], *, retype: bool = True) -> Iterator[str]:
        added = [column.name for column in columns if not self._has(table, column.name)]
        if added:
            self.made.setdefault(table, set()).update(added)
            yield f"adds to {table}: {', '.join(added)}"
        for column in columns if retype else ():
            yield from self._retyped(work, table, column)
            if column.required:
                yield from self._required(work, table, column.name, column.default)

    def _retyped(self, work: Work, table: str, column: Column, slow: Kind = Kind.REWRITTEN) -> Iterator[str]:
        found = self.there.tables.get(table, {}).get(column.name)
        wanted = ops.spelled(column.type)
        if found is None or found.type == wanted:
            return
        if slow is Kind.REWRITTEN and self.counts.get(table, 0) > rebuilding.MANY:
            slow = Kind.COPIED
        self._rows(work, table, Kind.READ if frozenset({found.type, wanted}) in ALIKE else slow)
        yield f"turns {table}.{column.name} from {found.type} into {column.type}"

    def _required(self, work: Work, table: str, column: str, filler: str | None) -> Iterator[str]:
        found = self.there.tables.get(table, {}).get(column)
        if found is None or found.required:
            return
        self._rows(work, table, Kind.READ, 2)
        filled = f", empty ones filled with {filler}" if filler and filler != ops.NOW else ""
        yield f"requires a value in {table}.{column}{filled}"

    def _labels(self, need: Labels) -> Iterator[str]:
        found = self.there.labels.get(need.name)
        if found is None:
            yield f"makes the type {need.name}"
        elif missing := [label for label in need.labels if label not in found]:
            yield f"adds to the type {need.name}: {', '.join(missing)}"

    def _statement(self, work: Work, need: Statement) -> Iterator[str]:
        sql = need.sql
        for name, table, kind in INDEX.findall(sql):
            if not self.there.indexes.get(name, ("", False))[1]:
                self._rows(work, table, Kind.TRIGRAMS if kind == "gin" else Kind.INDEXED)
                yield f"builds the index {name} on {table}"
        known = {(each.table, each.name) for each in self.there.constraints if each.validated}
        for table, name in VALIDATED.findall(sql):
            if (table, name) not in known:
                self._rows(work, table, Kind.READ)
                yield f"proves {name} on {table}"
        for table, name, condition in EXCLUDED.findall(sql):
            if name not in self.there.indexes:
                self._rows(work, table, self._excluded(table, condition))
                yield f"builds {name} on {table}"
        for table, column in DROPPED.findall(sql):
            if self._has(table, column):
                yield f"drops {table}.{column}"
        if not DEFINED.search(sql):
            yield from self._written(work, sql)

    def _excluded(self, table: str, condition: str) -> Kind:
        """As revision 0011 chooses, which measures it."""
        compared = self.matching(table, condition) if table in self.there.tables else 0
        seconds = self.counts.get(table, 0) / PER_SECOND[Kind.READ] + compared * PER_EXCLUDED
        return Kind.INDEXED if seconds <= rebuilding.SHORT else Kind.COPIED

    def _filled(self, work: Work, need: Filled) -> Iterator[str]:
        if need.table not in self.there.tables:
            return
        # Each batch is asked for before it is filled.
        work.statements += 2 * (self.counts[need.table] // batches.SIZE)
        count = self.matching(need.table, need.rows)
        if count:
            table = WRITTEN.findall(need.sql)[0]
            work.rows[table, Kind.WRITTEN] = work.rows.get((table, Kind.WRITTEN), 0) + count
            work.times[table, Kind.WRITTEN] = 1
            yield f"fills {table} from {need.table}, at most {count:,} rows"

    def _written(self, work: Work, sql: str) -> Iterator[str]:
        tables = dict.fromkeys(WRITTEN.findall(sql))
        for table in {*tables, *SOURCE.findall(sql)}:
            self._rows(work, table, Kind.READ)
        for table in tables:
            most = self.counts.get(table, 0)
            # A batch is written again and again until none is left.
            count = most if BATCHED.search(sql) else self.explain(sql)
            if count and most:
                work.rows[table, Kind.WRITTEN] = count
                work.times[table, Kind.WRITTEN] = 1
                yield f"writes to {table}, about {count:,} rows"
            elif most and count is None:
                yield f"writes to {table}, how many of its rows is seen when it is time"
