"""What the database itself refuses, and how a migration refuses data that it must not touch."""

from importlib import import_module

import psycopg
import pytest
from alembic.util import CommandError

from migrations import ops
from tests.migrations import believable_rows
from tests.migrations.journey import Journey


def with_rows(journey: Journey, revision: str) -> None:
    journey.up("0001")
    journey.run(believable_rows.LEGACY)
    journey.up(revision)


def test_overlapping_bookings_are_named(journey: Journey) -> None:
    with_rows(journey, "0010")
    journey.run(
        "INSERT INTO bookings (practitioner_id, session_type_id, client_name, client_email, starts_at, ends_at, "
        "status) VALUES (1, 1, 'x', 'x@example.org', '2025-07-01 09:30+00', '2025-07-01 10:00+00', 'confirmed')"
    )
    with pytest.raises(CommandError, match=r"bookings overlap: 1 and 4, 2 and 4\. Cancel or move"):
        journey.up()
    journey.run("UPDATE bookings SET status = 'canceled' WHERE id = 4")
    journey.up()
    with pytest.raises(psycopg.errors.ExclusionViolation):
        journey.run("UPDATE bookings SET status = 'confirmed' WHERE id = 4")


@pytest.mark.parametrize(
    ("broken", "repaired", "sentence"),
    [
        (
            "UPDATE profiles SET membership = 'vip' WHERE user_id = 'user_2abc'",
            "UPDATE profiles SET membership = 'pro' WHERE user_id = 'user_2abc'",
            r"ck_profiles_membership .* these rows of profiles break that: user_2abc\.",
        ),
        (
            "UPDATE bookings SET stripe_checkout_session_id = 'cs_1' WHERE id < 3",
            "UPDATE bookings SET stripe_checkout_session_id = NULL WHERE id = 2",
            r"Each stripe_checkout_session_id may occur once, but these rows of bookings break that: 1, 2\.",
        ),
        (
            "UPDATE practitioners SET email = 'ADA@clinic.example' WHERE id = 2",
            "UPDATE practitioners SET email = 'ben@clinic.example' WHERE id = 2",
            r"whatever its case, but these rows of practitioners break that: 1, 2\.",
        ),
        (
            "UPDATE bookings SET ends_at = starts_at WHERE id = 3",
            "UPDATE bookings SET ends_at = starts_at + interval '1 hour' WHERE id = 3",
            r"ck_bookings_ends_after_start .*: 3\.",
        ),
    ],
    ids=["unknown-value", "double-id", "e-mail-case", "ends-at-start"],
)
def test_rows_that_break_a_rule_are_named(journey: Journey, broken: str, repaired: str, sentence: str) -> None:
    with_rows(journey, "0006")
    journey.run(broken)
    with pytest.raises(CommandError, match=sentence):
        journey.up()
    journey.run(repaired)
    journey.up()
    journey.check_drift()


@pytest.mark.parametrize("statement", ["UPDATE audit_entries SET reason = 'x'", "DELETE FROM audit_entries",
                                       "TRUNCATE audit_entries"])  # fmt: skip
def test_the_audit_is_append_only(journey: Journey, statement: str) -> None:
    journey.up()
    journey.run(believable_rows.ADDED["0013"])
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="audit_entries is append-only"):
        journey.run(statement)
    assert journey.value("SELECT count(*) FROM audit_entries") == 1


def test_a_closed_month_stays(journey: Journey) -> None:
    journey.up()
    journey.run(
        "INSERT INTO month_closings (month, closed_at, closed_by, totals, digest)"
        " VALUES ('2025-01-01', now(), 'fay', '{}', '');"
        "INSERT INTO month_lines (closing_id, line_key, kind, at, currency, amount, about)"
        " VALUES (1, 'payment:1', 'payment', now(), 'eur', 1, 'booking:1');"
        "UPDATE month_closings SET digest = 'abc'"
    )
    for table in ("month_lines", "month_closings"):
        for statement in ("UPDATE {} SET id = 9", "DELETE FROM {}", "TRUNCATE {} CASCADE"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="is append-only"):
                journey.run(statement.format(table))
    assert journey.value("SELECT count(*) FROM month_lines") == 1


def test_what_moved_in_closed_months_is_found_once_and_noted_from_then_on(journey: Journey) -> None:
    journey.up("0034")
    journey.run(
        "INSERT INTO clients (name) VALUES ('Harbour Dental');"
        "INSERT INTO billing_changes (client_id, at, status_before, status_after, currency, monthly_after, movement,"
        " cause) SELECT 1, month, 'none', 'active', 'eur', 100, 'new', 'stripe' FROM generate_series("
        " timestamptz '2025-01-01+00', timestamptz '2025-01-04+00', '1 day') month;"
        "INSERT INTO month_closings (month, closed_at, closed_by, totals, digest)"
        " VALUES ('2025-01-01', now(), 'fay', '{}', '');"
        # 1 is as it was kept, 2 changed, 3 and 4 were not kept, 9 is gone
        "INSERT INTO month_lines (closing_id, line_key, kind, at, currency, amount, about)"
        " SELECT 1, 'billing_change:' || n, 'new', '2025-01-01+00', 'eur', CASE n WHEN 2 THEN 90 ELSE 100 END, 'c'"
        " FROM unnest(ARRAY[1, 2, 9]) n"
    )
    journey.up()
    moved = "SELECT array_agg(line_key ORDER BY line_key) FROM moved_lines WHERE month = '2025-01-01'"
    assert journey.value(moved) == [f"billing_change:{number}" for number in (2, 3, 4, 9)]
    journey.run("UPDATE billing_changes SET at = '2025-02-01+00' WHERE id = 1")
    journey.run("DELETE FROM billing_changes WHERE id = 4")
    assert journey.value(moved) == [f"billing_change:{number}" for number in (1, 2, 3, 4, 9)]
    assert journey.value("SELECT line_key FROM moved_lines WHERE month = '2025-02-01'") == "billing_change:1"
    journey.run("UPDATE billing_changes SET at = now() WHERE id = 2")
    journey.run("UPDATE billing_changes SET cause = 'x', recorded_at = now()")
    assert journey.value("SELECT count(*) FROM moved_lines") == 6


