"""Where "earlier code goes on" ends: clients that know a column's type by themselves. See docs/decisions/0088.

A client that sends and reads text, as drivers do for untyped parameters, goes on; these two kinds do not.
"""

import psycopg
import pytest

from tests.migrations.journey import Journey

TYPED = """
CREATE TYPE membership AS ENUM ('free', 'pro');
CREATE TABLE profiles (user_id text PRIMARY KEY, email text, membership membership NOT NULL DEFAULT 'free',
    billing_cycle_end timestamp, created_at timestamp NOT NULL DEFAULT now());
INSERT INTO profiles (user_id, billing_cycle_end) VALUES ('user_2abc', '2026-07-01 09:00')
"""


def test_an_enum_parameter_with_its_type_compares_no_more_after_0008(journey: Journey) -> None:
    journey.run(TYPED)
    compares = "UPDATE profiles SET membership = 'pro'::membership WHERE membership = 'free'::membership"
    journey.run(compares)
    journey.up("0007")
    journey.run(compares)
    journey.up("0008")
    with pytest.raises(psycopg.errors.UndefinedFunction, match="character varying = membership"):
        journey.run(compares)
    journey.run("UPDATE profiles SET membership = 'free'::membership WHERE membership = 'pro'")
    assert journey.value("SELECT membership FROM profiles") == "free"


def test_a_time_read_as_one_without_zone_depends_on_the_session_after_0008(journey: Journey) -> None:
    """What Drizzle's `timestamp()` reads: the text of the column, to which it adds UTC by itself."""
    journey.run(TYPED)
    shown = "SELECT left(billing_cycle_end::text, 19) FROM profiles"
    seen = {}
    for revision in ("0007", "0008"):
        journey.up(revision)
        for zone in ("UTC", "Europe/Berlin"):
            journey.run(f"SET timezone = '{zone}'")
            seen[revision, zone] = journey.value(shown)
    assert [*seen.values()] == ["2026-07-01 09:00:00"] * 3 + ["2026-07-01 11:00:00"]
