"""`flask guests from-clerk`: Clerk's people become guests at WorkOS, and their verified addresses are kept."""

import codecs
import csv
import itertools
import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import select

from admin_app.context import Job
from admin_app.db import Database
from admin_app.integrations.clerk import clerk_exports
from admin_app.services.move_in import guest_import
from admin_app.services.move_in.guest_asking import Asking
from admin_app.services.purchases import account_deletion
from admin_app.simulator import control
from admin_app.simulator.workos import control_workos
from models import AuditEntry, CallState, Guest, PendingProfile, PersonAddress, Profile, ProviderCall, User
from tests.guests.moving import Died, nothing_twice
from tests.house import House, build
from tests.services.factories import OPERATOR, buy
from tests.services.purchases.test_claim_races import at_once

ACTOR = Job("flask guests from-clerk")
COLUMNS = (
    *("id", "first_name", "last_name", "username", "primary_email_address", "primary_phone_number"),
    *("verified_email_addresses", "unverified_email_addresses", "verified_phone_numbers", "unverified_phone_numbers"),
    *("totp_secret", "password_digest", "password_hasher"),
)
WHEN = "2026-11-30T08:00+0000"


@pytest.fixture
def house(own_simulator: str, db: Database) -> House:
    return build(own_simulator, db)


def from_clerk(house: House, *options: str) -> Result:
    return house.app.test_cli_runner().invoke(args=["guests", "from-clerk", "--per-second", "100", *options])


def people(house: House, number: int) -> list[dict[str, Any]]:
    return [
        control.create_user(house.simulator, name=f"Max Member{n}", email=f"Max{n}@example.com") for n in range(number)
    ]


def as_file(folder: Path, listed: Any) -> Path:
    path = folder / "export.json"
    path.write_text(json.dumps(listed))
    return path


def as_csv(folder: Path, *lines: dict[str, str]) -> Path:
    path = folder / "export.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(lines)
    return path


def line(identity: str, email: str, verified: str | None = None, **more: str) -> dict[str, str]:
    given = {"id": identity, "primary_email_address": email, "verified_email_addresses": verified or email}
    return given | {"first_name": "Max", "last_name": "van Member", "password_digest": "$2a$10$secret"} | more


def kept(house: House) -> dict[str, list[str]]:
    """The verified addresses by person, the primary one first."""
    rows = house.rows(select(PersonAddress).where(PersonAddress.given_up_at.is_(None)))
    rows.sort(key=lambda row: (not row.is_primary, row.email))
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.user_id, []).append(row.email)
    return found


def rows(house: House) -> list[int]:
    return [house.count(table) for table in (Guest, User, Profile, PersonAddress, ProviderCall, AuditEntry)]


def a_run(house: House, **changed: Any) -> guest_import.Run:
    workos = house.bench.providers.workos
    assert workos is not None
    given: dict[str, Any] = {
        "work": lambda: house.db.unit_of_work(ACTOR),
        "read": lambda: house.db.read_only(),
        "workos": workos,
        "asking": Asking(sleep=lambda seconds: None),
    }
    return guest_import.Run(**(given | changed))


