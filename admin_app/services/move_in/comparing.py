"""Proof that what was brought over is what the earlier system has: rows, sums, times and digests on both sides.

Rows, sums and times of the source are counted by the source itself, not by what read it. Digests are compared row by
row, so that what differs is named.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from admin_app.context import Ctx
from admin_app.integrations.earlier import Source, SourceTable
from admin_app.services.move_in import between, sql
from admin_app.services.move_in.catalog import Kind
from admin_app.services.move_in.importing import columns_written, digest
from admin_app.services.move_in.mapping import LEAVE, ColumnMap, MoveMap, TableMap, Unit
from admin_app.services.move_in.matching import matched
from admin_app.services.move_in.staging import (
    breaks_any,
    moved_parents,
    patiently,
    prepare,
    refusals,
    repairs_any,
    run,
    stage,
)

SHOWN = 100
STAGED, PREPARED = "compared_staged", "compared_rows"


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


def compare(ctx: Ctx, *, source: Source, mapping: MoveMap) -> Iterator[Compared]:
    """Every table of the mapping; nothing is kept."""
    tables = {table.name: table for table in source.tables()}
    mapping = matched(mapping, list(tables.values()))
    patiently(ctx.session)
    for mapped in mapping.tables:
        stage(ctx, source, tables[mapped.name], mapped, into=STAGED)
        with refusals(mapped):
            prepare(ctx, mapping, mapped, staged=STAGED, into=PREPARED, parents=moved_parents(mapping))
            between.mark_pending_past(ctx, mapping, mapped, PREPARED)
        yield _compared(ctx, source, mapping, mapped, tables[mapped.name])


def _compared(ctx: Ctx, source: Source, mapping: MoveMap, mapped: TableMap, table: SourceTable) -> Compared:
    key = sql.name(mapped.entity.key.ours)
    kind = "text" if mapped.entity.key.kind is Kind.OWN_KEY else "bigint"
    run(
        ctx,
        "DROP TABLE IF EXISTS pg_temp.compared_both; CREATE TEMP TABLE compared_both ON COMMIT DROP AS "
        f"SELECT p.source_key, p.is_known, {_left(mapping, mapped)} AS is_left, "
        f"{_moved_on(mapped, key)} AS is_moved_on, {digest(columns_written(mapped), 'p')} AS theirs, "
        f"CASE WHEN o.{key} IS NOT NULL THEN {digest(columns_written(mapped), 'o')} END AS ours "
        f"FROM {PREPARED} p LEFT JOIN {mapped.to} o ON o.{key} = CASE WHEN p.is_known THEN p.record::{kind} END",
    )
    checksum = "md5(coalesce(string_agg({side}::text, '' ORDER BY source_key), ''))"
    (theirs, ours, left, moved_on, repaired) = run(
        ctx,
        f"SELECT {checksum.format(side='theirs')}, {checksum.format(side='ours')}, "
        "(SELECT count(*) FROM compared_both WHERE is_left), "
        "(SELECT count(*) FROM compared_both WHERE is_moved_on), "
        f"(SELECT count(*) FROM {PREPARED} WHERE {repairs_any(mapping)}) "
        "FROM compared_both WHERE NOT is_left AND NOT is_moved_on",
    ).fetchone()
    return Compared(
        mapped.name,
        mapped.to,
        tuple(_lines(ctx, source, mapping, mapped, table, left, moved_on, repaired)),
        _keys(ctx, "NOT is_left AND NOT is_moved_on AND is_known AND theirs IS DISTINCT FROM ours"),
        _keys(ctx, "NOT is_left AND NOT is_known"),
        _gone(ctx, mapping, mapped),
        left,
        moved_on,
        theirs,
        ours,
    )


def _left(mapping: MoveMap, mapped: TableMap) -> str:
    """Left behind by decision, or by a rule between rows when it was brought over."""
    decided = f"p.broken IS NOT NULL AND {breaks_any(mapping, LEAVE).replace('unnest(broken)', 'unnest(p.broken)')}"
    return (
        f"(({decided}) OR EXISTS (SELECT FROM moved_rows m WHERE m.source_key = p.source_key "
        f"AND m.left_because IS NOT NULL AND m.system = {sql.value(mapping.system)} "
        f"AND m.table_name = {sql.value(mapped.to)}))"
    )


def _moved_on(mapped: TableMap, key: str) -> str:
    """A `temp_` row that has become a purchase that waits, or joined one."""
    if mapped.to != "profiles":
        return "false"
    adopted = (
        "SELECT FROM audit_entries a WHERE a.event = 'purchase.legacy_adopted' "
        "AND a.facts ->> 'legacy_user_id' = p.source_key"
    )
    return f"(p.is_known AND o.{key} IS NULL AND starts_with(p.source_key, 'temp_') AND EXISTS ({adopted}))"


def _keys(ctx: Ctx, which: str) -> tuple[str, ...]:
    found = run(ctx, f"SELECT source_key FROM compared_both WHERE {which} ORDER BY source_key LIMIT {SHOWN}")
    return tuple(str(key) for (key,) in found)


def _gone(ctx: Ctx, mapping: MoveMap, mapped: TableMap) -> tuple[str, ...]:
    found = run(
        ctx,
        f"SELECT m.source_key FROM moved_rows m WHERE m.system = {sql.value(mapping.system)} "
        f"AND m.table_name = {sql.value(mapped.to)} AND m.record IS NOT NULL "
        "AND NOT EXISTS (SELECT FROM compared_both b WHERE b.source_key = m.source_key) "
        f"ORDER BY m.source_key LIMIT {SHOWN}",
    )
    return tuple(str(key) for (key,) in found)


def _lines(
    ctx: Ctx, source: Source, mapping: MoveMap, mapped: TableMap, table: SourceTable, left: int, moved_on: int,
    repaired: int,
) -> Iterator[Line]:  # fmt: skip
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
    counted = ((left, "left behind"), (moved_on, "moved on"), (repaired, "repaired as decided"))
    apart = [f"{number} {what}" for number, what in counted if number]
    yield Line(", ".join(["rows", *apart]), str(totals.rows - left - moved_on), str(mine["rows"]))
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
