"""What stands in the way of bringing an earlier system over: every rule, with its count and rows, all in one run.

The rules are those that an import acts by; here the whole source is looked at, and nothing is kept.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from admin_app.context import Ctx
from admin_app.integrations.earlier import Source
from admin_app.services.move_in import between, sql
from admin_app.services.move_in.catalog import OF
from admin_app.services.move_in.mapping import LEAVE, UNDECIDED, MoveMap, Notice, Rule, TableMap
from admin_app.services.move_in.matching import as_read, matched
from admin_app.services.move_in.reading import Reading
from admin_app.services.move_in.staging import (
    breaks_any,
    columns_read,
    patiently,
    prepare,
    refusals,
    run,
    stage,
)

SHOWN_VALUES = 5
# What a row breaks itself, and what it has in common with others.
EITHER = "broken || beside"


@dataclass(frozen=True)
class InTheWay:
    """A rule that rows break, or what else is to be known of them; of rows that break it together, all.

    `values` are some of what they say, the most frequent first.
    """

    table: str
    ours: str
    rule: Rule | Notice
    rows: int
    values: tuple[str, ...]

    @property
    def place(self) -> str:
        return f"{self.rule.value}:{self.ours}"


@dataclass(frozen=True)
class Inspected:
    """One table of the source as it was read, with what stands in its way."""

    table: str
    to: str
    rows: int
    found: tuple[InTheWay, ...]


def look(ctx: Ctx, *, source: Source, mapping: MoveMap) -> Iterator[Inspected]:
    """Every table of the mapping, parents first. The stages last as long as the caller's transaction."""
    tables = {table.name: table for table in source.tables()}
    mapping = matched(mapping, list(tables.values()))
    patiently(ctx.session)
    parents: dict[str, str] = {}
    rows: dict[str, int] = {}
    for mapped in mapping.tables:
        staged, prepared = f"staged_{mapped.to}", f"prepared_{mapped.to}"
        with Reading(source, as_read(mapped, tables), columns_read(mapped)) as reading:
            rows[mapped.to] = stage(ctx, reading, mapped, into=staged)
        with refusals(mapped):
            prepare(ctx, mapping, mapped, staged=staged, into=prepared, parents=parents)
            between.mark_pending_past(ctx, mapping, mapped, prepared)
            between.mark_twice(ctx, mapping, mapped, prepared)
            between.mark_overlaps(ctx, mapping, mapped, prepared)
            between.note_the_others(ctx, mapping, mapped, prepared)
        # A whole number stands for itself, so that what refers to it can be looked at before anything is brought over;
        # what is left behind, as decided, leaves what refers to it without it.
        parents[mapped.to] = f"(SELECT source_key, record FROM {prepared} WHERE NOT {breaks_any(mapping, LEAVE)})"
        if mapped.to == "organizations":
            parents["organizations by id"] = f"(SELECT record AS id, workos_id FROM {prepared})"
    between.note_purchases(ctx, mapping, {table.to: f"prepared_{table.to}" for table in mapping.tables})
    for mapped in mapping.tables:
        found = tuple(_found(ctx, mapped, f"staged_{mapped.to}", f"prepared_{mapped.to}"))
        yield Inspected(mapped.name, mapped.to, rows[mapped.to], found)


def _found(ctx: Ctx, mapped: TableMap, staged: str, prepared: str) -> Iterator[InTheWay]:
    each = f"SELECT b, count(*) FROM {prepared}, unnest({EITHER}) b GROUP BY b ORDER BY b"
    for said, number in run(ctx, each).fetchall():
        rule, _, ours = said.partition(":")
        what = Rule(rule) if rule in list(Rule) else Notice(rule)
        yield InTheWay(mapped.name, ours, what, number, _values(ctx, mapped, staged, prepared, said))


def _values(ctx: Ctx, mapped: TableMap, staged: str, prepared: str, place: str) -> tuple[str, ...]:
    column = mapped.filling(place.partition(":")[2])
    if column is None or column.name not in columns_read(mapped):
        return ()
    key, told = sql.name(mapped.key), sql.name(column.name)
    found = run(
        ctx,
        f"SELECT coalesce(s.{told}, '(nothing)') FROM {staged} s JOIN {prepared} p ON p.source_key = s.{key} "
        f"WHERE {sql.value(place)} = ANY ({EITHER}) GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {SHOWN_VALUES}",
    ).fetchall()
    return tuple(str(value) for (value,) in found)


def keys(ctx: Ctx, one: InTheWay, *, to: str) -> Iterator[tuple[str, str]]:
    """All rows that break the rule, as their key and what they say; after `look`, in the same transaction.

    Those that break it together lie side by side.
    """
    side_by_side = ""
    if one.rule is Rule.TWICE and one.ours != OF[to].key.ours:
        side_by_side = f"{sql.name(one.ours)}, "
    elif one.rule is Rule.OVERLAP:
        side_by_side = "practitioner_id, starts_at, "
    statement = (
        f"SELECT source_key FROM prepared_{to} WHERE {sql.value(one.place)} = ANY ({EITHER}) "
        f"ORDER BY {side_by_side}length(source_key), source_key"
    )
    for (key,) in run(ctx, statement):
        yield str(key), one.place


def read_as(mapping: MoveMap) -> Sequence[str]:
    """The labels that are read as another word of ours."""
    return [
        f"{table.name}.{column.name}: {theirs} is read as {ours}"
        for table in mapping.tables
        for column in table.columns
        for theirs, ours in column.labels.items()
        if ours not in {theirs, UNDECIDED}
    ]


def unread(mapping: MoveMap) -> Sequence[str]:
    """The columns that go nowhere, with why, or that it is not decided."""
    return [
        f"{table.name}.{column.name} ({column.type}): {column.left or 'not decided'}"
        for table in mapping.tables
        for column in table.columns
        if column.to is None
    ]
