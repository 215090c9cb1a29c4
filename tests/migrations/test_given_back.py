"""The way back on a database that was there before us ends with the earlier system's tables, as they were."""

import pytest
from alembic.util import CommandError

from tests.migrations import believable_rows
from tests.migrations.journey import REVISIONS, Journey, first_difference

GREW = """
CREATE TYPE membership AS ENUM ('free', 'pro');
CREATE TABLE users (id serial PRIMARY KEY, open_id varchar(64) NOT NULL UNIQUE, email varchar(255));
CREATE TABLE profiles (user_id varchar(64) PRIMARY KEY, email varchar(255), membership membership DEFAULT 'free',
    usage_credits int, billing_cycle_end timestamp, created_at timestamp DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE clients (id serial PRIMARY KEY, name text NOT NULL, email text NOT NULL, note text);
CREATE TABLE bookings (id serial PRIMARY KEY, practitioner_id int NOT NULL, session_type_id int NOT NULL,
    client_name varchar(80) NOT NULL, client_email varchar(255) NOT NULL, starts_at timestamp(3) NOT NULL,
    ends_at timestamp(3) NOT NULL, status text NOT NULL DEFAULT 'pending');
CREATE VIEW notes AS SELECT id, note FROM clients;
INSERT INTO users (open_id, email) VALUES ('google|1', 'Ada@example.org');
INSERT INTO profiles (user_id, email, usage_credits, billing_cycle_end) VALUES
    ('temp_1', 'Nora@example.org', NULL, '2026-01-01 09:00'), ('user_2abc', 'Maja@example.org', 5, '2026-02-01 09:00');
INSERT INTO clients (name, email, note) VALUES ('Harbour Dental', 'Office@harbour.example', 'rings twice')
"""


def test_down_to_base_gives_the_tables_back(journey: Journey) -> None:
    journey.run(GREW)
    columns, data = journey.schema()["columns"], journey.data()
    journey.up()
    journey.run("UPDATE clients SET phone = '+44 1', outbound_paused = true")
    journey.down("base")
    left = {row for row in journey.schema()["columns"] if row[0] != "alembic_version"}
    assert left ^ columns == set()
    given = journey.data()
    # A purchase that waits has the thousand credits of its claim since 0008.
    assert first_difference(data | {"profiles": given["profiles"]}, given) == []
    assert journey.value("SELECT count(*) FROM profiles") == 2
    assert journey.value("SELECT billing_cycle_end = '2026-01-01 09:00' FROM profiles WHERE user_id = 'temp_1'") is True
    journey.run("INSERT INTO clients (name, email) VALUES ('Oak & Sons', 'oak@example.org')")
    journey.up()
    assert [tuple(row.values()) for row in journey.rows("SELECT phone, outbound_paused FROM clients ORDER BY id")] == [
        ("+44 1", True),
        (None, False),
    ]


def test_what_we_made_goes_and_comes_back(journey: Journey) -> None:
    journey.up("0001")
    journey.run(believable_rows.LEGACY)
    data = journey.data()
    journey.down("base")
    assert journey.data() == {}
    journey.up("0001")
    assert journey.data() == data


def test_a_dependant_is_told_before_a_downgrade_begins(journey: Journey) -> None:
    journey.up()
    journey.run(
        "CREATE VIEW held AS SELECT hold_expires_at FROM bookings; CREATE VIEW mails AS SELECT email FROM clients"
    )
    schema = journey.schema()
    with pytest.raises(CommandError) as told:
        journey.down("base")
    assert "bookings.hold_expires_at goes, and this depends on it: rule _RETURN on view held" in str(told.value)
    assert "clients.email is citext and becomes text, and this depends on it: rule _RETURN on view mails" in str(
        told.value
    )
    assert first_difference(schema, journey.schema()) == []
    assert journey.value("SELECT version_num FROM alembic_version") == REVISIONS[-1]
    journey.run("DROP VIEW held; DROP VIEW mails")
    journey.down("base")


BEGUN = """
CREATE TYPE "BillingStatus" AS ENUM ('none', 'trial', 'active', 'canceled', 'past_due');
CREATE TABLE practitioners (id serial PRIMARY KEY, name text NOT NULL, email text NOT NULL);
CREATE TABLE clients (id serial PRIMARY KEY, name text NOT NULL, outbound_paused boolean NOT NULL DEFAULT false,
    billing_status "BillingStatus" NOT NULL DEFAULT 'none', stripe_customer_id text, trial_used_at timestamp(3));
CREATE TABLE onboarding_states (id serial PRIMARY KEY, client_id int UNIQUE REFERENCES clients);
CREATE TABLE meetings (id serial PRIMARY KEY, practitioner_id int NOT NULL, starts_at timestamp(3) NOT NULL,
    ends_at timestamp(3) NOT NULL, guest_email text, guest_org_id text);
CREATE VIEW paused AS SELECT id FROM clients WHERE outbound_paused;
INSERT INTO clients (name, outbound_paused, billing_status, stripe_customer_id)
    VALUES ('Harbour Dental', true, 'trial', 'cus_1'), ('Oak & Sons', false, 'none', NULL);
INSERT INTO onboarding_states (client_id) VALUES (1), (2);
INSERT INTO practitioners (name, email) VALUES ('Ada', 'ada@clinic.example');
INSERT INTO meetings (practitioner_id, starts_at, ends_at, guest_email)
    VALUES (1, '2026-01-01 09:00', '2026-01-01 10:00', 'nora@example.org')
"""


def test_columns_that_later_revisions_would_have_added_stay_as_well(journey: Journey) -> None:
    """The earlier system had gone some of the way itself: clients could be paused, meetings knew their guest."""
    journey.run(BEGUN)
    schema, data = journey.schema(), journey.data()
    for lowest in ("0001", "base"):
        journey.up()
        journey.down(lowest)
    left = journey.schema()
    assert {row for row in left["columns"] if row[0] != "alembic_version"} ^ schema["columns"] == set()
    assert first_difference(data, journey.data()) == []
    assert ("clients", "UNIQUE (stripe_customer_id)", True) not in left["constraints"]
    journey.run("INSERT INTO clients (name, outbound_paused) VALUES ('New', true)")
    journey.up()
    assert journey.value("SELECT string_agg(outbound_paused::text, ' ' ORDER BY id) FROM clients") == "true false true"
    assert journey.value("SELECT billing_status FROM clients WHERE id = 1") == "trial"
