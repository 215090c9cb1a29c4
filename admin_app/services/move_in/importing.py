"""Bringing an earlier system's rows over: in batches, each a transaction, again and again until the cut-over.

What did not change since the last time is left alone; what changed there is brought up to date here, unless somebody
changed it here meanwhile, which is told. Stopped anywhere, the next run goes on behind the last batch.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from admin_app.context import Ctx
from admin_app.errors import Conflict, InvalidInput
from admin_app.integrations.earlier import Source, SourceTable
from admin_app.services import audit
from admin_app.services.move_in import between, derived, sql
from admin_app.services.move_in.catalog import Entity, Kind
from admin_app.services.move_in.mapping import LEAVE, REFUSE, SENTENCES, MoveMap, Rule, TableMap, require_decided
from admin_app.services.move_in.matching import matched
from admin_app.services.move_in.staging import (
    BY_RULES,
    breaks_any,
    by_rules,
    driver,
    last_key,
    moved_parents,
    patiently,
    prepare,
    refusals,
    run,
    stage,
)
from models import Base
from models.move_in import MoveRun

BATCH = 20_000
STAGED, PREPARED = "staged_rows", "prepared_rows"
SHOWN = 10
# How many records the earlier system may still make, by numbers of its own, before it is cut off.
ROOM, GREATEST = 100_000, 2**63 - 1
Work = Callable[[], AbstractContextManager[Ctx]]


class ImportRuns(Conflict):
    code = "import_runs"
    sentence = "Another import of this system is running, or it is being taken back. Wait until that has ended."


class TakenBack(Conflict):
    code = "import_taken_back"
    sentence = "What was brought over has been taken back meanwhile. Run the import again to begin anew."


@dataclass
class Counts:
    """What an import did with the rows of one table so far."""

    read: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    left: int = 0
    gone: int = 0
    conflicts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Step:
    """After each batch: which of our tables, and its counts up to now."""

    table: str
    counts: Counts
    done: bool


def start(ctx: Ctx, *, source: Source, mapping: MoveMap, file: str) -> int:
    """A new run, or the one that was stopped; its number. Raises InvalidInput while anything is undecided."""
    require_decided(matched(mapping, source.tables()))
    going = ctx.session.scalar(select(MoveRun).where(MoveRun.system == mapping.system, MoveRun.finished_at.is_(None)))
    if going is not None and (going.mapping, going.source) != (file, source.where):
        # What it did it did by another mapping, and a run has one: everything is looked at again, by this one.
        going.finished_at = ctx.now
        ctx.session.flush()
        going = None
    if going is None:
        going = MoveRun(system=mapping.system, source=source.where, mapping=file, progress={}, started_at=ctx.now)
        ctx.session.add(going)
        ctx.session.flush()
    return going.id


def bring_over(work: Work, *, source: Source, mapping: MoveMap, run_id: int, batch: int = BATCH) -> Iterator[Step]:
    """All tables of the system, a step per batch; each batch is committed before its step is told."""
    tables = {table.name: table for table in source.tables()}
    mapping = matched(mapping, list(tables.values()))
    for mapped in mapping.tables:
        done = False
        while not done:
            with work() as ctx:
                step = _batch(ctx, source, mapping, mapped, tables[mapped.name], run_id, batch)
            done = step.done
            yield step
        with work() as ctx:
            patiently(ctx.session)
            _locked(ctx, run_id)
            derived.fill(ctx, table=mapped.to, run_id=run_id)
    _give_memberships(work, run_id)
    with work() as ctx:
        _finish(ctx, mapping, run_id)


def _give_memberships(work: Work, run_id: int) -> None:
    after = ("", "")
    while True:
        with work() as ctx:
            holders = derived.holders(ctx.session, run_id=run_id, after=after)
            derived.give_memberships(ctx, holders)
        if not holders:
            break
        after = holders[-1]


def _batch(
    ctx: Ctx, source: Source, mapping: MoveMap, mapped: TableMap, table: SourceTable, run_id: int, batch: int
) -> Step:
    row = _locked(ctx, run_id)
    before = dict(row.progress.get(mapped.to) or {})
    if before.get("done"):
        return Step(mapped.to, Counts(**before["counts"]), True)
    counts = Counts(**before.get("counts", {}))
    number = stage(ctx, source, table, mapped, into=STAGED, after=before.get("after"), limit=batch)
    counts.read += number
    if number:
        with refusals(mapped):
            prepare(ctx, mapping, mapped, staged=STAGED, into=PREPARED, parents=moved_parents(mapping))
            between.mark_pending_past(ctx, mapping, mapped, PREPARED)
            _write_with_care(ctx, mapping, mapped, run_id, counts)
    done = number < batch
    if done:
        counts.gone = _gone(ctx, source, mapping, mapped, table, counts)
    after = last_key(ctx, mapped, STAGED) or before.get("after")
    row.progress = row.progress | {mapped.to: {"after": after, "done": done, "counts": counts.__dict__}}
    return Step(mapped.to, counts, done)


def _locked(ctx: Ctx, run_id: int) -> MoveRun:
    """The run, so that two imports of one system never do the same batch, and none is taken back meanwhile."""
    try:
        row = ctx.session.get(MoveRun, run_id, with_for_update={"nowait": True}, populate_existing=True)
    except DBAPIError as busy:
        if isinstance(busy.orig, psycopg.errors.LockNotAvailable):
            raise ImportRuns from busy
        raise
    if row is None:
        raise TakenBack
    hold(ctx, row.system)
    return row


def hold(ctx: Ctx, system: str, *, alone: bool = False) -> None:
    """Until the transaction ends: batches of a system beside each other, or its taking back alone."""
    take = func.pg_try_advisory_xact_lock if alone else func.pg_try_advisory_xact_lock_shared
    if not ctx.session.scalar(select(take(func.hashtext(f"flask legacy {system}")))):
        raise ImportRuns


def _write_with_care(ctx: Ctx, mapping: MoveMap, mapped: TableMap, run_id: int, counts: Counts) -> None:
    """Write at once; only where the database refuses a row is it looked at what stands between rows."""
    _refuse(ctx, mapping, mapped)
    was = counts.__dict__ | {"conflicts": list(counts.conflicts)}
    try:
        with _savepoint(ctx):
            _write(ctx, mapping, mapped, run_id, counts, _conflicts(ctx, mapped, _changed(mapping)))
    except (psycopg.errors.UniqueViolation, psycopg.errors.ExclusionViolation):
        counts.__dict__.update(was)
        _conflicts(ctx, mapped, _changed(mapping))
        between.mark_twice(ctx, mapping, mapped, PREPARED)
        between.mark_overlaps(ctx, mapping, mapped, PREPARED)
        _refuse(ctx, mapping, mapped)
        conflicts = _conflicts(ctx, mapped, _changed(mapping))
        between.make_room(ctx, mapping, mapped, PREPARED)
        _write(ctx, mapping, mapped, run_id, counts, conflicts)


@contextmanager
def _savepoint(ctx: Ctx) -> Iterator[None]:
    with driver(ctx.session).transaction():
        yield


def _refuse(ctx: Ctx, mapping: MoveMap, mapped: TableMap) -> None:
    """Stop with the rows that break a rule about which nothing else was decided."""
    found = run(
        ctx,
        f"SELECT b, count(*), (array_agg(source_key))[1:{SHOWN}] FROM {PREPARED}, unnest(broken) b "
        f"WHERE {breaks_any(mapping, REFUSE)} AND told IS DISTINCT FROM told_before GROUP BY b ORDER BY b",
    ).fetchall()
    refusing = [(Rule(said.partition(":")[0]), said.partition(":")[2], number, keys) for said, number, keys in found]
    sentences = [
        f"{mapped.name}, our {ours}: {SENTENCES[rule]} ({rule.value}), {number} rows, for example {', '.join(keys)}"
        for rule, ours, number, keys in refusing
        if mapping.decided(rule) == REFUSE
    ]
    if sentences:
        raise InvalidInput(
            "Rows stand in the way. Put them right there, or decide about them in the mapping:\n  "
            + "\n  ".join(sentences)
        )


def _changed(mapping: MoveMap) -> str:
    return f"told IS DISTINCT FROM told_before AND NOT {breaks_any(mapping, LEAVE)}"


def _write(ctx: Ctx, mapping: MoveMap, mapped: TableMap, run_id: int, counts: Counts, conflicts: Sequence[str]) -> None:
    left, changed = breaks_any(mapping, LEAVE), _changed(mapping)
    counts.unchanged += _number(ctx, f"SELECT count(*) FROM {PREPARED} WHERE told = told_before")
    counts.new += _insert(ctx, mapped, f"NOT is_known AND {changed}")
    counts.conflicts += conflicts
    counts.changed += _update(ctx, mapped, changed)
    counts.left += _number(ctx, f"SELECT count(*) FROM {PREPARED} WHERE {left}")
    _remember(ctx, mapping, mapped, run_id, left)


def columns_written(mapped: TableMap) -> list[str]:
    """Our columns that an import writes, but the key."""
    kinds = {Kind.IDENTITY, Kind.OWN_KEY}
    return [each.ours for each in mapped.fields() if each.kind not in kinds] + list(by_rules(mapped))


def kept(entity: Entity, alias: str) -> str:
    """SQL of what tells whether a record is still as it was left, whichever of its columns were brought over."""
    kinds = {Kind.IDENTITY, Kind.OWN_KEY}
    ours = [each.ours for each in entity.fields if each.kind not in kinds]
    return digest([*ours, *BY_RULES.get(entity.table, ())], alias)


def digest(columns: Sequence[str], alias: str) -> str:
    """SQL of one value for all of these columns together."""
    return f"md5(ROW({', '.join(f'{alias}.{sql.name(name)}' for name in columns)})::text)::uuid"


def _key(mapped: TableMap) -> str:
    kind = "text" if mapped.entity.key.kind is Kind.OWN_KEY else "bigint"
    return f"record::{kind}"


def _insert(ctx: Ctx, mapped: TableMap, which: str) -> int:
    listed = ", ".join(sql.name(name) for name in columns_written(mapped))
    key = sql.name(mapped.entity.key.ours)
    return int(
        run(
            ctx,
            f"INSERT INTO {mapped.to} ({key}, {listed}) OVERRIDING SYSTEM VALUE "
            f"SELECT {_key(mapped)}, {listed} FROM {PREPARED} WHERE {which}",
        ).rowcount
    )


def _conflicts(ctx: Ctx, mapped: TableMap, changed: str) -> list[str]:
    """Records that were changed, or went, here as well since: ours stay as they are, and it is told every time."""
    key = sql.name(mapped.entity.key.ours)
    still = f"SELECT FROM {mapped.to} o WHERE o.{key} = p.{_key(mapped)} AND {kept(mapped.entity, 'o')} = p.kept_before"
    found = run(
        ctx,
        f"UPDATE {PREPARED} p SET is_conflict = true WHERE p.is_known AND {changed} AND NOT EXISTS ({still}) "
        "RETURNING p.record",
    ).fetchall()
    return sorted(str(record) for (record,) in found)


def _update(ctx: Ctx, mapped: TableMap, changed: str) -> int:
    columns = columns_written(mapped)
    sets = [f"{sql.name(name)} = p.{sql.name(name)}" for name in columns]
    if "version" in _columns_of(mapped):
        sets.append("version = o.version + 1")
    key = sql.name(mapped.entity.key.ours)
    return int(
        run(
            ctx,
            f"UPDATE {mapped.to} o SET {', '.join(sets)} FROM {PREPARED} p WHERE o.{key} = p.{_key(mapped)} "
            f"AND p.is_known AND NOT p.is_conflict AND {changed}",
        ).rowcount
    )


def _columns_of(mapped: TableMap) -> Any:
    return Base.metadata.tables[mapped.to].c


def _remember(ctx: Ctx, mapping: MoveMap, mapped: TableMap, run_id: int, left: str) -> None:
    """What became of each row. Where both sides changed, what was kept stays, so that it is told again; so does the
    record of a row that was brought over and is left behind by now.
    """
    key = sql.name(mapped.entity.key.ours)
    named = f"{sql.value(mapping.system)}, {sql.value(mapped.name)}, {sql.value(mapped.to)}"
    run(
        ctx,
        "INSERT INTO moved_rows "
        "(source_key, system, source_table, table_name, record, told, kept, left_because, run_id) "
        f"SELECT source_key, {named}, CASE WHEN NOT {left} THEN record END, told, "
        f"CASE WHEN NOT {left} THEN {kept(mapped.entity, 'o')} END, "
        f"CASE WHEN {left} THEN array_to_string(broken, ' ') END, {run_id:d} FROM {PREPARED} p "
        f"LEFT JOIN {mapped.to} o ON o.{key} = CASE WHEN NOT {left} THEN {_key(mapped)} END "
        f"WHERE told IS DISTINCT FROM told_before AND NOT is_conflict AND NOT (is_known AND {left}) "
        "ON CONFLICT (source_key, table_name, system) DO UPDATE SET record = excluded.record, told = excluded.told, "
        "kept = excluded.kept, left_because = excluded.left_because, run_id = excluded.run_id",
    )


def _number(ctx: Ctx, statement: str) -> int:
    return int(run(ctx, statement).fetchone()[0])


def _gone(ctx: Ctx, source: Source, mapping: MoveMap, mapped: TableMap, table: SourceTable, counts: Counts) -> int:
    """How many rows that were brought over are not there any more; their records stay, and `verify` names them."""
    known = _number(
        ctx,
        f"SELECT count(*) FROM moved_rows WHERE system = {sql.value(mapping.system)} "
        f"AND table_name = {sql.value(mapped.to)}",
    )
    return max(0, known - counts.read)


def _finish(ctx: Ctx, mapping: MoveMap, run_id: int) -> None:
    row = _locked(ctx, run_id)
    for mapped in mapping.tables:
        if mapped.entity.key.kind is Kind.IDENTITY:
            _set_sequence(ctx, mapped.to)
    row.finished_at = ctx.now
    audit.record(
        ctx,
        "legacy.imported",
        records=[f"move_run:{run_id}"],
        facts={"system": mapping.system, "rows": sum(part["counts"]["new"] for part in row.progress.values())},
    )


def _set_sequence(ctx: Ctx, table: str) -> None:
    """Numbers that the product gives next lie behind those that were brought over, and leave room for those to come:
    until the cut-over records are made on both sides.
    """
    ctx.session.execute(
        text(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), greatest("
            f"(SELECT max(id) + 1 FROM {table} WHERE id < {GREATEST}), "
            "(SELECT max(record::bigint) FROM moved_rows WHERE table_name = :table AND record = source_key "
            f"AND length(record) < {len(str(GREATEST))}) + {ROOM}, "
            f"nextval(pg_get_serial_sequence('{table}', 'id'))), false)"
        ),
        {"table": table},
    )
