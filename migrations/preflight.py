"""Before the first statement: would every revision of this run get through, and lose nothing, on this very database?

The revisions are rehearsed (migrations/needs.py) and what they need is held against the catalogue and the rows.
Whatever stands in the way is told in one list, and nothing has been touched: no extension, no type, not even Alembic's
table.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import DBAPIError

from migrations import casts, dependants, enums, found_before, needs, ops, other_names, refusing, rights, running
from migrations.needs import Column, Columns, Labels, Looks, Need, Refused, Required, Retyped, Statement, Table

log = running.log
FIRST = "0001"
NOTHING_CHANGED = "This database cannot be migrated as it is. Nothing has been changed. What stands in the way:"
LEGACY = (
    "An earlier system is brought over, rather than migrated in its place: `flask legacy inspect` reads it and shows "
    "what is there."
)
TAKEN_AWAY = re.compile(r"ALTER TABLE (?:IF EXISTS )?(\w+)\s([^;]*)")
DROPPED = re.compile(r"DROP COLUMN (?:IF EXISTS )?(\w+)")
# Written for a state that is not reached yet: a table or column still to come, a type still to change.
NOT_YET = {"42P01", "42703", "42883", "42804", "22P02", "42846", "42P10"}


@dataclass
class Existing:
    """A table that was there when the run began, and its columns as they are now."""

    name: str
    columns: dict[str, Any]
    has_rows: bool
    wanted: dict[str, Column] = field(default_factory=dict)
    cast: dict[str, str] = field(default_factory=dict)
    # Columns of which a sentence has spoken, theirs and ours.
    told: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Rehearsal:
    """What a run needs, and what all revisions together make and bring to a type."""

    noted: Sequence[Need]
    first: bool
    up: bool
    ours: dependants.Ours
    retyped: frozenset[tuple[str, str]]
    # Every column that some revision makes, so that none of them is taken for an earlier system's.
    named: frozenset[tuple[str, str]]


def rehearse(steps: Sequence[Any], revisions: Iterable[Any]) -> Rehearsal:
    """`steps` as Alembic will take them, of its `revisions`. No connection is at hand, so that none can be used."""
    noted = [need for step in steps for need in rehearsed(step.revision, up=step.is_upgrade)]
    of_ours = [need for revision in revisions for need in rehearsed(revision, up=True)]
    return Rehearsal(
        noted,
        first=any(step.is_upgrade and step.revision.revision == FIRST for step in steps),
        up=any(step.is_upgrade for step in steps),
        ours=dependants.made_by(need.sql for need in of_ours if isinstance(need, Statement)),
        retyped=retyped_in(of_ours),
        named=named_in(of_ours),
    )


def check(rehearsal: Rehearsal) -> None:
    """Refuse the run, with everything that speaks against it."""
    look = Look(rehearsal)
    reasons = list(dict.fromkeys(look.reasons()))
    if reasons:
        ending = f"\n{LEGACY}" if look.is_another_system else ""
        raise running.MigrationRefused(f"{NOTHING_CHANGED}\n{needs.listed(reasons)}{ending}")
    for sentence in look.remarks:
        log.warning("  %s", sentence)


def rehearsed(revision: Any, *, up: bool) -> list[Need]:
    with running.rehearsing() as noted:
        (revision.module.upgrade if up else revision.module.downgrade)()
    return noted


def retyped_in(noted: Iterable[Need]) -> frozenset[tuple[str, str]]:
    """The columns that some revision brings to a type."""
    whole = [(need.table, each.name) for need in noted if isinstance(need, Columns) for each in need.columns]
    return frozenset(whole) | {(need.table, need.column.name) for need in noted if isinstance(need, Retyped)}


def named_in(noted: Iterable[Need]) -> frozenset[tuple[str, str]]:
    tables = [(need.name, need.columns) for need in noted if isinstance(need, Table)]
    added = [(need.table, need.columns) for need in noted if isinstance(need, Columns)]
    return frozenset((table, column.name) for table, columns in [*tables, *added] for column in columns)


class Look:
    def __init__(self, rehearsal: Rehearsal) -> None:
        self.noted, self.first, self.up = rehearsal.noted, rehearsal.first, rehearsal.up
        self.ours, self.retyped, self.named = rehearsal.ours, rehearsal.retyped, rehearsal.named
        self.is_another_system = False
        self.remarks: list[str] = []
        self.tables: dict[str, Existing] = {}
        self.labels = {need.name: need.labels for need in self.noted if isinstance(need, Labels)}

    def reasons(self) -> Iterator[str]:
        (schema,) = running.rows("SELECT current_schema()")[0]
        if schema != "public":
            yield (
                f"Tables are made in the first schema of the search path, which is {schema or 'none'} here, and "
                "Backdesk's are in public. Put public first (ALTER ROLE … SET search_path), or use another database."
            )
        lacking = [*rights.missing(self.noted)]
        yield from lacking
        if lacking:
            # What may not be read cannot be looked at.
            return
        for need in self.noted:
            if isinstance(need, Table | Columns | Retyped | Required):
                self._know(need.name if isinstance(need, Table) else need.table)
        yield from self._other_names()
        for need in self.noted:
            yield from self._stands_against(need)
        for table in self.tables.values() if self.first else ():
            yield from self._columns_of_others(table)

    def _know(self, name: str) -> None:
        columns = {} if name in self.tables else ops.columns_of(name)
        if columns:
            has_rows = running.found(f"SELECT FROM public.{name} LIMIT 1")
            self.tables[name] = Existing(name, columns, has_rows)

    def _other_names(self) -> Iterator[str]:
        for need in self.noted:
            if isinstance(need, Table | Columns):
                table = self.tables.get(need.name if isinstance(need, Table) else need.table)
                if table:
                    table.wanted |= {column.name: column for column in need.columns}
        if not self.up:
            return
        ours = [need.name for need in self.noted if isinstance(need, Table)]
        for sentence in other_names.tables(ours) if self.first else other_names.left_beside():
            self.is_another_system = True
            yield sentence
        for table in self.tables.values():
            for other, name in other_names.columns(table.name, table.columns, table.wanted):
                # A run that began further on meets columns of ours that revisions before it have made.
                if self.first or (name not in table.columns and (table.name, other) not in self.named):
                    yield from self._other_column(table, other, name)

    def _other_column(self, table: Existing, other: str, name: str) -> Iterator[str]:
        place = f"The column {table.name}.{refusing.quoted(other)} means what Backdesk keeps in {table.name}.{name}"
        if name not in table.columns:
            self.is_another_system = True
            table.told |= {other, name}
            yield f"{place}."
        elif {other, name} != {"customer_id", "client_id"}:
            # Both: someone has begun. It is done when they say the same.
            differs = f"{refusing.quoted(other)}::text IS DISTINCT FROM {name}::text"
            yield from self._asked(
                lambda: refusing.broken(differs, table.name, f"{place}, and they are to be the same")
            )

    def _stands_against(self, need: Need) -> Iterator[str]:
        if isinstance(need, Table):
            yield from self._table(need)
        elif isinstance(need, Columns):
            yield from self._columns(need.table, need.columns)
        elif isinstance(need, Retyped):
            yield from self._retyped(need)
        elif isinstance(need, Required):
            yield from self._required(need.table, need.column, need.filler)
        elif isinstance(need, Labels):
            there = enums.labels_of(need.name)
            yield from filter(None, [enums.unlike(need.name, there, need.labels) if there else None])
        elif isinstance(need, Statement):
            yield from self._statement(need.sql)
        elif self.first and isinstance(need, Refused) and need.table in self.tables:
            table = self.tables[need.table]
            yield from self._asked(lambda: refusing.broken(need.condition, need.table, need.rule, as_it_will_be(table)))
        elif self.first and isinstance(need, Looks) and {*need.tables} <= self.tables.keys():
            yield from self._asked(need.look)

    def _asked(self, look: Callable[[], str | None]) -> Iterator[str]:
        try:
            sentence = look()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in NOT_YET:
                raise
            return
        if sentence:
            yield sentence

    def _table(self, need: Table) -> Iterator[str]:
        table = self.tables.get(need.name)
        if table is None:
            return
        yield from self._key(table, need.key)
        if need.earlier:
            yield from self._missing(table, need.columns)
            yield from self._of_another_kind(table, need.columns)
        else:
            yield from self._columns(need.name, need.columns)

    def _key(self, table: Existing, key: str) -> Iterator[str]:
        name, kind = key.split()[:2]
        there = table.columns.get(name)
        if there is None or refusing.key_of(table.name)[:1] != [name]:
            self.is_another_system = True
            yield f"The primary key of {table.name} must be its column {name}."
        elif kind == "bigint" and there.type not in {"smallint", "integer", "bigint"}:
            self.is_another_system = True
            yield f"{table.name}.{name} is {there.type}, and Backdesk counts its rows in whole numbers."
        elif "IDENTITY" in key and there.default is None and not there.generated:
            yield (
                f"{table.name}.{name} has no default, so that a new row would get no key: ALTER TABLE {table.name} "
                f"ALTER {name} ADD GENERATED BY DEFAULT AS IDENTITY, and set its sequence beyond the highest key."
            )

    def _missing(self, table: Existing, columns: Sequence[Column]) -> Iterator[str]:
        for column in columns:
            name = column.name
            if (
                name in table.columns
                or name in table.told
                or (name == "customer_id" and "client_id" in {*table.columns, *table.told})
            ):
                continue
            # From here on it is there.
            table.told.add(name)
            if column.required and column.default is None and table.has_rows:
                yield f"{table.name} has rows and no column {name}, which must hold a value in each."
            elif column.default == ops.NOW and table.has_rows:
                self.remarks.append(
                    f"{table.name} has no column {name}: it gets one, and its rows the moment of this migration in it."
                )

    def _of_another_kind(self, table: Existing, columns: Sequence[Column]) -> Iterator[str]:
        """A column of the earlier schema that keeps its type must be able to hold what ours holds."""
        for column in columns:
            there = table.columns.get(column.name)
            if there is None or (table.name, column.name) in self.retyped:
                continue
            if casts.another_kind(there.type, ops.spelled(column.type)):
                self.is_another_system = True
                yield f"{table.name}.{column.name} is {there.type}, and Backdesk needs {column.type} there."

    def _columns(self, name: str, columns: Sequence[Column]) -> Iterator[str]:
        table = self.tables.get(name)
        if table is None:
            return
        yield from self._missing(table, columns)
        for column in columns:
            if column.name in table.columns:
                yield from self._retyped(Retyped(name, column))
                if column.required:
                    yield from self._required(name, column.name, column.default)

    def _retyped(self, need: Retyped) -> Iterator[str]:
        table, column = self.tables.get(need.table), need.column
        there = table.columns.get(column.name) if table else None
        if table is None or there is None or there.type == ops.spelled(column.type) or column.name in table.told:
            return
        cast = ops.cast_of(column.name, there.type, column.type, self.labels.get(column.type))
        reasons = [*self._hanging(need, there), *self._changed(need, there, cast)]
        yield from reasons
        if reasons:
            table.told.add(column.name)
        else:
            table.cast[column.name] = self._comparable(column, cast)

    def _hanging(self, need: Retyped, there: Any) -> Iterator[str]:
        place, another_kind = f"{need.table}.{there.name}", casts.another_kind(there.type, need.column.type)
        hanging = dependants.of_retyped(need, self.ours, another_kind=another_kind)
        if hanging:
            yield (
                f"{place} is {there.type} and becomes {need.column.type}, and this depends on it: "
                f"{'; '.join(hanging)}. Remove it, run again, and make it anew afterwards."
            )
        if there.generated:
            yield f"{place} is generated by the database, and Backdesk writes it."

    def _changed(self, need: Retyped, there: Any, cast: casts.Cast) -> Iterator[str]:
        changed, rule = cast.changed, ops.cannot_become(need.table, need.column, there.type, cast)
        # Where another column comes in its place, its revision looks for what does not fit (retyping.refuse_beyond).
        if changed and not need.replaced:
            yield from self._asked(lambda: refusing.broken(changed, need.table, rule))

    def _comparable(self, column: Column, cast: casts.Cast) -> str:
        """The value as rules will see it, written without types that are still to be made."""
        if column.type == "citext":
            return f"lower({column.name}::text)"
        return f"{column.name}::text" if column.type in self.labels else cast.using

    def _required(self, name: str, column: str, filler: str | None) -> Iterator[str]:
        table = self.tables.get(name)
        there = table.columns.get(column) if table else None
        if table is None or there is None or there.required:
            return
        empty = f"{column} IS NULL"
        if filler is None or filler == ops.NOW:
            if self.first:
                yield from self._asked(lambda: refusing.broken(empty, name, ops.must_hold(name, column)))
        elif self.first and running.found(f"SELECT FROM {name} WHERE {empty} LIMIT 1"):
            self.remarks.append(f"{name}.{column} is empty in some rows: they get {filler}.")

    def _statement(self, sql: str) -> Iterator[str]:
        for table, actions in TAKEN_AWAY.findall(sql):
            self._know(table)
            stays = found_before.columns(table)
            for column in DROPPED.findall(actions) if table in self.tables else ():
                hanging = dependants.of_dropped(table, column, self.ours)
                if hanging and column not in stays:
                    yield (
                        f"{table}.{column} goes, and this depends on it: {'; '.join(hanging)}. Remove it and run again."
                    )

    def _columns_of_others(self, table: Existing) -> Iterator[str]:
        keys = {need.key.split()[0] for need in self.noted if isinstance(need, Table) and need.name == table.name}
        for name, there in table.columns.items():
            known = {*table.wanted, *table.told, *keys}
            if name not in known and there.required and there.default is None and not there.generated:
                yield (
                    f"{table.name}.{refusing.quoted(name)} must hold a value and has no default; Backdesk knows "
                    "nothing of it and could add no row: give it a default, or drop its NOT NULL."
                )


def as_it_will_be(table: Existing) -> str:
    """A common table expression in the table's place: the rules are written for the types of later."""
    shown = [f"{table.cast[name]} AS {name}" if name in table.cast else refusing.quoted(name) for name in table.columns]
    return f"WITH {table.name} AS NOT MATERIALIZED (SELECT {', '.join(shown)} FROM public.{table.name})"
