"""`flask migrate verify`: a database held against this code, told as tables, with a status."""

import re

import pytest

from admin_app.services.invariants import INVARIANTS
from tests.migrations.commands import migrate, of_earlier_days, refusal
from tests.migrations.journey import Journey

FLAG = "ALTER TABLE clients ALTER ai_disabled"
KEY = "fk_meetings_practitioner_id_practitioners"
PRISMA = """
CREATE TYPE "BillingStatus" AS ENUM ('none', 'trial', 'active', 'canceled', 'past_due');
CREATE TABLE clients (id text PRIMARY KEY, name text NOT NULL, "onboardingComplete" boolean DEFAULT false,
    "outboundPaused" boolean, "aiDisabled" boolean DEFAULT false, "billingStatus" "BillingStatus" DEFAULT 'none');
INSERT INTO clients (id, name, "outboundPaused") VALUES ('c1', 'a', true), ('c2', 'b', false), ('c3', 'c', NULL);
CREATE TABLE "Booking" (id text PRIMARY KEY, "calendlyEventId" text);
INSERT INTO "Booking" VALUES ('b1', 'ev'), ('b2', NULL);
"""


def line(output: str, *cells: str) -> str:
    """The one line of the table with these cells."""
    found = [
        one for one in output.splitlines() if re.match(r"\s+" + r"\s+".join(map(re.escape, cells)) + r"\s", one + " ")
    ]
    assert len(found) == 1, (cells, found)
    return found[0]


def test_a_migrated_database(migrated: Journey) -> None:
    migrated.run(
        "INSERT INTO clients (name, outbound_paused, billing_status) VALUES ('a', true, 'active'), ('b', false, 'none')"
    )
    before = migrated.data()
    result = migrate(migrated, "verify", "--env", "dev")
    assert result.exit_code == 0, result.output
    said = result.output
    assert line(said, "clients", "outbound_paused", "boolean", "no", "false", "ok")
    assert line(said, "clients", "email", "citext", "yes", "ok")
    assert line(said, "clients", "id", "bigint", "no", "identity", "ok")
    assert line(said, "billing_status", "none, trial, active, canceled, past_due", "ok")
    assert line(said, "clients", "ix_clients_email", "ok")
    assert line(said, "bookings", "fk_bookings_practitioner_id_practitioners", "foreign key", "ok")
    assert line(said, "clients", "outbound_paused", "0", "ok")
    for name, count in {"clients in all": 2, "outbound active": 1, "no billing": 1, "AI enabled": 2}.items():
        assert line(said, name, str(count), "ok")
    assert line(said, "temp_ rows left in profiles", "0", "ok")
    for rule in INVARIANTS:
        assert line(said, rule.name, "0", "ok")
    assert "Everything is as it is to be." in said
    assert migrated.data() == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (f"{FLAG} DROP NOT NULL", r"ai_disabled\s+boolean\s+yes\s+false\s+WRONG nullable"),
        (f"{FLAG} SET DEFAULT true", r"ai_disabled .*WRONG default differs: .*default false"),
        (
            f"{FLAG} DROP NOT NULL; INSERT INTO clients (name, ai_disabled) VALUES ('a', NULL)",
            r"clients\s+ai_disabled\s+1\s+WRONG neither on nor off",
        ),
        ("ALTER TABLE clients ALTER phone TYPE integer USING NULL", r"phone\s+integer .*WRONG type differs: .*varchar"),
        ("ALTER TABLE clients DROP COLUMN phone", r"phone\s+WRONG the column is missing: wanted varchar null"),
        ("ALTER TYPE billing_status ADD VALUE 'x' BEFORE 'trial'", r"none, x, trial.*WRONG wanted none, trial"),
        ("DROP INDEX ix_clients_email", r"clients\s+ix_clients_email\s+WRONG missing"),
        (
            "DROP INDEX ix_clients_email; CREATE INDEX ix_clients_email ON clients (phone)",
            r"ix_clients_email\s+WRONG of this name, but of another definition",
        ),
        (
            "DROP INDEX ix_clients_email; CREATE INDEX ix_clients_email ON bookings (id)",
            r"clients\s+ix_clients_email\s+WRONG missing",
        ),
        (
            f"ALTER TABLE meetings DROP CONSTRAINT {KEY}; ALTER TABLE meetings ADD CONSTRAINT {KEY} "
            "FOREIGN KEY (practitioner_id) REFERENCES practitioners (id) NOT VALID",
            r"fk_meetings_practitioner_id_practitioners\s+foreign key\s+WRONG not validated",
        ),
        (
            "ALTER TABLE clients ADD tenant text NOT NULL DEFAULT 'x'; ALTER TABLE clients ALTER tenant DROP DEFAULT",
            r"clients\s+tenant .*WRONG not Backdesk's, must hold a value",
        ),
        (
            "INSERT INTO profiles (user_id, email, membership) VALUES ('temp_1', 'left@example.com', 'pro')",
            r"temp_ rows that could move .*1\s+WRONG",
        ),
    ],
)
def test_what_is_wrong_is_told(migrated: Journey, change: str, sentence: str) -> None:
    migrated.run(change)
    result = migrate(migrated, "verify", "--problems")
    assert re.search(sentence, refusal(result)), result.output
    assert "docs/runbooks/migrating.md" in result.output


