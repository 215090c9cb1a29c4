"""`flask guests backfill`: guests of before there was WorkOS are made there once and hear nothing, whatever happens."""

import itertools
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import func, select

from admin_app.context import Job
from admin_app.db import Database
from admin_app.integrations.pace import Pace
from admin_app.services import audit, guest_backfill, guest_organizations
from admin_app.services.guest_asking import Asking, Stopped
from admin_app.services.guest_backfill import Failure, Run
from admin_app.simulator import control, control_workos
from models import AuditEntry, CallState, Guest, Meeting, Organization, ProviderCall
from models.move_in import MovedRow, MoveRun
from tests.house import House, build
from tests.services.factories import NOON, OPERATOR
from tests.services.schedule import add_meeting, add_practitioner
from tests.services.test_races import at_once

ACTOR = Job("flask guests backfill")
LATER = timedelta(hours=1)


@pytest.fixture
def house(own_simulator: str, db: Database) -> House:
    return build(own_simulator, db)


@pytest.fixture
def real_house(own_simulator: str, real_db: Database) -> House:
    return build(own_simulator, real_db)


class Died(Exception):
    """What no code of ours catches."""


def meetings(house: House, *guests: dict[str, Any]) -> list[int]:
    """One meeting of each, an hour apart; answers their numbers."""
    ingrid = add_practitioner(house.db, f"{house.count(Meeting)}@practice.example")
    return [add_meeting(house.db, ingrid, NOON + number * LATER, **guest).id for number, guest in enumerate(guests)]


def of(email: str | None, **values: Any) -> dict[str, Any]:
    return {"guest_email": email, "guest_name": "Gusto van Guest"} | values


def backfill(house: House, *options: str) -> Result:
    return house.app.test_cli_runner().invoke(args=["guests", "backfill", "--per-second", "100", *options])


def a_run(house: House, **changed: Any) -> Run:
    workos = house.bench.providers.workos
    assert workos is not None
    given: dict[str, Any] = {
        "work": lambda: house.db.unit_of_work(ACTOR),
        "read": lambda: house.db.read_only(),
        "workos": workos,
        "asking": Asking(sleep=lambda seconds: None),
    }
    return Run(**(given | changed))


def meeting(house: House, number: int) -> Meeting:
    (row,) = house.rows(select(Meeting).where(Meeting.id == number))
    return row


def counted(house: House) -> dict[str, int]:
    """What WorkOS has; each code was mailed."""
    return {kind: len(rows) for kind, rows in control_workos.state(house.simulator).items()}


def nothing_twice(house: House, guests: int) -> None:
    assert counted(house) == {"users": guests, "organizations": guests, "memberships": guests, "codes": 0}
    assert control.mails(house.simulator) == []


def rows(house: House) -> dict[str, Any]:
    """All that a run could change here."""
    tables = (Guest, Organization, ProviderCall, AuditEntry)
    return {table.__tablename__: house.count(table) for table in tables} | {
        "meetings": [(row.id, row.version, row.guest_org_id) for row in house.rows(select(Meeting))]
    }


def test_each_address_becomes_one_guest_with_an_organization_and_hears_nothing(house: House) -> None:
    first, second, other, nobodys = meetings(
        house, of("Gusto@example.com"), of("gusto@EXAMPLE.com", guest_name=None), of("olga@example.com"), of(None)
    )
    answer = backfill(house)
    assert answer.exit_code == 0, answer.output
    assert "2 guests made at WorkOS" in answer.output
    assert "3 meetings linked" in answer.output
    assert "@" not in answer.output
    nothing_twice(house, 2)
    (user,) = control_workos.users(house.simulator, "gusto@example.com")
    (guest,) = house.rows(select(Guest).where(Guest.email == "gusto@example.com"))
    assert (guest.workos_user_id, guest.created_here, guest.code_sent_at) == (user["id"], True, None)
    assert (guest.name, user["first_name"]) == ("Gusto van Guest", "Gusto")
    for number in (first, second):
        row = meeting(house, number)
        assert (row.guest_workos_user_id, row.guest_org_id) == (user["id"], guest.workos_org_id)
    assert meeting(house, nobodys).guest_workos_user_id is None
    assert meeting(house, other).guest_workos_user_id not in (None, user["id"])
    with house.db.read_only() as session:
        (entry,) = audit.history(session, f"meeting:{first}")
    assert (entry.event, entry.actor_label) == ("guest.resolved", "flask guests backfill")


