"""`flask guests backfill`: guests of before there was WorkOS are made there once and hear nothing, whatever happens."""

import itertools
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.db import Database
from admin_app.integrations.http.pace import Pace
from admin_app.services.core import audit
from admin_app.services.move_in import guest_backfill
from admin_app.services.move_in.guest_asking import Asking, Stopped
from admin_app.services.move_in.guest_backfill import Failure
from admin_app.simulator import control
from admin_app.simulator.workos import control_workos
from models import CallState, Guest, ProviderCall
from tests.guests.moving import ACTOR, Died, a_run, backfill, counted, meeting, meetings, nothing_twice, of, rows
from tests.guests.test_sign_in import code_for, seen, signed_in
from tests.house import WORKOS_CLIENT, WORKOS_KEY, House, build
from tests.programs import wait_for
from tests.services.purchases.test_claim_races import at_once

ROOT = Path(__file__).parents[2]


@pytest.fixture
def house(own_simulator: str, db: Database) -> House:
    return build(own_simulator, db)


@pytest.fixture
def real_house(own_simulator: str, real_db: Database) -> House:
    return build(own_simulator, real_db)


def test_each_address_becomes_one_guest_with_an_organization_and_hears_nothing(house: House) -> None:
    first, second, other, nobodys = meetings(
        house, of("Gusto@example.com"), of("gusto@EXAMPLE.com", guest_name=None), of("olga@example.com"), of(None)
    )
    answer = backfill(house)
    assert answer.exit_code == 0, answer.output
    assert "2 guests made at WorkOS" in answer.output
    assert "3 meetings linked" in answer.output
    assert "@" not in answer.output
    assert house.work() == 0
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
    linked = control_workos.create_user(house.simulator, email="linked@example.com")["id"]
    meetings(house, of("gusto@bücher.example", guest_org_id="b0a7"), of("known@example.com"), of("no address"))
    meetings(house, of("gusto@xn--bcher-kva.example"), of("linked@example.com", guest_workos_user_id=linked))
    before = rows(house), control_workos.state(house.simulator)
    answer = backfill(house, "--dry-run", "--replace-unknown-organizations")
    assert (rows(house), control_workos.state(house.simulator)) == before
    assert "1 guests would be made at WorkOS" in answer.output
    assert "2 guests found there" in answer.output
    assert "3 meetings would be linked" in answer.output
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


def test_a_guest_who_was_moved_signs_in_by_a_code_and_sees_their_meeting(house: House) -> None:
    (number, _) = meetings(house, of("Gusto@example.com"), of("olga@example.com"))
    backfill(house)
    assert code_for(house, "gusto@example.com").status_code == 202
    house.work()
    session = signed_in(house, "gusto@example.com")
    (own,) = seen(house, "me/meetings", session["access_token"]).json["meetings"]
    assert own["id"] == number
    assert session["guest"]["organization_id"] == meeting(house, number).guest_org_id


def test_a_limit_is_kept_and_the_next_run_goes_on(house: House) -> None:
    meetings(house, *(of(f"guest{number}@example.com", guest_org_id="gone") for number in range(5)))
    limited = backfill(house, "--limit", "2")
    assert "2 guests made" in limited.output
    assert limited.exit_code == 0
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


@pytest.mark.parametrize(
    ("call", "kind"),
    [(1, "users"), (3, "organizations"), (4, "memberships")],
    ids=("user", "organization", "membership"),
)
def test_a_program_killed_while_workos_answers_is_followed_by_one_that_finishes(
    real_house: House, fresh_database_url: str, call: int, kind: str
) -> None:
    (number,) = meetings(real_house, of("gusto@example.com"))
    control.fault(real_house.simulator, "workos", "apply-then-drip", after=call, seconds=30)
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "guests", "backfill"]
    environment = os.environ | {
        "DATABASE_URL": fresh_database_url,
        "SECRET_KEY": "s" * 32,
        "WORKOS_API_KEY": WORKOS_KEY,
        "WORKOS_CLIENT_ID": WORKOS_CLIENT,
        "WORKOS_API_BASE": f"{real_house.simulator}/workos",
    }
    program = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: counted(real_house)[kind], f"{kind} at WorkOS")
        assert program.poll() is None
    finally:
        program.kill()
        program.wait()
    assert meeting(real_house, number).guest_workos_user_id is None
    assert "1 guests made" in backfill(real_house).output
    nothing_twice(real_house, 1)
    assert meeting(real_house, number).guest_org_id


def test_progress_is_told_beside_the_summary(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("admin_app.cli.guests.SECONDS_BETWEEN_LINES", 0)
    meetings(house, of("gusto@example.com"), of("olga@example.com"))
    answer = backfill(house)
    assert answer.stderr.splitlines()[:2] == ["1 guests, 1 meetings linked…", "2 guests, 2 meetings linked…"]
    assert "…" not in answer.stdout


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
    monkeypatch.setattr("admin_app.integrations.http.pace.Pace.wait", lambda self: waited.append(self._gap))
    meetings(house, of("gusto@example.com"))
    house.app.test_cli_runner().invoke(args=["guests", "backfill", "--per-second", "5"])
    nothing_twice(house, 1)
    assert waited == [0.2] * 5
