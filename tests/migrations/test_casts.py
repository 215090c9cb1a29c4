"""A value comes out of a migration as it went in, or the migration names it and stops."""

import re

import pytest

from migrations import casts
from tests.migrations.journey import Journey
from tests.migrations.test_preflight import of_earlier_days, refused

AS_THEY_GREW = """
ALTER TABLE session_types ALTER COLUMN price_amount DROP DEFAULT, ALTER COLUMN price_amount TYPE double precision;
UPDATE session_types SET price_amount = 90.5 WHERE id = 2;
ALTER TABLE meetings ALTER COLUMN price_amount DROP DEFAULT, ALTER COLUMN price_amount TYPE text;
UPDATE meetings SET price_amount = '0090';
ALTER TABLE bookings ALTER COLUMN price_amount TYPE bigint;
UPDATE bookings SET price_amount = 3000000000 WHERE id = 1;
ALTER TABLE profiles ALTER COLUMN usage_credits TYPE numeric;
UPDATE profiles SET usage_credits = 1000.00 WHERE user_id = 'user_2abc';
ALTER TABLE profiles ALTER COLUMN status TYPE text;
UPDATE profiles SET status = repeat('x', 40) WHERE user_id = 'user_2def';
ALTER TABLE practitioners ALTER COLUMN active DROP DEFAULT, ALTER COLUMN active TYPE smallint USING 2;
ALTER TABLE users ALTER COLUMN created_at DROP DEFAULT, ALTER COLUMN created_at TYPE timestamp;
ALTER TABLE session_types ALTER COLUMN minutes TYPE text;
CREATE TYPE membership AS ENUM ('free', 'pro', 'cancelled');
ALTER TABLE profiles ALTER COLUMN membership DROP DEFAULT, ALTER COLUMN membership TYPE membership
    USING membership::membership;
UPDATE profiles SET membership = 'cancelled' WHERE user_id = 'user_2abc';
CREATE TYPE billing_status AS ENUM ('none', 'trial', 'active', 'canceled', 'past_due', 'cancelled')
"""
SENTENCES = (
    r"session_types\.price_amount is double precision and becomes integer without numbers that are not whole, .*: 2\.",
    r"meetings\.price_amount is text and becomes integer without text that is no whole number, .*: 1\.",
    r"bookings\.price_amount is bigint and becomes integer without numbers too large for integer, .*: 1\.",
    r"profiles\.status is text and becomes varchar\(32\) without more than 32 letters, .*: user_2def\.",
    r"practitioners\.active is smallint and becomes boolean without values that are neither true nor false, .*: 1, 2\.",
    r"users\.created_at is timestamp without time zone and becomes timestamptz without times without a zone.*: 1, 2\.",
    r"session_types\.minutes is text, and Backdesk needs integer there\.",
    r"ck_profiles_membership says membership IN \('free', 'pro'\), .*: user_2abc\.",
    r"ck_profiles_status says .*: user_2def\.",
    r"The type billing_status has labels that Backdesk does not know: cancelled\..*RENAME VALUE 'cancelled' TO",
)
AS_THEY_MUST_BE = """
UPDATE session_types SET price_amount = 9050 WHERE id = 2;
UPDATE meetings SET price_amount = '90';
UPDATE bookings SET price_amount = 30000 WHERE id = 1;
UPDATE profiles SET status = 'inactive' WHERE user_id = 'user_2def';
UPDATE practitioners SET active = 1;
ALTER TABLE session_types ALTER COLUMN minutes TYPE integer USING minutes::integer;
UPDATE profiles SET membership = 'pro' WHERE user_id = 'user_2abc';
DROP TYPE billing_status
"""


