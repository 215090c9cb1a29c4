"""Meetings are brought over again and again also after their guests were registered at WorkOS."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from admin_app.db import Database
from admin_app.services.move_in import undoing
from models import Meeting, MovedRow
from models.guests import Guest
from tests.guests.moving import backfill
from tests.house import House, build, own_simulator
from tests.migrations.earlier import made, meetings_drizzle
from tests.migrations.earlier.moves import Move

__all__ = ["own_simulator"]

ROWS = 60
GUEST = "gusto.guest@example.org"


@pytest.fixture
def house(own_simulator: str, real_db: Database) -> House:
    return build(own_simulator, real_db)


@pytest.fixture
def move(earlier_postgres: str, house: House) -> Move:
    """A meetings system with few guests, brought over, and then its guests registered."""
    meetings_drizzle.make(earlier_postgres, rows=ROWS, ugly=False)
    there(earlier_postgres, "UPDATE meetings SET guest_email = 'guest' || substr(id::text, 1, 1) || '@example.com' "
                            "WHERE guest_email <> 'Gusto.Guest@example.org'")  # fmt: skip
    moving = Move(house.db, earlier_postgres)
    moving.decide()
    moving.bring_over()
    answer = backfill(house)
    assert answer.exit_code == 0, answer.output
    return moving


def there(address: str, *statements: str) -> None:
    with made.postgres(address) as connection:
        made.run(connection, *statements)


def gustos(move: Move) -> Meeting:
    with move.db.read_only() as session:
        return session.scalars(select(Meeting).where(Meeting.guest_name == "Gusto Guest")).one()


def is_quiet(move: Move) -> None:
    counts = move.bring_over()["meetings"]
    assert (counts.new, counts.changed, counts.conflicts, counts.unchanged) == (0, 0, [], counts.read)
    for compared in move.compare().values():
        assert compared.agrees, compared


def test_the_next_import_is_quiet(move: Move) -> None:
    linked = gustos(move)
    assert linked.guest_workos_user_id
    is_quiet(move)
    assert gustos(move).guest_workos_user_id == linked.guest_workos_user_id


def test_what_changes_there_comes_over_and_the_ids_of_workos_stay(move: Move) -> None:
    before = gustos(move)
    there(move.address, "UPDATE meetings SET status = 'completed', updated_at = now() WHERE guest_name = 'Gusto Guest'")
    counts = move.bring_over()["meetings"]
    assert (counts.changed, counts.conflicts) == (1, [])
    after = gustos(move)
    assert (before.status.value, after.status.value) == ("confirmed", "completed")
    for row in (before, after):
        assert (row.guest_workos_user_id, row.guest_org_id) == (before.guest_workos_user_id, "org_01H2")
    is_quiet(move)


def test_a_meeting_of_another_guest_by_now_is_linked_to_them(move: Move, house: House) -> None:
    before = gustos(move)
    there(move.address, "UPDATE meetings SET guest_email = 'other@example.org' WHERE guest_name = 'Gusto Guest'")
    assert move.bring_over()["meetings"].changed == 1
    assert gustos(move).guest_workos_user_id is None
    assert backfill(house).exit_code == 0
    assert gustos(move).guest_workos_user_id not in {None, before.guest_workos_user_id}
    is_quiet(move)


def test_an_organization_that_is_known_later_stays_known(earlier_postgres: str, house: House) -> None:
    """Meetings first, by an organization that only the earlier system knew; replaced by their guests' own."""
    meetings_drizzle.make(earlier_postgres, rows=5, ugly=False)
    there(earlier_postgres, "UPDATE meetings SET guest_org_id = md5('nowhere')::uuid")
    move = Move(house.db, earlier_postgres)
    mapping = move.decide()
    move.mapping = type(mapping)(
        mapping.system,
        tuple(table for table in mapping.tables if table.to != "organizations"),
        mapping.currency,
        mapping.decisions,
        {**mapping.left_tables, "organizations": "gone"},
    )
    move.bring_over()
    assert backfill(house, "--replace-unknown-organizations").exit_code == 0
    own = gustos(move).guest_org_id
    assert own is not None
    assert own.startswith("org_")
    is_quiet(move)
    there(move.address, "UPDATE meetings SET status = 'completed'")
    assert move.bring_over()["meetings"].conflicts == []
    assert gustos(move).guest_org_id == own
    is_quiet(move)


def test_what_people_changed_is_still_told(move: Move, house: House) -> None:
    with move.work() as ctx:
        row = ctx.session.scalars(select(Meeting).where(Meeting.guest_name == "Gusto Guest")).one()
        row.guest_name, number = "Gusto van Guest", str(row.id)
    there(move.address, "UPDATE meetings SET status = 'completed' WHERE guest_name = 'Gusto Guest'")
    for _ in range(2):
        assert move.bring_over()["meetings"].conflicts == [number]
        # Also after the guests of others were registered.
        assert backfill(house).exit_code == 0


def test_it_is_taken_back_with_the_guests_registered(move: Move) -> None:
    with move.db.read_only() as session:
        assert undoing.built_on(session, system="meetings") == []
    with move.work() as ctx:
        undoing.take_back(ctx, system="meetings")
    with move.db.read_only() as session:
        assert session.scalars(select(Meeting)).all() == []
        assert session.scalars(select(MovedRow)).all() == []
        # At WorkOS they are, and here as well.
        assert session.scalars(select(Guest).where(Guest.email == GUEST)).one().workos_user_id
