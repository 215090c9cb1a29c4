"""`flask migrate plan`: what the revisions to come would do to this very database; it writes nothing."""

import re

import psycopg
import pytest

from admin_app.services.migrating import revisions
from tests.migrations.commands import migrate, of_earlier_days, refusal
from tests.migrations.journey import REVISIONS, Journey


def part(output: str, revision: str) -> str:
    """What is said of one revision."""
    found = re.search(rf"^{revision}  .*?(?=^\d{{4}}  |^Rows now)", output, re.MULTILINE | re.DOTALL)
    assert found, output
    return " ".join(found[0].split())


def seconds(output: str, revision: str) -> float:
    (found,) = re.findall(r"about: ([\d.,]+) s", part(output, revision))
    return float(found.replace(",", ""))


def planned(journey: Journey) -> str:
    before = journey.schema(), journey.data()
    result = migrate(journey, "plan", "--env", "prod")
    assert result.exit_code == 0, result.output
    assert (journey.schema(), journey.data()) == before
    return result.output


def test_an_empty_database(journey: Journey) -> None:
    said = planned(journey)
    assert "The database is empty" in said
    for revision in REVISIONS:
        assert re.search(r" here: .+ rows: .+ locks: .+ about: [\d.]+ s$", part(said, revision))
    assert "makes the table clients" in part(said, "0001")
    assert "rows: none locks:" in part(said, "0036")
    assert f"{len(REVISIONS)} revisions, about" in said
    assert "Nothing stands in the way." in said


def test_a_database_of_earlier_days(journey: Journey) -> None:
    of_earlier_days(journey)
    said = planned(journey)
    assert "nothing that is not there already" in part(said, "0001")
    assert "adds to clients: onboarding_complete, outbound_paused, ai_disabled" in part(said, "0003")
    assert "Guards on clients" in part(said, "0003")
    assert "ACCESS EXCLUSIVE, changes of the catalogue" in part(said, "0003")
    assert "turns clients.email from text into citext" in part(said, "0007")
    assert re.search(r"rows: .*clients 2 read", part(said, "0007"))
    assert re.search(r"bookings 3 indexed 5 times", part(said, "0016"))
    assert re.search(r"^  profiles +6$", said, re.MULTILINE)


def test_rows_that_are_written(journey: Journey) -> None:
    of_earlier_days(
        journey,
        """INSERT INTO clients (name) SELECT 'n' FROM generate_series(1, 500);
        INSERT INTO onboarding_states (customer_id) SELECT id FROM clients WHERE id > 2; ANALYZE""",
    )
    said = planned(journey)
    assert "writes to onboarding_states, about 502 rows" in part(said, "0003")
    assert re.search(r"onboarding_states 502 written", part(said, "0003"))
    assert re.search(r"writes to profiles, about \d rows", part(said, "0008"))
    assert re.search(r"writes to bookings, about \d rows", part(said, "0050"))
    assert "writes to profiles, how many of its rows is seen when it is time" in part(said, "0005")
    assert re.search(r"bookings 3 written anew in batches", part(said, "0037"))
    assert "fills memberships from profiles, at most 2 rows" in part(said, "0036")
    assert re.search(r"memberships 2 written", part(said, "0036"))
    assert re.search(r"person_addresses \d written", part(said, "0039"))
    assert re.search(r"booking_attendees 1 written.*booking_hosts 1 written", part(said, "0049"))


def test_what_is_done_already_is_no_work(journey: Journey) -> None:
    journey.up("0016")
    journey.run("INSERT INTO clients (name) VALUES ('a')")
    whole = part(planned(journey), "0017")
    assert "builds the index ix_clients_name_trgm on clients" in whole
    journey.up("0017")
    journey.claim_to_be_at("0016")
    assert "nothing that is not there already" in part(planned(journey), "0017")


def test_what_stands_in_the_way_is_in_the_plan(journey: Journey) -> None:
    of_earlier_days(
        journey,
        'CREATE TABLE "Booking" (id text PRIMARY KEY); UPDATE bookings SET created_at = NULL WHERE id = 3',
    )
    said = refusal(migrate(journey, "plan"))
    assert 'The table public."Booking" means what Backdesk keeps in public.bookings' in said
    assert "bookings.created_at must hold a value, but these rows of bookings break that: 3" in said
    assert "flask legacy inspect" in said
    assert "Nothing stands in the way." not in said


def test_nothing_is_to_be_done(migrated: Journey) -> None:
    assert "Nothing is to be done." in planned(migrated)


def test_a_large_table_is_estimated_and_takes_longer(journey: Journey) -> None:
    of_earlier_days(journey)
    journey.run("INSERT INTO clients (name, email) SELECT 'n', 'e' || n FROM generate_series(1, 120000) n")
    journey.run("ANALYZE clients")
    said = planned(journey)
    counted = re.search(r"^  clients +([\d,]+)$", said, re.MULTILINE)
    assert counted
    assert 110_000 < int(counted[1].replace(",", "")) < 130_000
    assert seconds(said, "0017") > 10 * seconds(said, "0010")


def test_every_revision_says_what_it_is_for_and_what_it_locks() -> None:
    for script in revisions.every():
        assert revisions.idea(script)
        assert revisions.locks(script) != "not said", script.revision


def test_missing_rights_are_a_sentence(migrated: Journey) -> None:
    migrated.claim_to_be_at("0049")
    migrated.run("ALTER TABLE clients ENABLE ROW LEVEL SECURITY; REVOKE ALL ON clients FROM CURRENT_USER")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        migrated.rows("SELECT FROM clients")
    for command in ("plan", "verify"):
        assert "lacks a right: permission denied for table clients" in refusal(migrate(migrated, command))


def test_what_would_make_others_wait_is_copied_beside_them(journey: Journey) -> None:
    of_earlier_days(journey, "CREATE TYPE states AS ENUM ('active', 'inactive'); ANALYZE")
    few = planned(journey)
    assert re.search(r"bookings 3 indexed", part(few, "0011"))
    journey.run(
        """INSERT INTO profiles (user_id, email)
            SELECT 'user_' || n, n || '@example.org' FROM generate_series(1, 11000) n;
        ALTER TABLE profiles ALTER status DROP DEFAULT, ALTER status TYPE states USING status::states;
        INSERT INTO bookings (practitioner_id, session_type_id, client_name, client_email, starts_at, ends_at, status)
        SELECT 1, 1, 'a', 'a@example.org', slot, slot + interval '30 min', 'confirmed' FROM generate_series(1, 9000) n,
            LATERAL (SELECT timestamptz '2030-01-01+00' + n * interval '1 hour' AS slot) s; ANALYZE"""
    )
    many = planned(journey)
    assert "turns profiles.status from states into varchar(32)" in part(many, "0008")
    assert re.search(r"profiles 11,006 copied beside the traffic", part(many, "0008"))
    assert re.search(r"bookings 9,003 copied beside the traffic", part(many, "0011"))