def test_a_second_run_does_nothing(house: House) -> None:
    meetings(house, of("gusto@example.com"), of("olga@example.com"))
    backfill(house)
    before = rows(house), counted(house)
    answer = backfill(house)
    assert answer.exit_code == 0
    assert (rows(house), counted(house)) == before
    assert {line.split()[0] for line in answer.output.splitlines()} == {"0"}


def test_a_dry_run_changes_nothing_anywhere(house: House) -> None:
    control_workos.create_user(house.simulator, email="known@example.com")
    meetings(house, of("gusto@example.com", guest_org_id="b0a7"), of("known@example.com"), of("no address"))
    before = rows(house), control_workos.state(house.simulator)
    answer = backfill(house, "--dry-run", "--replace-unknown-organizations")
    assert (rows(house), control_workos.state(house.simulator)) == before
    assert "1 guests would be made at WorkOS" in answer.output
    assert "1 guests found there" in answer.output
    assert "1 of them without an organization" in answer.output
    assert answer.exit_code == 1


def test_who_was_at_workos_gets_what_they_lack(house: House) -> None:
    known = control_workos.create_user(house.simulator, email="known@example.com", team="Harbour Dental")
    (number,) = meetings(house, of("known@example.com"))
    assert "1 guests found there" in backfill(house).output
    row = meeting(house, number)
    assert row.guest_workos_user_id == known["id"]
    (own,) = [one for one in control_workos.state(house.simulator)["organizations"] if one["id"] == row.guest_org_id]
    assert own["external_id"] == f"user-{known['id']}"
    assert counted(house) == {"users": 1, "organizations": 2, "memberships": 2, "codes": 0}


def test_addresses_of_one_spelling_are_one_guest(house: House) -> None:
    numbers = meetings(
        house, of("gusto@bücher.example"), of("Gusto@xn--bcher-kva.example"), of(" gusto@bücher.example")
    )
    answer = backfill(house)
    assert answer.exit_code == 0, answer.output
    nothing_twice(house, 1)
    assert len({meeting(house, number).guest_workos_user_id for number in numbers}) == 1


def test_what_is_no_address_is_listed_by_its_meeting_and_the_others_go_on(house: House) -> None:
    wrong, right = meetings(house, of("gusto at home"), of("olga@example.com"))
    answer = backfill(house)
    assert answer.exit_code == 1
    assert f"meeting {wrong}: This is not an e-mail address." in answer.output
    assert "gusto" not in answer.output
    assert meeting(house, right).guest_workos_user_id
    assert "1 failed" in answer.output


def test_a_limit_is_kept_and_the_next_run_goes_on(house: House) -> None:
    meetings(house, *(of(f"guest{number}@example.com") for number in range(5)))
    assert "2 guests made" in backfill(house, "--limit", "2").output
    assert counted(house)["users"] == 2
    assert "3 guests made" in backfill(house).output
    nothing_twice(house, 5)


def test_killed_after_any_transaction_the_next_run_finishes(house: House) -> None:
    numbers = meetings(house, of("gusto@example.com"), of("olga@example.com"))
    for step in itertools.count(1):
        opened = itertools.count(1)

        def work(step: int = step, opened: Any = opened) -> Any:
            if next(opened) > step:
                raise Died
            return house.db.unit_of_work(ACTOR)

        try:
            guest_backfill.register_all(a_run(house, work=work))
        except Died:
            continue
        break
    assert step > 8
    nothing_twice(house, 2)
    assert None not in {meeting(house, number).guest_org_id for number in numbers}


