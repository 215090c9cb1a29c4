"""Proof that what was brought over is what the earlier system has: rows, sums, times and digests on both sides.

Rows, sums and times of the source are counted by the source itself, not by what read it. Digests are compared row by
row, so that what differs is named.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from admin_app.context import Ctx
from admin_app.integrations.earlier import Source, SourceTable
from admin_app.services.move_in import sql
from admin_app.services.move_in.catalog import Kind
from admin_app.services.move_in.mapping import ColumnMap, MoveMap, TableMap, Unit
from admin_app.services.move_in.matching import as_read, matched
from admin_app.services.move_in.reading import Reading
from admin_app.services.move_in.side_by_side import SHOWN, Found, Looking, Work
from admin_app.services.move_in.staging import columns_read, number, patiently, run, stage

KEYS = "compared_keys"


@dataclass(frozen=True)
class Line:
    """One thing compared: what the source says, and what is here."""

    what: str
    theirs: str
    ours: str

    @property
    def agrees(self) -> bool:
        return self.theirs == self.ours


@dataclass(frozen=True)
class Compared:
    """One table. `differing`: keys of the source whose record is not as it says; `not_here` were never brought over,
    `gone_there` were, and are no more in the source. `left` were left behind as decided; `moved_on` became purchases
    that wait, by `flask legacy move`.
    """

    table: str
    to: str
    lines: tuple[Line, ...]
    differing: tuple[str, ...]
    not_here: tuple[str, ...]
    gone_there: tuple[str, ...]
    left: int
    moved_on: int
    checksum_theirs: str
    checksum_ours: str

    @property
    def agrees(self) -> bool:
        named = self.differing or self.not_here or self.gone_there
        return not named and all(line.agrees for line in self.lines) and self.checksum_theirs == self.checksum_ours


def compare(ctx: Ctx, *, source: Source, mapping: MoveMap, helper: Work | None = None) -> Iterator[Compared]:
    """Every table of the mapping; nothing is kept. `helper` opens another connection, which takes half of the work."""
    tables = {table.name: table for table in source.tables()}
    mapping = matched(mapping, list(tables.values()))
    patiently(ctx.session)
    for mapped in mapping.tables:
        with Reading(source, as_read(mapped, tables), columns_read(mapped)) as reading:
            found = Looking(mapping, mapped, reading).by(ctx, helper)
        yield _compared(ctx, source, mapping, mapped, as_read(mapped, tables), found)


def _compared(
    ctx: Ctx, source: Source, mapping: MoveMap, mapped: TableMap, table: SourceTable, found: Found
) -> Compared:
    return Compared(
        mapped.name,
        mapped.to,
        tuple(_lines(ctx, source, mapping, mapped, table, found)),
        tuple(found.differing),
        tuple(found.not_here),
        _gone(ctx, source, mapping, mapped, table, found.known),
        found.left,
        found.moved_on,
        _checksum(found.theirs),
        _checksum(found.ours),
    )


def _checksum(bits: int) -> str:
    return f"{bits & (2**64 - 1):016x}"


def _gone(
    ctx: Ctx, source: Source, mapping: MoveMap, mapped: TableMap, table: SourceTable, known: int
) -> tuple[str, ...]:
    """Keys of what was brought over and is not there; they are read once more only where any are missing."""
    brought = (
        f"FROM moved_rows m WHERE m.system = {sql.value(mapping.system)} AND m.table_name = {sql.value(mapped.to)} "
        "AND m.record IS NOT NULL"
    )
    if number(ctx, f"SELECT count(*) {brought}") == known:
        return ()
    only = replace(mapped, columns=())
    with Reading(source, table, columns_read(only)) as reading:
        stage(ctx, reading, only, into=KEYS)
    found = run(
        ctx,
        f"SELECT m.source_key {brought} AND NOT EXISTS "
        f"(SELECT FROM {KEYS} s WHERE s.{sql.name(mapped.key)} = m.source_key) ORDER BY m.source_key LIMIT {SHOWN}",
    )
    return tuple(str(key) for (key,) in found)


def _lines(
    ctx: Ctx, source: Source, mapping: MoveMap, mapped: TableMap, table: SourceTable, found: Found
) -> Iterator[Line]:
    summed = {each.ours: column for each in mapped.fields() if (column := _summed(mapped, each.ours, each.kind))}
    timed = {
        each.ours: column
        for each in mapped.fields()
        if each.kind is Kind.MOMENT and (column := mapped.filling(each.ours)) and column.zone in {None, "UTC"}
    }
    totals = source.totals(
        table, sums=[column.name for column in summed.values()], spans=[column.name for column in timed.values()]
    )
    mine = _mine(ctx, mapping, mapped, list(summed), list(timed))
    counted = ((found.left, "left behind"), (found.moved_on, "moved on"), (found.repaired, "repaired as decided"))
    apart = [f"{number} {what}" for number, what in counted if number]
    yield Line(", ".join(["rows", *apart]), str(totals.rows - found.left - found.moved_on), str(mine["rows"]))
    if apart:
        return  # the source's sums are of them as they are there
    for ours, column in summed.items():
        yield Line(f"sum of {ours}", _plain(totals.sums[column.name], column), str(mine[f"sum_{ours}"]))
    for ours, column in timed.items():
        for place, end in enumerate(("first", "last")):
            theirs = (totals.spans[column.name][place] or "")[:19]
            yield Line(f"{end} {ours}", theirs, str(mine[f"{end}_{ours}"] or ""))


def _summed(mapped: TableMap, ours: str, kind: Kind) -> ColumnMap | None:
    """Amounts and credits; amounts of several currencies in major units have no one sum."""
    column = mapped.filling(ours)
    if column is None or kind not in {Kind.MONEY, Kind.WHOLE}:
        return None
    return None if column.unit is Unit.MAJOR and mapped.filling("price_currency") else column


def _plain(total: str | None, column: ColumnMap) -> str:
    number = Decimal(total or 0) * (100 if column.unit is Unit.MAJOR else 1)
    return f"{number:f}".rstrip("0").rstrip(".") if "." in f"{number:f}" else f"{number:f}"


def _mine(ctx: Ctx, mapping: MoveMap, mapped: TableMap, summed: list[str], timed: list[str]) -> Mapping[str, object]:
    asked = {"rows": "count(*)"}
    asked |= {f"sum_{name}": f"coalesce(sum(o.{sql.name(name)}), 0)" for name in summed}
    for name in timed:
        column = f"timezone('UTC', o.{sql.name(name)})"
        asked[f"first_{name}"] = f"to_char(min({column}), 'YYYY-MM-DD HH24:MI:SS')"
        asked[f"last_{name}"] = f"to_char(max({column}), 'YYYY-MM-DD HH24:MI:SS')"
    key = sql.name(mapped.entity.key.ours)
    found = run(
        ctx,
        f"SELECT {', '.join(asked.values())} FROM {mapped.to} o JOIN moved_rows m ON m.record = o.{key}::text "
        f"WHERE m.table_name = {sql.value(mapped.to)} AND m.system = {sql.value(mapping.system)}",
    ).fetchone()
    return dict(zip(asked, found, strict=True))