def test_keys_of_an_earlier_system_are_as_good(migrated: Journey) -> None:
    migrated.run(
        "ALTER TABLE meetings ALTER id DROP IDENTITY; ALTER TABLE meetings ALTER id TYPE integer;"
        "CREATE SEQUENCE meetings_id_seq OWNED BY meetings.id;"
        "ALTER TABLE meetings ALTER id SET DEFAULT nextval('meetings_id_seq')"
    )
    result = migrate(migrated, "verify", "--problems")
    assert result.exit_code == 0, result.output
    assert re.search(r"meetings\s+id\s+integer\s+no .*note as the earlier system had it, wanted bigint", result.output)
    migrated.run("ALTER TABLE meetings ALTER id SET DEFAULT 7")
    assert re.search(r"meetings\s+id\s+integer .*WRONG default, type differs", refusal(migrate(migrated, "verify")))
    migrated.run("ALTER TABLE meetings ALTER id DROP DEFAULT")
    assert re.search(r"meetings\s+id\s+integer .*WRONG default, type differs", refusal(migrate(migrated, "verify")))


def test_an_index_whose_build_was_interrupted(migrated: Journey) -> None:
    migrated.run("INSERT INTO clients (name, phone) VALUES ('a', '1'), ('b', '1'); DROP INDEX ix_clients_email")
    with pytest.raises(Exception, match="could not create unique index"):
        migrated.run("CREATE UNIQUE INDEX CONCURRENTLY ix_clients_email ON clients (phone)")
    assert re.search(r"ix_clients_email\s+WRONG not valid", refusal(migrate(migrated, "verify", "--problems")))


def test_a_database_of_earlier_days(journey: Journey) -> None:
    of_earlier_days(journey)
    before = journey.data()
    said = refusal(migrate(journey, "verify", "--env", "prod"))
    assert "has tables, but Alembic has never been there" in said
    assert line(said, "clients in all", "2", "ok")
    assert re.search(r"outbound active\s+WRONG the column clients\.outbound_paused is missing", said)
    assert re.search(
        r"clients\s+outbound_paused\s+WRONG the column is missing: wanted boolean not null default false", said
    )
    assert re.search(r"refunds\s+WRONG the table is missing", said)
    assert re.search(r"billing_status\s+WRONG the type is missing", said)
    assert line(said, "temp_ rows left in profiles", "3", "ok")
    assert "not asked: they are written for the newest schema" in said
    assert journey.data() == before


def test_names_of_an_earlier_system(journey: Journey) -> None:
    journey.run(PRISMA)
    said = refusal(migrate(journey, "verify"))
    assert re.search(r'clients\s+outbound_paused\s+WRONG .*"outboundPaused" means it', said)
    assert re.search(r'bookings\s+WRONG the table is missing; "Booking" means it', said)
    assert re.search(r'billing_status\s+WRONG the type is missing.*"BillingStatus" means it', said)
    assert re.search(r'outbound active\s+2\s+note counted in "outboundPaused"', said)
    assert re.search(r"no billing\s+3\s+note", said)
    assert re.search(r'bookings with a Calendly event id\s+1\s+note counted in "Booking", "calendlyEventId"', said)
    assert re.search(r"clients\s+outboundPaused\s+1\s+WRONG neither on nor off", said)


@pytest.mark.parametrize("revision", ["0001", "0003", "0011", "0036"])
def test_half_way(journey: Journey, revision: str) -> None:
    journey.up(revision)
    said = refusal(migrate(journey, "verify", "--problems"))
    assert f"The database is at revision {revision}" in said


def test_an_empty_database(journey: Journey) -> None:
    assert "is empty" in refusal(migrate(journey, "verify"))


def test_a_database_of_newer_code(journey: Journey) -> None:
    journey.up("0001")
    journey.claim_to_be_at("9999")
    assert "which this code does not have" in refusal(migrate(journey, "verify"))
