"""Exports: who took which list away, how far a larger file is, and the file itself until it expires."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from tempfile import TemporaryFile
from types import MappingProxyType
from typing import IO, Any
from urllib.parse import urlencode

from flask import Response, current_app, flash, redirect, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from admin_app.db_limits import Limits
from admin_app.errors import InvalidInput
from admin_app.policies.permissions import Permission
from admin_app.services.core import exports
from admin_app.services.core.exports import ListTable, Wanted
from admin_app.services.core.table_files import blocks
from models import Export, ExportFormat, ExportState, StaffMember
from views.backdesk import backdesk
from views.console.framework.base import SECTIONS, ConsoleModelView, console_unit_of_work, page, reads
from views.console.framework.columns import Column
from views.console.framework.current_staff import viewer
from views.console.framework.exporting import ListTables, arguments_of
from views.console.framework.filters import Days, Exactly
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.listing import read_query
from views.console.framework.navigation import Menu
from views.console.framework.records import Group, RecordSpec
from views.reading import read_session

MAY = Permission.EXPORTS_MAKE
TYPES = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
LIST = Column("List", Export.section, text=lambda section: section.replace("-", " ").capitalize())
STATE = Column("State", Export.state, "badge")
FILTER = Column("Filter", Export.filter_words)
BY = Column("By", StaffMember.email, through=Export.by_id)
ROWS = Column("Rows", Export.rows, "number")
ASKED = Column("Asked for", Export.created_at, "time", sort="created")
EXPIRES = Column("Expires", Export.expires_at, "time")


class ExportsView(ConsoleModelView):
    in_menu = Menu("Oversight", "Exports", "external-link", 480)
    permissions = MappingProxyType({**reads(MAY), "make": MAY, "download": MAY})
    record_template = "console/core/export.html"
    listing = ListSpec(
        section="exports",
        title="Exports",
        one="export",
        model=Export,
        columns=(
            Column("Number", Export.id, link=("exports", Export.id)),
            LIST,
            FILTER,
            Column("Format", Export.format),
            STATE,
            ROWS,
            BY,
            ASKED,
            EXPIRES,
        ),
        sorts={
            "id": Sort("Order of asking", Export.id, descending=True),
            "created": Sort("Asked for", Export.created_at, descending=True),
        },
        filters=(
            Days("created", "Asked for", Export.created_at),
            Exactly("by", "Staff member", Export.by_id),
        ),
        own=(Export.by_id, Permission.EXPORTS_SEE_ALL),
        empty="Every list has its export above its rows; what was exported is kept here.",
    )
    record = RecordSpec(
        title=LIST,
        badge=STATE,
        groups=(
            Group(
                "What was exported",
                (
                    FILTER,
                    Column("Format", Export.format),
                    ROWS,
                    Column("Expected rows", Export.estimated_rows, "number"),
                    Column("Bytes", Export.size, "number"),
                    Column("Times in", Export.time_zone),
                ),
            ),
            Group(
                "Who and when",
                (
                    BY,
                    Column("Asked for", Export.created_at, "time"),
                    Column("Begun", Export.started_at, "time"),
                    Column("Finished", Export.finished_at, "time"),
                    EXPIRES,
                    Column("Failed because", Export.error_code),
                ),
            ),
        ),
        audited_as="export",
    )

    def more(self, record_id: str) -> dict[str, Any]:
        export = read_session().get_one(Export, int(record_id))
        person = viewer()
        over = export.state is not ExportState.DONE or export.expires_at is None
        is_there = not over and export.expires_at is not None and export.expires_at > backdesk().db.clock()
        mine = export.by_id == person.staff.id or person.may(Permission.EXPORTS_TAKE_ANY)
        list_there = export.section in current_app.extensions[SECTIONS]
        may_read = list_there and person.may(self._lists().permission(export.section))
        pairs = [(name, value) for name, value in export.arguments]
        expected = max(export.estimated_rows or 0, export.rows, 1)
        return {
            "export": export,
            "list_address": f"/admin/{export.section}/?{urlencode(pairs)}" if list_there else None,
            "under_way": export.state in exports.UNFINISHED,
            "expected": expected,
            "is_there": is_there,
            "may_take": is_there and mine and may_read,
            "is_over": export.state is ExportState.EXPIRED or (export.state is ExportState.DONE and not is_there),
        }

    @page("/of/<section>", methods=("POST",))
    def make(self, section: str) -> ResponseReturnValue:
        """The list as a file: at once when it is small, else by a job."""
        lists, reader, session = self._lists(), viewer().staff, read_session()
        lists.permission(section)
        wanted = self._wanted(section)
        with ExitStack() as opened:
            file = opened.enter_context(TemporaryFile())
            table = lists.table(session, wanted, reader)
            rows = _written(file, table, wanted)
            if rows is None:
                return self._by_job(wanted, table, lists.estimated_rows(session, wanted, reader))
            with console_unit_of_work() as ctx:
                words, size = table.filter_words, file.tell()
                made = exports.hand_over(ctx, wanted=wanted, filter_words=words, rows=rows, size=size)
            file.seek(0)
            answer = _file(blocks(file), made)
            # Read by the answer, after this function is done.
            answer.call_on_close(opened.pop_all().close)
        return answer

    def _by_job(self, wanted: Wanted, table: ListTable, estimated_rows: int) -> ResponseReturnValue:
        with console_unit_of_work() as ctx:
            asked = exports.queue(ctx, wanted=wanted, filter_words=table.filter_words, estimated_rows=estimated_rows)
        flash("The file is being made. It can be downloaded here as soon as it is ready.", "success")
        return redirect(f"/admin/exports/{asked.id}", 303)

    @page("/<int:export_id>/download", methods=("POST",))
    def download(self, export_id: int) -> ResponseReturnValue:
        """A kept file. Asked for by a form, because every download is noted."""
        with console_unit_of_work() as ctx:
            export = exports.take(ctx, export_id=export_id, lists=self._lists())
        house = backdesk()
        return _file(_kept(partial(house.db.stream, Limits.of_worker(house.settings)), export_id), export)

    def _lists(self) -> ListTables:
        return ListTables(current_app.extensions[SECTIONS])

    def _wanted(self, section: str) -> Wanted:
        person = viewer()
        try:
            form = ExportFormat(request.form.get("format", ""))
        except ValueError:
            raise InvalidInput("Choose a format for the file: CSV or XLSX.") from None
        query = read_query(self.neighbour(section).listing, request.args, person)
        # What is not understood is refused when the table is made, so it must not be lost here.
        given = tuple(request.args.items(multi=True)) if query.notices else arguments_of(query)
        return Wanted(section, given, form, person.zone.key)


def _written(file: IO[bytes], table: ListTable, wanted: Wanted) -> int | None:
    """The number of rows written; None when there are too many for one answer."""

    def seen(rows: int) -> None:
        if rows > exports.DIRECT_ROWS:
            raise exports.TooLarge

    try:
        return exports.write_file(file, table, wanted.format, created=backdesk().db.clock(), seen=seen)
    except exports.TooLarge:
        return None


def _file(body: Iterator[bytes], export: Export) -> Response:
    moment = (export.finished_at or export.created_at).astimezone(viewer().zone)
    name = exports.file_name(export.section, export.format, moment)
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Length": str(export.size),
        "Cache-Control": "no-store",
    }
    return Response(body, content_type=TYPES[export.format], headers=headers)


def _kept(reads: Callable[[], AbstractContextManager[Session]], export_id: int) -> Iterator[bytes]:
    # The request's own session is gone when the answer is read.
    with reads() as session:
        yield from exports.body_of(session, export_id)
