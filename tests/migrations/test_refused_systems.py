"""The earlier systems as they really are: none is migrated in its place, and none is passed by."""

import re
from collections.abc import Callable

import pytest

from tests.migrations.earlier import (
    bookings_drizzle,
    clients_prisma,
    meetings_drizzle,
    memberships_drizzle,
    sessions_prisma,
)
from tests.migrations.earlier.made import Made
from tests.migrations.journey import Journey
from tests.migrations.test_preflight import refused

Maker = Callable[..., Made]
# What a clean one of the kind is refused for, its form and none of its rows.
REASONS: dict[str, tuple[Maker, dict[str, object], tuple[str, ...]]] = {
    "meetings": (
        meetings_drizzle.make,
        {},
        (
            "The column meetings.start_time means what Backdesk keeps in meetings.starts_at.",
            "The column organizations.workos_org_id means what Backdesk keeps in organizations.workos_id.",
            "meetings.id is uuid",
        ),
    ),
    "meetings-events": (
        meetings_drizzle.make,
        {"shape": "events"},
        ("meetings has rows and no column practitioner_id", "The primary key of profiles must be its column user_id."),
    ),
    "clients": (
        clients_prisma.make,
        {},
        (
            'The column clients."outboundPaused" means what Backdesk keeps in clients.outbound_paused.',
            'The column onboarding_states."clientId" means what Backdesk keeps in onboarding_states.client_id.',
            "clients.id is text",
        ),
    ),
    "clients-by-model": (
        clients_prisma.make,
        {"tables": "default", "ids": "int"},
        ('The table public."Client" means what Backdesk keeps in public.clients.',),
    ),
    "sessions": (
        sessions_prisma.make,
        {},
        (
            'The table public."Booking" means what Backdesk keeps in public.bookings.',
            'The table public."SessionType" means what Backdesk keeps in public.session_types.',
        ),
    ),
    "memberships": (
        memberships_drizzle.make,
        {},
        (
            "pending_profiles.id is text",
            "profiles.payment_provider is payment_provider, and Backdesk needs varchar(32)",
        ),
    ),
    "bookings": (
        bookings_drizzle.make,
        {},
        (
            'The column users."openId" means what Backdesk keeps in users.open_id.',
            'The column bookings."practitionerId" means what Backdesk keeps in bookings.practitioner_id.',
        ),
    ),
}


@pytest.mark.parametrize("name", REASONS)
@pytest.mark.parametrize("ugly", [True, False], ids=["ugly", "clean"])
def test_an_earlier_system_is_refused_with_everything_that_is_in_the_way(
    journey: Journey, name: str, ugly: bool
) -> None:
    make, shape, reasons = REASONS[name]
    make(journey.url, rows=60, ugly=ugly, **shape)
    told = refused(journey)
    for reason in reasons:
        assert reason in told
    assert "`flask legacy inspect`" in told


@pytest.mark.parametrize("name", ["clients-by-model", "sessions"])
def test_a_system_that_an_earlier_release_passed_by_is_not_passed_by_again(journey: Journey, name: str) -> None:
    """It made an empty product beside the tables, and ended well."""
    make, shape, reasons = REASONS[name]
    journey.up("0030")
    make(journey.url, rows=60, ugly=False, **shape)
    told = refused(journey)
    for reason in reasons:
        assert reason.split(" means ")[0] in told
    assert "which is empty: give Backdesk a database of its own" in told
    journey.down("0029")


def test_tables_of_an_earlier_system_that_was_brought_over_are_in_nobodys_way(journey: Journey) -> None:
    journey.up("0030")
    clients_prisma.make(journey.url, rows=60, ugly=False, tables="default", ids="int")
    for table in ("clients", "onboarding_states"):
        column, value = ("name", "'Ada'") if table == "clients" else ("client_id", "(SELECT min(id) FROM clients)")
        journey.run(f"INSERT INTO {table} ({column}) VALUES ({value})")
    journey.up()


def test_a_system_whose_migration_was_begun_is_not_finished_beside_its_own_columns(journey: Journey) -> None:
    """`alembic upgrade 0001` asks for no more than 0001 needs; a paused client is not un-paused by the next."""
    clients_prisma.make(journey.url, rows=60, ugly=False, ids="int")
    told = refused(journey, "0001")
    for table, theirs, ours in re.findall(r'The column (\w+)\.("\w+") means what Backdesk keeps in \w+\.(\w+)', told):
        journey.run(f"ALTER TABLE {table} RENAME {theirs} TO {ours}")
    journey.run('ALTER TABLE onboarding_states RENAME "clientId" TO customer_id')
    journey.up("0001")
    told = refused(journey)
    assert 'The column clients."outboundPaused" means what Backdesk keeps in clients.outbound_paused.' in told
    assert "customer_id means" not in told
