"""A database that was there before us: what stands in the way is told in one list, and nothing has been touched."""

import re

import pytest
from alembic.util import CommandError

from tests.migrations import believable_rows
from tests.migrations.journey import Journey

EVERYTHING = """
SELECT 'class ' || n.nspname || '.' || c.relname || ' ' || c.relkind::text AS what FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
UNION ALL SELECT 'column ' || a.attrelid::regclass || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
       || a.attnotnull FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE a.attnum > 0 AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
UNION ALL SELECT 'extension ' || extname FROM pg_extension
UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname !~ '^pg_'
UNION ALL SELECT 'type ' || typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE n.nspname = 'public'
UNION ALL SELECT 'constraint ' || conrelid::regclass || conname || convalidated FROM pg_constraint
"""


def catalogue(journey: Journey) -> set[str]:
    return {str(row["what"]) for row in journey.rows(EVERYTHING)}


def refused(journey: Journey, revision: str = "head") -> str:
    """The sentence of a refusal that left everything as it was."""
    catalogue_before, data_before = catalogue(journey), journey.data()
    with pytest.raises(CommandError) as told:
        journey.up(revision)
    assert catalogue(journey) ^ catalogue_before == set()
    assert journey.data() == data_before
    return str(told.value)


def of_earlier_days(journey: Journey, change: str = "") -> None:
    """The tables as the business had them, which Alembic has never seen."""
    journey.up("0001")
    journey.run(believable_rows.LEGACY)
    journey.run("DROP TABLE alembic_version")
    journey.run(change)


TEXT_KEY = "(id text PRIMARY KEY, name text NOT NULL)"
NUMBER_KEY = "id bigserial PRIMARY KEY"


@pytest.mark.parametrize(
    ("statements", "sentence"),
    [
        (
            f'CREATE TABLE "Booking" {TEXT_KEY}',
            'The table public."Booking" means what Backdesk keeps in public.bookings.',
        ),
        (
            f'CREATE TABLE "SessionType" {TEXT_KEY}',
            'The table public."SessionType" means what Backdesk keeps in public.session_types.',
        ),
        (f"CREATE TABLE client {TEXT_KEY}", "The table public.client means what Backdesk keeps in public.clients."),
        (
            f'CREATE TABLE clients ({NUMBER_KEY}, name text NOT NULL, "outboundPaused" boolean NOT NULL DEFAULT false)',
            'The column clients."outboundPaused" means what Backdesk keeps in clients.outbound_paused.',
        ),
        (
            f"CREATE TABLE meetings ({NUMBER_KEY}, practitioner_id bigint, start_time timestamptz)",
            "The column meetings.start_time means what Backdesk keeps in meetings.starts_at.",
        ),
        (
            f"CREATE TABLE organizations ({NUMBER_KEY}, workos_org_id text, name text)",
            "The column organizations.workos_org_id means what Backdesk keeps in organizations.workos_id.",
        ),
        (
            f'CREATE TABLE onboarding_states ({NUMBER_KEY}, "customerId" bigint)',
            'The column onboarding_states."customerId" means what Backdesk keeps in onboarding_states.customer_id.',
        ),
        (f"CREATE TABLE clients {TEXT_KEY}", "clients.id is text, and Backdesk counts its rows in whole numbers."),
        (
            "CREATE TABLE meetings (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), starts_at timestamptz)",
            "meetings.id is uuid, and Backdesk counts its rows in whole numbers.",
        ),
        (
            "CREATE TABLE profiles (id bigserial PRIMARY KEY, user_id text)",
            "The primary key of profiles must be its column user_id.",
        ),
    ],
)
def test_another_systems_tables_are_not_passed_by(journey: Journey, statements: str, sentence: str) -> None:
    journey.run(statements)
    told = refused(journey)
    assert f"- {sentence}" in told
    assert "`flask legacy inspect`" in told


def test_tables_in_another_schema_of_the_search_path(journey: Journey) -> None:
    journey.run(f"CREATE SCHEMA app; CREATE TABLE app.bookings {TEXT_KEY}")
    name = journey.value("SELECT current_database()")
    journey.run(f"ALTER DATABASE {name} SET search_path = public, app")
    assert "The table app.bookings means what Backdesk keeps in public.bookings." in refused(journey)
    journey.run(f"ALTER DATABASE {name} SET search_path = app, public")
    assert "Put public first" in refused(journey)


def test_both_names_are_taken_when_they_say_the_same(journey: Journey) -> None:
    of_earlier_days(
        journey,
        'ALTER TABLE clients ADD COLUMN "outboundPaused" boolean DEFAULT false, ADD COLUMN outbound_paused boolean '
        'DEFAULT false; UPDATE clients SET "outboundPaused" = true WHERE id = 2',
    )
    assert re.search(r"they are to be the same, but these rows of clients break that: 2\.", refused(journey))
    journey.run("UPDATE clients SET outbound_paused = true WHERE id = 2")
    journey.up("0003")
    assert journey.value("SELECT array_agg(id) FROM clients WHERE outbound_paused") == [2]


def test_every_reason_in_one_list(journey: Journey) -> None:
    of_earlier_days(
        journey,
        """CREATE TABLE "SessionType" (id text PRIMARY KEY);
        ALTER TABLE session_types ALTER COLUMN price_amount TYPE numeric(10,2);
        UPDATE session_types SET price_amount = 90.50 WHERE id = 2;
        ALTER TABLE clients ADD COLUMN tenant text NOT NULL DEFAULT 'x';
        ALTER TABLE clients ALTER COLUMN tenant DROP DEFAULT;
        CREATE VIEW addresses AS SELECT email FROM clients;
        UPDATE bookings SET created_at = NULL WHERE id = 3;
        UPDATE bookings SET status = 'cancelled' WHERE id = 1""",
    )
    told = refused(journey)
    for sentence in (
        r"The table public\.\"SessionType\" means",
        r"session_types\.price_amount is numeric\(10,2\) and becomes integer without amounts with decimals.*: 2\.",
        r"clients\.tenant must hold a value and has no default",
        r"clients\.email is text and becomes citext, and this depends on it: rule _RETURN on view addresses",
        r"bookings\.created_at must hold a value, but these rows of bookings break that: 3\.",
        r"ck_bookings_status .* these rows of bookings break that: 1\.",
    ):
        assert re.search(sentence, told), sentence
    assert len(told.splitlines()) == 8
