"""A table is built anew beside the traffic, and nothing of it is lost: by 0011 where many bookings are held, and where
a column gets a type for which each row is written anew."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from alembic.util import CommandError

from migrations import ops, rebuilding, running
from tests.migrations.journey import Journey, first_difference
from tests.migrations.test_rules import MANY_HELD

HELD = MANY_HELD.replace("29999", "5999")

THEIRS = """
CREATE INDEX "Bookings by time" ON bookings (starts_at) WHERE status = 'pending';
ALTER TABLE bookings SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01);
COMMENT ON TABLE bookings IS 'the diary''s rows';
COMMENT ON COLUMN bookings.client_name IS 'as they said it';
GRANT SELECT ON bookings TO PUBLIC;
GRANT UPDATE (client_name) ON bookings TO PUBLIC;
DELETE FROM bookings WHERE id IN (7, 6000);
CREATE TABLE notes (id bigint PRIMARY KEY, booking_id bigint NOT NULL REFERENCES bookings (id) ON DELETE CASCADE);
INSERT INTO notes SELECT id, id FROM bookings WHERE id < 100;
"""
OTHER_WAYS = """
SELECT obj_description(c.oid, 'pg_class') AS remark, c.reloptions, c.relacl::text AS rights, c.relkind::text,
       pg_get_userbyid(c.relowner) AS owner, pg_get_serial_sequence('bookings', 'id') AS sequence,
       (SELECT array_agg(i.relname ORDER BY 1) FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
         WHERE x.indrelid = c.oid) AS indexes,
       (SELECT array_agg(k.conname ORDER BY 1) FROM pg_constraint k WHERE k.conrelid = c.oid) AS constraints,
       (SELECT array_agg(a.attacl::text ORDER BY a.attname) FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0) AS column_rights,
       (SELECT col_description(c.oid, attnum) FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attname = 'client_name') AS said
  FROM pg_class c WHERE c.oid = 'public.bookings'::regclass
"""
BOOKED = """
INSERT INTO bookings (practitioner_id, session_type_id, client_name, client_email, starts_at, ends_at, status)
    VALUES (1, 1, '{name}', 'x@example.org', '{at}', timestamptz '{at}' + interval '30 min', 'confirmed')
"""
OURS = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'backdesk%'"
OF_TABLE = "SELECT 'public.bookings'::regclass::oid::bigint"
NAMED = "ex_bookings_no_overlap"


@pytest.fixture(autouse=True)
def nothing_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a few thousand rows were as many as it takes."""
    monkeypatch.setattr(rebuilding, "SHORT", 0.0)
    monkeypatch.setattr(rebuilding, "BATCH", 500)


def many_held(journey: Journey) -> None:
    journey.up("0010")
    journey.run(HELD)


@contextmanager
def between_batches(monkeypatch: pytest.MonkeyPatch, number: int, action: Any) -> Iterator[None]:
    """Do this when that many batches are copied."""
    execute, batches = rebuilding.execute, [0]

    def counted(sql: str) -> None:
        execute(sql)
        if "FOR SHARE" in sql:
            batches[0] += 1
            if batches[0] == number:
                action()

    with monkeypatch.context() as patched:
        patched.setattr(rebuilding, "execute", counted)
        yield
    assert batches[0] >= number