def test_safe_defaults_come_from_the_server(journey: Journey) -> None:
    journey.up()
    journey.run("INSERT INTO clients (name) VALUES ('Harbour Dental')")
    (client,) = journey.rows(
        "SELECT onboarding_complete, outbound_paused, ai_disabled, payment_active, pending_cancellation, "
        "billing_status FROM clients"
    )
    assert list(client.values()) == [False] * 5 + ["none"]
    journey.run("INSERT INTO pending_profiles (email) VALUES ('Nora@Example.org')")
    (pending,) = journey.rows("SELECT membership, payment_provider, claimed FROM pending_profiles")
    assert list(pending.values()) == ["pro", "whop", False]
    with pytest.raises(psycopg.errors.UniqueViolation):
        journey.run("INSERT INTO pending_profiles (email) VALUES ('nora@example.ORG')")


MANY_HELD = """
INSERT INTO practitioners (name, email) SELECT 'Ada', 'ada' || n || '@clinic.example' FROM generate_series(1, 40) n;
INSERT INTO session_types (practitioner_id, title, minutes) SELECT id, 'Talk', 30 FROM practitioners;
INSERT INTO bookings (practitioner_id, session_type_id, client_name, client_email, starts_at, ends_at, status)
    SELECT 1 + n % 40, 1 + n % 40, 'Per', 'per@example.org', slot, slot + interval '50 min', 'confirmed'
      FROM generate_series(0, 29999) n,
           LATERAL (SELECT timestamptz '2020-01-01+00' + n / 40 * interval '1 hour' AS slot) s
"""


def test_many_held_bookings_are_a_choice_and_no_outage(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where something hangs on the table, so that another cannot take its place (test_rebuilt_table.py)."""
    journey.up("0010")
    journey.run(MANY_HELD)
    journey.run("CREATE VIEW diary AS SELECT id, starts_at FROM bookings")
    for _ in range(2):
        with pytest.raises(
            CommandError,
            match=r"takes about .* alone .*: 30000 bookings are pending or .*, 30000 of .* view diary",
        ):
            journey.up("0011")
    journey.run("UPDATE bookings SET status = 'completed' WHERE id > 20 AND ends_at < now()")
    journey.up("0011")
    journey.down("0010")
    journey.run("UPDATE bookings SET status = 'confirmed'")
    monkeypatch.setenv("MIGRATE_WINDOW_SECONDS", "600")
    journey.up("0011")
    assert journey.value("SELECT count(*) FROM pg_constraint WHERE conname = 'ex_bookings_no_overlap'") == 1


def test_an_overlap_written_since_is_a_sentence(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    with_rows(journey, "0010")
    waiting = [
        "INSERT INTO bookings (practitioner_id, session_type_id, client_name, client_email, starts_at, ends_at) "
        "SELECT 1, 1, 'x', 'x@example.org', '2031-01-01+00', '2031-01-02+00' FROM generate_series(1, 2)"
    ]

    def look_and_be_overtaken(*_: object) -> None:
        while waiting and not ops.rehearsed():
            journey.run(waiting.pop())

    monkeypatch.setattr(ops, "refuse_when", look_and_be_overtaken)
    with pytest.raises(CommandError, match=r"bookings overlap: 4 and 5\."):
        journey.up("0011")
    assert waiting == []


def test_a_lock_that_lasts_longer_than_measured_is_let_go(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    revision = import_module("migrations.versions.0011_no_overlapping_bookings")
    journey.up("0010")
    journey.run(MANY_HELD)
    journey.run("CREATE VIEW diary AS SELECT id, starts_at FROM bookings")
    monkeypatch.setenv("MIGRATE_WINDOW_SECONDS", "0.4")
    statement = f"SET statement_timeout = '470ms'; ALTER TABLE bookings ADD CONSTRAINT x {revision.DEFINITION}"
    with pytest.raises(psycopg.errors.QueryCanceled):
        journey.run(statement)
    with pytest.raises(CommandError, match=r"for how many seconds others may wait\."):
        journey.up("0011")
    assert journey.value("SELECT count(*) FROM pg_constraint WHERE conname LIKE 'ex_bookings%'") == 0
    journey.run("DROP VIEW diary")
    journey.up("0011")
    assert journey.value("SELECT count(*) FROM pg_constraint WHERE conname LIKE 'ex_bookings%'") == 1
