"""Bringing an earlier system's rows over: in batches, each a transaction, again and again until the cut-over.

What did not change since the last time is left alone; what changed there is brought up to date here, unless somebody
changed it here meanwhile, which is told. Stopped anywhere, the next run goes on behind the last batch.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass, field

import psycopg
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from admin_app.context import Ctx
from admin_app.errors import Conflict, InvalidInput
from admin_app.integrations.earlier import Source, SourceTable
from admin_app.services.core import audit
from admin_app.services.move_in import between, derived, gathering, sql
from admin_app.services.move_in.catalog import Kind
from admin_app.services.move_in.mapping import MoveMap, TableMap, require_decided
from admin_app.services.move_in.matching import as_read, matched
from admin_app.services.move_in.reading import Reading
from admin_app.services.move_in.staging import (
    columns_read,
    last_key,
    moved_parents,
    number,
    patiently,
    prepare,
    refusals,
    run,
    stage,
)
from admin_app.services.move_in.writing import Batch, Counts, write_with_care
from models.move_in import MoveRun

BATCH = 20_000
STAGED, PREPARED = "staged_rows", "prepared_rows"
# How many records the earlier system may still make, by numbers of its own, before it is cut off.
ROOM, GREATEST = 100_000, 2**63 - 1
Work = Callable[[], AbstractContextManager[Ctx]]


class ImportRuns(Conflict):
    code = "import_runs"
    sentence = "Another import of this system is running, or it is being taken back. Wait until that has ended."


class TakenBack(Conflict):
    code = "import_taken_back"
    sentence = "What was brought over has been taken back meanwhile. Run the import again to begin anew."


@dataclass(frozen=True)
class Step:
    """After each batch: which of our tables, and its counts up to now. `is_read`: all that is left is to write it."""

    table: str
    counts: Counts
    done: bool
    is_read: bool = False


def start(ctx: Ctx, *, source: Source, mapping: MoveMap, file: str) -> int:
    """A new run, or the one that was stopped; its number. Raises InvalidInput while anything is undecided."""
    require_decided(matched(mapping, source.tables()))
    going = ctx.session.scalar(select(MoveRun).where(MoveRun.system == mapping.system, MoveRun.finished_at.is_(None)))
    if going is not None and (going.mapping, going.source) != (file, source.where):
        # What it did it did by another mapping, and a run has one: everything is looked at again, by this one.
        gathering.forget(ctx, _locked(ctx, going.id))
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
        bringing = _Table(source, mapping, mapped, as_read(mapped, tables), run_id, batch)
        with closing(bringing):
            yield from bringing.steps(work)
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


@dataclass
class Progress:
    """How far a table got. `gathers`: its rows are gathered and written at once; `is_read`: all of them lie there."""

    after: str | None = None
    done: bool = False
    counts: Counts = field(default_factory=Counts)
    gathers: bool | None = None
    is_read: bool = False

    @classmethod
    def of(cls, row: MoveRun, to: str) -> "Progress":
        said = dict(row.progress.get(to) or {})
        return cls(**(said | {"counts": Counts(**said.get("counts", {}))}))

    def put(self, row: MoveRun, to: str) -> None:
        row.progress = row.progress | {to: asdict(self)}


@dataclass
class _Table:
    """One table on its way, batch by batch, with what is read ahead of it meanwhile."""

    source: Source
    mapping: MoveMap
    mapped: TableMap
    table: SourceTable
    run_id: int
    size: int
    reading: Reading | None = None

    def steps(self, work: Work) -> Iterator[Step]:
        done = False
        while not done:
            try:
                with work() as ctx:
                    step = self._batch(ctx)
            except InvalidInput:
                with work() as ctx:
                    gathering.forget(ctx, _locked(ctx, self.run_id))
                raise
            done = step.done
            yield step

    def close(self) -> None:
        if self.reading is not None:
            self.reading.close()
            self.reading = None

    def _batch(self, ctx: Ctx) -> Step:
        row = _locked(ctx, self.run_id)
        # Stopped in the middle it goes on behind the last batch that is there, so none has to wait for the disk.
        run(ctx, "SET LOCAL synchronous_commit = off")
        progress = Progress.of(row, self.mapped.to)
        batch = Batch(ctx, self.mapping, self.mapped, self.run_id, PREPARED)
        if progress.gathers is None and not progress.done:
            progress.gathers = gathering.is_worth_it(ctx, self.source, self.mapping, self.mapped)
        if progress.is_read and not progress.done:
            progress = self._write_gathered(batch, progress)
        elif not progress.done:
            self._next(batch, progress)
        progress.put(row, self.mapped.to)
        return Step(self.mapped.to, progress.counts, progress.done, progress.is_read)

    def _next(self, batch: Batch, progress: Progress) -> None:
        """Bring over, or gather, the rows that follow."""
        ctx, is_new = batch.ctx, progress.after is None
        rows = stage(ctx, self._reading_on(progress.after), self.mapped, into=STAGED, limit=self.size)
        progress.counts.read += rows
        with refusals(self.mapped):
            if progress.gathers:
                if is_new:
                    gathering.begin(ctx, self.mapping, self.mapped, staged=STAGED)
                gathering.add(batch, staged=STAGED)
            elif rows:
                _prepare(batch)
                write_with_care(batch, progress.counts)
        progress.after = last_key(ctx, self.mapped, STAGED) or progress.after
        if rows < self.size:
            self.close()
            progress.is_read = True
            progress.done = not progress.gathers
            if progress.done:
                progress.counts.gone = _gone(batch, progress.counts)
        elif self.reading is not None:
            self.reading.after = progress.after

    def _write_gathered(self, batch: Batch, progress: Progress) -> Progress:
        if not gathering.is_whole(batch.ctx, self.mapping, self.mapped, progress.counts):
            return Progress()
        with refusals(self.mapped):
            gathering.write(batch, progress.counts)
        progress.done = True
        return progress

    def _reading_on(self, after: str | None) -> Reading:
        """What is read ahead, as long as nobody else brought over a batch of it meanwhile."""
        if self.reading is not None and self.reading.after != after:
            self.close()
        if self.reading is None:
            self.reading = Reading(self.source, self.table, columns_read(self.mapped), after=after)
        return self.reading


def _prepare(batch: Batch) -> None:
    ctx, mapping, mapped = batch.ctx, batch.mapping, batch.mapped
    prepare(ctx, mapping, mapped, staged=STAGED, into=PREPARED, parents=moved_parents(mapping))
    between.mark_pending_past(ctx, mapping, mapped, PREPARED)
    between.mark_unrefused(ctx, mapping, mapped, PREPARED)


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


def _gone(batch: Batch, counts: Counts) -> int:
    """How many rows that were brought over are not there any more; their records stay, and `verify` names them."""
    known = number(
        batch.ctx,
        f"SELECT count(*) FROM moved_rows WHERE system = {sql.value(batch.mapping.system)} "
        f"AND table_name = {sql.value(batch.mapped.to)}",
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
