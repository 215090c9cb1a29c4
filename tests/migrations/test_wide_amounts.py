"""Columns of money become wider and narrower again: with data in place, beside the traffic, and nothing is lost."""

import threading
import time

import psycopg
import pytest
from alembic.util import CommandError
from sqlalchemy import BigInteger, Integer

from models import Base
from tests.migrations import believable_rows
from tests.migrations.journey import REVISIONS, Journey, earlier
from tests.migrations.test_locks import STALL_SECONDS, stay_held

WIDE = "0037"
BEFORE = earlier(WIDE)
HUGE = 3_000_000_000_000
# What is counted in whole numbers and is no money; a column that is not named here has to be 64 bit.
NO_MONEY = frozenset(
    {
        *("version", "told_version", "attempts", "minutes", "number", "rows", "estimated_rows", "size", "lines"),
        *("compared", "repaired", "found", "likely_owners", "failed_sign_ins", "weight"),
        *("credits", "used_before", "usage_credits", "used_credits", "interval_count"),
        *("usage_before", "usage_after", "used_after", "came_credits", "came_withheld", "attempts_ended"),
        *("checked", "broken", "count"),
    }
)
MONEY = ("amount", "price", "monthly_", "fee")


def test_every_column_of_money_is_64_bit() -> None:
    columns = [column for table in Base.metadata.tables.values() for column in table.columns]
    narrow = {str(each) for each in columns if isinstance(each.type, Integer) and not isinstance(each.type, BigInteger)}
    assert {name for name in narrow if name.partition(".")[2] not in NO_MONEY} == set()
    counted = [each for each in columns if isinstance(each.type, Integer) and not each.foreign_keys]
    assert [str(each) for each in counted if any(word in each.name for word in MONEY) and str(each) in narrow] == []


def with_rows(journey: Journey, revision: str) -> None:
    journey.up("0001")
    journey.run(believable_rows.LEGACY)
    for each in REVISIONS[1 : REVISIONS.index(revision) + 1]:
        journey.up(each)
        journey.run(believable_rows.ADDED.get(each, "SELECT"))


def test_what_the_database_keeps_is_64_bit_and_triggers_and_checks_are_as_before(journey: Journey) -> None:
    with_rows(journey, BEFORE)
    before, triggers = journey.data(), journey.schema()["triggers"]
    journey.up(WIDE)
    assert journey.data() == before
    assert journey.schema()["triggers"] == triggers
    narrow = journey.rows(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        " AND data_type IN ('integer', 'smallint') AND table_name NOT LIKE 'procrastinate%'"
    )
    assert {row["column_name"] for row in narrow} <= NO_MONEY
    journey.run(f"UPDATE payments SET amount = {HUGE}, captured_amount = {HUGE}, reserved_amount = {HUGE - 1}")
    journey.run(f"UPDATE bookings SET price_amount = {HUGE}; UPDATE subscriptions SET monthly_amount = {HUGE}")
    with pytest.raises(psycopg.errors.CheckViolation, match="ck_payments_never_more_than_captured"):
        journey.run(f"UPDATE payments SET reserved_amount = {HUGE + 1}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="is append-only"):
        journey.run("UPDATE month_lines SET amount = amount")
    # The trigger that notes what moved in closed months names columns that were made anew.
    journey.run("DELETE FROM moved_lines; UPDATE billing_changes SET monthly_after = 1")
    assert journey.value("SELECT count(*) FROM moved_lines") == 1


def test_the_way_back_is_refused_with_a_sentence_where_an_amount_no_longer_fits(journey: Journey) -> None:
    with_rows(journey, WIDE)
    journey.run(f"UPDATE bookings SET price_amount = {HUGE} WHERE id = 2")
    with pytest.raises(CommandError, match=r"bookings\.price_amount holds nothing beyond 2147483647.*: 2\. Put them"):
        journey.down(BEFORE)
    journey.run(f"INSERT INTO session_types (practitioner_id, title, minutes, price_amount) VALUES (1, 'x', 9, {HUGE})")
    journey.run(
        "DELETE FROM session_types WHERE title = 'x'; UPDATE bookings SET price_amount = 2147483647 WHERE id = 2"
    )
    journey.down(BEFORE)
    assert journey.value("SELECT price_amount FROM bookings WHERE id = 2") == 2147483647
    journey.up(WIDE)


def test_what_an_operator_hung_on_a_column_is_not_lost(journey: Journey) -> None:
    journey.up(BEFORE)
    journey.run("CREATE VIEW sales AS SELECT id, amount FROM refunds; CREATE INDEX by_price ON bookings (price_amount)")
    with pytest.raises(CommandError, match=r"price_amount.*by_price.*Remove it, run again"):
        journey.up(WIDE)
    journey.run("DROP INDEX by_price")
    with pytest.raises(CommandError, match=r"view sales"):
        journey.up(WIDE)
    journey.run("DROP VIEW sales")
    journey.up(WIDE)


def test_who_may_read_a_price_may_go_on_reading_it(journey: Journey) -> None:
    journey.up(BEFORE)
    granted = "SELECT has_column_privilege('backdesk_guest', 'session_types', 'price_amount', 'SELECT')"
    before = journey.value(granted)
    journey.up(WIDE)
    assert journey.value(granted) is before


def test_rows_that_are_written_meanwhile_are_kept_and_nobody_waits(journey: Journey) -> None:
    """A writer of old code all the way: what it wrote last stands at the end, whichever batch came when."""
    with_rows(journey, BEFORE)
    journey.run(
        "INSERT INTO bookings (practitioner_id, session_type_id, client_name, client_email, starts_at, ends_at, status,"
        " price_amount) SELECT 1, 2, 'Per', 'per@example.org', timestamptz '2030-01-01+00' + n * interval '1 hour',"
        " timestamptz '2030-01-01 00:30+00' + n * interval '1 hour', 'canceled', n FROM generate_series(1, 20000) n"
    )
    done = threading.Event()
    longest, written = [0.0], [0]

    def write() -> None:
        with journey.connection(autocommit=True) as connection:
            while not done.is_set():
                began = time.monotonic()
                connection.execute("UPDATE bookings SET price_amount = price_amount + 1 WHERE id % 97 = 0 AND id > 3")
                longest[0] = max(longest[0], time.monotonic() - began)
                written[0] += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        journey.up(WIDE)
    finally:
        done.set()
        writer.join()
    assert written[0] > 0
    assert longest[0] < STALL_SECONDS
    wrong = f"id > 3 AND price_amount <> id - 3 + CASE WHEN id % 97 = 0 THEN {written[0]} ELSE 0 END"
    assert journey.value(f"SELECT count(*) FROM bookings WHERE {wrong}") == 0


def test_a_long_read_holds_nobody_up(journey: Journey) -> None:
    with_rows(journey, BEFORE)
    assert stay_held(journey, "bookings", WIDE, "SELECT count(*) FROM bookings") < STALL_SECONDS


def test_a_long_write_holds_nobody_up(journey: Journey) -> None:
    journey.up(BEFORE)
    assert stay_held(journey, "bookings", WIDE, "UPDATE bookings SET status = status") < STALL_SECONDS
