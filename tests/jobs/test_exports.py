"""Larger exports: made whole whatever happened before, in the name of who asked, and only while they may."""

import csv
import io
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from admin_app.config import Settings
from admin_app.context import Job, Staff
from admin_app.db import Database
from admin_app.integrations import registry
from admin_app.jobs import exports as job
from admin_app.jobs.bench import Bench
from admin_app.policies.permissions import Permission
from admin_app.services.core import exports
from admin_app.services.core.exports import ListTable, Wanted
from admin_app.services.core.table_files import Value
from models import AuditEntry, Export, ExportChunk, ExportFormat, ExportState, Role, StaffMember
from tests.console.framework.test_lists import add_bookings
from views.console import pages

ROWS = 60


class Killed(BaseException):
    """As if the process had gone."""


class Dying:
    """The console's lists, whose rows end with the process after some of them."""

    def __init__(self, after: int) -> None:
        self._after = after
        self._lists = pages.lists()

    def permission(self, section: str) -> Permission:
        return self._lists.permission(section)

    def estimated_rows(self, session: Session, wanted: Wanted, reader: Staff) -> int:
        return self._lists.estimated_rows(session, wanted, reader)

    def table(self, session: Session, wanted: Wanted, reader: Staff) -> ListTable:
        table = self._lists.table(session, wanted, reader)
        return replace(table, rows=self._some(table.rows))

    def _some(self, rows: Generator[Sequence[Value]]) -> Generator[Sequence[Value]]:
        with closing(rows):
            for number, row in enumerate(rows):
                if number == self._after:
                    raise Killed
                yield row


@pytest.fixture
def bench(real_db: Database, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(exports, "ROWS_PER_STEP", 20)
    monkeypatch.setattr(exports, "CHUNK_BYTES", 1024)
    settings = Settings(_env_file=None, database_url="postgresql://unused", secret_key="s" * 32)
    return Bench(real_db, settings, registry.from_settings(settings), pages.lists())


def asked(db: Database) -> tuple[int, Staff]:
    with db.unit_of_work(Job("tests")) as ctx:
        add_bookings(ctx.session, ROWS)
        member = StaffMember(email="kim@example.com", name="Kim", role=Role.OPS, password_hash="none")
        ctx.session.add(member)
        ctx.session.flush()
        person = Staff(member.id, member.email, member.role)
    with db.unit_of_work(person) as ctx:
        wanted = Wanted("bookings", (("sort", "starts"),), ExportFormat.CSV, "Europe/Berlin")
        return exports.queue(ctx, wanted=wanted, filter_words="all", estimated_rows=ROWS).id, person


def kept(db: Database, export_id: int) -> Export:
    with db.read_only() as session:
        return session.get_one(Export, export_id)


def test_a_file_is_whole_after_any_crash_and_belongs_to_who_asked(bench: Bench) -> None:
    db = bench.db
    export_id, _ = asked(db)
    with pytest.raises(Killed):
        job.make(replace(bench, lists=Dying(45)), export_id, last_try=False)
    assert (kept(db, export_id).state, kept(db, export_id).rows) == (ExportState.RUNNING, 40)
    with db.unit_of_work(Job("tests")) as ctx:
        # What a try has left that died while it kept its file.
        ctx.session.add(ExportChunk(export_id=export_id, number=7, body=b"half of a file"))
    job.make(bench, export_id, last_try=False)
    done = kept(db, export_id)
    assert (done.state, done.rows) == (ExportState.DONE, ROWS)
    assert done.finished_at is not None
    assert done.expires_at == done.finished_at + timedelta(days=7)
    with db.read_only() as session:
        body = b"".join(exports.body_of(session, export_id))
        assert session.query(ExportChunk).count() == -(-len(body) // 1024)
        (entry,) = session.query(AuditEntry).filter(AuditEntry.event == "export.made").all()
    assert done.size == len(body)
    header, *rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig"))))
    starts = [row[header.index("Starts (Europe/Berlin)")] for row in rows]
    assert len(rows) == ROWS
    assert starts == sorted(starts)
    assert starts[0].endswith("+01:00")
    assert (entry.actor_kind, entry.actor_label, entry.facts["rows"]) == ("staff", "kim@example.com", ROWS)
    # A job that comes once more finds nothing to do.
    job.make(bench, export_id, last_try=False)
    assert kept(db, export_id).finished_at == done.finished_at

    with db.unit_of_work(Job("tests")) as ctx:
        ctx.session.get_one(Export, export_id).expires_at = ctx.now
    assert job.expire(bench) == 1
    assert kept(db, export_id).state is ExportState.EXPIRED


def test_a_try_that_was_overtaken_or_may_not_leaves_no_file(bench: Bench) -> None:
    db = bench.db
    export_id, person = asked(db)
    with db.unit_of_work(Job("tests")) as ctx:
        first = exports.begin(ctx, export_id=export_id)
    with db.unit_of_work(Job("tests")) as ctx:
        assert exports.begin(ctx, export_id=export_id) is not None
    assert first is not None
    assert bench.lists is not None
    with pytest.raises(exports.Overtaken):
        exports.make(first, bench.lists, reads=db.read_only, writes=lambda: db.unit_of_work(Job("tests")))
    with db.unit_of_work(Job("tests")) as ctx:
        ctx.session.get_one(StaffMember, person.id).disabled_at = ctx.now
    job.make(bench, export_id, last_try=False)
    failed = kept(db, export_id)
    assert (failed.state, failed.error_code) == (ExportState.FAILED, "forbidden")
    with db.read_only() as session:
        assert session.query(ExportChunk).count() == 0


def test_patience_ends(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    export_id, _ = asked(bench.db)
    without = replace(bench, lists=None)
    for last_try, state in ((False, ExportState.QUEUED), (True, ExportState.FAILED)):
        with pytest.raises(LookupError):
            job.make(without, export_id, last_try=last_try)
        assert kept(bench.db, export_id).state is state