def test_it_is_the_same_table_with_the_constraint(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    many_held(journey)
    journey.run(THEIRS)
    rows, ways, before = journey.data(), journey.rows(OTHER_WAYS)[0], journey.value(OF_TABLE)
    last = journey.value("SELECT nextval('bookings_id_seq')")
    journey.up("0011")
    assert journey.value(OF_TABLE) != before
    assert journey.data() == rows
    built = journey.schema()
    now = journey.rows(OTHER_WAYS)[0]
    assert {*now["indexes"]} == {*ways["indexes"], NAMED}
    assert {*now["constraints"]} == {*ways["constraints"], NAMED}
    assert {k: v for k, v in now.items() if k not in {"indexes", "constraints"}} == {
        k: v for k, v in ways.items() if k not in {"indexes", "constraints"}
    }
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        journey.run("INSERT INTO notes VALUES (7, 7)")
    journey.run("DELETE FROM bookings WHERE id = 8")
    assert journey.value("SELECT count(*) FROM notes") == 97
    journey.run(BOOKED.format(name="next", at="2040-01-01 09:00+00"))
    assert journey.value("SELECT max(id) FROM bookings") == last + 1
    with pytest.raises(psycopg.errors.ExclusionViolation, match=NAMED):
        journey.run(BOOKED.format(name="again", at="2040-01-01 09:10+00"))
    assert journey.rows(OURS) == []
    # As when it is added under the lock.
    monkeypatch.setenv("MIGRATE_WINDOW_SECONDS", "600")
    journey.down("0010")
    journey.up("0011")
    assert first_difference(built, journey.schema()) == []


def test_what_is_written_meanwhile_arrives(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    many_held(journey)

    def write() -> None:
        journey.run(
            "UPDATE bookings SET client_name = 'copied before' WHERE id = 5;"
            "UPDATE bookings SET client_name = 'copied after' WHERE id = 5900;"
            "UPDATE bookings SET id = 40001 WHERE id = 6; UPDATE bookings SET id = 40002 WHERE id = 5901;"
            "DELETE FROM bookings WHERE id IN (8, 5902);"
            "UPDATE bookings SET status = 'canceled' WHERE id = 9;"
        )
        journey.run(BOOKED.format(name="meanwhile", at="2041-01-01 09:00+00"))
        with pytest.raises(psycopg.errors.ExclusionViolation, match=NAMED):
            journey.run(BOOKED.format(name="overlaps", at="2041-01-01 09:10+00"))

    before = journey.value(OF_TABLE)
    with between_batches(monkeypatch, 3, write):
        journey.up("0011")
    assert journey.value(OF_TABLE) != before
    assert journey.rows("SELECT id, client_name, status FROM bookings WHERE id IN (5, 6, 8, 9) OR id > 5899 "
                        "AND client_name <> 'Per' OR id > 40000 ORDER BY id") == [
        {"id": 5, "client_name": "copied before", "status": "confirmed"},
        {"id": 9, "client_name": "Per", "status": "canceled"},
        {"id": 5900, "client_name": "copied after", "status": "confirmed"},
        {"id": 6001, "client_name": "meanwhile", "status": "confirmed"},
        {"id": 40001, "client_name": "Per", "status": "confirmed"},
        {"id": 40002, "client_name": "Per", "status": "confirmed"},
    ]  # fmt: skip
    assert journey.value("SELECT count(*) FROM bookings") == 6000 - 2 + 1


def test_whoever_reads_since_before_finds_every_row(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot from before the copy would find the new table empty: so it is waited for."""
    many_held(journey)
    counted: list[int] = []
    with journey.connection() as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT count(*) FROM clients")

        def read() -> None:
            time.sleep(1.5)
            counted.append(reader.execute("SELECT count(*) AS n FROM bookings").fetchall()[0]["n"])
            reader.rollback()

        late = threading.Thread(target=read)
        with between_batches(monkeypatch, 12, late.start):
            journey.up("0011")
        late.join()
    assert counted == [6000]


def test_a_run_that_was_killed_is_done_anew(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    many_held(journey)

    def die() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        # Killed: nothing is cleared either.
        patched.setattr(rebuilding, "clear", lambda table: None)
        with pytest.raises(KeyboardInterrupt), between_batches(monkeypatch, 3, die):
            journey.up("0011")
    assert len(journey.rows(OURS)) == 2
    journey.run(BOOKED.format(name="goes on", at="2042-01-01 09:00+00"))
    journey.up("0011")
    assert journey.value("SELECT count(*) FROM bookings") == 6001
    assert journey.rows(OURS) == []


def test_an_overlap_written_meanwhile_leaves_nothing_behind(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    many_held(journey)
    before = journey.schema()
    look = ops.refuse_when
    written: list[str] = []

    def overtaken(question: Any, *tables: str) -> None:
        look(question, *tables)
        if not running.rehearsed() and not written:
            written.append(BOOKED.format(name="overlaps", at="2020-01-01 00:10+00"))
            journey.run(written[0])

    monkeypatch.setattr(ops, "refuse_when", overtaken)
    with pytest.raises(CommandError, match=r"bookings overlap: \d+ and 6001"):
        journey.up("0011")
    assert written
    assert journey.rows(OURS) == []
    assert first_difference(before, journey.schema()) == []


def test_a_table_that_others_hang_on_is_a_choice(journey: Journey) -> None:
    many_held(journey)
    journey.run("CREATE VIEW diary AS SELECT id, starts_at FROM bookings")
    before = journey.schema()
    with pytest.raises(CommandError, match=r"this one's place, which is not so because of rule _RETURN on view diary"):
        journey.up("0011")
    assert journey.rows(OURS) == []
    assert first_difference(before, journey.schema()) == []
    journey.run("DROP VIEW diary")
    journey.up("0011")


OTHER_TYPES = """
CREATE TYPE states AS ENUM ('pending', 'confirmed', 'canceled', 'completed', 'no_show', 'refunded');
CREATE SEQUENCE numbers OWNED BY bookings.id;
ALTER TABLE bookings ALTER id DROP IDENTITY, ALTER id SET DEFAULT nextval('numbers'), ALTER status DROP DEFAULT,
    ALTER status TYPE states USING status::states, ALTER status SET DEFAULT 'pending',
    ALTER calcom_booking_uid TYPE uuid USING calcom_booking_uid::uuid, ALTER price_amount TYPE bigint;
CREATE INDEX by_status ON bookings (status, starts_at);
SELECT setval('numbers', max(id)) FROM bookings;
UPDATE bookings SET status = 'completed', calcom_booking_uid = md5(id::text)::uuid WHERE id % 2 = 0
"""
SAME = "md5(string_agg(to_jsonb(b)::text, ',' ORDER BY id))"


def test_other_types_are_written_beside_the_traffic(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    journey.up("0001")
    journey.run(HELD)
    journey.run(OTHER_TYPES)
    journey.up("0007")
    monkeypatch.setattr(rebuilding, "MANY", 10_000)
    rows = journey.value("SELECT count(*) FROM bookings")
    before = journey.value(OF_TABLE)
    journey.up("0008")
    assert journey.value(OF_TABLE) == before
    under_a_lock, same = journey.schema(), journey.value(f"SELECT {SAME} FROM bookings b")
    journey.down("0007")
    journey.run(
        "ALTER TABLE bookings ALTER status DROP DEFAULT, ALTER status TYPE states USING status::states,"
        "ALTER status SET DEFAULT 'pending', ALTER calcom_booking_uid TYPE uuid USING calcom_booking_uid::uuid,"
        "ALTER price_amount TYPE bigint"
    )
    monkeypatch.setattr(rebuilding, "MANY", 100)

    def write() -> None:
        journey.run(
            "UPDATE bookings SET status = 'confirmed', calcom_booking_uid = NULL WHERE id IN (2, 5900);"
            "UPDATE bookings SET status = 'completed', calcom_booking_uid = md5(id::text)::uuid WHERE id IN (2, 5900);"
            "INSERT INTO bookings (practitioner_id, session_type_id, client_name, client_email, starts_at, ends_at)"
            " VALUES (1, 1, 'meanwhile', 'm@example.org', '2041-01-01+00', '2041-01-02+00')"
        )

    with between_batches(monkeypatch, 3, write):
        journey.up("0008")
    assert journey.value(OF_TABLE) != before
    assert journey.value(f"SELECT {SAME} FROM bookings b WHERE client_name <> 'meanwhile'") == same
    assert first_difference(under_a_lock, journey.schema()) == []
    assert journey.rows("SELECT id, status FROM bookings WHERE client_name = 'meanwhile'") == [
        {"id": rows + 1, "status": "pending"}
    ]
    assert journey.value("SELECT pg_get_serial_sequence('bookings', 'id')") == "public.numbers"
    assert journey.rows(OURS) == []
