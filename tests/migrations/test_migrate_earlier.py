"""`flask migrate` on the earlier systems as they really are: what is there, what is missing, and nothing touched."""

import re

import pytest

from tests.migrations.commands import migrate, refusal
from tests.migrations.journey import Journey
from tests.migrations.test_refused_systems import REASONS

# Of each system: a total, and the same by hand.
TOTALS = {
    "meetings": ("meetings", "SELECT count(*) FROM meetings"),
    "meetings-events": ("meetings", "SELECT count(*) FROM meetings"),
    "clients": ("outbound active", 'SELECT count(*) FROM clients WHERE "outboundPaused" IS NOT TRUE'),
    "clients-by-model": ("clients in all", 'SELECT count(*) FROM "Client"'),
    "sessions": ("bookings", 'SELECT count(*) FROM "Booking"'),
    "memberships": ("temp_ rows left in profiles", r"SELECT count(*) FROM profiles WHERE user_id LIKE 'temp\_%'"),
    "bookings": ("bookings", "SELECT count(*) FROM bookings"),
}


@pytest.mark.parametrize("system", REASONS)
def test_each_command_says_what_it_finds(journey: Journey, system: str) -> None:
    make, shape, reasons = REASONS[system]
    make(journey.url, rows=60, ugly=True, **shape)
    before = journey.schema(), journey.data()
    said = refusal(migrate(journey, "verify"))
    name, by_hand = TOTALS[system]
    (counted,) = re.findall(rf"^  {re.escape(name)} +([\d,]+) +(?:ok|note)", said, re.MULTILINE)
    assert int(counted.replace(",", "")) == journey.value(by_hand)
    assert "Alembic has never been there" in said
    assert "not asked: they are written for the newest schema" in said
    for words in (("plan",), ("apply", "--env", "prod", "--yes", "--backup-done")):
        told = refusal(migrate(journey, *words))
        for reason in reasons:
            assert reason in told
    assert (journey.schema(), journey.data()) == before
