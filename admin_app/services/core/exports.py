"""Lists that are taken away as files: who took which one, and the files of the larger ones until they expire.

What a list holds is told from above (`Lists`): the rows of an export are those that the page shows, by its own
statement. A file is always written in the name of the person who asked for it, with the role they have then.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from tempfile import TemporaryFile
from typing import IO, Protocol

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from admin_app.context import Ctx, Staff
from admin_app.errors import Conflict, Forbidden, NotFound
from admin_app.integrations import job_queue
from admin_app.policies.permissions import REFUSALS, Permission, allows, require
from admin_app.services.core import audit
from admin_app.services.core.records import export_key, lock_names
from admin_app.services.core.table_files import Value, blocks, csv_bytes, xlsx_bytes
from models import Export, ExportChunk, ExportFormat, ExportState, StaffMember

# Up to here a file is the answer to the request itself; a larger one is made by a job.
DIRECT_ROWS = 5_000
CHUNK_BYTES = 1024 * 1024
ROWS_PER_STEP = 2_000
AT_ONCE = 100
UNFINISHED = (ExportState.QUEUED, ExportState.RUNNING)

Seen = Callable[[int], None]


@dataclass(frozen=True)
class Wanted:
    """A list by its address: the section, and the pairs of name and value that narrow and sort it."""

    section: str
    arguments: tuple[tuple[str, str], ...]
    format: ExportFormat
    time_zone: str


@dataclass(frozen=True)
class ListTable:
    """A list as a table; `rows` reads from the database as it goes."""

    title: str
    filter_words: str
    header: Sequence[str]
    rows: Generator[Sequence[Value]]


class Lists(Protocol):
    """The lists that the console shows."""

    def permission(self, section: str) -> Permission:
        """What reading this list needs; NotFound when there is no such list."""

    def table(self, session: Session, wanted: Wanted, reader: Staff) -> ListTable:
        """The list as this person sees it; Forbidden when they may not read it."""

    def estimated_rows(self, session: Session, wanted: Wanted, reader: Staff) -> int:
        """How many rows the planner expects."""


class TooLarge(Exception):
    """There are more rows than one answer should carry."""


class Overtaken(Exception):
    """Another try of the same export has begun meanwhile."""


class ExportExpired(Conflict):
    """The file's time is over and its contents are deleted: 409. Export again."""

    code = "export_expired"
    sentence = "This file has expired and was deleted. Export the list again."


class ExportNotReady(Conflict):
    """The job has not finished the file: 409. Ask again in a moment."""

    code = "export_not_ready"
    sentence = "This file is not ready yet. Look again in a moment."


@dataclass(frozen=True)
class Work:
    """One try of making a file: whose, of what, and when it began, which tells it from other tries."""

    export_id: int
    wanted: Wanted
    reader: Staff
    began_at: datetime


def write_file(file: IO[bytes], table: ListTable, form: ExportFormat, *, created: datetime, seen: Seen) -> int:
    """Write the table into the file and say how many rows it has; `seen` is told after every row and may stop it."""
    written = 0

    def counted() -> Iterator[Sequence[Value]]:
        nonlocal written
        # Whatever stops the writing, the reading stops with it.
        with closing(table.rows) as rows:
            for row in rows:
                written += 1
                seen(written)
                yield row

    match form:
        case ExportFormat.CSV:
            made = csv_bytes(table.header, counted())
        case ExportFormat.XLSX:
            made = xlsx_bytes(table.header, counted(), created=created)
    for block in made:
        file.write(block)
    return written


def file_name(section: str, form: ExportFormat, moment: datetime) -> str:
    """The name under which a browser saves the file; the minute is `moment` as it is given, so in UTC for a UTC one."""
    return f"{section}-{moment:%Y-%m-%d-%H%M}.{form.value}"


# -- small ones: handed over at once --------------------------------------------------------------------------------


def hand_over(ctx: Ctx, *, wanted: Wanted, filter_words: str, rows: int, size: int) -> Export:
    """Note that a file was made and handed over at once; nothing of it is kept."""
    require(ctx, Permission.EXPORTS_MAKE)
    export = _noted(ctx, wanted, filter_words, ExportState.HANDED_OVER)
    export.rows, export.size, export.started_at, export.finished_at = rows, size, ctx.now, ctx.now
    ctx.session.flush()
    _record(ctx, "export.made", export)
    return export


# -- larger ones: made by a job -------------------------------------------------------------------------------------


def queue(ctx: Ctx, *, wanted: Wanted, filter_words: str, estimated_rows: int) -> Export:
    """Have the file made. Asking again while it is being made leads to the same one."""
    require(ctx, Permission.EXPORTS_MAKE)
    by_id = _reader(ctx).id
    lane = f"exports-of:{by_id}"
    lock_names(ctx.session, lane)
    same = ctx.session.scalar(
        select(Export).where(
            Export.by_id == by_id,
            Export.section == wanted.section,
            Export.format == wanted.format,
            Export.time_zone == wanted.time_zone,
            Export.state.in_(UNFINISHED),
            Export.arguments == [list(pair) for pair in wanted.arguments],
        )
    )
    if same is not None:
        return same
    export = _noted(ctx, wanted, filter_words, ExportState.QUEUED)
    export.estimated_rows = estimated_rows
    ctx.session.flush()
    # One after the other for each person, or a few clicks could keep every worker from everything else.
    job_queue.defer(ctx.session, "make_export", once_key=export_key(export.id), lane=lane, export_id=export.id)
    return export