def test_the_api_says_who_they_are(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("admin_app.integrations.clerk.clerk_client._PAGE", 2)
    first, *others = people(house, 5)
    control.add_address(house.simulator, first["id"], "second@example.com")
    control.add_address(house.simulator, first["id"], "unproven@example.com", verified=False)
    nobody = control.create_user(house.simulator, name="U", email="unverified@example.com", verified=False)
    answer = from_clerk(house, "--api")
    assert answer.exit_code == 0, answer.output
    assert "5 made at WorkOS" in answer.output
    assert "1 without a verified primary address" in answer.output
    assert "@" not in answer.output
    nothing_twice(house, 5)
    assert kept(house)[first["id"]] == ["max0@example.com", "second@example.com"]
    assert kept(house).keys() == {first["id"], *(one["id"] for one in others)}
    assert nobody["id"] not in kept(house)
    (user,) = control_workos.users(house.simulator, "max0@example.com")
    assert (user["email_verified"], user["first_name"]) == (True, "Max")
    (guest,) = house.rows(select(Guest).where(Guest.email == "max0@example.com"))
    assert (guest.workos_user_id, guest.workos_org_id is None, guest.code_sent_at) == (user["id"], False, None)


def test_again_does_nothing(house: House) -> None:
    people(house, 3)
    from_clerk(house, "--api")
    before = rows(house), control_workos.state(house.simulator)
    answer = from_clerk(house, "--api")
    assert "3 registered before" in answer.output
    assert (rows(house), control_workos.state(house.simulator)) == before


@pytest.mark.parametrize("source", ["--api", "--file"])
def test_a_dry_run_changes_nothing_anywhere(house: House, tmp_path: Path, source: str) -> None:
    listed = people(house, 2)
    control_workos.create_user(house.simulator, email="max1@example.com")
    before = rows(house), control_workos.state(house.simulator)
    options = ["--api"] if source == "--api" else ["--file", str(as_file(tmp_path, listed))]
    answer = from_clerk(house, *options, "--dry-run")
    assert answer.exit_code == 0, answer.output
    assert (rows(house), control_workos.state(house.simulator)) == before
    assert "1 would be made at WorkOS" in answer.output
    assert "1 found there" in answer.output


def test_a_waiting_purchase_is_left_to_its_buyer(house: House) -> None:
    buy(house.db, "max0@example.com")
    people(house, 1)
    assert from_clerk(house, "--api").exit_code == 0
    assert [row.claimed for row in house.rows(select(PendingProfile))] == [False]
    assert house.count(Profile) == 0


@pytest.mark.parametrize("shape", [list, lambda listed: {"data": listed, "total_count": len(listed)}])
def test_json_of_the_api(house: House, tmp_path: Path, shape: Callable[[Any], Any]) -> None:
    listed = people(house, 2)
    control.add_address(house.simulator, listed[0]["id"], "second@example.com")
    listed[0] = control.person(house.simulator, listed[0]["id"])
    answer = from_clerk(house, "--file", str(as_file(tmp_path, shape(listed))))
    assert "2 made at WorkOS" in answer.output
    assert kept(house) == {
        listed[0]["id"]: ["max0@example.com", "second@example.com"],
        listed[1]["id"]: ["max1@example.com"],
    }


@pytest.mark.parametrize("between", [",", "|", ", "])
def test_csv_of_the_dashboard(house: House, tmp_path: Path, between: str) -> None:
    file = as_csv(
        tmp_path,
        line("user_1", "Max@example.com", between.join(["second@example.com", "Max@example.com"])),
        line("user_2", "unproven@example.com", "other@example.com", unverified_email_addresses="unproven@example.com"),
        line("user_3", "", "", username="no_address"),
    )
    answer = from_clerk(house, "--file", str(file), "--exported-at", WHEN)
    assert answer.exit_code == 0, answer.output
    assert "1 made at WorkOS" in answer.output
    assert "2 without a verified primary address" in answer.output
    assert kept(house) == {"user_1": ["max@example.com", "second@example.com"]}
    nothing_twice(house, 1)


def test_json_of_clerks_command_line(tmp_path: Path) -> None:
    flat = {"id": "user_1", "first_name": "Max", "primary_email_address": "max@example.com"}
    lists = {"verified_email_addresses": ["max@example.com"], "unverified_email_addresses": ["x@example.com"]}
    file = as_file(tmp_path, [flat | lists, flat | lists | {"id": "user_2", "banned": True}])
    first, second = clerk_exports.read(file, exported_at=datetime(2026, 11, 30, tzinfo=UTC))
    assert [(each.address, each.verified, each.primary) for each in first.emails] == [("max@example.com", True, True)]
    assert (first.banned, second.banned) == (False, True)


def test_a_file_that_is_cut_off_changes_nothing(house: House, tmp_path: Path) -> None:
    whole = json.dumps(people(house, 3))
    path = tmp_path / "export.json"
    path.write_text(whole[: len(whole) - 20])
    answer = from_clerk(house, "--file", str(path))
    assert (answer.exit_code, "neither JSON nor CSV" in answer.output) == (1, True)
    nothing_twice(house, 0)


@pytest.mark.parametrize("begins", ["[", codecs.BOM_UTF8.decode() + '{"total_count": 1, "data": ['])
def test_a_large_file_needs_no_more_memory_than_a_person(tmp_path: Path, begins: str) -> None:
    many, path = 30_000, tmp_path / "export.json"
    flat = {"primary_email_address": "max@example.com", "verified_email_addresses": ["max@example.com"]}
    with path.open("w", encoding="utf-8") as file:
        file.write(begins)
        file.writelines(
            f"{',' if n else ''}{json.dumps({'id': f'user_{n}', 'note': 'x' * 500} | flat)}" for n in range(many)
        )
        file.write("]" if begins == "[" else "]}")
    tracemalloc.start()
    try:
        read = sum(1 for _ in clerk_exports.read(path, exported_at=datetime(2026, 11, 30, tzinfo=UTC)))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert read == many
    assert most < path.stat().st_size / 10


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("id,email\nuser_1,a@example.com\n", "no column primary_email_address, verified_email_addresses"),
        ("{not json", "neither JSON nor CSV"),
        ('\n {"users": 1}', "no list of people"),
        (",".join(COLUMNS) + "\nuser_1" + "," * 12 + "\n", "Say it with --exported-at"),
        ("", "no column id"),
    ],
)
def test_a_wrong_file_is_refused_in_a_sentence(house: House, tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "export.txt"
    path.write_text(content)
    answer = from_clerk(house, "--file", str(path))
    assert answer.exit_code == 1
    assert sentence in answer.output
    assert "example.com" not in answer.output
    nothing_twice(house, 0)


def test_one_source_is_named(house: House, tmp_path: Path) -> None:
    assert from_clerk(house).exit_code == 2
    assert from_clerk(house, "--api", "--file", str(as_file(tmp_path, []))).exit_code == 2


def test_a_file_is_older_than_what_is_known(house: House, tmp_path: Path) -> None:
    (person,) = people(house, 1)
    file = as_file(tmp_path, [person])
    control.change_email(house.simulator, person["id"], "newer@example.com", webhook=False)
    house.post("/api/profiles/sign-in", token=control.token(house.simulator, person["id"]))
    assert kept(house) == {person["id"]: ["newer@example.com"]}
    from_clerk(house, "--file", str(file))
    assert kept(house) == {person["id"]: ["newer@example.com"]}


def test_a_file_takes_an_address_from_nobody(house: House, tmp_path: Path) -> None:
    holder = control.create_user(house.simulator, name="Now", email="max@example.com")
    house.post("/api/profiles/sign-in", token=control.token(house.simulator, holder["id"]))
    file = as_csv(tmp_path, line("user_former", "max@example.com"))
    answer = from_clerk(house, "--file", str(file), "--exported-at", WHEN)
    assert answer.exit_code == 1
    assert "user_former: Another account has this person's primary address by now." in answer.output
    assert kept(house) == {holder["id"]: ["max@example.com"]}
    nothing_twice(house, 0)


def test_a_file_brings_no_deleted_account_back(house: House, tmp_path: Path) -> None:
    (person,) = people(house, 1)
    file = as_file(tmp_path, [person])
    house.post("/api/profiles/sign-in", token=control.token(house.simulator, person["id"]))
    with house.db.unit_of_work(OPERATOR) as ctx:
        account_deletion.let_go(ctx, user_id=person["id"])
    for option in (["--dry-run"], []):
        answer = from_clerk(house, "--file", str(file), *option)
        assert "1 banned or deleted" in answer.output
    (profile,) = house.rows(select(Profile))
    assert profile.account_deleted_at is not None
    nothing_twice(house, 0)


def test_who_is_banned_is_left_out(house: House) -> None:
    (person,) = people(house, 1)
    seeded = {"id": person["id"], "name": "Max", "email": "max0@example.com", "banned": True}
    control.seed_users(house.simulator, [seeded])
    assert "1 banned or deleted" in from_clerk(house, "--api").output
    nothing_twice(house, 0)


def test_killed_after_any_transaction_the_next_run_finishes(house: House, tmp_path: Path) -> None:
    file = as_file(tmp_path, people(house, 2))
    for step in itertools.count(1):
        opened = itertools.count(1)

        def work(step: int = step, opened: Any = opened) -> Any:
            if next(opened) > step:
                raise Died
            return house.db.unit_of_work(ACTOR)

        try:
            a_run(house, work=work).take(clerk_exports.read(file))
        except Died:
            continue
        break
    assert step > 8
    nothing_twice(house, 2)
    assert len(kept(house)) == 2


@pytest.mark.parametrize("call", range(5), ids=("find", "user", "look", "organization", "membership"))
@pytest.mark.parametrize("mode", ["500", "apply-then-drop", "apply-then-garbage"])
def test_a_lost_answer_makes_nobody_twice(house: House, tmp_path: Path, call: int, mode: str) -> None:
    file = as_file(tmp_path, people(house, 2))
    control.fault(house.simulator, "workos", mode, times=2, after=call)
    run = a_run(house)
    run.take(clerk_exports.read(file))
    assert (run.tally.failed, run.tally.made) == (0, 2)
    nothing_twice(house, 2)
    assert {call.state for call in house.rows(select(ProviderCall))} == {CallState.SUCCEEDED}


def test_a_clerk_that_stays_away_ends_the_run_in_a_sentence(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("admin_app.services.move_in.guest_asking.TRIES", 1)
    people(house, 2)
    control.fault(house.simulator, "clerk", "500", times=50)
    answer = from_clerk(house, "--api")
    assert answer.exit_code == 1
    assert "Error: Clerk does not answer" in answer.output
    nothing_twice(house, 0)


def test_two_at_once_make_nobody_twice(own_simulator: str, real_db: Database, tmp_path: Path) -> None:
    house = build(own_simulator, real_db)
    file = as_file(tmp_path, people(house, 5))

    def once() -> str:
        run = a_run(house)
        run.take(clerk_exports.read(file))
        return str(run.tally.failed)

    assert at_once([once] * 3) == {"0": 3}
    nothing_twice(house, 5)
    assert len(kept(house)) == 5
