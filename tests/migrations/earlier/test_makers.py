"""The makers make what they say: what later tests compare a move with must itself be right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pymysql
import pytest

from tests.migrations.earlier import (
    booking_rows,
    bookings_drizzle,
    bookings_mysql,
    clients_prisma,
    made,
    meetings_drizzle,
    memberships_drizzle,
    sessions_prisma,
)
from tests.migrations.earlier.made import Made
from tests.migrations.earlier.servers import MariaDB

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


@pytest.fixture
def ask_postgres(earlier_postgres: str) -> Iterator[Ask]:
    with made.postgres(earlier_postgres) as connection:
        yield lambda question: connection.execute(question.encode()).fetchall()


def keys(answer: list[tuple[Any, ...]]) -> set[Any]:
    return {row[0] for row in answer}


def spotted(system: Made, kind: str, column: str = "") -> set[Any]:
    return {spot.key for spot in system.ugly[kind] if column in ("", spot.column)}


def counted(ask: Ask, system: Made, quote: str) -> dict[str, int]:
    return {table: ask(f"SELECT count(*) FROM {quote}{table}{quote}")[0][0] for table in system.counts}


def amiss_in_bookings(ask: Ask, start: str, money: str, quote: str = "`") -> dict[str, set[Any]]:
    """The keys by kind, found by plain SQL."""

    def q(name: str) -> str:
        return f"{quote}{name}{quote}"

    found = {
        "unknown_labels": "SELECT id FROM bookings WHERE status = 'cancelled'",
        "orphans": f"SELECT id FROM bookings WHERE {q('practitionerId')} NOT IN (SELECT id FROM practitioners)",
        "past_pending": f"SELECT id FROM bookings WHERE status = 'pending' AND {q(start)} < '2023-01-01'",
        "emails_by_case": "SELECT a.id FROM practitioners a JOIN practitioners b "
        "ON lower(a.email) = lower(b.email) AND a.id <> b.id",
        "missing_created_at": f"SELECT id FROM bookings WHERE {q('createdAt')} IS NULL",
        "same_external_ids": f"SELECT id FROM bookings WHERE {q('stripePaymentIntentId')} = 'pi_twice'",
        "empty_external_ids": f"SELECT id FROM bookings WHERE {q('stripeSessionId')} = ''",
        "negative_money": "SELECT id FROM bookings WHERE amount < 0",
    }
    if start == "startTime":
        found["ends_before_start"] = f"SELECT id FROM bookings WHERE {q('endTime')} < {q('startTime')}"
        found["overlaps"] = (
            "SELECT DISTINCT a.id FROM bookings a JOIN bookings b "
            f"ON a.{q('practitionerId')} = b.{q('practitionerId')} AND a.id <> b.id "
            f"AND a.{q('startTime')} < b.{q('endTime')} AND b.{q('startTime')} < a.{q('endTime')} "
            "WHERE a.status IN ('pending', 'confirmed') AND b.status IN ('pending', 'confirmed')"
        )
    if money == "major":
        found["money_fraction"] = "SELECT id FROM bookings WHERE amount <> floor(amount)"
    return {kind: keys(ask(question)) for kind, question in found.items()}


def assert_spotted(system: Made, found: dict[str, set[Any]], *unseen: str) -> None:
    """Each kind that was found is what the maker says, and it says no more than was looked for."""
    assert found == {kind: spotted(system, kind) for kind in found}
    assert all(found.values())
    assert set(system.ugly) - set(found) == set(unseen)


@pytest.mark.parametrize("money", ["minor", "major"])
@pytest.mark.parametrize("times", ["range", "start"])
@pytest.mark.parametrize("ids", ["int", "bigint unsigned"])
def test_bookings_on_mariadb(mariadb_url: str, ask_mysql: Ask, money: Any, times: Any, ids: Any) -> None:
    system = bookings_mysql.make(mariadb_url, rows=ROWS, money=money, times=times, ids=ids)
    assert counted(ask_mysql, system, "`") == system.counts
    unit = 100 if money == "major" else 1
    assert ask_mysql(f"SELECT sum(amount) * {unit} FROM bookings")[0][0] == system.sums["bookings.amount"]
    start = "startTime" if times == "range" else "bookingTime"
    found = amiss_in_bookings(ask_mysql, start, money)
    # A time of zeros is past as well.
    found |= {
        "zero_dates": keys(ask_mysql(f"SELECT id FROM bookings WHERE createdAt = 0 OR {start} = 0")),
        "nul_in_text": keys(ask_mysql("SELECT id FROM bookings WHERE instr(clientName, char(0)) > 0")),
        "empty_labels": keys(ask_mysql("SELECT id FROM bookings WHERE status = ''")),
        "clock_changes": keys(
            ask_mysql(f"SELECT id FROM bookings WHERE {start} IN ('2024-03-31 02:00:00', '2024-10-27 02:00:00')")
        ),
    }
    if ids == "bigint unsigned":
        found["ids_out_of_range"] = keys(ask_mysql("SELECT id FROM bookings WHERE id > 9223372036854775807"))
    assert_spotted(system, found, "unknown_columns", *([] if times == "range" else ["overlaps"]))
    booking = system.records["booking"]
    assert ask_mysql(f"SELECT {start}, clientEmail FROM bookings WHERE id = {booking['id']}") == [
        (booking["local_start"], booking["client_email"])
    ]
    assert booking["starts_at"].isoformat() == "2031-01-15T09:00:00+00:00"
    odd = system.records["odd_booking"]["id"]
    assert ask_mysql(f"SELECT clientName FROM bookings WHERE id = {odd}") == [(made.ODD_TEXT,)]


def test_times_of_writing_are_instants_on_mariadb(mariadb: MariaDB, mariadb_url: str) -> None:
    """The server shows them in its own zone to whoever does not say theirs, and local times as they were written."""
    booking = bookings_mysql.make(mariadb_url, rows=ROWS).records["booking"]
    address = urlsplit(mariadb.reader_url(mariadb_url.rpartition("/")[2]))
    with (
        pymysql.connect(
            host=address.hostname or "",
            port=address.port or 0,
            user=address.username,
            password=address.password or "",
            database=address.path.strip("/"),
        ) as reader,
        reader.cursor() as cursor,
    ):
        shown = f"SELECT createdAt, startTime FROM bookings WHERE id = {booking['id']}"
        cursor.execute(shown)
        (row,) = cursor.fetchall()
        assert row == (booking["created_at"].replace(tzinfo=None) + timedelta(hours=2), booking["local_start"])
        cursor.execute("SET time_zone = '+00:00'")
        cursor.execute(shown)
        (row,) = cursor.fetchall()
        assert row == (booking["created_at"].replace(tzinfo=None), booking["local_start"])
        with pytest.raises(pymysql.err.OperationalError, match="denied"):
            cursor.execute("DELETE FROM bookings")


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


@pytest.mark.parametrize(("money", "times", "ids"), [("minor", "range", "identity"), ("major", "start", "serial")])
def test_bookings_on_postgres(earlier_postgres: str, ask_postgres: Ask, money: Any, times: Any, ids: Any) -> None:
    system = bookings_drizzle.make(
        earlier_postgres, rows=ROWS, money=money, times=times, ids=ids, zone="America/Recife"
    )
    assert counted(ask_postgres, system, '"') == system.counts
    unit = 100 if money == "major" else 1
    assert ask_postgres(f"SELECT sum(amount) * {unit} FROM bookings")[0][0] == system.sums["bookings.amount"]
    start = "startTime" if times == "range" else "bookingTime"
    found = amiss_in_bookings(ask_postgres, start, money, '"')
    assert_spotted(system, found, "unknown_columns", *([] if times == "range" else ["overlaps"]))
    booking = system.records["booking"]
    assert ask_postgres(f'SELECT "{start}", "clientEmail" FROM bookings WHERE id = {booking["id"]}') == [
        (booking["local_start"], booking["client_email"])
    ]
    assert booking["starts_at"].isoformat() == "2031-01-15T13:00:00+00:00"
    assert ask_postgres(
        "INSERT INTO users (\"openId\") VALUES ('new') RETURNING id = (SELECT max(id) + 1 FROM users)"
    ) == [(True,)]


def test_memberships(earlier_postgres: str, ask_postgres: Ask) -> None:
    system = memberships_drizzle.make(earlier_postgres, rows=230)
    assert counted(ask_postgres, system, '"') == system.counts
    for name, total in system.sums.items():
        table, column = name.split(".")
        assert ask_postgres(f"SELECT sum({column}::int) FROM {table}")[0][0] == total, name
    pending = "SELECT id FROM pending_profiles p WHERE"
    profiles = "SELECT user_id FROM profiles p WHERE"
    found = {
        "unknown_labels": f"{profiles} membership = 'cancelled' OR plan_duration NOT IN ('monthly', 'yearly')",
        "missing_created_at": f"{profiles} created_at IS NULL",
        "negative_credits": f"{profiles} used_credits < 0",
        "temp_without_email": f"{profiles} user_id LIKE 'temp!_%' ESCAPE '!' AND email IS NULL",
        "temp_already_pending": f"{profiles} user_id LIKE 'temp!_%' ESCAPE '!' "
        "AND lower(email) IN (SELECT lower(email) FROM pending_profiles)",
        "emails_by_case": f"{pending} EXISTS (SELECT FROM pending_profiles o WHERE o.id <> p.id "
        "AND lower(o.email) = lower(p.email))",
        "same_external_ids": f"{pending} whop_membership_id = 'mem_twice'",
        "empty_external_ids": f"{pending} whop_membership_id = ''",
        "claimed_by_nobody": f"{pending} claimed AND claimed_by_user_id IS NULL",
        "orphans": f"{pending} NOT EXISTS (SELECT FROM profiles o WHERE o.user_id = p.claimed_by_user_id) "
        "AND claimed_by_user_id IS NOT NULL",
    }
    assert_spotted(system, {kind: keys(ask_postgres(sql)) for kind, sql in found.items()}, "unknown_columns")
    unclaimed = system.records["unclaimed"]
    assert ask_postgres(f"SELECT id, claimed FROM pending_profiles WHERE token = '{unclaimed['token']}'") == [
        (unclaimed["id"], False)
    ]


@pytest.mark.parametrize("ids", ["cuid", "int"])
@pytest.mark.parametrize(("tables", "link"), [("mapped", "clientId"), ("default", "customerId"), ("mapped", "both")])
def test_clients(earlier_postgres: str, ask_postgres: Ask, ids: Any, tables: Any, link: Any) -> None:
    system = clients_prisma.make(earlier_postgres, rows=ROWS, ids=ids, tables=tables, link=link, zone="Europe/London")
    clients, states = clients_prisma.TABLES[tables]
    assert counted(ask_postgres, system, '"') == system.counts
    for name, total in system.sums.items():
        table, column = name.split(".")
        assert ask_postgres(f'SELECT count(*) FILTER (WHERE "{column}") FROM "{table}"')[0][0] == total, name
    whose = 'coalesce("clientId", "customerId")' if link == "both" else f'"{link}"'
    found = {
        "unknown_labels": f"""SELECT id FROM "{clients}" WHERE "billingStatus" = 'cancelled'""",
        "missing_created_at": f'SELECT id FROM "{clients}" WHERE "createdAt" IS NULL',
        "emails_by_case": f'SELECT a.id FROM "{clients}" a JOIN "{clients}" b ON lower(a.email) = lower(b.email) '
        "AND a.id <> b.id",
        "same_external_ids": f"""SELECT id FROM "{clients}" WHERE "stripeCustomerId" = 'cus_twice'""",
        "empty_external_ids": f"""SELECT id FROM "{clients}" WHERE "stripeCustomerId" = ''""",
        "orphans": f'SELECT id FROM "{states}" WHERE {whose} NOT IN (SELECT id FROM "{clients}")',
        "states_twice": f'SELECT id FROM "{states}" WHERE {whose} IN '
        f'(SELECT {whose} FROM "{states}" GROUP BY 1 HAVING count(*) > 1)',
        "clock_changes": f"""SELECT id FROM "{clients}"
            WHERE "trialUsedAt" IN ('2024-03-31 01:00', '2024-10-27 01:00')""",
    }
    assert_spotted(system, {kind: keys(ask_postgres(sql)) for kind, sql in found.items()}, "unknown_columns")
    paused = system.records["paused_client"]
    assert ask_postgres(f"""SELECT "outboundPaused" FROM "{clients}" WHERE id = '{paused["id"]}'""") == [(True,)]


@pytest.mark.parametrize(
    ("money", "letters", "people"),
    [("major", "upper", "columns"), ("minor", "lower", "columns"), ("major", "upper", "related")],
)
def test_sessions(earlier_postgres: str, ask_postgres: Ask, money: Any, letters: Any, people: Any) -> None:
    system = sessions_prisma.make(
        earlier_postgres, rows=ROWS, money=money, letters=letters, people=people, zone="Europe/Berlin"
    )
    assert counted(ask_postgres, system, '"') == system.counts
    for name, total in system.sums.items():
        (table, column), currency = name[:-5].split("."), name[-4:-1]
        (answer,) = ask_postgres(f"""SELECT sum({column}) FROM "{table}" WHERE currency = '{currency}'""")
        assert answer[0] * (100 if money == "major" and currency != "JPY" else 1) == total, name
    giver, table = ("builderId", "User") if people == "related" else ("practitionerId", "Practitioner")
    booking = 'SELECT id FROM "Booking" b WHERE'
    found = {
        "unknown_labels": f"{booking} upper(status::text) = 'CANCELLED'",
        "past_pending": f"""{booking} upper(status::text) = 'PENDING' AND "startTime" < '2023-01-01'""",
        "overlaps": f'{booking} EXISTS (SELECT FROM "Booking" o WHERE o.id <> b.id AND o."{giver}" = b."{giver}" '
        f'AND o."startTime" < b."endTime" AND b."startTime" < o."endTime" AND {held("o")} AND {held("b")})',
        "missing_created_at": f'{booking} "createdAt" IS NULL',
        "orphans": f'{booking} "sessionTypeId" NOT IN (SELECT id FROM "SessionType")',
        "same_external_ids": f"""{booking} "calendlyEventId" = 'ev_twice'""",
        "empty_external_ids": f"""{booking} "calendlyEventUri" = ''""",
        "emails_by_case": f'SELECT a.id FROM "{table}" a JOIN "{table}" b ON a.id <> b.id '
        "AND lower(a.email) = lower(b.email)",
        "clock_changes": f"""{booking} "startTime" IN ('2024-03-31 02:00', '2024-10-27 02:00')""",
    }
    if money == "major":
        found["money_fraction"] = f"{booking} amount <> floor(amount)"
    assert_spotted(system, {kind: keys(ask_postgres(sql)) for kind, sql in found.items()}, "unknown_columns")
    known = system.records["booking"]
    assert ask_postgres(f"""SELECT "startTime" FROM "Booking" WHERE id = '{known["id"]}'""") == [(known["startTime"],)]
    assert known["starts_at"].isoformat() == "2031-07-15T08:00:00+00:00"


def held(alias: str) -> str:
    return f"upper({alias}.status::text) IN ('PENDING', 'CONFIRMED')"


def test_money_that_no_currency_can_hold(earlier_postgres: str, ask_postgres: Ask) -> None:
    system = sessions_prisma.make(earlier_postgres, rows=ROWS, ugly={"money_beyond_minor"})
    found = ask_postgres('SELECT id FROM "Booking" WHERE amount * 100 <> floor(amount * 100)')
    assert keys(found) == spotted(system, "money_beyond_minor")
    assert len(found) == 1


@pytest.mark.parametrize("shape", ["practitioners", "events"])
@pytest.mark.parametrize("guest_columns", [meetings_drizzle.HALF_APPLIED, (), tuple(meetings_drizzle.GUEST_COLUMNS)])
def test_meetings(earlier_postgres: str, ask_postgres: Ask, shape: Any, guest_columns: Any) -> None:
    system = meetings_drizzle.make(
        earlier_postgres, rows=ROWS, shape=shape, guest_columns=guest_columns, zone="Europe/Berlin"
    )
    assert counted(ask_postgres, system, '"') == system.counts
    names = meetings_drizzle.NAMES[shape]
    assert ask_postgres(f"SELECT sum({names.money}) FROM meetings")[0][0] == system.sums[f"meetings.{names.money}"]
    there = keys(ask_postgres("SELECT column_name FROM information_schema.columns WHERE table_name = 'meetings'"))
    assert {column for column in there if column in meetings_drizzle.GUEST_COLUMNS} == set(guest_columns)
    hosts = "SELECT workos_user_id FROM users" if shape == "events" else "SELECT id FROM practitioners"
    meeting = "SELECT id FROM meetings m WHERE"
    found = {
        "past_pending": f"{meeting} {names.status} = 'pending' AND start_time < '2023-01-01'",
        "unknown_labels": f"{meeting} {names.status} = '{names.unknown}' "
        "UNION ALL SELECT id FROM organizations WHERE type = 'educational_institution'",
        "missing_created_at": f"{meeting} created_at IS NULL",
        "orphans": f"{meeting} {names.host} NOT IN ({hosts})",
        "overlaps": f"{meeting} EXISTS (SELECT FROM meetings o WHERE o.id <> m.id AND o.{names.host} = m.{names.host} "
        f"AND o.start_time < m.end_time AND m.start_time < o.end_time AND m.{names.status} = '{names.confirmed}' "
        f"AND o.{names.status} = '{names.confirmed}')",
        "ends_before_start": f"{meeting} end_time < start_time",
        "negative_money": f"{meeting} {names.money} < 0",
        "emails_by_case": f"SELECT a.id FROM {names.people} a JOIN {names.people} b ON a.id <> b.id "
        "AND lower(a.email) = lower(b.email)",
        "clock_changes": f"{meeting} start_time IN ('2024-03-31 02:00', '2024-10-27 02:00')",
    }
    if "guest_org_id" in guest_columns:
        found["organization_gone"] = f"{meeting} guest_org_id NOT IN (SELECT id FROM organizations)"
    assert_spotted(system, {kind: keys(ask_postgres(sql)) for kind, sql in found.items()}, "unknown_columns")
    known = system.records["meeting"]
    assert ask_postgres(f"SELECT start_time FROM meetings WHERE id = '{known['id']}'") == [(known["start_time"],)]
    if "guest_org_id" in guest_columns:
        assert ask_postgres(f"SELECT workos_org_id FROM organizations WHERE id = '{known['guest_org_id']}'") == [
            (known["guest_workos_org_id"],)
        ]


MAKERS = [bookings_drizzle, memberships_drizzle, clients_prisma, sessions_prisma, meetings_drizzle]


@pytest.mark.parametrize("maker", MAKERS)
def test_in_a_schema_of_its_own(earlier_postgres: str, ask_postgres: Ask, maker: Any) -> None:
    """Beside other tables of the same database; the address says which schema, as Prisma's does."""
    system = maker.make(f"{earlier_postgres}?schema=before", rows=ROWS)
    assert system.address.endswith("?schema=before")
    there = keys(ask_postgres("SELECT tablename FROM pg_tables WHERE schemaname = 'before'"))
    assert set(system.counts) <= there
    assert ask_postgres("SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []


@pytest.mark.parametrize("maker", MAKERS)
def test_nothing_amiss(earlier_postgres: str, ask_postgres: Ask, maker: Any) -> None:
    system = maker.make(earlier_postgres, rows=ROWS, ugly=False)
    assert system.ugly == {}
    assert counted(ask_postgres, system, '"') == system.counts