def begin(ctx: Ctx, *, export_id: int) -> Work | None:
    """Start a try from nothing; None when there is nothing to do. Forbidden when the person may not export any more."""
    export = _locked(ctx, export_id)
    if export.state not in UNFINISHED:
        return None
    member = ctx.session.get_one(StaffMember, export.by_id)
    reader = Staff(member.id, member.email, member.role)
    if member.disabled_at is not None or not allows(reader, Permission.EXPORTS_MAKE):
        raise Forbidden(REFUSALS.get(Permission.EXPORTS_MAKE))
    _drop_chunks(ctx, export_id)
    export.state, export.started_at, export.rows, export.size = ExportState.RUNNING, ctx.now, 0, 0
    return Work(export_id, _wanted(export), reader, ctx.now)


def make(
    work: Work,
    lists: Lists,
    *,
    reads: Callable[[], AbstractContextManager[Session]],
    writes: Callable[[], AbstractContextManager[Ctx]],
) -> tuple[int, int]:
    """Write the file and keep it in chunks; returns its rows and bytes. Raises Overtaken when another try began."""

    def seen(rows: int) -> None:
        if rows % ROWS_PER_STEP == 0:
            with writes() as ctx:
                _running(ctx, work).rows = rows

    with TemporaryFile() as file:
        with reads() as session:
            table = lists.table(session, work.wanted, work.reader)
            rows = write_file(file, table, work.wanted.format, created=work.began_at, seen=seen)
        size = file.tell()
        file.seek(0)
        for number, body in enumerate(blocks(file, CHUNK_BYTES)):
            with writes() as ctx:
                export = _running(ctx, work)
                export.rows = rows
                ctx.session.add(ExportChunk(export_id=work.export_id, number=number, body=body))
    return rows, size


def finish(ctx: Ctx, *, work: Work, rows: int, size: int, keep_for: timedelta) -> None:
    """The file is whole: it may be downloaded until it expires."""
    require(ctx, Permission.EXPORTS_MAKE)
    export = _running(ctx, work)
    export.state, export.rows, export.size = ExportState.DONE, rows, size
    export.finished_at, export.expires_at, export.error_code = ctx.now, ctx.now + keep_for, None
    _record(ctx, "export.made", export)


def fail(ctx: Ctx, *, export_id: int, error_code: str) -> None:
    """There will be no file."""
    export = _locked(ctx, export_id)
    if export.state in UNFINISHED:
        _drop_chunks(ctx, export_id)
        export.state, export.error_code, export.finished_at = ExportState.FAILED, error_code, ctx.now


def expire(ctx: Ctx, *, limit: int = AT_ONCE) -> int:
    """Delete the files whose time is over; who took what stays known."""
    over = ctx.session.scalars(
        select(Export)
        .where(Export.state == ExportState.DONE, Export.expires_at <= ctx.now)
        .order_by(Export.expires_at, Export.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for export in over:
        _drop_chunks(ctx, export.id)
        export.state = ExportState.EXPIRED
    return len(over)


# -- taking a kept file ---------------------------------------------------------------------------------------------


def take(ctx: Ctx, *, export_id: int, lists: Lists) -> Export:
    """Note that a kept file is downloaded: by who had it made or an administrator, while they may read the list."""
    require(ctx, Permission.EXPORTS_MAKE)
    reader = _reader(ctx)
    export = _locked(ctx, export_id)
    if export.by_id != reader.id and not allows(reader, Permission.EXPORTS_TAKE_ANY):
        if not allows(reader, Permission.EXPORTS_SEE_ALL):
            raise NotFound
        raise Forbidden(REFUSALS[Permission.EXPORTS_TAKE_ANY])
    require(ctx, lists.permission(export.section))
    if export.state in UNFINISHED:
        raise ExportNotReady
    if export.state is not ExportState.DONE or export.expires_at is None or export.expires_at <= ctx.now:
        raise ExportExpired
    _record(ctx, "export.downloaded", export)
    return export


def body_of(session: Session, export_id: int) -> Iterator[bytes]:
    """The kept file, chunk by chunk, from one reading of the database."""
    in_order = select(ExportChunk.body).where(ExportChunk.export_id == export_id).order_by(ExportChunk.number)
    yield from session.scalars(in_order, execution_options={"yield_per": 1})


def _noted(ctx: Ctx, wanted: Wanted, filter_words: str, state: ExportState) -> Export:
    export = Export(
        section=wanted.section,
        arguments=[list(pair) for pair in wanted.arguments],
        filter_words=filter_words,
        format=wanted.format,
        time_zone=wanted.time_zone,
        state=state,
        by_id=_reader(ctx).id,
        created_at=ctx.now,
    )
    ctx.session.add(export)
    return export


def _record(ctx: Ctx, event: str, export: Export) -> None:
    facts = {
        "section": export.section,
        "filter": export.filter_words,
        "format": export.format.value.upper(),
        "rows": export.rows,
        "time_zone": export.time_zone,
    }
    audit.record(ctx, event, records=[export_key(export.id)], facts=facts)


def _reader(ctx: Ctx) -> Staff:
    if not isinstance(ctx.actor, Staff):
        raise Forbidden
    return ctx.actor


def _locked(ctx: Ctx, export_id: int) -> Export:
    export = ctx.session.get(Export, export_id, with_for_update=True)
    if export is None:
        raise NotFound
    return export


def _running(ctx: Ctx, work: Work) -> Export:
    export = _locked(ctx, work.export_id)
    if export.state is not ExportState.RUNNING or export.started_at != work.began_at:
        raise Overtaken
    return export


def _drop_chunks(ctx: Ctx, export_id: int) -> None:
    ctx.session.execute(delete(ExportChunk).where(ExportChunk.export_id == export_id))


def _wanted(export: Export) -> Wanted:
    pairs = tuple((str(name), str(value)) for name, value in export.arguments)
    return Wanted(export.section, pairs, export.format, export.time_zone)
