"""A large table's first import: gathered batch by batch, written at once, never seen without its indexes."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from admin_app.db import Database
from admin_app.errors import InvalidInput
from admin_app.integrations.earlier import SourceFailed, SourceTable, open_source
from admin_app.services.move_in import comparing, files, gathering, importing, reading, side_by_side, undoing
from admin_app.services.move_in.mapping import Rule
from admin_app.services.move_in.reading import Reading
from models import Booking, MovedRow
from tests.migrations.earlier import bookings_drizzle, bookings_mysql, made
from tests.migrations.earlier.moves import Move
from tests.migrations.earlier.test_again_and_again import command, count, done

ROWS = 300
GATHERED = "SELECT count(*) FROM pg_class WHERE relname = 'gathered_bookings_bookings'"
DEFINITIONS = """
SELECT pg_get_indexdef(indexrelid) FROM pg_index
 WHERE indrelid IN ('bookings'::regclass, 'moved_rows'::regclass) AND indisvalid
UNION ALL
SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
 WHERE conrelid IN ('bookings'::regclass, 'moved_rows'::regclass) AND convalidated
"""


@pytest.fixture(autouse=True)
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "LEAST", 100)


@pytest.fixture
def bookings(mariadb_url: str, real_db: Database) -> Move:
    return _system(mariadb_url, real_db)


def _system(address: str, db: Database, **made_as: Any) -> Move:
    bookings_mysql.make(address, rows=ROWS, **({"ugly": False} | made_as))
    move = Move(db, address)
    move.plan()
    move.decide(zone="Europe/Berlin")
    return move


def steps(move: Move, source: Any, *, batch: int = 70) -> Iterator[importing.Step]:
    mapping = move.mapping
    assert mapping is not None
    with move.work() as ctx:
        file = files.written(mapping, where="there")
        run_id = importing.start(ctx, source=source, mapping=mapping, file=file)
    return importing.bring_over(move.work, source=source, mapping=mapping, run_id=run_id, batch=batch)


def stopped_while_gathered(move: Move) -> None:
    with closing(open_source(move.address)) as source:
        going = steps(move, source)
        for step in going:
            if step.table == "bookings" and step.counts.read >= 140:
                break
        going.close()  # type: ignore[attr-defined]


def definitions(db: Database) -> list[str]:
    with db.read_only() as session:
        # A list that was read once more is written with its casts elsewhere, as after a restored backup.
        return sorted(
            re.sub(r"::character varying|::text|\[\]|[()]", "", one) for one in session.scalars(text(DEFINITIONS))
        )


def lies_gathered(db: Database) -> bool:
    with db.read_only() as session:
        return bool(session.scalar(text(GATHERED)))


def test_it_is_written_at_once_and_its_indexes_are_as_before(bookings: Move) -> None:
    before = definitions(bookings.db)
    with closing(open_source(bookings.address)) as source:
        seen = [(step, count(bookings.db, Booking), lies_gathered(bookings.db)) for step in steps(bookings, source)]
    mine = [(step.done, number, gathered) for step, number, gathered in seen if step.table == "bookings"]
    assert mine[:-1] == [(False, 0, True)] * (len(mine) - 1)
    assert mine[-1] == (True, ROWS + 4, False)
    assert definitions(bookings.db) == before
    assert all(one.agrees for one in bookings.compare().values())
    counts = bookings.bring_over()["bookings"]
    assert (counts.new, counts.changed, counts.unchanged, counts.conflicts) == (0, 0, ROWS + 4, [])
    with bookings.work() as ctx:
        undoing.take_back(ctx, system="bookings")
    assert (count(bookings.db, Booking), count(bookings.db, MovedRow)) == (0, 0)


def test_from_postgresql_as_well(earlier_postgres: str, real_db: Database) -> None:
    bookings_drizzle.make(earlier_postgres, rows=ROWS, ugly=False)
    move = Move(real_db, earlier_postgres)
    move.plan()
    move.decide()
    stopped_while_gathered(move)
    assert lies_gathered(real_db)
    assert move.bring_over()["bookings"].new == ROWS + 4
    assert all(one.agrees for one in move.compare().values())


def test_stopped_it_goes_on_behind_what_was_gathered(bookings: Move) -> None:
    before = definitions(bookings.db)
    stopped_while_gathered(bookings)
    assert (count(bookings.db, Booking), lies_gathered(bookings.db)) == (0, True)
    assert definitions(bookings.db) == before
    counts = bookings.bring_over()["bookings"]
    assert (counts.read, counts.new) == (ROWS + 4, ROWS + 4)
    assert all(one.agrees for one in bookings.compare().values())


def test_stopped_while_it_is_written_nothing_of_it_is_there(bookings: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    before = definitions(bookings.db)

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as stopping:
        stopping.setattr("admin_app.services.move_in.writing._remember_first", stop)
        with pytest.raises(KeyboardInterrupt):
            bookings.bring_over()
    assert (count(bookings.db, Booking), lies_gathered(bookings.db)) == (0, True)
    assert definitions(bookings.db) == before
    assert bookings.bring_over()["bookings"].new == ROWS + 4
    assert definitions(bookings.db) == before


def test_what_a_crash_of_the_server_emptied_is_read_again(bookings: Move) -> None:
    stopped_while_gathered(bookings)
    with bookings.work() as ctx:
        ctx.session.execute(text("TRUNCATE gathered_bookings_bookings"))
    counts = bookings.bring_over()["bookings"]
    assert (counts.read, counts.new) == (ROWS + 4, ROWS + 4)
    assert all(one.agrees for one in bookings.compare().values())


def test_another_mapping_begins_again(bookings: Move) -> None:
    stopped_while_gathered(bookings)
    bookings.decide(decisions={Rule.PENDING_PAST: "keep"})
    counts = bookings.bring_over()["bookings"]
    assert (counts.read, counts.new) == (ROWS + 4, ROWS + 4)
    assert not lies_gathered(bookings.db)


def test_taken_back_nothing_lies_gathered(bookings: Move) -> None:
    stopped_while_gathered(bookings)
    with bookings.work() as ctx:
        undoing.take_back(ctx, system="bookings")
    assert not lies_gathered(bookings.db)
    assert bookings.bring_over()["bookings"].new == ROWS + 4


def test_rows_that_stand_in_each_others_way_are_refused_and_forgotten(mariadb_url: str, real_db: Database) -> None:
    move = _system(mariadb_url, real_db, ugly={"overlaps", "same_external_ids"})
    before = definitions(real_db)
    with pytest.raises(InvalidInput) as refused:
        move.bring_over()
    assert "overlaps another" in refused.value.sentence
    assert (count(real_db, Booking), lies_gathered(real_db)) == (0, False)
    assert definitions(real_db) == before
    move.decide(zone="Europe/Berlin", decisions={Rule.OVERLAP: "leave", Rule.TWICE: "leave"})
    counts = move.bring_over()["bookings"]
    assert counts.left == 3
    assert counts.new == counts.read - 3
    assert definitions(real_db) == before
    assert all(one.agrees for one in move.compare().values())


def test_a_row_that_breaks_a_rule_is_refused_with_its_batch(mariadb_url: str, real_db: Database) -> None:
    move = _system(mariadb_url, real_db, ugly={"negative_money"})
    with pytest.raises(InvalidInput) as refused:
        move.bring_over()
    assert "out_of_range" in refused.value.sentence
    assert not lies_gathered(real_db)
    move.decide(zone="Europe/Berlin", decisions={Rule.OUT_OF_RANGE: "leave"})
    assert move.bring_over()["bookings"].left == 1


def test_while_others_are_at_the_database_its_indexes_stay(bookings: Move) -> None:
    with psycopg.connect(made_url(bookings.db)), closing(open_source(bookings.address)) as source:
        there = [count(bookings.db, Booking) for step in steps(bookings, source) if step.table == "bookings"]
    assert there == [70, 140, 210, 280, 304]


def test_who_comes_while_it_is_gathered_waits_for_nothing(bookings: Move) -> None:
    """It is written with the indexes where they are."""
    before = definitions(bookings.db)
    stopped_while_gathered(bookings)
    with psycopg.connect(made_url(bookings.db)) as other:
        other.execute("SELECT count(*) FROM bookings")
        # As long as its transaction lasts no index could be taken away.
        assert bookings.bring_over()["bookings"].new == ROWS + 4
    assert definitions(bookings.db) == before
    assert all(one.agrees for one in bookings.compare().values())


def made_url(db: Database) -> str:
    return db.engine.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


def test_killed_and_run_again_by_the_commands(mariadb_url: str, real_db: Database, tmp_path: Path) -> None:
    rows = 50_000
    bookings_mysql.make(mariadb_url, rows=rows, ugly=False)
    plan = tmp_path / "bookings.toml"
    done(command(real_db, "plan", "--source", mariadb_url, "--to", str(plan)))
    Move.decide_file(plan, zone="Europe/Berlin")
    before = definitions(real_db)
    real_db.dispose()
    given = ("--source", mariadb_url, "--mapping", str(plan), "--batch", "2000")
    running = command(real_db, "import", *given)
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and running.poll() is None:
        line = running.stderr.readline() if running.stderr else ""
        if line.startswith("bookings:"):
            break
    running.send_signal(signal.SIGKILL)
    said = running.communicate()
    assert (count(real_db, Booking), lies_gathered(real_db)) == (0, True), said
    assert definitions(real_db) == before
    real_db.dispose()
    said_again = done(command(real_db, "import", *given, "--verify"))
    assert "Both sides are the same." in said_again
    assert count(real_db, Booking) == rows + 4
    assert definitions(real_db) == before


def test_what_differs_is_named_by_whichever_connection_sees_it(bookings: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    bookings.bring_over()
    monkeypatch.setattr(side_by_side, "BATCH", 20)
    numbers = {3, 150, ROWS}
    with bookings.work() as ctx:
        for number in numbers:
            ctx.session.get_one(Booking, number).client_name = "Changed here"
        ctx.session.execute(text("UPDATE bookings SET client_email = upper(client_email) WHERE id = 200"))
    with made.mysql(bookings.address) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM bookings WHERE id = 7")
        cursor.execute("INSERT INTO bookings SELECT 9000, practitionerId, clientName, clientEmail, clientPhone, "
                       "startTime, endTime, 'canceled', 'cs_9', 'pi_9', amount, createdAt, updatedAt "
                       "FROM bookings WHERE id = 8")  # fmt: skip
    for helper in (None, bookings.work):
        with closing(open_source(bookings.address)) as source, bookings.work() as ctx:
            assert bookings.mapping is not None
            found = comparing.compare(ctx, source=source, mapping=bookings.mapping, helper=helper)
            one = {each.to: each for each in found}["bookings"]
        assert set(one.differing) == {str(number) for number in {*numbers, 200}}
        assert (one.not_here, one.gone_there) == (("9000",), ("7",))
        assert one.checksum_theirs != one.checksum_ours


class Lines:
    """A source of numbered lines that breaks off where it is told to."""

    def __init__(self, rows: int, *, fails_at: int | None = None) -> None:
        self.rows, self.fails_at, self.written = rows, fails_at, 0

    def copy(self, table: Any, columns: Any, write: Any, *, after: str | None = None, limit: int) -> int:
        for number in range(self.rows):
            if number == self.fails_at:
                raise SourceFailed("The earlier system's database does not answer.")
            write(b"%d\tvalue\n" % number)
            self.written += 1
        return self.rows


TABLE = SourceTable("lines", (), ("id",), 0)


def _reading(source: Lines) -> Reading:
    return Reading(source, TABLE, ["id"])  # type: ignore[arg-type]


def test_parts_are_as_large_as_asked_for_and_lack_nothing() -> None:
    whole: list[bytes] = []
    with _reading(Lines(10_000)) as there:
        sizes = [there.take(limit, whole.append) for limit in (1, 7, 3000, 6992, 5)]
    assert sizes == [1, 7, 3000, 6992, 0]
    assert b"".join(whole) == b"".join(b"%d\tvalue\n" % number for number in range(10_000))


def test_what_is_read_ahead_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BLOCK", 100)
    monkeypatch.setattr(reading, "AHEAD", 1000)
    source = Lines(100_000)
    with _reading(source) as there:
        there.take(1, lambda _: None)
    assert source.written < 1000


def test_a_source_that_breaks_off_is_told_where_its_rows_end() -> None:
    with _reading(Lines(100, fails_at=60)) as there, pytest.raises(SourceFailed):
        there.take(100, lambda _: None)
