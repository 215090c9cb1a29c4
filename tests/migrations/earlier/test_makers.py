"""The makers make what they say: what later tests compare a move with must itself be right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.migrations.earlier import booking_rows, bookings_mysql, made
from tests.migrations.earlier.made import Made

ROWS = 60
Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def ask_mysql(mariadb_url: str) -> Iterator[Ask]:
    with closing(made.mysql(mariadb_url)) as connection:

        def ask(question: str) -> list[tuple[Any, ...]]:
            with connection.cursor() as cursor:
                cursor.execute(question)
                return list(cursor.fetchall())

        yield ask


def keys(answer: list[tuple[Any, ...]]) -> set[Any]:
    return {row[0] for row in answer}


def spotted(system: Made, kind: str, column: str = "") -> set[Any]:
    return {spot.key for spot in system.ugly[kind] if column in ("", spot.column)}


def counted(ask: Ask, system: Made, quote: str) -> dict[str, int]:
    return {table: ask(f"SELECT count(*) FROM {quote}{table}{quote}")[0][0] for table in system.counts}


@pytest.mark.parametrize("money", ["minor", "major"])
@pytest.mark.parametrize("times", ["range", "start"])
@pytest.mark.parametrize("ids", ["int", "bigint unsigned"])
def test_bookings_on_mariadb(mariadb_url: str, ask_mysql: Ask, money: Any, times: Any, ids: Any) -> None:
    system = bookings_mysql.make(mariadb_url, rows=ROWS, money=money, times=times, ids=ids)
    assert counted(ask_mysql, system, "`") == system.counts
    unit = 100 if money == "major" else 1
    assert ask_mysql(f"SELECT sum(amount) * {unit} FROM bookings")[0][0] == system.sums["bookings.amount"]
    start = "startTime" if times == "range" else "bookingTime"
    found = {
        "zero_dates": ask_mysql(f"SELECT id FROM bookings WHERE createdAt = 0 OR {start} = 0"),
        "empty_labels": ask_mysql("SELECT id FROM bookings WHERE status = ''"),
        "unknown_labels": ask_mysql("SELECT id FROM bookings WHERE status = 'cancelled'"),
        "orphans": ask_mysql("SELECT id FROM bookings WHERE practitionerId NOT IN (SELECT id FROM practitioners)"),
        "past_pending": ask_mysql(f"SELECT id FROM bookings WHERE status = 'pending' AND {start} < '2023-01-01'"),
        "emails_by_case": ask_mysql(
            "SELECT a.id FROM practitioners a JOIN practitioners b ON a.email = b.email AND a.id <> b.id"
        ),
        "missing_created_at": ask_mysql("SELECT id FROM bookings WHERE createdAt IS NULL"),
        "same_external_ids": ask_mysql("SELECT id FROM bookings WHERE stripePaymentIntentId = 'pi_twice'"),
        "empty_external_ids": ask_mysql("SELECT id FROM bookings WHERE stripeSessionId = ''"),
        "negative_money": ask_mysql("SELECT id FROM bookings WHERE amount < 0"),
        "clock_changes": ask_mysql(
            f"SELECT id FROM bookings WHERE {start} IN ('2024-03-31 02:00:00', '2024-10-27 02:00:00')"
        ),
    }
    if times == "range":
        found["ends_before_start"] = ask_mysql("SELECT id FROM bookings WHERE endTime < startTime")
        found["overlaps"] = ask_mysql(
            "SELECT DISTINCT a.id FROM bookings a JOIN bookings b ON a.practitionerId = b.practitionerId "
            "AND a.id <> b.id AND a.startTime < b.endTime AND b.startTime < a.endTime "
            "WHERE a.status IN ('pending', 'confirmed') AND b.status IN ('pending', 'confirmed')"
        )
    if money == "major":
        found["money_fraction"] = ask_mysql("SELECT id FROM bookings WHERE amount <> floor(amount)")
    if ids == "bigint unsigned":
        found["ids_out_of_range"] = ask_mysql("SELECT id FROM bookings WHERE id > 9223372036854775807")
    assert {kind: keys(answer) for kind, answer in found.items()} == {kind: spotted(system, kind) for kind in found}
    left = {"unknown_columns", "ends_before_start", "overlaps"} if times == "start" else {"unknown_columns"}
    assert set(system.ugly) - set(found) <= left
    booking = system.records["booking"]
    assert ask_mysql(f"SELECT {start}, clientEmail FROM bookings WHERE id = {booking['id']}") == [
        (booking["local_start"], booking["client_email"])
    ]
    assert booking["starts_at"].isoformat() == "2031-01-15T09:00:00+00:00"


def test_bookings_on_mariadb_without_anything_amiss(mariadb_url: str, ask_mysql: Ask) -> None:
    system = bookings_mysql.make(mariadb_url, rows=ROWS, ugly=False)
    assert system.ugly == {}
    assert counted(ask_mysql, system, "`") == system.counts
    assert ask_mysql("SELECT sum(amount) FROM bookings")[0][0] == system.sums["bookings.amount"]
    assert keys(ask_mysql("SELECT DISTINCT status FROM bookings")) <= set(booking_rows.LABELS)
    assert ask_mysql("SELECT * FROM bookings WHERE createdAt IS NULL OR createdAt = 0 OR endTime <= startTime") == []


def test_only_what_is_wanted(mariadb_url: str) -> None:
    system = bookings_mysql.make(mariadb_url, rows=ROWS, ugly={"orphans"})
    assert set(system.ugly) == {"orphans"}
    with pytest.raises(ValueError, match="has no"):
        bookings_mysql.make(mariadb_url, rows=ROWS, ugly={"rust"})
