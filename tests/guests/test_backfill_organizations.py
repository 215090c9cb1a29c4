"""`flask guests backfill`: organizations of an earlier system, and meetings that one had linked."""

import pytest
from sqlalchemy import func, select

from admin_app.db import Database
from admin_app.services.core import audit
from admin_app.services.move_in import guest_backfill, guest_organizations
from admin_app.simulator.workos import control_workos
from models import Guest, Organization
from models.move_in import MovedRow, MoveRun
from tests.guests.moving import LATER, a_run, backfill, counted, meeting, meetings, nothing_twice, of, rows
from tests.house import House, build
from tests.services.factories import NOON, OPERATOR


@pytest.fixture
def house(own_simulator: str, db: Database) -> House:
    return build(own_simulator, db)


def organization(house: House, workos_id: str, *, moved_from: str | None = None, system: str = "meetings") -> int:
    """An organization, perhaps brought over from under an earlier id."""
    with house.db.unit_of_work(OPERATOR) as ctx:
        made = Organization(workos_id=workos_id, name="The Team", kind="team", created_at=NOON - LATER)
        known = ctx.session.scalar(select(Organization).where(Organization.workos_id == workos_id))
        row = known or made
        ctx.session.add(row)
        ctx.session.flush()
        if moved_from is not None:
            run = MoveRun(system=system, source="nowhere", mapping="", finished_at=NOON)
            ctx.session.add(run)
            ctx.session.flush()
            named = {"source_key": moved_from, "table_name": "organizations", "system": system}
            digest = "00000000-0000-0000-0000-000000000000"
            ctx.session.add(
                MovedRow(**named, source_table="organizations", record=str(row.id), told=digest, run_id=run.id)
            )
        return int(row.id)


UUID = "6f1c9f0e-0000-4000-8000-000000000001"


def test_an_organization_that_was_brought_over_is_named_by_its_id_at_workos(house: House) -> None:
    organization(house, "org_01TEAM", moved_from=UUID)
    (number,) = meetings(house, of("gusto@example.com", guest_org_id=UUID))
    answer = backfill(house)
    assert answer.exit_code == 0, answer.output
    assert "1 local organization ids turned" in answer.output
    row = meeting(house, number)
    # Not the guest's own: the meeting was made in this one.
    assert (row.guest_org_id, row.guest_workos_user_id is None) == ("org_01TEAM", False)
    before = rows(house)
    assert backfill(house).exit_code == 0
    assert rows(house) == before


def test_a_number_is_believed_when_the_organization_was_there_before_the_meeting(house: House) -> None:
    own = organization(house, "org_01OWN")
    before, after = meetings(
        house,
        of("a@example.com", guest_org_id=str(own), created_at=NOON - 2 * LATER),
        of("b@example.com", guest_org_id=str(own), created_at=NOON),
    )
    answer = backfill(house)
    assert answer.exit_code == 1
    assert meeting(house, after).guest_org_id == "org_01OWN"
    assert meeting(house, before).guest_org_id == str(own)
    assert f"meeting {before}: Nobody knows the organization" in answer.output


def test_what_nobody_knows_is_listed_and_stays(house: House) -> None:
    organization(house, "org_01ONE", moved_from="77", system="meetings")
    organization(house, "org_01TWO", moved_from="77", system="others")
    unknown, ambiguous, empty = meetings(
        house,
        of("a@example.com", guest_org_id="gone"),
        of("b@example.com", guest_org_id="77"),
        of("c@example.com", guest_org_id=""),
    )
    answer = backfill(house)
    assert answer.exit_code == 1
    assert "2 failed" in answer.output
    assert meeting(house, unknown).guest_org_id == "gone"
    assert meeting(house, ambiguous).guest_org_id == "77"
    assert meeting(house, unknown).guest_workos_user_id
    assert meeting(house, empty).guest_org_id.startswith("org_")


def test_what_nobody_knows_is_replaced_when_asked_to_and_kept_in_the_history(house: House) -> None:
    replaced, unregistered = meetings(house, of("a@example.com", guest_org_id="gone"), of(None, guest_org_id="gone"))
    answer = backfill(house, "--replace-unknown-organizations")
    assert answer.exit_code == 1
    row = meeting(house, replaced)
    (guest,) = house.rows(select(Guest))
    assert row.guest_org_id == guest.workos_org_id
    assert meeting(house, unregistered).guest_org_id == "gone"
    assert f"meeting {unregistered}: " in answer.output
    with house.db.read_only() as session:
        entry = audit.history(session, f"meeting:{replaced}")[0]
    assert entry.event == "guest.organization_known"
    assert [(change.before, change.after) for change in entry.changes] == [("gone", guest.workos_org_id)]


def test_a_meeting_that_was_linked_before_gets_its_guest_and_organization(house: House) -> None:
    known = control_workos.create_user(house.simulator, email="gusto@example.com")
    numbers = meetings(
        house,
        of("gusto@example.com", guest_workos_user_id=known["id"]),
        of("gusto@example.com"),
        of("moved.on@example.com", guest_workos_user_id="user_nobody_knows"),
    )
    answer = backfill(house)
    assert answer.exit_code == 0, answer.output
    nothing_twice(house, 1)
    (guest,) = house.rows(select(Guest))
    assert guest.workos_user_id == known["id"]
    assert [meeting(house, number).guest_org_id for number in numbers] == [guest.workos_org_id] * 2 + [None]
    assert meeting(house, numbers[2]).guest_workos_user_id == "user_nobody_knows"


def test_a_meeting_without_a_right_address_gets_its_users_organization(house: House) -> None:
    registered = meetings(house, of("gusto@example.com"))
    backfill(house)
    user_id = meeting(house, registered[0]).guest_workos_user_id
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.delete(ctx.session.scalars(select(Guest)).one())
    numbers = meetings(
        house,
        of("gusto at home", guest_workos_user_id=user_id, guest_org_id=""),
        of(None, guest_workos_user_id="user_nobody"),
    )
    assert backfill(house).exit_code == 0
    assert meeting(house, numbers[0]).guest_org_id == meeting(house, registered[0]).guest_org_id
    assert meeting(house, numbers[1]).guest_org_id is None
    nothing_twice(house, 1)


def test_nobody_is_made_for_a_meeting_that_was_linked_before(house: House) -> None:
    known = control_workos.create_user(house.simulator, email="new@example.com")
    (number,) = meetings(house, of("old@example.com", guest_workos_user_id=known["id"]))
    guest_backfill.complete_linked(a_run(house))
    assert counted(house) == {"users": 1, "organizations": 0, "memberships": 0, "codes": 0}
    assert meeting(house, number).guest_workos_user_id == known["id"]
    assert house.rows(select(func.count()).select_from(Guest)) == [0]


def test_runs_of_organizations_stop_after_a_page(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_backfill, "PAGE", 2)
    monkeypatch.setattr(guest_organizations, "AT_ONCE", 2)
    monkeypatch.setattr(guest_backfill, "AT_ONCE", 2)
    organization(house, "org_01TEAM", moved_from=UUID)
    meetings(house, *(of(f"guest{number % 5}@example.com", guest_org_id=UUID) for number in range(11)))
    answer = backfill(house)
    assert "5 guests made" in answer.output
    assert "11 meetings linked" in answer.output
    assert "11 local organization ids turned" in answer.output