def test_values_that_a_cast_would_change(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    of_earlier_days(journey, AS_THEY_GREW)
    journey.run(f"ALTER DATABASE {journey.value('SELECT current_database()')} SET timezone = 'Europe/Berlin'")
    told = refused(journey)
    for sentence in SENTENCES:
        assert re.search(sentence, told), sentence
    assert sum(line.startswith("- ") for line in told.splitlines()) == len(SENTENCES)
    journey.run(AS_THEY_MUST_BE)
    assert len(refused(journey).splitlines()) == 2
    monkeypatch.setenv(casts.TIMES_ZONE, "Europe/Berlin")
    journey.up("0010")
    assert journey.value("SELECT created_at = '2024-01-05 08:00+00' FROM users WHERE open_id = 'google|101'") is True
    assert journey.value("SELECT price_amount FROM session_types WHERE id = 2") == 9050
    assert journey.value("SELECT price_amount FROM meetings") == 90
    assert journey.value("SELECT membership = 'pro' AND usage_credits = 1000 FROM profiles WHERE user_id = 'user_2abc'")
    assert journey.value("SELECT array_agg(DISTINCT active) FROM practitioners") == [True]


@pytest.mark.parametrize("hand_made", ["'none', 'active'", "'past_due'", "'trial', 'canceled'"])
def test_labels_stand_in_their_order(journey: Journey, hand_made: str) -> None:
    journey.up("0002")
    journey.run(f"CREATE TYPE billing_status AS ENUM ({hand_made})")
    journey.up("0003")
    ordered = "SELECT enum_range(NULL::billing_status)::text"
    assert journey.value(ordered) == "{none,trial,active,canceled,past_due}"


def test_labels_in_another_order_are_told(journey: Journey) -> None:
    journey.up("0002")
    journey.run("CREATE TYPE billing_status AS ENUM ('active', 'none')")
    assert "stand in another order (active, none)" in refused(journey)


def test_no_row_gets_a_time_that_nobody_noted(journey: Journey, caplog: pytest.LogCaptureFixture) -> None:
    of_earlier_days(
        journey,
        "UPDATE profiles SET created_at = NULL WHERE user_id IN ('temp_17', 'user_2abc');"
        "UPDATE bookings SET updated_at = NULL, status = NULL WHERE id = 3; ALTER TABLE users DROP created_at",
    )
    told = refused(journey)
    assert "profiles.created_at must hold a value, but these rows of profiles break that: temp_17, user_2abc." in told
    assert "bookings.updated_at must hold a value, but these rows of bookings break that: 3." in told
    journey.up("0005")
    assert "users has no column created_at: it gets one, and its rows the moment of this migration" in caplog.text
    assert journey.value("SELECT created_at = '2025-02-01+00' FROM pending_profiles WHERE legacy_user_id = 'temp_17'")
    journey.run("UPDATE profiles SET created_at = '2024-01-01+00' WHERE created_at IS NULL")
    journey.run("UPDATE bookings SET updated_at = created_at WHERE updated_at IS NULL")
    journey.up("0008")
    assert journey.value("SELECT status FROM bookings WHERE id = 3") == "pending"


def test_what_hangs_on_a_column_is_told_before(journey: Journey) -> None:
    of_earlier_days(
        journey,
        """CREATE VIEW addresses AS SELECT email FROM clients;
        ALTER TABLE users ADD COLUMN short text GENERATED ALWAYS AS (left(email, 3)) STORED;
        CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER on_email BEFORE UPDATE OF email ON profiles FOR EACH ROW EXECUTE FUNCTION nothing();
        CREATE POLICY own ON practitioners USING (email = current_user);
        CREATE INDEX of_some ON bookings (id) WHERE client_email <> '';
        CREATE VIEW owed AS SELECT price_amount FROM bookings;
        CREATE VIEW steps AS SELECT customer_id FROM onboarding_states;
        ALTER TABLE meetings ADD COLUMN room text NOT NULL;
        ALTER TABLE session_types ALTER COLUMN id DROP IDENTITY""".replace(
            "room text NOT NULL;", "room text NOT NULL DEFAULT ''; ALTER TABLE meetings ALTER room DROP DEFAULT;"
        ),
    )
    told = refused(journey)
    for sentence in (
        r"clients\.email .* rule _RETURN on view addresses\.",
        r"users\.email .* column short of table users",
        r"profiles\.email .* trigger on_email on table profiles",
        r"practitioners\.email .* policy own on table practitioners",
        r"bookings\.client_email .* index of_some\.",
        r"bookings\.price_amount is integer and becomes bigint, .* rule _RETURN on view owed",
        r"onboarding_states\.customer_id goes, and this depends on it: rule _RETURN on view steps",
        r"meetings\.room must hold a value and has no default",
        r"session_types\.id has no default, so that a new row would get no key",
    ):
        assert re.search(sentence, told), sentence
    assert sum(line.startswith("- ") for line in told.splitlines()) == 9