@pytest.mark.parametrize("call", range(5), ids=("find", "user", "look", "organization", "membership"))
@pytest.mark.parametrize("mode", ["500", "429", "apply-then-drop", "apply-then-500", "apply-then-garbage"])
def test_a_lost_answer_makes_nobody_twice(house: House, call: int, mode: str) -> None:
    numbers = meetings(house, of("gusto@example.com"), of("olga@example.com"))
    control.fault(house.simulator, "workos", mode, times=2, after=call)
    run = a_run(house)
    guest_backfill.register_all(run)
    assert run.tally.failed == 0
    nothing_twice(house, 2)
    assert None not in {meeting(house, number).guest_org_id for number in numbers}
    assert {call.state for call in house.rows(select(ProviderCall))} == {CallState.SUCCEEDED}


def test_a_workos_that_stays_away_stops_the_run_and_nobody_is_failed_for_good(house: House) -> None:
    meetings(house, *(of(f"guest{number}@example.com") for number in range(6)))
    control.fault(house.simulator, "workos", "500", times=1000)
    waited: list[float] = []
    away = a_run(house, asking=Asking(sleep=waited.append))
    with pytest.raises(Stopped):
        guest_backfill.register_all(away)
    assert away.tally.failed == 2
    assert min(waited) >= 1
    control.fault(house.simulator, "workos", "off")
    guest_backfill.register_all(a_run(build(house.simulator, house.db)))
    nothing_twice(house, 6)


def test_the_wait_that_workos_asks_for_is_kept(house: House) -> None:
    meetings(house, of("gusto@example.com"))
    control.fault(house.simulator, "workos", "429", times=2)
    waited: list[float] = []
    run = a_run(house, asking=Asking(sleep=waited.append))
    guest_backfill.register_all(run)
    assert (waited, run.tally.made) == ([1], 1)


def test_a_wrong_key_is_said_once(house: House, own_simulator: str) -> None:
    meetings(house, of("gusto@example.com"), of("olga@example.com"))
    answer = backfill(build(own_simulator, house.db, workos_api_key="another"))
    assert answer.exit_code == 1
    assert answer.output.count("does not take the key") == 1
    answer = backfill(build(own_simulator, house.db, workos_api_key=""))
    assert "set WORKOS_API_KEY" in answer.output


def test_two_at_once_make_nobody_twice(real_house: House) -> None:
    numbers = meetings(real_house, *(of(f"guest{number % 6}@example.com") for number in range(12)))
    failures: list[Failure] = []

    def once() -> str:
        guest_backfill.register_all(a_run(real_house, failed=failures.append))
        return "done"

    assert at_once([once] * 3) == Counter(done=3)
    assert failures == []
    nothing_twice(real_house, 6)
    linked = [meeting(real_house, number) for number in numbers]
    assert len({row.guest_workos_user_id for row in linked}) == 6
    # Each was linked once: no second run wrote it again.
    assert {row.version for row in linked} == {2}


def test_calls_go_out_at_their_pace() -> None:
    now, waited = [100.0], []

    def sleep(seconds: float) -> None:
        waited.append(round(seconds, 3))
        now[0] += seconds

    pace = Pace(4, clock=lambda: now[0], sleep=sleep)
    for _ in range(3):
        pace.wait()
    now[0] += 10
    pace.wait()
    pace.wait()
    assert waited == [0.25, 0.25, 0.25]


def test_the_command_keeps_the_pace_for_every_call(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []
    monkeypatch.setattr("admin_app.integrations.pace.Pace.wait", lambda self: waited.append(self._gap))
    meetings(house, of("gusto@example.com"))
    house.app.test_cli_runner().invoke(args=["guests", "backfill", "--per-second", "5"])
    nothing_twice(house, 1)
    assert waited == [0.2] * 5


# -- organizations -------------------------------------------------------------------------------------------------


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


# -- linked before -------------------------------------------------------------------------------------------------


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
